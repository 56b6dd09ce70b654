"""Base of the motion representations: body motion, the skeleton's chains, the layout of a feature vector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace, device

from egotwin_model.errors import PoseError
from egotwin_model.geometry.skeleton import XSENS_JOINTS, XSENS_PARENTS, Skeleton

Array = Any
"""A NumPy array or a torch tensor; what is computed from one is of its kind, dtype and device."""


@dataclass(frozen=True)
class BodyMotion:
    """The motion of one body over T poses, all in one frame of reference. NumPy arrays or torch tensors.

    Attributes:
        positions: (..., T, J, 3) metres.
        rotations: (..., T, J, 3, 3) global rotations of the segment frames.
        head_positions: (..., T, 3) metres.
        head_rotations: (..., T, 3, 3).
    """

    positions: Any
    rotations: Any
    head_positions: Any
    head_rotations: Any

    def transformed(self, rotation: Array, position: Array) -> BodyMotion:
        """The same motion seen from another frame: x -> rotation x + position.

        To bring a clip-frame motion into the caller's world, give the first head pose there.

        Args:
            rotation: (3, 3), or (..., 3, 3) with the motion's leading dimensions before T.
            position: (3,) or (..., 3) likewise, metres.
        """
        per_frame, offset = rotation[..., None, :, :], position[..., None, :]
        turned = self.positions @ transposed(per_frame)
        return BodyMotion(
            positions=turned + offset[..., None, :],
            rotations=per_frame[..., None, :, :] @ self.rotations,
            head_positions=rotate(per_frame, self.head_positions) + offset,
            head_rotations=per_frame @ self.head_rotations,
        )

    def relative_to_first_head(self) -> BodyMotion:
        """The same motion in the frame of its first head pose."""
        inverse = transposed(self.head_rotations[..., 0, :, :])
        centred = BodyMotion(
            positions=self.positions - self.head_positions[..., :1, None, :],
            rotations=self.rotations,
            head_positions=self.head_positions - self.head_positions[..., :1, :],
            head_rotations=self.head_rotations,
        )
        return centred.transformed(inverse, 0.0 * self.head_positions[..., 0, :])


@dataclass(frozen=True)
class Representation:
    """Base class of the representations: the skeleton, and the layout of the feature vector.

    Attributes:
        joint_names: J names; any skeleton with one root works (hands included), in any order.
        parents: index of each joint's parent, -1 for the root.
        head: name of the head joint.

    Raises:
        PoseError: names and parents are no such skeleton.
    """

    joint_names: tuple[str, ...] = XSENS_JOINTS
    parents: tuple[int, ...] = XSENS_PARENTS
    head: str = "Head"
    kind: ClassVar[str] = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "joint_names", tuple(self.joint_names))  # JSON gives lists
        object.__setattr__(self, "parents", tuple(self.parents))
        _ = self.skeleton  # refused here where it is none

    def describe(self) -> dict[str, Any]:
        """Kind and skeleton for a configuration file; `representation_kinds.read_representation` reads it."""
        return {"kind": self.kind, **asdict(self)}

    @cached_property
    def skeleton(self) -> Skeleton:
        """The joints as a `Skeleton`."""
        return Skeleton(self.joint_names, self.parents, self.head)

    @property
    def num_joints(self) -> int:
        return len(self.joint_names)

    @property
    def sizes(self) -> Mapping[str, int]:
        """Feature group name to its number of dimensions, in order."""
        raise NotImplementedError

    @cached_property
    def slices(self) -> Mapping[str, slice]:
        """Feature group name to its place in the feature vector."""
        ends = np.cumsum(list(self.sizes.values())).tolist()
        return {name: slice(end - size, end) for (name, size), end in zip(self.sizes.items(), ends, strict=True)}

    @property
    def dim(self) -> int:
        """Features per frame, D."""
        return sum(self.sizes.values())

    @property
    def head_index(self) -> int:
        return self.skeleton.head_index

    @property
    def root_index(self) -> int:
        return self.skeleton.root_index

    def others_than(self, joint: int) -> list[int]:
        return [index for index in range(self.num_joints) if index != joint]

    def check(self, positions: Array, rotations: Array) -> tuple[Array, Array]:
        """Positions (..., T, J, 3) and rotations (..., T, J, 3, 3) in one dtype; `PoseError` for another skeleton's."""
        wanted = (self.num_joints, 3)
        shape = tuple(positions.shape)
        if shape[-2:] != wanted or tuple(rotations.shape) != (*shape, 3) or len(shape) < 3:
            raise PoseError(
                f"positions {shape} and rotations {tuple(rotations.shape)}: wanted (..., T, "
                f"{wanted[0]}, 3) and (..., T, {wanted[0]}, 3, 3) for a body of {wanted[0]} joints"
            )
        return positions, array_namespace(positions).astype(rotations, positions.dtype, copy=False)

    def split(self, features: Array) -> dict[str, Array]:
        """Features (..., T, D) by group; `PoseError` for another D."""
        if features.shape[-1] != self.dim or features.ndim < 2:
            raise PoseError(
                f"motion features {tuple(features.shape)}: wanted (..., T, {self.dim}) for {self.num_joints} joints"
            )
        return {name: features[..., part] for name, part in self.slices.items()}

    def join(self, parts: Mapping[str, Array], frames: tuple[int, ...]) -> Array:
        """Inverse of `split`, for groups of any shape over the leading dimensions `frames`."""
        xp = array_namespace(*parts.values())
        sizes = self.sizes
        return xp.concat([xp.reshape(parts[name], (*frames, sizes[name])) for name in sizes], axis=-1)

    def local_rotations(self, rotations: Array, root_frame: Array) -> Array:
        """(..., J, 3, 3) relative to the parent; joints without one are relative to `root_frame` (..., 3, 3)."""
        parents = [self.num_joints if parent < 0 else parent for parent in self.parents]
        frames = array_namespace(rotations).concat([rotations, root_frame[..., None, :, :]], axis=-3)
        return transposed(frames[..., parents, :, :]) @ rotations

    def global_rotations(self, local: Array, root_frame: Array) -> Array:
        """Inverse of `local_rotations`, by doubling the length of every chain at once (log2(depth) products)."""
        top, end = self.num_joints, self.num_joints + 1  # indices of the root frame, and of the identity above it
        identity = identity_like(root_frame)
        chain = array_namespace(local).concat([local, root_frame[..., None, :, :], identity[..., None, :, :]], axis=-3)
        ancestors = np.array([top if parent < 0 else parent for parent in self.parents] + [end, end])
        while (ancestors != end).any():
            chain = chain[..., ancestors, :, :] @ chain
            ancestors = ancestors[ancestors]
        return chain[..., :top, :, :]


def transposed(matrices: Array) -> Array:
    """(..., m, n) to (..., n, m)."""
    return array_namespace(matrices).matrix_transpose(matrices)


def rotate(matrices: Array, vectors: Array) -> Array:
    """Vectors (..., 3) turned by matrices (..., 3, 3)."""
    return (matrices @ vectors[..., None])[..., 0]


def unflattened(values: Array, size: int) -> Array:
    """(..., n · size) to (..., n, size)."""
    return array_namespace(values).reshape(values, (*values.shape[:-1], -1, size))


def identity_like(rotations: Array) -> Array:
    """The identity in the shape, dtype and place of rotations (..., 3, 3)."""
    xp = array_namespace(rotations)
    return xp.broadcast_to(xp.eye(3, dtype=rotations.dtype, device=device(rotations)), rotations.shape)


def previous(rotations: Array) -> Array:
    """(..., T, 3, 3) one frame earlier; frame 0 stands for its own predecessor."""
    return array_namespace(rotations).concat([rotations[..., :1, :, :], rotations[..., :-1, :, :]], axis=-3)


def turn_since_previous(rotations: Array) -> Array:
    """(..., T, 3, 3) R_{t-1}^T R_t, exactly the identity in frame 0."""
    change = transposed(rotations[..., :-1, :, :]) @ rotations[..., 1:, :, :]
    return array_namespace(rotations).concat([identity_like(rotations[..., :1, :, :]), change], axis=-3)


def step_since_previous(values: Array, frame_axis: int = -2) -> Array:
    """Difference to the previous frame, zero in frame 0."""
    xp = array_namespace(values)
    return xp.diff(values, axis=frame_axis, prepend=along(values, frame_axis, 0, 1))


def insert(values: Array, value: Array, index: int, axis: int) -> Array:
    """`value` put in at `index` of `axis`."""
    xp = array_namespace(values)
    before, after = along(values, axis, 0, index), along(values, axis, index, values.shape[axis])
    return xp.concat([before, xp.expand_dims(value, axis=axis), after], axis=axis)


def along(values: Array, axis: int, start: int, stop: int) -> Array:
    """`values[start:stop]` along one axis."""
    place = [slice(None)] * values.ndim
    place[axis] = slice(start, stop)
    return values[tuple(place)]
