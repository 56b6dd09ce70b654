"""Picking things up and putting them down."""

from __future__ import annotations

from training.actions.action import Action, Condition

PICK_UP = Action(
    name="pick_up",
    train=(
        "pick up {it}( from the {support})[ with {hand}]", "take {it}( from the {support})[ with {hand}]",
        "grab {it}( on the {support})[ with {hand}]", "get {it}( off the {support})[ with {hand}]",
        "lift {it}( from the {support})[ with {hand}]", "use {hand} to pick up {it}",
        "using {hand}, take {it}( from the {support})", "collect {it}( from the {support})[ with {hand}]",
        "pick {it} up[ with {hand}]", "grasp {it}( on the {support}) and lift it[ with {hand}]",
        "get hold of {it}[ with {hand}]", "take up {it}( from the {support})[, using {hand}]", "let {hand} take {it}",
    ),
    test=(
        "with {hand}, pick up {it}( from the {support})", "fetch {it}( from the {support})[ with {hand}]",
    ),
    aims_at=("object",),
    with_hand=True,
    label="reach, pick up, put down",
    rule=lambda motion: motion.reached and motion.holds_at_end,
    leaves=(Condition.HOLDING,),
    clips={"pick_up": 1.0, "walk_to+pick_up": 1.2},
    long_share=1.6,
)  # fmt: skip

PUT_DOWN = Action(
    name="put_down",
    train=(
        "put the {name} on {there}[ with {hand}]", "place the {name} on {there}[ with {hand}]",
        "put the {name} down on {there}[ with {hand}]", "set the {name} down on {there}[ with {hand}]",
        "leave the {name} on {there}[, using {hand}]", "lay the {name} on {there}[ with {hand}]",
        "using {hand}, place the {name} on {there}", "set down the {name} on {there}[ with {hand}]",
        "put down the {name} on {there}[ with {hand}]", "rest the {name} on {there}[ with {hand}]",
        "stand the {name} on {there}[, using {hand}]", "let {hand} put the {name} on {there}",
    ),
    test=(
        "with {hand}, put the {name} on {there}", "deposit the {name} on {there}[ with {hand}]",
    ),
    aims_at=("surface",),
    with_hand=True,
    label="reach, pick up, put down",
    rule=lambda motion: motion.reached and motion.held_at_start,
    needs=(Condition.STANDING, Condition.HOLDING),
    clips={"put_down": 0.7, "walk_to+put_down": 0.8},
    long_share=2.2,
)  # fmt: skip

ACTIONS = (PICK_UP, PUT_DOWN)
