"""Bodies that several tests begin with."""

from __future__ import annotations

import numpy as np

from egotwin_model.egotwin.pipeline import BodyState
from egotwin_model.geometry.skeleton import (
    REFERENCE_PELVIS_HEIGHT,
    forward_kinematics,
    reference_offsets,
)


def standing(yaw: float = 0.0, at: tuple[float, float] = (0.0, 0.0)) -> BodyState:
    """Upright, arms out, turned and placed on the floor."""
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    rotations = np.repeat(turn[None], 23, axis=0)
    pelvis = np.array([*at, REFERENCE_PELVIS_HEIGHT])
    return BodyState(forward_kinematics(pelvis, rotations, reference_offsets()), rotations)
