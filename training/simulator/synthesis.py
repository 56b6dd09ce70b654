"""Synthesises human motion in a room: clips of one to three actions, and longer sequences."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.skeleton import HEAD
from training.actions.scripts import clip_scripts
from training.actions.standing import STAND_STILL
from training.actions.wording import AMBIGUOUS_SHARE
from training.simulator.capture_library import CaptureLibrary
from training.simulator.motion.animation import Pose, animate
from training.simulator.motion.long_planner import compose_long_sequence
from training.simulator.motion.outcome import find_fault, object_poses
from training.simulator.motion.past import add_past
from training.simulator.motion.performing import find_performance, performed_names
from training.simulator.motion.roaming import is_roaming
from training.simulator.motion.script_planner import compose
from training.simulator.motion.starting_pose import begin_at_ease_or_not, only_at_targets, tilt_now_and_then
from training.simulator.motion.timeline import ActionSpan, Timeline
from training.simulator.narration.clip_text import describe_clip
from training.simulator.narration.pose_text import head_yaw
from training.simulator.people.motion_plan import PRE_S
from training.simulator.people.person import Person, sample_person
from training.simulator.rooms.plan import MissingTargetError, NoRoomError, RoomPlan
from training.simulator.synthetic_motion import PAST_SHARE, RATE_HZ, PastPoses, SyntheticMotion, past_times

Array = NDArray[np.float64]

CLIP_S = 5.0  # 81 poses
_PLAYED_SHARE = 0.15  # of clips, where there is motion capture
_TRIES = 24
_SEQUENCE_TRIES = 60
_TAIL_S = 0.6  # the last seconds of a walk or turn that a clip may leave out
_LEAST_S = 0.5  # an action that a clip shows for less time is not in its texts


def synthesise(
    rng: np.random.Generator,
    room: RoomPlan,
    behaviour: str | None = None,
    *,
    split: str = "train",
    library: CaptureLibrary | None = None,
    ambiguous: float = AMBIGUOUS_SHARE,
    past_s: float = 0.0,
) -> SyntheticMotion:
    """One clip of a random person, at a random place of the room.

    Args:
        rng: source of every choice; the same state gives the same motion.
        room: where the body may be and what there is to do.
        behaviour: a script, names of actions joined by "+"; None for a random one of `scripts.clip_scripts` that
            the room has space for.
        split: whose paraphrases and bodies to use, "train", "val" or "test".
        library: motion capture; some clips are then parts of it, and some people have gaits from it.
        ambiguous: share of texts made ambiguous on purpose, where they can be and are not anyway.
        past_s: seconds of the longest past; half of the clips then have one. 0 for none.

    Raises:
        NoRoomError: the room has no place or target for the behaviour.
        ValueError: there is no such behaviour.
    """
    person = sample_person(rng, split, library.gaits if library else ())
    if behaviour is None and library is not None and rng.random() < _PLAYED_SHARE:
        with suppress(NoRoomError):
            return library.play(rng, room, duration_s=CLIP_S, split=split, before=_past_times(rng, past_s))
    before = _past_times(rng, past_s)
    if behaviour is not None:
        return _clip(rng, room, person, _script(behaviour), split, ambiguous, before)
    scripts = clip_scripts()
    shares = np.array(list(scripts.values()))
    for name in rng.choice(tuple(scripts), size=len(scripts), replace=False, p=shares / shares.sum()):
        try:
            return _clip(rng, room, person, str(name).split("+"), split, ambiguous, before, tries=6)
        except NoRoomError:
            continue
    raise NoRoomError(f"room {room.seed} has no place for any behaviour; give it a free rectangle of 1 m or more")


def _past_times(rng: np.random.Generator, past_s: float) -> Array:
    """Times of a past's keyframes; none for half of the clips, and where no past is wanted."""
    return past_times(rng, past_s) if past_s and rng.random() < PAST_SHARE else np.zeros(0)


def _script(behaviour: str) -> list[str]:
    script = behaviour.split("+")
    known = performed_names()
    for action in script:
        if action not in known:
            raise ValueError(f"no action {action!r} (of {behaviour!r}); choose of {', '.join(known)}, joined by '+'")
    return script


def _clip(
    rng: np.random.Generator,
    room: RoomPlan,
    person: Person,
    script: list[str],
    split: str,
    ambiguous: float,
    before: Array,
    tries: int = _TRIES,
) -> SyntheticMotion:
    """A script in a clip: it may begin in mid-walk, and pauses fill the remaining time.

    Args:
        before: (K,) times of the past's keyframes, rising; empty for no past.
    """

    def attempt() -> SyntheticMotion:
        line = compose(rng, room, person, script, CLIP_S)
        begin = _window(rng, line)
        leans = begin_at_ease_or_not(line, script, begin, len(before) > 0)
        if len(before):
            add_past(line, begin, -float(before[0]), leans, only_at_targets(script))
        return _motion_of(rng, line, begin, CLIP_S, "+".join(script), split, ambiguous=ambiguous, before=before)

    return _first_that_fits(attempt, tries)


def _first_that_fits(attempt: Callable[[], SyntheticMotion], tries: int) -> SyntheticMotion:
    """The first of some random attempts that fits into the room; the last one's `NoRoomError` where none does.

    A missing target is raised at once: further attempts would not find it either.
    """
    for left in reversed(range(tries)):
        try:
            return attempt()
        except MissingTargetError:
            raise
        except NoRoomError:
            if not left:
                raise
    raise ValueError(f"{tries} attempts: wanted at least 1")


def _window(rng: np.random.Generator, line: Timeline) -> float:
    """Start of a clip on a time line: it shows the end of the last action and as much of a first walk as possible."""
    first, spare, shown = line.spans[0], CLIP_S - line.now, line.shown_s or line.now - _TAIL_S
    if spare >= 0:
        return 0.0 if is_roaming(first.action) else -min(float(rng.uniform(0, 1)) * spare, PRE_S - 0.8)
    if shown <= CLIP_S:
        return 0.0
    late = shown - CLIP_S + float(rng.uniform(0, 1)) * (line.now - shown)
    performance = find_performance(first.action)
    if performance and performance.clip_may_begin_inside and first.end_s - late > 1.2:
        return late
    raise NoRoomError(f"room {line.room.seed}: the actions take {line.now:.1f} s, more than {CLIP_S:.1f} s")


def synthesise_sequence(
    rng: np.random.Generator,
    room: RoomPlan,
    behaviours: list[str],
    seconds_each: float | None = None,
    *,
    split: str = "train",
) -> SyntheticMotion:
    """Several scripts by one person, one after the other, on one continuous time line.

    Args:
        rng: source of every choice. room: where the body may be.
        behaviours: scripts, in order.
        seconds_each: action k begins at k times this, and roaming actions take this long; None: each takes its time.
        split: whose paraphrases and bodies to use.

    Raises:
        NoRoomError: the room has no space for all of them in a row.
    """
    script = [action for behaviour in behaviours for action in _script(behaviour)]
    person = sample_person(rng, split)

    def attempt() -> SyntheticMotion:
        line = compose(rng, room, person, script, seconds_each or 3.0, seconds_each)
        total = len(script) * seconds_each if seconds_each else np.ceil(line.now * RATE_HZ) / RATE_HZ
        if line.now > total + _TAIL_S:
            raise NoRoomError(f"room {room.seed}: {script} take {line.now:.1f} s, more than {total:.1f} s")
        return _motion_of(rng, line, 0.0, float(total), "+".join(script), split, plain=True)

    return _first_that_fits(attempt, _SEQUENCE_TRIES)


def synthesise_long_sequence(
    rng: np.random.Generator,
    room: RoomPlan,
    duration_s: float,
    *,
    split: str = "train",
) -> SyntheticMotion:
    """A long sequence of random actions of one person in a room, to be cut into clips later.

    Args:
        rng: source of every choice. room: where. duration_s: how long.
        split: whose paraphrases and bodies to use.

    Raises:
        NoRoomError: the room has not enough to do.
    """
    person = sample_person(rng, split)

    def attempt() -> SyntheticMotion:
        line, script = compose_long_sequence(rng, room, person, duration_s)
        tilt_now_and_then(line, duration_s)
        return _motion_of(rng, line, 0.0, duration_s, "+".join(script), split, plain=True)

    return _first_that_fits(attempt, _TRIES)


def _motion_of(
    rng: np.random.Generator,
    line: Timeline,
    begin_s: float,
    duration_s: float,
    behaviour: str,
    split: str,
    plain: bool = False,
    ambiguous: float = AMBIGUOUS_SHARE,
    before: Array | None = None,
) -> SyntheticMotion:
    """The motion in a window of a time line, with its texts and labels."""
    lead = 0 if before is None or not len(before) else -round(float(before[0]) * RATE_HZ)
    life = begin_s + np.arange(-lead, round(duration_s * RATE_HZ) + 1) / RATE_HZ
    lived = animate(line.person, line.motion_plan(), life, int(rng.integers(2)), float(rng.random()))
    fault = find_fault(line, lived, life)
    if fault:
        raise NoRoomError(f"room {line.room.seed}: {fault}")
    moved = object_poses(line, lived, life)
    time, pose = life[lead:], lived[lead:]
    spans = [span for span in line.spans if _shown(span, begin_s, duration_s) >= _LEAST_S]
    words = describe_clip(rng, line, spans, pose, time, split, plain, ambiguous)
    return SyntheticMotion(
        positions=pose.positions.astype(np.float32),
        rotations=pose.rotations.astype(np.float32),
        text=words.text,
        behaviour=behaviour,
        offsets=line.person.offsets,
        meta={**_measured(pose, duration_s), **_about(line.person, spans), **words.meta},
        contacts=pose.contacts,
        articulations={part: line.state.values_at(part, time) for part in line.state.moved_parts},
        objects={name: path[lead:] for name, path in moved.items()},
        step_phase=pose.step_phase,
        fingers=pose.fingers,
        labels=_labels(line.spans, time),
        past=_past_of(line, lived, moved, life, before) if before is not None and lead else None,
    )


def _past_of(line: Timeline, lived: Pose, moved: dict[str, Array], life: Array, before: Array) -> PastPoses:
    """The keyframes at times ``before`` (K,) of a life (L,) that begins with the first of them."""
    rows = np.rint((before - before[0]) * RATE_HZ).astype(int)
    pose = lived[rows]
    return PastPoses(
        time=before,
        positions=pose.positions.astype(np.float32),
        rotations=pose.rotations.astype(np.float32),
        fingers=pose.fingers,
        articulations={part: line.state.values_at(part, life[rows]) for part in line.state.moved_parts},
        objects={name: path[rows] for name, path in moved.items()},
    )


def _measured(pose: Pose, duration_s: float) -> dict[str, float]:
    """What a record says of the head's way."""
    yaw, steps = head_yaw(pose.rotations), np.diff(pose.positions[:, HEAD, :2], axis=0)
    return {
        "head_turn_rad": float(yaw[-1] - yaw[0]),
        "distance_m": float(np.linalg.norm(steps, axis=1).sum()),
        "net_distance_m": float(np.linalg.norm(steps.sum(axis=0))),
        "duration_s": duration_s,
    }


def _about(person: Person, spans: list[ActionSpan]) -> dict[str, Any]:
    """What a record says of the hand and the target of the first action that has both, and of the person."""
    first = next((span for span in spans if span.side and span.target), None)
    return {
        "hand": first.side if first else "",
        "target": first.target.name if first and first.target else "",
        "person": {
            "scale": person.scale, "size": person.size, "legs": person.leg_share, "pace": person.feet.pace,
        },
    }  # fmt: skip


def _shown(span: ActionSpan, begin_s: float, duration_s: float) -> float:
    return min(span.end_s, begin_s + duration_s) - max(span.start_s, begin_s)


def _labels(spans: list[ActionSpan], time: Array) -> tuple[str, ...]:
    """The action of each pose; where two overlap, the later one."""
    labels = [STAND_STILL.name] * len(time)
    for span in spans:
        for index in np.flatnonzero((time >= span.start_s) & (time < span.end_s)):
            labels[index] = span.action
    return tuple(labels)
