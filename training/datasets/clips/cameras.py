"""The camera of each clip: intrinsics and mount on the head, as stored in the clip or computed from its poses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from egotwin_model.errors import CalibrationError, RecordingError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.rotations import rotation_angle
from egotwin_model.geometry.skeleton import HEAD
from training.datasets.clips.dataset import ClipSet, skeleton_of
from training.datasets.sequences.xsens_body import bracket, interpolate_poses

SAME_PIXELS = 0.01  # of the width: focal lengths and centres that differ by less are one camera's
SAME_PLACE_M, SAME_TURN_RAD = 0.01, float(np.radians(1.0))
PATHS = ("camera_pose", "positions", "rotations")
"""What a mount is computed from where a clip stores none, as clips of sequences."""


@dataclass(frozen=True)
class ClipCamera:
    """The camera of a clip's frames: `intrinsics`, and `mount`, T_head_camera."""

    intrinsics: Pinhole
    mount: Mount

    def difference(self, other: ClipCamera) -> str:
        """How another camera differs from this one, in words; "" where both may count as one."""
        ours, theirs = self.intrinsics, other.intrinsics
        if (ours.width, ours.height) != (theirs.width, theirs.height):
            return f"of {theirs.width}×{theirs.height} pixels instead of {ours.width}×{ours.height}"
        if not same_view(ours, theirs):
            return f"{_described(theirs)} instead of {_described(ours)}"
        shift = float(np.linalg.norm(np.subtract(self.mount.translation, other.mount.translation)))
        turn = float(rotation_angle(np.array(self.mount.rotation), np.array(other.mount.rotation)))
        if shift > SAME_PLACE_M or turn > SAME_TURN_RAD:
            return f"mounted {100 * shift:.1f} cm and {np.degrees(turn):.1f}° away from there on the head"
        return ""


def same_view(one: Pinhole, other: Pinhole) -> bool:
    """Whether two cameras of one size see the same field of view."""
    return bool(np.abs(one.matrix - other.matrix).max() <= SAME_PIXELS * one.width)


def _described(camera: Pinhole) -> str:
    return f"{np.degrees(camera.fov_x):.1f}° wide (fx {camera.fx:.4g}, cx {camera.cx:.4g}, cy {camera.cy:.4g} pixels)"


def pinhole_of(size: tuple[int, int], intrinsics: Iterable[float]) -> Pinhole:
    """The camera of frames of a size (height, width) with a clip's intrinsics fx, fy, cx, cy."""
    return Pinhole(size[1], size[0], *map(float, intrinsics))


def camera_of(
    clip: Mapping[str, Any], size: tuple[int, int], pose_rate: float, where: str, head: int = HEAD
) -> ClipCamera:
    """The camera of one clip.

    Args:
        clip: its arrays by name. size: height and width of its frames. pose_rate: poses a second.
        where: names the clip in messages. head: index of the joint that carries the camera.

    Raises:
        RecordingError: the clip does not describe its camera, or describes an impossible one.
    """
    if "intrinsics" not in clip:
        raise RecordingError(f"{where} has no intrinsics, so its camera is unknown; make the clips again")
    try:
        intrinsics = pinhole_of(size, clip["intrinsics"])
        mount = Mount.from_matrix(clip["mount"]) if "mount" in clip else _mount(clip, pose_rate, where, head)
    except CalibrationError as error:
        raise RecordingError(f"{where}: {error}") from error
    return ClipCamera(intrinsics, mount)


def _mount(clip: Mapping[str, Any], pose_rate: float, where: str, head: int) -> Mount:
    """Mean pose of the camera on the head over a clip's frames, at the frames' own times where the clip has them."""
    if not set(PATHS) <= clip.keys():
        raise RecordingError(
            f"{where} has neither mount nor camera_pose, so where its camera sits on the head is unknown; make the "
            "clips again"
        )
    camera = np.asarray(clip["camera_pose"], dtype=np.float64)
    places, turns = (np.asarray(clip[name], np.float64)[:, head] for name in ("positions", "rotations"))
    last = (len(places) - 1) / pose_rate
    times = np.asarray(clip.get("frame_times", np.linspace(0.0, last, len(camera))), np.float64)
    nearest = bracket(np.arange(len(places)) / pose_rate, times)  # type: ignore[arg-type]
    place, turn = interpolate_poses(places, Rotation.from_matrix(turns).as_quat(), *nearest)
    to_head = np.swapaxes(turn, -1, -2)
    shift = (to_head @ (camera[:, :3, 3] - place)[..., None])[..., 0].mean(axis=0)
    rotation = Rotation.from_matrix(to_head @ camera[:, :3, :3]).mean().as_matrix()
    return Mount(tuple(shift.tolist()), tuple(map(tuple, rotation.tolist())))


class ClipCameras:
    """The cameras of a set of clips, read on demand; every method raises `RecordingError` as `camera_of` does."""

    def __init__(self, clips: ClipSet) -> None:
        self.clips = clips

    def __getitem__(self, clip: int) -> ClipCamera:
        return self._camera({name: self.clips.tensor(name, clip) for name in self._stored}, clip)

    def shared(self) -> ClipCamera:
        """The one camera of all clips.

        Raises:
            RecordingError: their cameras differ.
        """
        camera, difference = self._compared
        if difference:
            raise RecordingError(
                f"{self.clips.folder}: the clips' cameras differ: {difference}; wanted one camera for all: use clips "
                "made by `egotwin data world` without --vary-camera, or sequences with equal mounts"
            )
        return camera

    def common(self) -> ClipCamera | None:
        """As `shared`, or None where the clips' cameras differ."""
        camera, difference = self._compared
        return None if difference else camera

    @cached_property
    def _compared(self) -> tuple[ClipCamera, str]:
        """The first clip's camera, and how the first clip that has another one differs."""
        cameras = self._all()
        first = next(cameras)
        nominal = ClipCamera(first.intrinsics, self._nominal_mount)
        found = first if nominal.difference(first) else nominal  # stored arrays have single precision
        for number, camera in enumerate(cameras, start=1):
            if difference := first.difference(camera):
                return found, f"clip {number}'s is {difference}, where clip 0's is"
        return found, ""

    def _all(self) -> Iterator[ClipCamera]:
        yield self[0]
        names, number = self._stored, 0
        for shard in self.clips.shards(*names):
            for row in range(len(shard[names[0]])):
                if number:
                    yield self._camera({name: values[row] for name, values in shard.items()}, number)
                number += 1

    def _camera(self, arrays: Mapping[str, Any], clip: int) -> ClipCamera:
        rate, where = self.clips.manifest.pose_rate, f"{self.clips.folder}, clip {clip}"
        return camera_of(arrays, self._form[1], rate, where, self._head)

    @cached_property
    def _head(self) -> int:
        return skeleton_of(self.clips).head_index

    @cached_property
    def _form(self) -> tuple[frozenset[str], tuple[int, int]]:
        """The arrays that clips of this set have, and height and width of their frames."""
        first = self.clips[0]
        return frozenset(first), (first["frames"].shape[1], first["frames"].shape[2])

    @property
    def _stored(self) -> tuple[str, ...]:
        """The arrays that a clip's camera is read from."""
        names = self._form[0]
        needed = ("intrinsics", "mount") if "mount" in names else ("intrinsics", "frame_times", *PATHS)
        return tuple(name for name in needed if name in names)

    @property
    def _nominal_mount(self) -> Mount:
        """The mount that the clips were prepared with: that of the sequences' view, else the default."""
        mount = self.clips.manifest.settings().get("view", {}).get("mount")
        return Mount() if mount is None else Mount(**mount)
