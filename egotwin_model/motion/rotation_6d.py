"""Rotations as 6D vectors: the first two columns of the matrix (Zhou et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def matrix_to_6d(matrices: Tensor) -> Tensor:
    """(..., 3, 3) rotation matrices to (..., 6): the first two columns, one after the other (Zhou et al. 2019)."""
    return matrices[..., :2].transpose(-1, -2).flatten(-2)


def matrix_from_6d(vectors: Tensor) -> Tensor:
    """(..., 6) vectors, not necessarily orthonormal, to (..., 3, 3) rotation matrices by Gram-Schmidt."""
    first, second = vectors[..., :3], vectors[..., 3:]
    x = normalize(first, dim=-1)
    y = normalize(second - (x * second).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)
