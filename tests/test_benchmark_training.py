"""The training benchmark at a size that runs in seconds, and the costs it counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .shared_data import missing_extra

pytest.importorskip("accelerate", reason=missing_extra("train"))
pytest.importorskip("diffusers", reason=missing_extra("train"))

from benchmarks import training, training_costs
from egotwin_model.egotwin.flops import evaluation_flops
from training.stages.recipes import RECIPES, DiffusionRecipe


@pytest.mark.parametrize(
    ("stage", "config"),
    [
        *((stage, "smoke") for stage in ("video-codec", "motion-vae", "motion-decoder", "joint")),
        ("joint", "smoke/geometry"),
    ],
)
def test_a_worker_measures_a_real_stage(stage: str, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    training.main(["--config", config, "--work", stage, "--steps", "2", "--warmup", "1", "--device", "cpu"])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["batch"] == 2
    assert found["clips_per_s"] > 0
    assert 0 <= found["data_wait"] <= 1
    rate = found["utilisation"] * found["peak_flops"]
    assert rate == pytest.approx(found["flops_per_clip"] * found["clips_per_s"])


def test_a_step_costs_three_forward_passes_and_less_where_weights_stay() -> None:
    joint, stage_2 = RECIPES["paper"]["joint"], RECIPES["paper"]["text-to-motion"]
    assert isinstance(joint, DiffusionRecipe)
    assert isinstance(stage_2, DiffusionRecipe)
    size = training_costs.frame_size("paper")
    assert size == 480
    forward = sum(evaluation_flops(joint.model).values())
    assert training_costs.training_flops(joint, size) == 3 * forward
    without_video = sum(evaluation_flops(stage_2.model, video=False).values())
    assert 2 * without_video < training_costs.training_flops(stage_2, size) < 3 * without_video


def test_costs_are_clips_times_operations_over_what_a_device_does(capsys: pytest.CaptureFixture[str]) -> None:
    rows = training_costs.costs("mini-128", utilisation=0.5, peak_tflops=100.0, clips=1000)
    assert [row[0] for row in rows] == list(RECIPES["mini-128"])
    cost = {stage: tflops for stage, _, tflops, _ in rows}
    assert cost["motion-vae"] / 3 < cost["motion-decoder"] < cost["motion-vae"]  # its encoder learns nothing
    stage, seen, tflops, hours = rows[-1]
    assert (stage, seen) == ("joint", 40_000 * 256)
    assert hours == pytest.approx(seen * tflops / 50.0 / 3600)
    training_costs.main(["--config", "mini-128"])
    assert "GPU-hours in all" in capsys.readouterr().out


def test_the_costs_in_the_docs_are_those_printed(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[1] / "docs/training.md").read_text(encoding="utf-8")
    training_costs.main([])
    _, *printed = capsys.readouterr().out.strip().splitlines()
    rows = [line for line in printed if line.count("  ") > 2]
    assert len(rows) == 6
    assert all(row in page for row in rows), "run python -m benchmarks.training_costs"


def test_an_unknown_stage_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        training.main(["--config", "paper", "--stages", "video-codec"])
    assert "paper has no stage video-codec" in capsys.readouterr().err
