"""Reads a sequence, real or synthetic, into one world and one clock.

It does what the published Nymeria files need: repairs the body's times and quaternions, converts its TIMECODE to DEVICE
time, places it in the glasses' world by hand–eye alignment, and returns frames upright, without distortion, in the
wanted view. A synthetic sequence gives the pose of the head on the device in ``metadata.json``, so nothing has to be
solved.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from egotwin_model.errors import ModelError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.skeleton import HEAD
from egotwin_model.io.files import read_json
from training.datasets.sequences.handeye import HandEye, Path3, align
from training.datasets.sequences.head_camera import HeadRecording, open_recording
from training.datasets.sequences.head_trajectory import TrackedPath, read_path
from training.datasets.sequences.narrations import Narration, read_narrations
from training.datasets.sequences.reasons import Reason, Unfit
from training.datasets.sequences.sequence_files import BODY, LABELS, METADATA, NOT_CONVERTED, TRAJECTORY
from training.datasets.sequences.sequence_files import HEAD as HEAD_FOLDER
from training.datasets.sequences.xsens_body import XsensBody, read_body

log = logging.getLogger("egotwin.sequences")
Array = NDArray[np.float64]
Stamps = NDArray[np.int64]

ALIGN_RATE_HZ = 120.0


@dataclass(frozen=True)
class ViewSettings:
    """The view in which a sequence is read.

    Attributes:
        size: side of the square frames, pixels.
        fov_deg: their field of view.
        mount: where the model's camera sits on the head. Where the body is aligned, it places the head joint under the
            camera, so that frames and motion agree exactly; the other joints are as measured.
        max_rotation_error_deg, max_translation_error_m: median residuals above which a body is not the wearer's.
    """

    size: int = 128
    fov_deg: float = 90.0
    mount: Mount = field(default_factory=Mount)
    max_rotation_error_deg: float = 5.0
    max_translation_error_m: float = 0.1

    @property
    def camera(self) -> Pinhole:
        return Pinhole.from_fov(self.size, self.size, float(np.radians(self.fov_deg)))


@dataclass(frozen=True)
class Poses:
    """A body in the world `map` (z up) at N times: positions (N, 23, 3) m and global rotations (N, 23, 3, 3)."""

    positions: Array
    rotations: Array


class SequenceReader:
    """One sequence's folder, opened and checked; frames and poses are computed on demand.

    Attributes:
        metadata: the content of ``metadata.json``.
        recording: the head camera; its `stamps_ns` are the clock of all times here.
        body: in the Xsens world. body_stamps_ns: (T,) its times on the head camera's clock.
        path: of the glasses. narrations: by start.
        alignment: the hand–eye solution; None where the sequence gives the pose of the head.

    Raises:
        Unfit: the sequence cannot be used, with the reason under which it is counted.
    """

    def __init__(self, folder: Path | str, view: ViewSettings | None = None) -> None:
        self.folder, self.view = Path(folder), view or ViewSettings()
        self.metadata = _metadata(self.folder)
        self.narrations: list[Narration]
        self.narrations, self.empty_narrations = read_narrations(self.folder)
        self.body: XsensBody = read_body(self.folder / BODY)
        self.path: TrackedPath = read_path(self.folder / HEAD_FOLDER / TRAJECTORY)
        self.recording: HeadRecording = open_recording(self.folder / HEAD_FOLDER, self.view.camera, self.view.mount)
        self.body_stamps_ns: Stamps = self.recording.timecode_to_device_ns(self.body.stamps_us * 1000)
        self.alignment: HandEye | None = None
        self.T_device_head = self._head_on_device()

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def person(self) -> str:
        """The wearer: Nymeria's `fake_name`."""
        return str(self.metadata.get("fake_name") or self.metadata.get("participant") or self.name)

    @property
    def place(self) -> str:
        return str(self.metadata.get("location") or "unknown")

    @property
    def clip_record(self) -> dict[str, Any]:
        """Entries for the record of each clip, from a synthetic sequence's metadata: seeds, styles, objects."""
        said = self.metadata.get("record")
        return said if isinstance(said, dict) else {}

    def _head_on_device(self) -> Array:
        """T_device_head: given by the sequence, else solved from both paths."""
        if "T_device_head" in self.metadata:
            given = np.asarray(self.metadata["T_device_head"], np.float64)
            if given.shape != (4, 4) or not np.isfinite(given).all():
                raise Unfit(Reason.DAMAGED, f"{self.folder / METADATA}: T_device_head is {given.shape}, wanted 4x4")
            return given
        self.alignment = found = align(self._device_path(), self._head_path())
        if (
            found.rotation_error_deg > self.view.max_rotation_error_deg
            or found.translation_error_m > self.view.max_translation_error_m
        ):
            raise Unfit(
                Reason.NOT_ALIGNED,
                f"{self.folder}: the body's head and the glasses move {found.rotation_error_deg:.1f} degrees and "
                f"{found.translation_error_m:.3f} m apart in half a second (median): they are not of one wearer",
            )
        self.body_stamps_ns = self.body_stamps_ns + round(found.offset_s * 1e9)
        return found.T_device_head

    def _device_path(self) -> Path3:
        path = self.path.path
        step = max(1, round(float(1e9 / ALIGN_RATE_HZ / np.median(np.diff(path.stamps_ns)))))
        quaternions = Rotation.from_matrix(path.rotations[::step]).as_quat()
        return Path3(self._seconds(path.stamps_ns[::step]), path.positions[::step], quaternions)

    def _head_path(self) -> Path3:
        sound = np.flatnonzero(self.body.valid & ~self.body.filled[:, HEAD])[::2]
        if len(sound) < 2:
            raise Unfit(Reason.NOT_FINITE, f"{self.folder / BODY}: the head has no sound pose")
        place, turn = self.body.positions[sound, HEAD], self.body.quaternions[sound, HEAD]
        return Path3(self._seconds(self.body_stamps_ns[sound]), place, turn)

    def _seconds(self, stamps_ns: Stamps) -> Array:
        return np.asarray((stamps_ns - self.recording.stamps_ns[0]) / 1e9, np.float64)

    @property
    def start_ns(self) -> int:
        """First time with frames, body and path."""
        return int(max(self.recording.stamps_ns[0], self.body_stamps_ns[0], self.path.path.stamps_ns[0]))

    @property
    def end_ns(self) -> int:
        """Last such time."""
        return int(min(self.recording.stamps_ns[-1], self.body_stamps_ns[-1], self.path.path.stamps_ns[-1]))

    def cameras(self, stamps_ns: Stamps) -> Array:
        """T_map_view (N, 4, 4) of the view's optical frame at these times."""
        return _compose(*self.path.path.at(stamps_ns), self.recording.T_device_view)

    def poses(self, stamps_ns: Stamps) -> Poses:
        """The body in `map` at these times (N,): linear in position, slerp in rotation, carried by the glasses."""
        before = np.clip(np.searchsorted(self.body_stamps_ns, stamps_ns, side="right") - 1, 0, None)
        # repaired stamps and their DEVICE times rise together, so the body's own clock can be used
        shift = self.body_stamps_ns[before] - self.body.stamps_us[before] * 1000
        places, turns = self.body.at((stamps_ns - shift) / 1000.0)
        T_map_head = _compose(*self.path.path.at(stamps_ns), self.T_device_head)
        R = T_map_head[:, :3, :3] @ np.swapaxes(turns[:, HEAD], -1, -2)  # R_map_xsens
        positions = (places - places[:, HEAD, None]) @ np.swapaxes(R, -1, -2) + T_map_head[:, None, :3, 3]
        rotations = R[:, None] @ turns
        if self.alignment is not None:
            self._head_under_camera(stamps_ns, positions, rotations)
        return Poses(positions, rotations)

    def _head_under_camera(self, stamps_ns: Stamps, positions: Array, rotations: Array) -> None:
        """Replaces the head joint by the one whose `mount` has the camera exactly where it is, in place."""
        camera = self.cameras(stamps_ns)
        rotations[:, HEAD] = camera[:, :3, :3] @ np.asarray(self.view.mount.rotation).T
        positions[:, HEAD] = camera[:, :3, 3] - rotations[:, HEAD] @ np.asarray(self.view.mount.translation)

    @cached_property
    def labels(self) -> dict[str, NDArray[Any]]:
        """Further arrays of a synthetic sequence, one row per frame; empty for a real one."""
        path = self.folder / LABELS
        if not path.is_file():
            return {}
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file}
        except (OSError, ValueError, EOFError) as error:
            raise Unfit(Reason.DAMAGED, f"{path} is unreadable or cut short: {error}") from error
        if wrong := [name for name, array in arrays.items() if len(array) != len(self.recording.stamps_ns)]:
            raise Unfit(Reason.DAMAGED, f"{path}: {', '.join(wrong)} do not have one row per frame")
        return arrays


def _metadata(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise Unfit(Reason.MISSING_FILE, f"{folder} is no folder")
    path = folder / METADATA
    if not path.is_file():
        raise Unfit(Reason.MISSING_FILE, f"{path} is missing. {NOT_CONVERTED}")
    try:
        value = read_json(path)
    except ModelError as error:
        raise Unfit(Reason.DAMAGED, f"{path} is not valid JSON. {NOT_CONVERTED}") from error
    if not isinstance(value, dict):
        raise Unfit(Reason.DAMAGED, f"{path} holds a {type(value).__name__}: wanted an object")
    return value


def _compose(positions: Array, rotations: Array, pose: Array) -> Array:
    """(N, 4, 4) of poses (N, 3), (N, 3, 3) followed by a fixed pose (4, 4)."""
    result = np.zeros((len(positions), 4, 4))
    result[:, :3, :3] = rotations @ pose[:3, :3]
    result[:, :3, 3] = positions + rotations @ pose[:3, 3]
    result[:, 3, 3] = 1.0
    return result
