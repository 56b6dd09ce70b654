"""Cuts a captured motion into actions, by fixed rules on the pelvis' speed, yaw rate and height and on the trunk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from egotwin_model.motion.head_path import heading
from training.actions.capture_frame import CaptureFrame
from training.actions.vocabulary import ACTIONS
from training.datasets.mocap.captured_motion import JOINT, CapturedMotion

Array = NDArray[np.float64]

LOW_SHARE = 0.78  # of the pelvis' standing height, below which a body is low
LEAN_RAD = float(np.radians(40))
LEAST_S = 0.6  # a shorter action is joined to the one before it
_SMOOTH_S = 0.25


@dataclass(frozen=True)
class Cut:
    """One action of a captured motion: its name, start and end, seconds."""

    action: str
    start_s: float
    end_s: float


def frame_actions(captured: CapturedMotion) -> list[str]:
    """The action of every frame."""
    rate = captured.rate_hz
    path = gaussian_filter1d(captured.pelvis, _SMOOTH_S * rate, axis=0, mode="nearest")
    velocity = np.gradient(path[:, :2], axis=0) * rate
    yaw = heading(captured.rotations[:, 0])
    yaw = gaussian_filter1d(yaw, _SMOOTH_S * rate, mode="nearest")
    turning = np.gradient(yaw) * rate
    speed = np.linalg.norm(velocity, axis=1)
    ahead = velocity[:, 0] * np.cos(yaw) + velocity[:, 1] * np.sin(yaw)
    standing = float(np.percentile(captured.pelvis[:, 2], 90))
    lean = np.arccos(np.clip(captured.rotations[:, JOINT["T8"], 2, 2], -1, 1))
    low, leaning = path[:, 2] < LOW_SHARE * standing, lean > LEAN_RAD
    rows = zip(speed, ahead, turning, low, leaning, strict=True)
    return [_action(CaptureFrame(*(value.item() for value in row))) for row in rows]


def _action(frame: CaptureFrame) -> str:
    """The name of the action that a frame shows."""
    shown = (action for action in ACTIONS.values() if action.in_capture and action.in_capture(frame))
    return next(shown).name_to(frame.side)


def cut(captured: CapturedMotion) -> list[Cut]:
    """The actions of a captured motion, in order and without gaps."""
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
