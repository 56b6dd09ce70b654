"""How often the simulator makes what: scripts of 5 s clips, and actions of long sequences, with their shares.

Random draws depend on the order of these lists, and data sets are known by their seeds: what is added goes to the end.
"""

from __future__ import annotations

from training.actions.vocabulary import ACTIONS, action_of

_SEVERAL: dict[str, float] = {
    "stand_up+walk_forward": 0.4,
    "stand_up+turn_left": 0.2,
    "stand_up+turn_right": 0.2,
    "pick_up+turn_left": 0.3,
    "pick_up+turn_right": 0.3,
    "pick_up+walk_back": 0.3,
    "reach+turn_left": 0.2,
    "reach+turn_right": 0.2,
    "look_at+walk_forward": 0.3,
    "turn_left+walk_forward+stand_still": 0.2,
    "turn_right+walk_forward+stand_still": 0.2,
    "walk_forward+turn_left": 0.2,
    "walk_forward+turn_right": 0.2,
    "walk_forward+stand_still+walk_back": 0.2,
    "wait+walk_forward": 0.4,
    "wait+turn_left": 0.2,
    "wait+turn_right": 0.2,
    "wait+turn_left+walk_forward": 0.15,
    "wait+turn_right+walk_forward": 0.15,
    "walk_forward+turn_left+walk_forward": 0.15,
    "walk_forward+turn_right+walk_forward": 0.15,
    "turn_left+walk_forward+turn_right": 0.1,
    "turn_right+walk_forward+turn_left": 0.1,
    "walk_forward+wait+walk_forward": 0.1,
    "steps_forward+turn_left": 0.15,
    "steps_forward+turn_right": 0.15,
    "turn_degrees_left+walk_forward": 0.2,
    "turn_degrees_right+walk_forward": 0.2,
}
"""Scripts of unlike actions, which belong to none of them."""

_FIRST_IN_LONG = ("turn", "walk_forward", "walk_to", "look_at", "stand_still", "walk_back", "turn_around", "crouch")
"""Kinds that come first in the list that long sequences draw from; the others follow as they are registered."""


def clip_scripts() -> dict[str, float]:
    """Scripts of 5 s clips, names of actions joined by "+", with their shares before normalisation."""
    own = {script: share for action in ACTIONS.values() for script, share in action.clips.items()}
    return own | _SEVERAL


def long_sequence_shares() -> dict[str, float]:
    """Names of the actions of long sequences with their shares before normalisation."""
    kinds = dict.fromkeys((*_FIRST_IN_LONG, *ACTIONS))
    actions = [action_of(kind) for kind in kinds]
    return {name: action.long_share for action in actions if action.long_share for name in action.names}
