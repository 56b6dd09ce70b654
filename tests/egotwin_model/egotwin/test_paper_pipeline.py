"""The paper's components, all at narrow width, from CogVideoX's folder on disk to an imagination.

T5, AutoencoderKLCogVideoX, the transformer with its gated motion branch and the motion VAE with the paper's layout of
layers: what only differs from the paper's model is numbers.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from egotwin_model.diffusion.sampler import Guidance, Solver
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.pipeline import EgoTwinPipeline
from egotwin_model.egotwin.pretrained import cogvideox_schedule, convert_cogvideox
from egotwin_model.egotwin.transformer import load_transformer
from egotwin_model.errors import ModelError
from egotwin_model.io.files import write_json
from egotwin_model.io.store import save_component, save_tensors, write_manifest
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.vae import MotionVAE, MotionVAEConfig

from ..bodies import standing

HEIGHT = WIDTH = 64
NARROW = replace(
    EgoTwinConfig.paper(), num_layers=3, num_motion_layers=2, num_heads=2, time_embed_dim=32, text_dim=48,
    text_length=12, latent_channels=4, latent_frames=3, latent_height=8, latent_width=8, motion_width=32,
    motion_channels=16, motion_length=5, position_origin=(0, 1),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(cogvideox_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything a model folder holds, the video side taken over from CogVideoX's files."""
    out = convert_cogvideox(cogvideox_folder, tmp_path_factory.mktemp("paper") / "model", NARROW, torch.float32)
    torch.manual_seed(0)
    transformer = load_transformer(out / "transformer")
    for name in transformer.new_parameter_names():  # as stage 3 would leave them: no longer without effect
        torch.nn.init.normal_(transformer.get_parameter(name), std=0.05)
    save_component(out / "transformer", transformer)
    features = HeadCentric().dim
    widths = (16, 32, 32, 64)  # the paper's 512, 1024, 1024, 2048
    save_component(
        out / "motion_vae",
        MotionVAE(MotionVAEConfig(feature_dim=features, latent_dim=16, widths=widths, norm_groups=4)),
    )
    statistics = {"mean": torch.zeros(features), "std": torch.ones(features), "motion_latent.scale": torch.ones(1)}
    save_tensors(out / "statistics.safetensors", statistics)
    guidance = Guidance()  # the paper's 6, 4, 4
    index = {
        "text_encoder": "text_encoder", "representation": HeadCentric().describe(),
        "camera": {"width": WIDTH, "height": HEIGHT, "fx": 32.0, "fy": 32.0, "cx": 31.5, "cy": 31.5},
        "mount": {"translation": [0.1, 0.0, 0.05], "rotation": [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]},
        "num_frames": 9, "frame_rate": 8.0, "num_poses": 17, "pose_rate": 16.0,
        "sampling": {
            "num_steps": 2, "guidance": vars(guidance), "schedule": vars(cogvideox_schedule(cogvideox_folder)),
            "solver": {"name": "dpm++2m", "eta": 1.0},
        },
    }  # fmt: skip
    write_json(out / "model_index.json", index)
    write_manifest(out, {"name": "narrow-paper"})
    return out


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> EgoTwinPipeline:
    return EgoTwinPipeline.from_pretrained(folder)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def test_from_a_folder_to_both_futures(pipeline: EgoTwinPipeline, image: np.ndarray) -> None:
    found = pipeline("walk to the table", image, standing(), num_samples=2, seed=0)
    assert found.frames.shape == (2, 9, HEIGHT, WIDTH, 3)
    assert found.motion.positions.shape == (2, 17, 23, 3)
    assert found.frame_times[-1] == found.motion_times[-1] == 1.0
    assert (found.frames[:, 0] == image).all()
    assert found.frames[:, 1:].std() > 1.0
    assert np.isfinite(found.motion.positions).all()
    again = pipeline("walk to the table", image, standing(), num_samples=2, seed=0)
    assert np.array_equal(again.frames, found.frames)
    assert np.array_equal(again.motion.positions, found.motion.positions)


def test_goals_reach_both_futures_through_t5(pipeline: EgoTwinPipeline, image: np.ndarray) -> None:
    walk, turn = (pipeline(goal, image, standing(), seed=0) for goal in ("walk to the table", "turn left"))
    assert not np.array_equal(walk.frames[:, 1:], turn.frames[:, 1:])
    assert np.abs(walk.motion.positions - turn.motion.positions).max() > 1e-4


@pytest.mark.parametrize("mode", ["motion", "video"])
def test_both_conditional_modes(pipeline: EgoTwinPipeline, image: np.ndarray, mode: str) -> None:
    joint = pipeline("walk", image, standing(), seed=0)
    if mode == "motion":
        found = pipeline("walk", image, standing(), mode="motion", video=joint.frames[0], seed=0)
        assert np.array_equal(found.frames, joint.frames)
        assert found.motion.positions.shape == (1, 17, 23, 3)
    else:
        motion = type(joint.motion)(*(part[0] for part in vars(joint.motion).values()))
        found = pipeline("walk", image, standing(), mode="video", motion=motion, seed=0)
        assert found.frames.shape == joint.frames.shape
        assert np.array_equal(found.motion.positions, joint.motion.positions)


@pytest.mark.parametrize("continuity", ["restart", "clean"])
def test_it_rolls(pipeline: EgoTwinPipeline, image: np.ndarray, continuity: str) -> None:
    found = pipeline.roll(
        "walk", image, standing(), horizon_s=2.0, continuity=continuity, overlap_s=0.5, seed=0, solver=Solver()
    )  # type: ignore[call-overload]
    assert found.frames.shape == (1, 17, HEIGHT, WIDTH, 3)
    assert found.motion.positions.shape == (1, 33, 23, 3)


def test_bfloat16_with_offload_is_near_float32(folder: Path, pipeline: EgoTwinPipeline, image: np.ndarray) -> None:
    """Options that only torch has; the deterministic solver, or noise would hide what is compared."""
    half = EgoTwinPipeline.from_pretrained(folder, dtype="bfloat16", offload=True)
    ours, theirs = (model("walk", image, standing(), seed=0, solver=Solver()) for model in (half, pipeline))
    assert np.abs(ours.frames.astype(int) - theirs.frames).mean() < 1.5
    assert np.abs(ours.motion.positions - theirs.motion.positions).mean() < 2e-3
    with pytest.raises(ModelError, match="needs runtime='torch' or 'auto'"):
        EgoTwinPipeline.from_pretrained(folder, "onnxruntime", dtype="bfloat16")


def test_a_missing_part_is_named(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    shutil.rmtree(copy / "motion_vae")
    write_manifest(copy, {})
    with pytest.raises(ModelError, match="motion_vae is missing"):
        EgoTwinPipeline.from_pretrained(copy)
