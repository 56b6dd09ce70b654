"""Choosing a model's settings: the rule on given numbers, and the whole command on a small model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ...shared_data import missing_extra

pytest.importorskip("tyro", reason=missing_extra("train"))

from egotwin_model.diffusion.sampler import Guidance
from egotwin_model.egotwin.pipeline import EgoTwinPipeline, SamplingDefaults
from training.evaluation import tune
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.tune import Row, Setting, Tuning, score
from training.export.command import export, random_networks

from ..evaluation_data import write_data


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), {"train": 2, "val": 5, "test": 2}, size=64)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    defaults = SamplingDefaults(num_steps=1, guidance=Guidance(1.0, 1.0, 1.0))
    folder = tmp_path_factory.mktemp("models") / "smoke"
    return export(random_networks("smoke"), folder, "smoke", defaults, {"clips": {}}, graphs=False)


def test_the_score_is_obedience_and_agreement_less_the_share_of_the_way_missed() -> None:
    row = {"obeys the text": 0.8, "view turns with the head": 0.5, "head FDE@5s": 0.6}
    assert score(row, still_m=2.0) == pytest.approx(0.8 + 0.5 - 0.3)
    assert score({**row, "view turns with the head": float("nan")}, 2.0) == pytest.approx(0.8 - 0.3)


@pytest.mark.parametrize(
    ("text", "other", "whole"), [(1.0, 1.0, 1.0), (1.5, 1.5, 2.5), (1.5, 1.0, 4.0), (2.0, 1.5, 4.0), (1.0, 2.0, 2.5)]
)
def test_a_steps_cost_is_what_the_sampler_evaluates(text: float, other: float, whole: float) -> None:
    assert Setting(3, text, other).cost == 3 * whole


def test_of_equally_good_settings_the_cheapest_is_taken(
    data: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = {3: 0.5, 4: 0.895, 6: 0.9, 8: 0.9, 12: 0.902}
    tuning = Tuning(EgoTwinPipeline.from_pretrained(model, "torch"), Benchmark(data, 2, "val"))

    def measured(setting: Setting) -> Row:
        return {"score": scores[setting.num_steps] - abs(setting.text - 1.5) - abs(setting.other - 2.0)}

    monkeypatch.setattr(tuning, "_measured", measured)
    assert tuning.choose() == Setting(4, 1.5, 2.0)


def test_guidance_is_chosen_again_with_the_steps_and_none_is_kept_that_gains_nothing(
    data: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning = Tuning(EgoTwinPipeline.from_pretrained(model, "torch"), Benchmark(data, 2, "val"))
    best = {Setting(6, 1.0, 3.0): 0.6, Setting(3, 1.0, 3.0): 0.7, Setting(3, 1.0, 2.0): 0.695}
    monkeypatch.setattr(tuning, "_measured", lambda setting: {"score": best.get(setting, 0.5)})
    assert tuning.choose() == Setting(3, 1.0, 2.0)


def test_the_choice_becomes_the_models_own_and_the_test_split_is_not_read(
    data: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tune, "GUIDANCE", ((1.0, 1.0), (2.0, 1.5)))
    monkeypatch.setattr(tune, "STEPS", (1, 2))
    (data / "test").rename(data / "hidden")
    command = ["--model", str(model), "--data", str(data), "--clips", "3", "--runtime", "torch"]
    assert tune.main(command) == 0
    assert json.loads((model / "model_index.json").read_text())["sampling"]["num_steps"] == 1  # not asked to keep it
    assert tune.main([*command, "--record"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("← chosen" in line for line in lines) == 2
    kept = json.loads((model / "manifest.json").read_text())["tuning"]
    assert (kept["split"], kept["clips"]) == ("val", 3)
    assert len(kept["measured"]) == 5  # two of guidance at six steps, two of steps, the other guidance with those
    assert kept["chosen"]["num_steps"] in (1, 2)
    defaults = EgoTwinPipeline.from_pretrained(model, "torch").defaults  # its checksums hold
    assert defaults.num_steps == kept["chosen"]["num_steps"]
    assert defaults.guidance.text == kept["chosen"]["text"]


def test_too_few_clips_are_named(data: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune.main(["--model", str(model), "--data", str(data), "--clips", "9", "--runtime", "torch"]) == 1
    assert "9 val clips asked for" in capsys.readouterr().out
