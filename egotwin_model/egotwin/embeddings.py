"""Embeddings of the blocks' inputs: timesteps, text states, latent patches with their conditions, motion latents."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from egotwin_model.diffusion.positions import sinusoid, video_sinusoid
from egotwin_model.egotwin.config import DEPTH_CHANNELS, EgoTwinConfig
from egotwin_model.egotwin.layers import OutputNorm, TimeConditioning
from egotwin_model.errors import ModelError


class TimestepEmbedding(nn.Module):
    """Two-layer MLP over sinusoids of t_v; t_m's sinusoid enters through its own half of the first layer's input.

    A model whose timesteps are tied, or without motion, has no such half: it takes one timestep.
    """

    def __init__(self, config: EgoTwinConfig) -> None:
        super().__init__()
        self.dim = config.width
        self.linear_1 = nn.Linear(config.width, config.time_embed_dim)
        self.linear_1_motion: nn.Linear | None = None
        if config.asynchronous and config.num_motion_layers:
            self.linear_1_motion = nn.Linear(config.width, config.time_embed_dim, bias=False)
        self.linear_2 = nn.Linear(config.time_embed_dim, config.time_embed_dim)

    def forward(self, t_video: Tensor | None, t_motion: Tensor | None) -> Tensor:
        """Timesteps (...) to embeddings (..., time_embed_dim). Raises `ModelError` where tied ones differ."""
        if self.linear_1_motion is None:
            return self.linear_2(F.silu(self.linear_1(self._code(_tied(t_video, t_motion)))))
        if t_video is None or t_motion is None:
            raise ModelError("this model has a timestep for video and one for motion: pass both t_video and t_motion")
        hidden = self.linear_1(self._code(t_video)) + self.linear_1_motion(self._code(t_motion))
        return self.linear_2(F.silu(hidden))

    def conditioning(self, t_video: Tensor | None, t_motion: Tensor | None, num_frames: int) -> TimeConditioning:
        """The embedding for (B,) timesteps, or per latent step: t_video (B, F), t_motion (B, 2F − 1), either or both.

        **Our decision** (the paper has one timestep per modality): tokens of one moment read each other's timestep,
        that is video latent i and motion token 2i, and for token 2i − 1 the latent i its action leads to. Text reads
        the noisiest of each. Equal timesteps thus give what one gives.
        """
        if all(t is None or t.ndim == 1 for t in (t_video, t_motion)):
            return TimeConditioning(self(t_video, t_motion)[:, None])
        video = motion = None
        if t_video is not None:
            t_video = t_video[:, None].expand(-1, num_frames) if t_video.ndim == 1 else t_video
            leads_to = torch.arange(1, 2 * num_frames, device=t_video.device) // 2
            video = torch.cat([t_video.amax(1, keepdim=True), t_video, t_video[:, leads_to]], dim=1)
        if t_motion is not None:
            t_motion = t_motion[:, None].expand(-1, 2 * num_frames - 1) if t_motion.ndim == 1 else t_motion
            motion = torch.cat([t_motion.amax(1, keepdim=True), t_motion[:, ::2], t_motion], dim=1)
        places = {"text": slice(0, 1), "video": slice(1, 1 + num_frames), "motion": slice(1 + num_frames, None)}
        return TimeConditioning(self(video, motion), places)

    def _code(self, timestep: Tensor) -> Tensor:
        return sinusoid(timestep, self.dim, cosine_first=True).to(self.linear_1.weight.dtype)


def _tied(t_video: Tensor | None, t_motion: Tensor | None) -> Tensor:
    """The one timestep of a model whose timesteps are tied."""
    if t_video is None or t_motion is None:
        timestep = t_motion if t_video is None else t_video
        if timestep is None:
            raise ModelError("no timestep: pass t_video, t_motion or both")
        return timestep
    if not torch.compiler.is_compiling() and not torch.equal(t_video, t_motion):
        raise ModelError("t_video and t_motion differ, but this model's timesteps are tied (asynchronous = False)")
    return t_video


class VideoConditions(NamedTuple):
    """What video tokens may get beside I⁰, as in `EgoTwinTransformer.forward`; None: not given, or nothing known."""

    camera: Tensor | None = None
    prior: Tensor | None = None
    visibility: Tensor | None = None
    depth: Tensor | None = None


class PatchEmbed(nn.Module):
    """Latent patches and text states to tokens of one width, with the position table added (text's part is zero).

    Inputs that CogVideoX lacks have projections of their own, which start at zero: the camera's rays, the prior of
    every frame with its visibility, and the first frame's depth.
    """

    pos_embedding: Tensor

    def __init__(self, config: EgoTwinConfig) -> None:
        super().__init__()
        c = self.config = config
        self.proj = nn.Conv2d(2 * c.latent_channels, c.width, c.patch_size, c.patch_size)
        self.text_proj = nn.Linear(c.text_dim, c.width)
        self.camera_proj = self._added(c.camera_channels) if c.camera_condition else None
        self.prior_proj = self._added(c.latent_channels + 1) if c.prior_condition else None
        self.depth_proj = self._added(DEPTH_CHANNELS) if c.depth_condition else None
        table = torch.zeros(1, c.text_length + c.video_length, c.width)
        table[0, c.text_length :] = video_sinusoid(c.latent_frames, *c.patch_grid, c.width, c.position_origin)
        self.register_buffer("pos_embedding", table, persistent=True)

    def text(self, states: Tensor) -> Tensor:
        """(B, text_length, text_dim) to (B, text_length, width)."""
        return self.text_proj(states) + self.pos_embedding[:, : states.shape[1]]

    def video(self, noisy: Tensor, image: Tensor, given: VideoConditions) -> Tensor:
        """Noisy latents (B, F, C, h, w), I⁰'s latent (B, C, h, w) and further conditions to (B, F·tokens, width)."""
        patches = self.proj(torch.cat([noisy, self._image(noisy, image)], dim=2).flatten(0, 1))
        if self.camera_proj is not None and given.camera is not None:
            patches = patches + self.camera_proj(given.camera.to(noisy.dtype).flatten(0, 1))
        if self.prior_proj is not None and given.prior is not None and given.visibility is not None:
            seen = given.visibility.to(noisy.dtype)  # hidden places say nothing, whatever the prior holds there
            patches = patches + self.prior_proj(torch.cat([given.prior * seen, seen], dim=2).flatten(0, 1))
        patches = patches.unflatten(0, noisy.shape[:2])
        if self.depth_proj is not None and given.depth is not None:
            patches = patches + self.depth_proj(given.depth.to(noisy.dtype))[:, None]
        tokens = patches.flatten(3).transpose(2, 3).flatten(1, 2)
        return tokens + self.pos_embedding[:, -tokens.shape[1] :]

    def _added(self, channels: int) -> nn.Conv2d:
        """The projection of a condition that CogVideoX lacks."""
        c = self.config
        return nn.Conv2d(channels, c.width, c.patch_size, c.patch_size, bias=False)

    def _image(self, noisy: Tensor, image: Tensor) -> Tensor:
        """I⁰'s latent as a condition of every frame, (B, F, C, h, w)."""
        every_frame = image[:, None].expand_as(noisy)
        if self.config.image_condition == "tile":
            return every_frame
        return torch.cat([every_frame[:, :1], torch.zeros_like(noisy[:, 1:])], dim=1)


class MotionHead(nn.Module):
    """Motion latents to tokens and back: noisy latent, the clean latent of token 0 (P⁰) and its 0/1 mask go in.

    Gravity, where the configuration asks for it, is added to every token by a projection that starts at zero.
    """

    pos_embedding: Tensor

    def __init__(self, config: EgoTwinConfig) -> None:
        super().__init__()
        self.proj_in = nn.Linear(2 * config.motion_channels + 1, config.motion_width)
        self.gravity_proj: nn.Linear | None = None
        if config.gravity_condition:
            self.gravity_proj = nn.Linear(3, config.motion_width, bias=False)
        table = sinusoid(torch.arange(config.motion_length), config.motion_width)
        self.register_buffer("pos_embedding", table, persistent=False)
        self.norm_final = nn.LayerNorm(config.motion_width, eps=1e-5)
        self.norm_out = OutputNorm(config.time_embed_dim, config.motion_width, "motion")
        self.proj_out = nn.Linear(config.motion_width, config.motion_channels)

    def embed(self, noisy: Tensor, pose: Tensor, gravity: Tensor | None) -> Tensor:
        """Noisy latents (B, C, N), the clean latent of P⁰ (B, C) and gravity (B, 3) to (B, N, motion_width)."""
        first = torch.zeros_like(noisy[:, :1])
        first[..., 0] = 1.0
        tokens = torch.cat([noisy, pose[..., None] * first, first], dim=1).transpose(1, 2)
        tokens = self.proj_in(tokens) + self.pos_embedding
        if self.gravity_proj is None or gravity is None:
            return tokens
        return tokens + self.gravity_proj(gravity.to(noisy.dtype))[:, None]

    def forward(self, tokens: Tensor, time: TimeConditioning) -> Tensor:
        """(B, N, motion_width) to the prediction (B, C, N)."""
        return self.proj_out(self.norm_out(self.norm_final(tokens), time)).transpose(1, 2)
