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
        "wait here", "hold still",
    ),
    "turn": (
        "turn[ {side}]", "turn[ to the {side}]", "turn[ to your {side}]", "rotate[ {side}]", "rotate[ to your {side}]",
        "turn[ {side}] on the spot", "make a[ {side}] turn in place", "turn[ {side}] where you are",
    ),
    "turn_around": (
        "turn around[ to the {side}]", "turn around[ over your {side} shoulder]", "turn all the way around[, {side}]",
        "turn around[, going {side}]", "face the other way[, turning {side}]", "turn back around[ to your {side}]",
    ),
    "walk_forward": (
        "walk forward", "walk straight ahead", "keep walking straight ahead", "go forward", "move forward",
        "walk ahead", "continue forward", "keep going straight",
    ),
    "walk_back": (
        "walk backward", "step back", "take a few steps back", "move backward", "go backward", "back up a bit",
    ),
    "walk_turn": (
        "walk forward, then turn[ {side}]", "walk ahead and turn[ {side}]", "walk forward and turn[ to the {side}]",
        "go straight, then turn[ to your {side}]", "keep walking and turn[ {side}]", "walk in a curve[ to the {side}]",
    ),
    "turn_walk": (
        "turn[ {side}] and walk forward", "turn[ to the {side}], then walk ahead", "turn[ {side}], then go forward",
        "first turn[ to your {side}] and then walk", "rotate[ {side}] and walk straight ahead",
        "turn[ {side}] and move forward",
    ),
    "walk_stop": (
        "walk forward and stop", "walk ahead, then stop", "go forward and come to a halt", "walk a bit and stop",
        "move forward, then stand still", "walk forward, then stop and wait",
    ),
    "walk_to": (
        "walk to the {name}", "go to the {name}", "walk up to the {name}", "approach the {name}",
        "head for the {name}", "move to the {name}",
    ),
    "look_at": (
        "look at the {name}", "have a look at the {name}", "turn your eyes to the {name}", "look over to the {name}",
        "watch the {name}", "look towards the {name}",
    ),
    "reach": (
        "reach for {it}( on the {support})[ with {hand}]", "use {hand} to reach {it}", "touch {it}[ with {hand}]",
        "reach out to {it}( on the {support})[ with {hand}]", "put {hand} on {it}",
        "stretch {hand} out to {it}( on the {support})",
    ),
    "pick_up": (
        "pick up {it}( from the {support})[ with {hand}]", "take {it}( from the {support})[ with {hand}]",
        "grab {it}( on the {support})[ with {hand}]", "get {it}( off the {support})[ with {hand}]",
        "lift {it}( from the {support})[ with {hand}]", "use {hand} to pick up {it}",
    ),
    "put_down": (
        "put the {name} on {there}[ with {hand}]", "place the {name} on {there}[ with {hand}]",
        "put the {name} down on {there}[ with {hand}]", "set the {name} down on {there}[ with {hand}]",
        "leave the {name} on {there}[, using {hand}]", "lay the {name} on {there}[ with {hand}]",
    ),
    "open": (
        "open {it}[ with {hand}]", "open {it}[ using {hand}]", "use {hand} to open {it}",
        "get {it} open[ with {hand}]", "open {it}[ by {hand}]",
    ),
    "close": (
        "close {it}[ with {hand}]", "shut {it}[ with {hand}]", "use {hand} to close {it}", "close {it}[ using {hand}]",
        "get {it} closed[ with {hand}]",
    ),
    "sit": (
        "sit down on {it}", "take a seat on {it}", "sit on {it}", "have a seat on {it}",
        "seat yourself on {it}",
    ),
    "stand_up": ("stand up", "get up", "rise to your feet", "get on your feet", "come up again"),
    "run": ("run", "run ahead", "run forward", "start running", "move at a run"),
    "bend": ("bend over", "bend down", "lean forward", "bow down", "bend your back"),
    "step": ("take a step", "make a step aside", "shift your feet", "step aside", "change your stance"),
    "crouch": ("crouch down", "squat down", "get down low", "go into a squat", "bend your knees and go down"),
}  # fmt: skip

_TEST: dict[str, tuple[str, ...]] = {
    "stand_still": ("stay still", "stay in place and do not move", "just stand there"),
    "turn": ("turn[ towards your {side}]", "rotate[ to the {side}]", "turn your body[ {side}]"),
    "turn_around": ("turn around[ towards the {side}]", "do a turn[ to the {side}] until you face backwards"),
    "walk_forward": ("walk straight on", "go straight ahead", "keep moving forward"),
    "walk_back": ("walk a few steps backward", "move back a little"),
    "walk_turn": ("walk straight, then make a[ {side}] turn", "go forward and then turn[ {side}]"),
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

_JOINTS = {
    "train": (
        ("{0}, then {1}", "{0} and {1}", "first {0}, then {1}"),
        ("{0}, then {1} and {2}", "{0}, {1}, then {2}", "first {0}, then {1}, and then {2}"),
    ),
    "test": (("{0} and then {1}", "{0}; after that, {1}"), ("{0}, {1} and after that {2}", "{0} and then {1} and {2}")),
}


@dataclass(frozen=True)
class Clause:
    """One action to be told.

    Attributes:
        action: as in `planner.ACTIONS`; a turn's side is in its name.
        hand: "left", "right" or "both". name: of the target, without its article. support: what it is on.
        told: the target's name was said just before, so "it" will do; there: the same of the support.
    """

    action: str
    hand: str = ""
    name: str = ""
    support: str = ""
    told: bool = False
    there: bool = False


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
    text = text.format(
        side=kind_of(clause.action)[1], hand=hand, name=clause.name, support=clause.support,
        it="it" if clause.told else f"the {clause.name}", there="it" if clause.there else f"the {clause.support}",
    )  # fmt: skip
    return re.sub(r"\b(pick|open) up it\b", r"\1 it up", text)


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


def narrate(
    rng: np.random.Generator,
    behaviour: str,
    *,
    hand: str = "",
    name: str = "",
    support: str = "",
    split: str = "train",
    plain: bool = False,
) -> str:
    """A goal text for one action, see `goal` and `Clause`."""
    return goal(rng, [Clause(behaviour, hand, name, support)], split, plain=plain)[0]
