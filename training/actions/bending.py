"""Bending, leaning, kneeling, jumping: what the whole body does on the spot."""

from __future__ import annotations

from training.actions.action import Action, Condition
from training.actions.motion_comparison import Comparison


def _bent(motion: Comparison) -> bool:
    return motion.in_place and motion.leaned


def _kneeled(motion: Comparison) -> bool:
    """At least one knee comes down to the floor."""
    return motion.found.knee < KNEE_M and motion.found.lowest < LOWEST_SHARE


def _jumped(motion: Comparison) -> bool:
    """Both feet leave the floor."""
    return motion.found.rise > min(JUMP_M, 0.5 * motion.truth.rise) and motion.in_place


KNEE_M, LOWEST_SHARE = 0.2, 0.8  # a knee over the floor; the pelvis over its first height
JUMP_M = 0.03

BEND = Action(
    name="bend",
    train=(
        "bend over", "bend down", "<bow|bow down>", "bend your back", "bend <forward|your body forward|at the waist>",
        "stoop<| down>", "<take|make> a bow", "bend <low|deep|over deeply>", "fold your upper body forward",
        "reach down with a bent back", "touch your toes",
    ),
    test=(
        "bend your upper body", "bend forwards", "double over",
    ),
    label="bend, lean",
    rule=_bent,
    in_capture=lambda frame: frame.standing and not frame.low and frame.leaning,
    clips={"bend": 0.25},
    long_share=0.1,
)  # fmt: skip

LEAN = Action(
    name="lean",
    train=(
        "lean <forward|forwards|ahead>", "lean your <body|upper body|trunk> forward",
        "tilt <your body|yourself> forward",
        "lean forward <a bit|a little|and look>", "bend slightly forward", "lean in", "incline your body<| forward>",
        "lean over a little",
    ),
    test=(
        "lean yourself forward", "tip your trunk forward",
    ),
    label="bend, lean",
    rule=_bent,
    clips={"lean": 0.2},
    long_share=0.1,
)  # fmt: skip

KNEEL = Action(
    name="kneel",
    train=(
        "kneel", "kneel down", "get <down |>on your knees", "go down on <your|both> knees", "drop to your knees",
        "kneel <on the floor|here|on both knees>", "sink to your knees", "lower yourself to your knees",
        "get to your knees",
    ),
    test=(
        "fall on your knees", "take a kneeling position",
    ),
    label="kneel",
    rule=_kneeled,
    leaves=(Condition.LOW,),
    clips={"kneel": 0.3},
)  # fmt: skip

JUMP = Action(
    name="jump",
    train=(
        "jump", "jump up", "<do|make> a <jump|little jump>", "jump <in place|on the spot|into the air|once|high>",
        "leap up", "<spring|leap> into the air", "jump where you stand", "take a jump", "give a jump",
    ),
    test=(
        "bounce up once", "make a leap upwards",
    ),
    label="jump",
    rule=_jumped,
    clips={"jump": 0.3},
)  # fmt: skip

HOP = Action(
    name="hop",
    train=(
        "hop", "hop <up and down|in place|a few times>", "jump <up and down|a few times|twice|again and again>",
        "bounce <up and down|on the spot>", "do some <hops|jumps>", "hop up a little", "keep jumping",
        "skip on the spot",
    ),
    test=(
        "spring up and down", "make some little hops",
    ),
    label="jump",
    rule=_jumped,
    clips={"hop": 0.25},
)  # fmt: skip

ACTIONS = (BEND, LEAN, KNEEL, JUMP, HOP)
