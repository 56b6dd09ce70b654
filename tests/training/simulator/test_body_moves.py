"""Moves of the whole body, the head and a hand on the spot, and fast ways: as people do them, seen by the rules."""

from __future__ import annotations

import numpy as np
import pytest

from egotwin_model.geometry.skeleton import HEAD, PELVIS, XSENS_JOINTS

from ...shared_data import missing_extra

pytest.importorskip("pybullet_data", reason=missing_extra("world"))

from training.actions.measures import measure
from training.actions.rules import obeys
from training.simulator.clip_maker import fault_of
from training.simulator.people.jumps import Jump
from training.simulator.synthesis import synthesise
from training.simulator.synthetic_motion import RATE_HZ, SyntheticMotion

from .furnished_room import ROOM, empty_room

SEEDS = range(8)
JOINT = {name: index for index, name in enumerate(XSENS_JOINTS)}
HALL = empty_room(8.0)
MOVES = (
    "look_up", "look_down", "look_aside_left", "look_aside_right", "look_back_left", "look_back_right", "look_around",
    "bend", "lean", "kneel", "jump", "hop", "wave", "raise_hand", "point", "scratch", "stroll", "hurry", "jog", "run",
)  # fmt: skip


def clips(behaviour: str) -> list[SyntheticMotion]:
    return [synthesise(np.random.default_rng(seed), HALL, behaviour, ambiguous=0.0) for seed in SEEDS]


@pytest.mark.parametrize("behaviour", MOVES)
def test_a_move_is_possible_and_recognised_and_standing_is_not_it(behaviour: str) -> None:
    standing = synthesise(np.random.default_rng(0), ROOM, "stand_still")
    still = measure(standing.positions, standing.rotations, RATE_HZ)
    for motion in clips(behaviour):
        assert fault_of(motion, HALL) == ""
        found = measure(motion.positions, motion.rotations, RATE_HZ)
        hand = motion.meta["actions"][0]["side"]
        assert obeys(behaviour, found, found, hand), motion.text
        assert not obeys(behaviour, still, found, hand)
        if hand and behaviour in ("wave", "raise_hand", "point", "scratch"):
            assert hand in motion.text
            assert not obeys(behaviour, found, found, {"left": "right", "right": "left"}[hand])


def test_who_jumps_flies_freely_and_lands_on_both_feet() -> None:
    feet = [JOINT[name] for name in ("L_Foot", "L_Toe", "R_Foot", "R_Toe")]
    for motion in [*clips("jump"), *clips("hop")]:
        flying = ~motion.contacts.any(axis=1)
        assert 3 <= flying.sum() <= 25
        assert not flying[-1]
        over = motion.positions[:, feet, 2] - motion.positions[0, feet, 2]
        assert over[flying].max() > 0.04
        assert over[~flying].min() > -0.02
        inside = flying[:-2] & flying[1:-1] & flying[2:]
        fall = np.diff(motion.positions[:, PELVIS, 2].astype(float), n=2)[inside] * RATE_HZ**2
        np.testing.assert_allclose(fall, -9.81, atol=1.0)


def test_a_jump_rises_and_falls_without_a_break() -> None:
    jump = Jump.beginning(1.0, 0.12)
    time = np.arange(0, 4, 1e-3)
    rise = jump.rise(time)
    assert rise.max() == pytest.approx(0.12, abs=1e-3)
    assert abs(np.gradient(rise, time)).max() < 1.01 * jump.speed
    assert np.abs(np.diff(rise)).max() < 0.01
    assert rise[0] == rise[-1] == 0
    assert (rise[jump.flies(time)] >= 0).all()


def test_who_kneels_has_both_knees_on_the_floor() -> None:
    knees = [JOINT["L_LowerLeg"], JOINT["R_LowerLeg"]]
    for motion in clips("kneel"):
        assert motion.positions[-1, knees, 2].min() > 0.03
        assert motion.positions[-1, knees, 2].max() < 0.14
        assert motion.positions[..., 2].min() > 0.0
        assert motion.positions[-1, HEAD, 2] < 0.75 * motion.positions[0, HEAD, 2]


def test_paces_differ_and_who_runs_leaves_the_floor() -> None:
    top = {}
    for behaviour in ("stroll", "hurry", "jog", "run"):
        motions = clips(behaviour)
        top[behaviour] = [measure(motion.positions, motion.rotations, RATE_HZ).top_speed for motion in motions]
        aloft = [(~motion.contacts.any(axis=1)).mean() for motion in motions]
        assert (min(aloft) > 0.02) if behaviour == "run" else (max(aloft) < 0.2)
    assert max(top["stroll"]) < 0.75
    assert min(top["hurry"]) > 1.1
    assert max(top["hurry"]) < max(top["jog"]) < max(top["run"])
    assert 2.0 < max(top["run"]) < 3.2
