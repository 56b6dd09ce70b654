"""The distribution over latents: torch's own normal, and the limits of its log-variance."""

from __future__ import annotations

import torch
from torch.distributions import Normal, kl_divergence

from egotwin_model.latents.distribution import LatentDistribution


def test_it_is_torchs_normal() -> None:
    g = torch.Generator().manual_seed(0)
    mean, logvar = torch.randn(2, 3, 4, 5, generator=g), torch.randn(2, 3, 4, 5, generator=g)
    found, wanted = LatentDistribution(torch.cat([mean, logvar], dim=1)), Normal(mean, torch.exp(0.5 * logvar))
    assert torch.equal(found.mode(), mean)
    torch.testing.assert_close(found.std, wanted.stddev)
    torch.testing.assert_close(found.kl(), kl_divergence(wanted, Normal(0.0, 1.0)))
    noise = torch.randn(mean.shape, generator=g)
    torch.testing.assert_close(found.at(noise), mean + wanted.stddev * noise)
    drawn = torch.stack([found.sample(g) for _ in range(4000)])
    assert ((drawn.mean(0) - mean).abs() < 5 * wanted.stddev / 4000**0.5).all()
    assert ((drawn.std(0) / wanted.stddev - 1.0).abs() < 0.07).all()


def test_extreme_variances_stay_finite() -> None:
    moments = torch.tensor([[0.0, 0.0, -1e9, 1e9]]).reshape(1, 4, 1)
    found = LatentDistribution(moments)
    assert torch.isfinite(found.std).all()
    assert torch.isfinite(found.kl()).all()
