"""Places roaming in a room: a start and a way on which it stays in the free area."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.rotations import rotate_2d
from training.actions.vocabulary import kind_of
from training.simulator.motion.roaming import roam, roaming_of
from training.simulator.motion.timeline import Timeline
from training.simulator.people.easing import GRID_HZ, integrate
from training.simulator.people.motion_plan import PRE_S, RoamingSegment
from training.simulator.rooms.plan import NoRoomError, RoomPlan
from training.simulator.rooms.routes import WalkableArea

Array = NDArray[np.float64]
Placed = tuple[list[RoamingSegment], Array, float]
"""Segments, where the body is at time 0 (2,) m, and the heading of its first sample, rad."""

TRIES = 24
_LEAVING_M, _BODY_M = 0.45, 0.2
_PLACES = 96
_ONWARD_S = 1.2  # a clip may go on for so long after a walk's last moment
_MOST_M = 5.0
_ZERO = round(PRE_S * GRID_HZ)  # index of time 0 in a first segment


def place_roaming(rng: np.random.Generator, room: RoomPlan, actions: list[str], seconds: list[float]) -> Placed:
    """Tries courses of roaming actions in a row, slower and slower, until there is space for them.

    Args:
        rng: source of every choice. room: where. actions: what. seconds: how long each.

    Raises:
        NoRoomError: there is no space.
    """
    for attempt in range(TRIES):
        slow = min(1.0, 2 * attempt / TRIES)
        walking = roaming_of(actions[0]).from_walk and rng.random() < 0.6
        v0 = float(rng.uniform(0.6, 1.0)) * (1 - 0.3 * slow) if walking else 0.0
        segments = [roam(rng, actions[0], seconds[0], v0, slow, PRE_S)]
        for action, duration_s in zip(actions[1:], seconds[1:], strict=True):
            segments.append(roam(rng, action, duration_s, float(segments[-1].speed[-1]), slow))
        if not (_worth(segments[0]) and all(_turned_enough(segment, 0) for segment in segments[1:])):
            continue
        heading, speed = _joined(segments)
        way = integrate(heading, speed)
        way = np.concatenate([way[_ZERO::16], way[-1:]]) - way[_ZERO]
        places = room.sample(rng, _PLACES)
        angles = rng.uniform(-np.pi, np.pi, _PLACES)
        fits = room.contains(places[:, None] + rotate_2d(way, angles[:, None])).all(axis=1)
        if fits.any():
            chosen = int(np.argmax(fits))
            return segments, places[chosen], float(angles[chosen])
    raise NoRoomError(f"room {room.seed} has no space for {'+'.join(actions)!r}; widen its free rectangles")


def _joined(segments: list[RoamingSegment]) -> tuple[Array, Array]:
    """Heading (from 0) and speed of segments in a row."""
    heading, speed = [segments[0].heading - segments[0].heading[0]], [segments[0].speed]
    for segment in segments[1:]:
        heading.append(heading[-1][-1] + segment.heading[1:] - segment.heading[0])
        speed.append(segment.speed[1:])
    return np.concatenate(heading), np.concatenate(speed)


def _worth(segment: RoamingSegment) -> bool:
    """Whether a segment, seen from its time 0, clearly shows its action."""
    seconds = len(segment.speed[_ZERO:]) / GRID_HZ
    distance = np.abs(segment.speed[_ZERO:]).sum() / GRID_HZ
    least = roaming_of(segment.action).least_distance_m * min(1.0, seconds / 5)
    # The head leads a turn: what it turned before time 0.25 s is not seen.
    return bool(least <= distance <= _MOST_M and _turned_enough(segment, _ZERO + GRID_HZ // 4))


def _turned_enough(segment: RoamingSegment, since: int) -> bool:
    """Whether a segment, from a grid index on, turns as far as its action has to."""
    least = roaming_of(segment.action).least_turn_deg
    sign = -1 if kind_of(segment.action)[1] == "right" else 1
    turn = np.degrees(segment.heading[-1] - segment.heading[since]) * sign
    return least is None or bool(turn >= least)


def continue_roaming(line: Timeline, action: str, duration_s: float) -> None:
    """Continues a time line with a roaming action.

    Raises:
        NoRoomError: there is no space for it here.
    """
    for attempt in range(TRIES):
        segment = roam(line.rng, action, duration_s, line.speed, attempt / TRIES)
        if not _turned_enough(segment, 0):
            continue
        angle = line.heading + segment.heading - segment.heading[0]
        way = line.here + integrate(angle, segment.speed)
        onward = segment.speed[-1] * np.array([np.cos(angle[-1]), np.sin(angle[-1])])
        onward = way[-1] + np.linspace(0, _ONWARD_S, 9)[:, None] * onward
        if is_free(line.walkable, line.room, np.concatenate([way[::8], onward])):
            line.roam(segment)
            return
    raise NoRoomError(f"room {line.room.seed} has no space to continue with {action!r} at {line.here.round(2)}")


def is_free(walkable: WalkableArea, room: RoomPlan, way: Array) -> bool:
    """Whether a way is free; where it begins it may be as near to furniture as a body stands to use it."""
    leaving = np.linalg.norm(way - way[0], axis=1) < _LEAVING_M
    free = walkable.clear(way) | (leaving & (room.distance_to_solids(way) > _BODY_M))
    return bool(free.all())
