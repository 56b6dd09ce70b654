"""Frames through a trained video codec, on the device of this process."""

from __future__ import annotations

from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env
from torch import Tensor

from egotwin_model.video.pixels import to_video
from egotwin_model.video.vae import encode_video

PIXELS_AT_ONCE = 16 * 41 * 64 * 64  # of video through the codec: 16 clips at 64 px, one at 480 px


def processes() -> PartialState:
    """The processes of this run, and the device of this one."""
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))


def clips_at_once(frames: int, height: int, width: int) -> int:
    """How many clips of this size go through the codec together."""
    return max(1, PIXELS_AT_ONCE // (frames * height * width))


@torch.no_grad()
def frame_latents(vae: Any, frames: Tensor) -> Tensor:
    """Frames (N, F, H, W, 3) uint8 to latents (N, F', C, h, w) float16, both on the CPU.

    Args:
        vae: on the device of this process.
    """
    device, parts = processes().device, []
    for part in frames.split(clips_at_once(*frames.shape[1:4])):
        with torch.autocast(device.type, torch.bfloat16):
            mean = encode_video(vae, to_video(part.to(device)))
        parts.append(mean.transpose(1, 2).half().cpu())
    return torch.cat(parts)
