"""What hands do: paths of the wrist and the palm's attitude, and the arms that follow them.

A hand's frame in T-pose: the left one's fingers point along +y, the right one's along -y, palms face -z, thumbs +x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from egotwin_model.geometry.inverse_kinematics import two_bone
from egotwin_model.geometry.rotations import cross, partway, rotation_z, shortest_arc, unit
from training.simulator.people.person import JOINT, Person
from training.simulator.people.posture import PREFIX, SIDES
from training.simulator.people.tracks import ease

Array = NDArray[np.float64]

_FINGERS = 0.160  # wrist to fingertips and
_PALM = 0.085  # wrist to the middle of the grip, metres of a 1.75 m body
_DEPTH = 0.022  # of the palm's skin below the wrist
_MOST_WRIST = np.radians(78)
_NEAREST_M, _SOFT_M = 0.27, 0.012  # from shoulder to wrist
_RISE = 0.08  # metres a hand swings over what is in its way


def attitude(hand: str, roll: float, pitch: float, inward: float = 0.0) -> Array:
    """A hand's rotation (3, 3) relative to the heading: fingers ahead and down by ``pitch`` rad, palm down for a
    ``roll`` of 0 and facing the other hand, thumb up, for pi / 2; fingers turned ``inward`` rad."""
    sign = SIDES[hand]
    turned = Rotation.from_euler("z", -sign * (np.pi / 2 + inward))
    return np.asarray((Rotation.from_euler("yx", [pitch, -sign * roll]) * turned).as_matrix())


def grip_point(hand: str, radius: float) -> Array:
    """The middle (3,) of something of a radius (m) in the hand, in the hand's frame."""
    return np.array([0.0, SIDES[hand] * _PALM, -_DEPTH - radius])


def finger_point(hand: str) -> Array:
    """The fingertips (3,) in the hand's frame, metres."""
    return np.array([0.0, SIDES[hand] * _FINGERS, -_DEPTH])


@dataclass(frozen=True)
class HandTask:
    """One stay of a hand somewhere: it goes there, stays or follows, and comes back (or something else takes over).

    Attributes:
        hand: "left" or "right".
        wrist: (K, 3) metres at ``times``: in the world, or from the pelvis with x along the heading (``carried``).
        rotation: (3, 3) or (K, 3, 3) of the hand in the same frame.
        times: (K,) s.
        start_s, arrive_s, leave_s, back_s: the way there and the way back.
        carried: the frame moves with the body.
        up_first: the hand rises (or comes back level) before it goes across; else it goes across and then down.
        grip: fingers closed at the stay, 0 … 1.
        swing: metres it goes out of the way on its way.
        apart: share of the way's time by which going across and going up or down are apart.
    """

    hand: str
    wrist: Array
    rotation: Array
    times: Array
    start_s: float
    arrive_s: float
    leave_s: float = np.inf
    back_s: float = np.inf
    carried: bool = False
    up_first: bool = True
    grip: float = 0.0
    swing: float = _RISE
    apart: float = 0.3

    def weights(self, time: Array) -> tuple[Array, Array]:
        """How far it is there across and up or down: two of (T,), from 0 to 1 and back."""
        go, back = self.apart * (self.arrive_s - self.start_s), self.apart * (self.back_s - self.leave_s)
        first = ease(time, self.start_s, self.arrive_s - go)
        second = ease(time, self.start_s + go, self.arrive_s)
        if np.isfinite(self.back_s):
            first = first * (1 - ease(time, self.leave_s + back, self.back_s))
            second = second * (1 - ease(time, self.leave_s, self.back_s - back))
        return (second, first) if self.up_first else (first, second)

    def pose(self, time: Array, pelvis: Array, heading: Array) -> tuple[Array, Array]:
        """World wrist (T, 3) and hand rotation (T, 3, 3) of the stay at times (T,), held before and after it."""
        wrist = np.stack([np.interp(time, self.times, self.wrist[:, k]) for k in range(3)], axis=-1)
        rotation = self.rotation
        if rotation.ndim == 3:
            nearest = np.clip(np.searchsorted(self.times, time), 0, len(self.times) - 1)
            rotation = rotation[nearest]
        if not self.carried:
            return wrist, np.broadcast_to(rotation, (len(time), 3, 3))
        facing = rotation_z(heading)
        return pelvis + np.einsum("tij,tj->ti", facing, wrist), facing @ rotation


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
    """Take one hand through its tasks; the arm's rotations are replaced, in place.

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
