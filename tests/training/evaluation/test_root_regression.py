"""The regression experiment of Appendix C on small data."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from ...shared_data import missing_extra

pytest.importorskip("tyro", reason=missing_extra("train"))

from egotwin_model.geometry.skeleton import HEAD
from egotwin_model.motion.head_centric import HeadCentric
from training.datasets.clips.dataset import open_clips
from training.evaluation import root_regression as regression

from ..evaluation_data import write_data


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
