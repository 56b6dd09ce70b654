"""Fixed rules that read an action off a motion: no network, only thresholds."""

from __future__ import annotations

from training.actions.measures import MotionMeasures
from training.actions.motion_comparison import Comparison
from training.actions.vocabulary import find_action


def obeys(name: str, found: MotionMeasures, truth: MotionMeasures, hand: str = "", left_open: str = "") -> bool | None:
    """Whether a motion does what the goal asked; None for an action that no rule judges.

    Args:
        name: the action's, as in a clip's record; a side is part of it.
        found, truth, hand, left_open: see `Comparison`.
    """
    action = find_action(name)
    if action is None or action.rule is None:
        return None
    return bool(action.rule(Comparison(found, truth, hand, left_open)))
