"""Stage 1 on motion capture beside simulated clips."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ...shared_data import missing_extra

pytest.importorskip("mujoco", reason=missing_extra("world"))
pytest.importorskip("tyro", reason=missing_extra("train"))
pytest.importorskip("pybvh", reason=missing_extra("world"))

from egotwin_model.io.store import WEIGHTS, load_tensors
from egotwin_model.motion.head_centric import HeadCentric
from training.datasets.mocap.capture_folder import HELD_OUT_EVERY, CaptureFolder
from training.simulator.generate import generate
from training.stages.captures import Captures
from training.stages.command import main
from training.stages.random_streams import RandomStreams
from training.stages.run_folder import METRICS, STATISTICS

from ..datasets.bvh_families import FAMILIES, bvh_text, walk


@pytest.fixture(scope="module")
def mocap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mocap")
    for number in range(HELD_OUT_EVERY + 1):
        motion = walk(frames=90, turn_deg_s=2.0 * number)
        (folder / f"walk_{number:02}.bvh").write_text(bvh_text(FAMILIES["cmu"], motion))
    return folder


@pytest.fixture(scope="module")
def captures(mocap: Path) -> Captures:
    return Captures(CaptureFolder.load(mocap), HeadCentric(), 16.0)


def test_about_the_share_of_clips_is_replaced_alike_in_any_batch(captures: Captures) -> None:
    features = torch.zeros(40, 81, 288)
    mixed = captures.mixed_in(features, 0.3, RandomStreams(0, 2, range(40)))
    replaced = mixed.any(-1).any(-1)
    assert 4 <= int(replaced.sum()) <= 22  # of 40 at 0.3: within 3.5 standard deviations
    row = int(replaced.nonzero()[0])
    alone = captures.mixed_in(features[:1], 0.3, RandomStreams(0, 2, [row]))
    assert torch.equal(alone[0], mixed[row])
    assert torch.equal(captures.mixed_in(features, 0.0, RandomStreams(0, 2, range(40))), features)


def test_a_twelfth_of_the_recordings_is_held_out(captures: Captures) -> None:
    assert len(captures.windows.motions) == HELD_OUT_EVERY
    assert [part.shape for part in captures.held_out] == [(1, 21, 288)]
    assert all(motion.name != f"walk_{HELD_OUT_EVERY - 1:02}" for motion in captures.windows.motions)


def test_stage_1_trains_on_motion_capture_too(mocap: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split in ("train", "val"):
        generate(tmp_path / "data" / split, split, 4, size=16, workers=1)
    for stage in ("motion-vae", "motion-decoder"):
        common = [stage, "--config", "smoke", "--data", str(tmp_path / "data")]
        plain, mixed = ([*common, "--runs", str(tmp_path / name)] for name in ("plain", "mixed"))
        mixed += ["--mocap", str(mocap), "--mocap-share", "0.5"]
        assert main(plain) == main(mixed) == 0
        metrics = json.loads((tmp_path / "mixed" / stage / METRICS).read_text().splitlines()[-1])
        assert metrics["val_real_joint_error_cm"] > 0
        assert metrics["val_real_head_error_deg"] > 0
        assert metrics["val_joint_error_cm"] > 0
        one, two = (load_tensors(tmp_path / name / stage / WEIGHTS) for name in ("plain", "mixed"))
        assert any(not torch.equal(one[name], two[name]) for name in one)
    one, two = (load_tensors(tmp_path / name / "motion-vae" / STATISTICS) for name in ("plain", "mixed"))
    assert torch.equal(one["mean"], two["mean"])  # later stages know the clips alone

    (mocap / "walk_00.bvh").unlink()
    assert main([*mixed, "--train.steps", "4"]) == 1
    assert "on other clips: mocap_sha256" in capsys.readouterr().out
