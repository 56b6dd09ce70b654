"""Causal video VAE of the mini model, called the same way as diffusers' ``AutoencoderKLCogVideoX``.

41 frames become 11 latents: latent 0 is the first frame's own, latent k sees frames up to 4k and decoded frames up to
4k see latents up to k (spec: task and sizes). Inside, activations are channels-last (B, T, H, W, C), so that linear
layers need no transposes and 3x3 convolutions run in the memory format CPUs like.

Every normalisation is per position: a norm over time would let the future change the past.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from egotwin_model.errors import ModelError
from egotwin_model.io.files import read_json
from egotwin_model.io.modules import without_memory
from egotwin_model.io.store import CONFIG, load_component, load_weights
from egotwin_model.latents.distribution import LatentDistribution
from egotwin_model.video.patches import (
    fold,
    fold_colours,
    group_frames,
    rows_by_colour,
    unfold,
    unfold_colours,
)
from egotwin_model.video.prior_blend import PriorBlend

INITIAL_LOGVAR = -5.0


@dataclass(frozen=True)
class VideoVAEConfig:
    """Sizes of a `CausalVideoVAE`; the defaults are the mini model's (64 px -> 8 x 8 latents of 16 channels).

    Widths and blocks are listed in the order data flows: the encoder's fine to coarse, the decoder's coarse to fine.
    The number of resolutions sets how many pixels the first layer folds: spatial_compression_ratio / 2^(resolutions-1).

    Attributes:
        prior_condition: the decoder takes what is known of the video beforehand (`prior_blend`), for instance views of
            a scene memory.
    """

    in_channels: int = 3
    latent_channels: int = 16
    temporal_compression_ratio: int = 4
    spatial_compression_ratio: int = 8
    encoder_widths: tuple[int, ...] = (64, 160)
    encoder_blocks: tuple[int, ...] = (2, 2)
    decoder_widths: tuple[int, ...] = (256, 80)
    decoder_blocks: tuple[int, ...] = (4, 3)
    expansion: int = 2
    scaling_factor: float = 1.0
    prior_condition: bool = False

    def __post_init__(self) -> None:
        for field in ("encoder_widths", "encoder_blocks", "decoder_widths", "decoder_blocks"):
            object.__setattr__(self, field, tuple(getattr(self, field)))  # JSON gives lists
        lengths = {
            len(self.encoder_widths),
            len(self.encoder_blocks),
            len(self.decoder_widths),
            len(self.decoder_blocks),
        }
        if len(lengths) != 1 or not self.encoder_widths:
            raise ModelError(
                f"video VAE: encoder and decoder widths and blocks need one length, got {self.encoder_widths}, "
                f"{self.encoder_blocks}, {self.decoder_widths}, {self.decoder_blocks}"
            )
        if self.spatial_compression_ratio % 2 ** (len(self.encoder_widths) - 1):
            raise ModelError(
                f"video VAE: {len(self.encoder_widths)} resolutions cannot give spatial compression "
                f"{self.spatial_compression_ratio}; it must be a multiple of {2 ** (len(self.encoder_widths) - 1)}"
            )

    @property
    def patch_size(self) -> int:
        """Side of the pixel patch that the first and last layers fold."""
        return self.spatial_compression_ratio // 2 ** (len(self.encoder_widths) - 1)

    @property
    def patch_channels(self) -> int:
        """Numbers in one folded patch: time x patch x patch x colours."""
        return self.temporal_compression_ratio * self.patch_size**2 * self.in_channels

    @property
    def block_channels(self) -> int:
        """Numbers in the block of pixels that becomes one latent position: time x space x space x colours."""
        return self.temporal_compression_ratio * self.spatial_compression_ratio**2 * self.in_channels


class EncoderOutput(NamedTuple):
    latent_dist: LatentDistribution


class DecoderOutput(NamedTuple):
    sample: Tensor


class CausalBlock(nn.Module):
    """Residual block: a 3x3 convolution per channel, then a hidden layer on each position, now and one step before.

    Convolving each channel alone and mixing channels in the hidden layer learned faster per CPU second than full 3x3
    convolutions: 21.0 against 20.4 dB after 80 s of one core on moving textures, both from the same linear start.
    """

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(2 * width, expansion * width)
        self.out = nn.Linear(expansion * width, width)
        nn.init.trunc_normal_(self.out.weight, std=0.2 * (expansion * width) ** -0.5)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        b, t, h, w, c = x.shape
        y = self.spatial(x.reshape(b * t, h, w, c).permute(0, 3, 1, 2))  # a channels-last view, no copy
        y = self.norm(y.permute(0, 2, 3, 1).reshape(b, t, h, w, c))
        past = torch.cat([y[:, :1], y[:, :-1]], dim=1)  # the first step is its own past
        return x + self.out(F.silu(self.hidden(torch.cat([past, y], dim=-1))))


def _stages(widths: tuple[int, ...], counts: tuple[int, ...], expansion: int) -> nn.ModuleList:
    """Blocks in a row for each resolution, coarser ones wider."""
    return nn.ModuleList(
        nn.Sequential(*[CausalBlock(width, expansion) for _ in range(count)])
        for width, count in zip(widths, counts, strict=True)
    )


class VideoEncoder(nn.Module):
    """Video (B, 3, F, H, W) in [-1, 1] -> means and log-variances (B, 2C, 1 + (F-1)/4, H/8, W/8).

    The means are a linear function of each 4 x 8 x 8 block of pixels (`shortcut`) plus what the blocks add to it.
    """

    def __init__(self, config: VideoVAEConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.encoder_widths
        self.conv_in = nn.Linear(config.patch_channels, widths[0])
        self.stages = _stages(widths, config.encoder_blocks, config.expansion)
        self.downsamplers = nn.ModuleList(nn.Linear(4 * a, b) for a, b in pairwise(widths))
        self.norm_out = nn.LayerNorm(widths[-1])
        self.conv_out = nn.Linear(widths[-1], 2 * config.latent_channels)
        self.shortcut = nn.Linear(config.block_channels, config.latent_channels)
        nn.init.trunc_normal_(self.conv_out.weight, std=0.1 * widths[-1] ** -0.5)
        nn.init.constant_(self.conv_out.bias[config.latent_channels :], INITIAL_LOGVAR)

    def forward(self, video: Tensor) -> Tensor:
        ratio = self.config.temporal_compression_ratio
        pixels = group_frames(video, ratio)
        linear = self.shortcut(fold(pixels, ratio, self.config.spatial_compression_ratio))
        x = self.conv_in(fold(pixels, ratio, self.config.patch_size))
        for i, stage in enumerate(self.stages):
            if i:
                x = self.downsamplers[i - 1](fold(x, 1, 2))
            x = stage(x)
        mean, logvar = self.conv_out(self.norm_out(x)).chunk(2, dim=-1)
        return torch.cat([linear + mean, logvar], dim=-1).permute(0, 4, 1, 2, 3)


class VideoDecoder(nn.Module):
    """Latents (B, C, T, h, w) -> video (B, 3, 1 + 4(T-1), 8h, 8w), about [-1, 1] and not clamped.

    The video is a linear function of each latent (`shortcut`) plus what the blocks add to it. With `prior_condition`
    it is blended, pixel by pixel, with a prior (B, 3, F, H, W) in [-1, 1] of visibility (B, 1, F, H, W) in [0, 1],
    which the finest blocks see too; None of either: nothing is visible.
    """

    def __init__(self, config: VideoVAEConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.decoder_widths
        self.conv_in = nn.Linear(config.latent_channels, widths[0])
        self.stages = _stages(widths, config.decoder_blocks, config.expansion)
        self.upsamplers = nn.ModuleList(nn.Linear(a, 4 * b) for a, b in pairwise(widths))
        self.norm_out = nn.LayerNorm(widths[-1])
        self.conv_out = nn.Linear(widths[-1], config.patch_channels)
        self.shortcut = nn.Linear(config.latent_channels, config.block_channels)
        nn.init.trunc_normal_(self.conv_out.weight, std=0.1 * widths[-1] ** -0.5)
        if config.prior_condition:
            patch = config.patch_channels // config.in_channels
            self.prior_blend = PriorBlend(widths[-1], patch, config.in_channels)

    def forward(self, latents: Tensor, prior: Tensor | None = None, visibility: Tensor | None = None) -> Tensor:
        c = self.config
        ratio, patch, last = c.temporal_compression_ratio, c.patch_size, len(self.stages) - 1
        seen = self._seen(latents, prior, visibility)
        z = latents.permute(0, 2, 3, 4, 1)
        linear = self._pixels(self.shortcut, z, c.spatial_compression_ratio)
        x = self.conv_in(z)
        for i, stage in enumerate(self.stages):
            if i:
                x = unfold(self.upsamplers[i - 1](x), 1, 2)
            if i == last and seen is not None:
                x = x + self.prior_blend.features(seen)
            x = stage(x)
        x = self.norm_out(x)
        pixels = linear + self._pixels(self.conv_out, x, patch)
        if seen is not None:
            pixels = self.prior_blend(x, pixels, seen)
        return unfold_colours(pixels, ratio, patch)

    def _pixels(self, layer: nn.Linear, x: Tensor, side: int) -> Tensor:
        """A layer's blocks of pixels with `side`, in patches by colour (B, T, H, W, C, patch): rows of its weights are
        reordered, which costs less than to reorder pixels."""
        c, (b, t, h, w, _) = self.config, x.shape
        how = c.temporal_compression_ratio, side, c.patch_size, c.in_channels
        blocks = F.linear(x, rows_by_colour(layer.weight, *how), rows_by_colour(layer.bias, *how))
        n = side // c.patch_size
        blocks = blocks.reshape(b, t, h, w, n, n, c.patch_channels).permute(0, 1, 2, 4, 3, 5, 6)
        return blocks.reshape(b, t, h * n, w * n, c.in_channels, -1)

    def _seen(self, latents: Tensor, prior: Tensor | None, visibility: Tensor | None) -> Tensor | None:
        """A prior times its visibility, and that, in patches by colour; None where nothing is visible.

        Raises:
            ModelError: a decoder that takes no prior, or a prior of another size than the output.
        """
        if prior is None or visibility is None:
            return None
        c, (time, height, width) = self.config, latents.shape[2:]
        if not c.prior_condition:
            raise ModelError("this video VAE takes no prior (prior_condition is false); decode without one")
        ratio, side = c.temporal_compression_ratio, c.spatial_compression_ratio
        wanted = 1 + ratio * (time - 1), height * side, width * side
        if prior.shape[1:] != (c.in_channels, *wanted) or visibility.shape[1:] != (1, *wanted):
            raise ModelError(
                f"video VAE: prior {tuple(prior.shape)} and visibility {tuple(visibility.shape)}; wanted (B, "
                f"{c.in_channels}, F, H, W) and (B, 1, F, H, W) with F, H, W = {', '.join(map(str, wanted))}"
            )
        return fold_colours(torch.cat([visibility * prior, visibility], dim=1), ratio, c.patch_size)


class CausalVideoVAE(nn.Module):
    """The mini model's video codec; `encode` and `decode` have the call shapes of diffusers' `AutoencoderKLCogVideoX`.

    `encoder` and `decoder` map tensors to tensors and are what is exported to ONNX.
    """

    def __init__(self, config: VideoVAEConfig | None = None) -> None:
        super().__init__()
        self.config = config or VideoVAEConfig()
        self.encoder = VideoEncoder(self.config)
        self.decoder = VideoDecoder(self.config)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self,
        video: Tensor,
        noise: Tensor,
        offset: Tensor | None = None,
        prior: Tensor | None = None,
        visibility: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The training pass.

        Args:
            video: (B, 3, F, H, W). noise: unit normal (B, C, 1 + k, H/8, W/8).
            offset: added to the latents. prior, visibility: as `decode` takes them.

        Returns:
            The reconstruction, and the latents' means and log-variances (B, 2C, 1 + k, H/8, W/8), what
            `LatentDistribution` takes.
        """
        moments = self.encoder(video)
        latents = LatentDistribution(moments).at(noise)
        return self.decoder(latents if offset is None else latents + offset, prior, visibility), moments

    def encode(self, x: Tensor, return_dict: bool = True) -> Any:
        """Video (B, 3, F, H, W) in [-1, 1], F = 1 + 4k -> `.latent_dist` over (B, C, 1 + k, H/8, W/8).

        Raises:
            ModelError: the number of frames or the image size does not fit the compression.
        """
        time, space = self.config.temporal_compression_ratio, self.config.spatial_compression_ratio
        frames, height, width = x.shape[2:]
        if (frames - 1) % time or height % space or width % space:
            raise ModelError(
                f"video VAE: got {frames} frames of {height} x {width}; "
                f"wanted 1 + {time}k frames with sides divisible by {space}"
            )
        posterior = LatentDistribution(self.encoder(x))
        return EncoderOutput(posterior) if return_dict else (posterior,)

    def decode(
        self, z: Tensor, prior: Tensor | None = None, visibility: Tensor | None = None, return_dict: bool = True
    ) -> Any:
        """Latents (B, C, T, h, w), not scaled -> `.sample` (B, 3, 1 + 4(T-1), 8h, 8w), about [-1, 1], not clamped.

        Args:
            prior: what is known of the sample, its shape, in [-1, 1]. visibility: (B, 1, 1 + 4(T-1), 8h, 8w) in [0, 1],
                where it is to be believed. None of either: nothing is known.

        Raises:
            ModelError: a prior for a VAE without `prior_condition`, or of another size.
        """
        sample = self.decoder(z, prior, visibility)
        return DecoderOutput(sample) if return_dict else (sample,)


def encode_video(vae: Any, video: Tensor) -> Tensor:
    """Video (B, 3, F, H, W) in [-1, 1] -> latent means (B, C, F', h, w) at the scale the transformer works in."""
    return vae.encode(video).latent_dist.mode() * vae.config.scaling_factor


def decode_video(vae: Any, latents: Tensor, prior: Tensor | None = None, visibility: Tensor | None = None) -> Tensor:
    """Inverse of `encode_video`: (B, C, F', h, w) -> (B, 3, F, H, W), about [-1, 1] and not clamped.

    Args:
        prior, visibility: (B, 3, F, H, W) in [-1, 1] and (B, 1, F, H, W) in [0, 1], what is known of the result.

    Raises:
        ModelError: a prior for a VAE that takes none, or of another size.
    """
    known = {} if prior is None or visibility is None else {"prior": prior, "visibility": visibility}
    if known and not getattr(vae.config, "prior_condition", False):
        raise ModelError("this video VAE takes no prior (prior_condition is false); decode without one")
    return vae.decode(latents / vae.config.scaling_factor, **known).sample


def load_video_vae(folder: str | Path, dtype: torch.dtype = torch.float32, *, tiling: bool = False) -> Any:
    """Load the video VAE in `folder`, of the class its ``config.json`` names: ours, or diffusers' CogVideoX one.

    The latter is the paper's: 41 x 480 x 480 -> 11 x 60 x 60 of 16 channels, `scaling_factor` 0.7. It reads nine frames
    and then groups of eight, and is causal from group to group: inside one, its group normalisation mixes the frames
    (ours is causal to the frame). Batches go through it one clip at a time (slicing, exact).

    Args:
        tiling: diffusers' class works on overlapping tiles: less memory, and a result that differs, since each tile is
            normalised by itself.

    Raises:
        ModelError: the folder is incomplete, damaged, or names another class.
    """
    path = Path(folder) / CONFIG
    values = read_json(path)
    name = values.get("_class_name") if isinstance(values, dict) else None
    if name == CausalVideoVAE.__name__:
        return load_component(Path(folder), CausalVideoVAE, VideoVAEConfig, dtype)
    if name != "AutoencoderKLCogVideoX":
        raise ModelError(f"{path}: unknown video VAE class {name!r}; known are CausalVideoVAE, AutoencoderKLCogVideoX")
    if values.get("invert_scale_latents"):
        raise ModelError(f"{path}: invert_scale_latents is set, as in CogVideoX 1.5; wanted CogVideoX-5b-I2V's VAE")
    try:
        from diffusers import AutoencoderKLCogVideoX  # heavy, and only the paper size needs it
    except ImportError as error:
        raise ModelError(f"{path} needs diffusers: pip install 'egotwin[paper]'") from error
    vae = without_memory(lambda: AutoencoderKLCogVideoX.from_config(values))
    nn.Module.to(vae, dtype)  # diffusers' own warns of modules to keep in float32 where there are none
    load_weights(vae, Path(folder)).eval()
    vae.enable_slicing()
    if tiling:
        vae.enable_tiling()
    return vae
