"""Known defects of Nymeria's Xsens files, repaired: times that stutter, quaternions that are not there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.sequences.reasons import Reason, Unfit

STEP_TOLERANCE_US = 1_000  # a step farther off the nominal one is wrong
DRIFT_TOLERANCE_US = 10_000  # wrong steps in a row that make up for each other to this are a stutter, else a hole
SHORTEST_QUATERNION = 0.5


def repair_times(stamps_us: NDArray[np.int64], rate_hz: float = 240.0) -> tuple[NDArray[np.int64], int]:
    """Times whose steps are right, and how many were changed.

    Steps more than `STEP_TOLERANCE_US` off ``1 / rate_hz`` come in runs. Where a run lasts as long as it should, the
    clock only stuttered and its times are spread evenly. Where it lasts longer, samples are missing: its times follow
    the sample before at the nominal rate and the hole stays a hole, which no pose is interpolated across.

    Args:
        stamps_us: (T,) microseconds.

    Raises:
        Unfit: times go back, or repeat for longer than a stutter.
    """
    nominal = 1e6 / rate_hz
    steps = np.diff(stamps_us)
    wrong = np.abs(steps - nominal) > STEP_TOLERANCE_US
    repaired = stamps_us.copy()
    for first, last in runs(wrong):  # steps first … last-1 are wrong: stamps first+1 … last-1 lie between sound ones
        count = last - first
        excess = float(stamps_us[last] - stamps_us[first]) - count * nominal
        if excess < -DRIFT_TOLERANCE_US:
            raise Unfit(
                Reason.BAD_TIMES,
                f"body times are unsorted or duplicate: {count} steps from sample {first} on last "
                f"{(excess / 1e3 + count * nominal / 1e3):.1f} ms instead of {count * nominal / 1e3:.1f} ms",
            )
        step = nominal if excess > DRIFT_TOLERANCE_US else (stamps_us[last] - stamps_us[first]) / count
        repaired[first + 1 : last] = stamps_us[first] + np.rint(step * np.arange(1, count)).astype(np.int64)
    if (np.diff(repaired) <= 0).any():
        at = int(np.argmin(np.diff(repaired)))
        raise Unfit(
            Reason.BAD_TIMES, f"body times are unsorted or duplicate at sample {at + 1}: {repaired[at : at + 2]} µs"
        )
    return repaired, int((repaired != stamps_us).sum())


def repair_quaternions(quaternions: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Unit quaternions (T, J, 4), and which (T, J) were missing and took the last valid one (at the start: the next).

    Raises:
        Unfit: a segment never has a valid one.
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
