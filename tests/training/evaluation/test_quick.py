"""The short evaluation on small data: an untrained model of the smallest size, and true clips in a model's place."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from ...shared_data import missing_extra

pytest.importorskip("tyro", reason=missing_extra("train"))

from egotwin_model.diffusion.sampler import Guidance
from egotwin_model.egotwin.pipeline import EgoTwinPipeline, SamplingDefaults
from egotwin_model.errors import GoalError, RecordingError
from egotwin_model.motion.representation import BodyMotion
from training.evaluation import command as evaluate
from training.evaluation import quick as short
from training.evaluation.benchmark.start_sheet import write_start_sheet
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.metrics.obedience import KINDS
from training.evaluation.metrics.predicted_clip import Prediction, RealClip
from training.export.command import export, random_networks

from ..evaluation_data import write_data

STARTS = 3


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), {"train": 8, "test": 8}, size=64)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    defaults = SamplingDefaults(num_steps=1, guidance=Guidance(1.0, 1.0, 1.0))
    folder = tmp_path_factory.mktemp("models") / "smoke"
    return export(random_networks("smoke"), folder, "smoke", defaults, {"clips": {}}, graphs=False)


def test_every_figure_is_printed_and_recorded(data: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", str(model), "--data", str(data), "--starts", str(STARTS), "--runtime", "torch", "--record"]
    assert evaluate.main(arguments) == 0
    printed = capsys.readouterr().out
    kept = json.loads((model / "manifest.json").read_text())["metrics"]
    assert kept["starts"] == STARTS
    for group, figures in kept.items():
        if isinstance(figures, dict):
            assert figures, group
            for name, figure in figures.items():
                assert f"{group} {name}: " in printed
                assert figure["clips"] > 0
    own = kept["obedience_own_goal"]
    assert {"everything", "turn", "walk", "stand still"} <= own.keys() <= {"everything", *KINDS}
    assert {figure["true_clips"] for figure in own.values()} == {1.0}
    heads = kept["head_position_error_after_5_s_m"]
    assert heads["constant_velocity"]["value"] < 0.01  # people of this data glide along straight lines
    assert heads["zero_motion"]["value"] > heads["mean_path_of_the_behaviour"]["value"]
    assert kept["view_and_head_either_side"].keys() == set(short.VIEWS.values())
    EgoTwinPipeline.from_pretrained(model, "torch")  # its checksums still hold


def test_true_clips_in_a_models_place_are_perfect(data: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a model that knows the future would get; and one that turns left whatever is asked."""

    def truth(_: object, clip: RealClip, mode: str, *, goal: str = "", samples: int = 1) -> Prediction:
        parts = [np.repeat(np.asarray(part, np.float64)[None], samples, axis=0) for part in vars(clip.motion).values()]
        motion = BodyMotion(*parts)
        aside = 0.5 * np.array([(-1.0) ** sample for sample in range(samples)])
        motion.head_positions[:, :, 0] += aside[:, None] if samples > 1 else 0.0  # half a metre off, but not their mean
        return Prediction(clip.frames, motion)

    monkeypatch.setattr(short, "imagined", truth)
    run = short.QuickEvaluation(EgoTwinPipeline.from_pretrained(model, "torch"), data, STARTS)
    goals = run.own_goals()
    assert {figure["value"] for figure in goals["obedience_own_goal"].values()} == {1.0}
    heads = goals["head_position_error_after_5_s_m"]
    assert heads["model"]["value"] == 0.0
    assert heads["model_mean_of_futures"]["value"] == pytest.approx(0.0, abs=1e-9)
    assert heads["model_mean_of_futures"]["futures"] == short.FUTURES
    assert goals["body"]["floor_penetration"]["value"] == 0.0
    video = run.given_motion()
    assert video["video_from_motion"]["psnr_db_2_to_5_s"]["value"] > 70
    views, true = video["video_from_motion"], video["view_and_head_of_true_clips"]
    assert all(views[key]["value"] == figure["value"] for key, figure in true.items())
    sides = run.either_side()
    turns = [run.benchmark.record(number)["behaviour"] for number in run.order]
    standing = [name for name in turns if name != "walk_forward"][:STARTS]
    for side in ("left", "right"):  # true clips do what truly followed, not what is asked
        expected = standing.count(f"turn_{side}") / STARTS
        assert sides["obedience_either_side"][f"turn_{side}"]["value"] == pytest.approx(expected)
    against = [side for name in standing for side in ("left", "right") if name == f"turn_{side}"]
    figures = sides["view_and_head_against_what_followed"]
    assert figures["correlation_per_frame"]["clips"] == len(against)


def test_what_cannot_be_measured_is_said(data: Path, model: Path, tmp_path: Path) -> None:
    pipeline = EgoTwinPipeline.from_pretrained(model, "torch")
    with pytest.raises(RecordingError, match="9 are wanted"):
        short.QuickEvaluation(pipeline, data, 9).either_side()
    pipeline.has_motion = False
    with pytest.raises(GoalError, match="measure it by --report"):
        short.evaluate(pipeline, data, STARTS)


def test_the_sheet_has_a_row_for_each_of_the_first_clips(data: Path, model: Path, tmp_path: Path) -> None:
    pipeline, drawn = EgoTwinPipeline.from_pretrained(model, "torch"), {}
    for count in (1, 3):
        write_start_sheet(pipeline, Benchmark(data, count), tmp_path / f"{count}.png")
        drawn[count] = cv2.imread(str(tmp_path / f"{count}.png"))
    assert drawn[3].shape[0] == pytest.approx(3 * drawn[1].shape[0], abs=3)
    assert drawn[3].std() > 10
