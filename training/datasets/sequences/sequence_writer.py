"""Writes synthetic sequences in Nymeria's form, so that one reader serves both.

As in the published files are ``metadata.json``, ``body/xdata.npz`` (240 Hz, TIMECODE), ``narration/*.csv`` (DEVICE
seconds) and ``closed_loop_trajectory.csv``. Three things differ. Frames are in ``data.mp4`` with ``frames.csv`` and
``camera.json`` instead of ``data.vrs``, which projectaria-tools can only read. The metadata has the pose of the head on
the device (`T_device_head`) and the sequence's `split`. ``labels/frames.npz`` may hold more arrays, one row per frame.
The device frame is the camera's optical frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.skeleton import HEAD
from egotwin_model.io.files import whole_folder, write_json
from egotwin_model.io.videos import Compression, Frames
from training.datasets.sequences.head_camera import Lens, write_recording
from training.datasets.sequences.head_trajectory import write_path
from training.datasets.sequences.narrations import Narration, write_narrations
from training.datasets.sequences.sequence_files import BODY, LABELS, METADATA, POSES_PER_SECOND, TRAJECTORY
from training.datasets.sequences.sequence_files import HEAD as HEAD_FOLDER
from training.datasets.sequences.xsens_body import bracket, interpolate_poses, write_body

Array = NDArray[np.float64]
Stamps = NDArray[np.int64]


@dataclass
class SyntheticSequence:
    """The content of a sequence: one frame of reference with z up, metres, and one clock that starts at 0.

    Attributes:
        frames: F frames (H, W, 3) uint8 RGB; an iterable, so that they need not be in memory.
        frame_times: (F,) s.
        lens: the camera; `T_device_camera` is the identity where the device frame is the camera's.
        pose_times: (T,) s, at any rate; they are interpolated to 240 Hz.
        positions: (T, 23, 3) m. rotations: (T, 23, 3, 3) global.
        mount: where the camera sits on the head; the pose of the device follows from it.
        narrations: rows, in seconds of the same clock.
        metadata: further entries of ``metadata.json``: `fake_name` (the wearer), `location` (the room), `script`,
            `split`; `record` is copied to every clip's record.
        labels: arrays with one row per frame, for instance ``hand_visible`` uint8 (F, 2).
        device_start_ns, timecode_start_ns: readings of the two clocks at time 0.
    """

    frames: Iterable[Frames]
    frame_times: Array
    lens: Lens
    pose_times: Array
    positions: Array
    rotations: Array
    narrations: Iterable[Narration]
    mount: Mount = field(default_factory=Mount)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    device_start_ns: int = 1_000_000_000
    timecode_start_ns: int = 5_000_000_000


class SequenceWriter:
    """Writes sequences into a folder, each whole or not at all.

    Args:
        folder: of the sequences' folders. compression: of the frames.
    """

    def __init__(self, folder: Path | str, compression: Compression | None = None) -> None:
        self.folder, self.compression = Path(folder), compression or Compression(crf=10)
        self.folder.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, sequence: SyntheticSequence) -> Path:
        """Writes one sequence as the folder `name`, replacing one of that name; returns it."""
        target = self.folder / name
        with whole_folder(target) as temporary:
            self._fill(temporary, sequence)
        return target

    def _fill(self, folder: Path, s: SyntheticSequence) -> None:
        times, positions, rotations = resample(s.pose_times, s.positions, s.rotations)
        stamps = np.rint(times * 1e6).astype(np.int64)
        write_body(folder / BODY, stamps + s.timecode_start_ns // 1000, positions, rotations, POSES_PER_SECOND)
        T_device_head = s.lens.T_device_camera @ np.linalg.inv(s.mount.matrix)
        poses = np.tile(np.eye(4), (len(times), 1, 1))
        poses[:, :3, :3], poses[:, :3, 3] = rotations[:, HEAD], positions[:, HEAD]
        device = poses @ np.linalg.inv(T_device_head)
        head = folder / HEAD_FOLDER
        write_path(head / TRAJECTORY, stamps * 1000 + s.device_start_ns, device)
        frames = np.rint(s.frame_times * 1e9).astype(np.int64)
        write_recording(
            head, s.frames, frames + s.device_start_ns, frames + s.timecode_start_ns, s.lens, self.compression
        )
        shift = s.device_start_ns / 1e9
        rows = [Narration(row.start_s + shift, row.end_s + shift, row.texts, row.extra) for row in s.narrations]
        write_narrations(folder, rows)
        if s.labels:
            (folder / LABELS).parent.mkdir(parents=True, exist_ok=True)
            np.savez(folder / LABELS, **s.labels)  # type: ignore[arg-type]
        write_json(folder / METADATA, {**s.metadata, "synthetic": True, "T_device_head": T_device_head.tolist()})


def resample(times: Array, positions: Array, rotations: Array) -> tuple[Array, Array, Array]:
    """Times, positions and rotations at 240 Hz, linear and by slerp, from any rate; exact at common times."""
    wanted = times[0] + np.arange(round((times[-1] - times[0]) * POSES_PER_SECOND) + 1) / POSES_PER_SECOND
    quaternions = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_quat().reshape(*positions.shape[:2], 4)
    before, weight = bracket(times, np.minimum(wanted, times[-1]))  # type: ignore[arg-type]
    return wanted, *interpolate_poses(positions, quaternions, before, weight)
