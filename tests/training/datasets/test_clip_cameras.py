"""Each clip's own camera: read where it is stored, computed from the poses where it is not, compared, refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from training.datasets.clips.cameras import ClipCamera, ClipCameras, camera_of
from training.datasets.clips.dataset import open_clips

from ..evaluation_data import camera_of_clip, write_data


def cameras(folder: Path, **options: bool) -> ClipCameras:
    return ClipCameras(open_clips(write_data(folder, {"test": 4}, **options) / "test"))  # type: ignore[arg-type]


def test_every_clip_has_its_own_camera(tmp_path: Path) -> None:
    found = cameras(tmp_path / "data", vary_camera=True)
    for number in range(4):
        intrinsics, mount = camera_of_clip(4000 + number, 32, vary_camera=True)
        np.testing.assert_allclose(found[number].intrinsics.matrix, intrinsics.matrix, rtol=1e-6)
        np.testing.assert_allclose(found[number].mount.matrix, mount.matrix, atol=1e-5)
    assert found.common() is None
    with pytest.raises(RecordingError, match=r"test: the clips' cameras differ: clip 1's is .*° wide .* instead of"):
        found.shared()


def test_one_camera_is_returned_exactly(tmp_path: Path) -> None:
    """Stored in single precision, known in double: the manifest of a model folder has the latter."""
    found = cameras(tmp_path / "data").shared()
    assert found == ClipCamera(Pinhole(32, 32, 16.0, 16.0, 15.5, 15.5), Mount())


def test_a_stored_mount_is_taken_and_frames_are_read_at_their_own_times() -> None:
    times = np.arange(81) / 16
    heading = 0.9 * times
    rotations = np.zeros((81, 23, 3, 3))
    rotations[..., 0, 0] = rotations[..., 1, 1] = np.cos(heading)[:, None]
    rotations[..., 1, 0], rotations[..., 0, 1] = np.sin(heading)[:, None], -np.sin(heading)[:, None]
    rotations[..., 2, 2] = 1.0
    positions = np.zeros((81, 23, 3)) + (1.4 * times)[:, None, None] * np.array([1.0, 0.0, 0.0])
    mount = Mount.looking_forward((0.1, 0.02, 0.05), 0.4)
    late = 16 * (np.arange(40) / 8 + 0.03)  # every frame comes 30 ms after its pose, in poses
    turn = np.interp(late, np.arange(81), heading)
    heads = np.stack([np.cos(turn), -np.sin(turn), 0 * turn, np.sin(turn), np.cos(turn), 0 * turn], -1)
    heads = np.concatenate([heads, np.tile([0.0, 0.0, 1.0], (40, 1))], -1).reshape(40, 3, 3)
    places = np.stack([np.interp(late, np.arange(81), positions[:, 0, 0]), 0 * turn, 0 * turn], -1)
    clip = {
        "intrinsics": [20.0, 20.0, 15.5, 15.5], "positions": positions, "rotations": rotations,
        "camera_pose": mount.camera_pose(places, heads), "frame_times": late / 16,
    }  # fmt: skip
    computed = camera_of(clip, (32, 32), 16.0, "clip 0")
    np.testing.assert_allclose(computed.mount.matrix, mount.matrix, atol=1e-6)
    stored = camera_of({**clip, "mount": Mount().matrix}, (32, 32), 16.0, "clip 0")
    assert stored.mount == Mount()


def test_cameras_that_look_elsewhere_differ() -> None:
    one = ClipCamera(Pinhole.from_fov(64, 64, np.radians(90)), Mount())
    assert one.difference(ClipCamera(Pinhole.from_fov(64, 64, np.radians(90.5)), Mount())) == ""
    wider = ClipCamera(Pinhole.from_fov(64, 64, np.radians(100)), Mount())
    assert one.difference(wider).startswith("100.0° wide (fx 26.85, cx 31.5, cy 31.5 pixels) instead of 90.0° wide")
    assert one.difference(ClipCamera(one.intrinsics.scaled(32, 32), Mount())) == "of 32×32 pixels instead of 64×64"
    turned = ClipCamera(one.intrinsics, Mount.looking_forward((0.09, 0.0, 0.1), np.radians(18)))
    assert one.difference(turned) == "mounted 3.0 cm and 3.0° away from there on the head"


@pytest.mark.parametrize(
    ("lacking", "message"), [("intrinsics", "no intrinsics"), ("camera_pose", "neither mount nor")]
)
def test_clips_without_a_camera_are_refused(tmp_path: Path, lacking: str, message: str) -> None:
    clips = open_clips(write_data(tmp_path / "data", {"test": 2}, without=lacking) / "test")
    for ask in (ClipCameras(clips).shared, ClipCameras(clips).common, lambda: ClipCameras(clips)[1]):
        with pytest.raises(RecordingError, match=message):
            ask()
