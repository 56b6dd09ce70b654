"""Rotations as 6D vectors (torch) and quaternions (scipy)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
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


def matrix_to_quaternion(matrices: NDArray[np.floating]) -> NDArray[np.float64]:
    """(..., 3, 3) rotation matrices to (..., 4) unit quaternions in ROS order (x, y, z, w), with w >= 0."""
    flat = Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_quat(canonical=True)
    return flat.reshape(*matrices.shape[:-2], 4)


def matrix_from_quaternion(quaternions: NDArray[np.floating]) -> NDArray[np.float64]:
    """(..., 4) quaternions (x, y, z, w), normalised here, to (..., 3, 3) rotation matrices."""
    flat = Rotation.from_quat(quaternions.reshape(-1, 4)).as_matrix()
    return flat.reshape(*quaternions.shape[:-1], 3, 3)
