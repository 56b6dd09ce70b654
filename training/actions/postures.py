"""Crouching, sitting down and standing up."""

from __future__ import annotations

from training.actions.action import Action, Condition
from training.actions.motion_comparison import LOWER_SHARE, REACH_M, SEAT_M, SIT_SHARE, THIGH_LEVEL, Comparison


def _crouched(motion: Comparison) -> bool:
    """Low at some time, over the feet, with idle hands."""
    found = motion.found
    low = found.lowest < LOWER_SHARE and found.seat < SEAT_M
    return low and motion.in_place and max(found.reach) < REACH_M


def _sat_down(motion: Comparison) -> bool:
    """At the height of a seat at the end, thighs level, pelvis behind the feet."""
    found = motion.found
    return SIT_SHARE[0] < found.last < SIT_SHARE[1] and found.thigh > THIGH_LEVEL and found.seat > SEAT_M


CROUCH = Action(
    name="crouch",
    train=(
        "crouch down", "squat down", "get down low", "go into a squat", "bend your knees and go down", "crouch",
        "squat", "get into a crouch", "sink down into a squat", "duck down", "go down low", "bend your knees deeply",
    ),
    test=(
        "lower yourself into a crouch", "crouch low",
    ),
    label="crouch",
    rule=_crouched,
    in_capture=lambda frame: frame.standing and frame.low,
    leaves=(Condition.LOW,),
    clips={"crouch": 0.4, "crouch+stand_up": 0.4},
    long_share=0.25,
)  # fmt: skip

SIT = Action(
    name="sit",
    train=(
        "sit down on {it}", "take a seat on {it}", "sit on {it}", "have a seat on {it}", "seat yourself on {it}",
        "sit yourself down on {it}", "be seated on {it}", "settle on {it}", "settle down on {it}",
        "place yourself on {it}", "go down onto {it}",
    ),
    test=(
        "lower yourself onto {it}", "go and sit down on {it}",
    ),
    aims_at=("seat",),
    label="sit",
    rule=_sat_down,
    leaves=(Condition.LOW,),
    clips={"sit": 0.6, "walk_to+sit": 0.6},
    long_share=0.6,
)  # fmt: skip

STAND_UP = Action(
    name="stand_up",
    train=(
        "stand up", "get up", "rise to your feet", "get on your feet", "come up again", "get to your feet",
        "get up again", "straighten up", "come to your feet", "stand upright again", "raise yourself up",
    ),
    test=(
        "stand up straight", "rise from there",
    ),
    label="stand up",
    rule=lambda motion: motion.found.last > 1.0 / LOWER_SHARE,
    needs=(Condition.LOW,),
    clips={"stand_up": 0.4},
    long_share=1.5,
)  # fmt: skip

ACTIONS = (CROUCH, SIT, STAND_UP)
