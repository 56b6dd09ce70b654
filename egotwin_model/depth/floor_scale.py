"""The scale of relative depth, from the part of the image that shows the floor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HYPOTHESES = 400
SAMPLE = 4000  # pixels below the horizon that are looked at
TOLERANCE = 0.04  # relative error of inverse depth up to which a pixel agrees with the floor
LEAST_SHARE = 0.05  # of the pixels below the horizon that must agree
NEAR_M, FAR_M = 0.3, 15.0  # floor at other depths is not looked at


def fit_to_floor(
    inverse: NDArray[np.floating], floor: NDArray[np.floating], *, shifted: bool
) -> tuple[float, float] | None:
    """Scale a and shift b for which a · inverse + b is the inverse depth of the floor where the image shows it.

    Most pixels below the horizon may show other things: of many lines through one or two pixels the one wins that most
    pixels agree with, and least squares over those gives the result. Nothing lies below the floor, so lines that put
    much of the image there lose those pixels.

    Args:
        inverse: (H, W), inverse depth up to scale, and with `shifted` up to a shift too; 0 or NaN where unknown.
        floor: (H, W) metres, depth of the floor's plane along each ray, 0 above the horizon.

    Returns:
        (a, b), b = 0 unless `shifted`; None where too little of the image agrees with any floor.
    """
    candidates = np.flatnonzero((floor > NEAR_M) & (floor < FAR_M) & np.isfinite(inverse) & (inverse > 0))
    if candidates.size < 16:
        return None
    rng = np.random.default_rng(0)  # the same image gets the same scale
    chosen = rng.choice(candidates, min(SAMPLE, candidates.size), replace=False)
    x, y = inverse.ravel()[chosen].astype(np.float64), 1.0 / floor.ravel()[chosen].astype(np.float64)
    one, other = rng.integers(0, chosen.size, (2, HYPOTHESES))
    if shifted:
        apart = np.abs(x[one] - x[other]) > 1e-3 * np.ptp(x) + 1e-12
        one, other = one[apart], other[apart]
        scale = (y[one] - y[other]) / (x[one] - x[other])
        shift = y[one] - scale * x[one]
    else:
        scale, shift = y[one] / x[one], np.zeros(one.size)
    scale, shift = scale[scale > 0], shift[scale > 0]
    if not scale.size:
        return None
    error = (scale[:, None] * x + shift[:, None]) / y - 1.0
    votes = (np.abs(error) < TOLERANCE).sum(axis=1) - (error < -2 * TOLERANCE).sum(axis=1)
    best = int(votes.argmax())
    agree = np.abs(error[best]) < TOLERANCE
    if agree.sum() < LEAST_SHARE * chosen.size:
        return None
    if not shifted:
        return float(np.median(y[agree] / x[agree])), 0.0
    design = np.stack([x[agree], np.ones(int(agree.sum()))], axis=1) / y[agree, None]  # relative errors
    (a, b), *_ = np.linalg.lstsq(design, np.ones(len(design)), rcond=None)
    return (float(a), float(b)) if a > 0 else None
