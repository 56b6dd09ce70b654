"""How a metric is described: what is measured of each clip, how all clips are pooled, and its rows in the report.

A metric is one file of this folder: its formula, and a `MetricFamily` that `catalogue.FAMILIES` lists. Everything else
follows from that: what is measured and kept, the tables of the report, the list in docs/evaluation.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from training.evaluation.metrics.intervals import Interval
from training.evaluation.metrics.predicted_clip import PredictedClip

Parts = dict[str, NDArray[Any]]
"""Arrays by name: of one clip as they are kept, or of all clips, clips first."""
Measure = Callable[[PredictedClip], Parts]
"""What is kept of one clip; empty where the prediction or the tools lack what it needs."""
Rates = tuple[float, float]
"""Frames and poses a second."""
Pool = Callable[[Parts, Parts, Rates], dict[str, Interval]]
"""Values by metric name, of all clips' parts and those of the true clips. May warn: the report prints it as a note.
Raises `PredictionError` where the parts allow no value."""


@dataclass(frozen=True)
class Metric:
    """One row of the report.

    Attributes:
        name, unit: as printed. better: which way is better; "true": nearest to the true clips' own number.
        group: heading in the report. role: whose features it is made of (`Tools.identities`), "" for none.
    """

    name: str
    unit: str
    better: Literal["lower", "higher", "true"]
    group: str
    role: str = ""
    digits: int = 3

    @property
    def arrow(self) -> str:
        return {"lower": "↓", "higher": "↑", "true": "≈"}[self.better]


@dataclass(frozen=True)
class MetricFamily:
    """Metrics that are computed together.

    Attributes:
        metrics: their rows. title, meaning, source: how docs/evaluation.md lists them: names, what is computed, and
            whose definition it is ("" for our own).
        formulas: the functions that compute them; the docs name their modules.
        measures: what is kept of each clip. needs: the arrays that `pool` reads; without them the metrics are left out.
        pool: computes the metrics from all clips' parts.
        paired: a prediction is held against what really followed, so true clips have no value.
        real_against_real: other real clips are also held against the true ones.
    """

    metrics: tuple[Metric, ...]
    title: str
    meaning: str
    source: str
    formulas: tuple[Callable[..., Any], ...]
    measures: tuple[Measure, ...]
    needs: tuple[str, ...]
    pool: Pool
    paired: bool = False
    real_against_real: bool = False
