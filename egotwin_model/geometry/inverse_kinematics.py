"""Two-bone inverse kinematics for legs and arms, over all frames of a clip at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d, minimum_filter1d
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]


def unit(vectors: Array) -> Array:
    """Vectors (..., 3) scaled to length 1."""
    return vectors / np.maximum(np.sqrt(np.einsum("...i,...i->...", vectors, vectors)), 1e-9)[..., None]


def cross(one: Array, other: Array) -> Array:
    """Cross products (..., 3); several times quicker than NumPy's for a clip's few vectors."""
    a, b = np.broadcast_arrays(one, other)
    out = np.empty_like(a)
    out[..., 0] = a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1]
    out[..., 1] = a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]
    out[..., 2] = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return out


def partway(rotation: Array, goal: Array, share: Array | float) -> Array:
    """Rotations (T, 3, 3) part of the way, ``share`` (T,) or one number, to others; both must be orthonormal."""
    start = Rotation.from_matrix(rotation, assume_valid=True)
    way = Rotation.from_matrix(np.swapaxes(rotation, -1, -2) @ goal, assume_valid=True).as_rotvec()
    return np.asarray((start * Rotation.from_rotvec(np.asarray(share)[..., None] * way)).as_matrix())


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
    normal = cross(start, end)
    cosine = np.einsum("...i,...i->...", start, end)
    skew = np.zeros((*cosine.shape, 3, 3))
    x, y, z = normal[..., 0], normal[..., 1], normal[..., 2]
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
