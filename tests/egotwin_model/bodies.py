"""Bodies that several tests begin with."""

from __future__ import annotations

import numpy as np

from egotwin_model.egotwin.pipeline import BodyState
from egotwin_model.geometry.rotations import rotation_z
from egotwin_model.geometry.skeleton import (
    REFERENCE_PELVIS_HEIGHT,
    forward_kinematics,
    reference_offsets,
)


def standing(yaw: float = 0.0, at: tuple[float, float] = (0.0, 0.0)) -> BodyState:
    """Upright, arms out, turned and placed on the floor."""
    rotations = np.repeat(rotation_z(np.array([yaw])), 23, axis=0)
    pelvis = np.array([*at, REFERENCE_PELVIS_HEIGHT])
    return BodyState(forward_kinematics(pelvis, rotations, reference_offsets()), rotations)
