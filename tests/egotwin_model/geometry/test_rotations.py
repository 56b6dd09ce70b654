"""Rotations against scipy's, and the smallest turn between directions, opposite ones included."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from egotwin_model.geometry.rotations import (
    rotate_2d,
    rotation_about,
    rotation_angle,
    rotation_y,
    rotation_z,
    shortest_arc,
    unit,
)

ANGLES = np.linspace(-7.0, 7.0, 29).reshape(29, 1)


@pytest.mark.parametrize(("rotation", "axis"), [(rotation_y, [0.0, 1.0, 0.0]), (rotation_z, [0.0, 0.0, 1.0])])
def test_rotations_about_an_axis_are_scipys(rotation, axis) -> None:
    wanted = Rotation.from_rotvec(ANGLES * np.array(axis)).as_matrix()
    np.testing.assert_allclose(rotation(ANGLES[:, 0]), wanted, atol=1e-15)
    np.testing.assert_allclose(rotation_about(np.array(axis), ANGLES[:, 0]), wanted, atol=1e-15)
    assert rotation(np.zeros((2, 4))).shape == (2, 4, 3, 3)


def test_an_oblique_axis_turns_by_the_right_hand_rule() -> None:
    axis = unit(np.array([1.0, -2.0, 0.5]))
    found = rotation_about(axis, ANGLES)
    assert found.shape == (29, 1, 3, 3)
    np.testing.assert_allclose(found[:, 0], Rotation.from_rotvec(ANGLES * axis).as_matrix(), atol=1e-14)
    assert rotation_about(axis, np.array(0.3)).shape == (3, 3)


def test_points_in_the_plane_turn_as_points_in_space() -> None:
    points = np.random.default_rng(0).normal(size=(29, 2))
    in_space = np.column_stack([points, np.zeros(29)])
    wanted = np.einsum("tij,tj->ti", rotation_z(ANGLES[:, 0]), in_space)[:, :2]
    np.testing.assert_allclose(rotate_2d(points, ANGLES[:, 0]), wanted, atol=1e-14)
    assert rotate_2d(points, ANGLES[:3]).shape == (3, 29, 2)
    np.testing.assert_allclose(rotate_2d(rotate_2d(points, 0.7), -0.7), points, atol=1e-14)


@pytest.mark.parametrize("short_of_opposite", [np.pi, 1.0, 1e-2, 1e-3, 1e-4, 1e-6, 1e-9, 1e-12, 0.0])
def test_the_shortest_arc_is_a_rotation_to_the_end_and_no_longer_than_needed(short_of_opposite: float) -> None:
    rng = np.random.default_rng(1)
    start = unit(np.concatenate([np.eye(3), -np.eye(3), rng.normal(size=(20, 3))]))
    axis = unit(np.cross(start, rng.normal(size=start.shape)))
    end = Rotation.from_rotvec((np.pi - short_of_opposite) * axis).apply(start)
    turn = shortest_arc(start, end)
    np.testing.assert_allclose(turn @ np.swapaxes(turn, -1, -2), np.broadcast_to(np.eye(3), turn.shape), atol=1e-8)
    np.testing.assert_allclose(np.linalg.det(turn), 1.0, atol=1e-8)
    np.testing.assert_allclose(np.einsum("tij,tj->ti", turn, start), end, atol=1e-8)
    np.testing.assert_allclose(rotation_angle(turn, np.eye(3)), np.pi - short_of_opposite, atol=1e-6)


def test_one_direction_may_meet_many() -> None:
    ends = unit(np.random.default_rng(2).normal(size=(4, 5, 3)))
    ends[0, 0] = [0.0, 0.0, -1.0]
    up = np.array([0.0, 0.0, 1.0])
    np.testing.assert_allclose(shortest_arc(up, ends) @ up, ends, atol=1e-12)
    back = (shortest_arc(ends, up) @ ends[..., None])[..., 0]
    np.testing.assert_allclose(back, np.broadcast_to(up, back.shape), atol=1e-12)
    np.testing.assert_allclose(shortest_arc(up, -up) @ up, -up, atol=1e-12)
