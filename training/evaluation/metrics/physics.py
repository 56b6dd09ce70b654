"""Is a motion physically plausible: foot sliding, floor penetration, jerk. World frame, z up, metres."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egotwin_model.geometry.skeleton import ANKLES, TOES
from training.evaluation.metrics.intervals import Interval, over_clips
from training.evaluation.metrics.metric_family import Metric, MetricFamily, Parts, Rates
from training.evaluation.metrics.predicted_clip import PredictedClip

Array = NDArray[np.float64]
CONTACT_HEIGHT_M = 0.03
LEAST_STANCE = 1.0  # whole steps of one toe


def foot_sliding(positions: ArrayLike, rate_hz: float, floor: ArrayLike) -> Array:
    """Mean speed over the floor of toes that are near it, m/s: (..., T, 23, 3) to (...).

    Each toe and step counts with its horizontal speed times 2 − 2^(h / H), h the mean height over the step and H
    `CONTACT_HEIGHT_M`: fully at floor height, not at all from H upwards (Zhang et al. 2018, "Mode-Adaptive Neural
    Networks for Quadruped Motion Control", equation 5).

    Args:
        floor: height of a standing toe joint, broadcastable to (...).
    """
    return (_speed(positions, rate_hz) * _contact(positions, TOES, floor)).mean(axis=(-2, -1))


def stance(positions: ArrayLike, rate_hz: float, toe: ArrayLike, ankle: ArrayLike) -> tuple[Array, Array]:
    """How fast feet slide while they stand, m/s, and how much of the time they do, 0 … 1: (..., T, 23, 3) to (...).

    A foot stands as far as both its toe and its ankle are near their standing heights, each weighed as in
    `foot_sliding`: toes alone are near the floor in much of a swing too. The speed is the weighed mean; NaN for a body
    whose feet never stand, so read it with the share beside it.

    Args:
        toe, ankle: heights of these joints of a standing foot, broadcastable to (...).
    """
    weight = _contact(positions, TOES, toe) * _contact(positions, ANKLES, ankle)
    total, slid = weight.sum(axis=(-2, -1)), (_speed(positions, rate_hz) * weight).sum(axis=(-2, -1))
    sliding = np.divide(slid, total, out=np.full_like(total, np.nan), where=total > LEAST_STANCE)
    return sliding, weight.mean(axis=(-2, -1))


def _speed(positions: ArrayLike, rate_hz: float) -> Array:
    """Horizontal speed of each toe over each step, m/s: (..., T - 1, 2)."""
    toes = np.asarray(positions, dtype=np.float64)[..., TOES, :2]
    return np.linalg.norm(np.diff(toes, axis=-3), axis=-1) * rate_hz


def _contact(positions: ArrayLike, joints: tuple[int, int], standing: ArrayLike) -> Array:
    """Weight of each step by how near the joints are to their standing height: (..., T - 1, 2)."""
    heights = np.asarray(positions, dtype=np.float64)[..., joints, 2]
    above = (heights[..., 1:, :] + heights[..., :-1, :]) / 2 - np.asarray(standing)[..., None, None]
    return 2.0 - np.exp2(np.clip(above / CONTACT_HEIGHT_M, 0.0, 1.0))


def floor_penetration(positions: ArrayLike, floor: ArrayLike) -> Array:
    """Depth of the lowest joint below the floor (0 above it), mean over poses, metres: (..., T, J, 3) to (...).

    Args:
        floor: the height that no joint of a body on the floor goes below: a standing toe joint's.
    """
    lowest = np.asarray(positions, dtype=np.float64)[..., 2].min(axis=-1)
    return np.maximum(np.asarray(floor)[..., None] - lowest, 0.0).mean(axis=-1)


def jerk(positions: ArrayLike, rate_hz: float) -> Array:
    """Mean length of the third derivative of joint positions, m/s³: (..., T, J, 3) to (...); T of at least 4."""
    third = np.diff(np.asarray(positions, dtype=np.float64), n=3, axis=-3) * rate_hz**3
    return np.linalg.norm(third, axis=-1).mean(axis=(-2, -1))


def physics(case: PredictedClip) -> Parts:
    """An array (S,) for each metric below."""
    body, rate = case.prediction.body, case.pose_rate
    if body is None:
        return {}
    floor, ankle = (float(case.clip.positions[:, joints, 2].min()) for joints in (TOES, ANKLES))  # of this body
    sliding, standing = stance(body.positions, rate, floor, ankle)
    return {
        "foot_sliding": foot_sliding(body.positions, rate, floor),
        "stance_sliding": sliding,
        "feet_standing": standing,
        "floor_penetration": floor_penetration(body.positions, floor),
        "jerk": jerk(body.positions, rate),
    }


def _family(title: str, meaning: str, source: str, formula: Callable[..., Any], *metrics: Metric) -> MetricFamily:
    """Means over samples and clips of what `physics` measures under the metrics' names."""
    keys = {metric.name: metric.name.replace(" ", "_") for metric in metrics}

    def pool(parts: Parts, truth: Parts, rates: Rates) -> dict[str, Interval]:
        return {name: over_clips(parts[key].mean(axis=1)) for name, key in keys.items()}

    return MetricFamily(metrics, title, meaning, source, (formula,), (physics,), tuple(keys.values()), pool)


FOOT_SLIDING = _family(
    "foot sliding", "speed of toes over the floor, weighted by how near they are to it", "Zhang et al. 2018",
    foot_sliding, Metric("foot sliding", "m/s", "lower", "Physics"),
)  # fmt: skip
STANCE = _family(
    "stance sliding, feet standing", "speed of feet while toe *and* ankle are down, and how much of the time they are",
    "", stance, Metric("stance sliding", "m/s", "lower", "Physics"), Metric("feet standing", "", "true", "Physics"),
)  # fmt: skip
FLOOR = _family(
    "floor penetration", "depth of the lowest joint below a standing toe's height", "", floor_penetration,
    Metric("floor penetration", "m", "lower", "Physics", digits=4),
)  # fmt: skip
JERK = _family(
    "jerk", "third derivative of the joints' positions", "", jerk, Metric("jerk", "m/s³", "true", "Physics", digits=1),
)  # fmt: skip
