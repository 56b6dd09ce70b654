"""Depth as a condition of latents: where each number comes from, unknown places, other sizes."""

from __future__ import annotations

import numpy as np
import pytest

from egotwin_model.geometry.depth_condition import inverse_depth_condition


def test_a_channel_is_a_place_inside_its_latent() -> None:
    """Pixel (r, c) of a map as fine as the grid is found at row r // 4, column c // 4, channel 4·(r % 4) + c % 4."""
    depth = np.random.default_rng(0).uniform(0.5, 9.0, (8, 12)).astype(np.float32)
    found = inverse_depth_condition(depth, 2, 3)
    assert found.shape == (16, 2, 3)
    for row, column in np.ndindex(8, 12):
        channel = 4 * (row % 4) + column % 4
        assert found[channel, row // 4, column // 4] == pytest.approx(1 / depth[row, column], rel=1e-5)


def test_only_known_pixels_count() -> None:
    depth = np.full((2, 32, 32), 2.0, np.float32)
    depth[0, :, ::2], depth[1, :8], depth[1, 8:16] = 0.0, np.nan, 0.0
    found = inverse_depth_condition(depth, 4, 4)
    assert np.allclose(found[0], 0.5)
    assert (found[1, :, :2] == 0).all()
    assert np.allclose(found[1, :, 2:], 0.5)
    assert (inverse_depth_condition(np.zeros((64, 64)), 8, 8) == 0).all()


def test_what_is_nearest_is_bounded() -> None:
    assert np.allclose(inverse_depth_condition(np.full((16, 16), 0.01), 2, 2), 10.0)


def test_resolutions_of_one_view_agree() -> None:
    """A plane seen at 60, 128 and 256 pixels, none of them a multiple of the others' cells."""

    def plane(size: int) -> np.ndarray:
        rows = (np.arange(size) + 0.5) / size
        return np.broadcast_to(1 / (0.2 + rows[:, None]), (size, size)).astype(np.float32)

    fine = inverse_depth_condition(plane(256), 8, 8)
    for size in (60, 128):
        assert np.abs(inverse_depth_condition(plane(size), 8, 8) - fine).max() < 0.01
