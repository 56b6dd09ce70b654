"""All clips' parts to the numbers of the report: each with its 95 % interval where it has one.

`METRICS` is the one list of what is reported, in which unit and which way is better.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from training.evaluation.errors import PredictionError
from training.evaluation.metrics.frechet import Gaussian, frechet_distance
from training.evaluation.metrics.hand_score import hand_score
from training.evaluation.metrics.intervals import Interval, bootstrap, over_clips, share_of_clips
from training.evaluation.metrics.obedience import KINDS
from training.evaluation.metrics.path_errors import HORIZONS_S, best_of, displacement_errors, inside_region
from training.evaluation.metrics.retrieval import BATCH, clip_similarity, diversity, mm_distance, r_precision

Pooled = dict[str, NDArray[Any]]
CALIBRATION = (0.5, 0.9)
CALIBRATION_SAMPLES = 4
TURNED_RAD = np.deg2rad(30.0)  # clips whose heading changes less have no side


@dataclass(frozen=True)
class Metric:
    """One row of the report.

    Attributes:
        name, unit: as printed. better: which way is better; "true": nearest to the true clips' own number.
        role: whose features it is made of (`Tools.identities`), "" for none. group: heading in the report.
    """

    name: str
    unit: str
    better: Literal["lower", "higher", "true"]
    group: str
    role: str = ""
    digits: int = 3


METRICS: tuple[Metric, ...] = (
    Metric("I-FID", "", "lower", "Video", "I-FID"),
    Metric("FVD", "", "lower", "Video", "FVD"),
    Metric("CLIP-SIM", "", "higher", "Video", "CLIP-SIM", 2),
    Metric("PSNR 0–1 s", "dB", "higher", "Video against the true clip", digits=2),
    Metric("PSNR 2–5 s", "dB", "higher", "Video against the true clip", digits=2),
    Metric("M-FID", "", "lower", "Motion", "text and motion"),
    Metric("R-Precision top-1", "", "higher", "Motion", "text and motion"),
    Metric("R-Precision top-2", "", "higher", "Motion", "text and motion"),
    Metric("R-Precision top-3", "", "higher", "Motion", "text and motion"),
    Metric("MM-Dist", "", "lower", "Motion", "text and motion"),
    Metric("Diversity", "", "true", "Motion", "text and motion"),
    Metric("obeys the text", "", "higher", "Motion"),
    *(Metric(f"obeys: {kind}", "", "higher", "Kinds of actions obeyed") for kind in KINDS),
    Metric("TransErr", "m", "lower", "View and motion agree", "camera path"),
    Metric("RotErr", "rad", "lower", "View and motion agree", "camera path"),
    Metric("TransErr, learned", "m", "lower", "View and motion agree", "learned camera path"),
    Metric("RotErr, learned", "rad", "lower", "View and motion agree", "learned camera path"),
    Metric("camera paths found", "", "higher", "View and motion agree", "camera path"),
    Metric("frames registered", "", "higher", "View and motion agree", "camera path"),
    Metric("HandScore", "", "higher", "View and motion agree", "hands"),
    Metric("view turns with the head", "", "higher", "View and motion agree"),
    Metric("view turns with the head, over half seconds", "", "higher", "View and motion agree"),
    Metric("view turns to the head's side", "", "higher", "View and motion agree"),
    *(
        Metric(f"{who} {name}@{horizon:g}s", "m", "lower", f"{who} against the true clip")
        for who in ("head", "body")
        for name in ("ADE", "FDE")
        for horizon in HORIZONS_S
    ),
    Metric("MPJPE", "m", "lower", "body against the true clip"),
    Metric("head turn error", "rad", "lower", "head against the true clip"),
    Metric("head FDE@5s, best of K", "m", "lower", "K samples"),
    Metric("head ADE@5s, best of K", "m", "lower", "K samples"),
    *(Metric(f"truth inside the {share:.0%} region", "", "true", "K samples") for share in CALIBRATION),
    Metric("foot sliding", "m/s", "lower", "Physics"),
    Metric("stance sliding", "m/s", "lower", "Physics"),
    Metric("feet standing", "", "true", "Physics"),
    Metric("floor penetration", "m", "lower", "Physics", digits=4),
    Metric("jerk", "m/s³", "true", "Physics", digits=1),
)


PAIRED = ("Video against the true clip", "head against the true clip", "body against the true clip", "K samples")
"""Groups whose numbers hold a prediction against what really followed."""


def pool(
    parts: Pooled, truth: Pooled, rates: tuple[float, float], *, paired: bool = True
) -> tuple[dict[str, Interval], list[str]]:
    """Numbers of one subject by metric name, and warnings.

    Args:
        parts: every array with clips first (N, ...), of the subject; a metric whose parts are missing is left out.
        truth: the true clips' parts; given as `parts` too, errors against themselves are left out.
        rates: frames and poses per second. paired: whether metrics of the groups `PAIRED` are wanted.
    """
    found: dict[str, Interval] = {}
    notes: list[str] = []
    for measured in (_frechet, _texts, _pictures, _agreement, _hands, _paths, _samples, _physics):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            try:
                found |= measured(parts, truth, rates)
            except PredictionError as error:
                notes.append(f"not measured: {error}")
        notes += [str(each.message) for each in caught]
    wanted = [metric.name for metric in METRICS if paired or metric.group not in PAIRED]
    return {name: found[name] for name in wanted if name in found}, notes


def real_against_real(truth: Pooled, other: Pooled) -> dict[str, Interval]:
    """Fréchet distances of the other real clips to the test clips: what a perfect model would get at this size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return _frechet(other, truth, (0.0, 0.0))


def _plain(value: float) -> Interval:
    return Interval(value, float("nan"), float("nan"))


def _frechet(parts: Pooled, truth: Pooled, _: tuple[float, float]) -> dict[str, Interval]:
    found = {}
    for name, key in (("I-FID", "image_features"), ("FVD", "video_features"), ("M-FID", "motion_features")):
        if key in parts and key in truth:
            both = [Gaussian.fit(x[key].reshape(-1, x[key].shape[-1]), f"{name} features") for x in (parts, truth)]
            found[name] = _plain(_named(name, partial(frechet_distance, *both)))
    return found


def _named(name: str, compute: Callable[[], float]) -> float:
    """`compute`'s value; its warnings begin with the metric's name."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        value = compute()
    for each in caught:
        warnings.warn(f"{name}: {each.message}", stacklevel=2)
    return value


def _texts(parts: Pooled, truth: Pooled, _: tuple[float, float]) -> dict[str, Interval]:
    found: dict[str, Interval] = {}
    if "obeyed" in parts:
        found["obeys the text"] = share_of_clips(parts["obeyed"].mean(axis=1))
    if "obeyed_kinds" in parts:
        kinds = parts["obeyed_kinds"].mean(axis=1)  # a kind is asked of all samples of a clip or of none
        asked = {kind: column for column, kind in enumerate(KINDS) if np.isfinite(kinds[:, column]).any()}
        found |= {f"obeys: {kind}": share_of_clips(kinds[:, column]) for kind, column in asked.items()}
    if "motion_features" in parts:
        motions, texts = parts["motion_features"], parts["motion_text"]
        found["MM-Dist"] = over_clips(mm_distance(texts, motions))
        found["Diversity"] = diversity(motions)
        try:
            shares = r_precision(texts, motions)
        except PredictionError as error:
            warnings.warn(f"R-Precision is not measured: {error}", stacklevel=2)
        else:
            found |= {f"R-Precision top-{k}": share for k, share in shares.items()}
            if len(motions) < 2 * BATCH:
                warnings.warn(f"R-Precision: {len(motions)} clips are one batch: no interval", stacklevel=2)
    return found


def _pictures(parts: Pooled, truth: Pooled, rates: tuple[float, float]) -> dict[str, Interval]:
    found: dict[str, Interval] = {}
    if "picture_features" in parts:
        found["CLIP-SIM"] = over_clips(clip_similarity(parts["picture_features"], parts["picture_text"]))
    if "frame_mse" in parts and parts is not truth:
        one, two = round(rates[0]), round(2 * rates[0])  # frame k is column k − 1
        for name, columns in (("PSNR 0–1 s", slice(0, one)), ("PSNR 2–5 s", slice(two - 1, None))):
            error = parts["frame_mse"][:, columns].mean(axis=1)
            found[name] = over_clips(10.0 * np.log10(255.0**2 / np.maximum(error, 1e-3)))
    return found


def _agreement(parts: Pooled, truth: Pooled, rates: tuple[float, float]) -> dict[str, Interval]:
    found: dict[str, Interval] = {}
    if "camera_error" in parts:
        errors = parts["camera_error"]
        found |= {"TransErr": over_clips(errors[:, 0]), "RotErr": over_clips(errors[:, 1])}
        found["camera paths found"] = share_of_clips(np.isfinite(errors[:, 0]))
        found["frames registered"] = over_clips(parts["registered"])
    if "camera_error_learned" in parts:
        learned = parts["camera_error_learned"]
        if unread := int(np.isnan(learned[:, 0]).sum()):
            warnings.warn(
                f"TransErr and RotErr, learned: {unread} of {len(learned)} clips are left out, because their view is "
                "not the one that the camera evaluator was trained on",
                stacklevel=2,
            )
        found |= {"TransErr, learned": over_clips(learned[:, 0]), "RotErr, learned": over_clips(learned[:, 1])}
    if "view_shift" in parts:
        moved = np.stack([parts["view_shift"], parts["head_turn"]])  # (2, N, steps)
        for name, window in (("", 1), (", over half seconds", max(1, round(rates[0] / 2)))):
            steps = moved[..., : moved.shape[-1] // window * window].reshape(*moved.shape[:2], -1, window).sum(-1)
            found[f"view turns with the head{name}"] = bootstrap(np.moveaxis(steps, 1, -1), correlation)
        shift, turn = moved.sum(axis=-1)
        found["view turns to the head's side"] = share_of_clips(
            (np.sign(shift) == np.sign(turn))[np.abs(turn) >= TURNED_RAD]
        )
    return found


def _hands(parts: Pooled, truth: Pooled, _: tuple[float, float]) -> dict[str, Interval]:
    return {"HandScore": hand_score(parts["hands"])} if "hands" in parts else {}


def correlation(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's, pooled over frame pairs and clips: (2, pairs, ..., N) to (...); NaN where nothing moves."""
    moved = np.moveaxis(drawn, 1, -1)  # (2, ..., N, pairs)
    flat = moved.reshape(*moved.shape[:-2], -1)
    centred = flat - flat.mean(axis=-1, keepdims=True)
    power = np.sqrt(np.square(centred).sum(axis=-1))
    length = power[0] * power[1]
    together = (centred[0] * centred[1]).sum(axis=-1)
    return np.divide(together, length, out=np.full_like(length, np.nan), where=length > 1e-12)


def _paths(parts: Pooled, truth: Pooled, rates: tuple[float, float]) -> dict[str, Interval]:
    """Mean over samples: the error to expect of one."""
    found: dict[str, Interval] = {}
    if parts is truth:
        return found
    for who, key in (("head", "head_error"), ("body", "joint_error")):
        if key in parts:
            for name, error in displacement_errors(parts[key], rates[1]).items():
                found[f"{who} {name}"] = over_clips(error.mean(axis=1))
    if "joint_error" in parts:
        found["MPJPE"] = over_clips(parts["joint_error"][:, :, 1:].mean(axis=(1, 2)))
    if "head_turn_error" in parts:
        found["head turn error"] = over_clips(parts["head_turn_error"][:, :, 1:].mean(axis=(1, 2)))
    return found


def _samples(parts: Pooled, truth: Pooled, rates: tuple[float, float]) -> dict[str, Interval]:
    """Best of K, and calibration of the head's place over the floor, pooled over horizons."""
    found: dict[str, Interval] = {}
    samples = parts["head_error"].shape[1] if "head_error" in parts else 1
    if samples < 2:
        return found
    errors = displacement_errors(parts["head_error"], rates[1], (5.0,))
    for name in ("FDE", "ADE"):
        if f"{name}@5s" in errors:
            found[f"head {name}@5s, best of K"] = over_clips(best_of(errors[f"{name}@5s"]))
    if samples < CALIBRATION_SAMPLES:
        warnings.warn(f"calibration needs {CALIBRATION_SAMPLES} samples of each clip, here are {samples}", stacklevel=2)
        return found
    places = np.swapaxes(parts["floor_places"], 1, 2)  # (N, horizons, K, 2)
    for share in CALIBRATION:
        inside = inside_region(places, parts["floor_truth"], share)
        found[f"truth inside the {share:.0%} region"] = over_clips(inside.mean(axis=1))
    return found


def _physics(parts: Pooled, truth: Pooled, _: tuple[float, float]) -> dict[str, Interval]:
    names = ("foot sliding", "stance sliding", "feet standing", "floor penetration", "jerk")
    keys = {name: name.replace(" ", "_") for name in names}
    return {name: over_clips(parts[key].mean(axis=1)) for name, key in keys.items() if key in parts}
