"""diffusers' CogVideoX at our sizes, and one set of inputs for both: what benchmarks/model.py compares with."""

from __future__ import annotations

from functools import lru_cache, partial

import torch
from torch import Tensor, nn

from egotwin_model.egotwin.config import EgoTwinConfig

Inputs = dict[str, Tensor]


def inputs(config: EgoTwinConfig, device: str, dtype: torch.dtype) -> Inputs:
    """Random inputs of one joint evaluation."""
    c, latent = config, (config.latent_channels, config.latent_height, config.latent_width)
    random = partial(torch.randn, device=device, dtype=dtype)
    return {
        "text": random(1, c.text_length, c.text_dim),
        "video": random(1, c.latent_frames, *latent),
        "motion": random(1, c.motion_channels, c.motion_length),
        "t_video": torch.full((1,), 700.0, device=device),
        "t_motion": torch.full((1,), 300.0, device=device),
        "image": random(1, *latent),
        "pose": random(1, c.motion_channels),
    }


def without_motion(x: Inputs) -> dict[str, Tensor | None]:
    """The same call without motion tokens: what CogVideoX computes."""
    return {**x, "motion": None, "pose": None}


def cogvideox(config: EgoTwinConfig) -> nn.Module:
    """diffusers' CogVideoX-I2V transformer at our text and video sizes."""
    from diffusers import CogVideoXTransformer3DModel
    from diffusers.utils import logging

    logging.set_verbosity_error()  # its warning at every change of dtype names no module
    c = config
    return CogVideoXTransformer3DModel(
        num_attention_heads=c.num_heads, attention_head_dim=c.head_dim, in_channels=2 * c.latent_channels,
        out_channels=c.latent_channels, time_embed_dim=c.time_embed_dim, text_embed_dim=c.text_dim,
        num_layers=c.num_layers, sample_width=c.latent_width, sample_height=c.latent_height,
        sample_frames=4 * (c.latent_frames - 1) + 1, patch_size=c.patch_size, max_text_seq_length=c.text_length,
        use_rotary_positional_embeddings=True, use_learned_positional_embeddings=True,
    ).eval()  # fmt: skip


def run_cogvideox(model: nn.Module, config: EgoTwinConfig, x: Inputs) -> Tensor:
    """One evaluation of diffusers' model on the text, video and image of `x`."""
    rotary = _rotary(config.head_dim, config.patch_grid, config.latent_frames, str(x["video"].device))
    image = torch.zeros_like(x["video"])
    image[:, 0] = x["image"]
    latents = torch.cat([x["video"], image], dim=2)
    return model(latents, x["text"], x["t_video"], image_rotary_emb=rotary).sample


@lru_cache(maxsize=4)
def _rotary(head_dim: int, grid: tuple[int, int], frames: int, device: str) -> tuple[Tensor, Tensor]:
    """RoPE's tables, once for all evaluations, as diffusers' pipeline makes them."""
    from diffusers.models.embeddings import get_3d_rotary_pos_embed

    with torch.device("cpu"):
        cos, sin = get_3d_rotary_pos_embed(head_dim, ((0, 0), grid), grid, frames)
    return cos.to(device), sin.to(device)
