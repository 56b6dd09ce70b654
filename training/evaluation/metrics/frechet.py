"""Fréchet distance between two sets of features: the formula behind I-FID, FVD and M-FID.

d² = |μ₁ − μ₂|² + tr(C₁ + C₂ − 2 (C₁ C₂)^½), both sets taken as Gaussians (Heusel et al. 2017; FVD: Unterthiner et al.
2018; M-FID: Guo et al. 2022). With R the triangular factor of the centred features, C = RᵀR, and tr (C₁ C₂)^½ is the
sum of the singular values of R₁ R₂ᵀ: no matrix square root, so nothing is lost where features outnumber clips.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.evaluation.errors import PredictionError
from training.evaluation.metrics.features import image_features, motion_features, video_features
from training.evaluation.metrics.intervals import Interval
from training.evaluation.metrics.metric_family import Measure, Metric, MetricFamily, Parts, Rates

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Gaussian:
    """Features of one set as a Gaussian.

    Attributes:
        mean: (D,). root: (min(N, D), D), rootᵀ root is the covariance (denominator N − 1). count: N.
    """

    mean: Array
    root: Array
    count: int

    @classmethod
    def fit(cls, features: ArrayLike, what: str = "features") -> Gaussian:
        """Of (N, D) features; `PredictionError` where they are not finite, or fewer than two."""
        x = np.asarray(features, dtype=np.float64)
        if x.ndim != 2 or len(x) < 2:
            raise PredictionError(f"{what} {x.shape}: a Fréchet distance needs (N, D) with N of at least 2; add clips")
        if not np.isfinite(x).all():
            raise PredictionError(f"{what} hold NaN or infinite values; look for clips with broken frames or motion")
        mean = x.mean(axis=0)
        root: Array = np.asarray(np.linalg.qr((x - mean) / np.sqrt(len(x) - 1), mode="r"))
        return cls(mean, root, len(x))

    @property
    def stable_count(self) -> int:
        """Features from which on the covariance can have full rank, D + 1: fewer bias the distance upwards."""
        return len(self.mean) + 1


def frechet_distance(first: Gaussian, second: Gaussian) -> float:
    """d² of the two Gaussians, never below 0; warns by `UserWarning` where a set is too small to be stable.

    Raises:
        PredictionError: features of different size.
    """
    if first.mean.shape != second.mean.shape:
        raise PredictionError(
            f"features of {len(first.mean)} and {len(second.mean)} dimensions cannot be compared; use one extractor"
        )
    fewest = min(first.count, second.count)
    if fewest < first.stable_count:
        warnings.warn(
            f"Fréchet distance of {fewest} features of {len(first.mean)} dimensions: biased upwards below "
            f"{first.stable_count}; compare it only with sets of the same size",
            stacklevel=2,
        )
    crossed = np.linalg.svd(first.root @ second.root.T, compute_uv=False).sum()
    spread = np.square(first.root).sum() + np.square(second.root).sum() - 2.0 * crossed
    return float(max(0.0, np.square(first.mean - second.mean).sum() + spread))


def _family(name: str, group: str, role: str, key: str, meaning: str, source: str, measure: Measure) -> MetricFamily:
    """A Fréchet distance to the true clips' features `key` (N, ..., D); it has no interval."""

    def pool(parts: Parts, truth: Parts, rates: Rates) -> dict[str, Interval]:
        if key not in truth:
            return {}
        both = [Gaussian.fit(x[key].reshape(-1, x[key].shape[-1]), f"{name} features") for x in (parts, truth)]
        return {name: Interval(_named(name, partial(frechet_distance, *both)), float("nan"), float("nan"))}

    return MetricFamily(
        metrics=(Metric(name, "", "lower", group, role),),
        title=name,
        meaning=meaning,
        source=source,
        formulas=(frechet_distance,),
        measures=(measure,),
        needs=(key,),
        pool=pool,
        real_against_real=True,
    )


def _named(name: str, compute: Callable[[], float]) -> float:
    """`compute`'s value; its warnings begin with the metric's name."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        value = compute()
    for each in caught:
        warnings.warn(f"{name}: {each.message}", stacklevel=2)
    return value


I_FID = _family(
    "I-FID", "Video", "I-FID", "image_features",
    "Fréchet distance of the features of single frames, every 4th frame", "Heusel et al. 2017", image_features,
)  # fmt: skip
FVD = _family(
    "FVD", "Video", "FVD", "video_features",
    "Fréchet distance of the features of whole videos", "Unterthiner et al. 2018", video_features,
)  # fmt: skip
M_FID = _family(
    "M-FID", "Motion", "text and motion", "motion_features",
    "Fréchet distance of the features of motions", "Guo et al. 2022", motion_features,
)  # fmt: skip
