"""Repairs known defects of Nymeria's Xsens files: stuttering times and missing quaternions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from training.datasets.sequences.reasons import Reason, Unfit

STEP_TOLERANCE_US = 1_000  # largest error of a step that is right
DRIFT_TOLERANCE_US = 10_000  # wrong steps near each other whose errors cancel up to this are a stutter
NEAR = 120  # steps: half a second
SHORTEST_QUATERNION = 0.5


def repair_times(stamps_us: NDArray[np.int64], rate_hz: float = 240.0) -> tuple[NDArray[np.int64], int]:
    """Repaired time stamps, and the number of changed steps.

    Steps that differ from ``1 / rate_hz`` by more than `STEP_TOLERANCE_US` are wrong; those near each other are judged
    together. Where their errors cancel, the clock only stuttered: each becomes a nominal step, and the small remainder
    is spread over the neighbourhood. Missing time stays a hole at the longest step, across which no pose is
    interpolated.

    Args:
        stamps_us: (T,) microseconds.

    Raises:
        Unfit: times decrease, or repeat for longer than a stutter.
    """
    nominal = 1e6 / rate_hz
    steps = np.diff(stamps_us).astype(np.float64)
    wrong = np.abs(steps - nominal) > STEP_TOLERANCE_US
    if not wrong.any():
        return stamps_us, 0
    repaired = stamps_us.astype(np.float64)
    for first, last in runs(binary_dilation(wrong, iterations=NEAR)):
        part = slice(first, last)
        sound = np.where(wrong[part], nominal, steps[part])
        excess = steps[part].sum() - sound.sum()
        if excess < -DRIFT_TOLERANCE_US:
            raise Unfit(
                Reason.BAD_TIMES,
                f"body times are unsorted or duplicate: samples {first} to {last} take {steps[part].sum() / 1e3:.1f} "
                f"ms instead of {sound.sum() / 1e3:.1f} ms",
            )
        if excess > DRIFT_TOLERANCE_US:
            sound[int(np.argmax(steps[part]))] += excess
        else:
            sound += excess / len(sound)
        repaired[first + 1 : last] = stamps_us[first] + np.cumsum(sound)[:-1]
    result = np.rint(repaired).astype(np.int64)
    if (np.diff(result) <= 0).any():
        at = int(np.argmin(np.diff(result)))
        raise Unfit(
            Reason.BAD_TIMES, f"body times are unsorted or duplicate at sample {at + 1}: {result[at : at + 2]} µs"
        )
    return result, int((np.abs(result - stamps_us) > STEP_TOLERANCE_US / 2).sum())


def repair_quaternions(quaternions: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Unit quaternions (T, J, 4), and which (T, J) were missing and got the last valid one (at the start, the next).

    Raises:
        Unfit: a segment has no valid one.
    """
    length = np.linalg.norm(quaternions, axis=-1)
    missing = ~(length >= SHORTEST_QUATERNION)  # NaN is missing too
    if missing.all(axis=0).any():
        segment = int(np.argmax(missing.all(axis=0)))
        raise Unfit(Reason.NOT_FINITE, f"segment {segment} has no valid quaternion at all")
    index = np.where(missing, 0, np.arange(len(quaternions))[:, None])
    last = np.maximum.accumulate(index, axis=0)
    first_valid = np.argmin(missing, axis=0)
    last = np.maximum(last, first_valid)
    filled = np.take_along_axis(quaternions, last[..., None], axis=0)
    return filled / np.linalg.norm(filled, axis=-1, keepdims=True), missing


def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and past-the-last index of every stretch of True in (N,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
