"""Errors of a predicted path or body against the true one, best of several samples, and how honest their spread is.

Positions are metres; predictions share their first pose with the truth, so pose 0 never counts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import f as f_distribution

from training.evaluation.errors import PredictionError

Array = NDArray[np.float64]
HORIZONS_S = (1.0, 2.0, 3.0, 5.0)


def distances(predicted: ArrayLike, truth: ArrayLike) -> Array:
    """Distance of predicted and true points, (..., 3) to (...) metres."""
    difference = np.asarray(predicted, dtype=np.float64) - np.asarray(truth, dtype=np.float64)
    return np.linalg.norm(difference, axis=-1)


def displacement_errors(
    error: ArrayLike, rate_hz: float, horizons_s: tuple[float, ...] = HORIZONS_S
) -> dict[str, Array]:
    """ADE and FDE at each horizon: mean distance up to it, and distance at it.

    Args:
        error: (..., T) metres, `distances` of a path, or their mean over the joints of a body.
        rate_hz: poses per second. A horizon beyond the last pose is left out.

    Returns:
        "ADE@1s", "FDE@1s", ... with (...) metres each.
    """
    e = np.asarray(error, dtype=np.float64)
    found = {}
    for horizon in horizons_s:
        last = round(horizon * rate_hz)
        if last < e.shape[-1]:
            found[f"ADE@{horizon:g}s"] = e[..., 1 : last + 1].mean(axis=-1)
            found[f"FDE@{horizon:g}s"] = e[..., last]
    return found


def mpjpe(predicted: ArrayLike, truth: ArrayLike) -> Array:
    """Mean per-joint position error in the world, unaligned, over poses 1...: (..., T, J, 3) to (...) metres."""
    return distances(predicted, truth)[..., 1:, :].mean(axis=(-2, -1))


def best_of(errors: ArrayLike) -> Array:
    """Minimum-of-K: the least error of K samples, (..., K) to (...)."""
    return np.asarray(errors, dtype=np.float64).min(axis=-1)


def inside_region(samples: ArrayLike, truth: ArrayLike, share: float) -> NDArray[np.bool_]:
    """Whether the truth lies in the region that should hold it with probability `share`, judged from K samples.

    The region is the K samples' Gaussian prediction region (Hotelling): with mean m and covariance S of K draws in p
    dimensions, (x − m)ᵀS⁻¹(x − m) K (K − p) / (p (K² − 1)) follows F(p, K − p). It is exact for Gaussian futures at
    every K, so the coverage of an honest sampler is `share`, not less because K is small.

    Args:
        samples: (..., K, p), K > p. truth: (..., p).

    Raises:
        PredictionError: K is not above p.
    """
    x, y = np.asarray(samples, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    k, p = x.shape[-2:]
    if k <= p:
        raise PredictionError(f"{k} samples for calibration in {p} dimensions, which needs at least {p + 1}")
    mean = x.mean(axis=-2)
    centred = x - mean[..., None, :]
    covariance = np.swapaxes(centred, -1, -2) @ centred / (k - 1)
    covariance += 1e-12 * np.eye(p)  # samples that all agree still have a region: themselves
    offset = y - mean
    squared = np.einsum("...i,...i->...", offset, np.linalg.solve(covariance, offset[..., None])[..., 0])
    return squared * k * (k - p) / (p * (k**2 - 1)) <= f_distribution.ppf(share, p, k - p)
