"""Videos in blocks of time and space, as the layers of the video VAE take them."""

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


def _whole_groups(video: Tensor, ratio: int) -> Tensor:
    """(B, C, F, H, W) -> (B, C, F+ratio-1, H, W): the first frame repeated."""
    return torch.cat([video[:, :, :1]] * (ratio - 1) + [video], dim=2)


def group_frames(video: Tensor, ratio: int) -> Tensor:
    """(B, C, F, H, W) -> channels-last (B, F+ratio-1, H, W, C): the first frame repeated to fill a group of its own."""
    return _whole_groups(video, ratio).permute(0, 2, 3, 4, 1)


def fold_colours(video: Tensor, time: int, space: int) -> Tensor:
    """(B, C, F, H, W), F = 1 + time (T - 1) -> (B, T, H/space, W/space, C, time*space*space), the first frame repeated
    to fill a group of its own."""
    x = _whole_groups(video, time)
    b, c, t, h, w = x.shape
    x = x.reshape(b, c, t // time, time, h // space, space, w // space, space).permute(0, 2, 4, 6, 1, 3, 5, 7)
    return x.reshape(b, t // time, h // space, w // space, c, time * space * space)


def unfold_colours(x: Tensor, time: int, space: int) -> Tensor:
    """Inverse of `fold_colours`."""
    b, t, h, w, c, _ = x.shape
    x = x.reshape(b, t, h, w, c, time, space, space).permute(0, 4, 1, 5, 2, 6, 3, 7)
    return x.reshape(b, c, t * time, h * space, w * space)[:, :, time - 1 :]


def rows_by_colour(weight: Tensor, time: int, coarse: int, fine: int, colours: int) -> Tensor:
    """Rows of a linear layer that gives `coarse` blocks as `fold` has them, for `fine` patches by colour.

    (time*coarse*coarse*C, ...) -> the same rows in the order (n, n, C, time, fine, fine), n = coarse / fine.
    """
    n = coarse // fine
    rows = weight.reshape(time, n, fine, n, fine, colours, -1).permute(1, 3, 5, 0, 2, 4, 6)
    return rows.reshape(weight.shape)
