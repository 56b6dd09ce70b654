"""Plans how a door, cupboard or drawer is opened or closed: a hand, a stand, and a way of the body with the part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.rotations import rotate_2d, rotation_z
from training.simulator.motion.grasps import Grasp, scaled
from training.simulator.motion.stands import candidates
from training.simulator.motion.timeline import Timeline
from training.simulator.people.hand_motion import attitude, grip_point
from training.simulator.people.posture import SIDES
from training.simulator.rooms.plan import Articulation, NoRoomError, Target
from training.simulator.rooms.routes import segment_distance

Array = NDArray[np.float64]

_KEYS = 7  # points of the handle's path at which a stand is checked
_LEAF_M = 0.27  # metres between the middle of the body and a leaf's edge while it moves
_KNEES_M, _KNEE_LEAF_M = 0.34, 0.1  # how far a crouch's knees are ahead; their distance from the part
_HANDLE_RADIUS = 0.011
_LEVER_M = 0.075  # from the middle of a door's leaf to its levers
_DOORWAY_M, _SHOULDERS_M = 0.7, 0.24  # half the depth of a doorway; half a body's width
_OPEN_SHARE = {"door": (0.62, 0.85), "cabinet": (0.6, 0.95), "drawer": (0.7, 1.0)}
_FOLLOW = np.array([0.0, 0.4, 0.75])  # share of the handle's path by which the body follows
_GAINS = np.stack([_FOLLOW, np.minimum(_FOLLOW, 0.45)], axis=-1)  # along the front's normal, and aside


@dataclass(frozen=True)
class OperationPlan:
    """Planned opening or closing, at K points of the handle's path.

    Attributes:
        stand: (2,) m and heading at the start. way: (K, 2) m where the body stands. share: (K,) of the path, 0 … 1.
        wrist: (K, 3) m and rotation: (K, 3, 3) of the hand, world. posture: (5,). goal: value at the end.
        grip: (3,) m, the handle of the closed part.
    """

    action: str
    target: Target
    part: Articulation
    hand: str
    stand: tuple[Array, float]
    way: Array
    share: Array
    wrist: Array
    rotation: Array
    posture: Array
    goal: float
    grip: Array


def leaf(target: Target, part: Articulation, value: float) -> Array:
    """The edge of an open part seen from above (1, 4): from its hinge or carcass to its handle."""
    handle = part.move(_handle(target), value)
    if part.kind == "hinge":
        return np.array([[*part.origin[:2], *handle[:2]]])
    back = handle[:2] - np.array(part.axis[:2]) * value
    side = np.array([-part.axis[1], part.axis[0]]) * max(target.size[:2]) / 2
    return np.array([[*back, *handle[:2]], [*(handle[:2] - side), *(handle[:2] + side)]])


def _handle(target: Target) -> Array:
    return np.array(target.handle or target.position, dtype=float)


def grips_of(target: Target) -> list[Array]:
    """Handles of a closed part, (3,) m each: a door has a lever on either side, others have one handle."""
    if target.kind != "door":
        return [_handle(target)]
    out = _LEVER_M * np.array([np.cos(target.yaw), np.sin(target.yaw), 0.0])
    return [_handle(target) + out, _handle(target) - out]


def plan_operation(line: Timeline, target: Target, action: str) -> OperationPlan:
    """Plans opening or closing: a hand, a stand and a way of the body on which the hand stays at the handle.

    Raises:
        NoRoomError: nowhere, or the part is open (closed) already.
    """
    part = line.room.articulations[target.articulation]
    value, top = line.state.value(part.id), part.limits[1]
    if (action == "open" and value > 0.3 * top) or (action == "close" and value < 0.2 * top):
        raise NoRoomError(f"the {target.name} is {'open' if action == 'open' else 'closed'} already")
    far = top * float(line.rng.uniform(*_OPEN_SHARE[target.kind]))
    share = np.linspace(0, 1, _KEYS)
    for goal in (far, 0.6 * far) if action == "open" else (part.limits[0],):  # or ajar
        values = value + share * (goal - value)
        hands = [hand for hand in ("left", "right") if hand not in line.held]
        found = [
            (*option, grip) for grip in grips_of(target) for hand in hands
            if (option := _best_stand(line, target, part, hand, grip, values))
        ]  # fmt: skip
        if found:
            _, hand, stand, way, wrist, rotation, posture, grip = min(found, key=lambda option: option[0])
            return OperationPlan(action, target, part, hand, stand, way, share, wrist, rotation, posture, goal, grip)
    raise NoRoomError(f"room {line.room.seed}: nowhere to stand to {action} the {target.name}")


def handle_grasp(target: Target, hand: str) -> Grasp:
    """Fingers around an upright bar (cabinet) or over a lying one (drawer, a door's lever)."""
    lying = target.kind in ("drawer", "door")
    rolled = attitude(hand, np.radians(25 if lying else 62), np.radians(12 if lying else 5))
    return Grasp({hand: rolled}, {hand: grip_point(hand, _HANDLE_RADIUS)})


_Found = tuple[float, str, tuple[Array, float], Array, Array, Array, Array]


def _best_stand(
    line: Timeline, target: Target, part: Articulation, hand: str, grip: Array, values: Array
) -> _Found | None:
    """The most comfortable (cost, hand, stand, way, wrist, rotation, posture) of one hand, or None."""
    path, table = part.move(grip, values), line.table
    front = _front(target, part, grip, float(values[0]))
    stands = candidates(line, target, path[0], 0.35, 0.95)
    stands = stands[(stands[:, :2] - path[0, :2]) @ front > 0.15]  # in front of the part, on the handle's side
    if not len(stands):
        return None
    way = _ways(stands, front, path)
    heading = np.broadcast_to(stands[:, 2, None, None], way.shape[:3])
    fits, roomy = _clear_ways(line, target, part, values, way, heading)
    grasp = scaled(handle_grasp(target, hand), line.person.scale)
    base = np.concatenate([way, np.zeros((*way.shape[:3], 1))], axis=-1)
    local = np.einsum("ngkji,ngkj->ngki", rotation_z(heading), path - base)
    yaw = np.arctan2(local[..., 1] - SIDES[hand] * 0.12, local[..., 0] + 0.1)
    turned = rotation_z(yaw) @ grasp.attitude[hand]
    wrist = local - turned @ grasp.point[hand]
    fits &= ((wrist[..., 0] > 0.1) & (np.abs(yaw) < 1.2)).all(axis=-1)
    kept = np.argwhere(fits)  # one posture for the whole path, so that the trunk is still
    reached = table.fits({hand: wrist[fits]}).all(axis=-2)
    index = np.zeros(fits.shape, dtype=int)
    index[tuple(kept.T)] = np.argmax(reached, axis=-1)
    fits[tuple(kept.T)] = reached.any(axis=-1)
    low = table.measured(hand)[0][index, 0] > 0.12
    fits &= ~low | roomy
    cost = table.cost[index] + 0.3 * _FOLLOW + 0.3 * np.abs(yaw).max(axis=-1)
    cost = cost + 0.15 * np.linalg.norm(stands[:, :2] - line.here, axis=1)[:, None]
    if not fits.any():
        return None
    n, g = np.unravel_index(int(np.argmin(np.where(fits, cost, np.inf))), fits.shape)
    facing = rotation_z(heading[n, g])
    world = base[n, g] + np.einsum("kij,kj->ki", facing, wrist[n, g])
    stand = (stands[n, :2], float(stands[n, 2]))
    return float(cost[n, g]), hand, stand, way[n, g], world, facing @ turned[n, g], table.measured(hand)[0][index[n, g]]


def _front(target: Target, part: Articulation, grip: Array, value: float) -> Array:
    """Unit vector (2,) out of the front of a part at a value; of a door, on the side of the grip."""
    out = np.array([np.cos(target.yaw), np.sin(target.yaw), 0.0])
    if target.kind == "door":
        out = grip - _handle(target)
    front = part.transform(value)[:2, :3] @ out
    return np.asarray(front / np.linalg.norm(front))


def _ways(stands: Array, front: Array, path: Array) -> Array:
    """Ways (N, G, K, 2) of a body from N stands, following the handle's path (K, 3) by each of the G `_GAINS`."""
    normal = np.repeat(front[None], len(stands), axis=0)
    moved = path[:, :2] - path[0, :2]
    along = np.einsum("kj,nj->nk", moved, normal)[..., None] * normal[:, None]
    aside = moved[None] - along
    return np.asarray(
        stands[:, None, None, :2] + _GAINS[:, None, :1] * along[:, None] + _GAINS[:, None, 1:] * aside[:, None]
    )


def _clear_ways(
    line: Timeline, target: Target, part: Articulation, values: Array, way: Array, heading: Array
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which ways (N, G, K, 2) a body can take, (N, G), and on which a crouching body's knees have space, (N, G)."""
    free = _free(line, part, way, 0.12).all(axis=-1) & _free(line, part, way[:, :, 0], 0.03)
    knees = way + _KNEES_M * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    edges = [leaf(target, part, float(value)) for value in values]
    clear = [segment_distance(way[:, :, k], edge).min(axis=-1) > _LEAF_M for k, edge in enumerate(edges)]
    roomy = [segment_distance(knees[:, :, k], edge).min(axis=-1) > _KNEE_LEAF_M for k, edge in enumerate(edges)]
    return free & np.all(clear, axis=0), np.all(roomy, axis=0)


def _free(line: Timeline, part: Articulation, points: Array, slack: float) -> NDArray[np.bool_]:
    """Which points (..., 2) a body may be at while it moves a part; in a door's own doorway it may."""
    free = line.walkable.clear(points, slack=slack, ignore=part.id)
    for doorway in line.room.doorways:
        if doorway.articulation == part.id:
            away = np.abs(rotate_2d(points - np.array(doorway.position), -doorway.heading))
            free |= (away[..., 0] < _DOORWAY_M) & (away[..., 1] < doorway.width / 2 - _SHOULDERS_M)
    return free
