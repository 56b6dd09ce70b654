"""The goal in words: what the wearer does, as an instruction, with paraphrases and true left and right.

Two disjoint sets of paraphrases: ``train`` is for learning, ``test`` holds wordings never seen in training. In a
template, what stands in brackets may be left out; a bracket with the side or the hand is left out only on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_OPENINGS = ("", "", "", "please ", "now ")
AMBIGUOUS_SHARE = 0.09  # of clips, on purpose; with names that happen to fit two things, about 10 %

_TRAIN: dict[str, tuple[str, ...]] = {
    "stand_still": (
        "stand still", "do not move", "stay where you are", "keep standing", "stand and wait", "remain in place",
        "wait here", "hold still", "stay put", "do nothing", "keep still", "rest where you are", "stay there",
        "do not go anywhere", "stand there quietly", "freeze",
    ),
    "turn": (
        "turn[ {side}]", "turn[ to the {side}]", "turn[ to your {side}]", "rotate[ {side}]",
        "rotate[ to your {side}]", "turn[ {side}] on the spot", "make a[ {side}] turn in place",
        "turn[ {side}] where you are", "pivot[ to the {side}]", "pivot[ {side}] on the spot", "make a[ {side}] turn",
        "do a turn[ to the {side}] in place", "turn where you stand[, to the {side}]",
        "turn yourself[ to the {side}]", "change direction[ to your {side}]",
        "swing around[ to the {side}] a quarter",
    ),
    "turn_around": (
        "turn around[ to the {side}]", "turn around[ over your {side} shoulder]",
        "turn all the way around[, {side}]", "turn around[, going {side}]", "face the other way[, turning {side}]",
        "turn back around[ to your {side}]", "do a half turn[ to the {side}]", "make a half turn[ to your {side}]",
        "spin around[ to the {side}]", "turn round[ to the {side}]", "turn to what is behind you[, going {side}]",
        "turn to face the other way[, over your {side}]",
    ),
    "walk_forward": (
        "walk forward", "walk straight ahead", "keep walking straight ahead", "go forward", "move forward",
        "walk ahead", "continue forward", "keep going straight", "walk on", "walk on ahead", "go ahead",
        "walk in a straight line", "advance", "keep going", "take some steps forward", "carry on walking",
        "head straight on",
    ),
    "walk_back": (
        "walk backward", "step back", "take a few steps back", "move backward", "go backward", "back up a bit",
        "walk backwards", "step backward", "retreat a few steps", "back away", "move backwards a little",
        "walk back without turning round",
    ),
    "walk_turn": (  # one movement: not "walk, then turn", which is two
        "keep walking and turn[ {side}]", "walk in a curve[ to the {side}]", "keep going and curve[ to the {side}]",
        "walk along an arc[ to your {side}]", "turn[ {side}] as you walk", "turn[ to the {side}] while walking",
        "walk ahead, turning[ {side}] on the way", "keep walking, turning[ to your {side}]",
        "walk on round a bend[ to the {side}]", "turn[ to your {side}] without stopping",
        "walk on and turn off[ to the {side}] as you go", "follow a curve[ to the {side}]",
    ),
    "turn_walk": (
        "turn[ {side}] and walk forward", "turn[ to the {side}], then walk ahead", "turn[ {side}], then go forward",
        "first turn[ to your {side}] and then walk", "rotate[ {side}] and walk straight ahead",
        "turn[ {side}] and move forward", "turn[ {side}] and start walking",
        "after a turn[ to the {side}], walk ahead", "rotate[ to the {side}], then move forward",
        "pivot[ {side}] and walk on", "turn[ to the {side}] first, then go", "make a[ {side}] turn and go on",
        "turn yourself[ to the {side}] and walk",
    ),
    "walk_stop": (
        "walk forward and stop", "walk ahead, then stop", "go forward and come to a halt", "walk a bit and stop",
        "move forward, then stand still", "walk forward, then stop and wait", "walk a few steps and stop",
        "go on a little, then halt", "walk forward, then stand", "step forward and stop", "walk ahead and halt",
        "keep walking, then stop", "advance and come to rest",
    ),
    "walk_to": (
        "walk to the {name}", "go to the {name}", "walk up to the {name}", "approach the {name}",
        "head for the {name}", "move to the {name}", "walk towards the {name}", "go up to the {name}",
        "step up to the {name}", "get to the {name}", "walk across to the {name}", "move over to the {name}",
        "proceed to the {name}", "cross the room to the {name}",
    ),
    "look_at": (
        "look at the {name}", "have a look at the {name}", "turn your eyes to the {name}", "look over to the {name}",
        "watch the {name}", "look towards the {name}", "glance at the {name}", "let your eyes rest on the {name}",
        "fix your eyes on the {name}", "turn your head to the {name}", "face the {name}", "turn to see the {name}",
        "turn to the {name}", "check on the {name}",
    ),
    "reach": (
        "reach for {it}( on the {support})[ with {hand}]", "use {hand} to reach {it}", "touch {it}[ with {hand}]",
        "reach out to {it}( on the {support})[ with {hand}]", "put {hand} on {it}",
        "stretch {hand} out to {it}( on the {support})", "using {hand}, touch {it}( on the {support})",
        "extend {hand} to {it}( on the {support})", "reach {it}( on the {support})[ with {hand}]",
        "lay {hand} on {it}", "move {hand} to {it}( on the {support})", "tap {it}[ with {hand}]",
        "place {hand} on {it}", "let {hand} go to {it}",
    ),
    "pick_up": (
        "pick up {it}( from the {support})[ with {hand}]", "take {it}( from the {support})[ with {hand}]",
        "grab {it}( on the {support})[ with {hand}]", "get {it}( off the {support})[ with {hand}]",
        "lift {it}( from the {support})[ with {hand}]", "use {hand} to pick up {it}",
        "using {hand}, take {it}( from the {support})", "collect {it}( from the {support})[ with {hand}]",
        "pick {it} up[ with {hand}]", "grasp {it}( on the {support}) and lift it[ with {hand}]",
        "get hold of {it}[ with {hand}]", "take up {it}( from the {support})[, using {hand}]",
        "let {hand} take {it}",
    ),
    "put_down": (
        "put the {name} on {there}[ with {hand}]", "place the {name} on {there}[ with {hand}]",
        "put the {name} down on {there}[ with {hand}]", "set the {name} down on {there}[ with {hand}]",
        "leave the {name} on {there}[, using {hand}]", "lay the {name} on {there}[ with {hand}]",
        "using {hand}, place the {name} on {there}", "set down the {name} on {there}[ with {hand}]",
        "put down the {name} on {there}[ with {hand}]", "rest the {name} on {there}[ with {hand}]",
        "stand the {name} on {there}[, using {hand}]", "let {hand} put the {name} on {there}",
    ),
    "open": (
        "open {it}[ with {hand}]", "open {it}[ using {hand}]", "use {hand} to open {it}",
        "get {it} open[ with {hand}]", "open {it}[ by {hand}]", "using {hand}, open {it}",
        "open {it} wide[ with {hand}]", "let {hand} open {it}", "have {it} opened[ by {hand}]",
        "take the handle of {it} and open it[ with {hand}]",
    ),
    "close": (
        "close {it}[ with {hand}]", "shut {it}[ with {hand}]", "use {hand} to close {it}",
        "close {it}[ using {hand}]", "get {it} closed[ with {hand}]", "using {hand}, shut {it}",
        "shut {it}[ using {hand}]", "use {hand} to shut {it}", "get {it} shut[ with {hand}]",
        "let {hand} close {it}", "have {it} closed[ by {hand}]",
    ),
    "sit": (
        "sit down on {it}", "take a seat on {it}", "sit on {it}", "have a seat on {it}", "seat yourself on {it}",
        "sit yourself down on {it}", "be seated on {it}", "settle on {it}", "settle down on {it}",
        "place yourself on {it}", "go down onto {it}",
    ),
    "stand_up": (
        "stand up", "get up", "rise to your feet", "get on your feet", "come up again", "get to your feet",
        "get up again", "straighten up", "come to your feet", "stand upright again", "raise yourself up",
    ),
    "run": ("run", "run ahead", "run forward", "start running", "move at a run"),
    "bend": ("bend over", "bend down", "lean forward", "bow down", "bend your back"),
    "step": ("take a step", "make a step aside", "shift your feet", "step aside", "change your stance"),
    "crouch": (
        "crouch down", "squat down", "get down low", "go into a squat", "bend your knees and go down", "crouch",
        "squat", "get into a crouch", "sink down into a squat", "duck down", "go down low", "bend your knees deeply",
    ),
}  # fmt: skip

_TEST: dict[str, tuple[str, ...]] = {
    "stand_still": ("stay still", "stay in place and do not move", "just stand there"),
    "turn": ("turn[ towards your {side}]", "rotate[ to the {side}]", "turn your body[ {side}]"),
    "turn_around": ("turn around[ towards the {side}]", "do a turn[ to the {side}] until you face backwards"),
    "walk_forward": ("walk straight on", "go straight ahead", "keep moving forward"),
    "walk_back": ("walk a few steps backward", "move back a little"),
    "walk_turn": ("walk on and veer[ to the {side}]", "make a[ {side}] turn without a halt, walking on"),
    "turn_walk": ("make a[ {side}] turn, then walk forward", "turn[ to your {side}] and go straight ahead"),
    "walk_stop": ("go ahead and then stop", "walk straight ahead and come to a stop"),
    "walk_to": ("go over to the {name}", "walk over to the {name}", "make your way to the {name}"),
    "look_at": ("direct your gaze at the {name}", "take a look at the {name}"),
    "reach": (
        "with {hand}, reach for {it}( on the {support})", "bring {hand} to {it}( on the {support})",
    ),
    "pick_up": ("with {hand}, pick up {it}( from the {support})", "fetch {it}( from the {support})[ with {hand}]"),
    "put_down": ("with {hand}, put the {name} on {there}", "deposit the {name} on {there}[ with {hand}]"),
    "open": ("with {hand}, open {it}", "open up {it}[ with {hand}]"),
    "close": ("with {hand}, close {it}", "push {it} shut[ with {hand}]"),
    "sit": ("lower yourself onto {it}", "go and sit down on {it}"),
    "stand_up": ("stand up straight", "rise from there"),
    "run": ("keep running", "go ahead at a run"),
    "bend": ("bend your upper body", "bend forwards"),
    "step": ("take a little step", "move your feet a bit"),
    "crouch": ("lower yourself into a crouch", "crouch low"),
}  # fmt: skip

_WHERE = {
    "train": ("on your {side}", "behind you, on your {side}"),
    "test": ("to your {side}", "to your {side}, behind you"),
}
"""Where something is that the wearer does not see: beside or behind."""
_BEHIND = np.radians(120)  # aside
_JOINTS = {
    "train": (
        (
            "{0}, then {1}", "{0} and {1}", "first {0}, then {1}", "{0}; then {1}", "{0}, next {1}",
            "{0}, and finally {1}",
        ),
        (
            "{0}, then {1} and {2}", "{0}, {1}, then {2}", "first {0}, then {1}, and then {2}", "{0}; {1}; then {2}",
            "{0}, next {1}, and finally {2}", "{0}, {1} and finally {2}",
        ),
    ),
    "test": (("{0} and then {1}", "{0}; after that, {1}"), ("{0}, {1} and after that {2}", "{0} and then {1} and {2}")),
}  # fmt: skip


@dataclass(frozen=True)
class Clause:
    """One action to be told.

    Attributes:
        action: as in `planner.ACTIONS`; a turn's side is in its name.
        hand: "left", "right" or "both". name: of the target, without its article. support: what it is on.
        told: the target's name was said just before, so "it" will do; there: the same of the support.
        aside: where the target is to be told as well: its bearing [rad, left positive]; None where it is seen.
    """

    action: str
    hand: str = ""
    name: str = ""
    support: str = ""
    told: bool = False
    there: bool = False
    aside: float | None = None


def kind_of(behaviour: str) -> tuple[str, str]:
    """A behaviour's name without its side, and the side: ``turn_left_walk`` gives ``("turn_walk", "left")``."""
    words = behaviour.split("_")
    side = next((word for word in words if word in ("left", "right")), "")
    return "_".join(word for word in words if word != side), side


def phrases(action: str, split: str) -> tuple[str, ...]:
    """The templates of an action in a split, "train" or "test"."""
    return {"train": _TRAIN, "test": _TEST}[split][kind_of(action)[0]]


def may_leave_open(clause: Clause) -> bool:
    """Whether an action has a side or a hand that a text can leave open."""
    return bool(kind_of(clause.action)[1] or clause.hand in ("left", "right"))


def tell(rng: np.random.Generator, clause: Clause, split: str, leave_open: bool = False) -> str:
    """One action as an instruction.

    Args:
        rng: draws the paraphrase. clause: the action. split: "train" or "test".
        leave_open: do not say which side or hand (the text is then ambiguous).
    """
    templates = phrases(clause.action, split)
    if leave_open:
        templates = tuple(t for t in templates if "[" in t) or templates
    text = templates[int(rng.integers(len(templates)))]
    keep_support = bool(clause.support) and rng.random() < 0.6
    text = re.sub(r"\((.*?)\)", r"\1" if keep_support and not clause.told else "", text)
    text = re.sub(r"\[(.*?)\]", "" if leave_open else r"\1", text)
    hand = "both hands" if clause.hand == "both" else f"your {clause.hand} hand"
    name = clause.name if clause.aside is None else f"{clause.name} {_where(clause.aside, split)}"
    text = text.format(
        side=kind_of(clause.action)[1], hand=hand, name=name, support=clause.support,
        it="it" if clause.told else f"the {clause.name}", there="it" if clause.there else f"the {clause.support}",
    )  # fmt: skip
    return re.sub(r"\b(pick|open|take) up it\b", r"\1 it up", text)


def _where(aside: float, split: str) -> str:
    beside, behind = _WHERE[split]
    return (behind if abs(aside) > _BEHIND else beside).format(side="left" if aside > 0 else "right")


def goal(
    rng: np.random.Generator, clauses: Sequence[Clause], split: str, leave_open: bool = False, plain: bool = False
) -> tuple[str, bool]:
    """Several actions as one instruction, and whether it leaves a side or a hand open.

    Args:
        rng: draws the paraphrases. clauses: one to three are joined as people do, more by ", then ".
        split: "train" or "test". leave_open: leave it open in one of the actions, if any can.
        plain: without "please" or "now" before it.
    """
    able = [index for index, clause in enumerate(clauses) if may_leave_open(clause)]
    chosen = able[int(rng.integers(len(able)))] if leave_open and able else -1
    told = [tell(rng, clause, split, leave_open=index == chosen) for index, clause in enumerate(clauses)]
    if len(told) in (2, 3):
        joints = _JOINTS[split][len(told) - 2]
        text = joints[int(rng.integers(len(joints)))].format(*told)
    else:
        text = ", then ".join(told)
    opening = "" if plain else _OPENINGS[int(rng.integers(len(_OPENINGS)))]
    return opening + text, chosen >= 0
