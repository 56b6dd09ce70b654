"""Retargets a captured skeleton to the 23 Xsens joints.

Bones keep their directions and the subject's lengths; standing feet are held in place.
"""

from __future__ import annotations

import re
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation, Slerp

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.rotations import shortest_arc, unit
from egotwin_model.geometry.skeleton import XSENS_JOINTS, reference_offsets
from training.datasets.mocap.captured_motion import JOINT, RATE_HZ, CapturedMotion
from training.datasets.mocap.captured_recording import Recording
from training.datasets.mocap.joint_hinges import with_hinges, with_level_feet
from training.datasets.mocap.standing_feet import on_the_floor, stand_firmly, with_level_floor
from training.datasets.mocap.standing_pose import check_person, metres_per_unit, up_axis, with_standing_rest

Array = NDArray[np.float64]
_SPINE = ("L5", "L3", "T12", "T8")
# names of the segments: those of CMU's Acclaim files, then the usual ones in .bvh files
_NAMES = {
    "Head": r"head",
    "Neck": r"(lowerneck|neck\d?)",
    "Shoulder": r"(clavicle|collar|shoulder)",
    "UpperArm": r"(humerus|arm|upperarm|shldr|uparm)",
    "Forearm": r"(radius|forearm|lowerarm|elbow|lowarm)",
    "Hand": r"(hand|wrist)",
    "UpperLeg": r"(femur|upleg|upperleg|thigh|hip)",
    "LowerLeg": r"(tibia|leg|lowerleg|shin|knee|calf|lowleg)",
    "Foot": r"(foot|ankle)",
    "Toe": r"(toes?\d?|toebase|ball)",
}  # fmt: skip
_SIDES: tuple[tuple[str, tuple[str, ...]], ...] = (("L_", ("left", "l")), ("R_", ("right", "r")))
_PREFER = {"Shoulder": ("clavicle", "collar", "shoulder"), "Hand": ("hand", "wrist"), "Neck": ("lowerneck", "neck")}
_REST = {  # direction of a bone in the Xsens T-pose, left side; None: that of the reference body
    "UpperArm": (0.0, 1.0, 0.0), "Forearm": (0.0, 1.0, 0.0), "Hand": (0.0, 1.0, 0.0), "Shoulder": None,
    "UpperLeg": (0.0, 0.0, -1.0), "LowerLeg": (0.0, 0.0, -1.0), "Foot": None, "Toe": None,
}  # fmt: skip


def match(recording: Recording) -> dict[str, int]:
    """The joint of a recording for each Xsens segment; the spine is found between pelvis and neck.

    Raises:
        RecordingError: an arm, a leg or the head has none of the usual names.
    """
    found: dict[str, int] = {"Pelvis": 0}
    bare = [re.sub(r"^.*:", "", name).lower() for name in recording.joints]
    shared = len(
        list(takewhile(lambda letters: len(set(letters)) == 1, zip(*bare, strict=False)))
    )  # such as "mixamorig_" or "bip01_"
    plain = [re.sub(r"[_.\- ]", "", name[shared:]) for name in bare]
    for part, pattern in _NAMES.items():
        for side, words in _SIDES if part not in ("Head", "Neck") else (("", ()),):
            options = [
                k for k, name in enumerate(plain)
                if re.fullmatch(f"({'|'.join(words)}){pattern}" if side else pattern, name)
                or (side and re.fullmatch(f"{pattern}({'|'.join(words)})", name))
            ]  # fmt: skip
            if options:
                order = _PREFER.get(part, ())
                rank = [next((i for i, word in enumerate(order) if word in plain[k]), 9) for k in options]
                found[side + part] = options[int(np.argmin(rank))]
    for side in "LR":  # where the upper arm is named a shoulder, there is no collar bone
        if f"{side}_UpperArm" not in found and f"{side}_Shoulder" in found:
            found[f"{side}_UpperArm"] = found.pop(f"{side}_Shoulder")
    needed = {"Head", *(f"{s}_{p}" for s in "LR" for p in ("UpperArm", "Forearm", "UpperLeg", "LowerLeg", "Foot"))}
    missing = sorted(needed - set(found))
    if missing:
        raise RecordingError(
            f"{recording.name}: no joint is {', '.join(missing)}; its joints are {', '.join(recording.joints)}"
        )
    return found


def upright(recording: Recording, joints: dict[str, int]) -> tuple[Array, float]:
    """The rotation (3, 3) from a recording's axes to REP-103's, and metres per unit; its rest pose must stand."""
    rest, up = recording.rest_positions(), up_axis(recording, joints)
    left = rest[joints["L_UpperLeg"]] - rest[joints["R_UpperLeg"]]
    left = unit(left - (left @ up) * up)
    return np.stack([np.cross(left, up), left, up]), metres_per_unit(recording, joints)


def subject_offsets(recording: Recording, joints: dict[str, int], axes: Array, metres: float) -> Array:
    """Xsens joint offsets (23, 3) with the subject's lengths of arms, legs and spine."""
    rest = recording.rest_positions() @ axes.T * metres
    offsets = reference_offsets()

    def between(one: str, other: str) -> float:
        return float(np.linalg.norm(rest[joints[one]] - rest[joints[other]]))

    for part, above in (("LowerLeg", "UpperLeg"), ("Foot", "LowerLeg"), ("Forearm", "UpperArm")):
        length = np.mean([between(f"{s}_{above}", f"{s}_{part}") for s in "LR"])
        for side in "LR":
            offsets[JOINT[f"{side}_{part}"]] *= length / np.linalg.norm(offsets[JOINT[f"{side}_{part}"]])
    size = sum(abs(offsets[JOINT[name], 2]) for name in ("L_LowerLeg", "L_Foot")) / 0.84
    spine = [*range(1, 7)]
    trunk = rest[joints["Head"], 2] - (rest[joints["L_UpperLeg"], 2] + rest[joints["R_UpperLeg"], 2]) / 2
    offsets[spine] *= float(np.clip(trunk / offsets[spine, 2].sum(), 0.75 * size, 1.25 * size))
    for name, index in JOINT.items():
        if "Shoulder" in name or "UpperArm" in name or "UpperLeg" in name or "Toe" in name:
            offsets[index] *= size
        if name.endswith("_Hand"):
            forearm = between("L_Forearm", "L_Hand") if "L_Hand" in joints else 0.25 * size
            offsets[index] *= np.clip(forearm, 0.18, 0.34) / np.linalg.norm(offsets[index])
    return offsets


def segment_rotations(recording: Recording, joints: dict[str, int], axes: Array) -> Array:
    """Global rotations (T, 23, 3, 3) of the Xsens segments, with the directions of the captured bones."""
    turned = axes @ recording.rotations @ axes.T
    tips = recording.tips @ axes.T
    rotations = np.empty((len(turned), len(XSENS_JOINTS), 3, 3))
    rotations[:, 0] = turned[:, 0]
    chain = _spine(recording, joints)
    for k, name in enumerate(_SPINE, start=1):  # the captured segments, few or many, are distributed over the four
        rotations[:, JOINT[name]] = turned[:, chain[round(k * (len(chain) - 1) / len(_SPINE))]]
    for name in XSENS_JOINTS[5:]:
        part = name.split("_")[-1]
        if name not in joints:
            rotations[:, JOINT[name]] = rotations[:, JOINT[_instead(name)]]
            continue
        rest = _REST.get(part)
        source = turned[:, joints[name]]
        if rest is not None and np.linalg.norm(tips[joints[name]]) > 1e-9:
            ours = np.array(rest) * (-1 if name.startswith("R_") and part not in ("UpperLeg", "LowerLeg") else 1)
            source = source @ shortest_arc(ours, unit(tips[joints[name]]))
        rotations[:, JOINT[name]] = source
    return rotations


def _instead(name: str) -> str:
    """The segment whose rotation stands in for one that was not captured."""
    part = name.split("_")[-1]
    above = {"Neck": "T8", "Shoulder": "T8", "Hand": "Forearm", "Toe": "Foot"}[part]
    return f"{name[:2]}{above}" if part in ("Hand", "Toe") else above


def _spine(recording: Recording, joints: dict[str, int]) -> list[int]:
    """Joints from the pelvis up to the one that carries the arms."""
    at = joints.get("L_Shoulder", joints["L_UpperArm"])
    chain = [recording.parents[at]]
    while chain[-1] > 0:
        chain.append(recording.parents[chain[-1]])
    return chain[::-1] if chain[-1] == 0 else [0, *chain[:-1][::-1]]


def retarget(recording: Recording, level_floor: bool = True) -> CapturedMotion:
    """A recording retargeted to the Xsens body, 48 poses a second, floor at z = 0, standing feet held in place.

    Args:
        level_floor: False takes steps and slopes as well; their floor is not at 0 everywhere, and no foot is held.

    Raises:
        RecordingError: its joints cannot be identified, it shows no standing person, the floor is not level, or the
            feet slide.
    """
    joints = match(recording)
    recording = with_standing_rest(recording, joints, up_axis(recording, joints))
    axes, metres = upright(recording, joints)
    check_person(recording, joints, axes[2], metres)
    offsets = subject_offsets(recording, joints, axes, metres)
    source = recording.positions() @ axes.T * metres
    rotations = segment_rotations(recording, joints, axes)
    hips = (source[:, joints["L_UpperLeg"]] + source[:, joints["R_UpperLeg"]]) / 2
    motion = _resampled(hips, rotations, recording.rate_hz)
    captured = CapturedMotion(*motion, offsets, np.zeros((len(motion[0]), 2), dtype=bool), RATE_HZ, recording.name)
    captured = on_the_floor(with_level_feet(with_hinges(captured)))
    return stand_firmly(with_level_floor(captured)) if level_floor else captured


def _resampled(path: Array, rotations: Array, rate_hz: float) -> tuple[Array, Array]:
    """The motion at `RATE_HZ`, smoothed first where it is faster."""
    time = np.arange(len(path)) / rate_hz
    wanted = np.arange(int(time[-1] * RATE_HZ + 1e-6) + 1) / RATE_HZ
    smooth = gaussian_filter1d(path, max(0.3, 0.35 * rate_hz / RATE_HZ), axis=0, mode="nearest")
    pelvis = np.stack([np.interp(wanted, time, smooth[:, k]) for k in range(3)], axis=-1)
    turned = [Slerp(time, Rotation.from_matrix(rotations[:, j]))(wanted).as_matrix() for j in range(rotations.shape[1])]
    return pelvis, np.stack(turned, axis=1)
