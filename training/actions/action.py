"""The description of one kind of action: its words, the rule that recognises it, how often it is simulated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from training.actions.capture_frame import CaptureFrame
from training.actions.motion_comparison import Comparison

SIDES = ("left", "right")


class Condition(Enum):
    """What must hold before an action, or holds after it."""

    STANDING = "standing"
    LOW = "low"  # sitting or crouching
    HOLDING = "holding"  # something in the hands
    OPEN = "open"  # a door, cupboard or drawer that can be closed


@dataclass(frozen=True, kw_only=True)
class Action:
    """One kind of action.

    In a wording, brackets hold what may be left out: square ones the side or the hand, round ones the support. The
    placeholders are {side}, {hand}, {name} (of the target), {it} (the same, or "it" where it was just named), {support}
    (what the target stands on), {there} (the same, or "it") and the quantities of `grammar`, which also explains the
    alternatives in angle brackets.

    Attributes:
        name: of the kind, without a side. variants: pattern of its names where it has a side, for instance
            "turn_{side}_walk"; empty where it has none.
        train, test: wordings to learn from, and wordings that are never learned from.
        aims_at: kinds of targets it can be about (`TARGET_KINDS` of the simulator); empty for none.
        with_hand: a hand does it. named_on_arrival: its target is named as it is seen at the action's end.
        rule: whether a motion does it; None where no rule can tell. label: its row in reports, which kinds may share.
        in_capture: whether a frame of motion capture shows it; of all actions at most one does.
        needs, leaves: conditions before and after it. What needs STANDING is preceded by standing up if necessary.
        clips: scripts of 5 s clips (names joined by "+") that come with it, and their shares before normalisation.
        long_share: its share in long sequences, where it is possible; 0 for never.

    Raises:
        ValueError: a field contradicts another.
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    variants: str = ""
    aims_at: tuple[str, ...] = ()
    with_hand: bool = False
    named_on_arrival: bool = False
    rule: Callable[[Comparison], bool] | None = None
    label: str = ""
    in_capture: Callable[[CaptureFrame], bool] | None = None
    needs: tuple[Condition, ...] = (Condition.STANDING,)
    leaves: tuple[Condition, ...] = ()
    clips: Mapping[str, float] = field(default_factory=dict)
    long_share: float = 0.0

    def __post_init__(self) -> None:
        if not self.train or not self.test or set(self.train) & set(self.test):
            raise ValueError(f"action {self.name!r} wants wordings in train and in test, and none in both")
        if bool(self.rule) != bool(self.label):
            raise ValueError(f"action {self.name!r} has a rule or a label for reports, but not both")
        if strange := [script for script in self.clips if not set(self.names) & set(script.split("+"))]:
            raise ValueError(f"scripts {strange} of action {self.name!r} do not contain it")

    @property
    def names(self) -> tuple[str, ...]:
        """Its names in scripts and records: one for each side, or the kind's."""
        return tuple(self.variants.format(side=side) for side in SIDES) if self.variants else (self.name,)

    def name_to(self, side: str) -> str:
        """Its name for a side; the side of an action that has none is ignored."""
        return self.variants.format(side=side) if self.variants else self.name

    def mentions(self, placeholder: str) -> bool:
        """Whether its wordings contain a placeholder, without braces."""
        return any(f"{{{placeholder}}}" in wording for wording in (*self.train, *self.test))

    @property
    def names_target(self) -> bool:
        """Whether its wordings name the target."""
        return self.mentions("name") or self.mentions("it")
