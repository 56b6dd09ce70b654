"""The head camera of a sequence, real (VRS) or synthetic (mp4), as an upright pinhole view with time stamps and pose.

A synthetic recording differs from a real one only in its files. Instead of Aria's ``data/data.vrs``, which no Python
library can write, it has ``data.mp4``, ``frames.csv`` (``device_time_ns,timecode_ns``, one row per frame) and
``camera.json`` (the lens as in sensor_msgs/CameraInfo, its pose on the device and the rotation of the view).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import CalibrationError, RecordingError
from egotwin_model.geometry.camera import Pinhole, check_distortion, check_matrix, rectify
from egotwin_model.geometry.mount import Mount
from egotwin_model.io.files import read_json, write_json, write_text
from egotwin_model.io.videos import Compression, Frames, VideoFile, write_video
from training.datasets.sequences.reasons import Reason, Unfit
from training.datasets.sequences.sequence_files import CAMERA, FRAMES, NOT_CONVERTED, VIDEO, VRS

Array = NDArray[np.float64]
Stamps = NDArray[np.int64]


class HeadRecording(Protocol):
    """The interface of head cameras for the reader.

    Attributes:
        camera: the view in which frames are returned.
        stamps_ns: (F,) int64 DEVICE time, strictly growing.
        T_device_view: (4, 4) the view's optical frame in the device frame.
    """

    camera: Pinhole

    @property
    def stamps_ns(self) -> Stamps: ...

    @property
    def T_device_view(self) -> Array:  # noqa: N802
        ...

    def timecode_to_device_ns(self, stamps_ns: Stamps) -> Stamps:
        """DEVICE times of TIMECODE times (N,)."""
        ...

    def frames(self, indices: NDArray[np.integer]) -> Iterator[Frames]:
        """Frames (H, W, 3) uint8 RGB of ascending indices, upright, in the view."""
        ...


@dataclass(frozen=True)
class Lens:
    """A real camera: size, K, distortion (a model of sensor_msgs/CameraInfo) and pose on the device.

    Attributes:
        T_device_camera: (4, 4) optical frame in the device frame.
        R_device_view: (3, 3) optical frame of the upright view; None: as stored.
    """

    width: int
    height: int
    matrix: Array
    T_device_camera: Array
    distortion_model: str = "plumb_bob"
    distortion: tuple[float, ...] = ()
    R_device_view: Array | None = None

    def save(self, path: Path) -> None:
        """Writes ``camera.json``."""
        view = self.T_device_camera[:3, :3] if self.R_device_view is None else self.R_device_view
        write_json(
            path,
            {
                "width": self.width, "height": self.height, "K": np.asarray(self.matrix).tolist(),
                "distortion_model": self.distortion_model, "D": list(self.distortion),
                "T_device_camera": np.asarray(self.T_device_camera).tolist(), "R_device_view": view.tolist(),
            },
        )  # fmt: skip

    @classmethod
    def load(cls, path: Path) -> Lens:
        """Reads ``camera.json``; `Unfit` where it is missing or does not describe a camera."""
        if not path.is_file():
            raise Unfit(Reason.MISSING_FILE, f"{path} is missing. {NOT_CONVERTED}")
        try:
            value = read_json(path)
            matrix, distortion = check_matrix(value["K"]), check_distortion(value["D"], value["distortion_model"])
            pose, view = (np.asarray(value[name], np.float64) for name in ("T_device_camera", "R_device_view"))
            if (
                pose.shape != (4, 4)
                or view.shape != (3, 3)
                or not (np.isfinite(pose).all() and np.isfinite(view).all())
            ):
                raise ValueError("T_device_camera must be 4x4 and R_device_view 3x3, finite")
            size = int(value["width"]), int(value["height"])
        except (CalibrationError, KeyError, TypeError, ValueError) as error:
            raise Unfit(Reason.DAMAGED, f"{path} describes no camera ({error})") from error
        return cls(*size, matrix, pose, value["distortion_model"], tuple(distortion), view)


class FileRecording:
    """A synthetic recording, in the files that the module describes.

    Args:
        folder: ``recording_head`` of a sequence. camera: the wanted view.
    """

    def __init__(self, folder: Path, camera: Pinhole) -> None:
        self.folder, self.camera = folder, camera
        self.lens = Lens.load(folder / CAMERA)
        self.stamps_ns, self._timecodes = _read_stamps(folder / FRAMES)
        self._video = VideoFile(folder / VIDEO)
        if self._video.count != len(self.stamps_ns):
            raise Unfit(
                Reason.DAMAGED,
                f"{folder / VIDEO} is truncated: {self._video.count} frames, {len(self.stamps_ns)} times in {FRAMES}",
            )

    @cached_property
    def T_device_view(self) -> Array:  # noqa: N802
        pose = self.lens.T_device_camera.copy()
        if self.lens.R_device_view is not None:
            pose[:3, :3] = self.lens.R_device_view
        return pose

    def timecode_to_device_ns(self, stamps_ns: Stamps) -> Stamps:
        offsets = np.interp(stamps_ns, self._timecodes, (self.stamps_ns - self._timecodes).astype(np.float64))
        return stamps_ns + np.rint(offsets).astype(np.int64)

    def frames(self, indices: NDArray[np.integer]) -> Iterator[Frames]:
        lens, turn = self.lens, self.lens.T_device_camera[:3, :3].T @ self.T_device_view[:3, :3]
        as_stored = (
            not any(lens.distortion)
            and np.allclose(turn, np.eye(3), atol=1e-9)
            and (lens.width, lens.height) == (self.camera.width, self.camera.height)
            and np.allclose(lens.matrix, self.camera.matrix, atol=1e-6)
        )
        for stored in self._video.pick(indices):
            if as_stored:
                yield stored
            else:
                yield rectify(stored, lens.matrix, lens.distortion, lens.distortion_model, self.camera, turn.T)


def _read_stamps(path: Path) -> tuple[Stamps, Stamps]:
    """DEVICE and TIMECODE times of the frames, both growing."""
    try:
        table = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2, dtype=np.int64)
    except FileNotFoundError:
        raise Unfit(Reason.MISSING_FILE, f"{path} is missing. {NOT_CONVERTED}") from None
    except (OSError, ValueError) as error:
        raise Unfit(Reason.DAMAGED, f"{path} is unreadable or cut short: {error}") from error
    if table.shape[1:] != (2,) or len(table) == 0:
        raise Unfit(Reason.DAMAGED, f"{path} has shape {table.shape}: wanted rows of device_time_ns,timecode_ns")
    if (np.diff(table, axis=0) <= 0).any():
        raise Unfit(Reason.BAD_TIMES, f"{path}: the time stamps are unsorted or duplicate")
    return table[:, 0], table[:, 1]


class VrsRecording:
    """A real recording: `training.datasets.aria.vrs.AriaRecording`, with the pose of the view on the device."""

    def __init__(self, path: Path, camera: Pinhole, mount: Mount) -> None:
        from training.datasets.aria.vrs import AriaRecording  # needs the extra "aria"

        self.camera = camera
        self._recording = AriaRecording(path, camera, mount)
        self.stamps_ns: Stamps = self._recording.stamps_ns
        self.T_device_view: Array = np.eye(4)
        self.T_device_view[:3, :3] = self._recording.R_device_head @ np.asarray(mount.rotation)
        self.T_device_view[:3, 3] = self._recording.p_device_camera

    def timecode_to_device_ns(self, stamps_ns: Stamps) -> Stamps:
        try:
            return self._recording.timecode_to_device_ns(stamps_ns)
        except RecordingError as error:
            raise Unfit(Reason.NO_TIMECODE, str(error)) from error

    def frames(self, indices: NDArray[np.integer]) -> Iterator[Frames]:
        return (self._recording.frame(int(index)) for index in indices)


def open_recording(folder: Path, camera: Pinhole, mount: Mount) -> HeadRecording:
    """The recording in ``recording_head``, real or synthetic, resampled to the view of `camera`.

    Args:
        mount: of the model's camera on the head; it sets the rotation of a real recording's view.

    Raises:
        RecordingError: there is none, or it is truncated or damaged.
    """
    try:
        if (folder / VRS).is_file():
            return VrsRecording(folder / VRS, camera, mount)
        if (folder / VIDEO).is_file():
            return FileRecording(folder, camera)
    except Unfit:
        raise
    except RecordingError as error:
        raise Unfit(Reason.DAMAGED, str(error)) from error
    raise Unfit(Reason.MISSING_FILE, f"{folder} has neither {VRS} nor {VIDEO}. {NOT_CONVERTED}")


def write_recording(
    folder: Path,
    frames: Iterable[Frames],
    stamps_ns: Stamps,
    timecodes_ns: Stamps,
    lens: Lens,
    compression: Compression,
) -> None:
    """Writes a synthetic recording: frames (H, W, 3) uint8 RGB as stored, and their times (F,) on both clocks."""
    rate_hz = 1e9 / float(np.median(np.diff(stamps_ns))) if len(stamps_ns) > 1 else 1.0
    count = write_video(folder / VIDEO, frames, rate_hz, compression)
    if count != len(stamps_ns):
        raise RecordingError(f"{folder}: {count} frames came with {len(stamps_ns)} times")
    rows = (f"{device},{timecode}" for device, timecode in zip(stamps_ns, timecodes_ns, strict=True))
    write_text(folder / FRAMES, "\n".join(["device_time_ns,timecode_ns", *rows]) + "\n")
    lens.save(folder / CAMERA)


def as_lens(camera: Pinhole, T_device_camera: Array | None = None, **more: Any) -> Lens:
    """A lens without distortion; by default the device frame is the camera's optical frame."""
    pose = np.eye(4) if T_device_camera is None else T_device_camera
    settings: Mapping[str, Any] = more
    return Lens(camera.width, camera.height, camera.matrix, pose, **settings)
