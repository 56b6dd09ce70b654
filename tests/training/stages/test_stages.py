"""The recipe from an empty folder to a model: simulated clips, all stages, export; at the smallest sizes."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ...shared_data import missing_extra

pytest.importorskip("mujoco", reason=missing_extra("world"))
pytest.importorskip("tyro", reason=missing_extra("train"))

import cv2
from accelerate.commands.config.config_args import load_config_from_file

from egotwin_model.diffusion.sampler import PURE_NOISE
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.pipeline import BodyState, EgoTwinPipeline, SamplingDefaults
from egotwin_model.egotwin.transformer import EgoTwinTransformer
from egotwin_model.egotwin.variants import VARIANTS
from egotwin_model.errors import ModelError
from egotwin_model.geometry.skeleton import XSENS_JOINTS
from egotwin_model.io.files import sha256
from egotwin_model.io.store import WEIGHTS, load_tensors, save_tensors
from egotwin_model.motion.head_centric import HeadCentric
from training.datasets.clips.dataset import open_clips
from training.export import unpack
from training.export.command import export, trained_networks, training_details
from training.simulator.clip_maker import ClipOptions
from training.simulator.generate import generate
from training.stages import curves
from training.stages.adapters import add_adapters, merged
from training.stages.building import RunPaths, build
from training.stages.command import main
from training.stages.curves import read_curves
from training.stages.diffusion import DiffusionStage, draw_timesteps
from training.stages.encoding import LatentClips
from training.stages.motion import MotionVAEStage
from training.stages.random_streams import RandomStreams
from training.stages.recipes import RECIPES, STAGES, DiffusionRecipe
from training.stages.run_folder import diffusion_folder
from training.stages.trainer import train

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    for split, clips in (("train", 6), ("val", 3)):
        options = ClipOptions(size=64, past_s=2.0, keyframe_depth=True)
        generate(folder / split, split, clips, seed=0, size=64, workers=1, options=options)
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


def test_a_stage_that_was_stopped_is_not_built_upon(
    runs: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "runs"
    shutil.copytree(runs, folder)
    shutil.rmtree(folder / "joint")
    longer = ["--config", "smoke", "--data", str(data), "--runs", str(folder), "--train.steps", "4"]
    whole = MotionVAEStage.loss

    def interrupted(self: MotionVAEStage, *given: Any) -> dict[str, Tensor]:
        signal.raise_signal(signal.SIGTERM)
        return whole(self, *given)

    monkeypatch.setattr(MotionVAEStage, "loss", interrupted)
    assert main(["motion-vae", *longer]) == 130
    assert "motion-vae was stopped at step 3 of 4; the same command resumes" in capsys.readouterr().out
    assert main(["joint", *longer]) == 1
    assert "stopped at step 3 of 4; run `egotwin train motion-vae` again, to its end" in capsys.readouterr().out
    assert not (folder / "joint").exists()


def test_the_exported_model_imagines_from_an_unseen_clip(runs: Path, data: Path, tmp_path: Path) -> None:
    folder = export(
        trained_networks(runs), tmp_path / "model", "egotwin-smoke", SamplingDefaults(num_steps=2), {}, graphs=False
    )
    pipeline, clips = EgoTwinPipeline.from_pretrained(folder, runtime="torch"), open_clips(data / "val")
    pose = BodyState(clips.tensor("positions", 0)[0], clips.tensor("rotations", 0)[0])
    found = pipeline(str(clips.records[0]["text"]), clips.tensor("frames", 0)[0], pose, seed=0)
    assert found.frames.shape == (1, 41, 64, 64, 3)
    assert found.motion.positions.shape == (1, 81, 23, 3)


def test_a_shipped_model_is_unpacked_and_trained_further(
    runs: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = export(trained_networks(runs), tmp_path / "model", "smoke", SamplingDefaults(), {}, graphs=False)
    further = tmp_path / "further"
    assert unpack.main(["--model", str(model), "--runs", str(further)]) == 0
    starts = {"video-codec": "video-codec", "motion-decoder": "motion-vae", "joint": "text-to-motion"}
    for stage, start in starts.items():
        before, after = load_tensors(runs / stage / WEIGHTS), load_tensors(further / start / WEIGHTS)
        assert before.keys() == after.keys()
        for name, value in before.items():
            torch.testing.assert_close(after[name], value.half().float(), rtol=0, atol=0)
    assert main(["joint", "--config", "smoke", "--data", str(data), "--runs", str(further)]) == 0
    assert trained_networks(further).motion_scale == trained_networks(runs).motion_scale  # not measured again
    assert unpack.main(["--model", str(model), "--runs", str(further)]) == 1
    assert "further is not empty; name a new folder" in capsys.readouterr().out
    (model / "statistics.safetensors").write_bytes(b"other")
    assert unpack.main(["--model", str(model), "--runs", str(tmp_path / "none")]) == 1
    assert "statistics.safetensors was altered" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


def test_the_decoder_is_trained_further_and_the_latents_stay(runs: Path, data: Path, tmp_path: Path) -> None:
    whole, further = (load_tensors(runs / stage / WEIGHTS) for stage in ("motion-vae", "motion-decoder"))
    changed = {name for name, tensor in whole.items() if not torch.equal(tensor, further[name])}
    assert changed
    assert all(name.startswith("decoder.") for name in changed)
    statistics = [(runs / stage / "statistics.safetensors").read_bytes() for stage in ("motion-vae", "motion-decoder")]
    assert statistics[0] == statistics[1]
    last = json.loads((runs / "motion-decoder/metrics.jsonl").read_text().splitlines()[-1])
    assert {"off_cm", "step_cm", "foot_cm", "val_foot_step_error_cm"} <= last.keys()
    shipped = trained_networks(runs).motion_vae
    assert shipped is not None
    assert torch.equal(shipped.state_dict()[min(changed)], further[min(changed)])

    folder = tmp_path / "runs"  # stage 1 is trained again, and the decoder was trained on other latents
    shutil.copytree(runs, folder)
    shutil.rmtree(folder / "motion-vae")
    again = ["motion-vae", "--config", "smoke", "--data", str(data), "--runs", str(folder), "--train.seed", "1"]
    assert main(again) == 0
    with pytest.raises(ModelError, match="motion-decoder started from another motion VAE than"):
        trained_networks(folder)


def test_steps_are_compared_where_feet_stand(runs: Path, data: Path, tmp_path: Path) -> None:
    recipe = RECIPES["smoke"]["motion-decoder"]
    stage = build(recipe, RunPaths(data, runs), tmp_path)
    assert isinstance(stage, MotionVAEStage)
    features = stage.batch(torch.arange(2), RandomStreams(0, 0, range(2)))["features"]

    class Swinging(torch.nn.Module):
        """Gives back what came, with the left toe 1 cm further to the side in every other pose."""

        def forward(self, features: torch.Tensor, *_: object) -> tuple[torch.Tensor, torch.Tensor]:
            found = stage.statistics.denormalise(features).clone()
            toe = [name for name in XSENS_JOINTS if name != "Head"].index("L_Toe")
            first = HeadCentric().slices["j_p"].start + 3 * toe + 1
            found[:, ::2, first] += 0.01
            return stage.statistics.normalise(found), torch.zeros(2, 128, 21)

    terms = stage.loss(Swinging(), {"features": features}, RandomStreams(0, 0, range(2)))
    assert float(terms["off_cm"]) == pytest.approx(41 / 81 / 23, rel=1e-3)  # in 41 of 81 poses, one of 23 joints
    assert float(terms["foot_cm"]) == pytest.approx(1.0 / 4, rel=1e-3)  # one of four joints of the feet
    assert float(terms["gaze_cm"]) == pytest.approx(0.0, abs=0.01)
    assert float(terms["step_cm"]) == pytest.approx(1.0 / 23, rel=1e-3)


def test_the_manifest_has_recipes_and_clips(runs: Path, tmp_path: Path) -> None:
    details = training_details(runs)
    assert list(details["stages"]) == list(STAGES)
    assert details["stages"]["joint"]["recipe"] == json.loads((runs / "joint/recipe.json").read_text())
    assert (details["clips"]["finished"], details["clips"]["seed"]) == (6, 0)
    assert details["clips"]["camera"]["fx"] == 32.0
    shutil.copytree(runs, tmp_path / "runs")
    (tmp_path / "runs/joint/clips.json").unlink()
    with pytest.raises(ModelError, match=r"has no clips\.json, the record of its clips; run .* joint` again"):
        training_details(tmp_path / "runs")


def test_sheets_show_the_output_of_each_stage(runs: Path, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    shutil.copytree(runs, folder)
    for stage in STAGES:
        shutil.rmtree(folder / stage / "checkpoint")
        arguments = [stage, "--config", "smoke", "--data", str(data), "--runs", str(folder), "--train.sheet-every", "1"]
        assert main(arguments) == 0
        sheets = sorted((folder / stage / "sheets").iterdir())
        assert [sheet.name for sheet in sheets] == ["step-0000001.png", "step-0000002.png"]
        image = cv2.imread(str(sheets[-1]))
        assert min(image.shape[:2]) > 200
        assert image.std() > 10


@pytest.mark.parametrize("row", VARIANTS[1:])
def test_every_row_of_the_papers_tables_trains(runs: Path, data: Path, tmp_path: Path, row: str) -> None:
    """Each ablation and baseline runs the stages it has, beside the others, and learns its own weights."""
    folder, name = tmp_path / "runs", f"smoke/{row}"
    shutil.copytree(runs, folder)
    stages = [stage for stage in STAGES if stage in RECIPES[name]]
    for stage in stages:
        assert main([stage, "--config", name, "--data", str(data), "--runs", str(folder)]) == 0, stage
    last = RECIPES[name][stages[-1]]
    assert isinstance(last, DiffusionRecipe)
    weights = diffusion_folder(folder, row, stages[-1])
    names = load_tensors(weights / WEIGHTS).keys()
    assert any("motion" in tensor for tensor in names) == (row not in ("video-only", "camera"))
    metrics = json.loads((weights / "metrics.jsonl").read_text().splitlines()[-1])
    assert ("val_video" in metrics) == (row != "motion-only")
    assert ("val_video_given_prior" in metrics) == (row == "geometry")
    model = export(trained_networks(folder, row), tmp_path / "model", row, SamplingDefaults(2), {}, graphs=False)
    clips, pipeline = open_clips(data / "val"), EgoTwinPipeline.from_pretrained(model, runtime="torch")
    if row not in ("camera", "video-only"):
        pose = BodyState(clips.tensor("positions", 0)[0], clips.tensor("rotations", 0)[0])
        mode = "motion" if row == "motion-only" else "joint"
        found = pipeline("turn left", clips.tensor("frames", 0)[0], pose, mode=mode, seed=0)
        assert np.isfinite(found.motion.head_positions).all()
        assert found.frames.shape[1] == (0 if row == "motion-only" else 41)
    assert (folder / "joint" / WEIGHTS).read_bytes() == (runs / "joint" / WEIGHTS).read_bytes()
    assert (folder / "motion-vae-root-centric").is_dir() == (row in ("vidmld", "without-reformulation"))


def test_curves_show_every_stage(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert set(read_curves(runs)) == set(STAGES)
    assert read_curves(runs)["joint"]["video"][0][0] == 2
    row = tmp_path / "runs/variants/vidmld/joint"
    shutil.copytree(runs / "joint", row)
    assert set(read_curves(tmp_path / "runs", every=True)) == {"variants/vidmld/joint"}
    assert curves.main(["--runs", str(runs), "--out", str(tmp_path / "training.png")]) == 0
    assert cv2.imread(str(tmp_path / "training.png")).std() > 5
    assert curves.main(["--runs", str(tmp_path / "nothing"), "--out", str(tmp_path / "x.png")]) == 1
    assert "holds no metrics.jsonl" in capsys.readouterr().out


def test_adapters_learn_and_are_merged(runs: Path, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    shutil.copytree(runs, folder, ignore=shutil.ignore_patterns("joint"))
    start = folder / "text-to-motion" / WEIGHTS
    torch.manual_seed(0)  # a network that does something: AdaLN's gates start at zero and stay there when frozen
    save_tensors(start, {name: value + 0.05 * torch.randn_like(value) for name, value in load_tensors(start).items()})
    arguments = ["joint", "--config", "smoke", "--data", str(data), "--runs", str(folder), "--adapter-rank", "2"]
    assert main(arguments) == 0
    before, after = load_tensors(start), load_tensors(folder / "joint" / WEIGHTS)
    assert before.keys() == after.keys()  # names without adapters
    change = {name: (after[name] - before[name]).abs().max() for name in before}
    assert change["transformer_blocks.0.attn1.to_q.weight"] > 0
    update = after["transformer_blocks.0.ff.net.0.proj.weight"] - before["transformer_blocks.0.ff.net.0.proj.weight"]
    assert torch.linalg.matrix_rank(update, rtol=1e-3) == 2
    assert change["transformer_blocks.0.motion.attn1.to_q.weight"] > 0
    assert change["proj_out.weight"] == change["patch_embed.proj.weight"] == 0
    assert main([*arguments, "--train.steps", "3"]) == 0  # resumes from the adapters, not from merged weights
    shutil.rmtree(folder / "joint")
    assert main([*arguments, "--train.ema-decay", "0"]) == 0  # as the paper's size is trained
    assert load_tensors(folder / "joint" / WEIGHTS).keys() == before.keys()


def test_merged_adapters_compute_what_adapters_do() -> None:
    torch.manual_seed(0)
    config = EgoTwinConfig.smoke()
    adapted, plain = EgoTwinTransformer(config), EgoTwinTransformer(config)
    add_adapters(adapted, rank=2)
    for parameter in adapted.parameters():  # zero-initialised gates and outputs would hide everything
        torch.nn.init.normal_(parameter, std=0.1)
    plain.load_state_dict(merged(adapted.state_dict()))
    c, t = config, torch.tensor([500])
    video = torch.randn(1, c.latent_frames, c.latent_channels, c.latent_height, c.latent_width)
    motion, text = torch.randn(1, c.motion_channels, c.motion_length), torch.randn(1, c.text_length, c.text_dim)
    with torch.no_grad():
        wanted, found = (m(text, video, motion, t, t, video[:, 0], motion[..., 0]) for m in (adapted, plain))
    for name, one, other in zip(("video", "motion"), wanted, found, strict=True):
        assert one.std() > 0.1
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-4, msg=name)


def test_stages_out_of_order_and_missing_data_are_named(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["joint", "--config", "smoke", "--data", str(data), "--runs", str(tmp_path)]) == 1
    assert "run `egotwin train video-codec` first" in capsys.readouterr().out
    assert main(["video-codec", "--config", "smoke", "--data", str(tmp_path), "--runs", str(tmp_path)]) == 1
    assert "manifest.json is missing" in capsys.readouterr().out
    assert main(["joint", "--config", "smoke/motion-only", "--data", str(data), "--runs", str(tmp_path)]) == 1
    assert "configuration smoke/motion-only has no stage joint" in capsys.readouterr().out


Spoil = Callable[[Path, Path], None]  # given copies of the data and the runs folder


def other_clips(data: Path, runs: Path) -> None:
    shutil.rmtree(data / "train")
    shutil.copytree(data / "val", data / "train")


def other_goals(data: Path, runs: Path) -> None:
    path = data / "train/clips-00000.json"
    path.write_text(path.read_text().replace('"text":"', '"text":"now ', 1))
    manifest = data / "train/manifest.json"
    made = json.loads(manifest.read_text())
    made["shards"]["clips-00000"]["records_sha256"] = sha256(path)
    manifest.write_text(json.dumps(made))


def one_shard_gone(data: Path, runs: Path) -> None:
    next((data / "train").glob("*.safetensors")).unlink()


def latents_altered(data: Path, runs: Path) -> None:
    path = next((runs / "latents/video/train").glob("*.safetensors"))
    content = bytearray(path.read_bytes())
    content[-5] ^= 64
    path.write_bytes(content)


def text_states_gone(data: Path, runs: Path) -> None:
    next((runs / "latents/text/val").glob("*.safetensors")).unlink()


def codec_for_motion_vae(data: Path, runs: Path) -> None:
    shutil.rmtree(runs / "motion-vae")
    shutil.copytree(runs / "video-codec", runs / "motion-vae")


def stage_2_of_another_model(data: Path, runs: Path) -> None:
    shutil.rmtree(runs / "joint")
    path = runs / "text-to-motion/config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "interaction": False}))


def started_otherwise(data: Path, runs: Path) -> None:
    path = runs / "joint/recipe.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "text_dropout": 0.5}))


def truncated_checkpoint(data: Path, runs: Path) -> None:
    path = runs / "joint/checkpoint/model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (other_clips, r"joint was started on other clips: .*finished is 3, was 6"),
        (other_goals, r"joint was started on other clips: goals_sha256 is "),
        (one_shard_gone, r"clips-00000\.safetensors cannot be read"),
        (latents_altered, r"latents/video/train/clips-00000\.safetensors is damaged or altered"),
        (text_states_gone, r"latents/text/val/texts-00000\.safetensors is missing"),
        (codec_for_motion_vae, r"motion-vae holds a CausalVideoVAE, wanted the output of `egotwin train motion-vae`"),
        (stage_2_of_another_model, r"another configuration: interaction is True, was False"),
        (started_otherwise, r"joint was started in another configuration: text_dropout is 0\.1, was 0\.5"),
        (truncated_checkpoint, r"checkpoint/model\.safetensors is not a whole safetensors file"),
    ],
)
def test_what_cannot_resume_is_named_before_the_first_step(
    runs: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Spoil, message: str
) -> None:
    shutil.copytree(runs, tmp_path / "runs")
    shutil.copytree(data, tmp_path / "data")
    spoil(tmp_path / "data", tmp_path / "runs")
    before = contents(tmp_path / "runs/joint")
    arguments = ["joint", "--config", "smoke", "--data", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")]
    assert main([*arguments, "--train.steps", "4"]) == 1
    assert re.search(message, capsys.readouterr().out)
    assert contents(tmp_path / "runs/joint") == before  # nothing was overwritten before it was refused


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file below `folder`."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_another_data_set_does_not_replace_the_statistics(
    runs: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs, tmp_path / "runs")
    shutil.copytree(data, tmp_path / "data")
    other_clips(tmp_path / "data", tmp_path / "runs")
    before = contents(tmp_path / "runs/motion-vae")
    arguments = ["--config", "smoke", "--data", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")]
    assert main(["motion-vae", *arguments]) == 1
    assert "motion-vae was started on other clips" in capsys.readouterr().out
    assert contents(tmp_path / "runs/motion-vae") == before


def test_the_decoder_is_not_trained_on_motion_that_its_encoder_does_not_know(
    runs: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs, tmp_path / "runs", ignore=shutil.ignore_patterns("motion-decoder"))
    path = tmp_path / "runs/motion-vae/statistics.safetensors"
    save_tensors(path, {name: 3.0 * tensor for name, tensor in load_tensors(path).items()})
    arguments = ["--config", "smoke", "--data", str(data), "--runs", str(tmp_path / "runs")]
    assert main(["motion-decoder", *arguments]) == 1
    assert "has other statistics than" in capsys.readouterr().out


def test_a_full_disk_is_named_and_the_run_resumes(
    runs: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files that cannot grow stand for the disk: the same kind of error, from the same calls."""
    shutil.copytree(runs, tmp_path / "runs", ignore=shutil.ignore_patterns("joint"))
    arguments = ["joint", "--config", "smoke", "--data", str(data), "--runs", str(tmp_path / "runs")]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        assert main(arguments) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "egotwin train: the disk is full" in capsys.readouterr().out
    assert main(arguments) == 0


def test_a_frozen_branch_needs_weights_to_be_frozen(
    runs: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs, tmp_path / "runs", ignore=shutil.ignore_patterns("text-to-motion"))
    arguments = ["--config", "smoke", "--data", str(data), "--runs", str(tmp_path / "runs"), "--freeze-text"]
    assert main(["text-to-motion", *arguments]) == 1
    assert "freeze_text and adapter_rank need pretrained weights" in capsys.readouterr().out


@pytest.mark.parametrize("name", STAGES)
def test_each_stage_resumes_to_the_bit(runs: Path, data: Path, tmp_path: Path, name: str) -> None:
    """A run that lost power in its third step and was started again, beside one that did not."""
    recipe = RECIPES["smoke"][name]
    config = replace(recipe.train, steps=4, save_every=2, validate_every=4)

    def trained(folder: Path, dies_at: int | None = None) -> None:
        places = RunPaths(data, folder)
        stage = build(recipe, places, folder / name)
        loss, calls = stage.loss, iter(range(100))

        def dying(*arguments: Any) -> Any:
            if next(calls) == dies_at:
                raise KeyboardInterrupt
            return loss(*arguments)

        stage.loss = dying  # type: ignore[method-assign]
        train(stage, config, folder / name)

    for folder in (tmp_path / "whole", tmp_path / "broken"):
        shutil.copytree(runs, folder, ignore=shutil.ignore_patterns(name))
    trained(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "broken", dies_at=2)
    trained(tmp_path / "broken")
    for file in (WEIGHTS, "checkpoint/model.safetensors", "checkpoint/optimizer-0.safetensors"):
        whole, broken = (load_tensors(tmp_path / run / name / file) for run in ("whole", "broken"))
        assert whole.keys() == broken.keys()
        assert all(torch.equal(whole[key], broken[key]) for key in whole), file


def test_a_tenth_of_the_texts_is_dropped() -> None:
    recipe = RECIPES["smoke"]["joint"]
    assert isinstance(recipe, DiffusionRecipe)
    c, count = recipe.model, 4000
    texts = torch.stack([torch.zeros(c.text_length, 1), torch.ones(c.text_length, 1)]).half()
    clips = LatentClips(texts, torch.ones(count, dtype=torch.long), motion=torch.zeros(count, 1, 1))
    stage = DiffusionStage(recipe, clips, clips)
    given = stage.batch(torch.arange(count), RandomStreams(0, 0, range(count)))["text"]
    assert (given.amax(dim=(1, 2)) == 0).float().mean() == pytest.approx(recipe.text_dropout, abs=0.02)


def test_help_lists_every_field_of_a_recipe(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["joint", "--config", "paper", "--data", str(data), "--", "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    for option in ("--train.learning-rate", "--model.num-motion-layers", "--schedule.spacing", "--adapter-rank"):
        assert option in text


def test_timesteps_follow_the_recipes_shares() -> None:
    """`mini-64`: 40 % of motions given clean, half of the videos in the noisiest quarter; `mini`: more of both, since
    there motion leads; `smoke`: uniform t_v."""
    streams = RandomStreams(0, 0, range(20_000))
    for name, clean, noisiest in (("mini-64", 0.4, 0.5), ("mini", 0.45, 0.6), ("smoke", 0.1, 0.25)):
        recipe = RECIPES[name]["joint"]
        assert isinstance(recipe, DiffusionRecipe)
        t_video, t_motion = draw_timesteps(recipe, streams)
        assert (t_motion == 0).float().mean() == pytest.approx(clean, abs=0.02)
        assert (t_video >= 750).float().mean() == pytest.approx(noisiest, abs=0.04)
        assert t_video.min() == 0
        assert t_video.max() == PURE_NOISE
        free = (t_video > 0) & (t_video < PURE_NOISE) & (t_motion > 0) & (t_motion < PURE_NOISE)
        pair = torch.stack([t_video[free], t_motion[free]]).float()
        assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.03  # independent (Section 3.3)
    tied = replace(recipe, model=replace(recipe.model, asynchronous=False))
    assert torch.equal(*draw_timesteps(tied, streams))


FSDP = {  # as in examples/slurm/train_paper.sbatch
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_TRANSFORMER_CLS_TO_WRAP": "Block",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("sharded", [False, True], ids=["ddp", "fsdp"])
def test_two_processes_train_what_one_does(runs: Path, data: Path, tmp_path: Path, sharded: bool) -> None:
    """The same batch, shared by two processes over gloo, gives the same weights; also where parameters are sharded over
    them, and where one process resumes what two have saved."""
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        shutil.copytree(runs, folder, ignore=shutil.ignore_patterns("joint"))
    arguments = ["joint", "--config", "smoke", "--data", str(data), "--train.learning-rate", "1e-4"]
    if sharded:
        arguments += ["--train.ema-decay", "0", "--train.gradient-checkpointing"]
    assert main([*arguments, "--runs", str(one)]) == 0
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = [str(Path(__file__).with_name("fsdp_on_cpu.py"))] if sharded else ["-m", "training.stages.command"]
    done = subprocess.run(
        [*launcher, *script, *arguments, "--runs", str(two)],
        env={**os.environ, **(FSDP if sharded else {}), "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1",
             "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=850,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert ("FSDPEgoTwinTransformer" in done.stderr) == sharded
    before = load_tensors(runs / "text-to-motion" / WEIGHTS)
    for more in ([], ["--train.steps", "3"]):
        if more:
            assert all(main([*arguments, *more, "--runs", str(folder)]) == 0 for folder in (one, two))
        alone, shared = (load_tensors(folder / "joint" / WEIGHTS) for folder in (one, two))
        assert any((alone[name] - before[name]).abs().max() > 5e-5 for name in before)
        for name, value in alone.items():
            torch.testing.assert_close(shared[name], value, rtol=0, atol=1e-5, msg=name)


def test_accelerates_file_and_the_slurm_script_ask_for_the_same() -> None:
    config = load_config_from_file(str(ROOT / "config/accelerate/fsdp.yaml"))
    assert config.distributed_type == "FSDP"
    names = {key.removeprefix("FSDP_"): value for key, value in FSDP.items() if key.startswith("FSDP_")}
    names["TRANSFORMER_LAYER_CLS_TO_WRAP"] = names.pop("TRANSFORMER_CLS_TO_WRAP")
    asked = {key.upper().removeprefix("FSDP_"): str(value) for key, value in config.fsdp_config.items()}
    assert {key: asked[key].lower() for key in names} == {key: value.lower() for key, value in names.items()}
    script = (ROOT / "examples/slurm/train_paper.sbatch").read_text()
    assert all(f"{key}={value}" in script for key, value in FSDP.items())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_slurm_script_starts_every_rank(runs: Path, data: Path, tmp_path: Path) -> None:
    """The script itself; programs in the place of Slurm's run one process as Slurm would run each of many."""
    shutil.copytree(runs, tmp_path / "runs", ignore=shutil.ignore_patterns("joint"))
    programs = {
        "scontrol": "#!/bin/sh\necho localhost\n",
        "srun": '#!/bin/sh\nexport SLURM_PROCID=0 SLURM_LOCALID=0\nexec "$@"\n',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    settings = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "STAGE": "joint", "CONFIG": "smoke", "DATA": str(data),
        "RUNS": str(tmp_path / "runs"),
        "OPTIONS": "--train.ema-decay 0 --train.precision bf16 --train.gradient-accumulation 2",
        "PYTHON": sys.executable, "SLURM_JOB_NODELIST": "localhost", "SLURM_NTASKS": "1", "MASTER_PORT": "0",
        "ACCELERATE_USE_CPU": "true", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    script = ROOT / "examples/slurm/train_paper.sbatch"
    done = subprocess.run(
        ["bash", script], env={**os.environ, **settings}, cwd=ROOT, capture_output=True, text=True, timeout=850
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "runs/joint" / WEIGHTS).is_file()
