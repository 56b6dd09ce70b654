"""The wearer's body: one mocap body per Xsens segment, capsules and ellipsoids with meshes for hands, posed by motion.

Lengths follow the wearer's joint offsets, thickness follows their height, so one room serves wearers of any size.
The head's own geoms are in a group that the head camera does not draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from egotwin_model.geometry.skeleton import XSENS_JOINTS, reference_offsets
from training.simulator.render.clothes import Clothing, add_patterns
from training.simulator.render.hand_asset import FINGER_POSES, hand_meshes

CAPSULE, ELLIPSOID = mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_ELLIPSOID
BODY_GROUP, HEAD_GROUP = 1, 4
Vector = tuple[float, float, float]
_ZERO: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Anchor:
    """A point in a segment's frame: a fraction of the way to a child joint plus a shift (m, for the 1.75 m body)."""

    child: str | None = None
    fraction: float = 1.0
    shift: Vector = _ZERO


@dataclass(frozen=True)
class Part:
    """A capsule from start to end (size = radius) or an ellipsoid at start (size = half axes), on one segment."""

    joint: str
    colour: str
    size: tuple[float, ...]
    start: Anchor
    end: Anchor | None = None
    own_head: bool = False


def _limb(joint: str, child: str, radius: float, colour: str, low: float = 0.0, high: float = 1.0) -> Part:
    return Part(joint, colour, (radius,), Anchor(child, low), Anchor(child, high))


def _trunk() -> list[Part]:
    return [
        Part("Pelvis", "trousers", (0.115, 0.165, 0.115), Anchor("L5", 0.2)),
        Part("L5", "shirt", (0.105, 0.145, 0.11), Anchor("L3", 0.5)),
        Part("L3", "shirt", (0.105, 0.145, 0.11), Anchor("T12", 0.5)),
        Part("T12", "shirt", (0.11, 0.155, 0.115), Anchor("T8", 0.5)),
        Part("T8", "shirt", (0.11, 0.165, 0.12), Anchor("Neck", 0.25)),
        Part("Neck", "skin", (0.052,), Anchor("Head", -0.2), Anchor("Head", 0.8)),
        Part("Head", "skin", (0.098, 0.076, 0.125), Anchor(shift=(0.02, 0.0, 0.095)), own_head=True),
        Part("Head", "hair", (0.1, 0.083, 0.1), Anchor(shift=(-0.008, 0.0, 0.128)), own_head=True),
        Part("Head", "skin", (0.02, 0.014, 0.022), Anchor(shift=(0.115, 0.0, 0.07)), own_head=True),
        Part("Head", "eye", (0.012, 0.012, 0.012), Anchor(shift=(0.1, 0.03, 0.1)), own_head=True),
        Part("Head", "eye", (0.012, 0.012, 0.012), Anchor(shift=(0.1, -0.03, 0.1)), own_head=True),
    ]


def _left_side() -> list[Part]:
    """Parts of the left arm and leg; in T-pose the arm points along +y, palm down, thumb forward."""
    return [
        _limb("L_Shoulder", "L_UpperArm", 0.062, "shirt"),
        _limb("L_UpperArm", "L_Forearm", 0.05, "shirt"),
        _limb("L_Forearm", "L_Hand", 0.042, "sleeve", 0.0, 0.55),
        _limb("L_Forearm", "L_Hand", 0.034, "sleeve", 0.5, 0.93),
        _limb("L_UpperLeg", "L_LowerLeg", 0.078, "trousers", 0.05, 1.0),
        _limb("L_LowerLeg", "L_Foot", 0.056, "trousers", 0.0, 0.9),
        Part("L_Foot", "shoes", (0.045,), Anchor(shift=(-0.03, 0, -0.045)), Anchor("L_Toe", 1.0, (-0.02, 0.0, 0.015))),
        Part("L_Toe", "shoes", (0.075, 0.047, 0.034), Anchor(shift=(0.015, 0, 0.006))),
    ]


def _mirror(part: Part) -> Part:
    def flip(anchor: Anchor | None) -> Anchor | None:
        if anchor is None:
            return None
        child = anchor.child.replace("L_", "R_") if anchor.child else None
        return Anchor(child, anchor.fraction, (anchor.shift[0], -anchor.shift[1], anchor.shift[2]))

    start = flip(part.start)
    assert start is not None
    return Part(part.joint.replace("L_", "R_"), part.colour, part.size, start, flip(part.end), part.own_head)


PARTS: tuple[Part, ...] = (*_trunk(), *_left_side(), *(_mirror(p) for p in _left_side()))

_HANDS = (("L_Hand", 1.0), ("R_Hand", -1.0))
_HAND_SAMPLES = 24


@cache
def hand_points(pose: int) -> NDArray[np.float64]:
    """Points on the left hand's skin (P, 3) in its segment frame, from wrist to fingertips, in a finger pose; the
    right hand's have y negated."""
    vertices = hand_meshes()[FINGER_POSES[pose]]
    order = np.argsort(vertices[:, 1])
    return vertices[order[np.linspace(0, len(order) - 1, _HAND_SAMPLES).astype(int)]].astype(np.float64)


def finger_pose(closed: float) -> int:
    """Index of the `FINGER_POSES` for fingers 0 relaxed … 1 closed."""
    last = len(FINGER_POSES) - 1
    return min(max(round(closed * last), 0), last)


def add_body(spec: mujoco.MjSpec) -> None:
    """Adds 23 mocap bodies, ``body_<Xsens joint>``, with their geoms; the hands as meshes, one for each finger pose."""
    add_patterns(spec)
    bodies = {joint: spec.worldbody.add_body(name=f"body_{joint}", mocap=True) for joint in XSENS_JOINTS}
    for index, part in enumerate(PARTS):
        kind = ELLIPSOID if part.end is None else CAPSULE
        bodies[part.joint].add_geom(
            name=f"part_{index}", type=kind, size=[0.1, 0.1, 0.1], material="matte", contype=0, conaffinity=0,
            group=HEAD_GROUP if part.own_head else BODY_GROUP,
        )  # fmt: skip
    meshes = hand_meshes()
    for joint, side in _HANDS:
        faces = meshes["faces"] if side > 0 else meshes["faces"][:, ::-1]
        for pose in FINGER_POSES:
            name = f"{joint}_{pose}"
            mesh = spec.add_mesh(name=name, inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
            mesh.uservert, mesh.userface = (meshes[pose] * (1, side, 1)).ravel(), faces.ravel()
            bodies[joint].add_geom(
                name=name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, material="matte", contype=0, conaffinity=0,
                group=BODY_GROUP,
            )  # fmt: skip


def part_ids(model: mujoco.MjModel) -> NDArray[np.int64]:
    """Geom ids of `PARTS` in the model."""
    return np.array([model.geom(f"part_{i}").id for i in range(len(PARTS))])


def fit(model: mujoco.MjModel, offsets: NDArray[np.floating], clothing: Clothing) -> float:
    """Gives the compiled model's body a wearer's lengths, colours and patterns; returns its size (1 = 1.75 m).

    Args:
        offsets: (23, 3) metres, each joint's offset in its parent's frame.
    """
    scale = float(np.linalg.norm(offsets[1:], axis=1).sum() / np.linalg.norm(reference_offsets()[1:], axis=1).sum())
    for geom, part in zip(part_ids(model), PARTS, strict=True):
        start = _point(part.start, offsets, scale)
        model.geom_sameframe[geom] = 0  # its pose now differs from the compiled one
        if part.end is None:
            model.geom_pos[geom], model.geom_quat[geom] = start, (1, 0, 0, 0)
            model.geom_size[geom] = np.array(part.size) * scale
        else:
            end = _point(part.end, offsets, scale)
            model.geom_pos[geom] = (start + end) / 2
            direction, length = end - start, float(np.linalg.norm(end - start))
            quat = np.empty(4)
            mujoco.mju_quatZ2Vec(quat, direction / max(length, 1e-9))
            model.geom_quat[geom] = quat
            model.geom_size[geom] = (part.size[0] * scale, length / 2, 0.0)
        model.geom_rgba[geom, :3] = (0.1, 0.1, 0.12) if part.colour == "eye" else getattr(clothing, part.colour)
        model.geom_matid[geom] = model.material(clothing.material(part.colour)).id
    for geom in hand_geoms(model).ravel():
        model.geom_rgba[geom, :3] = clothing.glove or clothing.skin
    return scale


def hand_geoms(model: mujoco.MjModel) -> NDArray[np.int64]:
    """Geom ids of the hands, (2, poses): left and right, in each of `FINGER_POSES`."""
    return np.array([[model.geom(f"{joint}_{pose}").id for pose in FINGER_POSES] for joint, _ in _HANDS])


def joint_bodies(model: mujoco.MjModel) -> NDArray[np.int64]:
    """Rows of `mocap_pos` and `mocap_quat` that hold the 23 joints."""
    return np.array([int(model.body(f"body_{joint}").mocapid[0]) for joint in XSENS_JOINTS])


def quaternions(rotations: NDArray[np.floating]) -> NDArray[np.float64]:
    """(..., 3, 3) matrices to (..., 4) quaternions as MuJoCo orders them: w, x, y, z."""
    flat = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_quat(scalar_first=True)
    return flat.reshape(*rotations.shape[:-2], 4)


def _point(anchor: Anchor, offsets: NDArray[np.floating], scale: float) -> NDArray[np.float64]:
    base = np.zeros(3) if anchor.child is None else anchor.fraction * offsets[XSENS_JOINTS.index(anchor.child)]
    return base + scale * np.array(anchor.shift)
