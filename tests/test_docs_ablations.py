"""The page of the ablations has the numbers of docs/ablations.json, and the verdicts that follow from them."""

from __future__ import annotations

import copy

import pytest

from .shared_data import missing_extra

pytest.importorskip("matplotlib", reason=missing_extra("train"))

from docs import ablations
from egotwin_model.io.files import read_json


def test_page_and_verdicts_follow_from_the_numbers() -> None:
    kept = read_json(ablations.KEPT)
    page, values = ablations.rendered(kept)
    assert page == (ablations.FOLDER / "ablations.md").read_text(encoding="utf-8"), "run python -m docs.ablations"
    assert values == kept, "run python -m docs.ablations"


def test_another_number_is_another_page() -> None:
    kept = read_json(ablations.KEPT)
    other = copy.deepcopy(kept)
    other["rows"]["vidmld"]["gains of EgoTwin"]["FVD"] = {"value": 0.987, "low": 0.5, "high": 1.5}
    page, values = ablations.rendered(other)
    assert "+0.987 [0.500, 1.500]: same direction" in page
    assert values["rows"]["vidmld"]["verdicts"]["FVD"] == "same direction"
    assert kept["rows"]["vidmld"]["verdicts"]["FVD"] == "opposite"
