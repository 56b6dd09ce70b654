"""Paths of carried objects, and faults of a finished motion: a head in furniture, a hand that misses what it holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.skeleton import HEAD
from training.simulator.motion.animation import Pose
from training.simulator.motion.room_state import initial_place
from training.simulator.motion.timeline import Timeline
from training.simulator.people.person import JOINT
from training.simulator.people.posture import PREFIX

Array = NDArray[np.float64]

_HEAD_M = 0.13  # least distance of the head's middle from solids
_HEAD_CENTRE = np.array([0.02, 0.0, 0.095])  # in the head's frame
_PALM_M = 0.085  # from the wrist to the grip
_MISS_M = 0.006  # a hand this far from its goal has missed it


def object_poses(line: Timeline, pose: Pose, time: Array) -> dict[str, Array]:
    """Poses {id: (T, 4, 4)} of objects that hands carry or that lie in a drawer that moves."""
    poses: dict[str, Array] = {}
    for target in line.room.of_kind("object"):
        gripped = [grip for grip in line.state.grips if grip.target.id == target.id]
        rides = target.within in line.state.moved_parts and line.room.articulations[target.within].kind == "slide"
        if not gripped and not rides:
            continue
        path = np.repeat(initial_place(target)[None], len(time), axis=0)
        if rides:
            part = line.room.articulations[target.within]
            path = part.transform(line.state.values_at(part.id, time) - part.initial) @ path
        for grip in gripped:
            hand = JOINT[f"{PREFIX[grip.hand]}_Hand"]
            held = (time >= grip.from_s) & (time < grip.until_s)
            world = np.repeat(np.eye(4)[None], int(held.sum()), axis=0)
            world[:, :3, :3], world[:, :3, 3] = pose.rotations[held, hand], pose.positions[held, hand]
            path[held] = world @ grip.in_hand
            if grip.placed is not None:
                path[time >= grip.until_s] = grip.placed
        poses[target.id] = path
    return poses


def find_fault(line: Timeline, pose: Pose, time: Array) -> str:
    """Why a motion is impossible in its room, in words; "" where it is possible."""
    head = pose.positions[:, HEAD] + pose.rotations[:, HEAD] @ _HEAD_CENTRE
    near = line.room.distance_to_solids(head) < 2 * _HEAD_M
    if near.any() and line.room.solids.static.distance(head[near][::2]).min() < _HEAD_M:
        return "the head comes too near to furniture"
    for task in line.tasks:
        if task.grip and not task.carried:
            stay = (time >= task.arrive_s) & (time <= min(task.leave_s, task.times[-1] if len(task.times) > 1 else 1e9))
            if not stay.any() or _taken_over(line, task.hand, task.arrive_s, time[stay][-1]):
                stay &= time < task.arrive_s + 0.2
            wrist, turned = task.pose(time[stay], pose.positions[stay, 0], np.zeros(int(stay.sum())))
            hand = JOINT[f"{PREFIX[task.hand]}_Hand"]
            miss = np.linalg.norm(wrist - pose.positions[stay, hand], axis=-1)
            miss = miss + _PALM_M * np.linalg.norm((turned - pose.rotations[stay, hand])[:, :, 1], axis=-1)
            if len(miss) and miss.max() > _MISS_M:
                return f"the {task.hand} hand misses what it holds by {miss.max():.3f} m"
    return ""


def _taken_over(line: Timeline, hand: str, after_s: float, until_s: float) -> bool:
    """Whether another task of the hand begins in between."""
    return any(task.hand == hand and after_s < task.start_s < until_s for task in line.tasks)
