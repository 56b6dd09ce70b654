"""A metric is one description: what it measures, how clips are pooled, its row; the report and the docs follow."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ....shared_data import missing_extra

pytest.importorskip("tyro", reason=missing_extra("train"))

from docs import metrics as docs
from training.evaluation.benchmark.measurements import ToolsSpec
from training.evaluation.benchmark.predictions import PredictionInfo, write_info, write_prediction
from training.evaluation.benchmark.report import print_results, write_report
from training.evaluation.benchmark.run import RESULTS, score
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.metrics import catalogue
from training.evaluation.metrics.intervals import Interval, over_clips
from training.evaluation.metrics.metric_family import Metric, MetricFamily, Parts, Rates
from training.evaluation.metrics.predicted_clip import PredictedClip, as_prediction

from ...evaluation_data import write_data


def brightness(case: PredictedClip) -> Parts:
    """`brightness` (F - 1,) of the predicted frames."""
    frames = case.prediction.frames
    return {} if frames is None else {"brightness": frames[1:].mean((1, 2, 3))}


def pool(parts: Parts, truth: Parts, rates: Rates) -> dict[str, Interval]:
    return {"brightness": over_clips(parts["brightness"].mean(axis=1))}


BRIGHTNESS = MetricFamily(
    metrics=(Metric("brightness", "levels", "true", "Video", digits=1),),
    title="brightness",
    meaning="mean of all channels",
    source="",
    formulas=(pool,),
    measures=(brightness,),
    needs=("brightness",),
    pool=pool,
)


def test_a_new_metric_is_measured_reported_and_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark = Benchmark(write_data(tmp_path / "data", {"test": 3, "val": 2}), 3)
    write_info(tmp_path / "true", PredictionInfo("true", "joint", benchmark.frame_rate, benchmark.pose_rate))
    clips = [benchmark.clip(number) for number in benchmark.numbers]
    for clip in clips:
        write_prediction(tmp_path / "true", clip.number, as_prediction(clip))
    spec, out = ToolsSpec(images=False, cameras=False), tmp_path / "out"
    before = score(benchmark, [tmp_path / "true"], spec, out)

    monkeypatch.setattr(catalogue, "FAMILIES", (*catalogue.FAMILIES, BRIGHTNESS))
    results = score(benchmark, [tmp_path / "true"], spec, out)
    found = results["subjects"]["true"]["metrics"]
    assert found["brightness"]["value"] == pytest.approx(np.mean([clip.frames[1:].mean() for clip in clips]))
    others = {name: value for name, value in found.items() if name != "brightness"}
    assert others == before["subjects"]["true"]["metrics"]
    assert results["true clips"]["metrics"]["brightness"] == found["brightness"]
    listed = {metric["name"]: metric for metric in json.loads((out / RESULTS).read_text())["metrics"]}
    assert listed["brightness"] == {
        "name": "brightness", "unit": "levels", "better": "true", "group": "Video", "role": "", "digits": 1,
    }  # fmt: skip
    write_report(results, benchmark, out)
    row = f"| brightness ≈ [levels] | {found['brightness']['value']:.1f} |"
    assert row in (out / "report.md").read_text(encoding="utf-8")
    assert "<td>brightness <small>[levels]</small>" in (out / "report.html").read_text(encoding="utf-8")
    print_results(results)
    assert "brightness ≈ levels:" in capsys.readouterr().out
    assert "| brightness | mean of all channels |" in docs.table()


def test_formulas_are_imported_from_the_package() -> None:
    import training.evaluation

    for name in training.evaluation.__all__:
        assert getattr(training.evaluation, name).__name__ == name
    assert set(training.evaluation.__all__) <= set(dir(training.evaluation))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        training.evaluation.nothing  # noqa: B018


def test_every_name_is_described_once() -> None:
    names = [metric.name for family in catalogue.FAMILIES for metric in family.metrics]
    assert len(names) == len(set(names)) == len(catalogue.metrics())
    assert len({family.title for family in catalogue.FAMILIES}) == len(catalogue.FAMILIES)
