"""What is done when in a captured motion, by fixed rules on the speed of the root, its yaw rate and its height."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from training.datasets.mocap.retarget import JOINT, Captured

Array = NDArray[np.float64]

WALK_MPS, RUN_MPS = 0.3, 1.9  # from these speeds on one walks, runs
TURN_RPS = float(np.radians(30))  # from this yaw rate on one turns
LOW_SHARE = 0.78  # of the standing height of the pelvis, below which one is down
LEAN_RAD = float(np.radians(40))
LEAST_S = 0.6  # what lasts less belongs to what is before it
_SMOOTH_S = 0.25


@dataclass(frozen=True)
class Cut:
    """One action of a captured motion: its name, as in `planner.ACTIONS` where it is one, and from when to when (s)."""

    action: str
    start_s: float
    end_s: float


def frame_actions(captured: Captured) -> list[str]:
    """The action of every frame."""
    rate = captured.rate_hz
    path = gaussian_filter1d(captured.pelvis, _SMOOTH_S * rate, axis=0, mode="nearest")
    velocity = np.gradient(path[:, :2], axis=0) * rate
    yaw = np.unwrap(np.arctan2(captured.rotations[:, 0, 1, 0], captured.rotations[:, 0, 0, 0]))
    yaw = gaussian_filter1d(yaw, _SMOOTH_S * rate, mode="nearest")
    turning = np.gradient(yaw) * rate
    speed = np.linalg.norm(velocity, axis=1)
    ahead = velocity[:, 0] * np.cos(yaw) + velocity[:, 1] * np.sin(yaw)
    standing = float(np.percentile(captured.pelvis[:, 2], 90))
    lean = np.arccos(np.clip(captured.rotations[:, JOINT["T8"], 2, 2], -1, 1))
    return [
        _action(*row)
        for row in zip(speed, ahead, turning, path[:, 2] < LOW_SHARE * standing, lean > LEAN_RAD, strict=True)
    ]


def _action(speed: float, ahead: float, turning: float, low: bool, leaning: bool) -> str:
    side = ("" if abs(turning) < TURN_RPS else "_left") if turning > 0 else ("" if -turning < TURN_RPS else "_right")
    if speed >= RUN_MPS:
        return "run"
    if speed >= WALK_MPS:
        if ahead < -0.5 * speed:
            return "walk_back"
        return f"walk_turn{side}" if side else ("walk_forward" if ahead > 0.6 * speed else "step")
    if low:
        return "crouch"
    if leaning:
        return "bend"
    return f"turn{side}" if side else "stand_still"


def cut(captured: Captured) -> list[Cut]:
    """The actions of a captured motion, one after the other without gaps."""
    actions = frame_actions(captured)
    starts = [k for k in range(len(actions)) if k == 0 or actions[k] != actions[k - 1]]
    cuts: list[Cut] = []
    for start, end in zip(starts, [*starts[1:], len(actions)], strict=True):
        begin_s, end_s = start / captured.rate_hz, end / captured.rate_hz
        if cuts and (end_s - begin_s < LEAST_S or cuts[-1].action == actions[start]):
            cuts[-1] = Cut(cuts[-1].action, cuts[-1].start_s, end_s)
        else:
            cuts.append(Cut(actions[start], begin_s, end_s))
    return cuts
