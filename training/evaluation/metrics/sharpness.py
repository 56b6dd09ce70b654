"""How sharp predicted frames are: the energy of their Laplacian over that of the true frames."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.evaluation.metrics.intervals import Interval, bootstrap
from training.evaluation.metrics.metric_family import Metric, MetricFamily, Parts, Rates
from training.evaluation.metrics.predicted_clip import PredictedClip


def laplacian_variance(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Variance of the Laplacian of each frame's luma, in squared grey levels: (F, H, W, 3) uint8 RGB to (F,).

    The 3 × 3 kernel with four neighbours, the usual measure of focus (Pech-Pacheco et al. 2000).
    """
    grey = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames)
    return np.array([cv2.Laplacian(frame, cv2.CV_64F, borderType=cv2.BORDER_REPLICATE).var() for frame in grey])


def edges(case: PredictedClip) -> Parts:
    """`laplacian` (2, F - 1): of the predicted frames and of the true ones, without the given frame."""
    frames = case.prediction.frames
    if frames is None:
        return {}
    return {"laplacian": np.stack([laplacian_variance(frames[1:]), laplacian_variance(case.clip.frames[1:])])}


def ratio(variances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Predicted over true, each a mean over clips: (2, ..., N) to (...); NaN where the true frames have no edges."""
    predicted, true = variances.mean(axis=-1)
    return np.divide(predicted, true, out=np.full_like(true, np.nan), where=true > 0)


def _pool(parts: Parts, truth: Parts, rates: Rates) -> dict[str, Interval]:
    variances = np.asarray(parts["laplacian"], np.float64)  # (N, 2, F - 1)
    second = round(rates[0])
    spans = {"0–1 s": variances[..., :second], "later": variances[..., second:]}
    return {f"sharpness {name}": bootstrap(span.mean(-1).T, ratio) for name, span in spans.items() if span.size}


SHARPNESS = MetricFamily(
    metrics=tuple(
        Metric(f"sharpness {span}", "", "true", "Video against the true clip") for span in ("0–1 s", "later")
    ),
    title="sharpness 0–1 s, later",
    meaning="variance of the Laplacian of the predicted frames over that of the true ones, in the first second and "
    "after it; 1 is as sharp as the truth",
    source="",
    formulas=(laplacian_variance, ratio),
    measures=(edges,),
    needs=("laplacian",),
    pool=_pool,
    paired=True,
)
