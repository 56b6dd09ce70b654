"""Gravity in the head frame: what it means, and that it does not see the heading."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from egotwin_model.geometry.rotations import rotation_z
from egotwin_model.motion.gravity import gravity_in_head


def test_a_level_head_has_it_below_and_a_bowed_one_ahead() -> None:
    level, down, left = (
        Rotation.from_euler(*turn, degrees=True).as_matrix() for turn in (("z", 40), ("y", 30), ("x", -20))
    )
    assert np.allclose(gravity_in_head(level), (0, 0, -1))
    assert np.allclose(gravity_in_head(down), (0.5, 0, -np.sqrt(0.75)))  # +y turns the gaze down
    assert np.allclose(gravity_in_head(left), (0, np.sin(np.radians(20)), -np.cos(np.radians(20))))  # left ear down


def test_turning_the_world_about_the_vertical_changes_nothing() -> None:
    heads = Rotation.random(50, rng=np.random.default_rng(0)).as_matrix()
    turned = rotation_z(np.array(1.3)) @ heads
    assert np.allclose(gravity_in_head(turned), gravity_in_head(heads))
    assert np.allclose(np.linalg.norm(gravity_in_head(heads), axis=-1), 1)


def test_torch_and_numpy_agree() -> None:
    heads = Rotation.random(3, rng=np.random.default_rng(1)).as_matrix()
    assert np.array_equal(gravity_in_head(torch.from_numpy(heads)).numpy(), gravity_in_head(heads))
