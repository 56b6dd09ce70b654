"""What a model must beat: simple predictors, each written as a folder of predictions like a model's own.

Each one says what it is given beyond first frame, first pose and text, because some are given much.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from egotwin_model.geometry.skeleton import HEAD
from egotwin_model.motion.representation import BodyMotion
from egotwin_model.text.encoders import TextEncoder
from training.datasets.clips.dataset import ClipSet, goals_checksum
from training.datasets.clips.priors import clip_prior, has_depth
from training.evaluation.benchmark.predictions import PredictionInfo, is_written, write_info, write_prediction
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.errors import PredictionError
from training.evaluation.extractors.extractor_networks import TEXT_LENGTH, TEXT_PACKAGE
from training.evaluation.metrics.head_motion import constant_velocity
from training.evaluation.metrics.placing import levelled, placed_at
from training.evaluation.metrics.predicted_clip import Mode, Prediction, RealClip

Array = NDArray[np.float64]
THUMBNAIL = 8
LEAST_VISIBLE, INPAINT_RADIUS = 0.5, 3.0  # of a prior's pixels that are kept; pixels
LIBRARY_CLIPS = 4000


@dataclass(frozen=True)
class Baseline:
    """A named predictor: mode, what else it is given, how it predicts a clip, and which other splits it reads."""

    name: str
    mode: Mode
    also_given: str
    predict: Callable[[RealClip], Prediction]
    learns_from: tuple[str, ...] = ()


def baselines(benchmark: Benchmark) -> dict[str, Baseline]:
    """All baselines by name; the train split is read when one that needs it first predicts."""
    library = Library(benchmark)
    entries = (
        Baseline("repeat first frame, stand still", "joint", "", frozen),
        Baseline("constant velocity", "T2M", "the second pose", constant_motion),
        Baseline("mean path of the behaviour", "T2M", "the behaviour's name", library.mean_path),
        Baseline("nearest neighbour", "joint", "the training clips", library.nearest, ("train",)),
        Baseline("first frame turned with the head", "TM2V", "the true camera", turned),
        *(_geometry() if has_depth(benchmark.arrays) else ()),
    )
    return {entry.name: entry for entry in entries}


def _geometry() -> tuple[Baseline, ...]:
    """Those that need the first frame's depth."""
    return (
        Baseline(
            "first frame warped and inpainted", "TM2V", "the true camera, the first frame's depth",
            partial(warped, with_past=False),
        ),
        Baseline(
            "past warped and inpainted", "TM2V", "the true camera, up to 8 s of past frames, depth",
            partial(warped, with_past=True),
        ),
    )  # fmt: skip


def write_baseline(baseline: Baseline, benchmark: Benchmark, folder: Path) -> Path:
    """Predict every test clip into `folder`; a stopped run is resumed.

    Raises:
        PredictionError: `folder` holds other predictions, or such for other goals.
    """
    goals = {split: goals_checksum(benchmark.split(split)) for split in (benchmark.name, *baseline.learns_from)}
    rates = benchmark.rates
    details = {"goals_sha256": goals}
    write_info(folder, PredictionInfo(baseline.name, baseline.mode, *rates, told=baseline.also_given, details=details))
    todo = [number for number in benchmark.numbers if not is_written(folder, number)]
    for number in tqdm(todo, desc=baseline.name, leave=False):
        write_prediction(folder, number, baseline.predict(benchmark.clip(number)))
    return folder


def frozen(clip: RealClip) -> Prediction:
    """The first frame and the first pose, repeated."""
    return Prediction(np.repeat(clip.frames[:1], len(clip.frames), axis=0), _samples(*_still(clip)))


def _still(clip: RealClip) -> tuple[Array, Array]:
    poses = len(clip.positions)
    return np.repeat(clip.positions[:1], poses, axis=0), np.repeat(clip.rotations[:1], poses, axis=0)


def constant_motion(clip: RealClip) -> Prediction:
    """The first pose moved on with the head's first velocity, for which it is given the second pose."""
    positions, rotations = _still(clip)
    path = constant_velocity(clip.positions[:, HEAD])
    return Prediction(None, _samples(positions + (path - path[:1])[:, None], rotations))


def turned(clip: RealClip) -> Prediction:
    """The first frame turned to each later camera pose, by rotation alone.

    What was not in the first frame takes the colour of its nearest edge.
    """
    if clip.camera_pose is None:
        raise PredictionError("these clips have no camera_pose, which the first frame turned with the head needs")
    poses = np.asarray(clip.camera_pose, dtype=np.float64)
    frames = [by_rotation(clip, np.linalg.inv(pose) @ poses[0]) for pose in poses]
    return Prediction(np.stack([clip.frames[0], *frames[1:]]), None)


def warped(clip: RealClip, *, with_past: bool) -> Prediction:
    """Views of the scene memory along the true camera path, holes inpainted (Telea 2004): geometry without a network.

    Args:
        with_past: the memory holds the past keyframes too, where the clip has some, and not the first frame alone.
    """
    arrays = {name: values for name, values in clip.arrays.items() if with_past or not name.startswith("past_")}
    prior = clip_prior(arrays)
    holes = (np.asarray(prior.visibility) < LEAST_VISIBLE).astype(np.uint8)
    filled = [
        cv2.inpaint(frame, hole, INPAINT_RADIUS, cv2.INPAINT_TELEA)
        for frame, hole in zip(prior.frames, holes, strict=True)
    ]
    return Prediction(np.stack([clip.frames[0], *filled[1:]]), None)


def by_rotation(clip: RealClip, T_now_first: Array) -> NDArray[np.uint8]:
    """The homography K R K⁻¹; pixels that look behind the first camera take the colour of its edge."""
    camera, (height, width) = clip.camera, clip.frames.shape[1:3]
    source = camera.rays() @ T_now_first[:3, :3]  # rows: Rᵀ ray, from the camera now to the first one
    depth = np.maximum(source[..., 2], 1e-3)
    x = np.clip(camera.fx * source[..., 0] / depth + camera.cx, -0.5, width - 0.5)
    y = np.clip(camera.fy * source[..., 1] / depth + camera.cy, -0.5, height - 0.5)
    maps = x.astype(np.float32), y.astype(np.float32)
    return np.asarray(cv2.remap(clip.frames[0], *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


class Library:
    """The train split as a predictor: the mean of a behaviour, or the clip with the most similar start."""

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark

    @cached_property
    def clips(self) -> ClipSet:
        return self.benchmark.split("train")

    @cached_property
    def numbers(self) -> list[int]:
        """The train clips that are used: all, or `LIBRARY_CLIPS` of them evenly spread."""
        return np.unique(np.linspace(0, len(self.clips) - 1, min(LIBRARY_CLIPS, len(self.clips))).astype(int)).tolist()

    def mean_path(self, clip: RealClip) -> Prediction:
        """Mean of the training clips of the same behaviour, each seen from its first head pose's heading."""
        behaviour = str(clip.record["behaviour"])
        if behaviour not in self._means:
            numbers = [n for n in self.numbers if self.clips.records[n]["behaviour"] == behaviour]
            if not numbers:
                raise PredictionError(f"no training clip of behaviour {behaviour!r}: its mean path is unknown")
            moves = [levelled(*self._motion(n)) for n in numbers]
            mean = np.mean([p for p, _ in moves], axis=0), _nearest_rotation(np.mean([r for _, r in moves], axis=0))
            self._means[behaviour] = mean
        return Prediction(None, _from_start(*self._means[behaviour], clip))

    @cached_property
    def _means(self) -> dict[str, tuple[Array, Array]]:
        return {}

    def _motion(self, number: int) -> tuple[Array, Array]:
        return (
            self.clips.tensor("positions", number).astype(np.float64),
            self.clips.tensor("rotations", number).astype(np.float64),
        )

    def nearest(self, clip: RealClip) -> Prediction:
        """Video and motion of the training clip most similar in wording (cosine) and first frame (as a thumbnail)."""
        text = self._texts([clip.text])[0]
        thumbnail = _thumbnail(clip.frames[0])
        alike = self._text_features @ text - np.linalg.norm(self._thumbnails - thumbnail, axis=1)
        number = self.numbers[int(np.argmax(alike))]
        frames = self.clips.tensor("frames", number).copy()
        frames[0] = clip.frames[0]
        return Prediction(frames, _from_start(*levelled(*self._motion(number)), clip))

    @cached_property
    def _encoder(self) -> TextEncoder:
        return TextEncoder.from_package(TEXT_PACKAGE, TEXT_LENGTH)

    def _texts(self, texts: list[str]) -> Array:
        states = self._encoder(texts)
        mean = states.sum(1) / (states.abs().sum(-1) > 0).sum(1, keepdim=True)
        return (mean / mean.norm(dim=-1, keepdim=True)).double().numpy()

    @cached_property
    def _text_features(self) -> Array:
        texts = [str(self.clips.records[number]["text"]) for number in self.numbers]
        unique = sorted(set(texts))
        features = np.concatenate([self._texts(unique[i : i + 64]) for i in range(0, len(unique), 64)])
        row = {text: index for index, text in enumerate(unique)}
        return features[[row[text] for text in texts]]

    @cached_property
    def _thumbnails(self) -> Array:
        return np.stack([_thumbnail(self.clips.tensor("frames", number)[0]) for number in self.numbers])


def _thumbnail(frame: NDArray[np.uint8]) -> Array:
    """A small image as a vector; distances between such vectors are about 0 ... 1."""
    small = cv2.resize(frame, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).astype(np.float64) / 255.0
    return small.ravel() / np.sqrt(small.size)


def _from_start(positions: Array, rotations: Array, clip: RealClip) -> BodyMotion:
    """A levelled motion moved to the clip's first head; pose 0 is the given one."""
    placed, turns = placed_at(positions, rotations, clip.positions[0, HEAD], clip.rotations[0, HEAD])
    placed[0], turns[0] = clip.positions[0], clip.rotations[0]
    return _samples(placed, turns)


def _nearest_rotation(matrices: Array) -> Array:
    """The rotations nearest to (..., 3, 3) means of rotations."""
    u, _, vt = np.linalg.svd(matrices)
    u[..., -1] *= np.sign(np.linalg.det(u @ vt))[..., None]
    return u @ vt


def _samples(positions: Array, rotations: Array) -> BodyMotion:
    p, r = np.asarray(positions)[None], np.asarray(rotations)[None]
    return BodyMotion(p, r, p[..., HEAD, :], r[..., HEAD, :, :])
