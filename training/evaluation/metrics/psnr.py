"""PSNR of a predicted video against the true one: at a common size, so that models of several sizes compare, and at the
frames' own."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.evaluation.metrics.intervals import Interval, over_clips
from training.evaluation.metrics.metric_family import Metric, MetricFamily, Parts, Rates
from training.evaluation.metrics.predicted_clip import PredictedClip

COMMON_SIDE = 64  # pixels
LEAST_ERROR = 1e-3
"""Of 255²: equal frames have 78 dB, not infinitely many."""


def psnr(error: ArrayLike) -> NDArray[np.floating]:
    """Decibels of mean squared errors of uint8 frames, of any shape."""
    return np.asarray(10.0 * np.log10(255.0**2 / np.maximum(error, LEAST_ERROR)))


def after_two_seconds(error: NDArray[np.floating], frame_rate: float) -> NDArray[np.floating]:
    """PSNR of each clip from 2 s on, (N,), of the errors of frames 1 and later, (N, F - 1)."""
    return psnr(error[:, round(2 * frame_rate) - 1 :].mean(axis=1))  # frame k is column k − 1


def frame_errors(case: PredictedClip) -> Parts:
    """Mean squared errors (F - 1,) of every frame but the given one: `frame_mse` at `COMMON_SIDE`, `frame_mse_full`."""
    frames = case.prediction.frames
    if frames is None:
        return {}
    difference = frames[1:].astype(np.float32) - case.clip.frames[1:].astype(np.float32)
    full = np.square(difference).mean((1, 2, 3))
    return {"frame_mse": np.square(averaged(difference)).mean((1, 2, 3)), "frame_mse_full": full}


def averaged(difference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Differences (F, H, W, 3) averaged over the pixels that fall into one of `COMMON_SIDE` × `COMMON_SIDE` or less."""
    height, width = (min(side, COMMON_SIDE) for side in difference.shape[1:3])
    if difference.shape[1:3] == (height, width):
        return difference
    return np.stack([cv2.resize(each, (width, height), interpolation=cv2.INTER_AREA) for each in difference])


def _family(title: str, suffix: str, key: str, where: str) -> MetricFamily:
    """The two rows of errors `key`."""

    def pool(parts: Parts, truth: Parts, rates: Rates) -> dict[str, Interval]:
        error = parts[key]
        return {
            f"PSNR 0–1 s{suffix}": over_clips(psnr(error[:, : round(rates[0])].mean(axis=1))),
            f"PSNR 2–5 s{suffix}": over_clips(after_two_seconds(error, rates[0])),
        }

    return MetricFamily(
        metrics=tuple(
            Metric(f"PSNR {span} s{suffix}", "dB", "higher", "Video against the true clip", digits=2)
            for span in ("0–1", "2–5")
        ),
        title=title,
        meaning=f"peak signal-to-noise ratio of the frames against the true ones, {where}, from frame 1 to 1 s and "
        "from 2 s on",
        source="",
        formulas=(psnr,),
        measures=(frame_errors,),
        needs=(key,),
        pool=pool,
        paired=True,
    )


PSNR = _family("PSNR 0–1 s, 2–5 s", "", "frame_mse", f"both averaged to {COMMON_SIDE} px where they are larger")
PSNR_FULL = _family("PSNR 0–1 s, 2–5 s, full size", ", full size", "frame_mse_full", "at their own size")
