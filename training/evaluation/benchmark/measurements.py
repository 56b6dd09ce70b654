"""One clip's measurements: what needs its pictures and poses, as small arrays that are kept and pooled later.

```
truth ─┬─ frames ──── image_features · video_features · text_video / picture_text · hands · camera path ─┐
       └─ motion ──── motion_features · text_motion · path and joint errors · physics · obedience ───────┴─ parts
```

Frame and pose 0 are given, so they are never measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import ModelError
from egotwin_model.geometry.rotations import rotation_angle
from egotwin_model.geometry.skeleton import ANKLES, TOES
from egotwin_model.io.store import MANIFEST, verify
from egotwin_model.motion.head_path import heading
from egotwin_model.motion.representation import BodyMotion
from training.evaluation.benchmark.predictions import Prediction
from training.evaluation.benchmark.tasks import Benchmark, Mode, RealClip
from training.evaluation.extractors.base import (
    ClipExtractor,
    EfficientNetLite0,
    ExtractorId,
    FrameExtractor,
    HandFinder,
    MotionTextExtractor,
    PictureTextExtractor,
)
from training.evaluation.extractors.colmap import CameraPath, Colmap
from training.evaluation.extractors.official import I3D, Clip, InceptionV3
from training.evaluation.extractors.trained import (
    EVALUATORS,
    CameraEvaluator,
    HandEvaluator,
    TextMotionEvaluator,
    VideoTextEvaluator,
    shared_texts,
)
from training.evaluation.metrics.hand_score import counts, hands_in_view
from training.evaluation.metrics.head_motion import view_consistency
from training.evaluation.metrics.obedience import by_kind, obeys_record
from training.evaluation.metrics.path_errors import HORIZONS_S, distances
from training.evaluation.metrics.physics import floor_penetration, foot_sliding, jerk, stance
from training.evaluation.metrics.view_shift import view_shift

Parts = dict[str, NDArray[Any]]
IMAGE_STRIDE = 4
LEAST_REGISTERED = 0.5
"""A camera path of fewer of the used frames counts as a failure: its error would be that of a fragment."""


@dataclass(frozen=True)
class ToolsSpec:
    """Which extractors to use; small enough to be sent to any worker.

    Attributes:
        evaluators: folder of our trained evaluators ("text-motion", "video-text", "hands", "camera"); those it
            lacks are unused.
        images: whether I-FID is measured. cameras: whether camera paths are found.
        official: "inception", "i3d": (file, SHA-256); "clip": (folder, ""), in place of ours.
    """

    evaluators: str = ""
    images: bool = True
    cameras: bool = True
    camera_stride: int = 2
    official: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Tools:
    """The extractors of a run; None: what needs it is not measured."""

    images: FrameExtractor | None = None
    clips: ClipExtractor | None = None
    pictures: PictureTextExtractor | None = None
    motions: MotionTextExtractor | None = None
    hands: HandFinder | None = None
    colmap: Colmap | None = None
    regressor: CameraEvaluator | None = None

    def identities(self) -> dict[str, ExtractorId]:
        """By the role that the report names."""
        found = {
            "I-FID": self.images, "FVD": self.clips, "CLIP-SIM": self.pictures, "text and motion": self.motions,
            "hands": self.hands, "camera path": self.colmap,
            "learned camera path": self.regressor,
        }  # fmt: skip
        return {role: tool.identity for role, tool in found.items() if tool is not None}


@lru_cache(maxsize=2)
def load_tools(spec: ToolsSpec) -> Tools:
    """The extractors of a spec, once in each process; `ModelError` where one is missing or altered."""
    official = {name: (Path(path), checksum) for name, path, checksum in spec.official}
    folder = Path(spec.evaluators) if spec.evaluators else None
    if folder and not folder.is_dir():
        raise ModelError(f"no evaluators in {folder}: give the folder with --evaluators, or --no-evaluators")
    if folder and (folder / MANIFEST).is_file():  # shipped ones have it, those of a training do not
        verify(folder)
    ours = {name: folder / name for name in EVALUATORS if folder and (folder / name).is_dir()}
    video = VideoTextEvaluator(ours["video-text"], shared_texts()) if "video-text" in ours else None
    images: FrameExtractor | None = EfficientNetLite0() if spec.images else None
    return Tools(
        images=InceptionV3(*official["inception"]) if "inception" in official else images,
        clips=I3D(*official["i3d"]) if "i3d" in official else video,
        pictures=Clip(official["clip"][0]) if "clip" in official else video,
        motions=TextMotionEvaluator(ours["text-motion"], shared_texts()) if "text-motion" in ours else None,
        hands=HandEvaluator(ours["hands"]) if "hands" in ours else None,
        colmap=Colmap(spec.camera_stride) if spec.cameras else None,
        regressor=CameraEvaluator(ours["camera"]) if "camera" in ours else None,
    )


def measure(clip: RealClip, prediction: Prediction, mode: Mode, benchmark: Benchmark, tools: Tools) -> Parts:
    """All measurements of one clip's prediction; the true clip itself is measured as a prediction of mode "joint"."""
    parts: Parts = {}
    if prediction.frames is not None:
        parts |= _video_parts(clip, prediction.frames, tools)
    if prediction.motion is not None:
        parts |= _motion_parts(clip, prediction.motion, prediction.has_body, benchmark, tools)
    video = clip.frames if mode == "TV2M" else prediction.frames
    motion = clip.motion if mode == "TM2V" else _first_sample(prediction.motion)
    if video is not None and motion is not None:
        parts |= _agreement(clip, video, motion, benchmark.poses_per_frame, tools)
    return parts


def _first_sample(motion: BodyMotion | None) -> BodyMotion | None:
    return None if motion is None else BodyMotion(*(part[0] for part in vars(motion).values()))


def features_only(clip: RealClip, tools: Tools) -> Parts:
    """Of the other real clips: what real-against-real compares."""
    parts: Parts = {}
    if tools.images is not None:
        parts["image_features"] = tools.images(clip.frames[IMAGE_STRIDE::IMAGE_STRIDE])
    if tools.clips is not None:
        parts["video_features"] = tools.clips(clip.frames)
    if tools.motions is not None:
        parts["motion_features"] = tools.motions.motion(clip.positions, clip.rotations)
    return parts


def _video_parts(clip: RealClip, frames: NDArray[np.uint8], tools: Tools) -> Parts:
    error = np.square(frames[1:].astype(np.float32) - clip.frames[1:].astype(np.float32)).mean((1, 2, 3))
    parts: Parts = {"frame_mse": error}
    if tools.images is not None:
        parts["image_features"] = tools.images(frames[IMAGE_STRIDE::IMAGE_STRIDE])
    if tools.clips is not None:
        parts["video_features"] = tools.clips(frames)
    if tools.pictures is not None:
        parts["picture_features"] = tools.pictures.pictures(frames)
        parts["picture_text"] = tools.pictures.text(clip.text)
    return parts


def _motion_parts(clip: RealClip, motion: BodyMotion, body: bool, benchmark: Benchmark, tools: Tools) -> Parts:
    truth, rate = clip.motion, benchmark.pose_rate
    steps = [round(horizon * rate) for horizon in HORIZONS_S if round(horizon * rate) < len(clip.positions)]
    parts: Parts = {
        "head_error": distances(motion.head_positions, truth.head_positions),
        "head_turn_error": rotation_angle(motion.head_rotations, truth.head_rotations),
        "floor_places": np.asarray(motion.head_positions)[:, steps, :2],
        "floor_truth": np.asarray(truth.head_positions)[steps, :2],
    }
    if not body:
        return parts
    floor, ankle = (float(clip.positions[:, joints, 2].min()) for joints in (TOES, ANKLES))  # standing, of this body
    sliding, standing = stance(motion.positions, rate, floor, ankle)
    asked = clip.record, (clip.positions, clip.rotations), rate
    bodies = list(zip(motion.positions, motion.rotations, strict=True))
    obeyed = [obeys_record(asked[0], body, *asked[1:]) for body in bodies]
    parts |= {
        "joint_error": distances(motion.positions, truth.positions).mean(axis=-1),
        "foot_sliding": foot_sliding(motion.positions, rate, floor),
        "stance_sliding": sliding,
        "feet_standing": standing,
        "floor_penetration": floor_penetration(motion.positions, floor),
        "jerk": jerk(motion.positions, rate),
        "obeyed": np.array([np.nan if answer is None else float(answer) for answer in obeyed]),
        "obeyed_kinds": np.stack([by_kind(asked[0], body, *asked[1:]) for body in bodies]),
    }
    if tools.motions is not None:
        parts["motion_features"] = tools.motions.motion(motion.positions[0], motion.rotations[0])
        parts["motion_text"] = tools.motions.text(clip.text)
    return parts


def _agreement(
    clip: RealClip, video: NDArray[np.uint8], motion: BodyMotion, poses_per_frame: int, tools: Tools
) -> Parts:
    """Between video and motion, through the clip's own camera: turning with the head, hands, camera path."""
    every = slice(None, None, poses_per_frame)
    head_r, head_p = (np.asarray(part, np.float64)[every] for part in (motion.head_rotations, motion.head_positions))
    as_90_degrees = 0.5 * video.shape[2] / clip.camera.fx  # so that clips of different cameras can be pooled
    parts: Parts = {"view_shift": as_90_degrees * view_shift(video), "head_turn": np.diff(heading(head_r))}
    camera = clip.mount.camera_pose(head_p, head_r)
    if tools.hands is not None and motion.positions.shape[-2]:
        wanted = hands_in_view(motion.positions[every], motion.rotations[every], clip.camera, clip.mount)
        parts["hands"] = counts(tools.hands(video)[1:], wanted[1:])
    if tools.colmap is not None:
        path = tools.colmap(video, clip.camera)
        used = -(-len(video) // tools.colmap.stride)
        parts["registered"] = np.array(len(path.frames) / used)
        trusted = len(path.frames) > 1 and len(path.frames) >= LEAST_REGISTERED * used
        parts["camera_error"] = _camera_error(path, camera) if trusted else np.full(2, np.nan)
    if tools.regressor is not None:
        readable = tools.regressor.reads(clip.camera)
        parts["camera_error_learned"] = (
            _camera_error(tools.regressor(video), camera) if readable else np.full(2, np.nan)
        )
    return parts


def _camera_error(path: CameraPath, camera: NDArray[np.floating]) -> NDArray[np.float64]:
    """TransErr and RotErr of a path found in the video against the camera (F, 4, 4) that the motion implies."""
    implied = camera[path.frames]
    found = view_consistency(path.rotations, path.positions, implied[:, :3, :3], implied[:, :3, 3])
    return np.array([found["TransErr"], found["RotErr"]])
