"""Rotations as matrices, NumPy in and out; what scipy has is called, not written again.

`rotation_z` also takes torch tensors, and gives the kind it was given.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]


def matrix_from_quaternion(quaternions: NDArray[np.floating]) -> NDArray[np.float64]:
    """(..., 4) quaternions (x, y, z, w), normalised here, to (..., 3, 3) rotation matrices."""
    flat = Rotation.from_quat(quaternions.reshape(-1, 4)).as_matrix()
    return flat.reshape(*quaternions.shape[:-1], 3, 3)


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


def rotation_z(angle: Any) -> Any:
    """Rotations (..., 3, 3) about z by angles (...) in radians: a number, a NumPy array or a torch tensor."""
    if isinstance(angle, int | float):
        angle = np.asarray(angle, dtype=np.float64)
    xp = array_namespace(angle)
    sin, cos, zero, one = xp.sin(angle), xp.cos(angle), xp.zeros_like(angle), xp.ones_like(angle)
    return xp.reshape(xp.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], axis=-1), (*angle.shape, 3, 3))


def rotation_y(angle: Array) -> Array:
    """Rotations (..., 3, 3) about y by angles (...) in radians; positive bends x (forward) down."""
    c, s = np.cos(angle), np.sin(angle)
    matrix = np.zeros((*np.shape(angle), 3, 3))
    matrix[..., 0, 0], matrix[..., 0, 2], matrix[..., 2, 0], matrix[..., 2, 2] = c, s, -s, c
    matrix[..., 1, 1] = 1
    return matrix


def rotation_x(angle: Array) -> Array:
    """Rotations (..., 3, 3) about the x axis by angles (...)."""
    angle = np.asarray(angle, dtype=np.float64)
    c, s = np.cos(angle), np.sin(angle)
    zero, one = np.zeros_like(c), np.ones_like(c)
    return np.stack([one, zero, zero, zero, c, -s, zero, s, c], axis=-1).reshape(*angle.shape, 3, 3)


def rotation_about(axis: Array, angle: NDArray[np.floating]) -> Array:
    """Rotations (..., 3, 3) about one unit vector (3,) by angles (...) in radians (Rodrigues)."""
    skew = _cross_product_matrix(axis)
    return np.eye(3) + np.sin(angle)[..., None, None] * skew + (1 - np.cos(angle))[..., None, None] * (skew @ skew)


def rotate_2d(points: Array, angle: Array | float) -> Array:
    """Points (..., 2) turned by angles (...) in radians, to the left where x is forward and y left."""
    c, s = np.cos(angle), np.sin(angle)
    x, y = points[..., 0], points[..., 1]
    return np.stack([c * x - s * y, s * x + c * y], axis=-1)


def shortest_arc(start: Array, end: Array) -> Array:
    """The smallest rotations (..., 3, 3) that take unit vectors ``start`` to ``end``.

    Opposite vectors are turned about an axis of this function's choice.
    """
    normal = cross(start, end)
    cosine = np.asarray(np.einsum("...i,...i->...", start, end))
    skew = _cross_product_matrix(normal)
    turn = np.asarray(np.eye(3) + skew + skew @ skew / np.maximum(1 + cosine, 1e-6)[..., None, None])
    opposite = 1 + cosine < 1e-6  # the division would magnify what rounding leaves of the normal
    if opposite.any():
        one, other = (np.broadcast_to(each, normal.shape)[opposite] for each in (start, end))
        turn[opposite] = shortest_arc(-one, other) @ _half_turn(one, normal[opposite])
    return turn


def _half_turn(start: Array, axis: Array) -> Array:
    """Rotations (N, 3, 3) that reverse unit vectors (N, 3), about an axis near ``axis`` (N, 3) or, where that
    vanishes, any other."""
    least = np.eye(3)[np.argmin(np.abs(start), axis=-1)]
    axis = np.where(np.linalg.norm(axis, axis=-1, keepdims=True) > 1e-9, axis, cross(start, least))
    axis = unit(unit(axis) - start * np.einsum("ni,ni->n", start, unit(axis))[:, None])
    return 2.0 * axis[:, :, None] * axis[:, None, :] - np.eye(3)


def _cross_product_matrix(vectors: Array) -> Array:
    """Matrices (..., 3, 3) whose products with a vector are the cross products of ``vectors`` (..., 3) with it."""
    skew = np.zeros((*vectors.shape[:-1], 3, 3))
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    skew[..., 0, 1], skew[..., 0, 2], skew[..., 1, 2] = -z, y, -x
    skew[..., 1, 0], skew[..., 2, 0], skew[..., 2, 1] = z, -y, x
    return skew


def rotation_angle(first: ArrayLike, second: ArrayLike) -> Array:
    """Angle between rotations (..., 3, 3), radians in 0 ... pi: (...).

    Equal to arccos((tr(A B^T) - 1) / 2), computed from |A - B| = 2 sqrt(2) sin(angle / 2), which stays exact near zero.
    """
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    chord = np.linalg.norm(difference, axis=(-2, -1))
    return 2.0 * np.arcsin(np.clip(chord / np.sqrt(8.0), 0.0, 1.0))
