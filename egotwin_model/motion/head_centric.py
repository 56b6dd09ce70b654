"""The paper's head-centric motion representation.

Global joint positions and rotations go in and come out, as NumPy arrays or torch tensors (the same kind comes back,
float32 or float64 kept). Metres; head and world frames follow REP-103 (x forward, y left, z up). Spec: "Head-centric
motion representation".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from egotwin_model.motion.representation import (
    Array,
    BodyMotion,
    Representation,
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

    def encode(self, positions: Array, rotations: Array) -> Array:
        """Features (..., T, D) of global joint positions (..., T, J, 3) and rotations (..., T, J, 3, 3).

        The result does not depend on the world frame. Raises `PoseError` where shapes do not fit the skeleton.
        """
        x, r = self.check(positions, rotations)
        head_r, others = r[..., self.head_index, :, :], self.others_than(self.head_index)
        # Distances first, then rotations: precise also far from the world's origin.
        joints = x[..., others, :] - x[..., self.head_index, None, :]
        travelled = x[..., self.head_index, :] - x[..., :1, self.head_index, :]
        parts = {
            "h_r": matrix_to_6d(transposed(head_r[..., :1, :, :]) @ head_r),
            "h_dr": matrix_to_6d(turn_since_previous(head_r)),
            "h_p": rotate(transposed(head_r[..., :1, :, :]), travelled),
            "h_dp": rotate(transposed(previous(head_r)), step_since_previous(x[..., self.head_index, :])),
            "j_p": joints @ head_r,
            "j_v": step_since_previous(x[..., others, :], frame_axis=-3) @ previous(head_r),
            "j_r": matrix_to_6d(self.local_rotations(r, head_r)),
        }
        return self.join(parts, x.shape[:-2])

    def decode(self, features: Array) -> BodyMotion:
        """Motion in the clip frame from features (..., T, D), which may be a network's (6D is orthonormalised).

        The head comes from h_r and h_p, the other joints' positions from j_p and rotations down the chain of j_r; the
        head joint takes the head's pose. Raises `PoseError` where D does not fit the skeleton.
        """
        parts = self.split(features)
        head_r, head_p = matrix_from_6d(parts["h_r"]), parts["h_p"]
        joints = unflattened(parts["j_p"], 3) @ transposed(head_r) + head_p[..., None, :]
        rotations = self.global_rotations(matrix_from_6d(unflattened(parts["j_r"], 6)), head_r)
        head = self.head_index
        return BodyMotion(
            positions=insert(joints, head_p, head, -2),
            rotations=insert(rotations[..., self.others_than(head), :, :], head_r, head, -3),
            head_positions=head_p,
            head_rotations=head_r,
        )

    def decode_in_clip_frame(self, features: Array) -> BodyMotion:
        """`decode`: this representation lives in the clip frame."""
        return self.decode(features)
