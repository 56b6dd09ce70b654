"""Steps and told distances: one to four steps ahead, back or aside, half a metre, two metres."""

from __future__ import annotations

from training.actions.action import Action
from training.actions.motion_comparison import Comparison


def _stepped(motion: Comparison) -> bool:
    """To about the place where the true wearer goes, without turning away."""
    return motion.ends_as_told and motion.straight


STEPS_FORWARD = Action(
    name="steps_forward",
    train=(
        "<take|make|go|walk|do> {steps} <forward|forwards|ahead>", "<step|walk|move> forward {steps}",
        "<take|make> {steps} straight <ahead|on>", "go <forward|ahead> {steps}", "{steps} <forward|ahead>",
        "<take|make> {steps}", "advance {steps}", "<take|make> {steps} to the front", "<move|walk> {steps} on",
        "walk {steps} and stop", "{steps} forward, then stop",
    ),
    test=(
        "proceed {steps}", "go {steps} onward",
    ),
    label="steps",
    rule=_stepped,
    clips={"steps_forward": 0.7},
    long_share=0.15,
)  # fmt: skip

STEPS_BACK = Action(
    name="steps_back",
    train=(
        "<take|make|go|walk|do> {steps} <back|backward|backwards>", "<step|walk|move> back {steps}",
        "{steps} <back|backwards>", "go <back|backward> {steps}", "<back up|retreat|withdraw> {steps}",
        "<take|make> {steps} back without turning", "<move|step> backwards {steps}", "<take|make> {steps} to the rear",
        "back away {steps}",
    ),
    test=(
        "reverse {steps}", "go {steps} rearward",
    ),
    label="steps",
    rule=_stepped,
    clips={"steps_back": 0.6},
    long_share=0.1,
)  # fmt: skip

STEP_ASIDE = Action(
    name="step_aside",
    variants="step_aside_{side}",
    train=(
        "<take|make|go|do> {steps} <aside|sideways>[ to the {side}]", "<take|make|go> {steps} to the {side}",
        "<take|make> {steps} to your {side}", "<step|move|shift> <aside|sideways>[ to the {side}] {steps}",
        "<step|move> to your {side}, {steps}", "sidestep[ {side}] {steps}", "<take|make> {steps}[ {side}]",
        "{steps} to the {side}", "{steps} sideways[, to the {side}]",
        "without turning, <go|take> {steps} to the {side}",
        "<make|take> {steps} sideways[, to your {side}]",
    ),
    test=(
        "shuffle {steps} to the {side}", "go {steps} sidewards[, to the {side}]",
    ),
    label="steps",
    rule=_stepped,
    clips={"step_aside_left": 0.35, "step_aside_right": 0.35},
    long_share=0.1,
)  # fmt: skip

MAKE_WAY = Action(
    name="make_way",
    variants="make_way_{side}",
    train=(
        "step <aside|sideways>[ to <the|your> {side}]", "<move|shift|slide> <aside|sideways>[ to the {side}]",
        "sidestep[ to the {side}]", "step to your {side}", "make way[, to the {side}]",
        "<move|go> a little to the {side}",
        "step out of the way[, to the {side}]", "shift a bit to the {side}", "step over to the {side}",
        "move over[ to the {side}]", "take a side step[ to <the|your> {side}]", "get out of the way[, to the {side}]",
    ),
    test=(
        "stand aside[ to the {side}]", "shuffle over[ to the {side}]",
    ),
    label="steps",
    rule=_stepped,
    clips={"make_way_left": 0.3, "make_way_right": 0.3},
    long_share=0.1,
)  # fmt: skip

WALK_METRES = Action(
    name="walk_metres",
    train=(
        "<walk|go|move> {metres} <forward|ahead|straight on>", "<walk|go|move> forward {metres}",
        "<walk|go> <straight ahead|ahead> for {metres}", "<walk|advance> {metres}", "{metres} <forward|ahead>",
        "<walk|go> forward by {metres}", "<walk|move> {metres} and stop", "cover {metres} <walking|on foot>",
    ),
    test=(
        "proceed {metres}", "go on for {metres}",
    ),
    label="steps",
    rule=_stepped,
    clips={"walk_metres": 0.5},
    long_share=0.1,
)  # fmt: skip

BACK_METRES = Action(
    name="back_metres",
    train=(
        "<walk|go|move> {metres} <back|backward|backwards>", "<walk|step|move> back {metres}",
        "<back up|retreat> {metres}", "{metres} <back|backwards>", "<walk|move> back by {metres}",
        "move backward for {metres}", "go backwards {metres}",
    ),
    test=(
        "reverse {metres}", "withdraw by {metres}",
    ),
    label="steps",
    rule=_stepped,
    clips={"back_metres": 0.35},
)  # fmt: skip

ACTIONS = (STEPS_FORWARD, STEPS_BACK, STEP_ASIDE, MAKE_WAY, WALK_METRES, BACK_METRES)
