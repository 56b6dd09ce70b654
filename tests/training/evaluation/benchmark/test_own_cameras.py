"""Clips of different cameras: each is measured through its own, and refused where one camera is needed for all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ....shared_data import missing_extra

pytest.importorskip("tyro", reason=missing_extra("train"))

from egotwin_model.diffusion.sampler import Guidance
from egotwin_model.egotwin.pipeline import EgoTwinPipeline, SamplingDefaults
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.skeleton import HEAD, XSENS_JOINTS
from egotwin_model.io.store import save_component
from training.evaluation.benchmark.baselines import baselines
from training.evaluation.benchmark.imagining import write_imaginations
from training.evaluation.benchmark.in_process import measure_in_process
from training.evaluation.benchmark.measurements import measure
from training.evaluation.benchmark.pooling import pool
from training.evaluation.benchmark.start_sheet import write_start_sheet
from training.evaluation.benchmark.task_files import write_tasks
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.errors import PredictionError
from training.evaluation.extractors.colmap import Colmap
from training.evaluation.extractors.extractor_networks import CameraConfig, CameraRegressor
from training.evaluation.extractors.train_command import main as train_evaluators
from training.evaluation.extractors.trained import CameraEvaluator
from training.evaluation.metrics.hand_score import hands_in_view
from training.evaluation.metrics.predicted_clip import RealClip, as_prediction
from training.evaluation.metrics.tools import ExtractorId, Tools
from training.evaluation.quick import QuickEvaluation
from training.evaluation.tune import Tuning
from training.export.command import export, random_networks

from ...evaluation_data import camera_of_clip, write_data
from ..rendered_room import room_view, wall_patterns

CLIPS, SIZE = 6, 64


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    counts = {"train": 3, "val": 3, "test": CLIPS}
    return Benchmark(write_data(tmp_path_factory.mktemp("data"), counts, SIZE, vary_camera=True), CLIPS)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> EgoTwinPipeline:
    defaults = SamplingDefaults(num_steps=1, guidance=Guidance(1.0, 1.0, 1.0))
    folder = tmp_path_factory.mktemp("models") / "smoke"
    export(random_networks("smoke"), folder, "smoke", defaults, {"clips": {}}, graphs=False)
    return EgoTwinPipeline.from_pretrained(folder, "torch")


def as_clip_0(benchmark: Benchmark, clip: RealClip) -> RealClip:
    first = benchmark.clip(0)
    return replace(clip, camera=first.camera, mount=first.mount)


def test_clips_carry_the_camera_they_were_made_with(benchmark: Benchmark, tmp_path: Path) -> None:
    write_tasks(benchmark, "joint", tmp_path)
    tasks = {task["clip"]: task for task in json.loads((tmp_path / "tasks.json").read_text())["tasks"]}
    for number in benchmark.numbers:
        camera, mount = camera_of_clip(4000 + number, SIZE, vary_camera=True)
        clip = benchmark.clip(number)
        np.testing.assert_allclose(clip.camera.matrix, camera.matrix, rtol=1e-6)
        np.testing.assert_allclose(clip.mount.matrix, mount.matrix, atol=1e-5)
        assert Pinhole(**tasks[number]["camera"]) == clip.camera
        np.testing.assert_allclose(tasks[number]["T_head_camera"], mount.matrix, atol=1e-5)


def test_camera_paths_are_compared_through_the_clips_own_camera(benchmark: Benchmark) -> None:
    """A path found in frames of a room that the camera of a walking, turning head sees."""
    walls, share = wall_patterns(), np.linspace(0, 1, 13)
    camera, mount = Pinhole.from_fov(128, 128, np.radians(75)), Mount.looking_forward((0.3, 0.0, -0.2), -0.3)
    heads = Rotation.from_euler("zyx", np.stack([0.8 * share, 0.2 * share, 0 * share], -1)).as_matrix()
    places = np.stack([1.2 * share, 0.5 * np.sin(3 * share), 0.1 * share], axis=-1)
    frames = np.stack([room_view(camera, pose, walls) for pose in mount.camera_pose(places, heads)])
    clip = benchmark.clip(0)
    rotations = np.repeat(heads.repeat(2, axis=0)[:25, None], 23, axis=1)
    positions = clip.positions[:25] - clip.positions[:25, HEAD, None] + places.repeat(2, axis=0)[:25, None]
    clip = replace(clip, frames=frames, positions=positions, rotations=rotations, camera=camera, mount=mount)
    tools = Tools(camera_paths=Colmap(stride=2))
    own = measure(clip, as_prediction(clip), "joint", benchmark, tools)["camera_error"]
    assert own[0] < 0.05
    assert own[1] < 0.03
    for wrong in (replace(clip, mount=Mount()), replace(clip, camera=Pinhole.from_fov(128, 128, np.radians(60)))):
        other = measure(wrong, as_prediction(clip), "joint", benchmark, tools)["camera_error"]
        assert other[0] > 10 * own[0]


class OracleHands:
    """Knows which hands are in the frames of a clip."""

    identity = ExtractorId("oracle", "1", "none")

    def __init__(self, seen: NDArray[np.bool_]) -> None:
        self.seen = seen

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.bool_]:
        return self.seen


def test_hands_are_expected_in_the_clips_own_view(benchmark: Benchmark) -> None:
    differing = 0
    for number in benchmark.numbers:
        clip = benchmark.clip(number)
        camera, mount = camera_of_clip(4000 + number, SIZE, vary_camera=True)
        rng, positions = np.random.default_rng(number), clip.positions.copy()
        ahead = rng.uniform((0.2, -0.5, -0.6), (0.6, 0.5, 0.2), (81, 3))  # from the head, in its own frame
        positions[:, XSENS_JOINTS.index("L_Hand")] = positions[:, HEAD] + (
            clip.rotations[:, HEAD] @ ahead[..., None]
        ).squeeze(-1)
        clip = replace(clip, positions=positions)
        seen = hands_in_view(positions[::2], clip.rotations[::2], camera, mount)
        tools = Tools(hands=OracleHands(seen))
        own = measure(clip, as_prediction(clip), "joint", benchmark, tools)["hands"]
        assert own[1:].sum() == 0
        assert own[0].sum() == seen[1:].sum() > 0
        differing += int(
            measure(as_clip_0(benchmark, clip), as_prediction(clip), "joint", benchmark, tools)["hands"][1:].sum()
        )
    assert differing > 0


def test_the_view_turns_as_far_as_its_focal_length_says(benchmark: Benchmark) -> None:
    """Frames of narrow views shift further for the same turn: pooled as they are, clips would disagree."""
    measured = []
    for change in (lambda clip: clip, lambda clip: as_clip_0(benchmark, clip)):
        clips = [benchmark.clip(number) for number in benchmark.numbers]
        parts = [measure(change(clip), as_prediction(clip), "joint", benchmark, Tools()) for clip in clips]
        pooled = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
        measured.append(pool(pooled, {}, (8.0, 16.0))[0]["view turns with the head"].value)
    assert measured[0] > measured[1] + 0.01
    together = measure_in_process(benchmark, benchmark.numbers, as_prediction, "true clips")
    assert pool(together, {}, (8.0, 16.0))[0]["view turns with the head"].value == measured[0]


def test_the_first_frame_is_turned_through_the_clips_own_camera(benchmark: Benchmark) -> None:
    turn = baselines(benchmark)["first frame turned with the head"].predict
    number = next(n for n in benchmark.numbers if n and benchmark.record(n)["behaviour"] == "turn_left")
    clip = benchmark.clip(number)
    poses = np.asarray(clip.camera_pose, np.float64)
    camera, other = clip.camera, as_clip_0(benchmark, clip)
    homography = camera.matrix @ (np.linalg.inv(poses[8]) @ poses[0])[:3, :3] @ np.linalg.inv(camera.matrix)
    wanted = cv2.warpPerspective(clip.frames[0], homography, (SIZE, SIZE))
    shown = cv2.warpPerspective(np.ones((SIZE, SIZE), np.uint8), homography, (SIZE, SIZE)) > 0
    for given, least, most in ((clip, 0.0, 3.0), (other, 5.0, 255.0)):
        frames = turn(given).frames
        assert frames is not None
        assert least <= np.abs(frames[8].astype(int) - wanted)[shown].mean() <= most


def test_a_model_is_only_asked_about_clips_of_its_camera(
    benchmark: Benchmark, pipeline: EgoTwinPipeline, tmp_path: Path
) -> None:
    asks: dict[str, Callable[[], Any]] = {
        "report": lambda: write_imaginations(pipeline, benchmark, "joint", tmp_path / "predictions"),
        "quick": lambda: QuickEvaluation(pipeline, benchmark.data, 2),
        "tune": lambda: Tuning(pipeline, benchmark),
        "sheet": lambda: write_start_sheet(pipeline, benchmark, tmp_path / "sheet.png"),
    }
    for ask in asks.values():
        with pytest.raises(
            PredictionError, match=r"test, clip \d: its camera is .* where that of smoke is; use clips of"
        ):
            ask()
    assert not list(tmp_path.iterdir())
    one = Benchmark(write_data(tmp_path / "data", {"test": 2}, SIZE), 1)
    write_imaginations(pipeline, one, "joint", tmp_path / "predictions")


def test_the_learned_camera_path_reads_only_views_it_was_trained_on(
    benchmark: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_component(tmp_path / "camera", CameraRegressor(CameraConfig(fov_deg=100.0)))
    evaluator = CameraEvaluator(tmp_path / "camera")
    assert evaluator.reads(Pinhole.from_fov(480, 480, np.radians(100)))
    clips = [benchmark.clip(number) for number in benchmark.numbers]
    clips = [
        replace(clip, camera=Pinhole.from_fov(SIZE, SIZE, evaluator._network.config.view.fov_x)) for clip in clips[:4]
    ]
    clips += [replace(clip, camera=Pinhole.from_fov(SIZE, SIZE, np.radians(80))) for clip in clips[:2]]
    parts = [
        measure(clip, as_prediction(clip), "joint", benchmark, Tools(learned_camera_paths=evaluator)) for clip in clips
    ]
    errors = np.stack([part["camera_error_learned"] for part in parts])
    assert np.isfinite(errors[:, 0]).tolist() == [True] * 4 + [False] * 2
    numbers, notes = pool({"camera_error_learned": errors}, {}, (8.0, 16.0))
    assert numbers["TransErr, learned"].value == pytest.approx(errors[:4, 0].mean())
    assert any("learned: 2 of 6 clips are left out" in note for note in notes)
    small = ["--train.steps", "1", "--train.batch-size", "2", "--train.precision", "no"]
    command = ["camera", "--out", str(tmp_path / "out"), *small]
    assert train_evaluators([*command, "--data", str(benchmark.data)]) == 1
    assert "the clips' cameras differ" in capsys.readouterr().out
    plain = write_data(tmp_path / "data", {"train": 2, "val": 2}, SIZE)
    assert train_evaluators([*command, "--data", str(plain), "--model.fov-deg", "60"]) == 1
    assert "the clips' view is 90.0° wide" in capsys.readouterr().out
