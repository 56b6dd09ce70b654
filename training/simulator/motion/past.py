"""What a body does before its clip begins: it walks, turns, stands and looks about, and comes to the clip's start.

A past is planned backwards from the start, so what the clip itself shows does not depend on it, but for steps, turns
and glances that are still under way.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from training.simulator.motion.approaching import walk
from training.simulator.motion.operation_planning import leaf
from training.simulator.motion.roaming_placement import is_free
from training.simulator.motion.timeline import Timeline
from training.simulator.people.easing import GRID_HZ, ease, integrate
from training.simulator.people.motion_plan import Gaze
from training.simulator.rooms.plan import NoRoomError
from training.simulator.rooms.routes import WalkableArea

Array = NDArray[np.float64]

_SETTLE_S = 1.0  # of plan before the past itself, so that it can begin in mid-step
_TRIES = 24
_PLACES = 12
_WALKING_SHARE, _RESTING_SHARE, _BACKWARD_SHARE = 0.75, 0.4, 0.1
_WAY_M = (0.9, 4.5)  # of a walk from elsewhere, as the crow flies
_AT_REST_MPS = 0.02
_LOW_M = 0.1  # metres the pelvis is lower than in a stand from which on a body stays where it is
_NEAR_M, _FAR_M = 0.8, 4.0  # distances of what is glanced at
_LEAST_STEADY_S = 0.3
_UNSETTLED_RAD, _UNSETTLED_M = np.radians(10), 0.12


def add_past(line: Timeline, begin_s: float, past_s: float, leans: bool, free: bool) -> None:
    """Gives a time line a past of a clip that begins at ``begin_s``: the course before that, and glances.

    Args:
        leans: whether the body leans as the clip begins, so that it has arrived before that.
        free: whether turns and glances that are still under way then leave what the clip shows as it is.

    Raises:
        NoRoomError: the body is walking at the start, and nowhere is there space to come from.
    """
    heading, path, speed = line.course()
    rests = speed[0] < _AT_REST_MPS
    latest = max(begin_s + 0.6, 0.0) if rests else begin_s  # what the clip's text tells of begins at time 0
    latest = begin_s - 0.8 if leans else latest
    until = min(_steady_until(line, heading, speed), latest, begin_s + float(line.rng.uniform(-0.8, 1.3)))
    at = math.floor((until + line.lead_s) * GRID_HZ)
    until, count = at / GRID_HZ - line.lead_s, round((until - begin_s + past_s + _SETTLE_S) * GRID_HZ)
    if count > 0:  # else all of the past lies in what the time line has already
        time = np.arange(-count, 1) / GRID_HZ
        turned, speeds, way = _find_course(line, time, path[at], float(heading[at]), float(speed[at]))
        if rests and not free:
            until = min(until, math.floor((begin_s - _settled_s(time, turned, way)) * GRID_HZ) / GRID_HZ)
        line.precede(heading[at] + turned[:-1], way[:-1], speeds[:-1], until)
    _glance_about(line, begin_s - past_s, begin_s, begin_s + (0.4 if free and rests else -0.7))


def _settled_s(time: Array, turned: Array, way: Array) -> float:
    """From when on a course of times up to 0, at whose end the body rests, hardly turns and goes on."""
    unsettled = (np.abs(turned) > _UNSETTLED_RAD) | (np.linalg.norm(way - way[-1], axis=1) > _UNSETTLED_M)
    return float(time[np.flatnonzero(unsettled)[-1]] if unsettled.any() else time[0])


def _steady_until(line: Timeline, heading: Array, speed: Array) -> float:
    """Until when the body goes on as at the plan's beginning."""
    changed = (np.abs(heading - heading[0]) > 1e-6) | (np.abs(speed - speed[0]) > 1e-6)
    steady_s = (int(np.argmax(changed)) - 1 if changed.any() else len(heading) - 1) / GRID_HZ
    if steady_s < _LEAST_STEADY_S:
        raise NoRoomError("a body that is neither at rest nor walking evenly at the start has no past")
    return steady_s - line.lead_s


def _find_course(line: Timeline, time: Array, place: Array, heading: float, speed: float) -> tuple[Array, Array, Array]:
    """Turns (N,) relative to the end, speeds (N,) and path (N, 2) of a course that is free and ends as it is to."""
    walkable, rng = _walkable_before(line), line.rng
    if line.postures_at(time[-1:] - line.lead_s)[0, 0] > _LOW_M:
        return np.zeros_like(time), np.zeros_like(time), np.repeat(place[None], len(time), axis=0)
    moving = speed > _AT_REST_MPS
    walks = moving or rng.random() < _WALKING_SHARE
    arrival = None if moving or not walks else _arrival(line, walkable, time, place, heading)
    if arrival is not None:
        return arrival
    for attempt in range(_TRIES if walks else 0):
        turned, speeds = _course(rng, time, speed, attempt / _TRIES, walks=True)
        way = integrate(heading + turned, speeds)
        way += place - way[-1]
        if is_free(walkable, line.room, way[::-8]):
            return turned, speeds, way
    if moving:
        raise NoRoomError(f"room {line.room.seed} has no space to come walking to {place.round(2)}")
    turned, speeds = _course(rng, time, 0.0, 1.0, walks=False)
    return turned, speeds, np.repeat(place[None], len(time), axis=0)


def _arrival(
    line: Timeline, walkable: WalkableArea, time: Array, place: Array, heading: float
) -> tuple[Array, Array, Array] | None:
    """As `_find_course`: a walk from elsewhere along a route, and some rest; None where no place tried has one."""
    rng, count = line.rng, len(time)
    for start in line.room.sample(rng, _PLACES):
        if not _WAY_M[0] < np.linalg.norm(place - start) < _WAY_M[1]:
            continue
        walker = Timeline.begin(line.person, line.room, rng, line.table, start, float(rng.uniform(-np.pi, np.pi)))
        walker.state.walkable = walkable
        try:
            walk(walker, place, heading)
        except NoRoomError:
            continue
        walker.wait(float(rng.uniform(0, 0.4)) * -time[0] if rng.random() < _RESTING_SHARE else 0.0)
        headings, way, speeds = (
            np.concatenate([np.repeat(part[:1], max(0, count - len(part)), axis=0), part])[-count:]
            for part in walker.course()
        )
        return headings - headings[-1], speeds, way
    return None


def _walkable_before(line: Timeline) -> WalkableArea:
    """Where a body may walk before anything is done."""
    area, parts = WalkableArea(line.room), line.room.articulations
    for target in line.room.of_kind("door", "cabinet", "drawer"):
        if target.articulation in line.state.moved_parts:
            value = float(line.state.values_at(target.articulation, np.array([-line.lead_s]))[0])
            if value != parts[target.articulation].initial:
                area.leaves[target.articulation] = leaf(target, parts[target.articulation], value)
    return area


def _course(rng: np.random.Generator, time: Array, speed: float, slow: float, walks: bool) -> tuple[Array, Array]:
    """Turns and speeds at times (N,) that end at 0, where the heading is 0 and the speed is given.

    Args:
        slow: 0 … 1, larger values leave out fast and long walks. walks: whether the body walks at all.
    """
    span, speeds = -float(time[0]), np.zeros_like(time)
    if speed > _AT_REST_MPS:
        start = -float(rng.uniform(1.1, 1.1 + (span + 1) * (1 - 0.8 * slow)))
        earlier = float(rng.uniform(0.5, 1.1)) * (1 - 0.4 * slow) - speed
        speeds = ease(time, start, start + 0.9) * (speed + earlier * (1 - ease(time, -1.5, -0.2)))
    elif walks:
        end = 0.0 if rng.random() < 0.5 else -float(rng.uniform(0, 0.6)) * span
        start = end - float(rng.uniform(1.4, 1.6 + (span + 0.5) * (1 - 0.8 * slow)))
        cruise = -0.4 if rng.random() < _BACKWARD_SHARE else float(rng.uniform(0.5, 1.1)) * (1 - 0.4 * slow)
        speeds = cruise * (ease(time, start, start + 0.9) - ease(time, end - 0.9, end))
    turned = np.zeros_like(time)
    for _ in range(int(rng.integers(0 if walks else 1, 3))):
        angle = float(np.clip(rng.normal(0, np.radians(50 if walks else 80)), -2.8, 2.8))
        seconds = max(abs(angle) / np.radians(rng.uniform(45, 85)), 0.7)
        end = 0.0 if rng.random() < 0.3 else -float(rng.uniform(0, span))
        turned += angle * (ease(time, end - seconds, end) - 1)
    return turned, speeds


def _glance_about(line: Timeline, first_s: float, begin_s: float, last_s: float) -> None:
    """Adds glances at things and at places in between; the last ends at ``last_s``."""
    rng = line.rng
    busy = min([gaze.start_s for gaze in line.gazes], default=np.inf)
    things = [line.state.place_of(target)[:3, 3] for target in line.room.targets if target.kind != "spot"]
    start, glances = first_s + float(rng.exponential(1.0)), []
    while start < begin_s - 0.3:
        stay = float(rng.uniform(0.7, 2.2))
        end = min(start + stay, last_s - float(rng.uniform(0, 1.0)), busy - 0.2)
        if end - start > 0.4:
            glances.append(Gaze(_glanced_at(line, start + stay / 2, things)[None], np.zeros(1), start, end))
        start = end + float(rng.exponential(1.2)) + 0.3
    line.gazes[:0] = glances  # before those of the clip, which take over


def _glanced_at(line: Timeline, time: float, things: list[Array]) -> Array:
    """A point (3,) m: of a thing nearby, or anywhere before the body."""
    rng = line.rng
    here, heading = line.where(time)
    if things and rng.random() < 0.5:
        thing = things[int(rng.integers(len(things)))]
        away = thing[:2] - here
        aside = np.abs(np.angle(np.exp(1j * (np.arctan2(away[1], away[0]) - heading))))
        if _NEAR_M < np.linalg.norm(away) < _FAR_M and aside < np.radians(110):
            return np.asarray(thing)
    yaw, pitch = heading + rng.uniform(-1.7, 1.7), np.radians(rng.uniform(-35, 20))
    distance = float(rng.uniform(1.0, 3.0))
    ahead = here + distance * np.array([np.cos(yaw), np.sin(yaw)])
    return np.array([*ahead, 1.6 * line.person.scale + distance * np.tan(pitch)])
