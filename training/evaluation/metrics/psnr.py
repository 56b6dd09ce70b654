"""PSNR of a predicted video against the true one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.evaluation.metrics.intervals import Interval, over_clips
from training.evaluation.metrics.metric_family import Metric, MetricFamily, Parts, Rates
from training.evaluation.metrics.predicted_clip import PredictedClip

LEAST_ERROR = 1e-3
"""Of 255²: equal frames have 78 dB, not infinitely many."""


def psnr(error: ArrayLike) -> NDArray[np.floating]:
    """Decibels of mean squared errors of uint8 frames, of any shape."""
    return np.asarray(10.0 * np.log10(255.0**2 / np.maximum(error, LEAST_ERROR)))


def after_two_seconds(error: NDArray[np.floating], frame_rate: float) -> NDArray[np.floating]:
    """PSNR of each clip from 2 s on, (N,), of the errors of frames 1 and later, (N, F - 1)."""
    return psnr(error[:, round(2 * frame_rate) - 1 :].mean(axis=1))  # frame k is column k − 1


def frame_errors(case: PredictedClip) -> Parts:
    """`frame_mse` (F - 1,) of every frame but the given one."""
    frames = case.prediction.frames
    if frames is None:
        return {}
    difference = frames[1:].astype(np.float32) - case.clip.frames[1:].astype(np.float32)
    return {"frame_mse": np.square(difference).mean((1, 2, 3))}


def _pool(parts: Parts, truth: Parts, rates: Rates) -> dict[str, Interval]:
    error = parts["frame_mse"]
    return {
        "PSNR 0–1 s": over_clips(psnr(error[:, : round(rates[0])].mean(axis=1))),
        "PSNR 2–5 s": over_clips(after_two_seconds(error, rates[0])),
    }


PSNR = MetricFamily(
    metrics=tuple(
        Metric(f"PSNR {span} s", "dB", "higher", "Video against the true clip", digits=2) for span in ("0–1", "2–5")
    ),
    title="PSNR 0–1 s, 2–5 s",
    meaning="peak signal-to-noise ratio of the frames against the true ones, from frame 1 to 1 s and from 2 s on",
    source="",
    formulas=(psnr,),
    measures=(frame_errors,),
    needs=("frame_mse",),
    pool=_pool,
    paired=True,
)
