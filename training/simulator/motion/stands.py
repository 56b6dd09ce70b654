"""Finds where to stand, and how to bend, to bring one hand or both to a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.rotations import rotation_z
from training.simulator.motion.grasps import Grasp
from training.simulator.motion.timeline import Timeline
from training.simulator.people.hand_task import HandTask
from training.simulator.people.posture import SIDES, key_of
from training.simulator.rooms.plan import NoRoomError, Target

Array = NDArray[np.float64]

_CANDIDATES = 60
_HIGH_M = 1.05
_HEAD_CLEARANCE = 0.16
_KNEE_CLEARANCE = 0.12


@dataclass(frozen=True)
class HandlingPlan:
    """A planned touch, taking or putting down.

    Attributes:
        stand: (2,) m and heading rad. yaw: direction in which the hands point, rad, world.
        posture: (5,) at the thing. wrist: world (3,) of each hand there.
        goal: world (3,) where the held or touched point is. place: the surface that something is put on.
    """

    action: str
    target: Target
    grasp: Grasp
    stand: tuple[Array, float]
    yaw: float
    posture: Array
    wrist: dict[str, Array]
    goal: Array
    place: Target | None = None

    @property
    def hand(self) -> str:
        return "both" if len(self.grasp.hands) > 1 else self.grasp.hands[0]

    def task(self, hand: str, start_s: float, arrive_s: float, **more: Any) -> HandTask:
        """The task of one hand to be at its wrist point."""
        rotation = rotation_z(np.array(self.yaw)) @ self.grasp.attitude[hand]
        more.setdefault("apart", 0.3 if self.wrist[hand][2] < _HIGH_M else 0.16)  # or the elbow would fold up
        return HandTask(hand, self.wrist[hand][None], rotation, np.zeros(1), start_s, arrive_s, **more)


def candidates(line: Timeline, target: Target, goal: Array, near: float = 0.3, far: float = 0.8) -> Array:
    """Stands (N, 3) (x, y, heading) from which a world point may be within reach: where the body is, those that the
    room plan names, and random ones around the point."""
    rng = line.rng
    angles, distances = rng.uniform(-np.pi, np.pi, _CANDIDATES), rng.uniform(near, far, _CANDIDATES)
    around = goal[:2] + distances[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    facing = angles + np.pi + rng.uniform(-0.35, 0.35, _CANDIDATES)
    named = np.array(target.stands, dtype=float).reshape(-1, 3)
    here = np.array([[*line.here, line.heading]])
    return np.concatenate([here, named, np.column_stack([around, facing])])


def find_stand(line: Timeline, action: str, target: Target, goal: Array, grasp: Grasp) -> HandlingPlan:
    """Plans where to stand and how to bend so that the held point comes to the world point ``goal``.

    Raises:
        NoRoomError: there is no such stand.
    """
    stands = candidates(line, target, goal)
    stands = stands[line.walkable.clear(stands[:, :2], slack=0.03)]
    away = goal - np.column_stack([stands[:, :2], np.zeros(len(stands))])
    local = np.einsum("nji,nj->ni", rotation_z(stands[:, 2]), away)
    aside = np.arctan2(local[:, 1], local[:, 0])
    lateral = np.mean([SIDES[hand] for hand in grasp.hands]) * 0.12
    yaw = np.arctan2(local[:, 1] - lateral, local[:, 0] + 0.1)
    wrists = {hand: local - rotation_z(yaw) @ grasp.attitude[hand] @ grasp.point[hand] for hand in grasp.hands}
    reached = line.table.fits(wrists)
    chosen = np.argmax(reached, axis=-1)
    fits = (np.abs(aside) < np.radians(60)) & reached.any(axis=-1)
    for wrist in wrists.values():
        fits &= wrist[:, 0] > 0.12
    cost = line.table.cost[chosen] + 0.4 * np.abs(aside) + line.rng.uniform(0, 0.15, len(stands))
    cost += 0.25 * np.minimum(np.linalg.norm(stands[:, :2] - line.here, axis=1), 2.0)
    key = key_of(grasp.hands)
    fits &= _unhindered(line, stands, chosen, key)
    if not fits.any():
        raise NoRoomError(f"room {line.room.seed}: {target.name} is out of reach of the free area")
    best = int(np.argmin(np.where(fits, cost, np.inf)))
    place, heading = stands[best, :2], float(stands[best, 2])
    facing = rotation_z(np.array(heading))
    base = np.array([*place, 0.0])
    posture = line.table.measured(key)[0][chosen[best]]
    return HandlingPlan(
        action, target, grasp, (place, heading), heading + float(yaw[best]), posture,
        {hand: base + facing @ wrists[hand][best] for hand in grasp.hands}, np.asarray(goal, dtype=float),
    )  # fmt: skip


def _unhindered(line: Timeline, stands: Array, chosen: NDArray[np.intp], key: str) -> NDArray[np.bool_]:
    """Whether head and knees have space in the posture at each stand."""
    postures, _, heads = line.table.measured(key)
    facing = rotation_z(stands[:, 2])
    base = np.column_stack([stands[:, :2], np.zeros(len(stands))])
    head = base + np.einsum("nij,nj->ni", facing, heads[chosen])
    clear = line.room.distance_to_solids(head) > _HEAD_CLEARANCE
    knees = base + facing @ np.array([0.3, 0.0, 0.45])
    low = postures[chosen, 0] > 0.2
    return np.asarray(clear & (~low | (line.room.distance_to_solids(knees) > _KNEE_CLEARANCE)))
