"""The triple-branch diffusion transformer (Section 3.3): text, video and motion over one joint attention.

Text and video share all weights but AdaLN's; their parameters carry diffusers' CogVideoX names and shapes. The motion
branch is narrower, sits in the lower blocks only, and projects to and from the joint attention's heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from egotwin_model.attention import attend, interaction_mask
from egotwin_model.config import EgoTwinConfig
from egotwin_model.positions import rotate, sinusoid, video_rotary, video_sinusoid


class TimestepEmbedding(nn.Module):
    """Two-layer MLP over sinusoids of t_v; t_m's sinusoid enters through its own half of the first layer's input."""

    def __init__(self, dim: int, time_embed_dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.linear_1 = nn.Linear(dim, time_embed_dim)
        self.linear_1_motion = nn.Linear(dim, time_embed_dim, bias=False)
        self.linear_2 = nn.Linear(time_embed_dim, time_embed_dim)

    def forward(self, t_video: Tensor, t_motion: Tensor) -> Tensor:
        weight = self.linear_1.weight.dtype
        video = sinusoid(t_video, self.dim, cosine_first=True).to(weight)
        motion = sinusoid(t_motion, self.dim, cosine_first=True).to(weight)
        hidden = self.linear_1(video) + self.linear_1_motion(motion)
        return self.linear_2(F.silu(hidden))


class Modulation(nn.Module):
    """LayerNorm whose shift, scale and gate come from the timestep embedding, one triple per `num_groups`."""

    def __init__(self, time_embed_dim: int, dim: int, num_groups: int) -> None:
        super().__init__()
        self.num_groups = num_groups
        self.linear = nn.Linear(time_embed_dim, 3 * num_groups * dim)
        self.norm = nn.LayerNorm(dim, eps=1e-5)

    def forward(self, groups: list[Tensor], time: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Normalised and modulated groups [(B, L_i, dim)], and their gates [(B, 1, dim)]."""
        parts = self.linear(F.silu(time))[:, None].chunk(3 * self.num_groups, dim=-1)
        hidden = []
        for index, group in enumerate(groups):
            shift, scale = parts[3 * index], parts[3 * index + 1]
            hidden.append(self.norm(group) * (1 + scale) + shift)
        return hidden, [parts[3 * index + 2] for index in range(len(groups))]


class FeedForward(nn.Module):
    """Linear, GELU (tanh), Linear, under diffusers' names ``net.0.proj`` and ``net.2``."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.net = nn.ModuleList(
            [nn.ModuleDict({"proj": nn.Linear(dim, 4 * dim)}), nn.Identity(), nn.Linear(4 * dim, dim)]
        )

    def forward(self, x: Tensor) -> Tensor:
        expand, _, contract = self.net
        return contract(F.gelu(expand["proj"](x), approximate="tanh"))  # type: ignore[index, no-any-return]


class Projections(nn.Module):
    """Queries, keys, values and output of one branch, with per-head LayerNorm of queries and keys."""

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_q = nn.LayerNorm(head_dim, eps=1e-6)
        self.norm_k = nn.LayerNorm(head_dim, eps=1e-6)
        self.to_q = nn.Linear(dim, heads * head_dim)
        self.to_k = nn.Linear(dim, heads * head_dim)
        self.to_v = nn.Linear(dim, heads * head_dim)
        self.to_out = nn.ModuleList([nn.Linear(heads * head_dim, dim)])

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, L, dim) to three (B, heads, L, head_dim)."""
        layers = (self.to_q, self.to_k, self.to_v)
        q, k, v = (layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in layers)
        return self.norm_q(q), self.norm_k(k), v

    def out(self, x: Tensor) -> Tensor:
        """(B, heads, L, head_dim) to (B, L, dim)."""
        return self.to_out[0](x.transpose(1, 2).flatten(2))


class MotionBranch(nn.Module):
    """One block's motion side: own AdaLN, projections to the joint heads, own MLP."""

    def __init__(self, config: EgoTwinConfig) -> None:
        super().__init__()
        width = config.motion_width
        self.norm1 = Modulation(config.time_embed_dim, width, 1)
        self.attn1 = Projections(width, config.num_heads, config.head_dim)
        self.norm2 = Modulation(config.time_embed_dim, width, 1)
        self.ff = FeedForward(width)


@dataclass
class Streams:
    """The token streams between blocks, (B, L, dim) each; an absent modality has length 0 or is None."""

    text: Tensor
    video: Tensor
    motion: Tensor | None


class Block(nn.Module):
    """Joint attention and MLPs over text and video, and over motion where the block has a motion side."""

    def __init__(self, config: EgoTwinConfig, *, with_motion: bool) -> None:
        super().__init__()
        self.norm1 = Modulation(config.time_embed_dim, config.width, 2)
        self.attn1 = Projections(config.width, config.num_heads, config.head_dim)
        self.norm2 = Modulation(config.time_embed_dim, config.width, 2)
        self.ff = FeedForward(config.width)
        self.motion = MotionBranch(config) if with_motion else None

    def forward(self, x: Streams, time: Tensor, rotary: tuple[Tensor, Tensor], mask: Tensor | None) -> Streams:
        return self._feed_forward(self._attention(x, time, rotary, mask), time)

    def _attention(self, x: Streams, time: Tensor, rotary: tuple[Tensor, Tensor], mask: Tensor | None) -> Streams:
        lengths = [x.text.shape[1], x.video.shape[1]]
        (video, text), (video_gate, text_gate) = self.norm1(
            [x.video, x.text], time
        )  # diffusers' order of AdaLN's parts
        q, k, v = self.attn1.project(torch.cat([text, video], dim=1))
        q, k = (torch.cat([z[:, :, : lengths[0]], rotate(z[:, :, lengths[0] :], *rotary)], dim=2) for z in (q, k))
        motion = x.motion
        if motion is None or self.motion is None:
            text_out, video_out = self.attn1.out(attend(q, k, v, mask)).split(lengths, dim=1)
        else:
            (hidden,), (gate,) = self.motion.norm1([motion], time)
            q, k, v = (
                torch.cat(pair, dim=2) for pair in zip((q, k, v), self.motion.attn1.project(hidden), strict=True)
            )
            joint, own = attend(q, k, v, mask).split([sum(lengths), motion.shape[1]], dim=2)
            text_out, video_out = self.attn1.out(joint).split(lengths, dim=1)
            motion = motion + gate * self.motion.attn1.out(own)
        return Streams(x.text + text_gate * text_out, x.video + video_gate * video_out, motion)

    def _feed_forward(self, x: Streams, time: Tensor) -> Streams:
        lengths = [x.text.shape[1], x.video.shape[1]]
        (video, text), (video_gate, text_gate) = self.norm2([x.video, x.text], time)
        text_out, video_out = self.ff(torch.cat([text, video], dim=1)).split(lengths, dim=1)
        motion = x.motion
        if motion is not None and self.motion is not None:
            (hidden,), (gate,) = self.motion.norm2([motion], time)
            motion = motion + gate * self.motion.ff(hidden)
        return Streams(x.text + text_gate * text_out, x.video + video_gate * video_out, motion)


class OutputNorm(nn.Module):
    """LayerNorm with shift and scale from the timestep embedding (diffusers' ``norm_out``)."""

    def __init__(self, time_embed_dim: int, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(time_embed_dim, 2 * dim)
        self.norm = nn.LayerNorm(dim, eps=1e-5)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        shift, scale = self.linear(F.silu(time))[:, None].chunk(2, dim=-1)
        return self.norm(x) * (1 + scale) + shift


class PatchEmbed(nn.Module):
    """Latent patches and text states to tokens of one width, with the position table added (text's part is zero)."""

    pos_embedding: Tensor

    def __init__(self, config: EgoTwinConfig) -> None:
        super().__init__()
        c = config
        self.proj = nn.Conv2d(2 * c.latent_channels, c.width, c.patch_size, c.patch_size)
        self.text_proj = nn.Linear(c.text_dim, c.width)
        rows, columns = c.latent_height // c.patch_size, c.latent_width // c.patch_size
        table = torch.zeros(1, c.text_length + c.video_length, c.width)
        table[0, c.text_length :] = video_sinusoid(c.latent_frames, rows, columns, c.width)
        self.register_buffer("pos_embedding", table, persistent=True)

    def text(self, states: Tensor) -> Tensor:
        """(B, L, text_dim) to (B, L, width)."""
        return self.text_proj(states) + self.pos_embedding[:, : states.shape[1]]

    def video(self, latents: Tensor) -> Tensor:
        """(B, F, 2C, h, w) to (B, F·tokens, width)."""
        patches = self.proj(latents.flatten(0, 1)).flatten(2).transpose(1, 2)
        tokens = patches.unflatten(0, latents.shape[:2]).flatten(1, 2)
        return tokens + self.pos_embedding[:, -tokens.shape[1] :]


class MotionHead(nn.Module):
    """Motion latents to tokens and back: noisy latent, the clean latent of token 0 (P⁰) and its 0/1 mask go in."""

    pos_embedding: Tensor

    def __init__(self, config: EgoTwinConfig) -> None:
        super().__init__()
        self.proj_in = nn.Linear(2 * config.motion_channels + 1, config.motion_width)
        table = sinusoid(torch.arange(config.motion_length), config.motion_width)
        self.register_buffer("pos_embedding", table, persistent=False)
        self.norm_final = nn.LayerNorm(config.motion_width, eps=1e-5)
        self.norm_out = OutputNorm(config.time_embed_dim, config.motion_width)
        self.proj_out = nn.Linear(config.motion_width, config.motion_channels)

    def embed(self, noisy: Tensor, pose: Tensor | None) -> Tensor:
        """Noisy latents (B, C, N) and the clean latent of P⁰ (B, C) to (B, N, motion_width)."""
        assert pose is not None, "motion tokens are conditioned on P⁰: pass its latent as pose"
        first = torch.zeros_like(noisy[:, :1])
        first[..., 0] = 1.0
        tokens = torch.cat([noisy, pose[..., None] * first, first], dim=1).transpose(1, 2)
        return self.proj_in(tokens) + self.pos_embedding

    def forward(self, tokens: Tensor, time: Tensor) -> Tensor:
        return self.proj_out(self.norm_out(self.norm_final(tokens), time)).transpose(1, 2)


class EgoTwinTransformer(nn.Module):
    """Predicts v for the video and motion latents from both noisy latents, the goal, I⁰ and P⁰ (Section 3.3).

    v-prediction is the core for both modalities (spec, "Asynchronous diffusion"); the sampler derives ε from it.
    """

    mask: Tensor
    rotary_cos: Tensor
    rotary_sin: Tensor

    def __init__(self, config: EgoTwinConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        self.patch_embed = PatchEmbed(c)
        self.time_embedding = TimestepEmbedding(c.width, c.time_embed_dim)
        self.transformer_blocks = nn.ModuleList(
            Block(c, with_motion=layer < c.num_motion_layers) for layer in range(c.num_layers)
        )
        self.norm_final = nn.LayerNorm(c.width, eps=1e-5)
        self.norm_out = OutputNorm(c.time_embed_dim, c.width)
        self.proj_out = nn.Linear(c.width, c.patch_size**2 * c.latent_channels)
        self.motion_head = MotionHead(c)
        rows, columns = c.latent_height // c.patch_size, c.latent_width // c.patch_size
        cos, sin = video_rotary(c.latent_frames, rows, columns, c.head_dim)
        self.register_buffer("rotary_cos", cos, persistent=False)
        self.register_buffer("rotary_sin", sin, persistent=False)
        mask = interaction_mask(c.text_length, c.latent_frames, c.tokens_per_frame, c.motion_length)
        self.register_buffer("mask", mask if c.interaction else torch.ones_like(mask), persistent=False)
        self.apply(_initialise)
        for module in self.modules():  # AdaLN-zero: every block starts as the identity
            if isinstance(module, Modulation | OutputNorm):
                nn.init.zeros_(module.linear.weight)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.motion_head.proj_out.weight)

    def forward(
        self,
        text: Tensor,
        video: Tensor | None,
        motion: Tensor | None,
        t_video: Tensor,
        t_motion: Tensor,
        image: Tensor | None,
        pose: Tensor | None,
        *,
        motion_only: bool = False,
    ) -> tuple[Tensor | None, Tensor | None]:
        """One evaluation.

        Args:
            text: (B, text_length, text_dim) text states.
            video: noisy latents (B, F, C, h, w), or None: no video tokens at all (stage 2).
            motion: noisy latents (B, motion_channels, motion_length), or None: no motion tokens.
            t_video, t_motion: (B,) timesteps in [0, 999].
            image: clean latent of I⁰, (B, C, h, w); needed with `video`.
            pose: clean latent of P⁰, (B, motion_channels); needed with `motion`.
            motion_only: stop after the last block with a motion side; no video prediction.

        Returns:
            v of the video latents (B, F, C, h, w) or None, v of the motion latents (B, motion_channels, motion_length)
            or None.
        """
        time = self.time_embedding(t_video, t_motion)
        tokens = self.patch_embed.text(text)
        x = Streams(
            text=tokens,
            video=tokens[:, :0] if video is None else self.patch_embed.video(self._with_image(video, image)),
            motion=None if motion is None else self.motion_head.embed(motion, pose),
        )
        rotary = (self.rotary_cos[: x.video.shape[1]], self.rotary_sin[: x.video.shape[1]])
        mask = self.mask if video is not None and motion is not None and self.config.interaction else None
        for block in self.transformer_blocks[: self.config.num_motion_layers]:
            x = block(x, time, rotary, mask)
        motion_v = None if x.motion is None else self.motion_head(x.motion, time)
        if motion_only or video is None:
            return None, motion_v
        x.motion = None
        for block in self.transformer_blocks[self.config.num_motion_layers :]:
            x = block(x, time, rotary, None)
        return self._video_prediction(x, time), motion_v

    def _with_image(self, video: Tensor, image: Tensor | None) -> Tensor:
        """I⁰'s latent concatenated on channels: in frame 0 with zeros after it, or in every frame ("tile")."""
        assert image is not None, "video tokens are conditioned on I⁰: pass its latent as image"
        condition = image[:, None].expand_as(video)
        if self.config.image_condition == "first":
            condition = torch.cat([condition[:, :1], torch.zeros_like(video[:, 1:])], dim=1)
        return torch.cat([video, condition], dim=2)

    def _video_prediction(self, x: Streams, time: Tensor) -> Tensor:
        tokens = self.norm_final(torch.cat([x.text, x.video], dim=1))[:, x.text.shape[1] :]
        patches = self.proj_out(self.norm_out(tokens, time))
        c = self.config
        rows, columns, p = c.latent_height // c.patch_size, c.latent_width // c.patch_size, c.patch_size
        # (B, F, rows, columns, C, p, p): diffusers' order of a patch's numbers
        patches = patches.unflatten(1, (-1, rows, columns)).unflatten(-1, (c.latent_channels, p, p))
        return patches.permute(0, 1, 4, 2, 5, 3, 6).flatten(5, 6).flatten(3, 4)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.xavier_uniform_(module.weight.flatten(1))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
