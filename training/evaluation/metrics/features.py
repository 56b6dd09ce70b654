"""Features of a clip's frames, video, motion and text, kept for the metrics that compare them."""

from __future__ import annotations

from training.evaluation.metrics.metric_family import Parts
from training.evaluation.metrics.predicted_clip import PredictedClip

IMAGE_STRIDE = 4


def image_features(case: PredictedClip) -> Parts:
    """`image_features` (N, D) of every `IMAGE_STRIDE`-th frame but the given one."""
    frames, extract = case.prediction.frames, case.tools.images
    if frames is None or extract is None:
        return {}
    return {"image_features": extract(frames[IMAGE_STRIDE::IMAGE_STRIDE])}


def video_features(case: PredictedClip) -> Parts:
    """`video_features` (D,)."""
    frames, extract = case.prediction.frames, case.tools.clips
    return {} if frames is None or extract is None else {"video_features": extract(frames)}


def frame_and_text_features(case: PredictedClip) -> Parts:
    """`picture_features` (F, D) or (1, D), and `picture_text` (D,)."""
    frames, extractor = case.prediction.frames, case.tools.frame_text
    if frames is None or extractor is None:
        return {}
    return {"picture_features": extractor.frames(frames), "picture_text": extractor.text(case.clip.text)}


def motion_features(case: PredictedClip) -> Parts:
    """`motion_features` (D,) of the first sample."""
    body, extractor = case.prediction.body, case.tools.motion_text
    if body is None or extractor is None:
        return {}
    return {"motion_features": extractor.motion(body.positions[0], body.rotations[0])}


def motion_text(case: PredictedClip) -> Parts:
    """`motion_text` (D,): features of the clip's text in the motions' space."""
    extractor = case.tools.motion_text
    if case.prediction.body is None or extractor is None:
        return {}
    return {"motion_text": extractor.text(case.clip.text)}
