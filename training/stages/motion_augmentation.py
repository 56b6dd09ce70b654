"""Motion more varied than a simulator's: its clips with every joint bent otherwise, on other paths, by other bodies.

A simulator moves on few paths through the space of poses. A motion VAE that has seen nothing else keeps those to
centimetres, and loses a real person's pose by decimetres: **our decision**, the paper has recordings of people.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.spatial.transform import Rotation
from torch import Tensor

from egotwin_model.geometry.skeleton import (
    NUM_JOINTS,
    XSENS_JOINTS,
    XSENS_PARENTS,
    forward_kinematics,
    global_rotations,
    local_rotations,
)
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.root_centric import RootCentric
from training.stages.random_streams import RandomStreams

SLOW, FAST, FAST_SHARE = 6, 21, 0.25  # control points of a clip's bends, and the fast ones' share
BEND_RAD = {  # standard deviation of a joint's bend about each axis
    "Pelvis": 0.25, "L5": 0.08, "L3": 0.08, "T12": 0.08, "T8": 0.08, "Neck": 0.15, "Head": 0.3, "Shoulder": 0.15,
    "UpperArm": 0.7, "Forearm": 0.6, "Hand": 0.35, "UpperLeg": 0.35, "LowerLeg": 0.3, "Foot": 0.25, "Toe": 0.15,
}  # fmt: skip
WANDER_M, PATH_SCALE, BODY_SCALE = 0.25, 0.4, 0.08  # of the pelvis; log-scale of its path and of the body
_BENDS = np.array([BEND_RAD[name.removeprefix("R_").removeprefix("L_")] for name in XSENS_JOINTS])


def varied(features: Tensor, representation: HeadCentric | RootCentric, share: float, streams: RandomStreams) -> Tensor:
    """Features (B, T, D), float32 and not standardised, of which about `share` of the clips are varied.

    How much differs from clip to clip, from not at all to bends of `BEND_RAD`. Bones keep their lengths' proportions.
    """
    chosen = streams.uniform() < share
    strength = streams.uniform().numpy()
    bends = _course(features.shape[1], streams, NUM_JOINTS + 1)  # the last one is the pelvis' path
    scales = streams.normal(2).cpu().numpy()
    if not chosen.any():
        return features
    picked = chosen.numpy()
    motion = representation.decode_in_clip_frame(features[chosen])
    positions, rotations = np.asarray(motion.positions), np.asarray(motion.rotations)
    strength, bends, scales = strength[picked], bends[picked], scales[picked]
    amount = strength[:, None, None, None] * _BENDS[:, None]
    bend = Rotation.from_rotvec((amount * bends[..., :NUM_JOINTS, :]).reshape(-1, 3)).as_matrix()
    turned = global_rotations(local_rotations(rotations) @ bend.reshape(rotations.shape))
    path, body = np.exp(strength[:, None] * scales * (PATH_SCALE, BODY_SCALE)).T[..., None, None]
    start = positions[:, :1, 0]
    pelvis = start + path * (positions[:, :, 0] - start)
    pelvis = pelvis + strength[:, None, None] * WANDER_M * bends[..., NUM_JOINTS, :]
    moved = forward_kinematics(pelvis, turned, body[..., None] * _offsets(positions, rotations)[:, None])
    encoded = representation.encode(moved.astype(np.float32), turned.astype(np.float32))
    return features.index_put((chosen.nonzero()[:, 0],), torch.from_numpy(encoded))


def _course(steps: int, streams: RandomStreams, count: int) -> NDArray[np.floating]:
    """Smooth random curves of about unit deviation, (clips, steps, count, 3)."""
    slow, fast = (streams.normal(points, count, 3).cpu().numpy() for points in (SLOW, FAST))
    return np.einsum("tp,bpjc->btjc", _spline(steps, SLOW), slow) + FAST_SHARE * np.einsum(
        "tp,bpjc->btjc", _spline(steps, FAST), fast
    )


def _spline(steps: int, points: int) -> NDArray[np.float64]:
    """Cubic B-spline basis (steps, points) over the clip."""
    inner = np.linspace(0, 1, points - 2)
    knots = np.concatenate([[0.0] * 3, inner, [1.0] * 3])
    return BSpline.design_matrix(np.linspace(0, 1, steps), knots, 3).toarray()


def _offsets(positions: NDArray[np.floating], rotations: NDArray[np.floating]) -> NDArray[np.floating]:
    """Joint offsets (B, 23, 3) in their parents' frames, from the first pose."""
    parents = np.array(XSENS_PARENTS[1:])
    bones = positions[:, 0, 1:] - positions[:, 0, parents]
    offsets = np.zeros((len(positions), NUM_JOINTS, 3))
    offsets[:, 1:] = np.einsum("bjca,bjc->bja", rotations[:, 0, parents], bones)
    return offsets
