"""Shares of clips whose motion does what the text asks, by the rules of `obedience`."""

from __future__ import annotations

import numpy as np

from training.evaluation.metrics.intervals import Interval, share_of_clips
from training.evaluation.metrics.metric_family import Metric, MetricFamily, Parts, Rates
from training.evaluation.metrics.obedience import KINDS, by_kind, obeys_record
from training.evaluation.metrics.predicted_clip import PredictedClip


def obedience(case: PredictedClip) -> Parts:
    """`obeyed` (S,) and `obeyed_kinds` (S, len(KINDS)): 1 or 0, NaN for what no rule knows or the text does not ask."""
    body, clip = case.prediction.body, case.clip
    if body is None:
        return {}
    truth, rate = (clip.positions, clip.rotations), case.pose_rate
    samples = list(zip(body.positions, body.rotations, strict=True))
    answers = [obeys_record(clip.record, sample, truth, rate) for sample in samples]
    return {
        "obeyed": np.array([np.nan if answer is None else float(answer) for answer in answers]),
        "obeyed_kinds": np.stack([by_kind(clip.record, sample, truth, rate) for sample in samples]),
    }


def _pool_all(parts: Parts, truth: Parts, rates: Rates) -> dict[str, Interval]:
    return {"obeys the text": share_of_clips(parts["obeyed"].mean(axis=1))}


def _pool_kinds(parts: Parts, truth: Parts, rates: Rates) -> dict[str, Interval]:
    kinds = parts["obeyed_kinds"].mean(axis=1)  # all samples of a clip have the same kinds
    present = {kind: column for column, kind in enumerate(KINDS) if np.isfinite(kinds[:, column]).any()}
    return {f"obeys: {kind}": share_of_clips(kinds[:, column]) for kind, column in present.items()}


OBEYED = MetricFamily(
    metrics=(Metric("obeys the text", "", "higher", "Motion"),),
    title="obeys the text",
    meaning="fixed rules recognise each action in its time; a turn counts within ±40 % of the true angle, a "
    "walk to something within 40 % of the way, a hand at the height of the thing ± 30 cm",
    source="",
    formulas=(obeys_record,),
    measures=(obedience,),
    needs=("obeyed",),
    pool=_pool_all,
)
OBEYED_KINDS = MetricFamily(
    metrics=tuple(Metric(f"obeys: {kind}", "", "higher", "Kinds of actions obeyed") for kind in KINDS),
    title="obeys: turn, walk, …",
    meaning="the same of the clips that ask for one kind of action, for every kind there is",
    source="",
    formulas=(by_kind,),
    measures=(obedience,),
    needs=("obeyed_kinds",),
    pool=_pool_kinds,
)
