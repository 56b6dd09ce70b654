"""Maps the OptiTrack skeleton of Aria Digital Twin to the 23 Xsens joints, and reads whose body it is.

Limb joints are taken by name. The spine's Xsens joints are placed on the measured line Skeleton–Ab–Chest–Neck, at the
reference body's fractions of its length. Each segment's rotation follows from the directions of its bones relative to
the T-pose; its twist from a second direction: the line of hips or shoulders, the axis of elbow or knee, the knuckles.
The head's pose is that of the glasses, which is known much better; the neck is half way between chest and head.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from projectaria_tools.projects.adt import AriaDigitalTwinSkeletonProvider

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.rotations import partway, shortest_arc, unit
from egotwin_model.geometry.skeleton import HEAD, NUM_JOINTS, XSENS_JOINTS, reference_offsets
from training.datasets.aria.glasses_path import Stamps, covered, interpolate

Array = NDArray[np.float64]
X, Y, Z = np.eye(3)

LABELS: tuple[str, ...] = tuple(AriaDigitalTwinSkeletonProvider.get_joint_labels())
_INDEX = {label: i for i, label in enumerate(LABELS)}
_JOINT = {name: i for i, name in enumerate(XSENS_JOINTS)}

_LIMBS = {
    "Shoulder": "Shoulder", "UpperArm": "UArm", "Forearm": "FArm", "Hand": "Hand",
    "UpperLeg": "Thigh", "LowerLeg": "Shin", "Foot": "Foot", "Toe": "Toe",
}  # fmt: skip
BY_NAME: dict[str, str] = {
    "Pelvis": "Skeleton",
    "Neck": "Neck",
    **{f"{side}_{ours}": f"{side}{theirs}" for side in "LR" for ours, theirs in _LIMBS.items()},
}
"""Xsens joints that have an OptiTrack joint of the same place."""

_SPINE = ("L5", "L3", "T12", "T8")
_SPINE_LINE = ("Skeleton", "Ab", "Chest", "Neck")
_BENT = (0.1, 0.35)  # sines of the bend between which the weight of a hinge's axis grows from 0 to 1


@dataclass(frozen=True)
class OptiTrackBody:
    """Measured joints.

    Attributes:
        name: the skeleton's.
        stamps_ns: (N,) int64, device time of the recording it was synchronised with.
        joints: (N, 51, 3) m, in the trajectory file's world, order `LABELS`.
    """

    name: str
    stamps_ns: Stamps
    joints: Array

    def at(self, stamps_ns: Stamps) -> Array:
        """Joints (T, 51, 3) at these times; `RecordingError` where the file does not cover them."""
        inside = covered(self.stamps_ns, stamps_ns, f"skeleton {self.name}")
        return interpolate(self.stamps_ns, self.joints, inside)


def read_skeleton(path: Path | str) -> OptiTrackBody:
    """Reads ``Skeleton_*.json``.

    Raises:
        RecordingError: missing, truncated, other than 51 joints a frame, NaN, or times that do not increase.
    """
    path = Path(path)
    content = _read_json(path, "skeleton")
    try:
        frames = content["frames"]
        stamps = np.array([int(frame["timestamp_ns"]) for frame in frames], np.int64)
        joints = np.array([frame["joints"] for frame in frames], np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise RecordingError(f"skeleton {path} is not of Aria Digital Twin's form: {error!r}") from error
    if joints.shape[1:] != (len(LABELS), 3):
        raise RecordingError(f"skeleton {path} has frames of shape {joints.shape[1:]}; wanted ({len(LABELS)}, 3)")
    if not np.isfinite(joints).all():
        raise RecordingError(f"skeleton {path} holds NaN or infinity")
    if (np.diff(stamps) <= 0).any():
        raise RecordingError(f"skeleton {path}: timestamp_ns does not increase from frame to frame")
    return OptiTrackBody(path.stem, stamps, joints)


def wearer_serial(path: Path | str, skeleton_name: str) -> str:
    """Serial of the glasses of the skeleton's wearer, from ``skeleton_aria_association.json``; "NONE" for none.

    Raises:
        RecordingError: missing, unreadable, or it does not name this skeleton.
    """
    path = Path(path)
    content = _read_json(path, "association")
    try:
        wearers = {str(e["SkeletonName"]): str(e["AssociatedDeviceSerial"]) for e in content["SkeletonMetadata"]}
    except (KeyError, TypeError) as error:
        raise RecordingError(f"association {path} is not of Aria Digital Twin's form: {error!r}") from error
    if skeleton_name not in wearers:
        raise RecordingError(f"association {path} does not name {skeleton_name}; it has {', '.join(wearers) or 'none'}")
    return wearers[skeleton_name]


def _read_json(path: Path, what: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordingError(f"{what} {path} is missing, unreadable or truncated: {error}") from error


def to_xsens(joints: Array, head_positions: Array, head_rotations: Array) -> tuple[Array, Array]:
    """The 23 Xsens joints of a wearer.

    Args:
        joints: (T, 51, 3) m, in a frame with z up.
        head_positions, head_rotations: (T, 3) m and (T, 3, 3) of the head joint, same frame.

    Returns:
        Positions (T, 23, 3) m and global rotations (T, 23, 3, 3), identity in T-pose facing +x.
    """
    positions = np.empty((len(joints), NUM_JOINTS, 3))
    for ours, theirs in BY_NAME.items():
        positions[:, _JOINT[ours]] = joints[:, _INDEX[theirs]]
    for name, place in zip(_SPINE, _along_spine(joints), strict=True):
        positions[:, _JOINT[name]] = place
    positions[:, HEAD] = head_positions
    return positions, _rotations(positions, joints, head_rotations)


def _spine_fractions() -> Array:
    """Heights of L5, L3, T12 and T8 between pelvis and neck in the reference body, as fractions (4,)."""
    steps = [reference_offsets()[_JOINT[name], 2] for name in (*_SPINE, "Neck")]
    return np.cumsum(steps)[:-1] / np.sum(steps)


def _along_spine(joints: Array) -> list[Array]:
    """The four spine joints, each (T, 3)."""
    knots = joints[:, [_INDEX[label] for label in _SPINE_LINE]]
    lengths = np.linalg.norm(np.diff(knots, axis=1), axis=-1)
    ends = np.concatenate([np.zeros((len(joints), 1)), np.cumsum(lengths, axis=1)], axis=1)
    places = []
    for fraction in _spine_fractions():
        along = fraction * ends[:, -1]
        part = np.clip((along[:, None] >= ends).sum(axis=1) - 1, 0, len(_SPINE_LINE) - 2)
        rows = np.arange(len(joints))
        weight = ((along - ends[rows, part]) / np.maximum(lengths[rows, part], 1e-9))[:, None]
        places.append(knots[rows, part] * (1 - weight) + knots[rows, part + 1] * weight)
    return places


def _rotations(positions: Array, joints: Array, head_rotations: Array) -> Array:
    """Global rotations (T, 23, 3, 3) from the directions of the bones."""

    def bone(start: str, end: str) -> Array:
        return positions[:, _JOINT[end]] - positions[:, _JOINT[start]]

    hips, shoulders = unit(bone("R_UpperLeg", "L_UpperLeg")), unit(bone("R_UpperArm", "L_UpperArm"))
    turns = {"Pelvis": aimed(Y, hips, Z, bone("Pelvis", "L5")), "Head": head_rotations}
    for share, name, above in zip(_spine_fractions()[:3], _SPINE, _SPINE[1:], strict=False):
        turns[name] = aimed(Z, bone(name, above), Y, hips * (1 - share) + shoulders * share)
    turns["T8"] = aimed(Z, bone("T8", "Neck"), Y, shoulders)
    turns["Neck"] = partway(turns["T8"], head_rotations, 0.5)
    for side, outward in (("L", Y), ("R", -Y)):
        shoulder, upper, fore, hand = (f"{side}_{part}" for part in ("Shoulder", "UpperArm", "Forearm", "Hand"))
        turns[shoulder] = swung(turns["T8"], outward, bone(shoulder, upper))
        bend = np.cross(unit(bone(upper, fore)), unit(bone(fore, hand))) * -outward[1]
        turns[upper] = hinged(turns[shoulder], outward, bone(upper, fore), Z, bend)
        turns[fore] = hinged(turns[upper], outward, bone(fore, hand), Z, bend)
        fingers = {part: joints[:, _INDEX[f"{side}{part}1"]] for part in ("Index", "Middle", "Pinky")}
        reach = fingers["Middle"] - positions[:, _JOINT[hand]]
        turns[hand] = aimed(outward, reach, X, fingers["Index"] - fingers["Pinky"])
        thigh, shank, foot, toe = (f"{side}_{part}" for part in ("UpperLeg", "LowerLeg", "Foot", "Toe"))
        bend = np.cross(unit(bone(thigh, shank)), unit(bone(shank, foot)))
        turns[thigh] = hinged(turns["Pelvis"], -Z, bone(thigh, shank), Y, bend)
        turns[shank] = hinged(turns[thigh], -Z, bone(shank, foot), Y, bend)
        along = unit(reference_offsets()[_JOINT[toe]])
        turns[foot] = aimed(along, bone(foot, toe), Y, turns[shank] @ Y)
        turns[toe] = turns[foot]
    return np.stack([turns[name] for name in XSENS_JOINTS], axis=1)


def _basis(first: Array, second: Array) -> Array:
    """Orthonormal columns (..., 3, 3): along the first vector, towards the second, and their cross product."""
    a = unit(first)
    b = unit(second - (second * a).sum(axis=-1, keepdims=True) * a)
    return np.stack([a, b, np.cross(a, b)], axis=-1)


def aimed(axis: Array, direction: Array, second_axis: Array, second: Array) -> Array:
    """Rotations (T, 3, 3) that take ``axis`` (3,) to ``direction`` (T, 3), and ``second_axis`` close to ``second``.

    ``second`` (T, 3) must not be parallel to the direction.
    """
    return _basis(direction, second) @ _basis(axis, second_axis).T


def swung(parents: Array, axis: Array, direction: Array) -> Array:
    """The parents' rotations (T, 3, 3) after the smallest rotation that takes their ``axis`` to ``direction``."""
    return shortest_arc(parents @ axis, unit(direction)) @ parents


def hinged(parents: Array, axis: Array, direction: Array, hinge: Array, bend: Array) -> Array:
    """As `swung`, twisted so that the segment's ``hinge`` axis (3,) is the axis about which its joint bends.

    ``bend`` (T, 3) is that axis times the sine of the bend. Where the joint is nearly straight, the twist of `swung` is
    kept.
    """
    free = swung(parents, axis, direction)
    low, high = _BENT
    trust = np.clip((np.linalg.norm(bend, axis=-1, keepdims=True) - low) / (high - low), 0.0, 1.0)
    return aimed(axis, direction, hinge, (1.0 - trust) * (free @ hinge) + trust * unit(bend))
