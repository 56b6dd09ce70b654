"""The depth network's loss, and its measures on known depth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

GRADIENT_SCALES = (1, 2, 4, 8)  # distances in pixels over which changes of log depth are compared


@dataclass(frozen=True)
class DepthLossConfig:
    """Weights of the terms beside the mean absolute error of log depth.

    Attributes:
        gradient_weight: of the error of changes of log depth from pixel to pixel, which sharpens edges.
        error_weight: of the likelihood of the predicted error; it trains that alone.
    """

    gradient_weight: float = 0.5
    error_weight: float = 0.05


def depth_loss(predicted: Tensor, depth: Tensor, limit_m: float, config: DepthLossConfig) -> dict[str, Tensor]:
    """Loss of the network's output (B, 2, H, W) on depth (B, H, W) in metres, ignored where 0 or beyond `limit_m`.

    Returns:
        `loss` with gradient; detached `log_error` (mean absolute error of log depth), `gradient`, `likelihood`.
    """
    known = (depth > 0) & (depth <= limit_m)
    difference = torch.where(known, predicted[:, 0].float() - depth.clamp_min(1e-3).log(), 0.0)
    count = known.sum().clamp_min(1)
    log_error = difference.abs().sum() / count
    gradient = torch.stack([_gradient_error(difference, known, step) for step in GRADIENT_SCALES]).mean()
    expected = predicted[:, 1].float().clamp(-6.0, 3.0)
    laplace = torch.where(known, difference.detach().abs() * torch.exp(-expected) + expected, 0.0)
    likelihood = laplace.sum() / count
    return {
        "loss": log_error + config.gradient_weight * gradient + config.error_weight * likelihood,
        "log_error": log_error.detach(),
        "gradient": gradient.detach(),
        "likelihood": likelihood.detach(),
    }


def _gradient_error(difference: Tensor, known: Tensor, step: int) -> Tensor:
    """Mean absolute error of the change of log depth over `step` pixels, to the right and down."""
    total, count = difference.new_zeros(()), difference.new_zeros(())
    for axis in (1, 2):
        length = difference.shape[axis] - step
        both = known.narrow(axis, 0, length) & known.narrow(axis, step, length)
        change = difference.narrow(axis, step, length) - difference.narrow(axis, 0, length)
        total = total + torch.where(both, change.abs(), 0.0).sum()
        count = count + both.sum()
    return total / count.clamp_min(1)


def depth_measures(predicted: Tensor, depth: Tensor, limit_m: float) -> dict[str, Tensor]:
    """Measures of predicted depth (B, H, W) in metres, each image's mean over its known pixels, (B,).

    `abs_rel` is |z − z*| / z*, `delta_1` the share of pixels with max(z / z*, z* / z) < 1.25, `squared_log` the mean
    square of log z − log z*. NaN for an image without known depth.
    """
    known = (depth > 0) & (depth <= limit_m)
    true = depth.clamp_min(1e-3)
    ratio = predicted / true
    each = {
        "abs_rel": (ratio - 1.0).abs(),
        "delta_1": (torch.maximum(ratio, 1.0 / ratio) < 1.25).float(),
        "squared_log": ratio.log().square(),
    }
    count = known.flatten(1).sum(1)
    return {name: torch.where(known, value, 0.0).flatten(1).sum(1) / count for name, value in each.items()}
