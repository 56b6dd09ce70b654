"""Actions that are told how far, and those that are told not to be done."""

from __future__ import annotations

import re

import numpy as np
import pytest

from egotwin_model.geometry.skeleton import PELVIS, XSENS_JOINTS

from ...shared_data import missing_extra

pytest.importorskip("pybullet_data", reason=missing_extra("world"))

from training.simulator.rooms.plan import RoomPlan
from training.simulator.synthesis import synthesise, synthesise_sequence
from training.simulator.synthetic_motion import SyntheticMotion

from .furnished_room import ROOM, empty_room

SEEDS = range(12)
NUMBERS = {"a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "half a": 0.5, "a couple of": 2, "one and a half": 1.5}


def clip(behaviour: str, seed: int, room: RoomPlan = ROOM) -> SyntheticMotion:
    return synthesise(np.random.default_rng(seed), room, behaviour, ambiguous=0.0)


def turned_deg(motion: SyntheticMotion) -> float:
    forward = motion.rotations[:, PELVIS, :2, 0].astype(float)
    yaw = np.unwrap(np.arctan2(forward[:, 1], forward[:, 0]))
    return float(np.degrees(yaw[-1] - yaw[0]))


def way(motion: SyntheticMotion) -> tuple[float, float]:
    """Metres ahead and to the left from the first to the last pose."""
    x, y = motion.positions[-1, PELVIS, :2] - motion.positions[0, PELVIS, :2]
    c, s = motion.rotations[0, PELVIS, :2, 0]
    return float(c * x + s * y), float(c * y - s * x)


@pytest.mark.parametrize(("side", "sign"), [("left", 1), ("right", -1)])
def test_turns_go_as_far_as_the_text_says(side: str, sign: int) -> None:
    said = 0
    for seed in SEEDS:
        motion = clip(f"turn_degrees_{side}", seed)
        if number := re.search(r"(\d+)(°| deg)", motion.text):
            said += 1
            assert sign * turned_deg(motion) == pytest.approx(float(number[1]), abs=4)
        motion = clip(f"turn_clock_{side}", seed)
        if number := re.search(r"(\d+) o.clock", motion.text):
            hour = int(number[1]) if side == "right" else 12 - int(number[1])
            assert sign * turned_deg(motion) == pytest.approx(30 * hour, abs=4)
        assert sign * turned_deg(clip(f"quarter_turn_{side}", seed)) == pytest.approx(90, abs=12)
        assert sign * turned_deg(clip(f"full_turn_{side}", seed)) == pytest.approx(360, abs=25)
        assert 10 < sign * turned_deg(clip(f"turn_a_little_{side}", seed)) < 45
    assert said > 4


def test_ways_are_as_long_as_the_text_says() -> None:
    room = empty_room(8.0)
    for seed in SEEDS:
        for behaviour, sign, tolerance in (("walk_metres", 1, 0.08), ("back_metres", -1, 0.08)):
            motion = clip(behaviour, seed, room)
            if number := re.search(r"([\d.]+) m", motion.text):
                ahead, left = way(motion)
                assert sign * ahead == pytest.approx(float(number[1]), rel=tolerance, abs=0.05)
                assert abs(left) < 0.12
        for behaviour, sign, longest in (("steps_forward", 1, 0.75), ("steps_back", -1, 0.55)):
            motion = clip(behaviour, seed, room)
            number = re.search(r"(\d|a|one|single|two|three|four) (single )?(step|pace)", motion.text)
            assert number, motion.text
            count = int(number[1]) if number[1].isdigit() else NUMBERS.get(number[1], 1)
            assert 0.3 * count < sign * way(motion)[0] < longest * count


@pytest.mark.parametrize(("side", "sign"), [("left", 1), ("right", -1)])
def test_who_steps_aside_faces_ahead_and_does_not_cross_the_legs(side: str, sign: int) -> None:
    ankles = [XSENS_JOINTS.index(f"{foot}_Foot") for foot in "LR"]
    for seed in SEEDS:
        for behaviour in (f"step_aside_{side}", f"make_way_{side}"):
            motion = clip(behaviour, seed)
            ahead, left = way(motion)
            assert sign * left > 0.15
            assert abs(ahead) < 0.1
            assert abs(turned_deg(motion)) < 5
            aside = motion.rotations[:, PELVIS, :2, 1].astype(float)
            apart = motion.positions[:, ankles[0], :2] - motion.positions[:, ankles[1], :2]
            assert np.einsum("tk,tk->t", apart, aside).min() > -0.04


def test_what_is_not_to_be_done_is_not_done() -> None:
    for behaviour in ("wait", "do_not_move", "do_not_turn_left", "do_not_turn_right"):
        for seed in SEEDS:
            motion = clip(behaviour, seed)
            assert np.linalg.norm(way(motion)) < 0.1
            assert abs(turned_deg(motion)) < 5
            if behaviour == "do_not_turn_left":
                assert "left" in motion.text
    motion = synthesise_sequence(np.random.default_rng(1), ROOM, ["wait", "walk_forward"], 2.5)
    moved = np.linalg.norm(motion.positions[:, PELVIS, :2] - motion.positions[0, PELVIS, :2], axis=-1)
    assert moved[: 2 * 16].max() < 0.1
    assert moved[-1] > 0.8
