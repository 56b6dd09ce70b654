"""Two-bone inverse kinematics for legs and arms, over all frames of a clip at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def unit(vectors: Array) -> Array:
    """Vectors (..., 3) scaled to length 1."""
    return vectors / np.maximum(np.sqrt(np.einsum("...i,...i->...", vectors, vectors)), 1e-9)[..., None]


def rotation_z(angle: Array) -> Array:
    """Rotations (..., 3, 3) about z by angles (...) in radians."""
    c, s = np.cos(angle), np.sin(angle)
    matrix = np.zeros((*np.shape(angle), 3, 3))
    matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 0], matrix[..., 1, 1] = c, -s, s, c
    matrix[..., 2, 2] = 1
    return matrix


def rotation_y(angle: Array) -> Array:
    """Rotations (..., 3, 3) about y by angles (...) in radians; positive bends x (forward) down."""
    c, s = np.cos(angle), np.sin(angle)
    matrix = np.zeros((*np.shape(angle), 3, 3))
    matrix[..., 0, 0], matrix[..., 0, 2], matrix[..., 2, 0], matrix[..., 2, 2] = c, s, -s, c
    matrix[..., 1, 1] = 1
    return matrix


def shortest_arc(start: Array, end: Array) -> Array:
    """The smallest rotations (..., 3, 3) that take unit vectors ``start`` to ``end`` (not defined when opposite)."""
    cross = np.cross(start, end)
    cosine = np.einsum("...i,...i->...", start, end)
    skew = np.zeros((*cosine.shape, 3, 3))
    x, y, z = cross[..., 0], cross[..., 1], cross[..., 2]
    skew[..., 0, 1], skew[..., 0, 2], skew[..., 1, 2] = -z, y, -x
    skew[..., 1, 0], skew[..., 2, 0], skew[..., 2, 1] = z, -y, x
    return np.eye(3) + skew + skew @ skew / np.maximum(1 + cosine, 1e-6)[..., None, None]


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
    return np.stack([np.cross(y, z), y, z], axis=-1)
