"""Position codes: sinusoids for video and motion tokens, rotary embedding for video tokens (as CogVideoX-5b-I2V)."""

from __future__ import annotations

import torch
from torch import Tensor


def sinusoid(positions: Tensor, dim: int, *, cosine_first: bool = False) -> Tensor:
    """Sine and cosine of `positions` at dim/2 geometric frequencies from 1 to 1/10000: (..., dim) float32."""
    half = dim // 2
    frequencies = torch.exp(
        torch.arange(half, dtype=torch.float32, device=positions.device) * (-9.210340371976184 / half)
    )
    angles = positions.float()[..., None] * frequencies
    parts = (angles.cos(), angles.sin()) if cosine_first else (angles.sin(), angles.cos())
    return torch.cat(parts, dim=-1)


def _grid(frames: int, height: int, width: int, origin: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    rows, columns = torch.arange(height) + origin[0], torch.arange(width) + origin[1]
    axes = torch.meshgrid(torch.arange(frames), rows, columns, indexing="ij")
    return axes[0].flatten(), axes[1].flatten(), axes[2].flatten()


def video_sinusoid(frames: int, height: int, width: int, dim: int, origin: tuple[int, int] = (0, 0)) -> Tensor:
    """Position table of a video grid, (frames·height·width, dim): a quarter for time, 3/8 each for column and row.

    Row and column count from `origin`, so that a part of a larger grid keeps the positions it has there.
    """
    t, y, x = _grid(frames, height, width, origin)
    spatial = 3 * dim // 8
    return torch.cat([sinusoid(t, dim - 2 * spatial), sinusoid(x, spatial), sinusoid(y, spatial)], dim=-1)


def video_rotary(
    frames: int, height: int, width: int, head_dim: int, origin: tuple[int, int] = (0, 0)
) -> tuple[Tensor, Tensor]:
    """Cosine and sine tables (frames·height·width, head_dim): a quarter for time, 3/8 each for row and column."""
    t, y, x = _grid(frames, height, width, origin)
    sizes = (head_dim // 4, head_dim // 8 * 3, head_dim // 8 * 3)
    angles = []
    for position, size in zip((t, y, x), sizes, strict=True):
        frequencies = 1.0 / 10000.0 ** (torch.arange(0, size, 2, dtype=torch.float32) / size)
        angles.append((position.float()[:, None] * frequencies).repeat_interleave(2, dim=-1))
    angle = torch.cat(angles, dim=-1)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn neighbouring channel pairs of `x` (..., L, head_dim) by the angles tabled as (L, head_dim) float32."""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack([-odd, even], dim=-1).flatten(-2)
    return (x * cos + turned * sin).to(x.dtype)
