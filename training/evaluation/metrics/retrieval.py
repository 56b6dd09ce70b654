"""How text and motion (or video) match in a common feature space: R-Precision, MM-Dist, Diversity, CLIP-SIM.

Sources: Guo et al. 2022 ("Generating Diverse and Natural 3D Human Motions from Text", Section 5) for the first three,
Wu et al. 2021 (GODIVA) for CLIP-SIM; EgoTwin's settings (batches of 32) in the spec, "Evaluation".
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.evaluation.errors import PredictionError
from training.evaluation.metrics.features import frame_and_text_features, motion_features, motion_text
from training.evaluation.metrics.intervals import Interval, over_clips, over_repetitions
from training.evaluation.metrics.metric_family import Metric, MetricFamily, Parts, Rates

Array = NDArray[np.float64]
BATCH = 32
REPETITIONS = 20
PAIRS = 300  # of Diversity, in each repetition
SEED = 0
TOP = (1, 2, 3)


def r_precision(texts: ArrayLike, motions: ArrayLike, *, batch: int = BATCH) -> dict[int, Interval]:
    """Share of motions whose own text is among the k nearest of the batch's texts, for k in `TOP`.

    Args:
        texts, motions: (N, D) features of N pairs; see `batch_ranks`.
    """
    ranks = batch_ranks(texts, motions, batch=batch)
    return {k: over_repetitions((ranks < k).sum(axis=1) / np.isfinite(ranks).sum(axis=1)) for k in TOP}


def batch_ranks(texts: ArrayLike, motions: ArrayLike, *, batch: int = BATCH) -> Array:
    """How many other texts of its batch are at least as near to each motion as its own: (REPETITIONS, N).

    Each repetition shuffles the clips and cuts whole batches; what is left over is NaN. Of texts at equal distance (two
    clips may have the same goal) the own one counts last, so a collapsed space scores 0.

    Raises:
        PredictionError: fewer pairs than a batch, not finite, or of different shapes.
    """
    text, motion = _pairs(texts, motions)
    if len(text) < batch:
        raise PredictionError(f"{len(text)} clips for R-Precision, which needs at least one batch of {batch}")
    rng = np.random.default_rng(SEED)
    ranks = np.full((REPETITIONS, len(text)), np.nan)
    for row in ranks:
        for chosen in rng.permutation(len(text))[: len(text) // batch * batch].reshape(-1, batch):
            row[chosen] = _ranks(text[chosen], motion[chosen])
    return ranks


def _ranks(texts: Array, motions: Array) -> NDArray[np.int64]:
    """How many other texts are at least as near to each motion as its own, (N,)."""
    distances = np.linalg.norm(motions[:, None] - texts[None], axis=-1)
    return (distances <= np.diagonal(distances)[:, None]).sum(axis=1) - 1


def mm_distance(texts: ArrayLike, motions: ArrayLike) -> Array:
    """Euclidean distance of each motion to its own text, (N,); MM-Dist is the mean."""
    text, motion = _pairs(texts, motions)
    return np.linalg.norm(motion - text, axis=-1)


def diversity(features: ArrayLike) -> Interval:
    """Mean distance of two random clips' features: `PAIRS` pairs, sampled again in each repetition.

    Guo et al. sample two sets of 300; where there are fewer clips, each set is half of them.
    """
    x = _finite(features, "features")
    size = min(PAIRS, len(x) // 2)
    if size < 1:
        raise PredictionError(f"{len(x)} clips for Diversity, which needs at least 2")
    rng = np.random.default_rng(SEED)
    means = []
    for _ in range(REPETITIONS):
        order = rng.permutation(len(x))
        means.append(np.linalg.norm(x[order[:size]] - x[order[size : 2 * size]], axis=-1).mean())
    return over_repetitions(np.array(means))


def clip_similarity(frames: ArrayLike, texts: ArrayLike) -> Array:
    """100 × cosine of each clip's frame features with its text's, mean over frames: (N,); CLIP-SIM is the mean.

    Args:
        frames: (N, F, D), or (N, D) where the extractor reads whole clips. texts: (N, D).
    """
    frame, text = _finite(frames, "frame features"), _finite(texts, "text features")
    if frame.ndim == 2:
        frame = frame[:, None]
    if frame.ndim != 3 or text.shape != (len(frame), frame.shape[-1]):
        raise PredictionError(f"frame features {frame.shape} and text features {text.shape} do not pair up")
    lengths = np.linalg.norm(frame, axis=-1) * np.linalg.norm(text, axis=-1)[:, None]
    cosines = np.einsum("nfd,nd->nf", frame, text) / np.maximum(lengths, 1e-12)
    return 100.0 * cosines.mean(axis=1)


def _pairs(texts: ArrayLike, motions: ArrayLike) -> tuple[Array, Array]:
    text, motion = _finite(texts, "text features"), _finite(motions, "motion features")
    if text.ndim != 2 or text.shape != motion.shape:
        raise PredictionError(f"text features {text.shape} and motion features {motion.shape}: wanted (N, D) each")
    return text, motion


def _finite(features: ArrayLike, what: str) -> Array:
    x = np.asarray(features, dtype=np.float64)
    if not np.isfinite(x).all():
        raise PredictionError(f"{what} hold NaN or infinite values; look for clips with broken frames or motion")
    return x


def _pool_clip_sim(parts: Parts, truth: Parts, rates: Rates) -> dict[str, Interval]:
    return {"CLIP-SIM": over_clips(clip_similarity(parts["picture_features"], parts["picture_text"]))}


def _pool_text_motion(parts: Parts, truth: Parts, rates: Rates) -> dict[str, Interval]:
    motions, texts = parts["motion_features"], parts["motion_text"]
    found = {"MM-Dist": over_clips(mm_distance(texts, motions)), "Diversity": diversity(motions)}
    try:
        shares = r_precision(texts, motions)
    except PredictionError as error:
        warnings.warn(f"R-Precision is not measured: {error}", stacklevel=2)
        return found
    if len(motions) < 2 * BATCH:
        warnings.warn(f"R-Precision: {len(motions)} clips are one batch: no interval", stacklevel=2)
    return found | {f"R-Precision top-{k}": share for k, share in shares.items()}


CLIP_SIM = MetricFamily(
    metrics=(Metric("CLIP-SIM", "", "higher", "Video", "CLIP-SIM", 2),),
    title="CLIP-SIM",
    meaning="100 × cosine of the features of frames and text",
    source="Wu et al. 2021",
    formulas=(clip_similarity,),
    measures=(frame_and_text_features,),
    needs=("picture_features", "picture_text"),
    pool=_pool_clip_sim,
)
TEXT_MOTION = MetricFamily(
    metrics=(
        *(Metric(f"R-Precision top-{k}", "", "higher", "Motion", "text and motion") for k in TOP),
        Metric("MM-Dist", "", "lower", "Motion", "text and motion"),
        Metric("Diversity", "", "true", "Motion", "text and motion"),
    ),
    title="R-Precision top-1/2/3, MM-Dist, Diversity",
    meaning=f"whether a motion's own text is among the nearest of {BATCH}; distance of a motion to its text; distance "
    "of two random motions, all in a common space of text and motion",
    source="Guo et al. 2022",
    formulas=(r_precision,),
    measures=(motion_features, motion_text),
    needs=("motion_features", "motion_text"),
    pool=_pool_text_motion,
)
