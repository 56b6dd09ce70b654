"""Gestures of a hand: waving, raising it, pointing ahead, scratching the head."""

from __future__ import annotations

from training.actions.action import Action
from training.actions.motion_comparison import Comparison


def _raised(motion: Comparison) -> bool:
    return motion.in_place and motion.hand_up


def _pointed(motion: Comparison) -> bool:
    return motion.in_place and motion.reached


def _at_head(motion: Comparison) -> bool:
    return motion.in_place and motion.hand_at_head


WAVE = Action(
    name="wave",
    train=(
        "wave[ with {hand}]", "wave {hand}", "wave <hello|goodbye|to somebody|at someone>[ with {hand}]",
        "give a wave[ with {hand}]", "use {hand} to wave", "greet with a wave[ of {hand}]", "say hello with {hand}",
        "<lift|raise> {hand} and wave", "wave a greeting[ with {hand}]",
    ),
    test=(
        "with {hand}, wave", "wave <about|over>[ with {hand}]",
    ),
    with_hand=True,
    label="gestures",
    rule=_raised,
    clips={"wave": 0.3},
    long_share=0.1,
)  # fmt: skip

RAISE_HAND = Action(
    name="raise_hand",
    train=(
        "raise {hand}", "lift {hand}<| up| high>", "<stretch|hold|stick> {hand} up",
        "raise {hand} <high|above your head|overhead>",
        "hands up, {hand}", "bring {hand} up over your head", "reach up with {hand}", "up with {hand}",
        "raise a hand[, {hand}]", "hold up {hand}",
    ),
    test=(
        "put up {hand}", "hold {hand} over your head",
    ),
    with_hand=True,
    label="gestures",
    rule=_raised,
    clips={"raise_hand": 0.35},
    long_share=0.1,
)  # fmt: skip

POINT = Action(
    name="point",
    train=(
        "point <ahead|forward|straight ahead>[ with {hand}]", "point <in front of you|to the front>[ with {hand}]",
        "use {hand} to point <ahead|forward>", "stretch {hand} out <forward|ahead|in front of you>",
        "point with {hand}",
        "<extend|hold out> {hand} <ahead|to the front|before you>", "point {hand} ahead",
    ),
    test=(
        "with {hand}, point to what is ahead", "aim {hand} straight ahead",
    ),
    with_hand=True,
    label="gestures",
    rule=_pointed,
    clips={"point": 0.3},
    long_share=0.1,
)  # fmt: skip

SCRATCH = Action(
    name="scratch",
    train=(
        "scratch your head[ with {hand}]", "<touch|rub|pat> your head[ with {hand}]", "put {hand} <on|to> your head",
        "use {hand} to scratch your head", "bring {hand} to your <head|hair>",
        "scratch yourself on the head[ with {hand}]",
        "run {hand} over your hair", "hold your head[ with {hand}]",
    ),
    test=(
        "with {hand}, scratch your head", "lay {hand} on your head",
    ),
    with_hand=True,
    label="gestures",
    rule=_at_head,
    clips={"scratch": 0.25},
    long_share=0.1,
)  # fmt: skip

ACTIONS = (WAVE, RAISE_HAND, POINT, SCRATCH)
