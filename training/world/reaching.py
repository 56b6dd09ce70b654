"""Reaching: how far the trunk must lean, how the hand travels, how the arm follows it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from egotwin_model.skeleton import XSENS_PARENTS, forward_kinematics
from training.world.ik import rotation_y, rotation_z, shortest_arc, two_bone, unit
from training.world.people import JOINT, SPINE, UPPER_BODY, Person, idle_rotvecs
from training.world.tracks import Reach, Track, ease

Array = NDArray[np.float64]

HIPS_BACK = 0.12  # metres the pelvis moves back and
HIPS_DOWN = 0.10  # down per radian of lean
_TURN = 0.4  # radians the trunk turns its reaching shoulder forward
_HAND_LENGTH = 0.12  # from the wrist to the object's centre at the end of a reach
_STRETCH = 0.97  # how straight an arm may be
_LEANS = np.radians(np.linspace(0, 75, 26))
WORST_LEAN = float(np.radians(56))


def chain(local: Array, rotations: Array, joints: list[int]) -> None:
    """Fill the global ``rotations`` (T, 23, 3, 3) of ``joints`` from their local ones; parents come first."""
    for joint in joints:
        rotations[:, joint] = rotations[:, XSENS_PARENTS[joint]] @ local[:, joint]


def side_of(reach: Reach) -> tuple[str, float]:
    """The joint prefix of a reach's hand and the sign of its y."""
    return ("L", 1.0) if reach.hand == "left" else ("R", -1.0)


def lean(local: Array, angle: Array, yaw: Array) -> None:
    """Bend the trunk forward by ``angle`` (T,) rad and turn it by ``yaw`` (T,), shared by pelvis and spine."""
    local[:, 0] = local[:, 0] @ rotation_y(0.4 * angle)
    bend = rotation_z(yaw / 4) @ rotation_y(0.6 * angle / 4)
    local[:, SPINE] = bend[:, None] @ local[:, SPINE]


def trunk_turn(reach: Reach) -> float:
    """Turn of the trunk (rad) at the end of a reach."""
    return -side_of(reach)[1] * _TURN


def weight(reach: Reach, time: Array) -> Array:
    """How much of a reach is done: (T,) from 0 to 1 and back."""
    return ease(time, reach.start_s, reach.arrive_s) * (1 - ease(time, reach.leave_s, reach.back_s))


def _hand_weights(reach: Reach, time: Array) -> tuple[Array, Array]:
    """The hand rises over the support before it goes forward, and comes back before it sinks: (T,) level, (T,) up."""
    go, back = 0.3 * (reach.arrive_s - reach.start_s), 0.3 * (reach.back_s - reach.leave_s)
    level = ease(time, reach.start_s + go, reach.arrive_s) * (1 - ease(time, reach.leave_s, reach.back_s - back))
    up = ease(time, reach.start_s, reach.arrive_s - go) * (1 - ease(time, reach.leave_s + back, reach.back_s))
    return level, up


def lean_to_reach(person: Person, position: Array, heading: float, reach: Reach) -> float | None:
    """The smallest forward lean (rad) that brings a palm to the target from a stand, or None if it is out of reach.

    Args:
        person: the body. position: (2,) metres where its pelvis stands. heading: where it faces, rad.
        reach: the target and the hand.
    """
    count = len(_LEANS)
    local = np.repeat(Rotation.from_rotvec(idle_rotvecs(person)).as_matrix()[None], count, axis=0)
    lean(local, _LEANS, np.full(count, trunk_turn(reach)))
    rotations = local.copy()
    rotations[:, 0] = rotation_z(np.full(count, heading)) @ local[:, 0]
    chain(local, rotations, UPPER_BODY)
    back = -HIPS_BACK * _LEANS[:, None] * np.array([np.cos(heading), np.sin(heading)])
    pelvis = np.column_stack([position + back, person.standing_height - HIPS_DOWN * _LEANS])
    shoulder = forward_kinematics(pelvis, rotations, person.offsets)[:, JOINT[f"{side_of(reach)[0]}_UpperArm"]]
    near = np.linalg.norm(shoulder - reach.position, axis=1) - _HAND_LENGTH <= sum(person.arm) * _STRETCH
    return float(_LEANS[int(np.argmax(near))]) if near.any() else None


def planned_lean(person: Person, track: Track, reach: Reach) -> float:
    """The lean of a reach from where its track then stands; the largest one if even that does not suffice."""
    x, y, heading = (
        float(np.interp(reach.arrive_s, track.time, values))
        for values in (track.path[:, 0], track.path[:, 1], track.heading)
    )
    angle = lean_to_reach(person, np.array([x, y]), heading, reach)
    return WORST_LEAN if angle is None else angle


def place_arm(person: Person, rotations: Array, positions: Array, reach: Reach, time: Array) -> None:
    """Take a palm from where it is to the target and back, turning the arm's bones as little as needed, in place.

    Args:
        person: the body.
        rotations: (T, 23, 3, 3) global; the arm's are replaced. positions: (T, 23, 3) metres that belong to them.
        reach: the target, the hand and the times. time: (T,) seconds.
    """
    side, sign = side_of(reach)
    arm, forearm, hand = (JOINT[f"{side}_{part}"] for part in ("UpperArm", "Forearm", "Hand"))
    shoulder, elbow, wrist = positions[:, arm], positions[:, forearm], positions[:, hand]
    goal = reach.position - _HAND_LENGTH * unit(reach.position - shoulder)
    level, up = _hand_weights(reach, time)
    done = np.stack([level, level, up], axis=-1)
    rise = (up - level)[:, None] * np.array([0.0, 0.0, 0.10])
    target = wrist + done * (goal - wrist) + rise
    trunk = rotations[:, JOINT["T8"]]
    outward = sign * trunk[:, :, 1] * 0.45 + np.array([0.0, 0.0, -1.0])
    w = np.maximum(level, up)[:, None]
    pole = (1 - w) * unit(elbow - (shoulder + wrist) / 2) + w * unit(outward)
    pole -= 1.5 * (up - level)[:, None] * trunk[:, :, 0]  # while the hand rises at the side, the elbow goes back
    upper, lower = two_bone(shoulder, target, pole, *person.arm)
    turn_upper = shortest_arc(unit(elbow - shoulder), upper)
    carried = unit(np.einsum("tij,tj->ti", turn_upper, wrist - elbow))
    turn_lower = shortest_arc(carried, lower) @ turn_upper
    rotations[:, arm] = turn_upper @ rotations[:, arm]
    rotations[:, forearm] = turn_lower @ rotations[:, forearm]
    rotations[:, hand] = turn_lower @ rotations[:, hand]
