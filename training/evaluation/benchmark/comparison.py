"""How much better one model is than another on the same clips, with 95 % intervals of the difference.

Both models predict the same clips, so the bootstrap resamples clips in pairs, and what makes a clip hard for both does
not widen the interval. Fréchet distances are resampled by clips too; their bias at few clips is the same on both sides.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluation.errors import PredictionError
from training.evaluation.metrics import catalogue
from training.evaluation.metrics.frechet import Gaussian, frechet_distance
from training.evaluation.metrics.hand_score import f_score
from training.evaluation.metrics.intervals import Interval, bootstrap, over_clips
from training.evaluation.metrics.metric_family import Parts
from training.evaluation.metrics.psnr import after_two_seconds
from training.evaluation.metrics.retrieval import BATCH, batch_ranks, clip_similarity, mm_distance
from training.evaluation.metrics.view_turns import correlation

Array = NDArray[np.float64]
FRECHET_RESAMPLES = 100  # of a Fréchet distance, each a singular value decomposition


def gains(model: Parts, other: Parts, truth: Parts, frame_rate: float) -> dict[str, Interval]:
    """By how much `model` is better than `other`, for every metric that both have: positive is better.

    Args:
        model, other, truth: parts with the clips first, of the same clips in the same order. frame_rate: per second.
    """
    found: dict[str, Interval] = {}
    psnr = _part("frame_mse", lambda error: after_two_seconds(error, frame_rate))
    for name, values in {**PER_CLIP, "PSNR 2–5 s": psnr}.items():
        pair = [values(parts) for parts in (model, other)]
        if pair[0] is not None and pair[1] is not None:
            found[name] = over_clips(_sign(name) * (pair[0] - pair[1]))
    for name, key in (("I-FID", "image_features"), ("FVD", "video_features"), ("M-FID", "motion_features")):
        if all(key in parts for parts in (model, other, truth)):
            found[name] = _frechet_gain(model[key], other[key], truth[key])
    if "hands" in model and "hands" in other:
        both = np.stack([np.moveaxis(parts["hands"].astype(np.float64), 0, -1) for parts in (model, other)])
        found["HandScore"] = bootstrap(both, _hand_gain)
    if "view_shift" in model and "view_shift" in other:
        found["view turns with the head"] = bootstrap(
            np.stack([_moves(parts) for parts in (model, other)]), lambda x: correlation(x[0]) - correlation(x[1])
        )
    return found


def _sign(name: str) -> float:
    return -1.0 if catalogue.metrics()[name].better == "lower" else 1.0


def _part(name: str, read: Callable[[NDArray[Any]], NDArray[Any]]) -> Callable[[Parts], NDArray[Any] | None]:
    """A number of each clip from one part; None where it was not measured."""
    return lambda parts: read(parts[name]) if name in parts else None


def _clip_sim(parts: Parts) -> Array | None:
    return clip_similarity(parts["picture_features"], parts["picture_text"]) if "picture_features" in parts else None


def _top_three(parts: Parts) -> Array | None:
    """Share of the repetitions in which a clip's own text was among the three nearest of its batch."""
    if "motion_features" not in parts or len(parts["motion_features"]) < BATCH:
        return None
    ranks = batch_ranks(parts["motion_text"], parts["motion_features"])
    counted = np.isfinite(ranks).sum(axis=0)
    return np.where(counted > 0, (ranks < 3).sum(axis=0) / np.maximum(counted, 1), np.nan)


def _text_distance(parts: Parts) -> Array | None:
    return mm_distance(parts["motion_text"], parts["motion_features"]) if "motion_features" in parts else None


PER_CLIP: dict[str, Callable[[Parts], NDArray[Any] | None]] = {
    "CLIP-SIM": _clip_sim,
    "R-Precision top-3": _top_three,
    "MM-Dist": _text_distance,
    "TransErr": _part("camera_error", lambda error: error[:, 0]),
    "RotErr": _part("camera_error", lambda error: error[:, 1]),
    "TransErr, learned": _part("camera_error_learned", lambda error: error[:, 0]),
    "RotErr, learned": _part("camera_error_learned", lambda error: error[:, 1]),
    "obeys the text": _part("obeyed", lambda obeyed: obeyed.mean(axis=1)),
    "head FDE@5s": _part("head_error", lambda error: error[..., -1].mean(axis=1)),
    "MPJPE": _part("joint_error", lambda error: error[..., 1:].mean(axis=(1, 2))),
    "stance sliding": _part("stance_sliding", lambda speed: speed.mean(axis=1)),
}


def _moves(parts: Parts) -> Array:
    """(2, steps, N): view shifts and head turns."""
    return np.stack([np.moveaxis(parts[key], 0, -1) for key in ("view_shift", "head_turn")])


def _hand_gain(resampled: Array) -> Array:
    """HandScore's difference of tallies (2 models, 3, 2 sides, ..., N)."""
    scores = [f_score(tallies.sum(axis=-1)).mean(axis=0) for tallies in resampled]
    return scores[0] - scores[1]


def _frechet_gain(model: Array, other: Array, truth: Array) -> Interval:
    rng = np.random.default_rng(0)
    resamples = [np.arange(len(truth)), *(rng.integers(len(truth), size=len(truth)) for _ in range(FRECHET_RESAMPLES))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # too few clips: said in the table
        values = np.array([_distance(other, truth, rows) - _distance(model, truth, rows) for rows in resamples])
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return Interval(float(values[0]), float(low), float(high))


def _distance(features: Array, truth: Array, rows: NDArray[np.int64]) -> float:
    both = (x[rows].reshape(-1, x.shape[-1]) for x in (features, truth))
    try:
        return frechet_distance(*(Gaussian.fit(x) for x in both))
    except PredictionError:  # the same clip in every place
        return float("nan")
