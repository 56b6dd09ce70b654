"""The paper's three commands and export at narrow width, from CogVideoX's folder as users have it on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ...shared_data import missing_extra

pytest.importorskip("diffusers", reason=missing_extra("train"))
pytest.importorskip("tyro", reason=missing_extra("train"))

from egotwin_model.diffusion.attention import merge as attention_merge
from egotwin_model.egotwin.pipeline import BodyState, EgoTwinPipeline
from egotwin_model.io.store import WEIGHTS, load_tensors
from egotwin_model.io.weights import Weights
from training.datasets.clips.dataset import open_clips
from training.export import command as export
from training.stages.command import main

from ...egotwin_model.conftest import write_cogvideox
from .test_encoding import write_clips

FEW = ["--train.steps", "2", "--train.batch-size", "2", "--train.precision", "no", "--train.tracker", "none"]
MOTION_VAE = ["--model.widths", "16", "32", "32", "64", "--model.norm-groups", "4", "--model.latent-dim", "16"]
TRANSFORMER = {
    "num-layers": 3, "num-motion-layers": 2, "num-heads": 2, "time-embed-dim": 32, "text-dim": 48, "text-length": 12,
    "latent-channels": 4, "latent-height": 8, "latent-width": 8, "motion-width": 32, "motion-channels": 16,
}  # fmt: skip
NARROW = [word for name, value in TRANSFORMER.items() for word in (f"--model.{name}", str(value))]
NARROW += ["--model.position-origin", "0", "1"]


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cogvideox(tmp_path_factory.mktemp("cogvideox"), frames=41)


@pytest.fixture
def data(tmp_path: Path, wearer: Callable[..., Any]) -> Path:
    for split in ("train", "val"):
        write_clips(tmp_path / "data" / split, wearer)
    return tmp_path / "data"


def test_three_commands_and_export_make_a_model_that_imagines(
    pretrained: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    places = ["--config", "paper", "--data", str(data), "--runs", str(runs)]
    attention_merge._proven.cache_clear()  # kernels are tried inside the first block that is computed again
    started = [*places, "--pretrained", str(pretrained)]
    assert main(["motion-vae", *places, *FEW, *MOTION_VAE]) == 0
    assert main(["text-to-motion", *started, *FEW, *NARROW]) == 0
    stored, stage_2 = Weights(pretrained / "transformer"), load_tensors(runs / "text-to-motion" / WEIGHTS)
    frozen = dict(stored.stream(stored.shapes.keys() - {"patch_embed.pos_embedding"}))
    assert all(torch.equal(stage_2[name], value) for name, value in frozen.items())  # stage 2 leaves the text branch
    assert main(["joint", *started, *FEW, *NARROW]) == 0
    stage_3 = load_tensors(runs / "joint" / WEIGHTS)
    assert any(not torch.equal(stage_3[name], stage_2[name]) for name in frozen)  # stage 3 trains all

    out = tmp_path / "model"
    words = ["--runs", str(runs), "--out", str(out), "--name", "narrow-paper"]
    assert export.main(words) == 1
    assert "name CogVideoX-5b-I2V's folder by --pretrained" in capsys.readouterr().out
    assert export.main([*words, "--pretrained", str(pretrained), "--num-steps", "2", "--guidance", "6", "4", "4"]) == 0
    shipped = load_tensors(out / "transformer" / WEIGHTS)
    assert all(value.dtype == torch.bfloat16 for value in shipped.values())
    assert all(torch.equal(shipped[name], value.bfloat16()) for name, value in stage_3.items())
    for part in ("vae/config.json", "text_encoder/config.json", "tokenizer/spiece.model"):
        copy = out / part.replace("vae/", "video_vae/").replace("tokenizer/", "text_encoder/")
        assert copy.read_bytes() == (pretrained / part).read_bytes()

    clips, pipeline = open_clips(data / "val"), EgoTwinPipeline.from_pretrained(out)
    pose = BodyState(clips.tensor("positions", 0)[0], clips.tensor("rotations", 0)[0])
    found = pipeline("walk to the door", clips.tensor("frames", 0)[0], pose, seed=0)
    assert found.frames.shape == (1, 41, 64, 64, 3)
    assert np.isfinite(found.motion.positions).all()
    index = json.loads((out / "model_index.json").read_text())
    assert index["sampling"]["guidance"] == {"text": 6.0, "video": 4.0, "motion": 4.0}
    assert index["camera"]["width"] == 64


def test_another_noise_schedule_and_a_foreign_text_encoder_are_named(
    pretrained: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = ["--config", "paper", "--data", str(data), "--runs", str(tmp_path / "runs")]
    assert main(["motion-vae", *places, *FEW, *MOTION_VAE]) == 0
    arguments = ["text-to-motion", *places, *FEW, *NARROW]
    assert main([*arguments, "--pretrained", str(pretrained), "--schedule.snr-shift-scale", "3"]) == 1
    assert "another noise schedule: snr_shift_scale is 3.0, was 1.0" in capsys.readouterr().out
    assert main([*arguments, "--pretrained", str(pretrained), "--model.text-dim", "32"]) == 1
    assert "gives text states of 48 channels, this configuration wants 32" in capsys.readouterr().out
    assert main([*arguments, "--no-freeze-text"]) == 1
    assert "gives text states of 384 channels, this configuration wants 48" in capsys.readouterr().out
