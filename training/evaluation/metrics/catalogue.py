"""All metrics, in the order of the report's tables. A new one is a `MetricFamily` in a file of its own, listed here."""

from __future__ import annotations

from collections.abc import Iterable

from training.evaluation.metrics import (
    camera_paths,
    frechet,
    hand_score,
    obeyed,
    path_errors,
    physics,
    psnr,
    retrieval,
    sharpness,
    view_turns,
)
from training.evaluation.metrics.metric_family import Measure, Metric, MetricFamily

FAMILIES: tuple[MetricFamily, ...] = (
    frechet.I_FID,
    frechet.FVD,
    retrieval.CLIP_SIM,
    psnr.PSNR,
    psnr.PSNR_FULL,
    sharpness.SHARPNESS,
    frechet.M_FID,
    retrieval.TEXT_MOTION,
    obeyed.OBEYED,
    obeyed.OBEYED_KINDS,
    camera_paths.CAMERA,
    camera_paths.LEARNED,
    camera_paths.FOUND,
    hand_score.HANDS_SEEN,
    view_turns.VIEW_TURNS,
    path_errors.HEAD_PATH,
    path_errors.BODY_PATH,
    path_errors.JOINTS,
    path_errors.HEAD_TURN,
    path_errors.SAMPLES,
    physics.FOOT_SLIDING,
    physics.STANCE,
    physics.FLOOR,
    physics.JERK,
)


def metrics() -> dict[str, Metric]:
    """Every row of the report by its name."""
    return {metric.name: metric for family in FAMILIES for metric in family.metrics}


def measures(families: Iterable[MetricFamily]) -> tuple[Measure, ...]:
    """What is kept of each clip for some metrics."""
    return tuple(dict.fromkeys(measure for family in families for measure in family.measures))
