"""Walking without an aim: ahead, back, in curves."""

from __future__ import annotations

from training.actions.action import Action
from training.actions.motion_comparison import STOP_SPEED, TURN_FIRST

WALK_FORWARD = Action(
    name="walk_forward",
    train=(
        "walk forward", "walk straight ahead", "keep walking straight ahead", "go forward", "move forward",
        "walk ahead", "continue forward", "keep going straight", "walk on", "walk on ahead", "go ahead",
        "walk in a straight line", "advance", "keep going", "take some steps forward", "carry on walking",
        "head straight on", "<move|proceed|head> straight ahead", "<start|begin> <walking|to walk>",
        "walk<| a few metres| for a while>", "set off<| straight ahead>", "onward", "straight <on|ahead>",
        "<go|walk|move> <forwards|onwards>", "follow your nose", "just <go|walk> on",
    ),
    test=(
        "walk straight on", "go straight ahead", "keep moving forward",
    ),
    label="walk",
    rule=lambda motion: motion.walked_ahead and motion.straight,
    in_capture=lambda frame: frame.walking and not frame.backward and not frame.side and frame.forward,
    clips={"walk_forward": 0.9},
    long_share=0.6,
)  # fmt: skip

WALK_BACK = Action(
    name="walk_back",
    train=(
        "walk backward", "step back", "take a few steps back", "move backward", "go backward", "back up a bit",
        "walk backwards", "step backward", "retreat a few steps", "back away", "move backwards a little",
        "walk back without turning round", "<go|step|walk> <back|backwards|in reverse><| a little| a bit>",
        "<back|move> away<| slowly>", "back off", "give way backwards", "<reverse|retreat> <a little|a bit>",
    ),
    test=(
        "walk a few steps backward", "move back a little",
    ),
    label="walk",
    rule=lambda motion: motion.went and motion.found.ahead < 0 and motion.straight,
    in_capture=lambda frame: frame.walking and frame.backward,
    clips={"walk_back": 0.55},
    long_share=0.25,
)  # fmt: skip

WALK_STOP = Action(
    name="walk_stop",
    train=(
        "walk forward and stop", "walk ahead, then stop", "go forward and come to a halt", "walk a bit and stop",
        "move forward, then stand still", "walk forward, then stop and wait", "walk a few steps and stop",
        "go on a little, then halt", "walk forward, then stand", "step forward and stop", "walk ahead and halt",
        "keep walking, then stop", "advance and come to rest",
    ),
    test=(
        "go ahead and then stop", "walk straight ahead and come to a stop",
    ),
    label="stop",
    rule=lambda motion: motion.walked_ahead and motion.straight and motion.found.end_speed < STOP_SPEED,
    clips={"walk_stop": 0.55},
)  # fmt: skip

# One movement: its words never say "walk, then turn", which would be two.
WALK_TURN = Action(
    name="walk_turn",
    variants="walk_turn_{side}",
    train=(
        "keep walking and turn[ {side}]", "walk in a curve[ to the {side}]", "keep going and curve[ to the {side}]",
        "walk along an arc[ to your {side}]", "turn[ {side}] as you walk", "turn[ to the {side}] while walking",
        "walk ahead, turning[ {side}] on the way", "keep walking, turning[ to your {side}]",
        "walk on round a bend[ to the {side}]", "turn[ to your {side}] without stopping",
        "walk on and turn off[ to the {side}] as you go", "follow a curve[ to the {side}]",
        "<walk|go> <round|around> a <corner|bend>[ to the {side}]", "<curve|bend|arc>[ to <the|your> {side}] as you go",
        "walk ahead <bending|curving|bearing>[ {side}]", "<walk|go> forward while turning[ {side}]",
    ),
    test=(
        "walk on and veer[ to the {side}]", "make a[ {side}] turn without a halt, walking on",
    ),
    label="walk",
    rule=lambda motion: motion.went and motion.turned and motion.found.turn_lead < TURN_FIRST,
    in_capture=lambda frame: frame.walking and not frame.backward and bool(frame.side),
    clips={"walk_turn_left": 0.55, "walk_turn_right": 0.55},
)  # fmt: skip

TURN_WALK = Action(
    name="turn_walk",
    variants="turn_{side}_walk",
    train=(
        "turn[ {side}] and walk forward", "turn[ to the {side}], then walk ahead", "turn[ {side}], then go forward",
        "first turn[ to your {side}] and then walk", "rotate[ {side}] and walk straight ahead",
        "turn[ {side}] and move forward", "turn[ {side}] and start walking", "after a turn[ to the {side}], walk ahead",
        "rotate[ to the {side}], then move forward", "pivot[ {side}] and walk on",
        "turn[ to the {side}] first, then go", "make a[ {side}] turn and go on",
        "turn yourself[ to the {side}] and walk", "<go|walk|head> {side}<|, please>",
        "<go|walk|head> <off |over |>to <the|your> {side}", "take the way to the {side}",
        "<turn|swing|face>[ to the {side}], <then|and> <go|walk|head> <on|off|straight ahead>",
    ),
    test=(
        "make a[ {side}] turn, then walk forward", "turn[ to your {side}] and go straight ahead",
    ),
    label="walk",
    rule=lambda motion: motion.went and motion.turned and motion.found.turn_lead > TURN_FIRST,
    clips={"turn_left_walk": 0.55, "turn_right_walk": 0.55},
)  # fmt: skip

ACTIONS = (WALK_FORWARD, WALK_BACK, WALK_STOP, WALK_TURN, TURN_WALK)
