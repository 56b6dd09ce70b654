"""Segment frames as the joints show them: elbows and knees are hinges, and standing feet are level.

A rest pose says little of how a segment is turned about its own bone: CMU's has the elbow's axis 30 degrees from where
the Xsens T-pose has it, other files any angle. The motion says it: the axis about which an elbow bends is vertical in
the T-pose, that of a knee points to the left, and feet that stand are level.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.rotations import rotation_about, shortest_arc, unit
from training.datasets.mocap.captured_motion import JOINT, CapturedMotion

Array = NDArray[np.float64]

_BENT_RAD, _LEAST_FRAMES = float(np.radians(15)), 24  # a hinge's axis is seen in so many frames bent by so much
_STANDING_PERCENT = 20  # of the frames in which a foot is lowest and slowest
_MOST_TILTED_RAD = float(np.radians(50))


def with_hinges(captured: CapturedMotion) -> CapturedMotion:
    """The same motion with upper arms, forearms, hands and legs turned about their bones, to the axes of their hinges.

    Limbs that are hardly ever bent are left as they are.
    """
    positions, rotations = captured.positions(), captured.rotations.copy()
    for side, sign in (("L", 1.0), ("R", -1.0)):
        arm = [JOINT[f"{side}_{part}"] for part in ("UpperArm", "Forearm", "Hand")]
        leg = [JOINT[f"{side}_{part}"] for part in ("UpperLeg", "LowerLeg", "Foot")]
        for (upper, lower, end), axis, bone in (
            (arm, np.array([0.0, 0.0, -sign]), np.array([0.0, sign, 0.0])),
            (leg, np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, -1.0])),
        ):
            bend = np.cross(
                unit(positions[:, lower] - positions[:, upper]), unit(positions[:, end] - positions[:, lower])
            )
            bent = np.linalg.norm(bend, axis=1) > np.sin(_BENT_RAD)
            if bent.sum() < _LEAST_FRAMES:
                continue
            for joint in (upper, lower):
                seen = np.einsum("tij,ti->j", rotations[bent, joint], bend[bent])
                angle = np.arctan2(np.cross(axis, seen) @ bone, axis @ seen)
                turn = rotation_about(bone, np.array(angle))
                rotations[:, joint] = rotations[:, joint] @ turn
            if end == arm[-1]:  # a hand keeps its pose against its forearm
                rotations[:, end] = rotations[:, end] @ turn
    return replace(captured, rotations=rotations)


def with_level_feet(captured: CapturedMotion) -> CapturedMotion:
    """The same motion with feet and toes that are level, on average, where the foot stands.

    Raises:
        RecordingError: feet would have to be turned by more than 50 degrees.
    """
    positions, rotations = captured.positions(), captured.rotations.copy()
    for side in "LR":
        foot, toe = JOINT[f"{side}_Foot"], JOINT[f"{side}_Toe"]
        speed = np.linalg.norm(np.gradient(positions[:, foot], axis=0), axis=1)
        rank = rankdata(speed, "ordinal") + rankdata(positions[:, foot, 2], "ordinal")
        standing = rank <= np.percentile(rank, _STANDING_PERCENT)
        for joint in (foot, toe):
            up = unit(captured.rotations[standing, joint, 2].mean(axis=0))
            tilt = float(np.arccos(np.clip(up[2], -1, 1)))
            if tilt > _MOST_TILTED_RAD:
                raise RecordingError(
                    f"{captured.name}: {side}_{'Foot' if joint == foot else 'Toe'} is tilted by {np.degrees(tilt):.0f} "
                    "degrees where the foot stands; wanted feet that stand on their soles"
                )
            rotations[:, joint] = captured.rotations[:, joint] @ shortest_arc(np.array([0.0, 0.0, 1.0]), up)
    return replace(captured, rotations=rotations)
