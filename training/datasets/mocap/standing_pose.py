"""The posture of a recording, read from its motion: which axis is up, its units, and whether a person stands there.

Rest poses differ: a T-pose in CMU's files, bones along one axis in LaFAN1's. A rest pose that does not stand is
replaced by the mean posture of the motion, relative to the pelvis' heading, so that what follows can rely on a standing
one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.rotations import shortest_arc, unit
from training.datasets.mocap.captured_recording import Recording

Array = NDArray[np.float64]

_UNITS_M = (1.0, 0.01, 0.001, 0.0254, 0.0254 / 0.45)  # metres, centimetres, millimetres, inches, CMU's
_USUAL_M = 1.45  # from the ankles to the head joint of an average adult
_HEAD_M = (1.2, 2.1)  # of a standing person's head joint above the soles
_ANKLE_M = 0.08
_MAX_MPS = 15.0  # of the pelvis
_UPRIGHT_COS = 0.7  # least, of the trunk to the vertical, in the quarter of the frames where it is most upright
_BENT_RAD = float(np.radians(15))


def up_axis(recording: Recording, joints: dict[str, int]) -> Array:
    """The axis (3,) of the recording along which the head is above the feet.

    Raises:
        RecordingError: the head is below the feet along it, the trunk is not upright, or the rest pose stands along
            another axis and the pelvis does not travel in the plane that would be the floor.
    """
    places = recording.positions()
    feet = (places[:, joints["L_Foot"]] + places[:, joints["R_Foot"]]) / 2
    high = np.median(places[:, joints["Head"]] - feet, axis=0)
    axis = int(np.argmax(np.abs(high)))
    if high[axis] < 0:
        raise RecordingError(
            f"{recording.name}: the head is below the feet (along {'xyz'[axis]}); the body is upside down or lies"
        )
    up = np.eye(3)[axis]
    trunk = unit(places[:, joints["Head"]] - _hips(places, joints)) @ up
    if np.percentile(trunk, 75) < _UPRIGHT_COS:
        tilt = np.degrees(np.arccos(np.percentile(trunk, 75)))
        raise RecordingError(f"{recording.name}: the trunk is tilted by {tilt:.0f} degrees; the body does not stand")
    standing = [other for other in np.eye(3) if rest_stands(recording, joints, other)]
    if standing and not np.array_equal(standing[0], up):
        travel = np.ptp(places[:, 0], axis=0)
        if travel[axis] > travel.max() / 3 or travel.max() < 0.3 * high[axis]:
            raise RecordingError(
                f"{recording.name}: the rest pose stands along {'xyz'[int(np.argmax(standing[0]))]}, the body in "
                f"motion along {'xyz'[axis]} without walking; it may be lying"
            )
    return up


def metres_per_unit(recording: Recording, joints: dict[str, int]) -> float:
    """Metres per unit, by the length of the bones from a foot to the head."""
    length = 0.0
    for top in ("L_Foot", "Head"):
        joint = joints[top]
        while recording.parents[joint] >= 0:
            above = recording.parents[joint]
            if above != 0 or top == "Head":  # the offset from the pelvis to the hip is mostly sideways
                length += float(np.linalg.norm(recording.offsets[joint]))
            joint = above
    return min(_UNITS_M, key=lambda unit_m: abs(np.log(unit_m * length / _USUAL_M)))


def rest_stands(recording: Recording, joints: dict[str, int], up: Array) -> bool:
    """Whether the rest pose stands along an axis: legs down, trunk up, toes ahead."""
    rest = recording.rest_positions()
    left = rest[joints["L_UpperLeg"]] - rest[joints["R_UpperLeg"]]
    trunk = unit(rest[joints["Head"]] - _hips(rest, joints)) @ up
    legs = [unit(rest[joints[f"{s}_UpperLeg"]] - rest[joints[f"{s}_Foot"]]) @ up for s in "LR"]
    ahead = np.cross(left, up)
    toes = [rest[joints[f"{s}_Toe"]] - rest[joints[f"{s}_Foot"]] for s in "LR" if f"{s}_Toe" in joints]
    level = abs(unit(left) @ up) < 0.5 and float(np.linalg.norm(left)) > 1e-6
    return bool(level and min(trunk, *legs) > 0.8 and all(toe @ ahead >= 0 for toe in toes))


def with_standing_rest(recording: Recording, joints: dict[str, int], up: Array) -> Recording:
    """The same motion over a rest pose that stands: its own, or the mean posture where that one does not.

    The mean is over the quarter of the frames in which the body is tallest, with a level head and spread arms. Feet
    have theirs over the frames in which they stand, with toes ahead. The rest pose faces where the first frame does.
    """
    if rest_stands(recording, joints, up):
        return recording
    places = recording.positions()
    left = unit(places[:, joints["L_UpperLeg"]] - places[:, joints["R_UpperLeg"]])
    left = unit(left - (left @ up)[:, None] * up)
    heading = np.stack([np.cross(left, up), left, np.broadcast_to(up, left.shape)], axis=-1)
    heading = heading @ heading[0].T  # relative to the first frame's, so that the axes stay the recording's
    seen = heading.swapaxes(-1, -2)[:, None] @ recording.rotations
    feet = (places[:, joints["L_Foot"]] + places[:, joints["R_Foot"]]) / 2
    high = (places[:, joints["Head"]] - feet) @ up
    frames = dict.fromkeys(range(len(recording.joints)), high >= np.percentile(high, 75))
    for side in "LR":
        foot = joints[f"{side}_Foot"]
        standing = _standing(places[:, foot], joints, places, up, side)
        for joint in _branch(recording, foot):
            frames[joint] = standing
    new = np.stack([Rotation.from_matrix(seen[chosen, joint]).mean().as_matrix() for joint, chosen in frames.items()])
    _spread_arms(recording, joints, new, left[0])
    _align_head_and_feet(recording, joints, new, up, np.cross(left[0], up))
    parents = np.array(recording.parents)
    offsets = np.einsum("jab,jb->ja", new[np.maximum(parents, 0)], recording.offsets)
    tips = np.einsum("jab,jb->ja", new, recording.tips)
    rotations = recording.rotations @ new.swapaxes(-1, -2)
    return replace(recording, offsets=offsets, tips=tips, rotations=rotations)


def _align_head_and_feet(recording: Recording, joints: dict[str, int], rest: Array, up: Array, ahead: Array) -> None:
    """Levels the head of a rest pose, orientations (J, 3, 3), and turns the toes ahead.

    People look down as they walk and turn their feet out: that is motion, not rest.
    """
    head = joints["Head"]
    crown = unit(rest[head] @ recording.tips[head])
    if crown @ up > _UPRIGHT_COS:
        rest[head] = shortest_arc(crown, up) @ rest[head]
    for side in "LR":
        if f"{side}_Toe" in joints:
            foot = joints[f"{side}_Foot"]
            toe = rest[foot] @ recording.offsets[joints[f"{side}_Toe"]]
            branch = _branch(recording, foot)
            rest[branch] = shortest_arc(unit(toe - (toe @ up) * up), ahead) @ rest[branch]


def _spread_arms(recording: Recording, joints: dict[str, int], rest: Array, left: Array) -> None:
    """Turns the arms of a rest pose, orientations (J, 3, 3), to the sides, from the shoulders on.

    Each bone takes those below it along, so that they keep the twist that they have against each other.
    """
    for side, sign in (("L", 1.0), ("R", -1.0)):
        for part in ("UpperArm", "Forearm", "Hand"):
            joint = joints.get(f"{side}_{part}")
            if joint is not None and np.linalg.norm(recording.tips[joint]) > 1e-9:
                branch = _branch(recording, joint)
                rest[branch] = shortest_arc(unit(rest[joint] @ recording.tips[joint]), sign * left) @ rest[branch]


def _standing(ankle: Array, joints: dict[str, int], places: Array, up: Array, side: str) -> NDArray[np.bool_]:
    """The fifth of the frames in which a foot is lowest and slowest."""
    toe = places[:, joints[f"{side}_Toe"]] if f"{side}_Toe" in joints else ankle
    speed = np.linalg.norm(np.gradient(toe, axis=0), axis=1)
    low = np.argsort(np.argsort((ankle + toe) @ up, kind="stable"), kind="stable")
    slow = np.argsort(np.argsort(speed, kind="stable"), kind="stable")
    rank = low + slow
    return np.asarray(rank <= np.percentile(rank, 20))


def _branch(recording: Recording, top: int) -> list[int]:
    """A joint and all below it."""
    found = [top]
    for joint, parent in enumerate(recording.parents):
        if parent in found:
            found.append(joint)
    return found


def _hips(places: Array, joints: dict[str, int]) -> Array:
    return np.asarray((places[..., joints["L_UpperLeg"], :] + places[..., joints["R_UpperLeg"], :]) / 2)


def check_person(recording: Recording, joints: dict[str, int], up: Array, metres: float) -> None:
    """Checks what is known of people.

    Raises:
        RecordingError: the head of the standing body is not 1.2 to 2.1 m above the floor, the knees bend backwards, or
            the body jumps by more than a body can.
    """
    places = recording.positions() * metres
    feet = np.minimum(places[:, joints["L_Foot"]] @ up, places[:, joints["R_Foot"]] @ up)
    height = float(np.percentile(places[:, joints["Head"]] @ up - feet, 90)) + _ANKLE_M
    if not _HEAD_M[0] <= height <= _HEAD_M[1]:
        raise RecordingError(
            f"{recording.name}: the head is {height:.2f} m above the floor, wanted {_HEAD_M[0]} to {_HEAD_M[1]} m"
        )
    step = np.linalg.norm(np.diff(places[:, 0], axis=0), axis=1).max() * recording.rate_hz
    if step > _MAX_MPS:
        raise RecordingError(f"{recording.name}: the pelvis jumps, {step:.0f} m/s between two frames")
    left = unit(places[:, joints["L_UpperLeg"]] - places[:, joints["R_UpperLeg"]])
    bends = []
    for side in "LR":
        hip, knee, ankle = (places[:, joints[f"{side}_{part}"]] for part in ("UpperLeg", "LowerLeg", "Foot"))
        thigh, shin = unit(knee - hip), unit(ankle - knee)
        bends.append(np.arctan2((np.cross(thigh, shin) * left).sum(-1), (thigh * shin).sum(-1)))
    bend = np.stack(bends)  # positive where the shin is turned back
    bent = np.abs(bend) > _BENT_RAD
    backwards = float((bend[bent] < 0).mean()) if bent.mean() > 0.02 else 0.0
    if backwards > 0.5:
        raise RecordingError(
            f"{recording.name}: the knees bend backwards in {backwards:.0%} of the frames in which they are bent; are "
            "left and right exchanged?"
        )
