"""The interaction mechanism (Section 3.3): which token may attend to which."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor


def interaction_mask(num_text: int, num_frames: int, tokens_per_frame: int, num_motion: int) -> Tensor:
    """Which query (row) may attend to which key (column), order [text, video, motion].

    Oⁱ are the tokens of video latent i, Aⁱ the motion tokens (2i+1, 2i+2) that lead from Oⁱ to Oⁱ⁺¹, P⁰ motion
    token 0. Between video and motion only these pairs are open: Oⁱ (i ≥ 1) → Aⁱ⁻¹, O⁰ ↔ P⁰, Aⁱ → Oⁱ and Oⁱ⁺¹.
    Everything inside one modality, and everything with text, is open.

    Returns:
        bool (L, L) with L = num_text + num_frames·tokens_per_frame + num_motion; True = may attend.
    """
    num_video = num_frames * tokens_per_frame
    frame = torch.arange(num_video) // tokens_per_frame
    action = torch.div(torch.arange(num_motion) - 1, 2, rounding_mode="floor")  # P⁰ becomes action −1
    video_to_motion = frame[:, None] - 1 == action[None, :]
    motion_to_video = video_to_motion.T | (action[:, None] == frame[None, :])
    length = num_text + num_video + num_motion
    mask = torch.ones(length, length, dtype=torch.bool)
    video, motion = slice(num_text, num_text + num_video), slice(num_text + num_video, length)
    mask[video, motion] = video_to_motion
    mask[motion, video] = motion_to_video
    return mask


@dataclass(frozen=True)
class Layout:
    """The interaction mask by its four numbers: backends that know the structure never build the (L, L) matrix."""

    num_text: int
    num_frames: int
    tokens_per_frame: int
    num_motion: int

    @property
    def num_video(self) -> int:
        """Video tokens."""
        return self.num_frames * self.tokens_per_frame

    @property
    def num_others(self) -> int:
        """Text and video tokens: where the motion tokens begin."""
        return self.num_text + self.num_video

    @property
    def length(self) -> int:
        """All tokens."""
        return self.num_others + self.num_motion

    def mask(self, device: torch.device | str = "cpu") -> Tensor:
        """The interaction mask, bool (L, L), built once per layout and device."""
        if torch.compiler.is_compiling():  # a tracer's fake tensors must not reach the cache
            return interaction_mask(self.num_text, self.num_frames, self.tokens_per_frame, self.num_motion).to(device)
        return _mask(self, torch.device(device))


@lru_cache(maxsize=8)
def _mask(layout: Layout, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # an inference tensor could not be used under grad later
        return interaction_mask(layout.num_text, layout.num_frames, layout.tokens_per_frame, layout.num_motion).to(
            device
        )
