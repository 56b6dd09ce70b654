"""A model folder has one camera: clips of several are refused where they would become one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ...shared_data import missing_extra

pytest.importorskip("tyro", reason=missing_extra("train"))

from egotwin_model.egotwin.pipeline import SamplingDefaults
from egotwin_model.errors import ModelError, RecordingError
from training.datasets.clips.dataset import open_clips
from training.export.command import export, random_networks
from training.stages import command
from training.stages.compatibility import check_cameras

from ..evaluation_data import write_data


def train(data: Path, runs: Path, *stage: str) -> int:
    return command.main([*stage, "--config", "smoke", "--data", str(data), "--runs", str(runs), "--train.steps", "1"])


def test_clips_of_different_cameras_train_no_model_of_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, runs = write_data(tmp_path / "data", {"train": 3, "val": 3}, 64, vary_camera=True), tmp_path / "runs"
    assert train(data, runs, "joint") == 1
    assert "train: the clips' cameras differ: clip 1's is" in capsys.readouterr().out
    assert train(data, runs, "motion-vae") == 0, capsys.readouterr().out  # no camera is needed to learn motion
    clips = json.loads((runs / "motion-vae" / "clips.json").read_text())
    assert (clips["camera"], clips["mount"]) == (None, None)
    with pytest.raises(ModelError, match="smoke was trained on clips of different cameras"):
        export(
            random_networks("smoke"), tmp_path / "model", "smoke", SamplingDefaults(), {"clips": clips}, graphs=False
        )
    assert not (tmp_path / "model").exists()


def test_both_splits_have_one_camera(tmp_path: Path) -> None:
    plain = write_data(tmp_path / "plain", {"train": 3, "val": 3}, 64)
    check_cameras(*(open_clips(plain / split) for split in ("train", "val")))
    one = open_clips(write_data(tmp_path / "one", {"val": 1}, 64, vary_camera=True) / "val")
    with pytest.raises(RecordingError, match=r"val: the camera is .* instead of .*, where that of .*train is"):
        check_cameras(open_clips(plain / "train"), one)
