"""Turning on the spot by a told amount: degrees, a direction of the clock, a quarter, a little, all the way round."""

from __future__ import annotations

from training.actions.action import Action
from training.actions.motion_comparison import Comparison


def _turned_as_told(motion: Comparison) -> bool:
    return motion.turned_as_told and motion.in_place


TURN_DEGREES = Action(
    name="turn_degrees",
    variants="turn_degrees_{side}",
    train=(
        "<turn|rotate|pivot|swivel|spin> {degrees}[ <to the|to your> {side}]",
        "<turn|rotate|pivot|swivel|spin> {degrees}[ {side}]",
        "<turn|rotate|pivot|swivel>[ {side}] <by|about|through> {degrees}",
        "<turn|rotate|pivot>[ to the {side}] by {degrees}",
        "<do|make> a {degrees} turn[ <to the|to your> {side}]",
        "<turn|rotate> your body {degrees}[ {side}]",
        "<turn|rotate>[ {side}] {degrees} <on the spot|in place>",
        "<turn|rotate> {degrees}[ {side}] <on the spot|in place|where you stand>",
        "turn yourself {degrees}[ <towards the|over to the> {side}]",
        "{degrees}[ to the {side}]",
        "{degrees}[ {side}]<|, please| turn>",
    ),
    test=(
        "<turn|rotate> {degrees}[ towards your {side}]", "rotate yourself[ {side}] by {degrees}",
    ),
    label="turn by degrees",
    rule=_turned_as_told,
    clips={"turn_degrees_left": 0.5, "turn_degrees_right": 0.5},
    long_share=0.15,
)  # fmt: skip

TURN_CLOCK = Action(
    name="turn_clock",
    variants="turn_clock_{side}",
    train=(
        "<turn|rotate|pivot|face|swivel> to {oclock}", "<turn|rotate|swing> <round |around |>to {oclock}",
        "face {oclock}<| direction>", "turn <to face|until you face|so that you face> {oclock}",
        "<turn|rotate> <towards|toward> {oclock}", "turn your body to {oclock}", "{oclock}, <turn|face> there",
        "turn to the direction of {oclock}", "turn on the spot to {oclock}",
    ),
    test=(
        "turn yourself to {oclock}", "rotate until {oclock} is ahead of you",
    ),
    label="turn by degrees",
    rule=_turned_as_told,
    clips={"turn_clock_left": 0.2, "turn_clock_right": 0.2},
    long_share=0.05,
)  # fmt: skip

QUARTER_TURN = Action(
    name="quarter_turn",
    variants="quarter_turn_{side}",
    train=(
        "<make|do|perform> a quarter turn[ <to your|towards the> {side}]", "<make|do> a quarter turn[ {side}]",
        "a quarter turn[ <to the|to your> {side}]", "turn a quarter[ <to the|to your> {side}]",
        "turn a quarter of a circle[ to the {side}]", "turn a quarter turn[ {side}]",
        "turn at a right angle[ to the {side}]", "turn square[ to the {side}]",
        "a quarter turn[ {side}] on the spot", "make a 90 degree turn[ <to the|to your> {side}]",
    ),
    test=(
        "give a quarter turn[ to your {side}]", "turn by a quarter of a full circle[ to the {side}]",
    ),
    label="turn by degrees",
    rule=_turned_as_told,
    clips={"quarter_turn_left": 0.2, "quarter_turn_right": 0.2},
)  # fmt: skip

TURN_A_LITTLE = Action(
    name="turn_a_little",
    variants="turn_a_little_{side}",
    train=(
        "turn <a little|a bit|a little bit|a touch>[ <to the|to your> {side}]",
        "<turn|rotate|pivot> <a little|a bit|somewhat>[ {side}]", "<turn|rotate> slightly[ to <the|your> {side}]",
        "<rotate|pivot> slightly[ {side}]", "make a <slight|small|little> turn[ to the {side}]",
        "make a <slight|small>[ {side}] turn", "<rotate|swivel> a few degrees[ {side}]",
        "turn only a <little|bit>[ {side}]", "just a <little|bit>[ to the {side}]",
        "face a <little|bit> further[ to the {side}]",
    ),
    test=(
        "turn just a little[ towards the {side}]", "turn a fraction[ to the {side}]",
    ),
    label="turn by degrees",
    rule=_turned_as_told,
    clips={"turn_a_little_left": 0.2, "turn_a_little_right": 0.2},
)  # fmt: skip

FULL_TURN = Action(
    name="full_turn",
    variants="full_turn_{side}",
    train=(
        "<make|do> a <full|complete|whole> turn[ to the {side}]", "turn <once all the way|full circle>[, going {side}]",
        "<spin|turn|rotate> once around yourself[, to the {side}]", "turn in a full circle[ to the {side}]",
        "<do|make> a 360[ to the {side}]", "turn 360 degrees[ to <the|your> {side}]", "make a full circle[ {side}]",
        "spin <round|around> once[, {side}]", "go round once on the spot[, to the {side}]",
        "turn all the way round until you are back[, going {side}]",
    ),
    test=(
        "rotate through a full circle[ to the {side}]", "make one complete revolution[, going {side}]",
    ),
    label="turn by degrees",
    rule=_turned_as_told,
    clips={"full_turn_left": 0.1, "full_turn_right": 0.1},
)  # fmt: skip

ACTIONS = (TURN_DEGREES, TURN_CLOCK, QUARTER_TURN, TURN_A_LITTLE, FULL_TURN)
