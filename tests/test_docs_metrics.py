"""The page's list of metrics is the catalogue's own."""

from __future__ import annotations

import pytest

from .shared_data import missing_extra

pytest.importorskip("scipy", reason=missing_extra("train"))

from docs import metrics
from training.evaluation.metrics import catalogue


def test_the_page_lists_the_catalogues_metrics() -> None:
    page = metrics.PAGE.read_text(encoding="utf-8")
    assert metrics.replaced(page) == page, "run python -m docs.metrics"


def test_every_metric_has_a_line() -> None:
    lines = metrics.table().splitlines()[2:]
    assert len(lines) == len(catalogue.FAMILIES)
    for family, line in zip(catalogue.FAMILIES, lines, strict=True):
        assert family.title in line
        assert family.meaning in line
        assert ".py`" in line
