"""Standing still and turning on the spot."""

from __future__ import annotations

from training.actions.action import Action
from training.actions.motion_comparison import STOP_SPEED, Comparison, is_idle, is_still


def _stood_still(motion: Comparison) -> bool:
    """Still throughout; where the true wearer is not still either, but comes to a stand for a moment, such a pause."""
    found = motion.found
    return is_still(found) if is_still(motion.truth) else is_idle(found) and found.least_speed < STOP_SPEED


STAND_STILL = Action(
    name="stand_still",
    train=(
        "stand still", "do not move", "stay where you are", "keep standing", "stand and wait", "remain in place",
        "wait here", "hold still", "stay put", "do nothing", "keep still", "rest where you are", "stay there",
        "do not go anywhere", "stand there quietly", "freeze",
    ),
    test=(
        "stay still", "stay in place and do not move", "just stand there",
    ),
    label="stand still",
    rule=_stood_still,
    in_capture=lambda frame: frame.upright and not frame.side,
    needs=(),
    clips={"stand_still": 0.4},
    long_share=0.25,
)  # fmt: skip

TURN = Action(
    name="turn",
    variants="turn_{side}",
    train=(
        "turn[ {side}]", "turn[ to the {side}]", "turn[ to your {side}]", "rotate[ {side}]", "rotate[ to your {side}]",
        "turn[ {side}] on the spot", "make a[ {side}] turn in place", "turn[ {side}] where you are",
        "pivot[ to the {side}]", "pivot[ {side}] on the spot", "make a[ {side}] turn",
        "do a turn[ to the {side}] in place", "turn where you stand[, to the {side}]", "turn yourself[ to the {side}]",
        "change direction[ to your {side}]", "swing around[ to the {side}] a quarter",
    ),
    test=(
        "turn[ towards your {side}]", "rotate[ to the {side}]", "turn your body[ {side}]",
    ),
    label="turn",
    rule=lambda motion: motion.turned and motion.in_place,
    in_capture=lambda frame: frame.upright and bool(frame.side),
    clips={"turn_left": 0.55, "turn_right": 0.55},
    long_share=0.6,
)  # fmt: skip

TURN_AROUND = Action(
    name="turn_around",
    variants="turn_around_{side}",
    train=(
        "turn around[ to the {side}]", "turn around[ over your {side} shoulder]", "turn all the way around[, {side}]",
        "turn around[, going {side}]", "face the other way[, turning {side}]", "turn back around[ to your {side}]",
        "do a half turn[ to the {side}]", "make a half turn[ to your {side}]", "spin around[ to the {side}]",
        "turn round[ to the {side}]", "turn to what is behind you[, going {side}]",
        "turn to face the other way[, over your {side}]",
    ),
    test=(
        "turn around[ towards the {side}]", "do a turn[ to the {side}] until you face backwards",
    ),
    label="turn",
    rule=lambda motion: motion.turned and motion.in_place,
    clips={"turn_around_left": 0.4, "turn_around_right": 0.4},
    long_share=0.25,
)  # fmt: skip

ACTIONS = (STAND_STILL, TURN, TURN_AROUND)
