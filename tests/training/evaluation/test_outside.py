"""The evaluation outside the simulator, on the example recording, on written motion capture and on small clips."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ...shared_data import ROOT, missing_extra

pytest.importorskip("tyro", reason=missing_extra("train"))

from egotwin_model.diffusion.sampler import Guidance
from egotwin_model.egotwin.pipeline import EgoTwinPipeline, SamplingDefaults
from egotwin_model.geometry.skeleton import HEAD
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.outside import command
from training.evaluation.outside.motion_codec import captured_windows
from training.evaluation.outside.recordings import first_observation
from training.evaluation.outside.tilted_starts import Tilt, tilted
from training.evaluation.user_goals import load_user_goals
from training.export.command import export, random_networks

from ..datasets.bvh_families import Family, bvh_text, walk
from ..evaluation_data import write_data

BAG = ROOT / "examples/bags/living_room.mcap"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    defaults = SamplingDefaults(num_steps=1, guidance=Guidance(1.0, 1.0, 1.0))
    folder = tmp_path_factory.mktemp("models") / "smoke"
    return export(random_networks("smoke"), folder, "smoke", defaults, {"clips": {}}, graphs=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), {"test": 8}, size=64)


def test_a_tilt_turns_head_and_view_alone(data: Path) -> None:
    clip = Benchmark(data, 1).clip(0)
    same = tilted(clip, Tilt(0, 0))
    np.testing.assert_array_equal(same.frames[0], clip.frames[0])
    up = tilted(clip, Tilt(20, 0))
    before, after = clip.rotations[0, HEAD], up.rotations[0, HEAD]
    assert np.rad2deg(np.arcsin(after[2, 0]) - np.arcsin(before[2, 0])) == pytest.approx(20.0, abs=1e-3)
    np.testing.assert_array_equal(np.delete(up.rotations[0], HEAD, 0), np.delete(clip.rotations[0], HEAD, 0))
    right = tilted(clip, Tilt(0, 13)).rotations[0, HEAD]
    assert np.rad2deg(np.arcsin(right[2, 1])) == pytest.approx(13.0, abs=1e-3)  # the left side rises
    middle = (clip.camera.height - 1) / 2
    moved = round(middle - clip.camera.fy * np.tan(np.deg2rad(20.0)))  # now at the middle row
    assert abs(int(up.frames[0][round(middle), 32, 0]) - int(clip.frames[0][moved, 32, 0])) < 40


def test_the_first_observation_of_a_recording(model: Path) -> None:
    view = EgoTwinPipeline.from_pretrained(model, "torch").info.camera
    image, state = first_observation(BAG, view)
    assert image.shape == (view.height, view.width, 3)
    state.check()
    assert 1.0 < state.positions[HEAD, 2] < 2.0


def test_windows_of_a_captured_motion_begin_where_the_last_one_ended(tmp_path: Path) -> None:
    from training.datasets.mocap.capture_folder import CaptureFolder

    (tmp_path / "walk.bvh").write_text(bvh_text(Family(), walk()))
    motion = CaptureFolder.load(tmp_path).motions[0]
    windows = list(captured_windows(motion, 16.0, 17))
    assert len(windows) == int((len(motion.pelvis) - 1) / motion.rate_hz * 16 + 1) // 17
    assert all(window.positions.shape == (1, 17, 23, 3) for window in windows)
    every = round(motion.rate_hz / 16)
    np.testing.assert_array_equal(windows[1].positions[0, 0], motion.positions()[17 * every])


def test_the_command_writes_what_it_is_given_data_for(data: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "outside.json"
    arguments = ["--model", str(model), "--runtime", "torch", "--out", str(out)]
    assert (
        command.main([*arguments, "--data", str(data), "--starts", "1", "--goal-starts", "1", "--recordings", str(BAG)])
        == 0
    )
    found = json.loads(out.read_text())
    assert {"tilted heads", "recordings"} <= found.keys()
    assert "motion capture through the codec" not in found
    assert found["recordings"]["living_room: turns as told"]["clips"] == 8
    goals = load_user_goals()
    counted = found["typed goals"]["done, warned of or refused"]["clips"]
    assert counted == sum(not goal.about_target for goal in goals)  # there are no rooms with things here
    unknown = [goal.goal for goal in goals if goal.unknown]
    assert set(unknown) <= {answer["goal"] for answer in found["done wrongly"]}  # this model warns of nothing
    assert 0.0 <= found["tilted heads"]["pitch +30°, roll +0°: within 0.05 m"]["value"] <= 1.0


def test_the_command_wants_something_to_measure_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([]) == 1
    assert "give --data, --recordings or --mocap" in capsys.readouterr().out
