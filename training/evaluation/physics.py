"""Is a motion physically plausible: foot sliding, floor penetration, jerk. World frame, z up, metres."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egotwin_model.skeleton import XSENS_JOINTS

Array = NDArray[np.float64]
FEET = tuple(XSENS_JOINTS.index(name) for name in ("R_Toe", "L_Toe"))
CONTACT_HEIGHT_M = 0.03


def foot_sliding(positions: ArrayLike, rate_hz: float, floor: ArrayLike) -> Array:
    """Mean speed over the floor of toes that are near it, m/s: (..., T, 23, 3) to (...).

    Each toe and step counts with its horizontal speed times 2 − 2^(h / H), h the mean height over the step and H
    `CONTACT_HEIGHT_M`: fully at floor height, not at all from H upwards (Zhang et al. 2018, "Mode-Adaptive Neural
    Networks for Quadruped Motion Control", equation 5).

    Args:
        floor: height of a standing toe joint, broadcastable to (...).
    """
    toes = np.asarray(positions, dtype=np.float64)[..., FEET, :]
    speed = np.linalg.norm(np.diff(toes[..., :2], axis=-3), axis=-1) * rate_hz
    height = (toes[..., 1:, :, 2] + toes[..., :-1, :, 2]) / 2 - np.asarray(floor)[..., None, None]
    weight = 2.0 - np.exp2(np.clip(height / CONTACT_HEIGHT_M, 0.0, 1.0))
    return (speed * weight).mean(axis=(-2, -1))


def floor_penetration(positions: ArrayLike, floor: ArrayLike) -> Array:
    """Depth of the lowest joint below the floor (0 above it), mean over poses, metres: (..., T, J, 3) to (...)."""
    lowest = np.asarray(positions, dtype=np.float64)[..., 2].min(axis=-1)
    return np.maximum(np.asarray(floor)[..., None] - lowest, 0.0).mean(axis=-1)


def jerk(positions: ArrayLike, rate_hz: float) -> Array:
    """Mean length of the third derivative of joint positions, m/s³: (..., T, J, 3) to (...); T of at least 4."""
    third = np.diff(np.asarray(positions, dtype=np.float64), n=3, axis=-3) * rate_hz**3
    return np.linalg.norm(third, axis=-1).mean(axis=(-2, -1))
