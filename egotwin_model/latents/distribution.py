"""The distribution over latents that a VAE's encoder gives."""

from __future__ import annotations

import torch
from torch import Tensor


class LatentDistribution:
    """Diagonal normal over latents; `parameters` (B, 2C, T, h, w) holds the means, then the log-variances."""

    def __init__(self, parameters: Tensor) -> None:
        self.mean, logvar = parameters.chunk(2, dim=1)
        self.logvar = logvar.clamp(-30.0, 20.0)

    @property
    def std(self) -> Tensor:
        return torch.exp(0.5 * self.logvar)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        return self.at(
            torch.randn(self.mean.shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype)
        )

    def at(self, noise: Tensor) -> Tensor:
        """The latents for standard normal noise of the mean's shape."""
        return self.mean + self.std * noise

    def mode(self) -> Tensor:
        return self.mean

    def kl(self) -> Tensor:
        """KL divergence to the unit normal of every latent element, in nats: the shape of the mean, float32."""
        mean, logvar = self.mean.float(), self.logvar.float()
        return 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar)
