"""Does the view turn with the head: correlation of the frames' horizontal shift with the change of heading."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from egotwin_model.motion.head_path import heading
from training.evaluation.metrics.intervals import Interval, bootstrap, share_of_clips
from training.evaluation.metrics.metric_family import Metric, MetricFamily, Parts, Rates
from training.evaluation.metrics.predicted_clip import PredictedClip
from training.evaluation.metrics.view_shift import view_shift

GROUP = "View and motion agree"
TURNED_RAD = np.deg2rad(30.0)  # clips whose heading changes less have no side


def turns(case: PredictedClip) -> Parts:
    """`view_shift` (F - 1,) in pixels of a view 90° wide, and `head_turn` (F - 1,) rad, from frame to frame."""
    video, motion = case.video, case.motion_at_frames
    if video is None or motion is None:
        return {}
    as_90_degrees = 0.5 * video.shape[2] / case.clip.camera.fx  # so that clips of different cameras can be pooled
    turn = np.diff(heading(np.asarray(motion.head_rotations, np.float64)))
    return {"view_shift": as_90_degrees * view_shift(video), "head_turn": turn}


def correlation(moved: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's, pooled over frame pairs and clips: (2, pairs, ..., N) to (...); NaN where nothing moves."""
    pairs_last = np.moveaxis(moved, 1, -1)  # (2, ..., N, pairs)
    flat = pairs_last.reshape(*pairs_last.shape[:-2], -1)
    centred = flat - flat.mean(axis=-1, keepdims=True)
    power = np.sqrt(np.square(centred).sum(axis=-1))
    length = power[0] * power[1]
    together = (centred[0] * centred[1]).sum(axis=-1)
    return np.divide(together, length, out=np.full_like(length, np.nan), where=length > 1e-12)


def _pool(parts: Parts, truth: Parts, rates: Rates) -> dict[str, Interval]:
    found: dict[str, Interval] = {}
    moved = np.stack([parts["view_shift"], parts["head_turn"]])  # (2, N, steps)
    for name, window in (("", 1), (", over half seconds", max(1, round(rates[0] / 2)))):
        steps = moved[..., : moved.shape[-1] // window * window].reshape(*moved.shape[:2], -1, window).sum(-1)
        found[f"view turns with the head{name}"] = bootstrap(np.moveaxis(steps, 1, -1), correlation)
    shift, turn = moved.sum(axis=-1)
    same_side = (np.sign(shift) == np.sign(turn))[np.abs(turn) >= TURNED_RAD]
    return found | {"view turns to the head's side": share_of_clips(same_side)}


VIEW_TURNS = MetricFamily(
    metrics=(
        Metric("view turns with the head", "", "higher", GROUP),
        Metric("view turns with the head, over half seconds", "", "higher", GROUP),
        Metric("view turns to the head's side", "", "higher", GROUP),
    ),
    title="view turns with the head; over half seconds; to the head's side",
    meaning="correlation of the frames' horizontal shift with the change of heading; share of clips that turn by 30° "
    "whose view moves to that side",
    source="",
    formulas=(view_shift, correlation),
    measures=(turns,),
    needs=("view_shift", "head_turn"),
    pool=_pool,
)
