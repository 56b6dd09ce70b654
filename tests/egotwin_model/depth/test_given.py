"""Depth images of a camera: units and unknown places, and what is refused by name."""

from __future__ import annotations

import re

import numpy as np
import pytest

from egotwin_model.depth.given import depth_in_metres
from egotwin_model.errors import ImageError
from egotwin_model.geometry.camera import Pinhole

CAMERA = Pinhole.from_fov(8, 6, 1.5)


def test_both_encodings_of_ros_give_metres_with_zero_for_unknown() -> None:
    metres = np.linspace(0.5, 3.0, 48).reshape(6, 8)
    found = depth_in_metres((1000 * metres).astype(np.uint16), CAMERA)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, metres, atol=1.1e-3)
    metres[0, :3] = np.nan, np.inf, -np.inf
    found = depth_in_metres(metres.astype(np.float32), CAMERA)
    assert (found[0, :3] == 0).all()
    np.testing.assert_allclose(found[1:], metres[1:], rtol=1e-6)


@pytest.mark.parametrize(
    ("depth", "message"),
    [
        (np.ones((6, 8), np.int32), "depth image is int32: wanted uint16 millimetres (16UC1) or floating metres"),
        ([[1.0]], "depth image is list"),
        (np.ones((6, 9), np.float32), "(6, 9), the colour image (6, 8): register it to the colour image"),
        (np.full((6, 8), -1.0, np.float32), "negative depth"),
        (np.full((6, 8), np.nan, np.float32), "knows no depth at all"),
        (np.zeros((6, 8), np.uint16), "knows no depth at all"),
        (np.full((6, 8), 1500.0, np.float32), "median of 1500 m"),
        (np.full((6, 8), 3, np.uint16), "median of 0.003 m"),
    ],
)
def test_what_is_no_depth_is_refused_by_name(depth: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=re.escape(message)):
        depth_in_metres(depth, CAMERA)
