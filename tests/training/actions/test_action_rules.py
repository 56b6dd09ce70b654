"""The rules of actions on simple motions: what each recognises, and what it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from egotwin_model.geometry.skeleton import HEAD, XSENS_JOINTS
from training.actions.measures import measure
from training.actions.rules import obeys

from .stiff_body import MOTIONS, POSES, RATE, arms, body, t, zero


@pytest.mark.parametrize("asked", MOTIONS)
def test_rules_distinguish_actions(asked: str) -> None:
    truth = measure(*MOTIONS[asked], RATE)
    obeying = {name for name, motion in MOTIONS.items() if obeys(asked, measure(*motion, RATE), truth, "left")}
    also = {"walk_forward": {"walk_stop"}}  # who stops has walked, too
    assert obeying == {asked} | also.get(asked, set())


def test_a_turn_counts_within_forty_percent() -> None:
    truth = measure(*MOTIONS["turn_left"], RATE)
    for share, answer in ((0.55, False), (0.65, True), (1.35, True), (1.45, False), (-1.0, False)):
        assert obeys("turn_left", measure(*body(share * 1.5 * t, zero, arms()), RATE), truth) is answer


def test_reaching_is_with_the_hand_that_was_asked_at_the_height_of_the_thing() -> None:
    reading = measure(*MOTIONS["reach"], RATE)
    assert obeys("reach", reading, reading, "left")
    assert not obeys("reach", reading, reading, "right")
    assert not obeys("reach", reading, reading, "both")
    assert obeys("reach", reading, reading, "")
    assert obeys("reach", reading, reading, "right", left_open="hand")
    assert obeys("open", reading, reading, "left")
    for rise, answer in ((0.25, True), (0.35, False)):
        higher = replace(reading, reach_height=(reading.reach_height[0] + rise, reading.reach_height[1]))
        assert obeys("open", higher, reading, "left") is answer
        assert obeys("open", higher, reading, "left", left_open="target")
    both = measure(*body(zero, zero, arms(left=-1.5, right=-1.5)), RATE)
    assert obeys("reach", both, both, "both")


def swing(*angles: float) -> np.ndarray:
    """How far the left arm is raised over time, in equal parts: 0 hangs down, π / 2 is straight ahead."""
    raised = np.interp(np.linspace(0, len(angles) - 1, POSES), range(len(angles)), angles)
    down = Rotation.from_euler("x", -np.pi / 2)
    return (Rotation.from_euler("y", -raised[:, None]) * down).as_matrix()


def test_an_object_is_held_after_picking_up_and_before_putting_down() -> None:
    turns = {
        name: arms() | {"L_UpperArm": swing(*angles)}
        for name, angles in {"pick_up": (0, 1.6, 0.6), "put_down": (0.6, 1.6, 0), "reach": (0, 1.6, 0)}.items()
    }
    readings = {name: measure(*body(zero, zero, turn), RATE) for name, turn in turns.items()}
    for asked in readings:
        obeying = {name for name, found in readings.items() if obeys(asked, found, readings[asked], "left")}
        assert obeying == (set(readings) if asked == "reach" else {asked})


def test_walking_to_something_gets_there() -> None:
    truth = measure(*body(zero, 2 * t, arms()), RATE)
    for yaw, way, answer in ((0.0, 1.3, True), (0.0, 1.1, False), (0.3, 2.0, True), (0.6, 2.0, False), (0, 2.9, False)):
        found = measure(*body(np.full(POSES, yaw), way * t, arms()), RATE)
        assert obeys("walk_to", found, truth) is answer, (yaw, way)
        assert obeys("walk_to", found, truth, left_open="target")


def test_a_side_that_is_left_open_is_either_side() -> None:
    left, right = measure(*MOTIONS["turn_left"], RATE), measure(*MOTIONS["turn_right"], RATE)
    assert not obeys("turn_left", right, left)
    assert obeys("turn_left", right, left, left_open="side")


def test_sitting_crouching_looking() -> None:
    standing, rotations = MOTIONS["stand_still"]
    low, half, dip = standing.copy(), standing.copy(), standing.copy()
    low[20:, :, 2] *= 0.6
    dip[20:, :, 2] *= 0.9
    half[20:, :, 2] *= 0.55
    for side in "LR":
        thigh = [XSENS_JOINTS.index(f"{side}_{part}") for part in ("UpperLeg", "LowerLeg", "Foot", "Toe")]
        half[20:, thigh[1:]] += [0.4, 0, 0]
        half[20:, thigh[1], 2] = half[20:, thigh[0], 2]
    truth = measure(standing, rotations, RATE)
    readings = {name: measure(x, rotations, RATE) for name, x in {"crouch": low, "sit": half, "": dip}.items()}
    for asked in ("crouch", "sit"):
        assert {name for name, found in readings.items() if obeys(asked, found, truth)} == {asked}
        assert not obeys(asked, truth, truth)
    assert not obeys("stand_up", measure(dip[::-1], rotations, RATE), truth)
    assert obeys("stand_up", measure(half[::-1], rotations, RATE), truth)
    turned = rotations.copy()
    turned[30:, HEAD] = Rotation.from_rotvec([0, 0, 1.0]).as_matrix()
    found = measure(standing, turned, RATE)
    assert obeys("look_at", found, found)
    assert not obeys("look_at", truth, found)
    assert not obeys("stand_still", found, truth)
    assert obeys("fly", truth, truth) is None
