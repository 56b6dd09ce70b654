"""Frames as bytes, and as the video that a video VAE takes and gives: NumPy arrays or torch tensors."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace


def to_video(frames: Any) -> Any:
    """Frames (B, F, H, W, 3), uint8 or float in 0 … 255, to a float32 video (B, 3, F, H, W) in [-1, 1]."""
    xp = array_namespace(frames)
    return xp.permute_dims(xp.astype(frames, xp.float32) / 127.5 - 1.0, (0, 4, 1, 2, 3))


def to_frames(video: Any) -> Any:
    """A video (B, 3, F, H, W) in about [-1, 1] to frames (B, F, H, W, 3) uint8; what is beyond is clipped."""
    xp = array_namespace(video)
    pixels = xp.clip((xp.astype(video, xp.float32) + 1.0) * 127.5, 0, 255)
    return xp.permute_dims(xp.astype(pixels, xp.uint8), (0, 2, 3, 4, 1))
