"""Skeletons: which joints a body has and how they hang together; the 23-segment Xsens body; forward kinematics.

Every segment frame follows REP-103 (x forward, y left, z up) and equals the world frame when the body stands in
T-pose facing +x, so an identity rotation means "as in the T-pose". The Xsens body's order and parents are Nymeria's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import PoseError

XSENS_JOINTS: tuple[str, ...] = (
    "Pelvis", "L5", "L3", "T12", "T8", "Neck", "Head",
    "R_Shoulder", "R_UpperArm", "R_Forearm", "R_Hand",
    "L_Shoulder", "L_UpperArm", "L_Forearm", "L_Hand",
    "R_UpperLeg", "R_LowerLeg", "R_Foot", "R_Toe",
    "L_UpperLeg", "L_LowerLeg", "L_Foot", "L_Toe",
)  # fmt: skip

XSENS_PARENTS: tuple[int, ...] = (-1, 0, 1, 2, 3, 4, 5, 4, 7, 8, 9, 4, 11, 12, 13, 0, 15, 16, 17, 0, 19, 20, 21)


@dataclass(frozen=True)
class Skeleton:
    """A body's joints: one tree of distinct names, in any order.

    Attributes:
        joint_names: J names. parents: index of each joint's parent, -1 for the root.
        head: name of the joint that carries the camera.
        feet: names of the joints that touch the floor; may be empty.

    Raises:
        PoseError: names and parents are no tree, or it lacks the head or a foot.
    """

    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    head: str = "Head"
    feet: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("joint_names", "parents", "feet"):  # JSON gives lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        _check_tree(self.joint_names, self.parents)
        if self.head not in self.joint_names:
            raise PoseError(f"skeleton has no joint {self.head!r} for a head; name the one that carries it (head=…)")
        if unknown := [name for name in self.feet if name not in self.joint_names]:
            raise PoseError(f"skeleton has no joints {unknown} to test for floor contact; name its own (feet=…)")

    def describe(self) -> dict[str, Any]:
        """The skeleton as JSON values; `Skeleton.read` is the inverse."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def read(cls, description: Mapping[str, Any]) -> Skeleton:
        """The skeleton that `describe` gave; the Xsens one where nothing is given.

        Raises:
            PoseError: entries are missing or unknown, or name no skeleton.
        """
        if not description:
            return XSENS
        try:
            return cls(**description)
        except TypeError as error:
            raise PoseError(f"skeleton of {', '.join(description)}: {error}") from error

    @property
    def num_joints(self) -> int:
        return len(self.joint_names)

    @cached_property
    def head_index(self) -> int:
        return self.joint_names.index(self.head)

    @cached_property
    def root_index(self) -> int:
        return self.parents.index(-1)

    @cached_property
    def foot_indices(self) -> list[int]:
        return [self.joint_names.index(name) for name in self.feet]

    @cached_property
    def bones(self) -> list[tuple[int, int]]:
        """(joint, its parent) of all joints but the root, every parent before its children."""
        reached, found = {self.root_index}, []
        while len(reached) < self.num_joints:
            for joint, parent in enumerate(self.parents):
                if joint not in reached and parent in reached:
                    reached.add(joint)
                    found.append((joint, parent))
        return found

    @cached_property
    def bone_arrays(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """`bones` as two arrays (J - 1,): the joints, and their parents."""
        joints, parents = np.array(self.bones, dtype=np.intp).reshape(-1, 2).T
        return joints, parents


def _check_tree(names: tuple[str, ...], parents: tuple[int, ...]) -> None:
    if len(names) != len(parents) or len(set(names)) != len(names):
        raise PoseError(
            f"skeleton of {len(names)} joint names ({len(set(names))} different) and {len(parents)} parents: "
            "wanted one parent for each name, and no name twice"
        )
    if list(parents).count(-1) != 1 or not all(-1 <= parent < len(names) for parent in parents):
        raise PoseError(f"parents {parents}: wanted one root, marked -1, and indices below {len(names)} for the others")
    ancestors = set(range(len(names)))
    for _ in names:  # after as many steps as there are joints, only joints of a ring still have ancestors
        ancestors = {parents[joint] for joint in ancestors if joint >= 0 and parents[joint] >= 0}
    if ancestors:
        raise PoseError(f"joints {sorted(names[joint] for joint in ancestors)} are their own ancestors; wanted a tree")


XSENS = Skeleton(XSENS_JOINTS, XSENS_PARENTS, "Head", ("L_Foot", "L_Toe", "R_Foot", "R_Toe"))
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


def local_rotations(rotations: NDArray[np.floating], skeleton: Skeleton = XSENS) -> NDArray[np.floating]:
    """Rotation of each joint relative to its parent, (..., J, 3, 3); the root keeps its global rotation."""
    joints, parents = skeleton.bone_arrays
    local = rotations.copy()
    local[..., joints, :, :] = np.swapaxes(rotations[..., parents, :, :], -1, -2) @ rotations[..., joints, :, :]
    return local


def global_rotations(local: NDArray[np.float64], skeleton: Skeleton = XSENS) -> NDArray[np.float64]:
    """Global rotations (..., J, 3, 3) from rotations relative to the parents (..., J, 3, 3)."""
    rotations = local.copy()
    for joint, parent in skeleton.bones:
        rotations[..., joint, :, :] = rotations[..., parent, :, :] @ local[..., joint, :, :]
    return rotations


def forward_kinematics(
    root_positions: NDArray[np.floating],
    rotations: NDArray[np.floating],
    offsets: NDArray[np.floating],
    skeleton: Skeleton = XSENS,
) -> NDArray[np.floating]:
    """Global joint positions from the path of the root (Xsens: the pelvis) and *global* joint rotations.

    Args:
        root_positions: (..., 3) metres.
        rotations: (..., J, 3, 3) global rotations of the segment frames.
        offsets: (..., J, 3) metres, each joint's offset in its parent's frame (`reference_offsets`, or scaled).

    Returns:
        (..., J, 3) positions in the frame of the inputs.
    """
    joints, parents = skeleton.bone_arrays
    bones = np.einsum("...jab,...jb->...ja", rotations[..., parents, :, :], offsets[..., joints, :])
    positions = np.empty((*rotations.shape[:-2], 3), dtype=np.result_type(root_positions, rotations))
    positions[..., skeleton.root_index, :] = root_positions
    for number, (joint, parent) in enumerate(skeleton.bones):  # down the tree, over all frames at once
        positions[..., joint, :] = positions[..., parent, :] + bones[..., number, :]
    return positions
