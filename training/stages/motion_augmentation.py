"""Augmentation of simulated motion: every joint bent at random, other paths, other body sizes.

A simulator covers little of the space of poses. A motion VAE trained on nothing else reconstructs that to centimetres
and a real person's pose only to decimetres. **Our decision**: the paper has recordings of people.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.spatial.transform import Rotation
from torch import Tensor

from egotwin_model.geometry.skeleton import Skeleton, forward_kinematics, global_rotations, local_rotations
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.root_centric import RootCentric
from training.stages.random_streams import RandomStreams

SLOW, FAST, FAST_SHARE = 6, 21, 0.25  # control points of slow and fast bends of a clip, weight of the fast ones
BEND_RAD = {  # standard deviation of a joint's bend about each axis
    "Pelvis": 0.25, "L5": 0.08, "L3": 0.08, "T12": 0.08, "T8": 0.08, "Neck": 0.15, "Head": 0.3, "Shoulder": 0.15,
    "UpperArm": 0.7, "Forearm": 0.6, "Hand": 0.35, "UpperLeg": 0.35, "LowerLeg": 0.3, "Foot": 0.25, "Toe": 0.15,
}  # fmt: skip
# standard deviations: of the root's path, and of the logarithms of the scales of path and body
WANDER_M, PATH_SCALE, BODY_SCALE = 0.25, 0.4, 0.08
OTHER_BEND_RAD = 0.15  # of joints without a name above: fingers, for instance


def varied(features: Tensor, representation: HeadCentric | RootCentric, share: float, streams: RandomStreams) -> Tensor:
    """Features (B, T, D), float32 and not standardised, with about `share` of the clips augmented.

    The strength is uniform from clip to clip, at most bends of `BEND_RAD`. The proportions of the bones are kept.
    """
    chosen = streams.uniform() < share
    strength = streams.uniform().numpy()
    skeleton, joints = representation.skeleton, representation.num_joints
    bends = _course(features.shape[1], streams, joints + 1)  # the last curve is the root's path
    scales = streams.normal(2).cpu().numpy()
    if not chosen.any():
        return features
    picked = chosen.numpy()
    motion = representation.decode_in_clip_frame(features[chosen])
    positions, rotations = np.asarray(motion.positions), np.asarray(motion.rotations)
    strength, bends, scales = strength[picked], bends[picked], scales[picked]
    amount = strength[:, None, None, None] * _bend_sizes(skeleton)[:, None]
    bend = Rotation.from_rotvec((amount * bends[..., :joints, :]).reshape(-1, 3)).as_matrix()
    turned = global_rotations(local_rotations(rotations, skeleton) @ bend.reshape(rotations.shape), skeleton)
    path, body = np.exp(strength[:, None] * scales * (PATH_SCALE, BODY_SCALE)).T[..., None, None]
    walked = positions[:, :, skeleton.root_index]
    root = walked[:, :1] + path * (walked - walked[:, :1])
    root = root + strength[:, None, None] * WANDER_M * bends[..., joints, :]
    offsets = body[..., None] * _offsets(positions, rotations, skeleton)[:, None]
    moved = forward_kinematics(root, turned, offsets, skeleton)
    encoded = representation.encode(moved.astype(np.float32), turned.astype(np.float32))
    return features.index_put((chosen.nonzero()[:, 0],), torch.from_numpy(encoded))


def _course(steps: int, streams: RandomStreams, count: int) -> NDArray[np.floating]:
    """Smooth random curves of about unit standard deviation, (clips, steps, count, 3)."""
    slow, fast = (streams.normal(points, count, 3).cpu().numpy() for points in (SLOW, FAST))
    return np.einsum("tp,bpjc->btjc", _spline(steps, SLOW), slow) + FAST_SHARE * np.einsum(
        "tp,bpjc->btjc", _spline(steps, FAST), fast
    )


def _spline(steps: int, points: int) -> NDArray[np.float64]:
    """Cubic B-spline basis (steps, points) over the clip."""
    inner = np.linspace(0, 1, points - 2)
    knots = np.concatenate([[0.0] * 3, inner, [1.0] * 3])
    return BSpline.design_matrix(np.linspace(0, 1, steps), knots, 3).toarray()


def _offsets(
    positions: NDArray[np.floating], rotations: NDArray[np.floating], skeleton: Skeleton
) -> NDArray[np.floating]:
    """Joint offsets (B, J, 3) in their parents' frames, from the first pose."""
    joints, parents = skeleton.bone_arrays
    bones = positions[:, 0, joints] - positions[:, 0, parents]
    offsets = np.zeros((len(positions), skeleton.num_joints, 3))
    offsets[:, joints] = np.einsum("bjca,bjc->bja", rotations[:, 0, parents], bones)
    return offsets


def _bend_sizes(skeleton: Skeleton) -> NDArray[np.float64]:
    """Standard deviation of each joint's bend, (J,) radians."""
    names = (name.removeprefix("R_").removeprefix("L_") for name in skeleton.joint_names)
    return np.array([BEND_RAD.get(name, OTHER_BEND_RAD) for name in names])
