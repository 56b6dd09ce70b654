"""Whether a motion does what a clip's text asks for: actions in their time, and what a text leaves open."""

from __future__ import annotations

import numpy as np
import pytest

from ....shared_data import missing_extra, rendered_clips

pytest.importorskip("tyro", reason=missing_extra("train"))

from training.evaluation.metrics.obedience import KINDS, by_kind, judged, kinds_of, obeys_record, verify

from ...actions.stiff_body import MOTIONS, POSES, RATE, arms, body, early, t, zero


def test_a_side_that_is_left_open_is_either_side() -> None:
    record = {"behaviour": "turn_left", "text": "turn", "ambiguous": "side"}
    assert obeys_record(record, MOTIONS["turn_right"], MOTIONS["turn_left"], RATE)
    assert not obeys_record(record | {"text": "turn left"}, MOTIONS["turn_right"], MOTIONS["turn_left"], RATE)


def test_actions_are_judged_in_their_time() -> None:
    first, then = MOTIONS["turn_left"], MOTIONS["walk_stop"]
    turn_then_walk = body(np.concatenate([1.5 * t, np.full(POSES, 1.5)]), np.concatenate([zero, 3 * early]))
    walk_then_turn = body(np.concatenate([zero, 1.5 * t]), np.concatenate([3 * early, np.full(POSES, 3.0)]))
    record = {
        "behaviour": "turn_left+walk_to",
        "actions": [
            {"action": "turn_left", "start_s": 0.0, "end_s": 5.0, "side": "left"},
            {"action": "walk_to", "start_s": 5.1, "end_s": 10.0, "side": ""},
        ],
    }
    assert obeys_record(record, turn_then_walk, turn_then_walk, RATE)
    assert not obeys_record(record, walk_then_turn, turn_then_walk, RATE)
    only_turned = body(np.concatenate([1.5 * t, np.full(POSES, 1.5)]), np.zeros(2 * POSES))
    assert not obeys_record(record, only_turned, turn_then_walk, RATE)
    other_way = [
        {**action, "start_s": start, "end_s": start + 5.0}
        for action, start in zip(record["actions"], (5.1, 0.0), strict=True)
    ]
    assert obeys_record(record | {"actions": other_way}, walk_then_turn, walk_then_turn, RATE)
    kinds = dict(zip(KINDS, by_kind(record, only_turned, turn_then_walk, RATE), strict=True))
    assert {kind: value for kind, value in kinds.items() if np.isfinite(value)} == {
        "turn": 1.0, "walk": 0.0, "sequences": 0.0,
    }  # fmt: skip
    assert kinds_of(record) == {"turn", "walk", "sequences"}
    assert obeys_record({"behaviour": "turn_left"}, first, first, RATE)
    assert obeys_record({"behaviour": "fly"}, first, first, RATE) is None
    assert not obeys_record({"behaviour": "turn_left"}, then, first, RATE)


def test_standing_still_among_other_actions_is_a_pause() -> None:
    """Braking takes time: who walks, stands and walks on need not be still for as long as the action is told."""
    forward = np.interp(t, [0, 0.3, 0.45, 0.6, 1], [0, 1.5, 1.7, 1.7, 0.5])
    truth = body(zero, forward, arms())
    record = {
        "behaviour": "walk_forward+stand_still+walk_back",
        "actions": [
            {"action": "walk_forward", "start_s": 0.0, "end_s": 1.6, "side": ""},
            {"action": "stand_still", "start_s": 1.6, "end_s": 3.0, "side": ""},
            {"action": "walk_back", "start_s": 3.0, "end_s": 5.0, "side": ""},
        ],
    }
    assert obeys_record(record, truth, truth, RATE)
    at_once = body(zero, np.interp(t, [0, 0.45, 1], [0, 1.7, 0.5]), arms())
    assert dict(judged(record, at_once, truth, RATE)) == {"walk_forward": True, "stand_still": False, "walk_back": True}


def test_rules_recognise_rendered_clips() -> None:
    """The rules on true clips: what each asks for, and what they take for it."""
    own, other = verify(rendered_clips("val").parent, "val")
    assert (np.nanmean(own, axis=0) >= 0.95).all()
    assert np.nanmean(other[:, KINDS.index("sequences")]) < 0.05
