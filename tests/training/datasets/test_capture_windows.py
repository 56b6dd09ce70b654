"""Windows drawn from short recordings: one body each, smooth across joins, different in speed, size and side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.skeleton import XSENS_JOINTS, XSENS_PARENTS

from ...shared_data import missing_extra

pytest.importorskip("pybvh", reason=missing_extra("world"))

from training.datasets.mocap.capture_windows import SCALES, CaptureWindows, plain_windows
from training.datasets.mocap.captured_motion import CapturedMotion
from training.datasets.mocap.formats import read
from training.datasets.mocap.retarget import retarget

from .bvh_families import FAMILIES, bvh_text, walk


@pytest.fixture(scope="module")
def motions(tmp_path_factory: pytest.TempPathFactory) -> tuple[CapturedMotion, ...]:
    """Walks of 2.5 s, half as long as a window, to the left and ahead."""
    path = tmp_path_factory.mktemp("mocap") / "walk.bvh"
    found = []
    for turn in (25.0, 0.0):
        path.write_text(bvh_text(FAMILIES["cmu"], walk(turn_deg_s=turn)))
        found.append(retarget(read(path)))
    return tuple(found)


def test_windows_are_of_one_body_and_smooth(motions: tuple[CapturedMotion, ...]) -> None:
    positions, rotations = CaptureWindows(motions, 81, 16.0).draw(range(24))
    assert positions.shape == (24, 81, 23, 3)
    np.testing.assert_allclose(rotations @ rotations.swapaxes(-1, -2), np.eye(3) * np.ones_like(rotations), atol=1e-5)
    bones = np.linalg.norm(positions[..., 1:, :] - positions[..., XSENS_PARENTS[1:], :], axis=-1)
    np.testing.assert_allclose(bones, bones[:, :1] * np.ones_like(bones), atol=1e-5)
    sizes = bones[:, 0].sum(-1) / np.linalg.norm(motions[0].offsets[1:], axis=-1).sum()
    assert SCALES[0] <= sizes.min() < 0.95
    assert 1.02 < sizes.max() <= SCALES[1]
    steps = np.linalg.norm(np.diff(positions[:, :, 0], axis=1), axis=-1) * 16
    assert steps.max() < 2.5  # the pelvis walks at 0.9 m/s in the recordings, and jumps nowhere
    assert 0.5 < steps.mean() < 1.2
    travelled = np.linalg.norm(positions[:, -1, 0] - positions[:, 0, 0], axis=-1)
    assert travelled.min() > 1.5  # joined pieces go on ahead


def test_half_of_the_pieces_are_mirrored(motions: tuple[CapturedMotion, ...]) -> None:
    _, rotations = CaptureWindows(motions[:1], 17, 16.0).draw(range(40))
    yaw = np.unwrap(np.arctan2(rotations[:, :, 0, 1, 0], rotations[:, :, 0, 0, 0]), axis=1)
    left = (yaw[:, -1] > yaw[:, 0]).mean()
    assert 0.2 < left < 0.8  # the recording turns left


def test_a_mirrored_arm_is_that_of_the_other_side(motions: tuple[CapturedMotion, ...]) -> None:
    positions, _ = CaptureWindows(motions[1:], 17, 16.0).draw(range(12))
    for side, sign in (("L", 1), ("R", -1)):
        upper, hand = (XSENS_JOINTS.index(f"{side}_{part}") for part in ("UpperArm", "Hand"))
        hips = positions[:, :, XSENS_JOINTS.index("L_UpperLeg")] - positions[:, :, XSENS_JOINTS.index("R_UpperLeg")]
        away = (positions[:, :, upper] + positions[:, :, hand]) / 2 - positions[:, :, 0]
        assert (sign * (away * hips).sum(-1) > 0).all()


def test_a_window_depends_on_its_seed_alone(motions: tuple[CapturedMotion, ...]) -> None:
    windows = CaptureWindows(motions, 81, 16.0)
    together, apart = windows.draw([3, 7])[0], windows.draw([7])[0]
    np.testing.assert_array_equal(together[1], apart[0])
    assert not np.array_equal(together[0], together[1])


def test_plain_windows_are_the_recording(motions: tuple[CapturedMotion, ...]) -> None:
    (positions, rotations), *rest = plain_windows(motions[0], 21, 16.0)
    assert positions.shape == (1, 21, 23, 3)
    np.testing.assert_allclose(positions[0], motions[0].positions()[: 21 * 3 : 3], atol=1e-5)
    np.testing.assert_allclose(rotations[0], motions[0].rotations[: 21 * 3 : 3], atol=1e-5)
    assert [window[0].shape[1] for window in rest] == [17]  # what is left, 18 poses, to 1 + 4k


def test_recordings_that_are_too_short_are_refused(motions: tuple[CapturedMotion, ...], tmp_path: Path) -> None:
    path = tmp_path / "walk.bvh"
    path.write_text(bvh_text(FAMILIES["cmu"], walk(frames=50)))
    short = retarget(read(path))
    with pytest.raises(RecordingError, match=r"longer than 1\.0 s"):
        CaptureWindows((short,), 81, 16.0)
    assert len(CaptureWindows((short, *motions), 81, 16.0).motions) == 2
