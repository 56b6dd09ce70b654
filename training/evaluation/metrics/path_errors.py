"""Errors of a predicted path or body against the true one, best of several samples, and calibration of their spread.

Positions are metres; predictions share their first pose with the truth, so pose 0 never counts.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import f as f_distribution

from egotwin_model.geometry.rotations import rotation_angle
from training.evaluation.errors import PredictionError
from training.evaluation.metrics.intervals import Interval, over_clips
from training.evaluation.metrics.metric_family import Measure, Metric, MetricFamily, Parts, Rates
from training.evaluation.metrics.predicted_clip import PredictedClip

Array = NDArray[np.float64]
HORIZONS_S = (1.0, 2.0, 3.0, 5.0)
CALIBRATION, CALIBRATION_SAMPLES = (0.5, 0.9), 4
WHO = {"head": "head_error", "body": "joint_error"}


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


def best_of(errors: ArrayLike) -> Array:
    """Minimum-of-K: the least error of K samples, (..., K) to (...)."""
    return np.asarray(errors, dtype=np.float64).min(axis=-1)


def inside_region(samples: ArrayLike, truth: ArrayLike, share: float) -> NDArray[np.bool_]:
    """Whether the truth lies in the region that should hold it with probability `share`, estimated from K samples.

    The region is the K samples' Gaussian prediction region (Hotelling): with mean m and covariance S of K samples in p
    dimensions, (x − m)ᵀS⁻¹(x − m) K (K − p) / (p (K² − 1)) follows F(p, K − p). It is exact for Gaussian futures at
    every K, so the coverage of a calibrated sampler is `share`, also for small K.

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


def head_errors(case: PredictedClip) -> Parts:
    """`head_error` (S, T) m, `head_turn_error` (S, T) rad, and the heads' places over the floor at each horizon."""
    motion, truth = case.prediction.motion, case.clip.motion
    if motion is None:
        return {}
    steps = [round(horizon * case.pose_rate) for horizon in HORIZONS_S]
    steps = [step for step in steps if step < len(case.clip.positions)]
    return {
        "head_error": distances(motion.head_positions, truth.head_positions),
        "head_turn_error": rotation_angle(motion.head_rotations, truth.head_rotations),
        "floor_places": np.asarray(motion.head_positions)[:, steps, :2],
        "floor_truth": np.asarray(truth.head_positions)[steps, :2],
    }


def joint_errors(case: PredictedClip) -> Parts:
    """`joint_error` (S, T) m, mean over the joints."""
    body = case.prediction.body
    return {} if body is None else {"joint_error": distances(body.positions, case.clip.positions).mean(axis=-1)}


def _pool_displacement(who: str, parts: Parts, rates: Rates) -> dict[str, Interval]:
    """Mean over samples: the error to expect of one."""
    errors = displacement_errors(parts[WHO[who]], rates[1])
    return {f"{who} {name}": over_clips(error.mean(axis=1)) for name, error in errors.items()}


def _without_given_pose(error: Array) -> Interval:
    return over_clips(error[:, :, 1:].mean(axis=(1, 2)))


def _pool_samples(parts: Parts, truth: Parts, rates: Rates) -> dict[str, Interval]:
    """Best of K, and calibration of the head's place over the floor, pooled over horizons."""
    found: dict[str, Interval] = {}
    samples = parts["head_error"].shape[1]
    if samples < 2:
        return found
    errors = displacement_errors(parts["head_error"], rates[1], (5.0,))
    for name in ("FDE", "ADE"):
        if f"{name}@5s" in errors:
            found[f"head {name}@5s, best of K"] = over_clips(best_of(errors[f"{name}@5s"]))
    if samples < CALIBRATION_SAMPLES:
        warnings.warn(f"calibration needs {CALIBRATION_SAMPLES} samples of each clip, here are {samples}", stacklevel=2)
        return found
    places = np.swapaxes(parts["floor_places"], 1, 2)  # (N, horizons, K, 2)
    for share in CALIBRATION:
        inside = inside_region(places, parts["floor_truth"], share)
        found[f"truth inside the {share:.0%} region"] = over_clips(inside.mean(axis=1))
    return found


def _displacement(who: str, what: str, measure: Measure) -> MetricFamily:
    return MetricFamily(
        metrics=tuple(
            Metric(f"{who} {name}@{horizon:g}s", "m", "lower", f"{who} against the true clip")
            for name in ("ADE", "FDE")
            for horizon in HORIZONS_S
        ),
        title=f"{who} ADE, FDE at 1, 2, 3, 5 s",
        meaning=f"distance of {what}, mean up to a time and at that time",
        source="",
        formulas=(displacement_errors,),
        measures=(measure,),
        needs=(WHO[who],),
        pool=lambda parts, truth, rates: _pool_displacement(who, parts, rates),
        paired=True,
    )


HEAD_PATH = _displacement("head", "the head to the true one", head_errors)
BODY_PATH = _displacement("body", "the joints to the true ones, unaligned, mean over the joints", joint_errors)
JOINTS = MetricFamily(
    metrics=(Metric("MPJPE", "m", "lower", "body against the true clip"),),
    title="MPJPE",
    meaning="distance of the joints to the true ones, unaligned, mean over joints and time",
    source="",
    formulas=(distances,),
    measures=(joint_errors,),
    needs=("joint_error",),
    pool=lambda parts, truth, rates: {"MPJPE": _without_given_pose(parts["joint_error"])},
    paired=True,
)
HEAD_TURN = MetricFamily(
    metrics=(Metric("head turn error", "rad", "lower", "head against the true clip"),),
    title="head turn error",
    meaning="angle between the head's rotation and the true one, mean over time",
    source="",
    formulas=(head_errors,),
    measures=(head_errors,),
    needs=("head_turn_error",),
    pool=lambda parts, truth, rates: {"head turn error": _without_given_pose(parts["head_turn_error"])},
    paired=True,
)
SAMPLES = MetricFamily(
    metrics=(
        *(Metric(f"head {name}@5s, best of K", "m", "lower", "K samples") for name in ("FDE", "ADE")),
        *(Metric(f"truth inside the {share:.0%} region", "", "true", "K samples") for share in CALIBRATION),
    ),
    title="best of K; truth inside the 50 % and 90 % region",
    meaning="least error of K samples; share of clips whose truth lies in Hotelling's prediction region of the "
    "samples, exact at every K for Gaussian futures",
    source="",
    formulas=(best_of,),
    measures=(head_errors,),
    needs=("head_error",),
    pool=_pool_samples,
    paired=True,
)
