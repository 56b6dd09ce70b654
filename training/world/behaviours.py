"""Human motion for our training world: five seconds of one behaviour, or several behaviours in a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.skeleton import HEAD
from training.world.narration import narrate
from training.world.people import Person, draw_person
from training.world.placement import follow, place
from training.world.plan import NoRoomError, RoomPlan
from training.world.posing import animate
from training.world.tracks import GRID_HZ, PRE_S, ROAMING, Segment, Track, join

Array = NDArray[np.float64]

RATE_HZ = 16
BEHAVIOURS: tuple[str, ...] = (*ROAMING, "reach", "walk_reach")
_SHARES = {
    "stand_still": 0.7,
    "turn_around_left": 0.7,
    "turn_around_right": 0.7,
    "walk_forward": 1.6,
    "reach": 2.0,
    "walk_reach": 1.5,
}
_SEQUENCE_TRIES = 40


@dataclass(frozen=True)
class SynthMotion:
    """A body in motion, world frame (z up, metres), with what it does in words.

    Attributes:
        positions: (T, 23, 3) float32. rotations: (T, 23, 3, 3) float32, global.
        text: the goal, an instruction. behaviour: one of ``BEHAVIOURS`` (of a sequence: names joined by "+").
        offsets: (23, 3) float64, joint offsets; forward kinematics of rotations and offsets gives the positions.
        meta: measured truth: ``head_turn_rad`` (left positive), ``distance_m``, ``net_distance_m`` (of the head, seen
            from above), ``duration_s``, ``hand``, ``target``; a sequence has ``parts`` instead of the last two, a list
            of (start_s, end_s, behaviour, text).
        rate_hz: poses per second.
        contacts: (T, 2) bool, whether the left and right foot is planted.
        articulations: {`plan.Articulation.id`: (T,) value} of every part that moves in the clip.
        objects: {`plan.Target.id`: (T, 4, 4) T_world_object (origin: the object's centre)} of every object that moves.
        step_phase: (T, 2) phase of the left and right foot's step, 0 … 1 from toe-off to toe-off; 0 while standing.
        fingers: (T, 2) left and right, 0 relaxed … 1 closed around something.
    """

    positions: NDArray[np.float32]
    rotations: NDArray[np.float32]
    text: str
    behaviour: str
    offsets: Array
    meta: dict[str, Any] = field(default_factory=dict)
    rate_hz: int = RATE_HZ
    contacts: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 2), dtype=bool))
    articulations: dict[str, Array] = field(default_factory=dict)
    objects: dict[str, Array] = field(default_factory=dict)
    step_phase: Array = field(default_factory=lambda: np.zeros((0, 2)))
    fingers: Array = field(default_factory=lambda: np.zeros((0, 2)))


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
        ValueError: there is no such behaviour.
    """
    if behaviour is not None:
        if behaviour not in BEHAVIOURS:
            raise ValueError(f"no behaviour {behaviour!r}; choose one of {', '.join(BEHAVIOURS)}")
        return _one(rng, room, behaviour, duration_s, split)
    shares = np.array([_SHARES.get(name, 1.0) for name in BEHAVIOURS])
    for name in rng.choice(BEHAVIOURS, size=len(BEHAVIOURS), replace=False, p=shares / shares.sum()):
        try:
            return _one(rng, room, str(name), duration_s, split)
        except NoRoomError:
            continue
    raise NoRoomError(f"room {room.seed} has no place for any behaviour; give it a free rectangle of 1 m or more")


def _one(rng: np.random.Generator, room: RoomPlan, behaviour: str, duration_s: float, split: str) -> SynthMotion:
    person = draw_person(rng)
    segment, start, heading = place(rng, room, person, behaviour, duration_s)
    said = {"hand": segment.reach.hand, "target": segment.reach.name} if segment.reach else {"hand": "", "target": ""}
    text = _say(rng, segment, split)
    return _finish(rng, person, join([segment], start, heading), duration_s, text, behaviour, said)


def _say(rng: np.random.Generator, segment: Segment, split: str, plain: bool = False) -> str:
    reach = segment.reach
    named = {"hand": reach.hand, "name": reach.name, "support": reach.support} if reach else {}
    return narrate(rng, segment.behaviour, split=split, plain=plain, **named)


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
    pose = animate(person, track, time, int(rng.integers(2)), float(rng.random()))
    yaw = np.unwrap(np.arctan2(pose.rotations[:, HEAD, 1, 0], pose.rotations[:, HEAD, 0, 0]))
    steps = np.diff(pose.positions[:, HEAD, :2], axis=0)
    measured = {
        "head_turn_rad": float(yaw[-1] - yaw[0]),
        "distance_m": float(np.linalg.norm(steps, axis=1).sum()),
        "net_distance_m": float(np.linalg.norm(steps.sum(axis=0))),
        "duration_s": duration_s,
    }
    return SynthMotion(
        positions=pose.positions.astype(np.float32),
        rotations=pose.rotations.astype(np.float32),
        text=text,
        behaviour=behaviour,
        offsets=person.offsets,
        meta=meta | measured,
        contacts=pose.contacts,
    )


def synthesise_sequence(
    rng: np.random.Generator, room: RoomPlan, behaviours: list[str], seconds_each: float = 5.0, *, split: str = "train"
) -> SynthMotion:
    """Several behaviours by one person, one after the other, on one continuous track.

    In a sequence, "walk_reach" first turns to where it goes, and "reach" may take a step.

    Args:
        rng: source of every choice. room: where the body may be.
        behaviours: names in ``BEHAVIOURS``, in order. seconds_each: length of each. split: whose paraphrases to use.

    Raises:
        NoRoomError: no way through the room fits all of them.
    """
    person = draw_person(rng)
    for _ in range(_SEQUENCE_TRIES):
        track_and_segments = _plan_sequence(rng, room, person, behaviours, seconds_each)
        if track_and_segments is None:
            continue
        track, segments = track_and_segments
        texts = [_say(rng, segment, split, plain=True) for segment in segments]
        parts = [
            (k * seconds_each, (k + 1) * seconds_each, segment.behaviour, text)
            for k, (segment, text) in enumerate(zip(segments, texts, strict=True))
        ]
        total = seconds_each * len(behaviours)
        return _finish(rng, person, track, total, ", then ".join(texts), "+".join(behaviours), {"parts": parts})
    raise NoRoomError(f"room {room.seed} has no way for the sequence {behaviours}; widen it or ask for less")


def _plan_sequence(
    rng: np.random.Generator, room: RoomPlan, person: Person, behaviours: list[str], seconds_each: float
) -> tuple[Track, list[Segment]] | None:
    first, start, heading = place(rng, room, person, behaviours[0], seconds_each)
    segments = [first]
    for number, behaviour in enumerate(behaviours[1:], start=1):
        track = join(segments, start, heading)
        end = round((PRE_S + number * seconds_each) * GRID_HZ)
        state = (track.path[end], float(track.heading[end]), float(track.speed[end]))
        following = follow(rng, room, person, behaviour, seconds_each, state, number * seconds_each)
        if following is None:
            return None
        segments.append(following)
    return join(segments, start, heading), segments
