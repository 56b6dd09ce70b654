"""The vocabulary: every kind of action, in a fixed order."""

from __future__ import annotations

from training.actions import (
    attending,
    bending,
    capture_only,
    carrying,
    gazing,
    gestures,
    opening,
    pacing,
    postures,
    refraining,
    standing,
    stepping,
    turning,
    walking,
)
from training.actions.action import SIDES, Action

ACTIONS: dict[str, Action] = {}
"""Kinds of actions by name. The simulator's random draws depend on their order: a new kind goes to a family's end."""


def register(action: Action) -> None:
    """Adds a kind of action.

    Raises:
        ValueError: there is one of that name.
    """
    if action.name in ACTIONS:
        raise ValueError(f"there is an action {action.name!r} already; choose another name")
    ACTIONS[action.name] = action


_FAMILIES = (
    standing, walking, attending, carrying, opening, postures, capture_only, turning, stepping, refraining, pacing,
    gazing, bending, gestures,
)  # fmt: skip
for family in _FAMILIES:
    for member in family.ACTIONS:
        register(member)


def kind_of(name: str) -> tuple[str, str]:
    """Splits a name into its kind and its side: "turn_left_walk" into ("turn_walk", "left")."""
    words = name.split("_")
    side = next((word for word in words if word in SIDES), "")
    return "_".join(word for word in words if word != side), side


def find_action(name: str) -> Action | None:
    """The action that a name in a script or record stands for, with or without a side; None where there is none."""
    return ACTIONS.get(kind_of(name)[0])


def action_of(name: str) -> Action:
    """The same of a name that must be known.

    Raises:
        ValueError: there is no such action.
    """
    action = find_action(name)
    if action is None:
        raise ValueError(f"no action {name!r}; choose of {', '.join(ACTIONS)}")
    return action


def report_labels() -> tuple[str, ...]:
    """Rows of reports by kind: first those that several kinds share."""
    labels = [action.label for action in ACTIONS.values() if action.label]
    return tuple(sorted(dict.fromkeys(labels), key=lambda label: labels.count(label) == 1))
