"""Where the camera is mounted on the head.

Optical frame: z forward, x right, y down. Head frame: x forward, y left, z up (REP-103).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egotwin_model.errors import CalibrationError


def _optical_axes(pitch_down: float) -> tuple[tuple[float, float, float], ...]:
    """R_head_camera (rows) of a camera looking forward, pitched down by `pitch_down` radians."""
    sin, cos = math.sin(pitch_down), math.cos(pitch_down)
    return ((0.0, -sin, cos), (-1.0, 0.0, 0.0), (0.0, -cos, -sin))


@dataclass(frozen=True)
class Mount:
    """T_head_camera: where the camera's optical frame sits in the head frame.

    The default is the mini model's: 0.09 m before and 0.07 m above the head joint (the top of the neck), so between
    the eyes, pitched 15 degrees down. Arrays are accepted and held as tuples, so mounts compare, hash and serialise.

    Attributes:
        translation: camera centre in the head frame, 3 metres.
        rotation: R_head_camera, 3 rows of 3; its columns are the optical x, y, z axes in the head frame.
    """

    translation: tuple[float, float, float] = (0.09, 0.0, 0.07)
    rotation: tuple[tuple[float, float, float], ...] = _optical_axes(math.radians(15.0))

    def __post_init__(self) -> None:
        translation = np.asarray(self.translation, dtype=np.float64)
        rotation = np.asarray(self.rotation, dtype=np.float64)
        if translation.shape != (3,) or rotation.shape != (3, 3):
            raise CalibrationError(
                f"camera mount with translation {translation.shape} and rotation {rotation.shape}: "
                "needs 3 metres and a 3x3 matrix R_head_camera"
            )
        if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-4) or not np.linalg.det(rotation) > 0:
            raise CalibrationError("camera mount: R_head_camera is not a rotation (orthonormal, determinant +1)")
        object.__setattr__(self, "translation", tuple(translation.tolist()))
        object.__setattr__(self, "rotation", tuple(tuple(row) for row in rotation.tolist()))

    @classmethod
    def looking_forward(cls, translation: Sequence[float], pitch_down: float) -> Mount:
        """Camera at `translation` (m, head frame) facing the head's x axis, pitched down by `pitch_down` radians."""
        x, y, z = (float(v) for v in translation)
        return cls((x, y, z), _optical_axes(pitch_down))

    @classmethod
    def from_matrix(cls, matrix: ArrayLike) -> Mount:
        """From T_head_camera, (4, 4)."""
        pose = np.asarray(matrix, dtype=np.float64)
        if pose.shape != (4, 4):
            raise CalibrationError(f"camera mount T_head_camera has shape {pose.shape}: wanted 4x4")
        return cls(tuple(pose[:3, 3].tolist()), tuple(tuple(row) for row in pose[:3, :3].tolist()))

    @property
    def matrix(self) -> NDArray[np.float64]:
        """T_head_camera, (4, 4)."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.rotation
        matrix[:3, 3] = self.translation
        return matrix

    def camera_pose(
        self, head_position: NDArray[np.floating], head_rotation: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        """T_world_camera (..., 4, 4) of the optical frame, from head position (..., 3) m and rotation (..., 3, 3)."""
        pose = np.zeros((*head_position.shape[:-1], 4, 4), dtype=np.result_type(head_position, head_rotation))
        pose[..., :3, :3] = head_rotation @ np.asarray(self.rotation)
        pose[..., :3, 3] = head_position + head_rotation @ np.asarray(self.translation)
        pose[..., 3, 3] = 1.0
        return pose
