"""Body motion as features: the paper's head-centric representation, and the common root-centric one.

Global joint positions and rotations go in and come out, as NumPy arrays or torch tensors (the same kind comes back,
float32 or float64 kept). Metres; head and world frames follow REP-103 (x forward, y left, z up). Spec: "Head-centric
motion representation".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from egotwin_model.errors import ModelError
from egotwin_model.geometry.skeleton import XSENS, Skeleton
from egotwin_model.motion.representation import (
    Array,
    BodyMotion,
    Representation,
    about_z,
    insert,
    like,
    previous,
    rotate,
    step_since_previous,
    turn_since_previous,
)
from egotwin_model.motion.rotation_6d import matrix_from_6d, matrix_to_6d
from egotwin_model.motion.statistics import MotionStatistics

__all__ = ["BodyMotion", "HeadCentric", "MotionStatistics", "RootCentric", "read_representation", "representation_of"]


@dataclass(frozen=True)
class HeadCentric(Representation):
    """Head-centric features (spec; 288 dimensions for J = 23), by name and size:

    h_r 6 | h_dr 6 | h_p 3 | h_dp 3 | j_p 3(J-1) | j_v 3(J-1) | j_r 6J

    `h_r`, `h_p`: head pose in the frame of the clip's first head pose (the clip frame). `h_dr`, `h_dp`: head motion
    since the previous frame, in the previous head frame. `j_p`: the other joints in the current head frame. `j_v`:
    their displacement since the previous frame, in the previous head frame. `j_r`: rotation of each joint relative to
    its parent.

    Decisions (ours; the paper is silent): the head's own, constant, position is left out of j_p and j_v, which gives
    the paper's 288; in frame 0 the displacements are zero and `h_dr` is the identity rotation; the root's entry in j_r
    is relative to the head frame; rotations are 6D, first two columns concatenated; axes follow REP-103.
    """

    kind: ClassVar[str] = "head-centric"

    @property
    def sizes(self) -> Mapping[str, int]:
        others = 3 * (self.num_joints - 1)
        return {"h_r": 6, "h_dr": 6, "h_p": 3, "h_dp": 3, "j_p": others, "j_v": others, "j_r": 6 * self.num_joints}

    @property
    def groups(self) -> Mapping[str, tuple[slice, ...]]:
        """The four groups of the motion VAE's loss."""
        parts = self.slices
        return {
            "head_3d": (parts["h_p"], parts["h_dp"]),
            "head_6d": (parts["h_r"], parts["h_dr"]),
            "joint_3d": (parts["j_p"], parts["j_v"]),
            "joint_6d": (parts["j_r"],),
        }

    def encode(self, positions: Array, rotations: Array) -> Any:
        """Features (..., T, D) of global joint positions (..., T, J, 3) and rotations (..., T, J, 3, 3).

        The result does not depend on the world frame. Raises `PoseError` where shapes do not fit the skeleton.
        """
        x, r = self.check(positions, rotations)
        head_r, others = r[..., self.head_index, :, :], self.others_than(self.head_index)
        # Distances first, then rotations: precise also far from the world's origin.
        joints = x[..., others, :] - x[..., self.head_index, None, :]
        travelled = x[..., self.head_index, :] - x[..., :1, self.head_index, :]
        parts = {
            "h_r": matrix_to_6d(head_r[..., :1, :, :].transpose(-1, -2) @ head_r),
            "h_dr": matrix_to_6d(turn_since_previous(head_r)),
            "h_p": rotate(head_r[..., :1, :, :].transpose(-1, -2), travelled),
            "h_dp": rotate(previous(head_r).transpose(-1, -2), step_since_previous(x[..., self.head_index, :])),
            "j_p": joints @ head_r,
            "j_v": step_since_previous(x[..., others, :], frame_axis=-3) @ previous(head_r),
            "j_r": matrix_to_6d(self.local_rotations(r, head_r)),
        }
        return like(self.join(parts, x.shape[:-2]), positions)

    def decode(self, features: Array) -> BodyMotion:
        """Motion in the clip frame from features (..., T, D), which may be a network's (6D is orthonormalised).

        The head comes from h_r and h_p, the other joints' positions from j_p and rotations down the chain of j_r; the
        head joint takes the head's pose. Raises `PoseError` where D does not fit the skeleton.
        """
        parts = self.split(features)
        head_r, head_p = matrix_from_6d(parts["h_r"]), parts["h_p"]
        joints = parts["j_p"].unflatten(-1, (-1, 3)) @ head_r.transpose(-1, -2) + head_p[..., None, :]
        rotations = self.global_rotations(matrix_from_6d(parts["j_r"].unflatten(-1, (-1, 6))), head_r)
        head = self.head_index
        return BodyMotion(
            positions=like(insert(joints, head_p, head, -2), features),
            rotations=like(insert(rotations[..., self.others_than(head), :, :], head_r, head, -3), features),
            head_positions=like(head_p, features),
            head_rotations=like(head_r, features),
        )

    def decode_in_clip_frame(self, features: Array) -> BodyMotion:
        """`decode`: this representation lives in the clip frame."""
        return self.decode(features)


@dataclass(frozen=True)
class RootCentric(Representation):
    """Root-centric features (HumanML3D style; 275 dimensions for J = 23), for the ablation:

    yaw_velocity 1 | xy_velocity 2 | height 1 | j_p 3(J-1) | j_r 6(J-1) | j_v 3J | contacts 4

    The root frame has the root's heading (yaw of its left axis) and gravity's up, which the caller's world must have
    along z with the floor at z = 0. Velocities are per frame, since the previous one, in the previous root frame and
    zero in frame 0; j_p is relative to the root's place on the floor; j_r is relative to the parent, for children of
    the root to the root *frame*. As everywhere in this style the root's own roll and pitch are not held: they decode
    to zero. Everything else round-trips. The head's path is not held either but integrated: this is what the
    paper's reformulation removes.

    Attributes:
        feet: names of the four joints tested for floor contact (moved less than `contact_distance` metres a frame).
    """

    feet: tuple[str, ...] = XSENS.feet
    contact_distance: float = 0.05
    kind: ClassVar[str] = "root-centric"

    def __post_init__(self) -> None:
        object.__setattr__(self, "feet", tuple(self.feet))
        super().__post_init__()

    @cached_property
    def skeleton(self) -> Skeleton:
        """The joints and the feet as a `Skeleton`."""
        return Skeleton(self.joint_names, self.parents, self.head, self.feet)

    @property
    def sizes(self) -> Mapping[str, int]:
        j = self.num_joints
        return {
            "yaw_velocity": 1,
            "xy_velocity": 2,
            "height": 1,
            "j_p": 3 * (j - 1),
            "j_r": 6 * (j - 1),
            "j_v": 3 * j,
            "contacts": len(self.feet),
        }

    @property
    def groups(self) -> Mapping[str, tuple[slice, ...]]:
        """Four groups for the motion VAE's loss, as `HeadCentric.groups`; the path it holds is the root's."""
        parts = self.slices
        return {
            "root": (parts["yaw_velocity"], parts["xy_velocity"], parts["height"]),
            "joint_3d": (parts["j_p"], parts["j_v"]),
            "joint_6d": (parts["j_r"],),
            "contacts": (parts["contacts"],),
        }

    def encode(self, positions: Array, rotations: Array) -> Any:
        """Features (..., T, D) of global joint positions (..., T, J, 3) and rotations (..., T, J, 3, 3).

        Independent of the world's origin in x and y and of its heading. Raises `PoseError` where shapes do not fit.
        """
        x, r = self.check(positions, rotations)
        root, others = x[..., self.root_index, :], self.others_than(self.root_index)
        left = r[..., self.root_index, :, 1]
        heading = about_z(torch.atan2(-left[..., 0], left[..., 1]))
        turn = turn_since_previous(heading)
        floor = torch.cat([root[..., :2], torch.zeros_like(root[..., 2:])], dim=-1)
        step = step_since_previous(x, frame_axis=-3)
        moved = torch.linalg.vector_norm(step[..., self.skeleton.foot_indices, :], dim=-1)
        if moved.shape[-2] > 1:  # frame 0 has no step of its own
            moved = torch.cat([moved[..., 1:2, :], moved[..., 1:, :]], dim=-2)
        parts = {
            "yaw_velocity": torch.atan2(turn[..., 1, 0], turn[..., 0, 0])[..., None],
            "xy_velocity": rotate(previous(heading).transpose(-1, -2), step_since_previous(root))[..., :2],
            "height": root[..., 2:],
            "j_p": (x[..., others, :] - floor[..., None, :]) @ heading,
            "j_r": matrix_to_6d(self._with_root(r, heading)[..., others, :, :]),
            "j_v": step @ previous(heading),
            "contacts": (moved < self.contact_distance).to(x.dtype),
        }
        return like(self.join(parts, x.shape[:-2]), positions)

    def _with_root(self, rotations: Tensor, heading: Tensor) -> Tensor:
        """Local rotations with the root joint's rotation replaced by its heading."""
        others = rotations[..., self.others_than(self.root_index), :, :]
        return self.local_rotations(insert(others, heading, self.root_index, -3), heading)

    def decode(self, features: Array) -> BodyMotion:
        """Motion integrated from features (..., T, D): z up, floor at z = 0, first root over the origin, facing +x.

        This frame keeps gravity, so that `encode` of the result gives the features back; call
        `BodyMotion.relative_to_first_head` for the head-centric clip frame.
        """
        parts = self.split(features)
        heading = about_z(torch.cumsum(parts["yaw_velocity"][..., 0], dim=-1))
        velocity = torch.cat([parts["xy_velocity"], torch.zeros_like(parts["height"])], dim=-1)
        floor = torch.cumsum(rotate(previous(heading), velocity), dim=-2)
        root = floor + torch.cat([torch.zeros_like(parts["xy_velocity"]), parts["height"]], dim=-1)
        joints = parts["j_p"].unflatten(-1, (-1, 3)) @ heading.transpose(-1, -2) + floor[..., None, :]
        local = matrix_from_6d(parts["j_r"].unflatten(-1, (-1, 6)))
        identity = torch.eye(3, dtype=local.dtype, device=local.device).expand_as(heading)
        rotations = self.global_rotations(insert(local, identity, self.root_index, -3), heading)
        positions = insert(joints, root, self.root_index, -2)
        return BodyMotion(
            positions=like(positions, features),
            rotations=like(rotations, features),
            head_positions=like(positions[..., self.head_index, :], features),
            head_rotations=like(rotations[..., self.head_index, :, :], features),
        )

    def decode_in_clip_frame(self, features: Array) -> BodyMotion:
        """`decode`, in the frame of the clip's first head pose, as head-centric motion is."""
        return self.decode(features).relative_to_first_head()


def representation_of(kind: str, skeleton: Skeleton = XSENS) -> HeadCentric | RootCentric:
    """The representation of a kind, "head-centric" or "root-centric", for bodies with this skeleton.

    Raises:
        ModelError: an unknown kind.
    """
    description = {"joint_names": skeleton.joint_names, "parents": skeleton.parents, "head": skeleton.head}
    if kind == RootCentric.kind:
        description["feet"] = skeleton.feet
    return read_representation({"kind": kind, **description})


def read_representation(description: Mapping[str, Any]) -> HeadCentric | RootCentric:
    """What `describe` wrote; only "kind" ("head-centric" or "root-centric") is needed, the skeleton defaults to Xsens.

    Raises:
        ModelError: an unknown kind or setting. PoseError: an impossible skeleton.
    """
    kinds = {kind.kind: kind for kind in (HeadCentric, RootCentric)}
    settings = {name: value for name, value in description.items() if name != "kind"}
    if description.get("kind") not in kinds:
        raise ModelError(f"motion representation {description.get('kind')!r}: wanted one of {', '.join(kinds)}")
    try:
        return kinds[description["kind"]](**settings)
    except TypeError as error:
        raise ModelError(f"motion representation {description['kind']}: {error}") from error
