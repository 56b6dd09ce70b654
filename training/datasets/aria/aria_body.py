"""The wearer's body at each image: measured where there is a skeleton, else assumed under the measured head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.rotations import rotation_z
from egotwin_model.geometry.skeleton import (
    HEAD,
    NUM_JOINTS,
    REFERENCE_PELVIS_HEIGHT,
    XSENS_JOINTS,
    forward_kinematics,
    reference_offsets,
)

Array = NDArray[np.float64]
ARM_DROP = np.radians(80.0)  # from the T-pose down to hanging
STANDING_SCALES = (0.75, 1.25)  # shares of the reference head height within which the wearer can be standing

_ORIGIN = np.zeros(3)
_T_POSE = np.tile(np.eye(3), (NUM_JOINTS, 1, 1))
REFERENCE_HEAD_HEIGHT = REFERENCE_PELVIS_HEIGHT + float(
    forward_kinematics(_ORIGIN, _T_POSE, reference_offsets())[HEAD, 2]
)
"""Height of the reference body's head joint above the floor, standing, metres."""


@dataclass(frozen=True)
class Bodies:
    """Body poses in `map`, one per image.

    Attributes:
        positions: (T, 23, 3) m.
        rotations: (T, 23, 3, 3) global.
        tracked: (23,) which joints were measured; the others come from a body model.
    """

    positions: Array
    rotations: Array
    tracked: NDArray[np.bool_]


def head_poses(
    device_positions: Array, device_rotations: Array, R_device_head: Array, p_device_camera: Array, mount: Mount
) -> tuple[Array, Array]:
    """The head joint (T, 3), (T, 3, 3) from device poses, such that ``mount`` gives the camera's centre."""
    rotations = device_rotations @ R_device_head
    cameras = device_positions + device_rotations @ p_device_camera
    return cameras - rotations @ np.asarray(mount.translation), rotations


def standing_scale(head_positions: Array, floor_z: float | None) -> float:
    """Size of the assumed body relative to the reference, from the median head height above the floor.

    1 where the floor is unknown, or where the wearer cannot be standing at that height.
    """
    if floor_z is None:
        return 1.0
    scale = (float(np.median(head_positions[:, 2])) - floor_z) / REFERENCE_HEAD_HEIGHT
    return scale if STANDING_SCALES[0] <= scale <= STANDING_SCALES[1] else 1.0


def standing_bodies(head_positions: Array, head_rotations: Array, scale: float = 1.0) -> Bodies:
    """A standing body with hanging arms under each head; only the head is measured.

    The body is upright and has the head's heading.

    Args:
        head_positions, head_rotations: (T, 3) m and (T, 3, 3), in a frame with z up.
        scale: size relative to the 1.75 m reference body.
    """
    forward = head_rotations[:, :, 0] + 1e-3 * head_rotations[:, :, 2]  # looking down, the crown points forward
    headings = np.arctan2(forward[:, 1], forward[:, 0])
    stance = _T_POSE.copy()
    for side, sign in (("L", -1.0), ("R", 1.0)):
        drop = Rotation.from_euler("x", sign * ARM_DROP).as_matrix()
        for part in ("UpperArm", "Forearm", "Hand"):
            stance[XSENS_JOINTS.index(f"{side}_{part}")] = drop
    rotations = rotation_z(headings)[:, None] @ stance
    hung = forward_kinematics(np.zeros((len(headings), 3)), rotations, scale * reference_offsets())
    positions = np.asarray(hung + (head_positions - hung[:, HEAD])[:, None], np.float64)
    rotations[:, HEAD] = head_rotations
    tracked = np.zeros(NUM_JOINTS, bool)
    tracked[HEAD] = True
    return Bodies(positions, rotations, tracked)
