"""The learned camera path's training pairs, and the regression experiment."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from ...shared_data import missing_extra

pytest.importorskip("tyro", reason=missing_extra("train"))

from egotwin_model.geometry.skeleton import HEAD
from egotwin_model.motion.head_centric import HeadCentric
from training.datasets.clips.dataset import open_clips
from training.evaluation import root_regression as regression
from training.evaluation.extractors.camera_stage import _pairs, _turned
from training.evaluation.extractors.extractor_networks import CameraConfig
from training.evaluation.extractors.trained import chained

from ..evaluation_data import write_data


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


def test_heads_are_regressed_from_either_representation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = write_data(tmp_path / "data", {"train": 8, "val": 4}), tmp_path / "out"
    _, heads = regression._features(open_clips(data / "val"), HeadCentric(), 4)
    clip = open_clips(data / "val")[2]
    rotations, places = regression._pose(heads[2])
    first = clip["rotations"][0, HEAD].astype(np.float64)
    np.testing.assert_allclose(rotations, first.T @ clip["rotations"][:, HEAD], atol=1e-5)
    np.testing.assert_allclose(places, (clip["positions"][:, HEAD] - clip["positions"][0, HEAD]) @ first, atol=1e-5)
    command = ["--data", str(data), "--out", str(out), "--steps", "2", "--clips", "6"]
    assert regression.main(command) == 0
    assert "from root-centric features, least of 2 steps: TransErr [m]" in capsys.readouterr().out
    curves = json.loads((out / "regression.json").read_text())
    assert curves["head-centric"]["step"] == [1, 2]
    assert all(value > 0 for curve in curves.values() for value in curve["val_rot_err_rad"])
    assert json.loads((out / "root-centric" / "recipe.json").read_text())["clips"] == 6
    assert cv2.imread(str(out / "regression.png")).std() > 5
    before = (out / "root-centric" / "metrics.jsonl").read_text()
    assert regression.main([*command[:-4], "--steps", "3", "--clips", "6"]) == 0  # goes on
    after = (out / "root-centric" / "metrics.jsonl").read_text()
    assert after.startswith(before)
    assert len(after.splitlines()) == 3
    assert regression.main(["--data", str(tmp_path), "--out", str(out)]) == 1
    assert "manifest.json is missing" in capsys.readouterr().out
