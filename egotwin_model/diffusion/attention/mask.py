"""The interaction mechanism (Section 3.3): which token may attend to which."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

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
    frame_to_motion, motion_to_frame = _frames_and_motion(num_frames, num_motion)
    num_others = num_text + num_frames * tokens_per_frame
    length = num_others + num_motion
    mask = torch.ones(length, length, dtype=torch.bool)
    mask[num_text:num_others, num_others:] = frame_to_motion.repeat_interleave(tokens_per_frame, 0)
    mask[num_others:, num_text:num_others] = motion_to_frame.repeat_interleave(tokens_per_frame, 1)
    return mask


def _frames_and_motion(num_frames: int, num_motion: int) -> tuple[Tensor, Tensor]:
    """Which motion tokens a frame sees, bool (F, N), and which frames a motion token sees, bool (N, F)."""
    frame = torch.arange(num_frames)
    action = torch.div(torch.arange(num_motion) - 1, 2, rounding_mode="floor")  # P⁰ becomes action −1
    frame_to_motion = frame[:, None] - 1 == action[None, :]
    return frame_to_motion, frame_to_motion.T | (action[:, None] == frame[None, :])


class Parts(NamedTuple):
    """The rows and columns of the interaction mask that are not all open.

    Attributes:
        frame_rows: bool (F, L): the one row that all tokens of a frame share.
        others_to_motion: bool (L − N, N): text and video rows, motion columns.
        motion_rows: bool (N, L).
    """

    frame_rows: Tensor
    others_to_motion: Tensor
    motion_rows: Tensor


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
        build = _mask.__wrapped__ if torch.compiler.is_compiling() else _mask  # no tracer's tensor in the cache
        return build(self, torch.device(device))

    def parts(self, device: torch.device | str = "cpu") -> Parts:
        """The rows and columns that are not all open, built once per layout and device without the whole mask."""
        build = _parts.__wrapped__ if torch.compiler.is_compiling() else _parts
        return build(self, torch.device(device))


@lru_cache(maxsize=8)
def _mask(layout: Layout, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # an inference tensor could not be used under grad later
        mask = interaction_mask(layout.num_text, layout.num_frames, layout.tokens_per_frame, layout.num_motion)
        return mask.to(device)


@lru_cache(maxsize=8)
def _parts(layout: Layout, device: torch.device) -> Parts:
    text, per_frame = layout.num_text, layout.tokens_per_frame
    with torch.inference_mode(False):
        frame_to_motion, motion_to_frame = _frames_and_motion(layout.num_frames, layout.num_motion)
        frame_rows = torch.cat([torch.ones(layout.num_frames, layout.num_others).bool(), frame_to_motion], 1)
        others_to_motion = torch.cat(
            [torch.ones(text, layout.num_motion).bool(), frame_to_motion.repeat_interleave(per_frame, 0)]
        )
        to_text, to_motion = (torch.ones(layout.num_motion, n).bool() for n in (text, layout.num_motion))
        motion_rows = torch.cat([to_text, motion_to_frame.repeat_interleave(per_frame, 1), to_motion], 1)
        return Parts(frame_rows.to(device), others_to_motion.to(device), motion_rows.to(device))
