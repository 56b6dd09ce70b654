"""Getting to a place: walks along a route to a stand, turns, small steps; and looking at something."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.actions.vocabulary import action_of
from training.simulator.motion.choosing import pick
from training.simulator.motion.performing import performs, performs_at_target
from training.simulator.motion.timeline import ActionSpan, Timeline
from training.simulator.people.easing import GRID_HZ, ease
from training.simulator.people.motion_plan import Gaze
from training.simulator.rooms.plan import MissingTargetError, NoRoomError, Target

Array = NDArray[np.float64]

_FEW_STEPS_M = 0.4  # shorter distances are covered without turning first
_START_S, _STOP_S = 0.8, 0.9
_CORNER_M = 0.25
_AT_ONCE = np.radians(32)  # a walk begins without a turn where its direction differs by less
_LOOK_M = (0.6, 4.0)  # distances of what is looked at


def wrap(angle: float) -> float:
    """The same angle within -pi … pi."""
    return float(np.arctan2(np.sin(angle), np.cos(angle)))


def turn(line: Timeline, angle: float, rate: float | None = None) -> None:
    """Turns on the spot by an angle (rad, left positive) at a mean rate (rad/s)."""
    rate = rate or np.radians(line.rng.uniform(55, 95))
    seconds = max(abs(angle) / rate, 0.5)
    time = np.arange(1, round(seconds * GRID_HZ) + 1) / GRID_HZ
    path = np.repeat(line.here[None], len(time), axis=0)
    line.extend(line.heading + angle * ease(time, 0, seconds), path, np.zeros(len(time)))


def walk(line: Timeline, goal: Array, facing: float) -> float:
    """Walks to a stand at ``goal`` (2,) m, facing ``facing`` rad there; returns until when (s) the goal is ahead.

    Raises:
        NoRoomError: no free way leads there.
    """
    if np.linalg.norm(goal - line.here) < _FEW_STEPS_M:
        few_steps(line, goal, facing)
        return line.now
    way = line.walkable.route(line.here, goal)
    if way is None:
        raise NoRoomError(f"room {line.room.seed}: no free way from {line.here.round(2)} to {goal.round(2)}")
    legs = np.diff(way, axis=0)
    lengths = np.linalg.norm(legs, axis=1)
    courses = np.unwrap(np.arctan2(legs[:, 1], legs[:, 0]))
    first, last = wrap(float(courses[0]) - line.heading), wrap(facing - float(courses[-1]))
    rate = np.radians(line.rng.uniform(80, 110))
    turning = max(abs(first) / rate, 0.6)
    go = max(0.0, turning * 0.75 - 0.1) if abs(first) > _AT_ONCE else 0.0
    total = float(lengths.sum())
    speed = min(float(line.rng.uniform(0.75, 1.15)), 1.6 * total / (_START_S + _STOP_S))
    end = go + total / speed + (_START_S + _STOP_S) / 2
    facing_s = max(abs(last) / rate, 0.7)
    face = end - 0.55 * min(facing_s, 1.2)
    time = np.arange(1, round(max(end, face + facing_s) * GRID_HZ) + 1) / GRID_HZ

    pace = ease(time, go, go + _START_S) - ease(time, end - _STOP_S, end)
    gone = np.cumsum(pace)
    gone *= total / gone[-1]
    path = _along(way, lengths, gone)
    corners = np.cumsum(lengths)[:-1]
    bends = ease(gone[:, None], corners - 0.4, corners + 0.25) @ np.diff(courses) if len(corners) else 0.0
    heading = line.heading + first * ease(time, 0, turning) + bends + last * ease(time, face, face + facing_s)
    begin = line.now
    _extend(line, path, heading)
    return line.now if abs(last) < np.radians(60) else begin + face - 0.6


def _along(way: Array, lengths: Array, gone: Array) -> Array:
    """Points (N, 2) at distances ``gone`` (N,) metres along a polyline whose corners are rounded."""
    marks = np.concatenate([[0.0], np.cumsum(lengths)])
    spread = np.minimum(np.minimum(gone, marks[-1] - gone), _CORNER_M) if len(lengths) > 1 else np.zeros_like(gone)
    where = gone[:, None] + spread[:, None] * np.linspace(-1, 1, 7 if len(lengths) > 1 else 1)
    return np.stack([np.interp(where, marks, way[:, k]).mean(axis=1) for k in (0, 1)], axis=-1)


def few_steps(line: Timeline, goal: Array, facing: float) -> None:
    """Takes small steps to a near place, in any direction, while turning."""
    distance, angle = float(np.linalg.norm(goal - line.here)), wrap(facing - line.heading)
    if distance < 0.02 and abs(angle) < 0.04:
        return
    seconds = max(0.7, 1.5 * distance / 0.45, abs(angle) / np.radians(75))
    time = np.arange(1, round(seconds * GRID_HZ) + 1) / GRID_HZ
    share = ease(time, 0, seconds)
    _extend(line, line.here + share[:, None] * (goal - line.here), line.heading + angle * share)


def _extend(line: Timeline, path: Array, heading: Array) -> None:
    velocity = np.diff(np.concatenate([line.here[None], path]), axis=0) * GRID_HZ
    size = np.linalg.norm(velocity, axis=1)
    ahead = velocity[:, 0] * np.cos(heading) + velocity[:, 1] * np.sin(heading)
    line.extend(heading, path, np.where(ahead < -0.5 * size, -size, size))


def go_to(line: Timeline, stand: tuple[Array, float], target: Target | None, toward: Array | None = None) -> None:
    """Gets to a stand; a longer way is recorded as a walk to the target, which is looked at on the last metres.

    Args:
        line: the time line. stand: (2,) m and rad. target: what the walk is to. toward: (3,) m, where to look.
    """
    place, facing = stand
    begin, distance = line.now, float(np.linalg.norm(place - line.here))
    ahead_until = walk(line, place, facing)
    if distance > _FEW_STEPS_M:
        target_place = None if target is None else line.state.place_of(target)[:2, 3]
        line.spans.append(ActionSpan("walk_to", begin, line.now, target=target, target_place=target_place))
        if toward is not None and line.now - begin > 1.6:
            until = min(ahead_until, line.now + 0.2)
            line.gazes.append(look(toward, max(begin + 0.3, until - 1.3), until, target=target))
    elif line.now - begin > 0.3:
        line.spans.append(ActionSpan("step", begin, line.now, target=target, in_words=False))


@dataclass(frozen=True)
class WalkPlan:
    """A planned walk: its target, and the stand ((2,) m and heading) before it."""

    target: Target
    stand: tuple[Array, float]


def prepare_walk(line: Timeline, target: Target) -> WalkPlan:
    """Plans a walk to a stand near something, facing it.

    Raises:
        NoRoomError: there is none.
    """
    rng, centre = line.rng, line.state.place_of(target)[:2, 3]
    angles, distances = rng.uniform(-np.pi, np.pi, 64), np.sort(rng.uniform(0.45, 1.3, 64))
    around = centre + distances[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    named = np.array(target.stands, dtype=float).reshape(-1, 3)[:, :2]
    places = np.concatenate([named, around])
    free = np.flatnonzero(line.walkable.clear(places))
    if not len(free):
        raise NoRoomError(f"room {line.room.seed}: no place to stand before the {target.name}")
    chosen = places[free[0]]
    return WalkPlan(target, (chosen, float(np.arctan2(*(centre - chosen)[::-1]))))


def _worth_walking_to(line: Timeline, targets: list[Target]) -> list[Target]:
    """Furniture and doors; objects in a room that has neither."""
    return targets or line.room.of_kind("object")


@performs_at_target("walk_to", prepare_walk, _worth_walking_to, leads=True, clip_may_begin_inside=True)
def walk_up_to(line: Timeline, plan: WalkPlan, last: bool) -> None:
    """Walks to something and stops there.

    Raises:
        NoRoomError: the body is there already, or no way leads there.
    """
    if np.linalg.norm(plan.stand[0] - line.here) < 0.8:
        raise NoRoomError(f"the body stands at the {plan.target.name} already")
    go_to(line, plan.stand, plan.target, line.state.place_of(plan.target)[:3, 3])


def look(point: Array, start_s: float, end_s: float, hand: str = "", target: Target | None = None) -> Gaze:
    """A gaze at one world point (3,)."""
    return Gaze(np.asarray(point, dtype=float)[None], np.zeros(1), start_s, end_s, hand, target)


@performs("look_at")
def look_at(line: Timeline) -> None:
    """Looks at something for a while; the body turns where the neck does not suffice.

    Raises:
        MissingTargetError: nothing is at a good distance.
    """
    aims = line.room.of_kind(*action_of("look_at").aims_at)
    away = [np.linalg.norm(line.state.place_of(target)[:2, 3] - line.here) for target in aims]
    near = [target for target, distance in zip(aims, away, strict=True) if _LOOK_M[0] < distance < _LOOK_M[1]]
    if not near:
        raise MissingTargetError(f"room {line.room.seed} has nothing near to look at")
    target = pick(line, near)
    position = line.state.place_of(target)[:3, 3]
    begin = line.now + float(line.rng.uniform(0.1, 0.5))
    aside = wrap(float(np.arctan2(*(position[:2] - line.here)[::-1])) - line.heading)
    stay = float(line.rng.uniform(1.4, 2.4))
    line.wait_until(begin)
    if abs(aside) > np.radians(30):
        turn(line, aside * float(line.rng.uniform(0.55, 0.95)), np.radians(60))
    line.wait_until(begin + 0.6 + stay)
    line.gazes.append(look(position, begin, line.now, target=target))
    line.spans.append(ActionSpan("look_at", begin, line.now, target=target, target_place=position[:2]))
