"""Looking at, touching and walking to a thing; the room stays as it is."""

from __future__ import annotations

from training.actions.action import Action
from training.actions.motion_comparison import LOOK_RAD, Comparison


def _looked(motion: Comparison) -> bool:
    """Turned towards the thing as far as the true wearer; where that hardly turns, not turning is enough."""
    little = abs(motion.found.turn - motion.truth.turn) < LOOK_RAD
    return motion.in_place and (motion.left_open == "target" or motion.turned or little)


LOOK_AT = Action(
    name="look_at",
    train=(
        "look at the {name}", "have a look at the {name}", "turn your eyes to the {name}", "look over to the {name}",
        "watch the {name}", "look towards the {name}", "glance at the {name}", "let your eyes rest on the {name}",
        "fix your eyes on the {name}", "turn your head to the {name}", "face the {name}", "turn to see the {name}",
        "turn to the {name}", "check on the {name}", "the {name}", "that {name} there", "see the {name}",
        "<eyes on|look:> the {name}", "<let's see|find> the {name}", "<turn|face> towards the {name}",
    ),
    test=(
        "direct your gaze at the {name}", "take a look at the {name}",
    ),
    aims_at=("object", "surface", "seat", "door", "cabinet"),
    label="look",
    rule=_looked,
    needs=(),
    clips={"look_at": 0.5},
    long_share=0.6,
)  # fmt: skip

REACH = Action(
    name="reach",
    train=(
        "reach for {it}( on the {support})[ with {hand}]", "use {hand} to reach {it}", "touch {it}[ with {hand}]",
        "reach out to {it}( on the {support})[ with {hand}]", "put {hand} on {it}",
        "stretch {hand} out to {it}( on the {support})", "using {hand}, touch {it}( on the {support})",
        "extend {hand} to {it}( on the {support})", "reach {it}( on the {support})[ with {hand}]", "lay {hand} on {it}",
        "move {hand} to {it}( on the {support})", "tap {it}[ with {hand}]", "place {hand} on {it}",
        "let {hand} go to {it}",
    ),
    test=(
        "with {hand}, reach for {it}( on the {support})", "bring {hand} to {it}( on the {support})",
    ),
    aims_at=("object",),
    with_hand=True,
    label="reach, pick up, put down",
    rule=lambda motion: motion.reached,
    clips={"reach": 1.2},
    long_share=0.7,
)  # fmt: skip

WALK_TO = Action(
    name="walk_to",
    train=(
        "walk to the {name}", "go to the {name}", "walk up to the {name}", "approach the {name}", "head for the {name}",
        "move to the {name}", "walk towards the {name}", "go up to the {name}", "step up to the {name}",
        "get to the {name}", "walk across to the {name}", "move over to the {name}", "proceed to the {name}",
        "cross the room to the {name}", "<go|walk|head|move> <across |up |>to that {name}",
        "<approach|get close to|come to> <the|that> {name}", "to the {name}",
        "<go|walk> and stand <at|by|near> the {name}",
        "<head|walk|go|move> <towards|toward> <the|that> {name}", "bring yourself to the {name}",
    ),
    test=(
        "go over to the {name}", "walk over to the {name}", "make your way to the {name}",
    ),
    aims_at=("surface", "seat", "door", "cabinet", "spot"),
    named_on_arrival=True,
    label="walk",
    rule=lambda motion: motion.went and motion.arrived,
    clips={"walk_to": 0.7, "walk_to+reach": 1.2},
    long_share=0.6,
)  # fmt: skip

ACTIONS = (LOOK_AT, REACH, WALK_TO)
