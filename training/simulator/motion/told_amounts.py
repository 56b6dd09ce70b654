"""Turns, steps and ways of a told amount, on the spot or straight from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.simulator.motion.approaching import turn
from training.simulator.motion.performing import performs, performs_to_side
from training.simulator.motion.timeline import ActionSpan, Timeline
from training.simulator.people.easing import GRID_HZ, ease
from training.simulator.people.posture import SIDES
from training.simulator.rooms.plan import NoRoomError

Array = NDArray[np.float64]

_DEGREES = (30, 45, 60, 90, 90, 120, 135, 150, 180)
_HOURS = {"right": (1, 2, 3, 3, 4, 5, 6), "left": (11, 10, 9, 9, 8, 7, 6)}
_STEP_M, _STEP_BACK_M, _STEP_ASIDE_M = (0.52, 0.66), (0.34, 0.46), (0.24, 0.36)  # of a 1.75 m body
_METRES, _METRES_BACK = (0.5, 1.0, 1.5, 2.0, 3.0), (0.5, 1.0)
_START_S, _STOP_S = 0.8, 0.9
_PLACES = 48


def told_turn(line: Timeline, name: str, side: str, degrees: float, amount: float, rate_deg: float = 0.0) -> None:
    """Turns on the spot by an angle; `amount` is how a text says it."""
    line.wait(float(line.rng.uniform(0.0, 0.8)))
    begin = line.now
    turn(line, SIDES[side] * float(np.radians(degrees)), float(np.radians(rate_deg)) or None)
    line.spans.append(ActionSpan(name, begin, line.now, side, amount=amount))
    line.wait(0.3)  # the feet come to rest


@performs_to_side("turn_degrees")
def turn_degrees(line: Timeline, side: str) -> None:
    """Turns by a number of degrees, mostly a round one."""
    rng = line.rng
    degrees = float(rng.choice(_DEGREES)) if rng.random() < 0.6 else 5.0 * float(rng.integers(4, 37))
    told_turn(line, f"turn_degrees_{side}", side, degrees, degrees)


@performs_to_side("turn_clock")
def turn_clock(line: Timeline, side: str) -> None:
    """Turns to where a clock on the floor, with twelve ahead, has an hour."""
    hour = float(line.rng.choice(_HOURS[side]))
    told_turn(line, f"turn_clock_{side}", side, 30.0 * (hour if side == "right" else 12.0 - hour), hour)


@performs_to_side("quarter_turn")
def quarter_turn(line: Timeline, side: str) -> None:
    told_turn(line, f"quarter_turn_{side}", side, float(line.rng.normal(90, 3)), 90.0)


@performs_to_side("turn_a_little")
def turn_a_little(line: Timeline, side: str) -> None:
    told_turn(line, f"turn_a_little_{side}", side, float(line.rng.uniform(18, 38)), 0.0)


@performs_to_side("full_turn")
def full_turn(line: Timeline, side: str) -> None:
    told_turn(line, f"full_turn_{side}", side, float(line.rng.normal(360, 6)), 360.0, float(line.rng.uniform(88, 115)))


def go_straight(
    line: Timeline, name: str, distance: float, course: float, speed: float, side: str, amount: float
) -> None:
    """Goes a distance (m) in a direction (rad, against the heading) without turning, and stops.

    Raises:
        NoRoomError: the way is not free; a body that has done nothing yet tries other places first.
    """
    speed = min(speed, 1.6 * distance / (_START_S + _STOP_S))
    end = distance / speed + (_START_S + _STOP_S) / 2
    time = np.arange(1, round(end * GRID_HZ) + 1) / GRID_HZ
    pace = ease(time, 0, _START_S) - ease(time, end - _STOP_S, end)
    gone = np.cumsum(pace)
    _go(line, name, gone * (distance / gone[-1]), course, side, amount)


def step_by_step(line: Timeline, name: str, steps: int, length: float, side: str, amount: float) -> None:
    """Takes steps aside (m each): the outer foot goes first, and the other one beside it.

    Raises:
        NoRoomError: as `go_straight`.
    """
    each = float(line.rng.uniform(1.2, 1.4))
    time = np.arange(1, round(steps * each * GRID_HZ) + 1) / GRID_HZ
    starts = each * np.arange(steps, dtype=np.float64)
    gone = length * ease(time[:, None], starts, starts + each).sum(axis=1)
    _go(line, name, gone, SIDES[side] * np.pi / 2, side, amount)


def _go(line: Timeline, name: str, gone: Array, course: float, side: str, amount: float) -> None:
    line.wait(float(line.rng.uniform(0.0, 0.6)))
    _find_space(line, gone[-1], course)
    angle = line.heading + course
    path = line.here + gone[:, None] * np.array([np.cos(angle), np.sin(angle)])
    speed = np.gradient(np.concatenate([[0.0], gone]))[1:] * GRID_HZ
    begin = line.now
    line.extend(np.full(len(path), line.heading), path, speed * (-1 if np.cos(course) < -0.5 else 1))
    line.spans.append(ActionSpan(name, begin, line.now, side, amount=amount))
    line.wait(0.3)


def _find_space(line: Timeline, distance: float, course: float) -> None:
    """Makes sure that the way is free; where nothing has been done yet, by beginning elsewhere."""
    share = np.linspace(0, distance, max(2, round(distance / 0.12)))[:, None]

    def free(here: Array, heading: float) -> bool:
        way = here + share * np.array([np.cos(heading + course), np.sin(heading + course)])
        return bool(line.walkable.clear(way).all())

    if free(line.here, line.heading):
        return
    if not line.spans:
        waited = line.now
        for place in line.room.sample(line.rng, _PLACES):
            heading = float(line.rng.uniform(-np.pi, np.pi))
            if free(place, heading):
                line.relocate(place, heading)
                line.wait_until(waited)
                return
    raise NoRoomError(f"room {line.room.seed}: no free way of {distance:.1f} m at {line.here.round(2)}")


def _steps(line: Timeline, most: int) -> int:
    return int(line.rng.integers(1, most + 1))


@performs("steps_forward")
def steps_forward(line: Timeline) -> None:
    count, speed = _steps(line, 4), float(line.rng.uniform(0.7, 1.0))
    length = float(line.rng.uniform(*_STEP_M)) * line.person.scale
    go_straight(line, "steps_forward", count * length, 0.0, speed, "", count)


@performs("steps_back")
def steps_back(line: Timeline) -> None:
    count, speed = _steps(line, 4), float(line.rng.uniform(0.4, 0.6))
    length = float(line.rng.uniform(*_STEP_BACK_M)) * line.person.scale
    go_straight(line, "steps_back", count * length, np.pi, speed, "", count)


@performs_to_side("step_aside")
def step_aside(line: Timeline, side: str) -> None:
    count, length = _steps(line, 3), float(line.rng.uniform(*_STEP_ASIDE_M)) * line.person.scale
    step_by_step(line, f"step_aside_{side}", count, length, side, count)


@performs_to_side("make_way")
def make_way(line: Timeline, side: str) -> None:
    count, length = _steps(line, 2), float(line.rng.uniform(*_STEP_ASIDE_M)) * line.person.scale
    step_by_step(line, f"make_way_{side}", count, length, side, 0.0)


@performs("walk_metres")
def walk_metres(line: Timeline) -> None:
    metres = float(line.rng.choice(_METRES))
    distance = metres * float(line.rng.uniform(0.95, 1.05))
    go_straight(line, "walk_metres", distance, 0.0, float(line.rng.uniform(0.75, 1.1)), "", metres)


@performs("back_metres")
def back_metres(line: Timeline) -> None:
    metres = float(line.rng.choice(_METRES_BACK))
    distance = metres * float(line.rng.uniform(0.95, 1.05))
    go_straight(line, "back_metres", distance, np.pi, float(line.rng.uniform(0.4, 0.6)), "", metres)
