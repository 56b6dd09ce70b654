"""Predictions of any model as a folder of plain files; docs/evaluation.md describes the format.

```
FOLDER/predictions.json         name, mode, rates, frame, what else the model was given
FOLDER/clip-00012.safetensors   positions float32 ([S,] T, 23, 3) m · rotations float32 ([S,] T, 23, 3, 3), or only
                                head_positions ([S,] T, 3) · head_rotations ([S,] T, 3, 3); frames uint8 (F, H, W, 3)
FOLDER/clip-00012.npz           the same as NumPy's archive, instead
FOLDER/clip-00012.mp4           frames as a video, or
FOLDER/clip-00012/0000.png ...  as images, instead of a tensor
```

Nothing is unpickled. A clip's file is written whole or not at all, so a stopped generation can be resumed.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from egotwin_model.errors import EgoTwinError, RecordingError
from egotwin_model.geometry.skeleton import HEAD, NUM_JOINTS
from egotwin_model.io.files import read_json, write_atomically, write_json
from egotwin_model.io.videos import read_video
from egotwin_model.motion.representation import BodyMotion
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.errors import PredictionError
from training.evaluation.metrics.predicted_clip import MODES, PREDICTED, Mode, Prediction, RealClip

MANIFEST = "predictions.json"
FORMAT = "egotwin-predictions/1"
SAME_START_M = 0.05


@dataclass(frozen=True)
class PredictionInfo:
    """`predictions.json`: whose predictions these are.

    Attributes:
        name: shown in the report. mode: one of `tasks.MODES`. frame_rate, pose_rate: per second.
        frame: "world", the clip's own, or "head", the frame of the first head pose.
        told: what the model was given beyond first frame, first pose and text, in words; printed with its scores.
        details: anything else worth keeping (weights' checksum, seed, steps).
    """

    name: str
    mode: Mode
    frame_rate: float
    pose_rate: float
    frame: Literal["world", "head"] = "world"
    told: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    format: str = FORMAT


def clip_name(number: int) -> str:
    return f"clip-{number:05d}"


def write_info(folder: Path, info: PredictionInfo) -> None:
    """Start or resume a folder of predictions; `PredictionError` where it holds another model's."""
    wanted = json.loads(json.dumps(asdict(info)))
    if (folder / MANIFEST).is_file() and asdict(read_info(folder)) != wanted:
        raise PredictionError(f"{folder} holds other predictions ({read_info(folder)}); choose another folder")
    write_json(folder / MANIFEST, wanted)


def write_prediction(folder: Path, number: int, prediction: Prediction) -> None:
    """One clip as safetensors, lossless."""
    arrays: dict[str, NDArray[Any]] = {}
    if prediction.frames is not None:
        arrays["frames"] = np.ascontiguousarray(prediction.frames)
    if prediction.motion is not None:
        names = ("positions", "rotations") if prediction.has_body else ("head_positions", "head_rotations")
        for name in names:
            arrays[name] = np.ascontiguousarray(getattr(prediction.motion, name), dtype=np.float32)
    write_atomically(folder / f"{clip_name(number)}.safetensors", lambda temporary: save_file(arrays, temporary))


def is_written(folder: Path, number: int) -> bool:
    return any((folder / f"{clip_name(number)}{suffix}").exists() for suffix in (".safetensors", ".npz", ".mp4", ""))


def read_info(folder: Path) -> PredictionInfo:
    """`predictions.json` of a folder; `PredictionError` where it is missing or says what is not known."""
    try:
        values = read_json(folder / MANIFEST)
        info = PredictionInfo(**values)
    except (EgoTwinError, TypeError) as error:
        raise PredictionError(
            f"{folder / MANIFEST} does not describe predictions ({error}); see docs/evaluation.md"
        ) from error
    wanted = {"format": (info.format, (FORMAT,)), "mode": (info.mode, MODES), "frame": (info.frame, ("world", "head"))}
    for key, (value, known) in wanted.items():
        if value not in known:
            raise PredictionError(f"{folder / MANIFEST}: {key} is {value!r}; known: {', '.join(known)}")
    return info


class Predictions:
    """A folder of predictions, checked against the benchmark it answers.

    Raises:
        PredictionError: other rates, or clips of the benchmark that have no prediction.
    """

    def __init__(self, folder: Path, benchmark: Benchmark) -> None:
        self.folder, self.benchmark, self.info = folder, benchmark, read_info(folder)
        given, wanted = (self.info.frame_rate, self.info.pose_rate), benchmark.rates
        if given != wanted:
            raise PredictionError(
                f"{folder}: {given[0]:g} frames and {given[1]:g} poses a second, the test clips have {wanted[0]:g} and "
                f"{wanted[1]:g}; resample the predictions"
            )
        missing = [number for number in benchmark.numbers if not is_written(folder, number)]
        if missing:
            raise PredictionError(
                f"{folder}: {len(missing)} of {len(benchmark.numbers)} clips have no prediction (first missing: "
                f"{', '.join(clip_name(number) for number in missing[:5])}); every clip of the task counts"
            )

    def read(self, clip: RealClip) -> Prediction:
        """The prediction of one clip; `PredictionError` where it is not what its mode needs, of other sizes, or NaN."""
        where = f"{self.folder / clip_name(clip.number)}"
        arrays = self._arrays(clip.number)
        needed = PREDICTED[self.info.mode]
        frames = self._frames(arrays, clip, where) if "video" in needed else None
        motion = self._motion(arrays, clip, where) if "motion" in needed else None
        return Prediction(frames, motion)

    def _arrays(self, number: int) -> dict[str, NDArray[Any]]:
        path = self.folder / f"{clip_name(number)}.safetensors"
        try:
            if path.is_file():
                return dict(load_file(path))
            path = path.with_suffix(".npz")
            if path.is_file():
                with np.load(path, allow_pickle=False) as archive:
                    return {name: archive[name] for name in archive.files}
        except (SafetensorError, OSError, ValueError, zipfile.BadZipFile) as error:
            raise PredictionError(
                f"{path} cannot be read ({error}); write it again, without pickled objects"
            ) from error
        return {}

    def _frames(self, arrays: dict[str, NDArray[Any]], clip: RealClip, where: str) -> NDArray[np.uint8]:
        frames = arrays.get("frames")
        if frames is None:
            frames = self._video(clip.number)
        if frames is None:
            raise PredictionError(
                f"{where}: no frames, which mode {self.info.mode} predicts; add a tensor, mp4 or pngs"
            )
        if frames.shape != clip.frames.shape or frames.dtype != np.uint8:
            raise PredictionError(
                f"{where}: frames are {frames.dtype} {frames.shape}, wanted uint8 {clip.frames.shape}, frame 0 included"
            )
        return frames

    def _video(self, number: int) -> NDArray[np.uint8] | None:
        """Frames from an mp4 or from a folder of images; None where there is neither."""
        video, folder = self.folder / f"{clip_name(number)}.mp4", self.folder / clip_name(number)
        if video.is_file():
            return read_frames(video, self.info.frame_rate)
        if not folder.is_dir():
            return None
        images = [cv2.imread(str(path)) for path in sorted(folder.glob("*.png"))]
        if not images or any(image is None for image in images):
            raise PredictionError(f"{folder}: no images, or one that is no PNG")
        if len({image.shape for image in images if image is not None}) > 1:
            raise PredictionError(f"{folder}: images of different sizes")
        rgb = [cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for image in images if image is not None]
        return np.stack(rgb).astype(np.uint8)

    def _motion(self, arrays: dict[str, NDArray[Any]], clip: RealClip, where: str) -> BodyMotion:
        body = "positions" in arrays
        names = ("positions", "rotations") if body else ("head_positions", "head_rotations")
        if not set(names) <= arrays.keys():
            raise PredictionError(
                f"{where}: no motion, which mode {self.info.mode} predicts; wanted positions and rotations, or "
                f"head_positions and head_rotations; it holds {sorted(arrays)}"
            )
        joints = (NUM_JOINTS,) if body else ()
        wanted = (len(clip.positions), *joints, 3)
        points, turns = (np.asarray(arrays[name], np.float64) for name in names)
        points = points[None] if points.ndim == len(wanted) else points
        turns = turns[None] if turns.ndim == len(wanted) + 1 else turns
        if points.shape[1:] != wanted or turns.shape != (*points.shape, 3):
            raise PredictionError(
                f"{where}: {names[0]} {points.shape} and {names[1]} {turns.shape}, wanted (samples, "
                f"{', '.join(map(str, wanted))}) and (…, 3, 3): {wanted[0]} poses at {self.info.pose_rate:g} a second"
            )
        if not (np.isfinite(points).all() and np.isfinite(turns).all()):
            raise PredictionError(f"{where}: {names[0]} or {names[1]} hold NaN or infinite values")
        gram = turns @ np.swapaxes(turns, -1, -2)
        if not np.allclose(gram, np.eye(3), atol=1e-2) or (np.linalg.det(turns) < 0).any():
            raise PredictionError(f"{where}: {names[1]} hold matrices that are no rotations")
        if not body:
            points, turns = points[..., None, :], turns[..., None, :, :]
        head = HEAD if body else 0
        motion = BodyMotion(points, turns, points[..., head, :], turns[..., head, :, :])
        return self._in_world(motion, clip, body, where)

    def _in_world(self, motion: BodyMotion, clip: RealClip, body: bool, where: str) -> BodyMotion:
        first = clip.motion
        if self.info.frame == "head":
            motion = motion.transformed(
                first.head_rotations[0].astype(np.float64), first.head_positions[0].astype(np.float64)
            )
        distance = float(np.linalg.norm(motion.head_positions[:, 0] - first.head_positions[0], axis=-1).max())
        if distance > SAME_START_M:
            raise PredictionError(
                f"{where}: the head starts {distance:.2f} m from the given pose; pose 0 must be the given one, in the "
                f'frame that predictions.json names (now "{self.info.frame}")'
            )
        if body:
            return motion
        return BodyMotion(
            motion.positions[..., :0, :], motion.rotations[..., :0, :, :], motion.head_positions, motion.head_rotations
        )


def read_frames(path: Path, frame_rate: float) -> NDArray[np.uint8]:
    """All frames of a video, (F, H, W, 3) RGB; `PredictionError` where it is none, or of another frame rate."""
    try:
        frames, rate = read_video(path)
    except RecordingError as error:
        raise PredictionError(str(error)) from error
    if abs(rate - frame_rate) > 0.01:
        raise PredictionError(f"{path} has {float(rate):g} frames a second, predictions.json says {frame_rate:g}")
    return frames
