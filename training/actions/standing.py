"""Standing still and turning on the spot."""

from __future__ import annotations

from training.actions.action import Action
from training.actions.motion_comparison import STOP_SPEED, Comparison, is_idle, is_still


def stood_still(motion: Comparison) -> bool:
    """Still throughout; where the true wearer is not still either, but comes to a stand for a moment, such a pause."""
    found = motion.found
    return is_still(found) if is_still(motion.truth) else is_idle(found) and found.least_speed < STOP_SPEED


STAND_STILL = Action(
    name="stand_still",
    train=(
        "stand still", "do not move", "stay where you are", "keep standing", "stand and wait", "remain in place",
        "wait here", "hold still", "stay put", "do nothing", "keep still", "rest where you are", "stay there",
        "do not go anywhere", "stand there quietly", "freeze",
        "<stay|remain|stand|keep standing> <here|right here|as you are>",
        "<just|simply> <stand|stay|wait>", "<stay|remain> <motionless|standing|calm>", "<be|keep> still",
        "stand <on the spot|where you stand|calmly>", "stay <at|in> <your|this> place",
    ),
    test=(
        "stay still", "stay in place and do not move", "just stand there",
    ),
    label="stand still",
    rule=stood_still,
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
        "<turn|swing|swivel|swing yourself|turn yourself> [<to the|to your|over to the|over to your> {side}]"
        "< side|-hand side|><| on the spot| in place| where you are>",
        "<swing|swivel|pivot|turn about> <around|round>[ <to your|over to your|towards the> {side}]<| side|-hand side>",
        "<swing|swivel|twist> <around|round>[ {side}]< on the spot| in place|>",
        "<turn|rotate|pivot|swivel|swing|twist>[ towards the {side}<|-hand side| side>]< a quarter| on the spot|>",
        "<rotate|pivot|twist>[ <to your|over to your|to the> {side}<-hand side| side>]<| on the spot| in place>",
        "<turn|swivel|pivot|rotate>[ {side}ward<s|>]<| on the spot| where you stand>",
        "face <to the|to your|towards the|towards your|over to the> {side}<|-hand side>", "face your {side}<| side>",
        "<look and turn|turn and look|turn and face|turn your head and body>[ <to the|over to the|to your> {side}]",
        "<do|make|take> a {side} turn<| on the spot| where you are| without walking>", "{side} turn<| here| now>",
        "turn <{turnwise}|in place, {turnwise}>", "<rotate|pivot> {turnwise} <by a quarter|on the spot|a quarter turn>",
        "<turn|rotate> <so that you face|until you face|to face> <the|your> {side}", "{side}<, turn|, please turn|!>",
        "<go|bear> {side} on the spot", "turn your <body|chest|shoulders> to <the|your> {side}",
        "<turn|rotate> <the whole body|yourself>[ to <the|your> {side}]< now|>",
    ),
    test=(
        "turn[ towards your {side}]", "rotate[ to the {side}]", "turn your body[ {side}]",
        "<wheel|revolve>[ to your {side}]", "<turn|rotate> yourself[ towards your {side}] <on the spot|where you are>",
        "make your body face the {side}",
    ),
    label="turn",
    rule=lambda motion: motion.turned and motion.in_place,
    in_capture=lambda frame: frame.upright and bool(frame.side),
    clips={"turn_left": 1.0, "turn_right": 1.0},
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
        "<do|make> a <180|180 degree turn|one-eighty>[ <to the|over your> {side}]",
        "<do|make> a U-turn[ to the {side}]",
        "<turn|rotate|spin> <180 degrees|by 180 degrees|through 180°|half a circle>[ <to the|over the> {side}]",
        "<turn|swing|swivel> about<-face|>[, to the {side}]",
        "<turn|rotate> <until|so that> you <look|face> <backwards|behind|back>[, going {side}]",
        "<look|face> behind you[, turning {side}]", "about turn[, over your {side}]",
        "reverse your direction[, {side} about]",
    ),
    test=(
        "turn around[ towards the {side}]", "spin yourself round to the back[, over the {side}]",
        "do a turn[ to the {side}] until you face backwards",
    ),
    label="turn",
    rule=lambda motion: motion.turned and motion.in_place,
    clips={"turn_around_left": 0.4, "turn_around_right": 0.4},
    long_share=0.25,
)  # fmt: skip

ACTIONS = (STAND_STILL, TURN, TURN_AROUND)
