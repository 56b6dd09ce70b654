"""Evaluators trained on small data: what they fill in the report, how they are shipped, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ....shared_data import missing_extra

pytest.importorskip("tyro", reason=missing_extra("train"))

from egotwin_model.errors import ModelError
from training.evaluation.benchmark.measurements import ToolsSpec
from training.evaluation.benchmark.report import write_report
from training.evaluation.benchmark.run import score
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.extractors.export_command import main as ship_evaluators
from training.evaluation.extractors.train_command import main as train_evaluators

from ...evaluation_data import write_data
from ..true_predictions import write_truth

NO_NETWORKS = ToolsSpec(images=False, cameras=False)


CLIPS = 6


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), {"train": 12, "val": 8, "test": 8})


@pytest.fixture(scope="module")
def benchmark(data: Path) -> Benchmark:
    return Benchmark(data, CLIPS)


@pytest.fixture(scope="module")
def evaluators(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluators")
    small = ["--train.steps", "2", "--train.batch-size", "4", "--train.precision", "no", "--train.validate-every", "2"]
    for name in ("text-motion", "video-text", "hands", "camera"):
        assert train_evaluators([name, "--data", str(data), "--out", str(folder), *small]) == 0, name
    return folder


@pytest.mark.parametrize(
    ("name", "lacking"), [("hands", "hand_visible"), ("video-text", "camera_pose"), ("camera", "camera_pose")]
)
def test_clips_without_what_an_evaluator_learns_from_are_refused(
    name: str, lacking: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_data(tmp_path / "data", {"train": 2, "val": 2}, without=lacking)
    assert train_evaluators([name, "--data", str(data), "--out", str(tmp_path / "out")]) == 1
    assert f"clips have no {lacking}" in capsys.readouterr().out
    assert not (tmp_path / "out" / name / "checkpoint").exists()


def test_trained_evaluators_fill_the_table(benchmark: Benchmark, evaluators: Path, tmp_path: Path) -> None:
    folder = write_truth(benchmark, tmp_path / "oracle")
    results = score(benchmark, [folder], replace(NO_NETWORKS, evaluators=str(evaluators)), tmp_path / "out")
    subject = results["subjects"]["oracle"]
    values = {name: metric["value"] for name, metric in subject["metrics"].items()}
    assert values["FVD"] == pytest.approx(0.0, abs=1e-6)
    assert values["M-FID"] == pytest.approx(0.0, abs=1e-6)
    assert values["MM-Dist"] > 0
    assert -100 <= values["CLIP-SIM"] <= 100
    assert values["TransErr, learned"] > 0
    assert values["RotErr, learned"] > 0
    assert results["extractors"]["learned camera path"]["name"] == "our camera CNN"
    assert results["real against real"]["FVD"]["value"] > 0
    assert any("FVD: Fréchet distance of 6 features" in note for note in subject["notes"])
    assert any("R-Precision is not measured: 6 clips" in note for note in subject["notes"])
    assert {each["official"] for each in results["extractors"].values()} == {False}
    page = write_report(results, benchmark, tmp_path / "out").read_text(encoding="utf-8")
    assert "not comparable with the paper" in page
    changed = evaluators / "hands" / "config.json"
    before = changed.read_text()
    try:
        changed.write_text('{"who": 1}')
        with pytest.raises(ModelError, match="does not describe"):
            score(benchmark, [folder], ToolsSpec(str(evaluators), False, False, 3), tmp_path / "other")
    finally:
        changed.write_text(before)


def test_shipped_evaluators_measure_the_same_and_altered_ones_are_refused(
    benchmark: Benchmark, evaluators: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped, folder = tmp_path / "shipped", write_truth(benchmark, tmp_path / "oracle")
    assert ship_evaluators(["--evaluators", str(evaluators), "--out", str(shipped)]) == 0
    assert "hands: f_left" in capsys.readouterr().out
    assert {path.suffix for path in shipped.rglob("*") if path.is_file()} == {".json", ".safetensors"}
    values = [
        score(benchmark, [folder], replace(NO_NETWORKS, evaluators=str(source)), tmp_path / source.name)["subjects"][
            "oracle"
        ]["metrics"]["MM-Dist"]["value"]
        for source in (evaluators, shipped)
    ]
    assert values[1] == pytest.approx(values[0], rel=1e-2)  # in half precision
    (shipped / "hands" / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"hands/config.json was altered"):
        score(benchmark, [folder], ToolsSpec(str(shipped), False, False, 3), tmp_path / "altered")
    recipe = evaluators / "camera" / "recipe.json"
    before = recipe.read_text()
    try:
        recipe.write_text(before.replace('"steps": 2', '"steps": 4'))
        assert ship_evaluators(["--evaluators", str(evaluators), "--out", str(tmp_path / "other")]) == 1
    finally:
        recipe.write_text(before)
    assert "camera was stopped at step 2 of 4; run `egotwin train evaluators camera" in capsys.readouterr().out
    assert not (tmp_path / "other").exists()
