"""Does the camera move in the video as the motion says: TransErr and RotErr of a path that was found in the frames."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from egotwin_model.motion.representation import BodyMotion
from training.evaluation.metrics.head_motion import view_consistency
from training.evaluation.metrics.intervals import Interval, over_clips, share_of_clips
from training.evaluation.metrics.metric_family import Metric, MetricFamily, Parts, Rates
from training.evaluation.metrics.predicted_clip import PredictedClip
from training.evaluation.metrics.tools import CameraPath

GROUP = "View and motion agree"
LEAST_REGISTERED = 0.5
"""A camera path of fewer of the used frames counts as a failure: its error would be that of a fragment."""


def path_error(path: CameraPath, case: PredictedClip, motion: BodyMotion) -> NDArray[np.float64]:
    """TransErr [m] and RotErr [rad] of a path against that of the clip's camera on the motion's head (F poses)."""
    head = (np.asarray(part, np.float64)[path.frames] for part in (motion.head_positions, motion.head_rotations))
    implied = case.clip.mount.camera_pose(*head)
    found = view_consistency(path.rotations, path.positions, implied[:, :3, :3], implied[:, :3, 3])
    return np.array([found["TransErr"], found["RotErr"]])


def camera_error(case: PredictedClip) -> Parts:
    """`camera_error` (2,), NaN where no path was found, and `registered`, the share of the used frames it has."""
    video, motion, find = case.video, case.motion_at_frames, case.tools.camera_paths
    if video is None or motion is None or find is None:
        return {}
    path, used = find(video, case.clip.camera), -(-len(video) // find.stride)
    trusted = len(path.frames) > 1 and len(path.frames) >= LEAST_REGISTERED * used
    error = path_error(path, case, motion) if trusted else np.full(2, np.nan)
    return {"registered": np.array(len(path.frames) / used), "camera_error": error}


def learned_camera_error(case: PredictedClip) -> Parts:
    """`camera_error_learned` (2,), NaN where the network was trained on another view than the clip's."""
    video, motion, regress = case.video, case.motion_at_frames, case.tools.learned_camera_paths
    if video is None or motion is None or regress is None:
        return {}
    readable = regress.reads(case.clip.camera)
    return {"camera_error_learned": path_error(regress(video), case, motion) if readable else np.full(2, np.nan)}


def _pool_errors(parts: Parts, truth: Parts, rates: Rates) -> dict[str, Interval]:
    errors = parts["camera_error"]
    return {"TransErr": over_clips(errors[:, 0]), "RotErr": over_clips(errors[:, 1])}


def _pool_found(parts: Parts, truth: Parts, rates: Rates) -> dict[str, Interval]:
    return {
        "camera paths found": share_of_clips(np.isfinite(parts["camera_error"][:, 0])),
        "frames registered": over_clips(parts["registered"]),
    }


def _pool_learned(parts: Parts, truth: Parts, rates: Rates) -> dict[str, Interval]:
    errors = parts["camera_error_learned"]
    if unread := int(np.isnan(errors[:, 0]).sum()):
        warnings.warn(
            f"TransErr and RotErr, learned: {unread} of {len(errors)} clips are left out, because their view is not "
            "the one that the camera evaluator was trained on",
            stacklevel=2,
        )
    return {"TransErr, learned": over_clips(errors[:, 0]), "RotErr, learned": over_clips(errors[:, 1])}


CAMERA = MetricFamily(
    metrics=(
        Metric("TransErr", "m", "lower", GROUP, "camera path"),
        Metric("RotErr", "rad", "lower", GROUP, "camera path"),
    ),
    title="TransErr, RotErr",
    meaning="camera path found in the video against the one the motion implies, scale by Procrustes",
    source="EgoTwin",
    formulas=(view_consistency,),
    measures=(camera_error,),
    needs=("camera_error",),
    pool=_pool_errors,
)
LEARNED = MetricFamily(
    metrics=(
        Metric("TransErr, learned", "m", "lower", GROUP, "learned camera path"),
        Metric("RotErr, learned", "rad", "lower", GROUP, "learned camera path"),
    ),
    title="TransErr, RotErr, learned",
    meaning="the same of a path that our camera CNN reads from the video, which has every frame",
    source="",
    formulas=(view_consistency,),
    measures=(learned_camera_error,),
    needs=("camera_error_learned",),
    pool=_pool_learned,
)
FOUND = MetricFamily(
    metrics=(
        Metric("camera paths found", "", "higher", GROUP, "camera path"),
        Metric("frames registered", "", "higher", GROUP, "camera path"),
    ),
    title="camera paths found, frames registered",
    meaning="how often a camera path was found; a path of fewer than half of the frames is a failure and has no error",
    source="",
    formulas=(camera_error,),
    measures=(camera_error,),
    needs=("camera_error", "registered"),
    pool=_pool_found,
)
