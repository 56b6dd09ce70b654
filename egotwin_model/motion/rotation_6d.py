"""Rotations as 6D vectors: the first two columns of the matrix (Zhou et al. 2019). NumPy arrays or torch tensors."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

SMALLEST_LENGTH = 1e-12  # a shorter vector is divided by this, not by nearly nothing


def matrix_to_6d(matrices: Any) -> Any:
    """(..., 3, 3) rotation matrices to (..., 6): the first two columns, one after the other."""
    xp = array_namespace(matrices)
    columns = xp.matrix_transpose(matrices[..., :2])
    return xp.reshape(columns, (*matrices.shape[:-2], 6))


def matrix_from_6d(vectors: Any) -> Any:
    """(..., 6) vectors, not necessarily orthonormal, to (..., 3, 3) rotation matrices by Gram-Schmidt."""
    xp = array_namespace(vectors)
    first, second = vectors[..., :3], vectors[..., 3:]
    x = _normalised(first)
    y = _normalised(second - xp.sum(x * second, axis=-1, keepdims=True) * x)
    return xp.stack([x, y, xp.linalg.cross(x, y)], axis=-1)


def _normalised(vectors: Any) -> Any:
    xp = array_namespace(vectors)
    length = xp.linalg.vector_norm(vectors, axis=-1, keepdims=True)
    return vectors / xp.where(length > SMALLEST_LENGTH, length, SMALLEST_LENGTH)
