"""Every row of the paper's tables from one command at the smallest size; gains and verdicts against cases by hand."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from ...shared_data import missing_extra

pytest.importorskip("tyro", reason=missing_extra("train"))

from egotwin_model.io.store import WEIGHTS
from training.evaluation import ablations
from training.evaluation.ablations import VARIANTS
from training.evaluation.benchmark.comparison import gains
from training.evaluation.benchmark.paper_table import NINE, PAPER, TITLES, paper_gain, table, verdict
from training.evaluation.metrics.intervals import Interval

from ..evaluation_data import write_data

ROWS = ("egotwin", "camera", "motion-only")


def test_one_command_trains_measures_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_data(tmp_path / "data", {"train": 6, "val": 3, "test": 4}, size=64)
    runs, report = tmp_path / "runs", tmp_path / "runs" / "ablations" / "report"
    command = ["--data", str(data), "--runs", str(runs), "--config", "smoke", "--steps", "2", "--clips", "4"]
    quick = ["--num-steps", "1", "--no-cameras", "--no-images", "--no-evaluators"]
    assert ablations.main([*command, *quick, "--rows", *ROWS]) == 0
    printed = capsys.readouterr().out
    page = (report / "ablations.md").read_text(encoding="utf-8")
    assert page.strip() in printed
    assert cv2.imread(str(report / "ablations.png")).std() > 10
    kept = json.loads((report / "ablations.json").read_text(encoding="utf-8"))["rows"]
    assert list(kept) == list(ROWS)
    assert {"obeys the text", "head FDE@5s", "PSNR 2–5 s"} <= kept["egotwin"]["metrics"].keys()
    assert "head FDE@5s" not in kept["camera"]["metrics"]
    assert "PSNR 2–5 s" not in kept["motion-only"]["metrics"]
    assert "PSNR 2–5 s" in kept["camera"]["gains of EgoTwin"]
    assert kept["motion-only"]["gains of EgoTwin"].keys() > {"head FDE@5s", "MPJPE"}
    assert kept["camera"]["paper"]["FVD"] == 1263.9
    assert not (runs / "joint").exists()  # a longer training of the same size is not touched
    folder = runs / "ablations"
    steps = {row: json.loads((folder / path / "recipe.json").read_text())["train"]["steps"] for row, path in {
        "egotwin": "joint", "camera": "variants/camera/joint", "motion-only": "variants/motion-only/text-to-motion",
    }.items()}  # fmt: skip
    assert steps == {"egotwin": 2, "camera": 2, "motion-only": 4}
    before = {path: path.stat().st_mtime_ns for path in (*folder.rglob(WEIGHTS), *report.rglob("clip-*.safetensors"))}
    before = {path: at for path, at in before.items() if "models" not in path.parts}
    assert ablations.main([*command, *quick, "--rows", *ROWS]) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (report / "ablations.md").read_text(encoding="utf-8") == page


def test_every_row_has_its_stages_and_the_same_budget(tmp_path: Path) -> None:
    plan = ablations.Plan(tmp_path, tmp_path, "smoke", 5, 3)
    budget = {
        row: {stage: plan.steps_of(row, stage) for stage in plan.recipes(row) if stage in ("text-to-motion", "joint")}
        for row in VARIANTS
    }
    both = {"text-to-motion": 3, "joint": 5}
    assert budget == dict.fromkeys(VARIANTS, both) | {
        "video-only": {"joint": 5}, "camera": {"joint": 5}, "motion-only": {"text-to-motion": 8},
    }  # fmt: skip


def test_a_stopped_codec_is_trained_on_and_a_given_one_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "motion-vae"
    folder.mkdir()
    assert not ablations._stopped(folder)  # of whoever gave it, without a record
    (folder / "recipe.json").write_text(json.dumps({"train": {"steps": 4}}))
    (folder / "metrics.jsonl").write_text('{"step": 2}\n')
    assert ablations._stopped(folder)
    (folder / "metrics.jsonl").write_text('{"step": 2}\n{"step": 4}\n')
    assert not ablations._stopped(folder)


def test_what_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_data(tmp_path / "data", {"train": 2, "val": 2, "test": 2}, size=64)
    assert ablations.main(["--data", str(data), "--config", "tiny", "--steps", "1"]) == 1
    assert "no configuration 'tiny' with all rows; there are mini" in capsys.readouterr().out
    (tmp_path / "data" / "train" / "manifest.json").unlink()
    runs = ["--runs", str(tmp_path / "runs"), "--config", "smoke", "--steps", "1", "--clips", "2"]
    assert ablations.main(["--data", str(data), *runs]) == 1
    assert "video-codec was not trained; see above" in capsys.readouterr().out


def test_gains_are_positive_where_the_model_is_better() -> None:
    rng = np.random.default_rng(0)
    clips, steps = 40, 20
    features, turn = rng.normal(size=(clips, 6)), rng.normal(size=(clips, steps))
    hands = np.repeat(np.array([[[8, 8], [1, 1], [1, 1]]]), clips, axis=0)

    def parts(off: float) -> dict[str, np.ndarray]:
        """Everything `off` from what is best."""
        noise = np.random.default_rng(1).normal(size=features.shape)
        return {
            "video_features": features + off * noise, "motion_features": features + off * noise,
            "motion_text": features, "picture_features": features[:, None] + off * noise[:, None],
            "picture_text": features, "camera_error": np.full((clips, 2), off),
            "obeyed": np.full((clips, 1), 1.0 - 0.1 * off), "head_error": np.full((clips, 1, 9), off),
            "joint_error": np.full((clips, 1, 9), off), "stance_sliding": np.full((clips, 1), off),
            "frame_mse": np.full((clips, 40), 1.0 + off), "view_shift": turn + off * rng.normal(size=turn.shape),
            "head_turn": turn, "hands": hands + np.array([[-1, -1], [1, 1], [0, 0]], np.int64) * int(off),
        }  # fmt: skip

    truth, good, bad = parts(0.0), parts(1.0), parts(3.0)
    found = gains(good, bad, truth, 8.0)
    assert found.keys() == {
        "CLIP-SIM", "R-Precision top-3", "MM-Dist", "TransErr", "RotErr", "obeys the text", "head FDE@5s", "MPJPE",
        "stance sliding", "PSNR 2–5 s", "FVD", "M-FID", "HandScore", "view turns with the head",
    }  # fmt: skip
    back = gains(bad, good, truth, 8.0)
    for name, gain in found.items():
        assert gain.low > 0, name
        assert back[name].value == pytest.approx(-gain.value), name
    assert found["TransErr"].value == pytest.approx(2.0)
    assert found["obeys the text"].value == pytest.approx(0.2)
    assert found["PSNR 2–5 s"].value == pytest.approx(10 * np.log10(4 / 2))
    assert found["HandScore"].value == pytest.approx(14 / 17 - 10 / 15)
    same = gains(good, good, truth, 8.0)
    assert all(gain == (0.0, 0.0, 0.0) for gain in same.values())
    missing = {name: values for name, values in bad.items() if name != "hands"}
    assert "HandScore" not in gains(good, missing, truth, 8.0)
    lost = bad | {"camera_error": np.where(np.arange(clips)[:, None] < 30, np.nan, np.full((clips, 2), 3.0))}
    assert gains(good, lost, truth, 8.0)["TransErr"].value == pytest.approx(2.0)  # of the clips that both have


def test_verdicts_by_hand() -> None:
    assert paper_gain("vidmld", "FVD") == pytest.approx(1547.28 - 1033.52)
    assert paper_gain("vidmld", "HandScore") == pytest.approx(0.81 - 0.36)
    assert paper_gain("video-only", "M-FID") is None
    assert all(
        paper_gain(row, name) is None or paper_gain(row, name) > 0 for row in PAPER for name in NINE if row != "egotwin"
    )
    assert verdict(1.0, Interval(2.0, 1.0, 3.0)) == "same direction"
    assert verdict(1.0, Interval(-2.0, -3.0, -1.0)) == "opposite"
    assert verdict(1.0, Interval(2.0, -1.0, 5.0)) == "no clear difference"
    assert verdict(None, Interval(2.0, 1.0, 3.0)) == ""
    assert PAPER.keys() == TITLES.keys() == set(VARIANTS)


def test_the_papers_numbers_stand_in_a_table_of_their_own() -> None:
    metrics = {row: {"FVD": Interval(10.0, 9.0, 11.0)} for row in ("egotwin", "vidmld")}
    gained, real = {"vidmld": {"FVD": Interval(3.0, 1.0, 5.0)}}, {"FVD": Interval(2.5, np.nan, np.nan)}
    page, values = table(metrics, gained, {"lines": ["about"]}, real)
    here, paper, helps = page.split("## ")[1:]
    assert "10.000 [9.000, 11.000]" in here
    assert "| real against real | 2.500 |" in here
    assert "1547.28" not in here + helps
    assert "1547.28" in paper
    assert "10.000" not in paper
    assert "+3.000 [1.000, 5.000]: same direction" in helps
    assert values["rows"]["vidmld"]["verdicts"] == {"FVD": "same direction"}
