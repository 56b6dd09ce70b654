"""Hand–eye calibration: the pose of the Xsens head segment on the glasses, and the offset of the two clocks.

Both paths are of one rigid body, in worlds that drift against each other, so only motions over short spans are
compared: with A and B the motions of device and head over the same span, A X = X B for X = T_device_head. Its rotation
maps the head's rotations to the device's (Wahba's problem, by `Rotation.align_vectors`), its translation is linear in
(R_A − 1) t = R_X t_B − t_A (Tsai and Lenz 1989). Both are reweighted by their residuals in each round, so that a slip
of the glasses or a wrong interval has little weight. The clock offset is estimated first, from the angular speeds
alone, which are equal in both frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.spatial.transform import Rotation

from training.datasets.sequences.reasons import Reason, Unfit
from training.datasets.sequences.xsens_body import bracket, interpolate_poses

Array = NDArray[np.float64]

RATE_HZ = 60.0
SPAN_S = 0.5  # over which motions are compared: long compared with noise, short compared with drift
DRIFT_WINDOW_S = 5.0  # within which the worlds are taken to drift at constant speed
LEAST_TURN = np.radians(2.0)  # spans with less rotation are not used
LEAST_SPANS = 24
ROUNDS = 12
ONE_AXIS = 0.05  # smallest share of the rotation about a second axis


@dataclass(frozen=True)
class HandEye:
    """The alignment and its residuals.

    Attributes:
        T_device_head: (4, 4) the Xsens head segment in the device frame.
        offset_s: added to the head's times gives the device's.
        rotation_error_deg, translation_error_m: median over the spans.
        spans: number of spans it is computed from.
    """

    T_device_head: Array
    offset_s: float
    rotation_error_deg: float
    translation_error_m: float
    spans: int


@dataclass(frozen=True)
class Path3:
    """Poses over time: stamps (T,) s, positions (T, 3) m, quaternions (T, 4) x y z w."""

    stamps_s: Array
    positions: Array
    quaternions: Array

    def at(self, times_s: Array) -> tuple[Array, Array]:
        """Positions (N, 3) and rotations (N, 3, 3)."""
        before, weight = bracket(self.stamps_s, times_s)  # type: ignore[arg-type]
        return interpolate_poses(self.positions, self.quaternions, before, weight)


def align(device: Path3, head: Path3, max_offset_s: float = 0.5) -> HandEye:
    """Solves for the pose of the head on the device.

    Args:
        device: glasses in their world, DEVICE time. head: Xsens head in its world, on (nearly) the same clock.
        max_offset_s: largest offset of the clocks.

    Raises:
        Unfit: too little common time, too little rotation, or rotation about one axis only.
    """
    offset = clock_offset(device, head, max_offset_s)
    start = max(device.stamps_s[0], head.stamps_s[0] + offset)
    end = min(device.stamps_s[-1], head.stamps_s[-1] + offset)
    times = np.arange(start, end, 1.0 / RATE_HZ)
    stride = int(SPAN_S * RATE_HZ)
    if len(times) <= stride + LEAST_SPANS:
        raise Unfit(
            Reason.NOT_ALIGNED, f"hand–eye alignment: body and glasses have {max(0.0, end - start):.1f} s in common"
        )
    (A, B), R_world_device = _both(device, head, times, offset, stride)
    turning = np.linalg.norm(B[0], axis=1) > LEAST_TURN
    if turning.sum() < LEAST_SPANS:
        raise Unfit(
            Reason.NOT_ALIGNED,
            f"hand–eye alignment: the head turns in {turning.sum()} spans only: too few for an alignment",
        )
    a, p_a = (part[turning] for part in A)
    b, p_b = (part[turning] for part in B)
    _check_axes(b)
    R, angles = _rotation(a, b)
    window = (np.flatnonzero(turning) / (DRIFT_WINDOW_S * RATE_HZ)).astype(int)
    t, distances = _translation(a, p_a, p_b, R, R_world_device[turning], window)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = R, t
    return HandEye(pose, offset, float(np.degrees(np.median(angles))), float(np.median(distances)), int(turning.sum()))


def clock_offset(device: Path3, head: Path3, max_offset_s: float) -> float:
    """Seconds to add to the head's times so that its angular speed matches the device's."""
    start, end = max(device.stamps_s[0], head.stamps_s[0]), min(device.stamps_s[-1], head.stamps_s[-1])
    times = np.arange(start, end, 1.0 / RATE_HZ)
    if len(times) < 2 * RATE_HZ:
        raise Unfit(
            Reason.NOT_ALIGNED, f"hand–eye alignment: body and glasses have {max(0.0, end - start):.1f} s in common"
        )
    from scipy.signal import correlate  # takes a second, and every stage imports this module

    a, b = _speed(device, times), _speed(head, times)
    a, b = a - a.mean(), b - b.mean()
    lags = np.arange(-len(times) + 1, len(times))
    near = np.abs(lags) <= max_offset_s * RATE_HZ
    coarse = lags[near][int(np.argmax(correlate(a, b, method="fft")[near]))] / RATE_HZ
    inside = (times > start + max_offset_s + 0.1) & (times < end - max_offset_s - 0.1)
    if inside.sum() < RATE_HZ:
        return float(coarse)

    def disagreement(offset: float) -> float:
        shifted = _speed(head, times[inside] - offset)
        return float(np.mean(np.minimum(np.abs(shifted - _speed(device, times[inside])), 1.0)))

    fine = minimize_scalar(disagreement, bounds=(coarse - 1.5 / RATE_HZ, coarse + 1.5 / RATE_HZ), method="bounded")
    return float(fine.x)


def _speed(path: Path3, times: Array) -> Array:
    """Angular speed (N,) rad/s at these times, over two sample steps."""
    h = 1.0 / RATE_HZ
    before, after = (Rotation.from_matrix(path.at(times + shift)[1]) for shift in (-h, h))
    return np.asarray((before.inv() * after).magnitude() / (2 * h), np.float64)


def _both(device: Path3, head: Path3, times: Array, offset: float, stride: int) -> tuple[Any, Array]:
    """Motions of device and head over a span from each time, and the device's rotations (N, 3, 3) there."""
    of_device, of_head = device.at(times), head.at(times - offset)
    return (_motions(*of_device, stride), _motions(*of_head, stride)), of_device[1][:-stride]


def _motions(positions: Array, rotations: Array, stride: int) -> tuple[Array, Array]:
    """Rotation vectors (N, 3) and translations (N, 3) from each pose to the one `stride` later, in its frame."""
    R = np.swapaxes(rotations[:-stride], -1, -2)
    turn = Rotation.from_matrix(R @ rotations[stride:]).as_rotvec()
    return turn, (R @ (positions[stride:] - positions[:-stride])[..., None])[..., 0]


def _check_axes(turns: Array) -> None:
    spread = np.linalg.svd(turns / np.linalg.norm(turns, axis=1, keepdims=True), compute_uv=False)
    if spread[1] < ONE_AXIS * spread[0]:
        raise Unfit(
            Reason.NOT_ALIGNED,
            "hand–eye alignment: the head turns about one axis only, along which its position is open",
        )


def _weights(residuals: Array) -> Array:
    """Cauchy weights at the scale of the residuals' median."""
    scale = max(1.4826 * float(np.median(residuals)), 1e-9)
    return np.asarray(1.0 / (1.0 + (residuals / scale) ** 2), np.float64)


def _rotation(a: Array, b: Array) -> tuple[Array, Array]:
    """R with a ≈ R b, (3, 3), and the residual angles (N,) between both rotations, rad."""
    weights = np.ones(len(a))
    residuals = np.zeros(len(a))
    R = Rotation.identity()
    for _ in range(ROUNDS):
        R, _rssd = Rotation.align_vectors(a, b, weights=weights)
        residuals = (Rotation.from_rotvec(a).inv() * Rotation.from_rotvec(R.apply(b))).magnitude()
        weights = _weights(residuals)
    return R.as_matrix(), residuals


def _translation(
    a: Array, p_a: Array, p_b: Array, R: Array, R_world_device: Array, window: NDArray[np.intp]
) -> tuple[Array, Array]:
    """t of (R_A − 1) t = R p_b − p_a by least squares, (3,), and the residual distances (N,), m.

    In each window the worlds may drift against each other at a constant speed: the equations are rotated into the world
    and their weighted mean over the window is subtracted.
    """
    matrix = R_world_device @ (Rotation.from_rotvec(a).as_matrix() - np.eye(3))
    target = (R_world_device @ (p_b @ R.T - p_a)[..., None])[..., 0]
    both = np.concatenate([matrix, target[..., None]], axis=2)
    weights: Array = np.ones(len(a))
    t: Array = np.zeros(3)
    residuals: Array = np.zeros(len(a))
    for _ in range(ROUNDS):
        free = both - _window_means(both, weights, window)
        w = np.sqrt(weights)[:, None, None]
        solved = np.linalg.lstsq((free[..., :3] * w).reshape(-1, 3), (free[..., 3:] * w).reshape(-1), rcond=None)
        t = np.asarray(solved[0], np.float64)
        residuals = np.asarray(np.linalg.norm(free[..., :3] @ t - free[..., 3], axis=1), np.float64)
        weights = _weights(residuals)
    return t, residuals


def _window_means(values: Array, weights: Array, window: NDArray[np.intp]) -> Array:
    """The weighted mean (N, …) of each value's window."""
    index = np.unique(window, return_inverse=True)[1]
    sums = np.zeros((index.max() + 1, *values.shape[1:]))
    np.add.at(sums, index, values * weights.reshape(-1, *[1] * (values.ndim - 1)))
    return (sums / np.bincount(index, weights).reshape(-1, *[1] * (values.ndim - 1)))[index]
