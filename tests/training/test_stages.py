"""The recipe from an empty folder to a model that imagines: world, four stages, export; at the smallest real sizes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip("mujoco", reason="the extra `world` is not installed")
pytest.importorskip("tyro", reason="the extra `train` is not installed")

from egotwin_model.pipeline import BodyState, EgoTwinPipeline, SamplingDefaults
from egotwin_model.sampler import PURE_NOISE
from egotwin_model.store import WEIGHTS
from training.configs import RECIPES, STAGES, DiffusionRecipe
from training.evaluate import mean_head_paths
from training.export import export, trained_networks
from training.stage_diffusion import draw_timesteps
from training.stages import main
from training.world.generate import generate
from training.world.shards import open_clips


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    for split, clips in (("train", 6), ("val", 3)):
        generate(folder / split, split, clips, seed=0, size=64, workers=1)
    return folder


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for stage in STAGES:
        assert main([stage, "--config", "smoke", "--data", str(data), "--runs", str(folder)]) == 0, stage
    return folder


def test_every_stage_leaves_weights_configuration_and_metrics(runs: Path) -> None:
    for stage in STAGES:
        assert (runs / stage / WEIGHTS).is_file()
        assert json.loads((runs / stage / "config.json").read_text())["_class_name"]
        assert json.loads((runs / stage / "recipe.json").read_text())["train"]["steps"] == 2
        last = json.loads((runs / stage / "metrics.jsonl").read_text().splitlines()[-1])
        assert last["step"] == 2
        assert any(name.startswith("val_") for name in last)


def test_a_finished_stage_is_not_trained_again(runs: Path, data: Path) -> None:
    before = (runs / "joint" / WEIGHTS).read_bytes()
    assert main(["joint", "--config", "smoke", "--data", str(data), "--runs", str(runs)]) == 0
    assert (runs / "joint" / WEIGHTS).read_bytes() == before


def test_the_exported_model_imagines_from_an_unseen_clip(runs: Path, data: Path, tmp_path: Path) -> None:
    folder = export(
        trained_networks(runs), tmp_path / "model", "egotwin-smoke", SamplingDefaults(num_steps=2), {}, graphs=False
    )
    pipeline, clips = EgoTwinPipeline.from_pretrained(folder, runtime="torch"), open_clips(data / "val")
    pose = BodyState(clips.tensor("positions", 0)[0], clips.tensor("rotations", 0)[0])
    found = pipeline(str(clips.records[0]["text"]), clips.tensor("frames", 0)[0], pose, seed=0)
    assert found.frames.shape == (1, 41, 64, 64, 3)
    assert found.motion.positions.shape == (1, 81, 23, 3)


def test_mean_paths_start_at_the_head(data: Path) -> None:
    paths = mean_head_paths(open_clips(data / "train"))
    assert paths
    assert all(abs(path[0]).max() < 1e-5 and path.shape == (81, 3) for path in paths.values())


def test_stages_out_of_order_and_missing_data_are_named(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["joint", "--config", "smoke", "--data", str(data), "--runs", str(tmp_path)]) == 1
    assert "run `egotwin train video-codec` first" in capsys.readouterr().out
    assert main(["video-codec", "--config", "smoke", "--data", str(tmp_path), "--runs", str(tmp_path)]) == 1
    assert "manifest.json is missing" in capsys.readouterr().out


def test_timesteps_follow_the_recipes_shares() -> None:
    """`mini`: 30 % of motions given clean, half of the videos in the noisiest quarter; `smoke`: uniform t_v."""
    for name, clean, noisiest in (("mini", 0.3, 0.5), ("smoke", 0.1, 0.25)):
        recipe = RECIPES[name]["joint"]
        assert isinstance(recipe, DiffusionRecipe)
        t_video, t_motion = draw_timesteps(recipe, 40_000, torch.Generator().manual_seed(0))
        assert (t_motion == 0).float().mean() == pytest.approx(clean, abs=0.02)
        assert (t_video >= 750).float().mean() == pytest.approx(noisiest, abs=0.04)
        assert t_video.min() == 0
        assert t_video.max() == PURE_NOISE
        free = (t_video > 0) & (t_video < PURE_NOISE) & (t_motion > 0) & (t_motion < PURE_NOISE)
        pair = torch.stack([t_video[free], t_motion[free]]).float()
        assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.03  # independent (Section 3.3)
    tied = replace(recipe, model=replace(recipe.model, asynchronous=False))
    assert torch.equal(*draw_timesteps(tied, 100, torch.Generator().manual_seed(0)))
