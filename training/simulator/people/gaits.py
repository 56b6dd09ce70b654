"""Walk cycles from real motion capture, on the 23-segment Xsens body.

The default is ``humanoid3d_walk`` of the ``pybullet_data`` package: JSON rows of duration, root position, root
quaternion (w, x, y, z) and joint rotations, y up, z to the right, arms hanging in the rest pose. It is retargeted
(z up, y left, T-pose rest), smoothed to a few harmonics, and made symmetric between left and right.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from egotwin_model.geometry.skeleton import (
    XSENS_JOINTS,
    forward_kinematics,
    global_rotations,
    reference_offsets,
)

SAMPLES = 64
_HARMONICS = 5
_INDEX = {name: index for index, name in enumerate(XSENS_JOINTS)}
_MIRROR = np.array(
    [_INDEX[("L" if n[0] == "R" else "R") + n[1:]] if n[1] == "_" else _INDEX[n] for n in XSENS_JOINTS], dtype=int
)
# First column of each joint in a row of the clip and the Xsens segments among which its rotation is shared.
_BALL_JOINTS = {
    8: ("L5", "L3", "T12", "T8"), 12: ("Neck", "Head"), 16: ("R_UpperLeg",), 21: ("R_Foot",), 25: ("R_UpperArm",),
    30: ("L_UpperLeg",), 35: ("L_Foot",), 39: ("L_UpperArm",),
}  # fmt: skip
_HINGES = {20: "R_LowerLeg", 29: "R_Forearm", 34: "L_LowerLeg", 43: "L_Forearm"}
_HANG = {"R": np.array([np.pi / 2, 0, 0]), "L": np.array([-np.pi / 2, 0, 0])}  # T-pose arm to hanging arm


@dataclass(frozen=True, eq=False)
class WalkCycle:
    """One stride sampled at 64 phases; phase 0 = right toe-off, 0.5 = left toe-off.

    Attributes:
        local_rotvecs: (64, 23, 3) radians, rotation of each segment relative to its parent (pelvis: to the heading).
        sway: (64, 3) metres, pelvis path less its mean forward motion (x forward, y left, z up, zero mean).
        foot_pitch: (64,) radians, right foot's pitch to the floor, positive = heel up.
        swing_fraction: part of the stride a foot is in the air (from toe-off to heel strike).
        stride: metres per stride.
        duration_s: seconds per stride.
    """

    local_rotvecs: NDArray[np.float64]
    sway: NDArray[np.float64]
    foot_pitch: NDArray[np.float64]
    swing_fraction: float
    stride: float
    duration_s: float


def _to_ros(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """From the clip's axes (x forward, y up, z right) to x forward, y left, z up."""
    return np.stack([vectors[..., 0], -vectors[..., 2], vectors[..., 1]], axis=-1)


def load_clip(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Reads a humanoid3d clip: frame times (T,) s, root path (T, 3) m and local rotation vectors (T, 23, 3), z up."""
    text = files("pybullet_data").joinpath(f"data/motions/humanoid3d_{name}.txt").read_text()
    rows = np.array(json.loads(text)["Frames"], dtype=float)
    times = np.concatenate([[0.0], np.cumsum(rows[:-1, 0])])
    local = np.zeros((len(rows), len(XSENS_JOINTS), 3))

    def ball(column: int) -> NDArray[np.float64]:
        return _to_ros(Rotation.from_quat(rows[:, [column + 1, column + 2, column + 3, column]]).as_rotvec())

    local[:, 0] = ball(4)
    for column, segments in _BALL_JOINTS.items():
        for segment in segments:
            local[:, _INDEX[segment]] = ball(column) / len(segments)
    for column, segment in _HINGES.items():
        local[:, _INDEX[segment], 1] = -rows[:, column]
    for side, hang in _HANG.items():
        arm = Rotation.from_rotvec(local[:, _INDEX[f"{side}_UpperArm"]]) * Rotation.from_rotvec(hang)
        local[:, _INDEX[f"{side}_UpperArm"]] = arm.as_rotvec()
        forearm = Rotation.from_rotvec(hang).inv().apply(local[:, _INDEX[f"{side}_Forearm"]])
        local[:, _INDEX[f"{side}_Forearm"]] = forearm
    return times, _to_ros(rows[:, 1:4]), local


def _resample(values: NDArray[np.float64], symmetry: NDArray[np.float64]) -> NDArray[np.float64]:
    """Low-passes one period (T, ...) to 64 samples; ``symmetry`` is the same period mirrored."""

    def periodic(signal: NDArray[np.float64]) -> NDArray[np.float64]:
        spectrum = np.fft.rfft(signal, axis=0) / len(signal)
        padded = np.zeros((SAMPLES // 2 + 1, *signal.shape[1:]), dtype=complex)
        padded[: _HARMONICS + 1] = spectrum[: _HARMONICS + 1]
        return np.fft.irfft(padded, n=SAMPLES, axis=0) * SAMPLES

    return (periodic(values) + np.roll(periodic(symmetry), SAMPLES // 2, axis=0)) / 2


@cache
def walk_cycle() -> WalkCycle:
    """The walk cycle, read from ``pybullet_data`` once."""
    times, path, local = load_clip("walk")
    return cycle_of(path, local, float(times[-1]))


def cycle_of(path: NDArray[np.float64], local: NDArray[np.float64], duration_s: float) -> WalkCycle:
    """A walk cycle from one stride.

    Args:
        path: (N + 1, 3) metres of the pelvis, x along the course; the last row is one stride after the first.
        local: (N + 1, 23, 3) rotation vectors, of the pelvis to the course, of the others to their parents.
        duration_s: of the stride.
    """
    share = np.linspace(0, 1, len(path))
    stride = float(np.linalg.norm(path[-1, :2] - path[0, :2]))
    path = path - np.outer(share, path[-1] - path[0]) - path[0]
    local = local - share[:, None, None] * (local[-1] - local[0])
    path, local = path[:-1], local[:-1]  # the last row repeats the first
    local[:, 0, 2] -= local[:, 0, 2].mean()
    mirrored = local[:, _MIRROR] * np.array([-1.0, 1.0, -1.0])
    local = _resample(local, mirrored)
    sway = _resample(path, path * np.array([1.0, -1.0, 1.0]))
    sway -= sway.mean(axis=0)

    rotations = global_rotations(Rotation.from_rotvec(local.reshape(-1, 3)).as_matrix().reshape(SAMPLES, -1, 3, 3))
    positions = forward_kinematics(np.zeros((SAMPLES, 3)), rotations, reference_offsets())
    strike = int(np.argmax(positions[:, _INDEX["R_Foot"], 0]))
    toe_speed = np.gradient(np.tile(positions[:, _INDEX["R_Toe"], 0], 3))[SAMPLES : 2 * SAMPLES] * SAMPLES / stride + 1
    in_flight = np.roll(toe_speed, -strike) > 0.5  # seen from the heel strike, in mean walking speeds
    toe_off = (strike + SAMPLES // 4 + int(np.argmax(in_flight[SAMPLES // 4 :]))) % SAMPLES
    foot = rotations[:, _INDEX["R_Foot"]]
    return WalkCycle(
        local_rotvecs=np.roll(local, -toe_off, axis=0),
        sway=np.roll(sway, -toe_off, axis=0),
        foot_pitch=np.roll(np.arcsin(-foot[:, 2, 0]), -toe_off),
        swing_fraction=((strike - toe_off) % SAMPLES) / SAMPLES,
        stride=stride,
        duration_s=duration_s,
    )


def sample_cycle(table: NDArray[np.float64], phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Periodic linear interpolation of a table (64, ...) at phases (T,), in strides: (T, ...)."""
    position = (phase % 1.0) * SAMPLES
    low = np.floor(position).astype(int)
    part = (position - low).reshape(-1, *([1] * (table.ndim - 1)))
    return table[low % SAMPLES] * (1 - part) + table[(low + 1) % SAMPLES] * part
