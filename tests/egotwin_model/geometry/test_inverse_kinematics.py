"""Two-bone inverse kinematics: where the chain ends and to which side it bends."""

from __future__ import annotations

import numpy as np

from egotwin_model.geometry.inverse_kinematics import two_bone
from egotwin_model.geometry.rotations import shortest_arc, unit


def test_two_bones_end_at_the_goal_and_bend_to_the_pole() -> None:
    rng = np.random.default_rng(0)
    root, pole = rng.normal(size=(200, 3)), rng.normal(size=(200, 3))
    direction = unit(rng.normal(size=(200, 3)))
    goal = root + direction * rng.uniform(0.1, 0.75, (200, 1))
    upper, lower = two_bone(root, goal, pole, 0.42, 0.40)
    np.testing.assert_allclose(root + 0.42 * upper + 0.40 * lower, goal, atol=1e-9)
    assert (np.einsum("ti,ti->t", upper - direction * np.einsum("ti,ti->t", upper, direction)[:, None], pole) > 0).all()
    turn = shortest_arc(direction, upper)
    np.testing.assert_allclose(np.einsum("tij,tj->ti", turn, direction), upper, atol=1e-9)
    far, _ = two_bone(root, root + 3 * direction, pole, 0.42, 0.40)
    np.testing.assert_allclose(far, direction, atol=2e-3)
