"""The floor under a captured motion, and feet that stand on it without sliding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, median_filter, minimum_filter1d

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.inverse_kinematics import hinge_frames, supported_height, two_bone
from training.datasets.mocap.captured_motion import JOINT, CapturedMotion

Array = NDArray[np.float64]

_UNEVEN_M = 0.12  # largest height difference of stances; the simulator's floors are level
_STANCE_M, _STANCE_MPS = 0.05, 0.45  # a sole point this low and this slow is standing
_DRIFT_S = 0.75  # the floor of a recording drifts slower than this
_LIFTED_M = 0.08  # above the lowest place of the feet within a second: no stance
_WALK_MPS, _SLIDING_SHARE, _SLIDING_S = 2.0, 0.4, 0.5  # a slower body has a foot on the floor, but for jumps


def sole_points(captured: CapturedMotion) -> Array:
    """Heel and toe points under both feet: (T, 2 feet, 2, 3) metres."""
    positions = captured.positions()
    toe = captured.offsets[JOINT["L_Toe"]]
    heel = np.array([-0.05, 0.0, 1.5 * toe[2]])
    ball = np.array([toe[0], 0.0, 1.5 * toe[2]])
    feet = [JOINT["L_Foot"], JOINT["R_Foot"]]
    return positions[:, feet, None] + np.einsum("tfij,pj->tfpi", captured.rotations[:, feet], np.stack([heel, ball]))


def on_the_floor(captured: CapturedMotion) -> CapturedMotion:
    """The motion with its floor at z = 0, by the lowest places of the feet; no foot is moved against the body."""
    floor = float(np.percentile(sole_points(captured)[..., 2].min(axis=(1, 2)), 8))
    return replace(captured, pelvis=captured.pelvis - np.array([0.0, 0.0, floor]))


def with_level_floor(captured: CapturedMotion) -> CapturedMotion:
    """The motion without the slow drift of its floor, as skeletons of the wrong size cause it.

    Raises:
        RecordingError: the subject walks on steps or slopes, or no foot ever stands.
    """
    soles = sole_points(captured)
    speed = np.linalg.norm(np.gradient(soles, axis=0), axis=-1) * captured.rate_hz
    height = np.where(speed < _STANCE_MPS, soles[..., 2], np.inf).min(axis=(1, 2))
    lowest = minimum_filter1d(soles[..., 2].min(axis=(1, 2)), 2 * round(captured.rate_hz) + 1, mode="nearest")
    standing = height < lowest + _LIFTED_M
    if not standing.any():
        raise RecordingError(f"{captured.name}: no foot stands; wanted a person who walks or stands on a floor")
    frames, times = np.flatnonzero(standing), np.arange(len(height))
    drift = gaussian_filter1d(np.interp(times, frames, height[frames]), _DRIFT_S * captured.rate_hz / 2, mode="nearest")
    uneven = float(np.ptp(np.percentile(height[np.isfinite(height)], (5, 95))))
    if uneven > _UNEVEN_M:
        raise RecordingError(f"{captured.name}: the floor is not level ({uneven:.2f} m)")
    return replace(captured, pelvis=captured.pelvis - drift[:, None] * (0.0, 0.0, 1.0))


def stand_firmly(captured: CapturedMotion) -> CapturedMotion:
    """The motion with each foot held in place while it stands; the legs follow by inverse kinematics.

    Raises:
        RecordingError: the feet slide faster than stances can be told from swings.
    """
    soles = sole_points(captured)
    standing = _standing(captured, soles)
    rotations, positions = captured.rotations.copy(), captured.positions()
    shifts = [_holding_shift(soles[:, foot], standing[:, foot]) for foot in (0, 1)]
    ankles = [positions[:, JOINT[f"{s}_Foot"]] + shift for s, shift in zip("LR", shifts, strict=True)]
    hips = [positions[:, JOINT[f"{s}_UpperLeg"]] - positions[:, 0] for s in "LR"]
    lengths = [float(np.linalg.norm(captured.offsets[JOINT[f"L_{part}"]])) for part in ("LowerLeg", "Foot")]
    pelvis = captured.pelvis.copy()
    pelvis[:, 2] = supported_height(pelvis, hips, ankles, 0.998 * sum(lengths), round(0.0625 * captured.rate_hz))
    for foot, side in enumerate("LR"):
        hip, knee, ankle = (JOINT[f"{side}_{part}"] for part in ("UpperLeg", "LowerLeg", "Foot"))
        pole = positions[:, knee] - (positions[:, hip] + positions[:, ankle]) / 2 + 0.05 * rotations[:, 0, :, 0]
        upper, lower = two_bone(pelvis + hips[foot], ankles[foot], pole, *lengths)
        rotations[:, hip] = hinge_frames(upper, rotations[:, hip, :, 1])
        rotations[:, knee] = hinge_frames(lower, rotations[:, hip, :, 1])
    return replace(captured, pelvis=pelvis, rotations=rotations, contacts=np.asarray(standing.any(axis=-1)))


def _standing(captured: CapturedMotion, soles: Array) -> NDArray[np.bool_]:
    """Which sole points stand, (T, 2 feet, 2)."""
    speed = np.linalg.norm(np.gradient(soles[..., :2], axis=0), axis=-1) * captured.rate_hz
    standing = (soles[..., 2] < _STANCE_M) & (speed < _STANCE_MPS)
    standing = median_filter(standing.astype(np.uint8), size=(5, 1, 1)).astype(bool)
    path = gaussian_filter1d(captured.pelvis[:, :2], 0.1 * captured.rate_hz, axis=0, mode="nearest")
    slow = np.linalg.norm(np.gradient(path, axis=0), axis=1) * captured.rate_hz < _WALK_MPS
    low = soles[..., 2].min(axis=(1, 2)) < _STANCE_M
    sliding = slow & low & ~standing.any(axis=(1, 2))
    if sliding.mean() > _SLIDING_SHARE and sliding.sum() > _SLIDING_S * captured.rate_hz:
        raise RecordingError(
            f"{captured.name}: the feet slide; in {sliding.mean():.0%} of the frames a foot touches the floor, none "
            f"is slower than {_STANCE_MPS} m/s, and the body does not run"
        )
    return standing


def _holding_shift(sole: Array, standing: NDArray[np.bool_]) -> Array:
    """The shift (T, 3) of a foot (heel and toe points, (T, 2, 3)) that keeps its standing point still.

    The toe counts where both stand. Between stances the shift is interpolated.
    """
    point = np.where(standing[:, 1], 1, 0)
    planted = standing.any(axis=1)
    frames = np.flatnonzero(planted)
    if not len(frames):
        return np.zeros((len(sole), 3))
    shift, held = np.zeros((len(frames), 3)), np.zeros(3)
    for k, frame in enumerate(frames):  # within a stance the shift continues from heel to toe
        place = sole[frame, point[frame]]
        if k == 0 or frames[k - 1] != frame - 1:
            anchor, held = place, np.zeros(3)
        elif point[frame] != point[frame - 1]:
            anchor = sole[frame - 1, point[frame]] + held
        held = anchor - place
        shift[k] = held
    for run in np.split(np.arange(len(frames)), np.flatnonzero(np.diff(frames) > 1) + 1):
        shift[run, :2] -= (shift[run, :2].max(axis=0) + shift[run, :2].min(axis=0)) / 2  # the smallest shift
        shift[run, 2] -= np.min(sole[frames[run], :, 2].min(axis=1) + shift[run, 2])  # on the floor
    times = np.arange(len(sole))
    wanted = np.stack([np.interp(times, frames, shift[:, k]) for k in range(3)], axis=-1)
    below = -(sole[..., 2].min(axis=1) + wanted[:, 2])
    wanted[:, 2] += np.where(planted, 0.0, np.maximum(below, 0.0))
    return wanted
