"""All clips' parts to the numbers of the report: each with its 95 % interval where it has one."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from training.evaluation.errors import PredictionError
from training.evaluation.metrics import catalogue
from training.evaluation.metrics.intervals import Interval
from training.evaluation.metrics.metric_family import MetricFamily, Parts, Rates

NOT_MEASURED = "not measured: "


def pool(parts: Parts, truth: Parts, rates: Rates, *, paired: bool = True) -> tuple[dict[str, Interval], list[str]]:
    """Numbers of one subject by metric name, in the report's order, and warnings.

    Args:
        parts: every array with clips first (N, ...), of the subject; a metric whose arrays are missing is left out.
        truth: the true clips' parts; given as `parts` too, paired metrics are left out.
        rates: frames and poses per second. paired: whether metrics are wanted that hold a prediction against what
            really followed.
    """
    wanted = (family for family in catalogue.FAMILIES if not family.paired or (paired and parts is not truth))
    return _pooled(wanted, parts, truth, rates)


def real_against_real(truth: Parts, other: Parts) -> tuple[dict[str, Interval], list[str]]:
    """Distances of the other real clips to the test clips, which a perfect model would get at this size; and what could
    not be measured."""
    families = (family for family in catalogue.FAMILIES if family.real_against_real)
    numbers, notes = _pooled(families, other, truth, (0.0, 0.0))
    return numbers, [note for note in notes if note.startswith(NOT_MEASURED)]


def _pooled(
    families: Iterable[MetricFamily], parts: Parts, truth: Parts, rates: Rates
) -> tuple[dict[str, Interval], list[str]]:
    found: dict[str, Interval] = {}
    notes: list[str] = []
    for family in families:
        if not set(family.needs) <= parts.keys():
            continue
        values: dict[str, Interval] = {}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            try:
                values = family.pool(parts, truth, rates)
            except PredictionError as error:
                notes.append(f"{NOT_MEASURED}{error}")
        found |= {metric.name: values[metric.name] for metric in family.metrics if metric.name in values}
        notes += [str(each.message) for each in caught]
    return found, notes
