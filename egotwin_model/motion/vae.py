"""Causal motion VAE: 81 poses of motion features become 21 latents of 64 channels, and back (spec: "Motion VAE").

Latent 0 is the first pose's own and latent k sees poses up to 4k; decoded poses up to 4k see latents up to k. All
padding is at the start of the time axis, and every normalisation stays inside one time step: a norm over time would let
the future change the past (**our decision**; the paper says GroupNorm and causal, which together need this).

Inside, activations are channels-last (B, T, C), and a causal convolution is a linear layer over shifted copies, which
is twice as fast as `Conv1d` on a CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from egotwin_model.errors import ModelError
from egotwin_model.io.store import load_component
from egotwin_model.latents.distribution import LatentDistribution


@dataclass(frozen=True)
class MotionVAEConfig:
    """Sizes of a `MotionVAE`; the defaults are the paper's.

    Attributes:
        feature_dim: D of the motion features (288 for the head-centric 23 joints).
        latent_dim: channels of a latent, C_m.
        widths: channels of each block, fine to coarse. **Our decision**: 512, 1024, 1024, 2048 give the paper's ≈200 M.
        encoder_layers: ResNet layers in each DownBlock.
        decoder_layers: ResNet layers in each UpBlock.
        mid_layers: ResNet layers in each MidBlock.
        halvings: how many of the first blocks halve (decoder: double) time.
        norm_groups: groups of channels normalised together, inside one time step.
        linear_path: add a linear map between each latent and its block of frames to both networks, so that training
            starts from the best linear codec (`initialise_linear_path`). Off in the paper's model; small ones train in
            minutes with it.
    """

    feature_dim: int = 288
    latent_dim: int = 64
    widths: tuple[int, ...] = (512, 1024, 1024, 2048)
    encoder_layers: int = 4
    decoder_layers: int = 5
    mid_layers: int = 2
    halvings: int = 2
    norm_groups: int = 32
    linear_path: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # JSON gives lists
        if len(self.widths) < max(1, self.halvings) or any(width % self.norm_groups for width in self.widths):
            raise ModelError(
                f"motion VAE: widths {self.widths} must be at least {max(1, self.halvings)} numbers (halvings = "
                f"{self.halvings}), each divisible by norm_groups = {self.norm_groups}"
            )

    @property
    def temporal_compression_ratio(self) -> int:
        return 2**self.halvings

    @classmethod
    def paper(cls) -> MotionVAEConfig:
        """The paper's sizes: encoder 209 M and decoder 270 M parameters."""
        return cls()

    @classmethod
    def mini(cls) -> MotionVAEConfig:
        """The embedded model's: 4.2 M parameters in all. One group of channels: a third less time a training step."""
        return cls(
            widths=(96, 160, 160, 224),
            encoder_layers=2,
            decoder_layers=2,
            mid_layers=1,
            norm_groups=1,
            linear_path=True,
        )

    @classmethod
    def smoke(cls) -> MotionVAEConfig:
        """For tests of everything around it."""
        return cls(
            widths=(16, 16, 32, 32), encoder_layers=1, decoder_layers=1, mid_layers=1, norm_groups=4, linear_path=True
        )


class CausalConv(nn.Module):
    """1D convolution whose output k sees inputs up to step `stride` * k: (B, T, in) -> (B, ceil(T/stride), out).

    The kernel's last tap is the present; `weight` is (out, kernel * in), oldest tap first.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.linear = nn.Linear(kernel * in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        steps = x.shape[1]
        x = F.pad(x, (0, 0, self.kernel - 1, 0))
        return self.linear(torch.cat([x[:, tap : tap + steps : self.stride] for tap in range(self.kernel)], dim=-1))


class StepNorm(nn.Module):
    """GroupNorm over the channels of each time step by itself, (B, T, C)."""

    def __init__(self, groups: int, channels: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        if self.groups == 1:  # one fused call
            return F.layer_norm(x, x.shape[-1:], self.weight, self.bias)
        grouped = x.unflatten(-1, (self.groups, -1))
        return F.layer_norm(grouped, grouped.shape[-1:]).flatten(-2) * self.weight + self.bias


class ResNetLayer(nn.Module):
    """Two times norm, SiLU, causal convolution; added to the input, through a 1x1 where channels change."""

    def __init__(self, in_channels: int, out_channels: int, norm_groups: int) -> None:
        super().__init__()
        self.norm1 = StepNorm(norm_groups, in_channels)
        self.conv1 = CausalConv(in_channels, out_channels)
        self.norm2 = StepNorm(norm_groups, out_channels)
        self.conv2 = CausalConv(out_channels, out_channels)
        self.shortcut = nn.Identity() if in_channels == out_channels else nn.Linear(in_channels, out_channels)
        nn.init.trunc_normal_(self.conv2.linear.weight, std=0.1 * (3 * out_channels) ** -0.5)  # starts near identity
        nn.init.zeros_(self.conv2.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x)))
        return self.shortcut(x) + self.conv2(F.silu(self.norm2(y)))


class TimeDoubling(nn.Module):
    """Every step but the first is repeated, then a causal convolution: (B, T, C) -> (B, 2T - 1, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = CausalConv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.repeat_interleave(2, dim=1)[:, 1:])


def _layers(in_channels: int, out_channels: int, count: int, norm_groups: int) -> list[nn.Module]:
    channels = [in_channels] + [out_channels] * count
    return [ResNetLayer(before, after, norm_groups) for before, after in pairwise(channels)]


def fold_time(features: Tensor, ratio: int) -> Tensor:
    """The frames that become one latent, side by side: (B, 1 + ratio k, D) to (B, 1 + k, ratio D).

    The first latent's block is frame 0, repeated.
    """
    padded = torch.cat([features[:, :1].expand(-1, ratio - 1, -1), features], dim=1)
    return padded.unflatten(1, (-1, ratio)).flatten(2)


def unfold_time(blocks: Tensor, ratio: int) -> Tensor:
    """Inverse of `fold_time`: of the first block the last frame counts."""
    return blocks.unflatten(2, (ratio, -1)).flatten(1, 2)[:, ratio - 1 :]


class MotionEncoder(nn.Module):
    """Motion features (B, T, D), T = 1 + 4k, to means and log-variances (B, 2C, 1 + k)."""

    def __init__(self, config: MotionVAEConfig) -> None:
        super().__init__()
        widths, groups = config.widths, config.norm_groups
        self.conv_in = CausalConv(config.feature_dim, widths[0])
        self.down_blocks = nn.ModuleList()
        for index, (before, width) in enumerate(pairwise((widths[0], *widths))):
            layers = _layers(before, width, config.encoder_layers, groups)
            halve = [CausalConv(width, width, kernel=4, stride=2)] if index < config.halvings else []
            self.down_blocks.append(nn.Sequential(*layers, *halve))
        self.mid_block = nn.Sequential(*_layers(widths[-1], widths[-1], config.mid_layers, groups))
        self.norm_out = StepNorm(groups, widths[-1])
        self.conv_out = CausalConv(widths[-1], 2 * config.latent_dim)
        self.ratio = config.temporal_compression_ratio
        self.linear_path: nn.Linear | None = None
        if config.linear_path:
            self.linear_path = nn.Linear(self.ratio * config.feature_dim, config.latent_dim)

    def forward(self, features: Tensor) -> Tensor:
        x = self.conv_in(features)
        for block in self.down_blocks:
            x = block(x)
        x = self.mid_block(x)
        out = self.conv_out(F.silu(self.norm_out(x)))
        if self.linear_path is not None:
            mean, logvar = out.chunk(2, dim=-1)
            out = torch.cat([mean + self.linear_path(fold_time(features, self.ratio)), logvar], dim=-1)
        return out.transpose(1, 2)


class MotionDecoder(nn.Module):
    """Latents (B, C, t) to motion features (B, 1 + 4(t - 1), D)."""

    def __init__(self, config: MotionVAEConfig) -> None:
        super().__init__()
        widths, groups = config.widths[::-1], config.norm_groups
        self.conv_in = CausalConv(config.latent_dim, widths[0])
        self.mid_block = nn.Sequential(*_layers(widths[0], widths[0], config.mid_layers, groups))
        self.up_blocks = nn.ModuleList()
        for index, (before, width) in enumerate(pairwise((widths[0], *widths))):
            layers = _layers(before, width, config.decoder_layers, groups)
            double = [TimeDoubling(width)] if index < config.halvings else []
            self.up_blocks.append(nn.Sequential(*layers, *double))
        self.norm_out = StepNorm(groups, widths[-1])
        self.conv_out = CausalConv(widths[-1], config.feature_dim)
        self.ratio = config.temporal_compression_ratio
        self.linear_path: nn.Linear | None = None
        if config.linear_path:
            self.linear_path = nn.Linear(config.latent_dim, self.ratio * config.feature_dim)

    def forward(self, latents: Tensor) -> Tensor:
        x = self.mid_block(self.conv_in(latents.transpose(1, 2)))
        for block in self.up_blocks:
            x = block(x)
        out = self.conv_out(F.silu(self.norm_out(x)))
        if self.linear_path is not None:
            out = out + unfold_time(self.linear_path(latents.transpose(1, 2)), self.ratio)
        return out


class MotionVAE(nn.Module):
    """Standardised motion features to latents and back. `encoder` and `decoder` map tensors to tensors (for ONNX)."""

    def __init__(self, config: MotionVAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = MotionEncoder(config)
        self.decoder = MotionDecoder(config)

    def forward(self, features: Tensor, noise: Tensor, offset: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The training pass.

        Args:
            features: (B, T, D). noise: unit noise (B, C, 1 + k) of the posterior.
            offset: (B, C, 1 + k) error added to the decoder's latents, as a fraction of their root mean square.

        Returns:
            The reconstruction (B, T, D) and the latents' means and log-variances (B, 2C, 1 + k), what
            `LatentDistribution` takes.
        """
        moments = self.encoder(features)
        latents = LatentDistribution(moments).at(noise)
        if offset is not None:
            latents = latents + offset * latents.detach().square().mean((1, 2), keepdim=True).sqrt()
        return self.decoder(latents), moments

    def encode(self, features: Tensor) -> LatentDistribution:
        """Features (B, T, D), T = 1 + 4k, to a normal over latents (B, C, 1 + k): `.mean`, `.logvar`, `.sample()`.

        Raises:
            ModelError: D is not the model's or T does not fit the compression.
        """
        ratio = self.config.temporal_compression_ratio
        if features.ndim != 3 or features.shape[2] != self.config.feature_dim or (features.shape[1] - 1) % ratio:
            raise ModelError(
                f"motion VAE: got features {tuple(features.shape)}, wanted (batch, 1 + {ratio}k, "
                f"{self.config.feature_dim})"
            )
        return LatentDistribution(self.encoder(features))

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (B, C, t) to features (B, 1 + 4(t - 1), D).

        Raises:
            ModelError: C is not the model's.
        """
        if latents.ndim != 3 or latents.shape[1] != self.config.latent_dim:
            raise ModelError(
                f"motion VAE: got latents {tuple(latents.shape)}, wanted (batch, {self.config.latent_dim}, time)"
            )
        return self.decoder(latents)


def load_motion_vae(folder: Path) -> MotionVAE:
    """The motion VAE of a component folder, on the CPU, float32, in eval mode."""
    return load_component(folder, MotionVAE, MotionVAEConfig)


@torch.no_grad()
def initialise_linear_path(vae: MotionVAE, features: Tensor, groups: Mapping[str, tuple[slice, ...]]) -> None:
    """Start from the best linear codec, in place: principal components of `features` as the loss weighs them.

    Each latent is scaled by the square root of its component's standard deviation: the strong components, such as the
    head's path, stay strong for the diffusion model, and the weak ones stay above the posterior's noise.

    Args:
        features: (N, T, D) standardised training features.
        groups: the loss's groups, each of which counts the same.
    """
    encoder, decoder, ratio = vae.encoder.linear_path, vae.decoder.linear_path, vae.config.temporal_compression_ratio
    if encoder is None or decoder is None:
        raise ModelError("this motion VAE has no linear path; set linear_path in its configuration")
    weight = torch.zeros(features.shape[-1], dtype=torch.float64)
    for places in groups.values():
        size = sum(place.stop - place.start for place in places)
        for place in places:
            weight[place] = size**-0.5
    weight = weight.repeat(ratio)
    blocks = fold_time(features, ratio).flatten(0, 1).double()
    mean = blocks.mean(0)
    variances, directions = torch.linalg.eigh(torch.cov(((blocks - mean) * weight).T))  # ascending
    variances, directions = variances[-vae.config.latent_dim :], directions[:, -vae.config.latent_dim :]
    scale = variances.clamp_min(1e-12) ** 0.25 * variances[-1] ** -0.25  # the strongest component keeps unit scale
    std = variances.clamp_min(1e-12).sqrt()
    to_latent = (directions * (scale / std)).T * weight
    encoder.weight.copy_(to_latent)
    encoder.bias.copy_(-to_latent @ mean)
    decoder.weight.copy_((directions * (std / scale)) / weight[:, None])
    decoder.bias.copy_(mean)
    for layer in (vae.encoder.conv_out.linear, vae.decoder.conv_out.linear):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    vae.encoder.conv_out.linear.bias[vae.config.latent_dim :] = -6.0


def motion_vae_loss(
    features: Tensor,
    reconstruction: Tensor,
    distribution: LatentDistribution,
    groups: Mapping[str, tuple[slice, ...]],
    kl_weight: float = 1e-4,
) -> dict[str, Tensor]:
    """The paper's loss: mean over the feature groups of (mean squared error inside the group + kl_weight * KL).

    Args:
        features: (B, T, D) standardised.
        reconstruction: (B, T, D).
        distribution: what `MotionVAE.encode` gave.
        groups: group name to its places in the feature vector (`HeadCentric().groups`).
        kl_weight: the paper's lambda. **Our decision**: KL is the mean over latent elements, as errors are means.

    Returns:
        "loss" (with gradient), "kl" and one error per group, scalars in float32.
    """
    terms = group_errors(reconstruction.float() - features.float(), groups)
    kl = distribution.kl().mean()
    loss = torch.stack([error + kl_weight * kl for error in terms.values()]).mean()
    return {"loss": loss, "kl": kl, **terms}


def group_errors(error: Tensor, groups: Mapping[str, tuple[slice, ...]]) -> dict[str, Tensor]:
    """Mean square of `error` (..., D) inside each feature group, scalars."""
    square = error.square()
    return {name: torch.cat([square[..., part] for part in places], dim=-1).mean() for name, places in groups.items()}
