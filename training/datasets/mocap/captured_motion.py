"""A captured motion on the Xsens body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.skeleton import XSENS_JOINTS, forward_kinematics

Array = NDArray[np.float64]
JOINT = {name: index for index, name in enumerate(XSENS_JOINTS)}
RATE_HZ = 48.0


@dataclass(frozen=True, eq=False)
class CapturedMotion:
    """A captured motion of the Xsens body, z up, floor at 0.

    Attributes:
        pelvis: (T, 3) m. rotations: (T, 23, 3, 3) global. offsets: (23, 3) m, the subject's joint offsets.
        contacts: (T, 2) bool, which foot (left, right) stands. rate_hz: poses per second. name: of the recording.
    """

    pelvis: Array
    rotations: Array
    offsets: Array
    contacts: NDArray[np.bool_]
    rate_hz: float
    name: str

    def positions(self) -> Array:
        """Joint positions (T, 23, 3) metres."""
        return np.asarray(forward_kinematics(self.pelvis, self.rotations, self.offsets), dtype=np.float64)
