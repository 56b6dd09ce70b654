"""Finding, in a room, a start and a way on which roaming (walks and turns without an aim) stays in the free area."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.actions.wording import kind_of
from training.simulator.motion.timeline import Timeline
from training.simulator.people.easing import GRID_HZ, integrate
from training.simulator.people.tracks import MAY_START_WALKING, PRE_S, Segment, roam
from training.simulator.rooms.plan import NoRoomError, RoomPlan

Array = NDArray[np.float64]
Placed = tuple[list[Segment], Array, float]  # what is done, where (2,) m at time 0, heading (rad) of the first sample

TRIES = 24
_LEAVING_M, _BODY_M = 0.45, 0.2
_PLACES = 96
_ZERO = round(PRE_S * GRID_HZ)  # index of time 0 in a first segment
_LEAST_TURN_DEG = {"turn": 44.0, "turn_around": 148.0, "walk_turn": 44.0, "turn_walk": 44.0}
_LEAST_DISTANCE_M = {"walk_forward": 2.4, "walk_stop": 1.0, "walk_back": 0.6, "walk_turn": 1.8, "turn_walk": 1.2}


def _turned(points: Array, angles: Array) -> Array:
    """Points (P, 2) turned by each of the angles (N,): (N, P, 2)."""
    c, s = np.cos(angles)[:, None], np.sin(angles)[:, None]
    return np.stack([points[:, 0] * c - points[:, 1] * s, points[:, 0] * s + points[:, 1] * c], axis=-1)


def place_roaming(rng: np.random.Generator, room: RoomPlan, behaviours: list[str], seconds: list[float]) -> Placed:
    """Draw ways of doing behaviours of `tracks.ROAMING` in a row, slower and slower, until there is space for it.

    Args:
        rng: source of every choice. room: where. behaviours: what. seconds: how long each.

    Raises:
        NoRoomError: no place has.
    """
    for attempt in range(TRIES):
        slow = min(1.0, 2 * attempt / TRIES)
        walking = behaviours[0] in MAY_START_WALKING and rng.random() < 0.6
        v0 = float(rng.uniform(0.6, 1.0)) * (1 - 0.3 * slow) if walking else 0.0
        segments = [roam(rng, behaviours[0], seconds[0], v0, slow, PRE_S)]
        for behaviour, duration_s in zip(behaviours[1:], seconds[1:], strict=True):
            segments.append(roam(rng, behaviour, duration_s, float(segments[-1].speed[-1]), slow))
        if not (_worth(segments[0]) and all(_turned_enough(segment, 0) for segment in segments[1:])):
            continue
        heading, speed = _joined(segments)
        way = integrate(heading, speed)
        way = np.concatenate([way[_ZERO::16], way[-1:]]) - way[_ZERO]
        places = room.sample(rng, _PLACES)
        angles = rng.uniform(-np.pi, np.pi, _PLACES)
        fits = room.contains(places[:, None] + _turned(way, angles)).all(axis=1)
        if fits.any():
            chosen = int(np.argmax(fits))
            return segments, places[chosen], float(angles[chosen])
    raise NoRoomError(f"room {room.seed} has no space for {'+'.join(behaviours)!r}; widen its free rectangles")


def _joined(segments: list[Segment]) -> tuple[Array, Array]:
    """Heading (from 0) and speed of segments in a row."""
    heading, speed = [segments[0].heading - segments[0].heading[0]], [segments[0].speed]
    for segment in segments[1:]:
        heading.append(heading[-1][-1] + segment.heading[1:] - segment.heading[0])
        speed.append(segment.speed[1:])
    return np.concatenate(heading), np.concatenate(speed)


def _worth(segment: Segment) -> bool:
    """Whether a segment, seen from its time 0, is clearly what its name says."""
    kind, _ = kind_of(segment.behaviour)
    seconds = len(segment.speed[_ZERO:]) / GRID_HZ
    distance = np.abs(segment.speed[_ZERO:]).sum() / GRID_HZ
    enough = _LEAST_DISTANCE_M.get(kind, 0.0) * min(1.0, seconds / 5) <= distance <= 5.0
    # The head is ahead in turns: what it did before time 0.25 s is not seen.
    return bool(enough and _turned_enough(segment, _ZERO + GRID_HZ // 4))


def _turned_enough(segment: Segment, since: int) -> bool:
    """Whether a segment, from a grid index on, turns as far as its name says."""
    kind, side = kind_of(segment.behaviour)
    turn = np.degrees(segment.heading[-1] - segment.heading[since]) * (-1 if side == "right" else 1)
    return bool(kind not in _LEAST_TURN_DEG or turn >= _LEAST_TURN_DEG[kind])


def go_on_roaming(line: Timeline, behaviour: str, duration_s: float) -> None:
    """Continue a time line with a behaviour of `tracks.ROAMING`.

    Raises:
        NoRoomError: there is no space for it here.
    """
    for attempt in range(TRIES):
        segment = roam(line.rng, behaviour, duration_s, line.speed, attempt / TRIES)
        if not _turned_enough(segment, 0):
            continue
        way = line.here + integrate(line.heading + segment.heading - segment.heading[0], segment.speed)
        if _free(line, way[::8]):
            line.roam(segment)
            return
    raise NoRoomError(f"room {line.room.seed} has no space to go on with {behaviour!r} at {line.here.round(2)}")


def _free(line: Timeline, way: Array) -> bool:
    """Whether a way is free; near its beginning it may be as near to furniture as one stands to use it."""
    leaving = np.linalg.norm(way - way[0], axis=1) < _LEAVING_M
    free = line.ground.clear(way) | (leaving & (line.room.distance_to_solids(way) > _BODY_M))
    return bool(free.all())
