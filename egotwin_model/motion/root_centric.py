"""The common root-centric motion representation, for the ablation of the paper's head-centric one.

Arrays, units and frames as in `head_centric`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from array_api_compat import array_namespace

from egotwin_model.geometry.rotations import rotation_z
from egotwin_model.geometry.skeleton import XSENS, Skeleton
from egotwin_model.motion.representation import (
    Array,
    BodyMotion,
    Representation,
    identity_like,
    insert,
    previous,
    rotate,
    step_since_previous,
    transposed,
    turn_since_previous,
    unflattened,
)
from egotwin_model.motion.rotation_6d import matrix_from_6d, matrix_to_6d


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

    def encode(self, positions: Array, rotations: Array) -> Array:
        """Features (..., T, D) of global joint positions (..., T, J, 3) and rotations (..., T, J, 3, 3).

        Independent of the world's origin in x and y and of its heading. Raises `PoseError` where shapes do not fit.
        """
        x, r = self.check(positions, rotations)
        root, others = x[..., self.root_index, :], self.others_than(self.root_index)
        left = r[..., self.root_index, :, 1]
        xp = array_namespace(x)
        heading = rotation_z(xp.atan2(-left[..., 0], left[..., 1]))
        turn = turn_since_previous(heading)
        floor = xp.concat([root[..., :2], xp.zeros_like(root[..., 2:])], axis=-1)
        step = step_since_previous(x, frame_axis=-3)
        moved = xp.linalg.vector_norm(step[..., self.skeleton.foot_indices, :], axis=-1)
        if moved.shape[-2] > 1:  # frame 0 has no step of its own
            moved = xp.concat([moved[..., 1:2, :], moved[..., 1:, :]], axis=-2)
        parts = {
            "yaw_velocity": xp.atan2(turn[..., 1, 0], turn[..., 0, 0])[..., None],
            "xy_velocity": rotate(transposed(previous(heading)), step_since_previous(root))[..., :2],
            "height": root[..., 2:],
            "j_p": (x[..., others, :] - floor[..., None, :]) @ heading,
            "j_r": matrix_to_6d(self._with_root(r, heading)[..., others, :, :]),
            "j_v": step @ previous(heading),
            "contacts": xp.astype(moved < self.contact_distance, x.dtype),
        }
        return self.join(parts, x.shape[:-2])

    def _with_root(self, rotations: Array, heading: Array) -> Array:
        """Local rotations with the root joint's rotation replaced by its heading."""
        others = rotations[..., self.others_than(self.root_index), :, :]
        return self.local_rotations(insert(others, heading, self.root_index, -3), heading)

    def decode(self, features: Array) -> BodyMotion:
        """Motion integrated from features (..., T, D): z up, floor at z = 0, first root over the origin, facing +x.

        This frame keeps gravity, so that `encode` of the result gives the features back; call
        `BodyMotion.relative_to_first_head` for the head-centric clip frame.
        """
        parts = self.split(features)
        xp = array_namespace(features)
        heading = rotation_z(xp.cumulative_sum(parts["yaw_velocity"][..., 0], axis=-1))
        velocity = xp.concat([parts["xy_velocity"], xp.zeros_like(parts["height"])], axis=-1)
        floor = xp.cumulative_sum(rotate(previous(heading), velocity), axis=-2)
        root = floor + xp.concat([xp.zeros_like(parts["xy_velocity"]), parts["height"]], axis=-1)
        joints = unflattened(parts["j_p"], 3) @ transposed(heading) + floor[..., None, :]
        local = matrix_from_6d(unflattened(parts["j_r"], 6))
        rotations = self.global_rotations(insert(local, identity_like(heading), self.root_index, -3), heading)
        positions = insert(joints, root, self.root_index, -2)
        return BodyMotion(
            positions=positions,
            rotations=rotations,
            head_positions=positions[..., self.head_index, :],
            head_rotations=rotations[..., self.head_index, :, :],
        )

    def decode_in_clip_frame(self, features: Array) -> BodyMotion:
        """`decode`, in the frame of the clip's first head pose, as head-centric motion is."""
        return self.decode(features).relative_to_first_head()
