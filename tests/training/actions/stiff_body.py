"""A body without joints in its legs, in simple motions, for tests of the rules that recognise actions."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from egotwin_model.geometry.skeleton import XSENS_JOINTS, forward_kinematics, reference_offsets

POSES, RATE = 81, 16.0


def body(yaw: np.ndarray, forward: np.ndarray, turns: dict[str, np.ndarray] | None = None, pelvis_z: float = 0.93):
    """A stiff body that faces `yaw` (T,) rad and has gone `forward` (T,) m; `turns` of joints against it."""
    base = Rotation.from_euler("z", yaw[:, None]).as_matrix()
    rotations = np.repeat(base[:, None], 23, axis=1)
    for name, turn in (turns or {}).items():
        index = XSENS_JOINTS.index(name)
        rotations[:, index] = base @ turn
        if "UpperArm" in name:
            rotations[:, index + 1 : index + 3] = (base @ turn)[:, None]
    steps = np.diff(forward, prepend=0.0)
    path = np.cumsum(steps[:, None] * np.stack([np.cos(yaw), np.sin(yaw)], axis=-1), axis=0)
    pelvis = np.concatenate([path, np.full((len(yaw), 1), pelvis_z)], axis=-1)
    return forward_kinematics(pelvis, rotations, reference_offsets()), rotations


def arms(left: float = 1.4, right: float = 1.4) -> dict[str, np.ndarray]:
    """Arms from T-pose: 1.4 hang down, negative swings ahead (radians)."""
    found = {}
    for side, angle, sign in (("L", left, 1), ("R", right, -1)):
        axis = np.array([sign * angle, 0.0, 0.0]) if angle > 0 else np.array([0.0, 0.0, sign * angle])
        found[f"{side}_UpperArm"] = np.repeat(
            Rotation.from_rotvec(-axis if angle > 0 else axis).as_matrix()[None], POSES, 0
        )
    return found


t = np.linspace(0.0, 1.0, POSES)
zero = np.zeros(POSES)
early, late = np.clip(3 * t, 0, 1), np.clip(3 * t - 2, 0, 1)
MOTIONS = {
    "stand_still": body(zero, zero, arms()),
    "turn_left": body(1.5 * t, zero, arms()),
    "turn_right": body(-1.5 * t, zero, arms()),
    "turn_around_left": body(np.pi * t, zero, arms()),
    "walk_forward": body(zero, 3 * t, arms()),
    "walk_stop": body(zero, 3 * early, arms()),
    "turn_left_walk": body(1.5 * early, 3 * np.clip(1.5 * t - 0.5, 0, 1), arms()),
    "walk_turn_left": body(1.5 * late, 3 * t, arms()),
    "walk_back": body(zero, -2 * t, arms()),
    "reach": body(zero, zero, arms(left=-1.5)),
}
