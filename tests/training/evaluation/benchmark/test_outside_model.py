"""A model outside this package: the example's tasks, predictions and scores."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from ....shared_data import missing_extra

pytest.importorskip("tyro", reason=missing_extra("train"))

from training.evaluation.benchmark.measurements import ToolsSpec
from training.evaluation.benchmark.run import score
from training.evaluation.benchmark.task_files import write_tasks
from training.evaluation.benchmark.tasks import Benchmark

from ...evaluation_data import write_data

ROOT = Path(__file__).parents[4]


def test_the_example_scores_a_model_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = Benchmark(write_data(tmp_path / "data", {"test": 3, "val": 2}), 3)
    write_tasks(benchmark, "T2M", tmp_path / "tasks", known_poses=2)
    monkeypatch.setattr(sys, "argv", ["example", str(tmp_path / "tasks"), str(tmp_path / "mine")])
    runpy.run_path(str(ROOT / "examples" / "score_own_predictions.py"), run_name="__main__")
    results = score(benchmark, [tmp_path / "mine"], ToolsSpec(images=False, cameras=False), tmp_path / "out")
    (subject,) = results["subjects"].values()
    assert subject["info"]["told"] == "the second pose"
    assert subject["metrics"]["head FDE@5s"]["value"] < 0.01  # people of this data glide along straight lines
