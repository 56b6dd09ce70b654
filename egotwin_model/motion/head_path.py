"""Measures of a head's path: heading about gravity, distance over the floor. Metres, radians; world frame, z up."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def heading(head_rotations: ArrayLike) -> Array:
    """Yaw of the head's forward axis about gravity, unwrapped: (..., T, 3, 3) to (..., T) radians, left > 0."""
    r = np.asarray(head_rotations, dtype=np.float64)
    return np.unwrap(np.arctan2(r[..., 1, 0], r[..., 0, 0]), axis=-1)


def heading_change(head_rotations: ArrayLike) -> Array:
    """Heading at the end minus at the start, full turns counted: (..., T, 3, 3) to (...) radians, left > 0."""
    yaw = heading(head_rotations)
    return yaw[..., -1] - yaw[..., 0]


def travelled_distance(positions: ArrayLike) -> Array:
    """Length of the path over the floor: (..., T, 3) to (...) metres."""
    steps = np.diff(np.asarray(positions, dtype=np.float64)[..., :2], axis=-2)
    return np.linalg.norm(steps, axis=-1).sum(axis=-1)


def displacement(positions: ArrayLike) -> Array:
    """Distance over the floor between start and end: (..., T, 3) to (...) metres."""
    p = np.asarray(positions, dtype=np.float64)
    return np.linalg.norm(p[..., -1, :2] - p[..., 0, :2], axis=-1)
