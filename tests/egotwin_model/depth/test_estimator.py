"""Depth of images through `DepthEstimator`: every kind of folder and runtime, other image sizes, and refusals."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch

from benchmarks.scene_memory import furnished, pose_at
from egotwin_model import DepthEstimator
from egotwin_model.depth.floor_scale import fit_to_floor
from egotwin_model.depth.network import DepthNetwork
from egotwin_model.depth.network_inputs import View, floor_depth
from egotwin_model.depth.sizes import DepthConfig
from egotwin_model.errors import CalibrationError, EgoTwinError, ImageError, ModelError, PoseError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.io.files import write_json
from egotwin_model.io.store import WEIGHTS, save_component, write_manifest
from egotwin_model.runtimes.onnx_runtime import GRAPHS

CAMERA = Pinhole.from_fov(64, 64, np.pi / 2)
POSE = pose_at((0.0, 0.0, 1.6), 0.3, 0.4)
ROOM = furnished(1)
IMAGE, DEPTH, _ = ROOM.view(CAMERA, POSE)


def moved(dx: float) -> tuple[np.ndarray, np.ndarray]:
    """An earlier view from beside `POSE`."""
    pose = POSE.copy()
    pose[:3, 3] += (dx, -dx, 0.0)
    return ROOM.view(CAMERA, pose)[0], pose


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with nothing but a random depth network, with its graph."""
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    from training.export.graphs import depth_inputs, export_graph

    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    network = DepthNetwork(DepthConfig.smoke()).eval()
    save_component(folder / "depth", network)
    (folder / "onnx").mkdir()
    inputs, weights = depth_inputs(network.config), f"depth/{WEIGHTS}"
    entry = export_graph(folder / "onnx/depth.onnx", network, weights, lambda m, *x: m(*x), inputs)
    assert {source["tensor"] for source in entry["initializers"].values()} >= {"stem.weight", "cells.weight"}
    write_json(folder / GRAPHS, {"depth": entry})
    write_manifest(folder, {})
    return folder


def test_both_runtimes_agree(folder: Path) -> None:
    past = [moved(0.3), moved(0.1)]
    found = [
        DepthEstimator.from_pretrained(folder, runtime)(IMAGE, CAMERA, POSE, past)
        for runtime in ("onnxruntime", "torch")
    ]
    assert found[0].dtype == np.float32
    assert (found[0] > 0).all()
    np.testing.assert_allclose(*found, rtol=2e-4)
    alone = DepthEstimator.from_pretrained(folder)(IMAGE, CAMERA, POSE)
    assert np.abs(alone / found[0] - 1).max() > 1e-4, "the past must count"


def test_a_view_of_another_size_has_depth_of_that_size(folder: Path) -> None:
    estimator, large = DepthEstimator.from_pretrained(folder), CAMERA.scaled(160, 120)
    image = ROOM.view(large, POSE)[0]
    found = estimator.estimate(image, large, POSE, [(image, POSE)])
    assert found.depth.shape == (120, 160)
    assert found.error is not None
    assert found.error.shape == (120, 160)
    small = estimator(IMAGE, CAMERA, POSE)
    assert np.median(np.abs(found.depth[1::2, ::2][:60, :64].mean() / small.mean() - 1)) < 0.1


def test_only_the_height_above_the_floor_matters(folder: Path) -> None:
    estimator, raised = DepthEstimator.from_pretrained(folder), POSE.copy()
    raised[:3, 3] += (3.0, -2.0, 0.9)
    found = estimator(IMAGE, CAMERA, raised, floor_z=0.9)
    np.testing.assert_allclose(found, estimator(IMAGE, CAMERA, POSE), rtol=1e-5)
    assert np.abs(estimator(IMAGE, CAMERA, raised) / found - 1).max() > 1e-4


def test_an_image_that_shows_nothing_still_has_an_estimate(folder: Path) -> None:
    found = DepthEstimator.from_pretrained(folder)(np.zeros_like(IMAGE), CAMERA, POSE)
    assert np.isfinite(found).all()
    assert (found > 0).all()


def skewed(pose: np.ndarray) -> np.ndarray:
    return pose @ np.diag([1.0, 1.0, 1.1, 1.0])


def below(pose: np.ndarray) -> np.ndarray:
    pose = pose.copy()
    pose[2, 3] = -0.2
    return pose


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"image": IMAGE.astype(np.float32)}, ImageError, "image: image is float32 (64, 64, 3): wanted a uint8"),
        ({"image": IMAGE[:32]}, CalibrationError, "image: image is 64x32, its camera 64x64"),
        ({"camera": "camera"}, CalibrationError, "camera is str: wanted a Pinhole"),
        ({"T_world_camera": skewed(POSE)}, PoseError, "image: T_world_camera is not rigid"),
        ({"T_world_camera": np.full((4, 4), np.nan)}, PoseError, "holds NaN"),
        ({"T_world_camera": POSE[:3]}, PoseError, "wanted 4x4"),
        ({"T_world_camera": below(POSE)}, PoseError, "the camera is -0.20 m above the floor at z = 0"),
        ({"floor_z": np.nan}, PoseError, "floor_z is nan"),
        ({"past": [(IMAGE, POSE), (IMAGE[:, :9], POSE)]}, CalibrationError, "past[1]: image is 9x64"),
        ({"past": [(IMAGE, skewed(POSE))]}, PoseError, "past[0]: T_world_camera is not rigid"),
        ({"past": [IMAGE]}, ImageError, "past holds something else than pairs"),
    ],
)
def test_bad_input_is_refused_by_name(
    folder: Path, change: dict[str, Any], error: type[EgoTwinError], message: str
) -> None:
    given = {"image": IMAGE, "camera": CAMERA, "T_world_camera": POSE, **change}
    with pytest.raises(error, match=re.escape(message)):
        DepthEstimator.from_pretrained(folder)(**given)


def without(folder: Path) -> None:
    shutil.rmtree(folder / "depth")


def altered(folder: Path) -> None:
    (folder / "depth/config.json").write_text("{}")


def unknown(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    (folder / "depth/config.json").write_text('{"planes": 4, "beams": 2}')


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without, "holds no depth model; wanted one of: a model folder"),
        (altered, "config.json was altered"),
        (unknown, "does not describe a DepthNetwork"),
    ],
)
def test_folders_without_a_whole_network_are_refused(
    folder: Path, tmp_path: Path, change: Callable[[Path], None], message: str
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    change(copy)
    with pytest.raises(ModelError, match=message):
        DepthEstimator.from_pretrained(copy)


@pytest.mark.parametrize("shifted", [False, True])
def test_relative_depth_gets_its_scale_from_the_floor(shifted: bool) -> None:
    """Four tenths of what lies below the horizon is furniture; noise of 1 %."""
    floor = floor_depth(View(IMAGE, POSE), CAMERA)
    rng = np.random.default_rng(0)
    inverse = np.where(floor > 0, 1.0 / np.maximum(floor, 1e-3), 0.2)
    furniture = rng.random(inverse.shape) < 0.4
    inverse[furniture] *= rng.uniform(1.2, 3.0, int(furniture.sum()))
    inverse *= 1.0 + 0.01 * rng.normal(size=inverse.shape)
    given = (inverse - 0.05 if shifted else inverse) / 7.0
    found = fit_to_floor(given, floor, shifted=shifted)
    assert found is not None
    assert found[0] == pytest.approx(7.0, rel=0.02)
    assert found[1] == pytest.approx(0.05 if shifted else 0.0, abs=0.01)


def test_no_floor_gives_no_scale() -> None:
    level = pose_at((0.0, 0.0, 1.6), 0.3, -1.2)  # looks up: no ray meets the floor
    assert fit_to_floor(np.ones((64, 64)), floor_depth(View(IMAGE, level), CAMERA), shifted=True) is None
    scattered = np.random.default_rng(0).lognormal(0.0, 3.0, (64, 64))
    assert fit_to_floor(scattered, floor_depth(View(IMAGE, POSE), CAMERA), shifted=False) is None


@pytest.fixture(scope="module")
def hugging_face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A randomly initialised Depth Anything of two layers with its processor."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    pytest.importorskip("PIL", reason="Pillow is not installed")
    folder = tmp_path_factory.mktemp("hugging_face")
    backbone = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, image_size=56, patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, patch_size=14, reassemble_hidden_size=16, neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8, head_hidden_size=8,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil

    DPTImageProcessorPil(size={"height": 56, "width": 56}).save_pretrained(folder)
    return folder


def test_a_hugging_face_model_in_a_folder_estimates(hugging_face: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from egotwin_model.depth.hugging_face import HuggingFaceSource

    estimator = DepthEstimator.from_pretrained(hugging_face)
    assert isinstance(estimator.source, HuggingFaceSource)
    assert estimator.source._predicted(IMAGE).shape == (56, 56)
    floor = floor_depth(View(IMAGE, POSE), CAMERA)
    inverse = np.where(floor > 0, 1.0 / np.maximum(floor, 1e-3), 0.1)
    monkeypatch.setattr(estimator.source, "_predicted", lambda image: (inverse - 0.02) / 3.0)
    found = estimator(IMAGE, CAMERA, POSE)
    shown = (floor > 0.3) & (floor < 15)
    np.testing.assert_allclose(found[shown], floor[shown], rtol=0.02)
    monkeypatch.setattr(estimator.source, "_predicted", lambda image: np.ones((64, 64)))
    assert not estimator(IMAGE, CAMERA, POSE).any(), "without floor, relative depth is unknown"


def test_a_hugging_face_folder_that_does_not_load_is_refused(hugging_face: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(hugging_face, copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be loaded"):
        DepthEstimator.from_pretrained(copy)
    with pytest.raises(ModelError, match="which runtime 'onnxruntime' cannot run"):
        DepthEstimator.from_pretrained(hugging_face, "onnxruntime")
