"""The goal in words: actions as one instruction, with paraphrases and true left and right.

Two disjoint sets of paraphrases: ``train`` is for learning, ``test`` holds wordings that are never learned from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.actions.grammar import choose_alternatives, say_quantities, tidy
from training.actions.vocabulary import action_of, kind_of

AMBIGUOUS_SHARE = 0.09  # of clips, on purpose; with names that happen to fit two things, about 10 %
_OPENINGS = ("", "", "", "please ", "now ")

_BEARINGS = {
    "train": ("on your {side}", "behind you, on your {side}"),
    "test": ("to your {side}", "to your {side}, behind you"),
}
"""Where a target is that the wearer does not see: beside, behind."""
_BEHIND = np.radians(120)  # bearing from which it is behind
_TURNWISE = {"left": "anticlockwise", "right": "clockwise"}
_JOINED = {
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
    """One action to be put in words.

    Attributes:
        action: its name; a side is part of it.
        hand: "left", "right" or "both". target: its name, without an article. support: what the target is on.
        target_named: the target was named just before, so "it" will do. support_named: the same of the support.
        bearing: direction to the target (rad, left positive) to be said as well; None where the target is in view.
        amount: degrees, hours of the clock, steps or metres, where the action is told how far.
    """

    action: str
    hand: str = ""
    target: str = ""
    support: str = ""
    target_named: bool = False
    support_named: bool = False
    bearing: float | None = None
    amount: float = 0.0

    @property
    def can_leave_open(self) -> bool:
        """Whether there is a side or a hand that a text can leave open."""
        sided = bool(kind_of(self.action)[1] or self.hand in ("left", "right"))
        return sided and any("[" in wording for wording in action_of(self.action).train)


def wordings(action: str, split: str) -> tuple[str, ...]:
    """The wordings of an action in a split, "train" or "test"."""
    found = action_of(action)
    return {"train": found.train, "test": found.test}[split]


def phrase(rng: np.random.Generator, clause: Clause, split: str, leave_open: bool = False) -> str:
    """One action as an instruction.

    Args:
        rng: chooses the paraphrase. clause: the action. split: "train" or "test".
        leave_open: do not say which side or hand (the text is then ambiguous).
    """
    options = wordings(clause.action, split)
    if leave_open:
        options = tuple(option for option in options if "[" in option) or options
    text = options[int(rng.integers(len(options)))]
    keep_support = bool(clause.support) and rng.random() < 0.6
    text = re.sub(r"\((.*?)\)", r"\1" if keep_support and not clause.target_named else "", text)
    text = choose_alternatives(rng, re.sub(r"\[(.*?)\]", "" if leave_open else r"\1", text))
    text = tidy(say_quantities(rng, text, clause.amount))
    hand = "both hands" if clause.hand == "both" else f"your {clause.hand} hand"
    name = clause.target if clause.bearing is None else f"{clause.target} {_direction(clause.bearing, split)}"
    side = kind_of(clause.action)[1]
    text = text.format(
        side=side, turnwise=_TURNWISE.get(side, ""), hand=hand, name=name, support=clause.support,
        it="it" if clause.target_named else f"the {clause.target}",
        there="it" if clause.support_named else f"the {clause.support}",
    )  # fmt: skip
    return re.sub(r"\b(pick|open|take) up it\b", r"\1 it up", text)


def _direction(bearing: float, split: str) -> str:
    beside, behind = _BEARINGS[split]
    return (behind if abs(bearing) > _BEHIND else beside).format(side="left" if bearing > 0 else "right")


def goal_text(
    rng: np.random.Generator, clauses: Sequence[Clause], split: str, leave_open: bool = False, plain: bool = False
) -> tuple[str, bool]:
    """Several actions as one instruction, and whether it leaves a side or a hand open.

    Args:
        rng: chooses the paraphrases. clauses: two or three are joined as people do, more by ", then ".
        split: "train" or "test". leave_open: leave it open in one of the actions, if any can.
        plain: without "please" or "now" before it.
    """
    able = [index for index, clause in enumerate(clauses) if clause.can_leave_open]
    chosen = able[int(rng.integers(len(able)))] if leave_open and able else -1
    phrases = [phrase(rng, clause, split, leave_open=index == chosen) for index, clause in enumerate(clauses)]
    if len(phrases) in (2, 3):
        joined = _JOINED[split][len(phrases) - 2]
        text = joined[int(rng.integers(len(joined)))].format(*phrases)
    else:
        text = ", then ".join(phrases)
    opening = "" if plain else _OPENINGS[int(rng.integers(len(_OPENINGS)))]
    return opening + text, chosen >= 0
