"""A number with its 95 % interval: over repetitions of a random protocol, or over the clips that were measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES, SEED = 1000, 0
Z95 = 1.959963984540054  # two-sided 95 % of a normal distribution


class Interval(NamedTuple):
    """`value` and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def over_repetitions(values: ArrayLike) -> Interval:
    """Mean of (R,) repetitions ± 1.96 standard errors, as Guo et al. 2022 report it; R of 1 has no width."""
    x = np.asarray(values, dtype=np.float64)
    mean = float(x.mean())
    half = Z95 * float(x.std(ddof=1)) / np.sqrt(len(x)) if len(x) > 1 else 0.0
    return Interval(mean, mean - half, mean + half)


def over_clips(values: ArrayLike) -> Interval:
    """Mean of (N,) clips, NaN left out, with the percentile bootstrap over clips; NaN throughout where none is left."""
    x = np.asarray(values, dtype=np.float64)
    return bootstrap(x[np.isfinite(x)], lambda sample: sample.mean(axis=-1))


def share_of_clips(values: ArrayLike) -> Interval:
    """Share of (N,) clips (1 or 0, or a mean over samples between; NaN left out) with Wilson's score interval.

    A bootstrap of ten successes in ten would claim certainty; Wilson's interval is 72 % to 100 % (Wilson 1927).
    """
    x = np.asarray(values, dtype=np.float64)
    x = x[np.isfinite(x)]
    n = len(x)
    if not n:
        return Interval(np.nan, np.nan, np.nan)
    share = float(x.mean())
    centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * float(np.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2)))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def mean_figure(values: ArrayLike) -> dict[str, float]:
    """`over_clips` by name, with the number of "clips" that count."""
    return _figure(over_clips(values), values)


def share_figure(answers: ArrayLike) -> dict[str, float]:
    """`share_of_clips` by name, with the number of "clips" that count."""
    return _figure(share_of_clips(answers), answers)


def _figure(interval: Interval, values: ArrayLike) -> dict[str, float]:
    return {**interval._asdict(), "clips": int(np.isfinite(np.asarray(values, dtype=np.float64)).sum())}


def bootstrap(
    values: NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> Interval:
    """`statistic` of the clips (last axis) and its percentile bootstrap: (..., N) to (...) in one call.

    Args:
        values: (..., N), resampled along N.
        statistic: reduces the last axis, whatever comes before it; gives a scalar for `values` itself.
    """
    if values.shape[-1] == 0:
        return Interval(np.nan, np.nan, np.nan)
    rows = np.random.default_rng(SEED).integers(values.shape[-1], size=(RESAMPLES, values.shape[-1]))
    resampled = statistic(values[..., rows])
    finite = resampled[np.isfinite(resampled)]
    if not len(finite):
        return Interval(float(statistic(values)), np.nan, np.nan)
    low, high = np.percentile(finite, [2.5, 97.5])
    return Interval(float(statistic(values)), float(low), float(high))
