"""Finding, in a room, a start and a way on which a behaviour stays in the free area."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.world.narration import kind_of
from training.world.people import Person
from training.world.plan import NoRoomError, RoomPlan
from training.world.reaching import WORST_LEAN, lean_to_reach
from training.world.tracks import (
    GRID_HZ,
    MAY_START_WALKING,
    PRE_S,
    ROAMING,
    Reach,
    Segment,
    ease,
    grid,
    integrate,
    roam,
)

Array = NDArray[np.float64]
Placed = tuple[
    Segment, Array, float
]  # what is done, where (2,) m it starts at time 0, heading (rad) of its first sample

TRIES = 24
_PLACES = 96
_ZERO = round(PRE_S * GRID_HZ)  # index of time 0 in a first segment
_LEAST_TURN_DEG = {"turn": 44.0, "turn_around": 148.0, "walk_turn": 44.0, "turn_walk": 44.0}
_LEAST_DISTANCE_M = {"walk_forward": 2.4, "walk_stop": 1.0, "walk_turn": 1.8, "turn_walk": 1.2}


def place(rng: np.random.Generator, room: RoomPlan, person: Person, behaviour: str, duration_s: float) -> Placed:
    """A behaviour at a random place of a room where it fits.

    Raises:
        NoRoomError: nothing fits.
    """
    if behaviour in ROAMING:
        return _place_roaming(rng, room, behaviour, duration_s)
    return _place_reach(rng, room, person, behaviour, duration_s)


def _turned(points: Array, angles: Array) -> Array:
    """Points (P, 2) turned by each of the angles (N,): (N, P, 2)."""
    c, s = np.cos(angles)[:, None], np.sin(angles)[:, None]
    return np.stack([points[:, 0] * c - points[:, 1] * s, points[:, 0] * s + points[:, 1] * c], axis=-1)


def _place_roaming(rng: np.random.Generator, room: RoomPlan, behaviour: str, duration_s: float) -> Placed:
    """Draw ways of doing a behaviour, slower and slower, until one of many places has space for it."""
    for attempt in range(TRIES):
        slow = min(1.0, 2 * attempt / TRIES)
        walking = behaviour in MAY_START_WALKING and rng.random() < 0.6
        v0 = float(rng.uniform(0.6, 1.0)) * (1 - 0.3 * slow) if walking else 0.0
        segment = roam(rng, behaviour, duration_s, v0, slow, PRE_S)
        if not _worth(segment):
            continue
        way = integrate(segment.heading - segment.heading[0], segment.speed)
        way = np.concatenate([way[_ZERO::16], way[-1:]]) - way[_ZERO]
        places = room.sample(rng, _PLACES)
        angles = rng.uniform(-np.pi, np.pi, _PLACES)
        fits = room.contains(places[:, None] + _turned(way, angles)).all(axis=1)
        if fits.any():
            chosen = int(np.argmax(fits))
            return segment, places[chosen], float(angles[chosen])
    raise NoRoomError(f"room {room.seed} has no space for {behaviour!r} of {duration_s} s; widen its free rectangles")


def _worth(segment: Segment) -> bool:
    """Whether a segment, seen from its time 0, is clearly what its name says."""
    kind, side = kind_of(segment.behaviour)
    # The head is ahead in turns: what it did before time 0.25 s is not seen.
    turn = np.degrees(segment.heading[-1] - segment.heading[_ZERO + GRID_HZ // 4]) * (-1 if side == "right" else 1)
    distance = segment.speed[_ZERO:].sum() / GRID_HZ
    enough = _LEAST_DISTANCE_M.get(kind, 0.0) <= distance <= 5.0
    return bool(enough and (kind not in _LEAST_TURN_DEG or turn >= _LEAST_TURN_DEG[kind]))


def _place_reach(rng: np.random.Generator, room: RoomPlan, person: Person, behaviour: str, duration_s: float) -> Placed:
    """Draw a target, a hand and a stand from which that hand reaches it; for ``walk_reach`` also a way there."""
    if not room.targets:
        raise NoRoomError(f"room {room.seed} has no targets to reach for; place an object on a support")
    walking = behaviour == "walk_reach"
    for _ in range(TRIES):
        reach = _draw_reach(rng, room, duration_s, walking)
        stand = stand_for(rng, room, person, reach)
        if stand is None:
            continue
        if not walking:
            still = np.zeros(len(grid(duration_s, PRE_S)))
            return Segment(behaviour, still, still, reach), *stand
        placed = _approach(rng, room, *stand, duration_s, reach)
        if placed is not None:
            return placed
    raise NoRoomError(f"room {room.seed} has no target within reach of its free area for {behaviour!r}")


def _draw_reach(rng: np.random.Generator, room: RoomPlan, duration_s: float, walking: bool) -> Reach:
    target = room.targets[int(rng.integers(len(room.targets)))]
    start = duration_s * (rng.uniform(0.45, 0.6) if walking else rng.uniform(0.02, 0.3))
    arrive = min(start + rng.uniform(0.9, 1.4), duration_s - 0.5)
    leave = duration_s + 1.0  # stays there, or comes back
    if not walking and rng.random() < 0.25:
        leave = min(arrive + rng.uniform(0.6, 1.2), duration_s - 0.6)
    return Reach(
        position=np.array(target.position, dtype=float),
        name=target.name,
        support=target.support,
        hand=("left", "right")[int(rng.integers(2))],
        look_s=start - rng.uniform(0.4, 1.0) - 2.0 * walking,
        start_s=start,
        arrive_s=arrive,
        leave_s=leave,
        back_s=leave + 1.2,
    )


def stand_for(rng: np.random.Generator, room: RoomPlan, person: Person, reach: Reach) -> tuple[Array, float] | None:
    """A place (2,) in the free area and a heading from which a reach works, or None."""
    count = 64
    angles = rng.uniform(-np.pi, np.pi, count)
    distances = rng.uniform(0.38, 0.75, count)
    places = reach.position[:2] + distances[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    inside = np.flatnonzero(room.contains(places))
    for index in inside[np.argsort(distances[inside])][:3]:
        away = reach.position[:2] - places[index]
        aside = np.radians(rng.uniform(-8, 20)) * (-1 if reach.hand == "left" else 1)
        facing = float(np.arctan2(away[1], away[0]) + aside)
        angle = lean_to_reach(person, places[index], facing, reach)
        if angle is not None and angle < WORST_LEAN:
            return places[index], facing
    return None


def _approach(
    rng: np.random.Generator, room: RoomPlan, stand: Array, facing: float, duration_s: float, reach: Reach
) -> Placed | None:
    """A straight or slightly curved walk that ends at a stand when the reach begins, or None if there is no space."""
    time = grid(duration_s, PRE_S)
    for _ in range(6):
        speed = rng.uniform(0.6, 1.0) * (1 - ease(time, reach.start_s - 0.7, reach.start_s + 0.25))
        if rng.random() < 0.4:
            speed = speed * ease(time, 0.0, 0.8)
        bend = np.radians(rng.uniform(-50, 50)) * (1 - ease(time, 0.3, reach.start_s - 0.2))
        way = integrate(facing + bend, speed)
        way = way - way[-1] + stand
        if room.contains(way[_ZERO:-1:8]).all():
            return Segment("walk_reach", bend, speed, reach), way[_ZERO], float(facing + bend[0])
    return None


def follow(
    rng: np.random.Generator,
    room: RoomPlan,
    person: Person,
    behaviour: str,
    duration_s: float,
    state: tuple[Array, float, float],
    begin_s: float,
) -> Segment | None:
    """A segment that continues from (place (2,) m, heading rad, speed m/s) inside the free area, or None.

    ``begin_s`` is when it begins in its sequence.
    """
    here, heading, v0 = state
    for attempt in range(TRIES):
        if behaviour in ROAMING:
            segment: Segment | None = roam(rng, behaviour, duration_s, v0, attempt / TRIES)
        else:
            segment = _go_and_reach(rng, room, person, behaviour, duration_s, state, begin_s)
        if segment is None:
            continue
        way = here + integrate(heading + segment.heading - segment.heading[0], segment.speed)
        if room.contains(way[::8]).all():
            return segment
    return None


def _go_and_reach(
    rng: np.random.Generator,
    room: RoomPlan,
    person: Person,
    behaviour: str,
    duration_s: float,
    state: tuple[Array, float, float],
    begin_s: float,
) -> Segment | None:
    """Turn to a stand near a target, walk there, turn to the target and reach; None if that does not work out."""
    if not room.targets:
        return None
    here, heading, v0 = state
    target = room.targets[int(rng.integers(len(room.targets)))]
    start = duration_s * 0.62
    reach = Reach(
        position=np.array(target.position, dtype=float),
        name=target.name,
        support=target.support,
        hand=("left", "right")[int(rng.integers(2))],
        look_s=begin_s + start - 1.2,
        start_s=begin_s + start,
        arrive_s=begin_s + start + 1.2,
        leave_s=begin_s + duration_s - 0.3,
        back_s=begin_s + duration_s + 0.7,
    )
    stand = stand_for(rng, room, person, reach)
    if stand is None:
        return None
    time = grid(duration_s)
    brake = v0 * (1 - ease(time, 0, 0.8))
    ahead = stand[0] - here - integrate(np.full(len(time), heading), brake)[-1]
    distance = float(np.hypot(*ahead))
    course = float(np.arctan2(ahead[1], ahead[0])) if distance > 0.05 else stand[1]
    shape = ease(time, 0.8, 1.8) * (1 - ease(time, start - 0.8, start))
    speed = shape * distance / max(float(shape.sum()) / GRID_HZ, 1e-6)
    if speed.max() > 1.3 or (behaviour == "reach" and distance > 0.6):
        return None
    turns = [np.arctan2(np.sin(b - a), np.cos(b - a)) for a, b in ((heading, course), (course, stand[1]))]
    turn = turns[0] * ease(time, 0.0, 1.2) + turns[1] * ease(time, start - 0.9, start + 0.1)
    return Segment(behaviour, turn, brake + speed, reach)
