"""HandScore: do hands appear in the video when the motion brings them into view? (spec: "Evaluation")

For left and right separately: "a hand is in the frame" (found by a classifier) against "the hand is inside the view of
the camera on the head" (from the motion and the known camera); the score is the mean of both F-scores.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.skeleton import HEAD, XSENS_JOINTS
from training.evaluation.errors import PredictionError
from training.evaluation.metrics.intervals import Interval, bootstrap
from training.evaluation.metrics.metric_family import Metric, MetricFamily, Parts
from training.evaluation.metrics.predicted_clip import PredictedClip

SIDES = ("left", "right")
HANDS = (XSENS_JOINTS.index("L_Hand"), XSENS_JOINTS.index("R_Hand"))
WRIST_TO_KNUCKLES_M = 0.09
NEAR_M = 0.05


def hands_in_view(positions: ArrayLike, rotations: ArrayLike, camera: Pinhole, mount: Mount) -> NDArray[np.bool_]:
    """Whether each hand's wrist or knuckles are inside the camera's view; occlusion is ignored.

    Args:
        positions, rotations: (..., 23, 3) metres and (..., 23, 3, 3), one pose for each frame.

    Returns:
        (..., 2): left, right.
    """
    x, r = np.asarray(positions, dtype=np.float64), np.asarray(rotations, dtype=np.float64)
    along = np.array([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])  # where fingers point in T-pose
    wrists = x[..., HANDS, :]
    knuckles = wrists + WRIST_TO_KNUCKLES_M * (r[..., HANDS, :, :] @ along[..., None])[..., 0]
    points = np.stack([wrists, knuckles], axis=-2)  # (..., 2 hands, 2 points, 3)
    head = (points - x[..., None, None, HEAD, :]) @ r[..., None, HEAD, :, :]
    optical = (head - np.array(mount.translation)) @ np.array(mount.rotation)
    inside = camera.project(optical)[1] & (optical[..., 2] > NEAR_M)
    return inside.any(axis=-1)


def counts(found: ArrayLike, wanted: ArrayLike) -> NDArray[np.int64]:
    """True positives, false positives, false negatives of a clip: (F, 2) and (F, 2) to (3, 2)."""
    f, w = np.asarray(found, dtype=bool), np.asarray(wanted, dtype=bool)
    if f.shape != w.shape or f.shape[-1] != 2:
        raise PredictionError(f"hands found {f.shape}, wanted {w.shape}: both must be (frames, 2), left and right")
    return np.stack([(f & w).sum(axis=0), (f & ~w).sum(axis=0), (~f & w).sum(axis=0)])


def f_score(tallies: ArrayLike) -> NDArray[np.float64]:
    """2 TP / (2 TP + FP + FN); NaN where no hand was ever found or wanted. (3, ...) to (...)."""
    true, false, missed = np.asarray(tallies, dtype=np.float64)
    total = 2 * true + false + missed
    return np.divide(2 * true, total, out=np.full_like(total, np.nan), where=total > 0)


def hand_score(tallies: ArrayLike) -> Interval:
    """Mean of the left and the right F-score over all frames of all clips, with its interval over clips.

    Args:
        tallies: (N, 3, 2) of `counts`.

    Raises:
        PredictionError: a hand is in no frame of any clip, neither found nor wanted.
    """
    per_clip = np.moveaxis(np.asarray(tallies, dtype=np.float64), 0, -1)  # (3, 2, N)

    result = bootstrap(per_clip, lambda resampled: f_score(resampled.sum(axis=-1)).mean(axis=0))
    if not np.isfinite(result.value):
        raise PredictionError("a hand is in no frame, neither seen nor expected: HandScore is undefined; add clips")
    return result


def hand_counts(case: PredictedClip) -> Parts:
    """`hands` (3, 2): `counts` of hands seen in the video against hands that the motion brings into view."""
    video, motion, find = case.video, case.motion_at_frames, case.tools.hands
    if video is None or motion is None or find is None or not motion.positions.shape[-2]:
        return {}
    wanted = hands_in_view(motion.positions, motion.rotations, case.clip.camera, case.clip.mount)
    return {"hands": counts(find(video)[1:], wanted[1:])}


HANDS_SEEN = MetricFamily(
    metrics=(Metric("HandScore", "", "higher", "View and motion agree", "hands"),),
    title="HandScore",
    meaning="mean F-score of left and right: hand seen in the frame against hand inside the camera's view",
    source="EgoTwin",
    formulas=(hand_score,),
    measures=(hand_counts,),
    needs=("hands",),
    pool=lambda parts, truth, rates: {"HandScore": hand_score(parts["hands"])},
)
