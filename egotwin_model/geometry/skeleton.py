"""The 23-segment Xsens body: names, parents, a reference body and forward kinematics.

Every segment frame follows REP-103 (x forward, y left, z up) and equals the world frame when the body stands in
T-pose facing +x, so an identity rotation means "as in the T-pose". Order and parents: Nymeria's Xsens export.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

XSENS_JOINTS: tuple[str, ...] = (
    "Pelvis", "L5", "L3", "T12", "T8", "Neck", "Head",
    "R_Shoulder", "R_UpperArm", "R_Forearm", "R_Hand",
    "L_Shoulder", "L_UpperArm", "L_Forearm", "L_Hand",
    "R_UpperLeg", "R_LowerLeg", "R_Foot", "R_Toe",
    "L_UpperLeg", "L_LowerLeg", "L_Foot", "L_Toe",
)  # fmt: skip

XSENS_PARENTS: tuple[int, ...] = (-1, 0, 1, 2, 3, 4, 5, 4, 7, 8, 9, 4, 11, 12, 13, 0, 15, 16, 17, 0, 19, 20, 21)

NUM_JOINTS = len(XSENS_JOINTS)
PELVIS = XSENS_JOINTS.index("Pelvis")
HEAD = XSENS_JOINTS.index("Head")
TOES = XSENS_JOINTS.index("R_Toe"), XSENS_JOINTS.index("L_Toe")
ANKLES = XSENS_JOINTS.index("R_Foot"), XSENS_JOINTS.index("L_Foot")

_OFFSETS = {
    "L5": (0.0, 0.0, 0.10), "L3": (0.0, 0.0, 0.105), "T12": (0.0, 0.0, 0.095), "T8": (0.0, 0.0, 0.095),
    "Neck": (0.0, 0.0, 0.135), "Head": (0.0, 0.0, 0.085),
    "Shoulder": (0.0, 0.03, 0.085), "UpperArm": (0.0, 0.14, 0.0), "Forearm": (0.0, 0.29, 0.0), "Hand": (0.0, 0.25, 0.0),
    "UpperLeg": (0.0, 0.085, 0.0), "LowerLeg": (0.0, 0.0, -0.42), "Foot": (0.0, 0.0, -0.42), "Toe": (0.15, 0.0, -0.06),
}  # fmt: skip


def reference_offsets() -> NDArray[np.float64]:
    """Joint offsets of a 1.75 m person from each joint's parent, in the parent's frame: (23, 3) metres.

    The pelvis (hip centre) has offset zero; it stands 0.93 m above the floor in T-pose.
    """
    offsets = np.zeros((NUM_JOINTS, 3))
    for index, name in enumerate(XSENS_JOINTS[1:], start=1):
        x, y, z = _OFFSETS[name.removeprefix("R_").removeprefix("L_") if name[1] == "_" else name]
        offsets[index] = (x, -y if name.startswith("R_") else y, z)
    return offsets


REFERENCE_PELVIS_HEIGHT = 0.93


def local_rotations(rotations: NDArray[np.floating]) -> NDArray[np.floating]:
    """Rotation of each joint relative to its parent, (..., 23, 3, 3); the pelvis keeps its global rotation."""
    parents = np.array(XSENS_PARENTS)
    local = rotations.copy()
    local[..., 1:, :, :] = np.swapaxes(rotations[..., parents[1:], :, :], -1, -2) @ rotations[..., 1:, :, :]
    return local


def global_rotations(local: NDArray[np.float64]) -> NDArray[np.float64]:
    """Global rotations (..., 23, 3, 3) from rotations relative to the parents (..., 23, 3, 3)."""
    rotations = local.copy()
    for joint, parent in enumerate(XSENS_PARENTS[1:], start=1):
        rotations[..., joint, :, :] = rotations[..., parent, :, :] @ local[..., joint, :, :]
    return rotations


def forward_kinematics(
    pelvis_positions: NDArray[np.floating], rotations: NDArray[np.floating], offsets: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Global joint positions from the pelvis path and *global* joint rotations.

    Args:
        pelvis_positions: (..., 3) metres.
        rotations: (..., 23, 3, 3) global rotations of the segment frames.
        offsets: (..., 23, 3) metres, each joint's offset in its parent's frame (`reference_offsets`, or scaled).

    Returns:
        (..., 23, 3) positions in the frame of the inputs.
    """
    parents = np.array(XSENS_PARENTS)
    bones = np.einsum("...jab,...jb->...ja", rotations[..., parents[1:], :, :], offsets[..., 1:, :])
    positions = np.empty((*rotations.shape[:-2], 3), dtype=np.result_type(pelvis_positions, rotations))
    positions[..., 0, :] = pelvis_positions
    for joint, parent in enumerate(XSENS_PARENTS[1:], start=1):  # 22 steps down the tree, over all frames at once
        positions[..., joint, :] = positions[..., parent, :] + bones[..., joint - 1, :]
    return positions
