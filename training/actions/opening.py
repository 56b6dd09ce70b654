"""Opening and closing doors, cupboards and drawers."""

from __future__ import annotations

from training.actions.action import Action, Condition

_OPENABLE = ("door", "cabinet", "drawer")

OPEN = Action(
    name="open",
    train=(
        "open {it}[ with {hand}]", "open {it}[ using {hand}]", "use {hand} to open {it}", "get {it} open[ with {hand}]",
        "open {it}[ by {hand}]", "using {hand}, open {it}", "open {it} wide[ with {hand}]", "let {hand} open {it}",
        "have {it} opened[ by {hand}]", "take the handle of {it} and open it[ with {hand}]",
    ),
    test=(
        "with {hand}, open {it}", "open up {it}[ with {hand}]",
    ),
    aims_at=_OPENABLE,
    with_hand=True,
    label="open, close",
    rule=lambda motion: motion.reached,
    leaves=(Condition.OPEN,),
    clips={"open": 1.0, "walk_to+open": 1.2},
    long_share=1.2,
)  # fmt: skip

CLOSE = Action(
    name="close",
    train=(
        "close {it}[ with {hand}]", "shut {it}[ with {hand}]", "use {hand} to close {it}", "close {it}[ using {hand}]",
        "get {it} closed[ with {hand}]", "using {hand}, shut {it}", "shut {it}[ using {hand}]",
        "use {hand} to shut {it}", "get {it} shut[ with {hand}]", "let {hand} close {it}",
        "have {it} closed[ by {hand}]",
    ),
    test=(
        "with {hand}, close {it}", "push {it} shut[ with {hand}]",
    ),
    aims_at=_OPENABLE,
    with_hand=True,
    label="open, close",
    rule=lambda motion: motion.reached,
    needs=(Condition.STANDING, Condition.OPEN),
    clips={"close": 0.6, "walk_to+close": 0.5},
    long_share=1.0,
)  # fmt: skip

ACTIONS = (OPEN, CLOSE)
