"""The interaction mechanism (Section 3.3): which token may attend to which, and the attention that obeys it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BACKENDS = ("products", "fused")


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


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, *, backend: str = "auto") -> Tensor:
    """Scaled dot-product attention under a boolean mask.

    Args:
        query, key, value: (B, heads, L, head_dim).
        mask: bool (L, L), True = may attend; None leaves everything open.
        backend: "fused" calls torch's fused kernel; "products" spells the formula out as two matrix products. "auto"
            takes the products where gradients are wanted on a CPU (the fused kernel's backward is half as fast there
            at these lengths), else the fused kernel.

    Returns:
        (B, heads, L, head_dim).
    """
    if backend == "auto":
        backend = "products" if query.device.type == "cpu" and query.requires_grad else "fused"
    if backend == "fused":
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    if backend == "products":
        logits = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        if mask is not None:
            logits = logits + torch.zeros_like(mask, dtype=logits.dtype).masked_fill(~mask, float("-inf"))
        return torch.softmax(logits, dim=-1, dtype=logits.dtype) @ value
    raise ValueError(f"unknown attention backend {backend!r}; choose one of auto, {', '.join(BACKENDS)}")
