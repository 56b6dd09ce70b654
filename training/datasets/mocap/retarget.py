"""Retargets a captured skeleton to the 23 Xsens joints.

Bones keep their directions and the subject's lengths; standing feet are held in place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, median_filter
from scipy.spatial.transform import Rotation, Slerp

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.inverse_kinematics import hinge_frames, supported_height, two_bone
from egotwin_model.geometry.rotations import shortest_arc, unit
from egotwin_model.geometry.skeleton import XSENS_JOINTS, forward_kinematics, reference_offsets
from training.datasets.mocap.captured_recording import Recording
from training.datasets.mocap.standing_pose import check_person, metres_per_unit, up_axis, with_standing_rest

Array = NDArray[np.float64]
JOINT = {name: index for index, name in enumerate(XSENS_JOINTS)}

RATE_HZ = 48.0
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
_UNEVEN_M = 0.12  # largest height difference of stances; the simulator's floors are level
_STANCE_M, _STANCE_MPS = 0.05, 0.45  # a sole point this low and this slow is standing


@dataclass(frozen=True, eq=False)
class CapturedMotion:
    """A captured motion of the Xsens body, z up, floor at 0.

    Attributes:
        pelvis: (T, 3) m. rotations: (T, 23, 3, 3) global. offsets: (23, 3) m, the subject's joint offsets.
        contacts: (T, 2) bool, which foot (left, right) stands. rate_hz: poses per second. name: of the recording.
    """

    pelvis: Array
    rotations: Array
    offsets: Array
    contacts: NDArray[np.bool_]
    rate_hz: float
    name: str

    def positions(self) -> Array:
        """Joint positions (T, 23, 3) metres."""
        return np.asarray(forward_kinematics(self.pelvis, self.rotations, self.offsets), dtype=np.float64)


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


def retarget(recording: Recording) -> CapturedMotion:
    """A recording retargeted to the Xsens body, 48 poses a second, floor at z = 0, standing feet held in place.

    Raises:
        RecordingError: its joints cannot be identified, it shows no standing person, or the floor is not level.
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
    floor = float(np.percentile(sole_points(captured)[..., 2].min(axis=(1, 2)), 8))
    captured = replace(captured, pelvis=captured.pelvis - np.array([0.0, 0.0, floor]))
    return stand_firmly(captured)


def _resampled(path: Array, rotations: Array, rate_hz: float) -> tuple[Array, Array]:
    """The motion at `RATE_HZ`, smoothed first where it is faster."""
    time = np.arange(len(path)) / rate_hz
    wanted = np.arange(int(time[-1] * RATE_HZ + 1e-6) + 1) / RATE_HZ
    smooth = gaussian_filter1d(path, max(0.3, 0.35 * rate_hz / RATE_HZ), axis=0, mode="nearest")
    pelvis = np.stack([np.interp(wanted, time, smooth[:, k]) for k in range(3)], axis=-1)
    turned = [Slerp(time, Rotation.from_matrix(rotations[:, j]))(wanted).as_matrix() for j in range(rotations.shape[1])]
    return pelvis, np.stack(turned, axis=1)


def sole_points(captured: CapturedMotion) -> Array:
    """Heel and toe points under both feet: (T, 2 feet, 2, 3) metres."""
    positions = captured.positions()
    toe = captured.offsets[JOINT["L_Toe"]]
    heel = np.array([-0.05, 0.0, 1.5 * toe[2]])
    ball = np.array([toe[0], 0.0, 1.5 * toe[2]])
    feet = [JOINT["L_Foot"], JOINT["R_Foot"]]
    return positions[:, feet, None] + np.einsum("tfij,pj->tfpi", captured.rotations[:, feet], np.stack([heel, ball]))


def stand_firmly(captured: CapturedMotion) -> CapturedMotion:
    """The motion with each foot held in place while it stands; the legs follow by inverse kinematics.

    Raises:
        RecordingError: the subject walks on steps or slopes.
    """
    soles = sole_points(captured)
    speed = np.linalg.norm(np.gradient(soles[..., :2], axis=0), axis=-1) * captured.rate_hz
    standing = (soles[..., 2] < _STANCE_M) & (speed < _STANCE_MPS)
    standing = median_filter(standing.astype(np.uint8), size=(5, 1, 1)).astype(bool)
    heights = soles[..., 2].min(axis=(1, 2))[(speed < 0.2).any(axis=(1, 2))]
    uneven = float(np.ptp(np.percentile(heights, (5, 95)))) if len(heights) else 0.0
    if uneven > _UNEVEN_M:
        raise RecordingError(f"{captured.name}: the floor is not level ({uneven:.2f} m)")
    rotations, positions = captured.rotations.copy(), captured.positions()
    shifts = [_holding_shift(soles[:, foot], standing[:, foot]) for foot in (0, 1)]
    ankles = [positions[:, JOINT[f"{s}_Foot"]] + shift for s, shift in zip("LR", shifts, strict=True)]
    hips = [positions[:, JOINT[f"{s}_UpperLeg"]] - positions[:, 0] for s in "LR"]
    lengths = [float(np.linalg.norm(captured.offsets[JOINT[f"L_{part}"]])) for part in ("LowerLeg", "Foot")]
    pelvis = captured.pelvis.copy()
    pelvis[:, 2] = supported_height(pelvis, hips, ankles, 0.998 * sum(lengths), round(0.0625 * captured.rate_hz))
    for foot, side in enumerate("LR"):
        hip, knee, ankle = (JOINT[f"{side}_{part}"] for part in ("UpperLeg", "LowerLeg", "Foot"))
        pole = positions[:, knee] - (positions[:, hip] + positions[:, ankle]) / 2 + 0.05 * rotations[:, 0, :, 0]
        upper, lower = two_bone(pelvis + hips[foot], ankles[foot], pole, *lengths)
        rotations[:, hip] = hinge_frames(upper, rotations[:, hip, :, 1])
        rotations[:, knee] = hinge_frames(lower, rotations[:, hip, :, 1])
    return replace(captured, pelvis=pelvis, rotations=rotations, contacts=standing.any(axis=-1))


def _holding_shift(sole: Array, standing: NDArray[np.bool_]) -> Array:
    """The shift (T, 3) of a foot (heel and toe points, (T, 2, 3)) that keeps its standing point still.

    The toe counts where both stand. Between stances the shift is interpolated.
    """
    point = np.where(standing[:, 1], 1, 0)
    planted = standing.any(axis=1)
    frames = np.flatnonzero(planted)
    if not len(frames):
        return np.zeros((len(sole), 3))
    shift, held = np.zeros((len(frames), 3)), np.zeros(3)
    for k, frame in enumerate(frames):  # within a stance the shift continues from heel to toe
        place = sole[frame, point[frame]]
        if k == 0 or frames[k - 1] != frame - 1:
            anchor, held = place, np.zeros(3)
        elif point[frame] != point[frame - 1]:
            anchor = sole[frame - 1, point[frame]] + held
        held = anchor - place
        shift[k] = held
    for run in np.split(np.arange(len(frames)), np.flatnonzero(np.diff(frames) > 1) + 1):
        shift[run, :2] -= (shift[run, :2].max(axis=0) + shift[run, :2].min(axis=0)) / 2  # the smallest shift
        shift[run, 2] -= np.min(sole[frames[run], :, 2].min(axis=1) + shift[run, 2])  # on the floor
    times = np.arange(len(sole))
    wanted = np.stack([np.interp(times, frames, shift[:, k]) for k in range(3)], axis=-1)
    below = -(sole[..., 2].min(axis=1) + wanted[:, 2])
    wanted[:, 2] += np.where(planted, 0.0, np.maximum(below, 0.0))
    return wanted
