"""What metrics read: a real clip, what was predicted for it, and both together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.skeleton import HEAD
from egotwin_model.motion.representation import BodyMotion
from training.evaluation.metrics.tools import Tools

Mode = Literal["joint", "TV2M", "TM2V", "T2M", "T2V"]
MODES: tuple[Mode, ...] = get_args(Mode)
PREDICTED: dict[Mode, tuple[str, ...]] = {
    "joint": ("video", "motion"),
    "TV2M": ("motion",),
    "TM2V": ("video",),
    "T2M": ("motion",),
    "T2V": ("video",),
}
"""What each mode predicts from first frame, first pose and text; TV2M is also given the video, TM2V the motion."""


@dataclass(frozen=True)
class RealClip:
    """One real clip, in its own world frame (z up).

    Attributes:
        split, number: its place in the data folder. record: text, behaviour, ...
        frames: uint8 (F, H, W, 3). positions: (T, 23, 3) metres. rotations: (T, 23, 3, 3).
        camera, mount: the frames' intrinsics, and where the camera sits on the head.
        camera_pose: (F, 4, 4) T_world_camera, optical; None where the data has none.
        arrays: all that the data holds of the clip, by name (`training.datasets.clips.shards`).
    """

    split: str
    number: int
    record: dict[str, Any]
    frames: NDArray[np.uint8]
    positions: NDArray[np.float32]
    rotations: NDArray[np.float32]
    camera: Pinhole
    mount: Mount
    camera_pose: NDArray[np.float32] | None = None
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return str(self.record["text"])

    @property
    def motion(self) -> BodyMotion:
        return BodyMotion(self.positions, self.rotations, self.positions[:, HEAD], self.rotations[:, HEAD])


@dataclass(frozen=True)
class Prediction:
    """One clip's predictions.

    Attributes:
        frames: uint8 (F, H, W, 3), or None.
        motion: S samples (S, T, ...) in the clip's world, or None; without a body its `positions` are (S, T, 0, 3).
    """

    frames: NDArray[np.uint8] | None
    motion: BodyMotion | None

    @property
    def has_body(self) -> bool:
        return self.motion is not None and self.motion.positions.shape[-2] > 0

    @property
    def body(self) -> BodyMotion | None:
        """The motion, where it has a body."""
        return self.motion if self.has_body else None


def as_prediction(clip: RealClip) -> Prediction:
    """The true clip as what a model that knows the future would predict."""
    return Prediction(clip.frames, BodyMotion(*(part[None] for part in vars(clip.motion).values())))


@dataclass(frozen=True)
class PredictedClip:
    """A real clip, its prediction, and what measures them.

    Frame 0 and pose 0 are given, so no metric counts them.

    Attributes:
        mode: what was predicted. frame_rate, pose_rate: per second. tools: the extractors there are.
    """

    clip: RealClip
    prediction: Prediction
    mode: Mode
    frame_rate: float
    pose_rate: float
    tools: Tools

    @property
    def video(self) -> NDArray[np.uint8] | None:
        """The video that goes with `motion`: the predicted one, or the one that the mode was given."""
        return self.clip.frames if self.mode == "TV2M" else self.prediction.frames

    @property
    def motion(self) -> BodyMotion | None:
        """The motion (T, ...) that goes with `video`: the first predicted sample, or the one the mode was given."""
        predicted = self.prediction.motion
        if self.mode == "TM2V":
            return self.clip.motion
        return None if predicted is None else BodyMotion(*(part[0] for part in vars(predicted).values()))

    @property
    def motion_at_frames(self) -> BodyMotion | None:
        """`motion` at the frames' times, (F, ...)."""
        motion, every = self.motion, slice(None, None, round(self.pose_rate / self.frame_rate))
        return None if motion is None else BodyMotion(*(part[every] for part in vars(motion).values()))
