"""Calibration of a model's confidence in goals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ...shared_data import missing_extra

pytest.importorskip("tyro", reason=missing_extra("train"))

from egotwin_model.diffusion.sampler import Guidance
from egotwin_model.egotwin.pipeline import SamplingDefaults
from egotwin_model.io.store import verify
from egotwin_model.text.goal_confidence import GoalConfidence, nearness
from training.evaluation import tune_goals
from training.evaluation.user_goals import load_user_goals
from training.export.command import export, random_networks

from ..evaluation_data import write_data


def test_confidence_is_the_share_that_was_obeyed() -> None:
    rng = np.random.default_rng(0)
    known = rng.normal(size=(200, 24)).astype(np.float32)
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    goals = rng.normal(size=(4000, 24)).astype(np.float32)
    goals /= np.linalg.norm(goals, axis=1, keepdims=True)
    similarity = nearness(goals, known)
    chance = np.clip((similarity - np.quantile(similarity, 0.1)) / np.ptp(similarity), 0, 1)
    obeyed = (rng.random(4000) < chance).astype(np.float64)
    found = tune_goals.calibrated(known, goals, obeyed)
    confidence = np.interp(similarity, found.similarity, found.confidence)
    assert (np.diff(found.confidence) >= 0).all()
    for low, high in ((0.0, 0.25), (0.25, 0.5), (0.5, 1.01)):
        inside = (confidence >= low) & (confidence < high)
        assert confidence[inside].mean() == pytest.approx(obeyed[inside].mean(), abs=0.02)


def test_the_known_goals_cover_all() -> None:
    points = np.eye(6, dtype=np.float32)[[0, 0, 1, 1, 2, 3]]
    assert set(tune_goals.spread(points, 4).tolist()) <= {0, 2, 4, 5, 1, 3}
    assert len({tuple(points[row]) for row in tune_goals.spread(points, 4)}) == 4


def test_unfamiliar_goals_are_none_that_confidence_is_judged_by() -> None:
    unfamiliar = tune_goals.unfamiliar_goals()
    assert len(set(unfamiliar)) == len(unfamiliar) > 100
    assert not set(unfamiliar) & {goal.goal for goal in load_user_goals()}


def test_the_command_writes_the_confidence_into_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tune_goals, "unfamiliar_goals", lambda: ["cook some pasta", "hello", "???", "test", "null"])
    data = write_data(tmp_path / "data", {"train": 8, "val": 4}, size=64)
    defaults = SamplingDefaults(num_steps=1, guidance=Guidance(1.0, 1.0, 1.0))
    model = export(random_networks("smoke"), tmp_path / "smoke", "smoke", defaults, {"clips": {}}, graphs=False)
    arguments = ["--model", str(model), "--data", str(data), "--clips", "4", "--runtime", "torch", "--record"]
    assert tune_goals.main(arguments) == 0
    assert "similarity" in capsys.readouterr().out
    confidence = GoalConfidence.load(model)
    assert confidence is not None
    assert json.loads((model / "manifest.json").read_text())["goal_confidence"]["unfamiliar"] == 5
    verify(model)
