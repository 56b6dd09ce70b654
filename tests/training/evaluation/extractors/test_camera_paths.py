"""Camera paths from frames: COLMAP's of a rendered room, and the training pairs of the learned one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from ....shared_data import missing_extra

pytest.importorskip("tyro", reason=missing_extra("train"))

from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from training.datasets.clips.dataset import open_clips
from training.evaluation.extractors.camera_stage import _pairs, _turned
from training.evaluation.extractors.colmap import Colmap
from training.evaluation.extractors.extractor_networks import CameraConfig
from training.evaluation.extractors.trained import chained
from training.evaluation.metrics.head_motion import view_consistency

from ...evaluation_data import write_data
from ..rendered_room import room_view, wall_patterns


def test_camera_paths_are_found_in_frames_of_a_room() -> None:
    camera = Pinhole.from_fov(128, 128, np.pi / 2)
    walls = wall_patterns()
    share = np.linspace(0, 1, 13)
    heads = Rotation.from_euler("z", 0.8 * share[:, None]).as_matrix()
    places = np.stack([1.2 * share, 0.5 * np.sin(3 * share), 0.1 * share], axis=-1)
    poses = Mount().camera_pose(places, heads)
    frames = np.stack([room_view(camera, pose, walls) for pose in poses])
    path = Colmap(stride=2)(frames, camera)
    assert path.frames.tolist() == [0, 2, 4, 6, 8, 10, 12]
    found = view_consistency(path.rotations, path.positions, poses[::2, :3, :3], poses[::2, :3, 3])
    assert found["RotErr"] < 0.03
    assert found["TransErr"] < 0.05
    assert len(Colmap()(np.full((9, 64, 64, 3), 90, np.uint8), camera.scaled(64, 64)).frames) == 0


def test_a_camera_path_is_found_again() -> None:
    """A camera that hardly moves leaves its path to chance, which has a seed."""
    camera, walls, share = Pinhole.from_fov(128, 128, np.pi / 2), wall_patterns(), np.linspace(0, 1, 5)
    heads = Rotation.from_euler("z", 0.8 * share[:, None]).as_matrix()
    places = np.stack([0.024 * share, 0.01 * np.sin(3 * share), 0.002 * share], axis=-1)
    frames = np.stack([room_view(camera, pose, walls) for pose in Mount().camera_pose(places, heads)])
    paths = [Colmap(stride=1)(frames, camera) for _ in range(4)]
    assert len(paths[0].frames) == 5
    for path in paths[1:]:
        np.testing.assert_array_equal(path.positions, paths[0].positions)


def test_successive_steps_are_the_path(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", {"train": 4})
    clips, config = open_clips(data / "train"), CameraConfig()
    for index in range(4):
        images, steps = _pairs(clips, index, np.arange(40), config)
        assert images.shape == (40, 6, 64, 64)
        path = chained(config.turn * steps[:, :3].double().numpy(), config.shift * steps[:, 3:].double().numpy())
        poses = clips.tensor("camera_pose", index).astype(np.float64)
        relative = np.linalg.inv(poses[0]) @ poses
        np.testing.assert_allclose(path.rotations, relative[:, :3, :3], atol=1e-4)
        np.testing.assert_allclose(path.positions, relative[:, :3, 3], atol=1e-4)
        assert path.frames.tolist() == list(range(41))


def test_mirrored_and_reversed_pairs_have_their_own_true_steps() -> None:
    """By matrices: a mirror conjugates the motion, going back inverts it."""
    rng, config = np.random.default_rng(0), CameraConfig()
    steps = torch.from_numpy(rng.normal(size=(4, 6)).astype(np.float32))
    pairs = torch.rand(4, 6, 8, 8)
    mirrored, back = torch.tensor([False, True, False, True]), torch.tensor([False, False, True, True])
    found = _turned(pairs, steps, mirrored, back, config)

    def matrix(step: torch.Tensor) -> np.ndarray:
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_rotvec(config.turn * step[:3].double().numpy()).as_matrix()
        pose[:3, 3] = config.shift * step[3:].double().numpy()
        return pose

    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    for row in range(4):
        wanted = matrix(steps[row])
        wanted = mirror @ wanted @ mirror if mirrored[row] else wanted
        wanted = np.linalg.inv(wanted) if back[row] else wanted
        np.testing.assert_allclose(matrix(found["steps"][row]), wanted, atol=1e-6)
    torch.testing.assert_close(found["pairs"][1], pairs[1].flip(-1))
    torch.testing.assert_close(found["pairs"][2], pairs[2].roll(3, 0))
    torch.testing.assert_close(found["pairs"][3], pairs[3].roll(3, 0).flip(-1))
