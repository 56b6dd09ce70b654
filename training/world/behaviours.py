"""Human motion for our training world: five seconds of one behaviour, or several behaviours in a row."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.skeleton import HEAD
from training.world.narration import kind_of, narrate
from training.world.plan import NoRoomError, RoomPlan
from training.world.posing import Person, animate, draw_person, lean_to_reach
from training.world.tracks import (
    GRID_HZ,
    MAY_START_WALKING,
    POST_S,
    PRE_S,
    ROAMING,
    Reach,
    Segment,
    Track,
    ease,
    grid,
    integrate,
    roam,
)

Array = NDArray[np.float64]

RATE_HZ = 16
BEHAVIOURS: tuple[str, ...] = (*ROAMING, "reach", "walk_reach")
_SHARES = {"stand_still": 0.7, "turn_around_left": 0.7, "turn_around_right": 0.7, "walk_forward": 1.6, "reach": 2.0,
           "walk_reach": 1.5}  # fmt: skip
_TRIES = 24
_PLACES = 96


@dataclass(frozen=True)
class SynthMotion:
    """A body in motion, world frame (z up, metres), with what it does in words.

    Attributes:
        positions: (T, 23, 3) float32. rotations: (T, 23, 3, 3) float32, global.
        text: the goal, an instruction. behaviour: one of ``BEHAVIOURS`` (of a sequence: names joined by "+").
        offsets: (23, 3) float64, joint offsets; forward kinematics of rotations and offsets gives the positions.
        meta: measured truth: ``head_turn_rad`` (left positive), ``distance_m``, ``net_distance_m``, ``hand``,
            ``target``, ``duration_s``; of a sequence also ``parts``, a list of (start_s, end_s, behaviour, text).
        rate_hz: poses per second.
    """

    positions: NDArray[np.float32]
    rotations: NDArray[np.float32]
    text: str
    behaviour: str
    offsets: Array
    meta: dict[str, Any] = field(default_factory=dict)
    rate_hz: int = RATE_HZ


def synthesise(
    rng: np.random.Generator,
    room: RoomPlan,
    behaviour: str | None = None,
    *,
    duration_s: float = 5.0,
    split: str = "train",
) -> SynthMotion:
    """One behaviour of a random person, at a random place of the room.

    Args:
        rng: source of every choice; the same state gives the same motion.
        room: where the body may be and what it can reach.
        behaviour: a name in ``BEHAVIOURS``; None draws one that fits the room.
        duration_s: 5 s gives 81 poses.
        split: whose paraphrases to use, "train" or "test".

    Raises:
        NoRoomError: the room has no place or target for the behaviour.
    """
    if behaviour is not None:
        return _one(rng, room, behaviour, duration_s, split)
    shares = np.array([_SHARES.get(name, 1.0) for name in BEHAVIOURS])
    for name in rng.choice(len(BEHAVIOURS), size=len(BEHAVIOURS), replace=False, p=shares / shares.sum()):
        try:
            return _one(rng, room, BEHAVIOURS[int(name)], duration_s, split)
        except NoRoomError:
            continue
    raise NoRoomError(f"room {room.seed} has no place for any behaviour; give it a free rectangle of 1 m or more")


def _one(rng: np.random.Generator, room: RoomPlan, behaviour: str, duration_s: float, split: str) -> SynthMotion:
    person = draw_person(rng)
    if behaviour in ROAMING:
        segment, start, heading = _place_roaming(rng, room, behaviour, duration_s)
    else:
        segment, start, heading = _place_reach(rng, room, person, behaviour, duration_s)
    track = _track([segment], start, heading, duration_s)
    hand, target, support = _reached(segment)
    text = narrate(rng, behaviour, hand=hand, name=target, support=support, split=split)
    return _finish(rng, person, track, duration_s, text, behaviour, {"hand": hand, "target": target})


def _reached(segment: Segment) -> tuple[str, str, str]:
    reach = segment.reach
    return (reach.hand, reach.name, reach.support) if reach else ("", "", "")


def _finish(
    rng: np.random.Generator,
    person: Person,
    track: Track,
    duration_s: float,
    text: str,
    behaviour: str,
    meta: dict[str, Any],
) -> SynthMotion:
    time = np.arange(round(duration_s * RATE_HZ) + 1) / RATE_HZ
    positions, rotations = animate(person, track, time, int(rng.integers(2)), float(rng.random()))
    yaw = np.unwrap(np.arctan2(rotations[:, HEAD, 1, 0], rotations[:, HEAD, 0, 0]))
    steps = np.diff(positions[:, HEAD, :2], axis=0)
    measured = {
        "head_turn_rad": float(yaw[-1] - yaw[0]),
        "distance_m": float(np.linalg.norm(steps, axis=1).sum()),
        "net_distance_m": float(np.linalg.norm(steps.sum(axis=0))),
        "duration_s": duration_s,
    }
    return SynthMotion(
        positions.astype(np.float32), rotations.astype(np.float32), text, behaviour, person.offsets, meta | measured
    )


def _track(segments: list[Segment], start: Array, heading: float, duration_s: float) -> Track:
    """Join segments (the first one with its time before 0) and carry on at the last speed after the end."""
    headings, speeds, reaches, offset = [segments[0].heading], [segments[0].speed], [], 0.0
    reaches = [segments[0].reach] if segments[0].reach else []
    for segment in segments[1:]:
        headings.append(headings[-1][-1] + segment.heading[1:] - segment.heading[0])
        speeds.append(segment.speed[1:])
        if segment.reach:
            reaches.append(segment.reach)
    post = round(POST_S * GRID_HZ)
    angle = np.concatenate([*headings, np.full(post, headings[-1][-1])]) - segments[0].heading[0] + heading
    speed = np.concatenate([*speeds, np.full(post, speeds[-1][-1])])
    time = np.arange(len(angle)) / GRID_HZ - PRE_S + offset
    path = integrate(angle, speed)
    zero = round(PRE_S * GRID_HZ)
    return Track(time, angle, speed, path - path[zero] + start, tuple(reaches))


def _turned(points: Array, angles: Array) -> Array:
    """Points (P, 2) turned by each of the angles (N,): (N, P, 2)."""
    c, s = np.cos(angles)[:, None], np.sin(angles)[:, None]
    return np.stack([points[:, 0] * c - points[:, 1] * s, points[:, 0] * s + points[:, 1] * c], axis=-1)


def _start_speed(rng: np.random.Generator, behaviour: str) -> float:
    return float(rng.uniform(0.6, 1.0)) if behaviour in MAY_START_WALKING and rng.random() < 0.6 else 0.0


def _place_roaming(
    rng: np.random.Generator, room: RoomPlan, behaviour: str, duration_s: float
) -> tuple[Segment, Array, float]:
    """Draw ways of doing a behaviour until one of many places of the room has space for it."""
    for attempt in range(_TRIES):
        slow = min(1.0, 2 * attempt / _TRIES)
        v0 = _start_speed(rng, behaviour) * (1 - 0.3 * slow)
        segment = roam(rng, behaviour, duration_s, v0, slow, PRE_S)
        if not _worth(segment, behaviour):
            continue
        zero = round(PRE_S * GRID_HZ)
        way = integrate(segment.heading - segment.heading[0], segment.speed)
        way = np.concatenate([way[zero::16], way[-1:]]) - way[zero]
        places = room.sample(rng, _PLACES)
        angles = rng.uniform(-np.pi, np.pi, _PLACES)
        fits = room.contains(places[:, None] + _turned(way, angles)).all(axis=1)
        if fits.any():
            chosen = int(np.argmax(fits))
            return segment, places[chosen], float(angles[chosen])
    raise NoRoomError(f"room {room.seed} has no space for {behaviour!r} of {duration_s} s; widen its free rectangles")


def _worth(segment: Segment, behaviour: str) -> bool:
    """Whether a segment, seen from its start, is clearly what its name says."""
    zero = round(PRE_S * GRID_HZ)
    turn = float(np.degrees(segment.heading[-1] - segment.heading[zero + GRID_HZ // 4]))  # the head is ahead in turns
    distance = float(segment.speed[zero:].sum() / GRID_HZ)
    kind, side = kind_of(behaviour)
    least_turn = {"turn": 44.0, "turn_around": 148.0, "walk_turn": 44.0, "turn_walk": 44.0}.get(kind, 0.0)
    least_distance = {"walk_forward": 2.4, "walk_stop": 1.0, "walk_turn": 1.8, "turn_walk": 1.2}.get(kind, 0.0)
    return turn * (-1 if side == "right" else 1) >= least_turn - 1e-9 and least_distance <= distance <= 5.0 or (
        kind == "stand_still"
    )


def _place_reach(
    rng: np.random.Generator, room: RoomPlan, person: Person, behaviour: str, duration_s: float
) -> tuple[Segment, Array, float]:
    """Draw a target, a hand and a stand from which that hand reaches it; for ``walk_reach`` also a way there."""
    if not room.targets:
        raise NoRoomError(f"room {room.seed} has no targets to reach for; place an object on a support")
    for _ in range(_TRIES):
        target = room.targets[int(rng.integers(len(room.targets)))]
        position = np.array(target.position, dtype=float)
        hand = ("left", "right")[int(rng.integers(2))]
        times = np.sort(rng.uniform(0, 1, 3))
        walking = behaviour == "walk_reach"
        start = duration_s * (rng.uniform(0.45, 0.6) if walking else rng.uniform(0.02, 0.3))
        arrive = min(start + rng.uniform(0.9, 1.4), duration_s - 0.5)
        leave = duration_s + 1.0 if rng.random() < 0.75 or walking else min(arrive + 0.6 + times[0], duration_s - 0.6)
        reach = Reach(
            position, target.name, target.support, hand, start - rng.uniform(0.4, 1.0) - 2.0 * walking, start, arrive,
            leave, leave + 1.2,
        )  # fmt: skip
        stand = _stand_for(rng, room, person, reach)
        if stand is None:
            continue
        place, facing = stand
        if not walking:
            still = np.zeros(len(grid(duration_s, PRE_S)))
            return Segment(behaviour, still, still, reach), place, facing
        approach = _approach(rng, room, place, facing, duration_s, start, reach)
        if approach is not None:
            return approach
    raise NoRoomError(f"room {room.seed} has no target within reach of its free area for {behaviour!r}")


def _stand_for(
    rng: np.random.Generator, room: RoomPlan, person: Person, reach: Reach
) -> tuple[Array, float] | None:
    """A place (2,) and heading from which the reach works, or None."""
    count = 64
    angles = rng.uniform(-np.pi, np.pi, count)
    distances = rng.uniform(0.38, 0.75, count)
    places = reach.position[:2] + distances[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    inside = np.flatnonzero(room.contains(places))
    for index in inside[np.argsort(distances[inside])][:3]:
        away = reach.position[:2] - places[index]
        aside = np.radians(rng.uniform(-8, 20)) * (-1 if reach.hand == "left" else 1)
        facing = float(np.arctan2(away[1], away[0]) + aside)
        lean = lean_to_reach(person, places[index], facing, reach, 0.10)
        if lean is not None and lean < np.radians(56):
            return places[index], facing
    return None


def _approach(
    rng: np.random.Generator, room: RoomPlan, place: Array, facing: float, duration_s: float, stop_s: float, reach: Reach
) -> tuple[Segment, Array, float] | None:
    """A straight or slightly curved walk that ends at a place, or None if the room has no space for one."""
    time = grid(duration_s, PRE_S)
    for _ in range(6):
        cruise = rng.uniform(0.6, 1.0)
        walking = rng.random() < 0.6
        speed = cruise * (1 - ease(time, stop_s - 0.7, stop_s + 0.25))
        if not walking:
            speed = speed * ease(time, 0.0, 0.8)
        bend = np.radians(rng.uniform(-50, 50)) * (1 - ease(time, 0.3, stop_s - 0.2))
        way = integrate(facing + bend, speed)
        way = way - way[-1] + place
        zero = round(PRE_S * GRID_HZ)
        if room.contains(way[zero:-1:8]).all():
            return Segment("walk_reach", bend, speed, reach), way[zero], float(facing + bend[0])
    return None


def synthesise_sequence(
    rng: np.random.Generator, room: RoomPlan, behaviours: list[str], seconds_each: float = 5.0, *, split: str = "train"
) -> SynthMotion:
    """Several behaviours by one person, one after the other, on one continuous track.

    A behaviour with "reach" is done where the body then is: it turns to a target within a step's reach if there is one.

    Args:
        rng: source of every choice. room: where the body may be.
        behaviours: names in ``BEHAVIOURS``, in order. seconds_each: length of each. split: whose paraphrases to use.

    Raises:
        NoRoomError: no way through the room fits all of them.
    """
    person = draw_person(rng)
    total = seconds_each * len(behaviours)
    for _ in range(40):
        planned = _plan_sequence(rng, room, person, behaviours, seconds_each)
        if planned is None:
            continue
        segments, start, heading = planned
        track = _track(segments, start, heading, total)
        texts, parts = [], []
        for k, segment in enumerate(segments):
            hand, name, support = _reached(segment)
            texts.append(narrate(rng, segment.behaviour, hand=hand, name=name, support=support, split=split))
            parts.append((k * seconds_each, (k + 1) * seconds_each, segment.behaviour, texts[-1]))
        return _finish(rng, person, track, total, ", then ".join(texts), "+".join(behaviours), {"parts": parts})
    raise NoRoomError(f"room {room.seed} has no way for the sequence {behaviours}; widen it or ask for less")


def _plan_sequence(
    rng: np.random.Generator, room: RoomPlan, person: Person, behaviours: list[str], seconds_each: float
) -> tuple[list[Segment], Array, float] | None:
    try:
        if behaviours[0] in ROAMING:
            first, start, heading = _place_roaming(rng, room, behaviours[0], seconds_each)
        else:
            first, start, heading = _place_reach(rng, room, person, behaviours[0], seconds_each)
    except NoRoomError:
        return None
    segments = [first]
    for number, behaviour in enumerate(behaviours[1:], start=1):
        track = _track(segments, start, heading, 0)
        end = round((PRE_S + number * seconds_each) * GRID_HZ)
        state = (track.path[end], float(track.heading[end]), float(track.speed[end]))
        following = _follow(rng, room, person, behaviour, seconds_each, state, number * seconds_each)
        if following is None:
            return None
        segments.append(following)
    return segments, start, heading


def _follow(
    rng: np.random.Generator,
    room: RoomPlan,
    person: Person,
    behaviour: str,
    duration_s: float,
    state: tuple[Array, float, float],
    begin_s: float,
) -> Segment | None:
    """A segment that starts from (place, heading, speed) and stays in the free area, or None."""
    place, heading, v0 = state
    for attempt in range(_TRIES):
        if behaviour in ROAMING:
            segment = roam(rng, behaviour, duration_s, v0, attempt / _TRIES)
        else:
            found = _go_and_reach(rng, room, person, behaviour, duration_s, state, begin_s)
            if found is None:
                continue
            segment = found
        way = place + integrate(heading + segment.heading - segment.heading[0], segment.speed)
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
    """Turn to a stand near a target, walk there, turn to the target and reach; None if there is none on the way."""
    if not room.targets:
        return None
    place, heading, v0 = state
    target = room.targets[int(rng.integers(len(room.targets)))]
    start = duration_s * 0.62
    reach = Reach(
        np.array(target.position, dtype=float), target.name, target.support, ("left", "right")[int(rng.integers(2))],
        begin_s + start - 1.2, begin_s + start, begin_s + start + 1.2, begin_s + duration_s - 0.2,
        begin_s + duration_s + 1.0,
    )  # fmt: skip
    stand = _stand_for(rng, room, person, reach)
    if stand is None:
        return None
    goal, facing = stand
    time = grid(duration_s)
    brake = v0 * (1 - ease(time, 0, 0.8))
    origin = place + integrate(np.full(len(time), heading), brake)[-1]
    ahead = goal - origin
    distance = float(np.hypot(*ahead))
    course = float(np.arctan2(ahead[1], ahead[0])) if distance > 0.05 else facing
    shape = ease(time, 0.8, 1.8) * (1 - ease(time, start - 0.8, start))
    speed = shape * distance / max(float(shape.sum()) / GRID_HZ, 1e-6)
    if speed.max() > 1.3 or (behaviour == "reach" and distance > 0.6):
        return None
    first = np.arctan2(np.sin(course - heading), np.cos(course - heading))
    second = np.arctan2(np.sin(facing - course), np.cos(facing - course))
    turn = first * ease(time, 0.0, 1.2) + second * ease(time, start - 0.9, start + 0.1)
    return replace(Segment(behaviour, turn, brake + speed), reach=reach)
