"""Looking somewhere without a target: up, down, to a side, over the shoulder, around. The body stays."""

from __future__ import annotations

from training.actions.action import Action
from training.actions.motion_comparison import Comparison


def _looked_up(motion: Comparison) -> bool:
    return motion.in_place and motion.looked("up")


def _looked_down(motion: Comparison) -> bool:
    return motion.in_place and motion.looked("down")


def _looked_aside(motion: Comparison) -> bool:
    return motion.in_place and motion.pelvis_stayed and motion.looked_as_truly_aside


def _looked_around(motion: Comparison) -> bool:
    return motion.in_place and motion.looked("left") and motion.looked("right")


LOOK_UP = Action(
    name="look_up",
    train=(
        "look <up|upward|upwards>", "look up <to|at|towards> the ceiling", "<raise|lift> your <head|eyes|gaze>",
        "<turn|tilt> your head <up|upwards>", "look at the ceiling", "look high up", "eyes up", "gaze <up|upward>",
        "look over your head", "raise your head and look up",
    ),
    test=(
        "cast your eyes up", "direct your gaze at the ceiling",
    ),
    label="look about",
    rule=_looked_up,
    needs=(),
    clips={"look_up": 0.2},
    long_share=0.1,
)  # fmt: skip

LOOK_DOWN = Action(
    name="look_down",
    train=(
        "look <down|downward|downwards>", "look <down to|down at|at> <your feet|the ground>",
        "<lower|drop> your <head|eyes|gaze>",
        "<turn|tilt> your head down", "look at the floor", "look at the floor before you", "eyes down",
        "gaze <down|downward>",
        "look at what is at your feet", "bow your head",
    ),
    test=(
        "cast your eyes down", "direct your gaze at the ground",
    ),
    label="look about",
    rule=_looked_down,
    needs=(),
    clips={"look_down": 0.2},
    long_share=0.1,
)  # fmt: skip

LOOK_ASIDE = Action(
    name="look_aside",
    variants="look_aside_{side}",
    train=(
        "look <to the|to your|over to the|towards the> {side}",
        "turn <your head|only your head|just your head>[ <to the|to your> {side}]",
        "turn your <eyes|face|gaze>[ <to the|to your> {side}]", "glance[ <to the|over to your> {side}]",
        "eyes {side}",
        "look {side} <but stay as you stand|without moving your feet|and keep facing ahead>", "gaze[ to the {side}]",
        "look to the {side} <without turning|with your head only>", "peek[ to the {side}]",
        "have a look[ to <the|your> {side}]",
    ),
    test=(
        "cast a glance[ to the {side}]", "rotate your head[ to your {side}]",
    ),
    label="look about",
    rule=_looked_aside,
    needs=(),
    clips={"look_aside_left": 0.25, "look_aside_right": 0.25},
    long_share=0.1,
)  # fmt: skip

LOOK_BACK = Action(
    name="look_back",
    variants="look_back_{side}",
    train=(
        "look <over|back over|behind you over> <your|the> {side} shoulder",
        "glance <over|back over> your {side} shoulder",
        "look <back|behind you>[ over your {side} shoulder]< without turning round|>",
        "check behind you[, over the {side} shoulder]",
        "turn your head and look back[ over your {side} shoulder]", "have a look behind you[ on the {side}]",
        "peek over your {side} shoulder", "see what is behind you[ on your {side}], feet still",
    ),
    test=(
        "gaze back over your {side} shoulder", "take a look over the {side} shoulder",
    ),
    label="look about",
    rule=_looked_aside,
    needs=(),
    clips={"look_back_left": 0.15, "look_back_right": 0.15},
)  # fmt: skip

LOOK_AROUND = Action(
    name="look_around",
    train=(
        "look <around|round|about>", "look around <you|the room|yourself>", "have a look <around|round>",
        "look left and right",
        "look to both sides", "<scan|survey|inspect> the room", "let your eyes wander", "look from side to side",
        "turn your head <left and right|from side to side>", "check both sides", "look right and left",
    ),
    test=(
        "take a look around you", "let your gaze sweep the room",
    ),
    label="look about",
    rule=_looked_around,
    needs=(),
    clips={"look_around": 0.25},
    long_share=0.15,
)  # fmt: skip

ACTIONS = (LOOK_UP, LOOK_DOWN, LOOK_ASIDE, LOOK_BACK, LOOK_AROUND)
