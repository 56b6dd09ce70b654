"""Training of the video codec: its loss and its linear start.

The loss is a smooth L1 per pixel, the same on finite differences, which preserves edges, a distance of features on a
few frames, which keeps texture, and a small KL term. That term keeps latents near unit scale and adds a little noise to
them, so that small errors of a diffusion model stay small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy.linalg import eigh
from torch import Tensor, nn

from egotwin_model.latents.distribution import LatentDistribution
from egotwin_model.video.patches import fold, group_frames
from egotwin_model.video.vae import CausalVideoVAE
from training.stages.random_streams import RandomStreams


@dataclass(frozen=True)
class CodecLossConfig:
    """Weights of the terms (each a mean over its elements) and the length of the random crops in time.

    Attributes:
        perceptual_frames: of every crop, on which the distance of features is computed.
    """

    crop_frames: int = 17
    edge_weight: float = 0.5
    kl_weight: float = 1e-4
    smoothness: float = 0.03  # transition from square to absolute penalty, in units of [-1, 1] pixels
    perceptual_weight: float = 0.0
    perceptual_frames: int = 2


def random_crop(frames: Tensor, length: int, streams: RandomStreams) -> Tensor:
    """A window of `length` frames of (B, F, ...), the same for all clips of the step; all of them if shorter."""
    spare = max(0, frames.shape[1] - length)
    start = streams.shared_integer(spare + 1)
    return frames[:, start : start + length]


def charbonnier(error: Tensor, smoothness: float) -> Tensor:
    """Mean of sqrt(error^2 + smoothness^2) - smoothness: square near zero, absolute far away."""
    return (error.square() + smoothness**2).sqrt().mean() - smoothness


def codec_loss(
    model: nn.Module,
    video: Tensor,
    noise: Tensor,
    config: CodecLossConfig | None = None,
    offset: Tensor | None = None,
    prior: Tensor | None = None,
    visibility: Tensor | None = None,
    perceptual: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> dict[str, Tensor]:
    """Loss of the codec on a batch.

    Args:
        model: a `CausalVideoVAE`, wrapped or not.
        video: (B, 3, F, H, W) in [-1, 1].
        noise: unit normal of the latents' shape (B, C, 1 + k, h, w). offset: added to the latents.
        prior, visibility: what the decoder is told of the video, as `CausalVideoVAE.decode` takes it.
        perceptual: (images, true images) (N, 3, H, W) to their distance; called with evenly spaced frames, the last
            among them.

    Returns:
        `loss` with gradient; detached `rec`, `edge`, `kl` (nats per latent element), `psnr` (dB of the whole crop,
        peak to peak 2), `latent_std`, and `perceptual` where there is such a distance.
    """
    config = config or CodecLossConfig()
    reconstruction, moments = model(video, noise, offset, prior, visibility)
    posterior = LatentDistribution(moments)
    error = reconstruction.float() - video
    rec = charbonnier(error, config.smoothness)
    edge = charbonnier(error.diff(dim=-1), config.smoothness) + charbonnier(error.diff(dim=-2), config.smoothness)
    kl = posterior.kl().mean()
    loss, features = rec + config.edge_weight * edge + config.kl_weight * kl, {}
    if perceptual is not None:
        distance = perceptual(*(_some_frames(x, config.perceptual_frames) for x in (reconstruction, video)))
        loss, features = loss + config.perceptual_weight * distance, {"perceptual": distance.detach()}
    return {
        "loss": loss,
        "rec": rec.detach(),
        "edge": edge.detach(),
        "kl": kl.detach(),
        "psnr": psnr(error.detach()).mean(),
        "latent_std": posterior.mean.detach().float().std(),
        **features,
    }


def _some_frames(video: Tensor, count: int) -> Tensor:
    """Evenly spaced frames of (B, 3, F, H, W), the last among them, as images (B * count, 3, H, W)."""
    last = video.shape[2] - 1
    places = [last - number * (last + 1) // count for number in range(min(count, last + 1))]
    return video[:, :, places].transpose(1, 2).flatten(0, 1)


def psnr(error: Tensor) -> Tensor:
    """Peak signal to noise ratio in dB of each clip's error (B, ...), pixels in [-1, 1] -> (B,)."""
    return 10.0 * torch.log10(4.0 / error.float().square().flatten(1).mean(1))


def laplacian_variance(video: Tensor) -> Tensor:
    """Mean over clips and frames of the variance of the Laplacian of the luma of (B, 3, F, H, W)."""
    luma = (video.float() * video.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1, 1)).sum(1).flatten(0, 1)
    kernel = luma.new_tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])[None, None]
    return F.conv2d(luma[:, None], kernel).var(dim=(1, 2, 3)).mean()


@torch.no_grad()
def initialise_shortcuts(vae: CausalVideoVAE, video: Tensor) -> None:
    """Sets both linear shortcuts to the principal components of `video` (B, 3, F, H, W), F > 1, in place.

    Training then starts from the best linear codec, whose latents have mean 0 and standard deviation 1.
    """
    config = vae.config
    time, space = config.temporal_compression_ratio, config.spatial_compression_ratio
    blocks = fold(group_frames(video, time), time, space)[:, 1:].reshape(-1, config.block_channels).double()
    mean = blocks.mean(0)
    largest = [config.block_channels - config.latent_channels, config.block_channels - 1]
    covariance = torch.cov((blocks - mean).T).numpy()
    variances, directions = map(torch.from_numpy, eigh(covariance, subset_by_index=largest, overwrite_a=True))
    std = variances.clamp_min(1e-8).sqrt()
    vae.encoder.shortcut.weight.copy_((directions / std).T)
    vae.encoder.shortcut.bias.copy_(-(directions / std).T @ mean)
    vae.decoder.shortcut.weight.copy_(directions * std)
    vae.decoder.shortcut.bias.copy_(mean)
