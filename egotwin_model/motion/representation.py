"""What motion representations share: the motion itself, the skeleton's chains, the layout of a feature vector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from egotwin_model.errors import PoseError
from egotwin_model.geometry.skeleton import XSENS_JOINTS, XSENS_PARENTS, Skeleton

Array = NDArray[np.floating] | Tensor


@dataclass(frozen=True)
class BodyMotion:
    """The motion of one body over T poses, all in one frame. NumPy arrays or torch tensors.

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
    """What both representations share: the skeleton, and the layout of the feature vector.

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
        """Kind and skeleton for a configuration file; `motion.read_representation` reads it."""
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

    def check(self, positions: Array, rotations: Array) -> tuple[Tensor, Tensor]:
        wanted = (self.num_joints, 3)
        if positions.shape[-2:] != wanted or rotations.shape != (*positions.shape, 3) or positions.ndim < 3:
            raise PoseError(
                f"positions {tuple(positions.shape)} and rotations {tuple(rotations.shape)}: wanted (..., T, "
                f"{wanted[0]}, 3) and (..., T, {wanted[0]}, 3, 3) for a body of {wanted[0]} joints"
            )
        x = as_tensor(positions)
        return x, as_tensor(rotations).to(x.dtype)

    def split(self, features: Array) -> dict[str, Tensor]:
        if features.shape[-1] != self.dim or features.ndim < 2:
            raise PoseError(
                f"motion features {tuple(features.shape)}: wanted (..., T, {self.dim}) for {self.num_joints} joints"
            )
        tensor = as_tensor(features)
        return {name: tensor[..., part] for name, part in self.slices.items()}

    def join(self, parts: Mapping[str, Tensor], frames: torch.Size) -> Tensor:
        return torch.cat([parts[name].reshape(*frames, -1) for name in self.sizes], dim=-1)

    def local_rotations(self, rotations: Tensor, root_frame: Tensor) -> Tensor:
        """(..., J, 3, 3) relative to the parent; joints without one are relative to `root_frame` (..., 3, 3)."""
        parents = [self.num_joints if parent < 0 else parent for parent in self.parents]
        frames = torch.cat([rotations, root_frame[..., None, :, :]], dim=-3)
        return frames[..., parents, :, :].transpose(-1, -2) @ rotations

    def global_rotations(self, local: Tensor, root_frame: Tensor) -> Tensor:
        """Inverse of `local_rotations`, by doubling the length of every chain at once (log2(depth) products)."""
        top, end = self.num_joints, self.num_joints + 1  # indices of the root frame, and of the identity above it
        identity = torch.eye(3, dtype=local.dtype, device=local.device).expand_as(root_frame)
        chain = torch.cat([local, root_frame[..., None, :, :], identity[..., None, :, :]], dim=-3)
        ancestors = np.array([top if parent < 0 else parent for parent in self.parents] + [end, end])
        while (ancestors != end).any():
            chain = chain[..., ancestors, :, :] @ chain
            ancestors = ancestors[ancestors]
        return chain[..., :top, :, :]


def as_tensor(array: Array) -> Tensor:
    return array if isinstance(array, Tensor) else torch.from_numpy(np.ascontiguousarray(array))


def like(tensor: Tensor, original: Array) -> Any:
    return tensor if isinstance(original, Tensor) else tensor.numpy()


def transposed(matrices: Any) -> Any:
    return matrices.swapaxes(-1, -2)


def rotate(matrices: Array, vectors: Array) -> Any:
    return (matrices @ vectors[..., None])[..., 0]


def previous(rotations: Tensor) -> Tensor:
    """(..., T, 3, 3) one frame earlier; frame 0 stands for its own predecessor."""
    return torch.cat([rotations[..., :1, :, :], rotations[..., :-1, :, :]], dim=-3)


def turn_since_previous(rotations: Tensor) -> Tensor:
    """(..., T, 3, 3) R_{t-1}^T R_t, exactly the identity in frame 0."""
    change = rotations[..., :-1, :, :].transpose(-1, -2) @ rotations[..., 1:, :, :]
    identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device).expand_as(rotations[..., :1, :, :])
    return torch.cat([identity, change], dim=-3)


def step_since_previous(values: Tensor, frame_axis: int = -2) -> Tensor:
    """Difference to the previous frame, zero in frame 0."""
    return torch.diff(values, dim=frame_axis, prepend=values.narrow(frame_axis, 0, 1))


def about_z(angle: Tensor) -> Tensor:
    """(...) radians to (..., 3, 3) rotations about z."""
    sin, cos, zero, one = angle.sin(), angle.cos(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], dim=-1).unflatten(-1, (3, 3))


def insert(values: Tensor, value: Tensor, index: int, axis: int) -> Tensor:
    """`value` put in at `index` of `axis`."""
    before, after = values.split([index, values.shape[axis] - index], dim=axis)
    return torch.cat([before, value.unsqueeze(axis), after], dim=axis)
