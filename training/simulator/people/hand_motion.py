"""Motion of hands: paths of the wrist, attitudes of the palm, and the arms that follow them.

A hand's frame in T-pose: the left one's fingers point along +y, the right one's along -y, palms face -z, thumbs +x.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from egotwin_model.geometry.inverse_kinematics import two_bone
from egotwin_model.geometry.rotations import cross, partway, shortest_arc, unit
from training.simulator.people.easing import ease
from training.simulator.people.hand_task import HandTask
from training.simulator.people.person import JOINT, Person
from training.simulator.people.posture import PREFIX, SIDES

Array = NDArray[np.float64]

_FINGERS = 0.160  # wrist to fingertips, metres of a 1.75 m body
_PALM = 0.085  # wrist to the middle of the grip
_DEPTH = 0.022  # of the palm's skin below the wrist
_MOST_WRIST = np.radians(78)
_NEAREST_M, _SOFT_M = 0.27, 0.012  # from shoulder to wrist


def attitude(hand: str, roll: float, pitch: float, inward: float = 0.0) -> Array:
    """A hand's rotation (3, 3) relative to the heading: fingers ahead and down by ``pitch`` rad, palm down for a
    ``roll`` of 0 and facing the other hand, thumb up, for pi / 2; fingers turned ``inward`` rad."""
    sign = SIDES[hand]
    turned = Rotation.from_euler("z", -sign * (np.pi / 2 + inward))
    return np.asarray((Rotation.from_euler("yx", [pitch, -sign * roll]) * turned).as_matrix())


def grip_point(hand: str, radius: float) -> Array:
    """The middle (3,) of something with a radius (m) in the hand, in the hand's frame."""
    return np.array([0.0, SIDES[hand] * _PALM, -_DEPTH - radius])


def finger_point(hand: str) -> Array:
    """The fingertips (3,) in the hand's frame, metres."""
    return np.array([0.0, SIDES[hand] * _FINGERS, -_DEPTH])


def grips(tasks: tuple[HandTask, ...], time: Array) -> Array:
    """How closed the left and right hand is: (T, 2) from 0 to 1."""
    closed = np.zeros((len(time), 2))
    for task in tasks:
        column = closed[:, list(SIDES).index(task.hand)]
        amount = task.grip * ease(time, task.arrive_s - 0.12, task.arrive_s + 0.13)
        amount = amount * (1 - ease(time, task.leave_s, task.leave_s + 0.25)) if np.isfinite(task.leave_s) else amount
        np.maximum(column, amount, out=column)
    return closed


def place_arm(
    person: Person,
    rotations: Array,
    positions: Array,
    tasks: list[HandTask],
    time: Array,
    heading: Array,
) -> None:
    """Moves one hand through its tasks; the arm's rotations are replaced in place.

    Args:
        person: the body.
        rotations: (T, 23, 3, 3) global. positions: (T, 23, 3) metres that belong to them.
        tasks: of one hand, in the order in which they take over from each other.
        time: (T,) seconds. heading: (T,) rad of the body.
    """
    hand = tasks[0].hand
    arm, forearm, palm = (JOINT[f"{PREFIX[hand]}_{part}"] for part in ("UpperArm", "Forearm", "Hand"))
    shoulder, elbow, wrist = positions[:, arm], positions[:, forearm], positions[:, palm]
    target, rotation, done = wrist, rotations[:, palm], np.zeros(len(time))
    for task in tasks:
        goal, attitude_ = task.pose(time, positions[:, 0], heading)
        across, upright = task.weights(time)
        share = np.stack([across, across, upright], axis=-1)
        out_of_way = np.abs(upright - across)[:, None] * task.swing * np.array([0.0, 0.0, 1.0])
        target = target + share * (goal - target) + out_of_way
        rotation = partway(rotation, attitude_, np.minimum(across, upright))
        done = 1 - (1 - done) * (1 - np.maximum(across, upright))
    target = _clear_of_shoulder(target, shoulder, rotations[:, JOINT["T8"], :, 0], person.scale)
    moved = done > 0
    if moved.any():
        natural = rotations[moved][:, [arm, forearm, palm]]
        rotations[np.flatnonzero(moved)[:, None], np.array([arm, forearm, palm])] = _arm(
            person, hand, shoulder[moved], elbow[moved], wrist[moved], target[moved],
            natural, rotation[moved], rotations[moved, JOINT["T8"]], done[moved],
        )  # fmt: skip


def _clear_of_shoulder(target: Array, shoulder: Array, ahead: Array, scale: float) -> Array:
    """Wrist targets (T, 3) moved ahead (unit vectors (T, 3)) where they come so near to the shoulder that an elbow
    would have to fold up; smooth, and nothing further away than 0.3 m moves by more than 1 mm."""
    away = target - shoulder
    near = np.sqrt(np.einsum("ti,ti->t", away, away)) / scale
    missing = _SOFT_M * np.logaddexp(0, (_NEAREST_M - near) / _SOFT_M) * scale
    return target + missing[:, None] * ahead


def _arm(
    person: Person,
    hand: str,
    shoulder: Array,
    elbow: Array,
    wrist: Array,
    target: Array,
    natural: Array,
    rotation: Array,
    trunk: Array,
    done: Array,
) -> Array:
    """Rotations (T, 3, 3, 3) of upper arm, forearm and hand that bring the wrist to the target.

    The elbow goes down and outward; its hinge and the forearm's twist come from the hand as far as it is ``done``.
    """
    sign = SIDES[hand]
    ahead, left, up = trunk[:, :, 0], trunk[:, :, 1], trunk[:, :, 2]
    outward = unit(sign * 0.5 * left - 0.25 * ahead - 0.3 * up - np.array([0.0, 0.0, 0.7]))
    w = done[:, None]
    pole = (1 - w) * unit(elbow - (shoulder + wrist) / 2) + w * outward
    upper, lower = two_bone(shoulder, target, pole, *person.arm)
    turn_upper = shortest_arc(unit(elbow - shoulder), upper)
    carried = unit(np.einsum("tij,tj->ti", turn_upper, wrist - elbow))
    turn_lower = shortest_arc(carried, lower) @ turn_upper

    axis = unit(target - shoulder)
    across = unit(cross(axis, pole))
    hinged = _frame(sign * upper, sign * across)
    held = shortest_arc(sign * rotation[:, :, 1], lower) @ rotation
    arm = partway(turn_upper @ natural[:, 0], hinged, done)
    forearm = partway(turn_lower @ natural[:, 1], held, done)
    fingers = sign * rotation[:, :, 1]
    bend = np.arccos(np.clip(np.einsum("ti,ti->t", fingers, lower), -1, 1))
    axis = unit(cross(fingers, lower))
    back = Rotation.from_rotvec(np.maximum(bend - _MOST_WRIST, 0)[:, None] * axis).as_matrix()
    return np.stack([arm, forearm, back @ rotation], axis=1)


def _frame(y: Array, z: Array) -> Array:
    """Frames (T, 3, 3) with this y axis and the z axis nearest to the given one."""
    z = unit(z - np.einsum("ti,ti->t", z, y)[:, None] * y)
    return np.stack([cross(y, z), y, z], axis=-1)
