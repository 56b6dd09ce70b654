"""The triple-branch diffusion transformer (Section 3.3): text, video and motion over one joint attention.

Text and video share all weights but AdaLN's; their parameters carry diffusers' CogVideoX names and shapes. The motion
branch is narrower, sits in the lower blocks only, and projects to and from the joint attention's heads.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from egotwin_model.diffusion.attention.attend import Layout, attend
from egotwin_model.diffusion.positions import rotate, video_rotary
from egotwin_model.egotwin.config import DEPTH_CHANNELS, EgoTwinConfig
from egotwin_model.egotwin.embeddings import MotionHead, PatchEmbed, TimestepEmbedding, VideoConditions
from egotwin_model.egotwin.layers import FeedForward, Modulation, OutputNorm, Projections, TimeConditioning
from egotwin_model.errors import ModelError
from egotwin_model.io.store import load_component

NEW_PARTS = frozenset({"motion", "motion_head", "linear_1_motion", "camera_proj", "prior_proj", "depth_proj"})
"""What CogVideoX does not have, as parts of dotted parameter names."""


class MotionBranch(nn.Module):
    """One block's motion side: own AdaLN, projections to the joint heads, own MLP.

    `gate`, where the configuration asks for one, is per head how much of motion reaches text and video.
    """

    gate: nn.Parameter | None

    def __init__(self, config: EgoTwinConfig) -> None:
        super().__init__()
        width = config.motion_width
        self.norm1 = Modulation(config.time_embed_dim, width, ("motion",))
        self.attn1 = Projections(width, config.num_heads, config.head_dim)
        self.norm2 = Modulation(config.time_embed_dim, width, ("motion",))
        self.ff = FeedForward(width)
        self.register_parameter("gate", nn.Parameter(torch.zeros(config.num_heads)) if config.motion_gate else None)


class Streams(NamedTuple):
    """The token streams between blocks, (B, L, dim) each; an absent modality has length 0 or is None."""

    text: Tensor
    video: Tensor
    motion: Tensor | None


class Block(nn.Module):
    """Joint attention and MLPs over text and video, and over motion where the block has a motion side."""

    def __init__(self, config: EgoTwinConfig, *, with_motion: bool) -> None:
        super().__init__()
        self.norm1 = Modulation(config.time_embed_dim, config.width, ("video", "text"))  # diffusers' order
        self.attn1 = Projections(config.width, config.num_heads, config.head_dim)
        self.norm2 = Modulation(config.time_embed_dim, config.width, ("video", "text"))
        self.ff = FeedForward(config.width)
        self.motion = MotionBranch(config) if with_motion else None

    def forward(
        self, x: Streams, time: TimeConditioning, rotary: tuple[Tensor, Tensor], layout: Layout | None
    ) -> Streams:
        return self._feed_forward(self._attention(x, time, rotary, layout), time)

    def _attention(
        self, x: Streams, time: TimeConditioning, rotary: tuple[Tensor, Tensor], layout: Layout | None
    ) -> Streams:
        lengths = [x.text.shape[1], x.video.shape[1]]
        (video, text), (video_gate, text_gate) = self.norm1([x.video, x.text], time)
        q, k, v = self.attn1.project(torch.cat([text, video], dim=1))
        q, k = (torch.cat([z[:, :, : lengths[0]], rotate(z[:, :, lengths[0] :], *rotary)], dim=2) for z in (q, k))
        motion, branch = x.motion, self.motion
        if motion is None or branch is None:
            text_out, video_out = self.attn1.out(attend(q, k, v)).split(lengths, dim=1)
        else:
            (hidden,), (gate,) = branch.norm1([motion], time)
            q, k, v = (torch.cat(pair, dim=2) for pair in zip((q, k, v), branch.attn1.project(hidden), strict=True))
            attended = attend(q, k, v, layout, gate=branch.gate, num_motion=motion.shape[1])
            joint, own = attended.split([sum(lengths), motion.shape[1]], dim=2)
            text_out, video_out = self.attn1.out(joint).split(lengths, dim=1)
            motion = motion + gate * branch.attn1.out(own)
        return Streams(x.text + text_gate * text_out, x.video + video_gate * video_out, motion)

    def _feed_forward(self, x: Streams, time: TimeConditioning) -> Streams:
        lengths = [x.text.shape[1], x.video.shape[1]]
        (video, text), (video_gate, text_gate) = self.norm2([x.video, x.text], time)
        text_out, video_out = self.ff(torch.cat([text, video], dim=1)).split(lengths, dim=1)
        motion = x.motion
        if motion is not None and self.motion is not None:
            (hidden,), (gate,) = self.motion.norm2([motion], time)
            motion = motion + gate * self.motion.ff(hidden)
        return Streams(x.text + text_gate * text_out, x.video + video_gate * video_out, motion)


class EgoTwinTransformer(nn.Module):
    """Predicts v for the video and motion latents from both noisy latents, the goal, I⁰ and P⁰ (Section 3.3).

    v-prediction is the core for both modalities (spec, "Asynchronous diffusion"); the sampler derives ε from it.
    """

    rotary_cos: Tensor
    rotary_sin: Tensor

    def __init__(self, config: EgoTwinConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        self.patch_embed = PatchEmbed(c)
        self.time_embedding = TimestepEmbedding(c)
        self.transformer_blocks = nn.ModuleList(
            Block(c, with_motion=layer < c.num_motion_layers) for layer in range(c.num_layers)
        )
        self.norm_final = nn.LayerNorm(c.width, eps=1e-5)
        self.norm_out = OutputNorm(c.time_embed_dim, c.width, "video")
        self.proj_out = nn.Linear(c.width, c.patch_size**2 * c.latent_channels)
        self.motion_head = MotionHead(c) if c.num_motion_layers else None
        for name, table in zip(("rotary_cos", "rotary_sin"), self._rotary(), strict=True):
            self.register_buffer(name, table, persistent=False)
        self.gradient_checkpointing = False
        self.apply(_initialise)
        self._start_at_zero()

    def forward(
        self,
        text: Tensor,
        video: Tensor | None,
        motion: Tensor | None,
        t_video: Tensor | None,
        t_motion: Tensor | None,
        image: Tensor | None,
        pose: Tensor | None,
        *,
        motion_only: bool = False,
        camera: Tensor | None = None,
        prior: Tensor | None = None,
        visibility: Tensor | None = None,
        gravity: Tensor | None = None,
        depth: Tensor | None = None,
    ) -> tuple[Tensor | None, Tensor | None]:
        """One evaluation.

        Args:
            text: (B, text_length, text_dim) text states.
            video: noisy latents (B, F, C, h, w), or None: no video tokens at all (stage 2).
            motion: noisy latents (B, motion_channels, N), N = motion_length, or None: no motion tokens.
            t_video: timesteps in [0, 999], (B,), or (B, F): one per video latent.
            t_motion: likewise (B,) or (B, N). One of the two may be None where the model knows only one timestep.
            image: clean latent of I⁰, (B, C, h, w); needed with `video`.
            pose: clean latent of P⁰, (B, motion_channels); needed with `motion`.
            motion_only: stop after the last block with a motion side; no video prediction.
            camera: (B, F, 24, h, w) of `plucker_maps`; needed with `video` where camera_condition is set.
            prior, visibility: what is known of every frame, clean latents (B, F, C, h, w), and where it counts,
                (B, F, 1, h, w) in [0, 1]; both or neither. None: nothing is known.
            gravity: unit vector down in the first head frame, (B, 3); needed with `motion` where gravity_condition is
                set.
            depth: (B, 16, h, w) of `inverse_depth_condition`; None: unknown.

        Returns:
            v of the video latents (B, F, C, h, w) or None, v of the motion latents (B, motion_channels, N) or None.

        Raises:
            ModelError: a shape that is not the configuration's, or a missing or unknown input.
        """
        c = self.config
        given = {"text": text, "video": video, "motion": motion, "t_video": t_video, "t_motion": t_motion}
        seen = VideoConditions(camera, prior, visibility, depth)
        check_inputs(c, {**given, "image": image, "pose": pose, "gravity": gravity, **seen._asdict()})
        if motion_only and motion is None:
            raise ModelError("motion_only, but no motion latents were given; pass motion and pose")
        time = self.time_embedding.conditioning(t_video, t_motion if c.num_motion_layers else None, c.latent_frames)
        tokens = self.patch_embed.text(text)
        x = Streams(text=tokens, video=tokens[:, :0], motion=None)
        if video is not None and image is not None:
            x = x._replace(video=self.patch_embed.video(video, image, seen))
        if motion is not None and pose is not None and self.motion_head is not None:
            x = x._replace(motion=self.motion_head.embed(motion, pose, gravity))
        rotary = (self.rotary_cos[: x.video.shape[1]], self.rotary_sin[: x.video.shape[1]])
        layout = None
        if c.interaction and video is not None and motion is not None:
            layout = Layout(c.text_length, c.latent_frames, c.tokens_per_frame, c.motion_length)
        for block in self.transformer_blocks[: c.num_motion_layers]:
            x = self._run(block, x, time, rotary, layout)
        motion_v = None if x.motion is None or self.motion_head is None else self.motion_head(x.motion, time)
        if motion_only or video is None:
            return None, motion_v
        x = x._replace(motion=None)
        for block in self.transformer_blocks[c.num_motion_layers :]:
            x = self._run(block, x, time, rotary, None)
        return self._video_prediction(x.video, time), motion_v

    def enable_gradient_checkpointing(self, enabled: bool = True) -> None:
        """Keep only the streams between blocks for the backward pass and compute each block again: less memory."""
        self.gradient_checkpointing = enabled

    def new_parameter_names(self) -> list[str]:
        """Parameters and persistent buffers that are not CogVideoX's: no pretrained checkpoint holds them."""
        return [name for name in self.state_dict() if NEW_PARTS.intersection(name.split("."))]

    def _rotary(self) -> tuple[Tensor, Tensor]:
        c = self.config
        return video_rotary(c.latent_frames, *c.patch_grid, c.head_dim, c.position_origin)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> EgoTwinTransformer:
        """What `.to()` and its like call: RoPE's tables stay float32 in a model of lower precision, as in diffusers."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        device = self.rotary_cos.device
        self.rotary_cos, self.rotary_sin = (table.to(device) for table in self._rotary())
        return self

    def _run(
        self, block: nn.Module, x: Streams, time: TimeConditioning, rotary: tuple[Tensor, Tensor], layout: Layout | None
    ) -> Streams:
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return checkpoint(block, x, time, rotary, layout, use_reentrant=False)
        return block(x, time, rotary, layout)

    def _video_prediction(self, tokens: Tensor, time: TimeConditioning) -> Tensor:
        patches = self.proj_out(self.norm_out(self.norm_final(tokens), time))
        c = self.config
        # (B, F, rows, columns, C, p, p): diffusers' order of a patch's numbers
        patches = patches.unflatten(1, (-1, *c.patch_grid))
        patches = patches.unflatten(-1, (c.latent_channels, c.patch_size, c.patch_size))
        return patches.permute(0, 1, 4, 2, 5, 3, 6).flatten(5, 6).flatten(3, 4)

    @torch.no_grad()
    def _start_at_zero(self) -> None:
        """AdaLN-zero: every block starts as the identity. What is new to a pretrained model starts without effect."""
        for module in self.modules():
            if isinstance(module, Modulation | OutputNorm):
                nn.init.zeros_(module.linear.weight)
        embed, time, head = self.patch_embed, self.time_embedding, self.motion_head
        silent = [self.proj_out, embed.camera_proj, embed.prior_proj, embed.depth_proj]
        silent += [] if head is None else [head.proj_out, head.gravity_proj]
        silent += [time.linear_1_motion] if self.config.motion_gate else []
        for layer in silent:
            if layer is not None:
                nn.init.zeros_(layer.weight)


def load_transformer(folder: Path, dtype: torch.dtype = torch.float32) -> EgoTwinTransformer:
    """The transformer of a component folder, on the CPU, in eval mode."""
    return load_component(folder, EgoTwinTransformer, EgoTwinConfig, dtype)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.xavier_uniform_(module.weight.flatten(1))
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def check_inputs(config: EgoTwinConfig, given: dict[str, Tensor | None]) -> None:
    """Shapes of what goes into the model, by `forward`'s names; `ModelError` names the first that does not fit."""
    c = config
    size = (c.latent_height, c.latent_width)
    shapes: dict[str, list[tuple[int, ...]]] = {
        "text": [(c.text_length, c.text_dim)],
        "video": [(c.latent_frames, c.latent_channels, *size)],
        "motion": [(c.motion_channels, c.motion_length)] if c.num_motion_layers else [],
        "t_video": [(), (c.latent_frames,)],
        "t_motion": [(), (c.motion_length,)],
        "image": [(c.latent_channels, *size)],
        "pose": [(c.motion_channels,)],
        "camera": [(c.latent_frames, c.camera_channels, *size)] if c.camera_condition else [],
        "prior": [(c.latent_frames, c.latent_channels, *size)] if c.prior_condition else [],
        "visibility": [(c.latent_frames, 1, *size)] if c.prior_condition else [],
        "gravity": [(3,)] if c.gravity_condition and c.num_motion_layers else [],
        "depth": [(DEPTH_CHANNELS, *size)] if c.depth_condition else [],
    }
    for name, value in given.items():
        if value is None:
            continue
        if not shapes[name]:
            raise ModelError(f"{name} was given to a model whose configuration has no use for it; leave it out")
        if tuple(value.shape[1:]) not in shapes[name]:
            wanted = " or ".join(f"({', '.join(['B', *map(str, shape)])})" for shape in shapes[name])
            raise ModelError(f"{name} has shape {tuple(value.shape)}; wanted {wanted}")
    if given["video"] is None and given["motion"] is None:
        raise ModelError("neither video nor motion latents were given; pass at least one")
    if (given["prior"] is None) != (given["visibility"] is None):
        raise ModelError("prior and visibility belong together; pass both or neither")
    needs = [("video", "image"), ("motion", "pose"), *([("video", "camera")] if c.camera_condition else [])]
    needs += [("motion", "gravity")] if c.gravity_condition else []
    for name, condition in needs:
        if given[name] is not None and given[condition] is None:
            raise ModelError(f"{name} latents need their condition: pass {condition} too")
