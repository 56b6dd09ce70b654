"""Videos in channels-last blocks of time and space, as the layers of the video VAE take them."""

from __future__ import annotations

import torch
from torch import Tensor


def fold(x: Tensor, time: int, space: int) -> Tensor:
    """(B, T, H, W, C) -> (B, T/time, H/space, W/space, time*space*space*C)."""
    b, t, h, w, c = x.shape
    x = x.reshape(b, t // time, time, h // space, space, w // space, space, c).permute(0, 1, 3, 5, 2, 4, 6, 7)
    return x.reshape(b, t // time, h // space, w // space, time * space * space * c)


def unfold(x: Tensor, time: int, space: int) -> Tensor:
    """Inverse of `fold`: (B, T, H, W, time*space*space*C) -> (B, T*time, H*space, W*space, C)."""
    b, t, h, w, c = x.shape
    c //= time * space * space
    x = x.reshape(b, t, h, w, time, space, space, c).permute(0, 1, 4, 2, 5, 3, 6, 7)
    return x.reshape(b, t * time, h * space, w * space, c)


def group_frames(video: Tensor, ratio: int) -> Tensor:
    """(B, C, F, H, W) -> channels-last (B, F+ratio-1, H, W, C): the first frame repeated to fill a group of its own."""
    return torch.cat([video[:, :, :1]] * (ratio - 1) + [video], dim=2).permute(0, 2, 3, 4, 1)


def refold(x: Tensor, time: int, coarse: int, fine: int) -> Tensor:
    """What `fold` with `fine` patches gives of the video that was folded with `coarse` ones to x."""
    b, t, h, w, c = x.shape
    n, c = coarse // fine, c // (time * coarse**2)
    x = x.reshape(b, t, h, w, time, n, fine, n, fine, c).permute(0, 1, 2, 5, 3, 7, 4, 6, 8, 9)
    return x.reshape(b, t, h * n, w * n, time * fine * fine * c)
