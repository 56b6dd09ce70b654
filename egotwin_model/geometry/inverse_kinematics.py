"""Two-bone inverse kinematics for legs and arms, over all frames of a clip at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d, minimum_filter1d

from egotwin_model.geometry.rotations import cross, unit

Array = NDArray[np.float64]


def two_bone(root: Array, goal: Array, pole: Array, upper: float, lower: float) -> tuple[Array, Array]:
    """Unit directions of the upper and lower bone so that the chain from ``root`` ends at ``goal``.

    Args:
        root: (T, 3) metres. goal: (T, 3) metres; beyond reach, the chain points straight at it.
        pole: (T, 3) direction to which the middle joint bends.
        upper: length of the upper bone. lower: length of the lower bone.

    Returns:
        Directions of the two bones, each (T, 3).
    """
    to_goal = goal - root
    distance = np.sqrt(np.einsum("ti,ti->t", to_goal, to_goal))
    reach = np.clip(distance, abs(upper - lower) + 1e-4, (upper + lower) * (1 - 1e-6))
    axis = to_goal / np.maximum(distance, 1e-9)[:, None]
    bend = unit(pole - np.einsum("ti,ti->t", pole, axis)[:, None] * axis)
    along = (reach**2 + upper**2 - lower**2) / (2 * reach)
    aside = np.sqrt(np.maximum(upper**2 - along**2, 0))
    middle = along[:, None] * axis + aside[:, None] * bend
    return unit(middle), unit(reach[:, None] * axis - middle)


def hinge_frames(down: Array, lateral: Array) -> Array:
    """Frames (T, 3, 3) whose z axis points against ``down`` and whose y axis is nearest to ``lateral``."""
    z = -down
    y = unit(lateral - np.einsum("ti,ti->t", lateral, z)[:, None] * z)
    return np.stack([cross(y, z), y, z], axis=-1)


def supported_height(pelvis: Array, hips: list[Array], ankles: list[Array], longest: float, half: int) -> Array:
    """Pelvis heights (T,) lowered, smoothly over ``half`` frames, where a leg would not reach its foot.

    Args:
        pelvis: (T, 3) metres, as wanted. hips: of each leg (T, 3), from the pelvis. ankles: of each leg (T, 3) metres.
        longest: from hip to ankle, metres.
    """
    height = pelvis[:, 2]
    for hip, ankle in zip(hips, ankles, strict=True):
        away = ((ankle - pelvis - hip)[:, :2] ** 2).sum(axis=1)
        limit = ankle[:, 2] + np.sqrt(np.maximum(longest**2 - away, 0.2)) - hip[:, 2]
        height = height - 0.004 * np.logaddexp(0, (height - limit) / 0.004)
    # A smooth curve that is nowhere above the limit: smoothing is no wider than the minimum taken before it.
    lowest = minimum_filter1d(height, 2 * half + 1, mode="nearest")
    triangle = np.convolve(np.ones(half + 1), np.ones(half + 1)) / (half + 1) ** 2
    return np.asarray(convolve1d(lowest, triangle, mode="nearest"))
