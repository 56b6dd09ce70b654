"""Roaming: courses of walks, turns and stands without an aim."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.actions.vocabulary import kind_of
from training.simulator.motion.performing import CourseRequest, Roaming, find_performance, roams
from training.simulator.people.easing import ease
from training.simulator.people.motion_plan import RoamingSegment, grid

Array = NDArray[np.float64]

_AT_REST_MPS = 0.05
_SPEED_UP_S = 1.1  # in which a running body gets fast, and stops
_STOP_S = 0.8  # in which a walking body stops


def is_roaming(action: str) -> bool:
    """Whether an action is performed by roaming."""
    return isinstance(find_performance(action), Roaming)


def roaming_of(action: str) -> Roaming:
    """How a roaming action is performed."""
    performance = find_performance(action)
    assert isinstance(performance, Roaming), action
    return performance


def roam(
    rng: np.random.Generator, action: str, duration_s: float, speed: float, slow: float = 0.0, pre_s: float = 0.0
) -> RoamingSegment:
    """A segment of one roaming action.

    Args:
        rng: source of every choice. action: its name. duration_s: seconds of the segment.
        speed: at its start, m/s. slow: 0 … 1, larger values leave out faster walks (for small rooms).
        pre_s: seconds before its start that the arrays also cover.
    """
    sign = -1 if kind_of(action)[1] == "right" else 1
    heading, speeds = roaming_of(action).course(CourseRequest(rng, grid(duration_s, pre_s), speed, slow, sign))
    return RoamingSegment(action, heading, speeds)


def roaming_seconds(rng: np.random.Generator, action: str) -> float:
    """A random duration of a roaming action."""
    return float(rng.uniform(*roaming_of(action).seconds))


def _turn(time: Array, start: float, degrees: float, rate: float) -> Array:
    duration = max(abs(degrees) / rate, 0.7)
    return np.radians(degrees) * ease(time, start, start + duration)


def _wander(rng: np.random.Generator, time: Array) -> Array:
    """Small slow changes of heading while walking, zero at time 0."""
    phases = rng.uniform(0, 2 * np.pi, 2)
    amplitude = rng.uniform(0.0, 0.025, 2)
    waves = amplitude * (np.sin(np.outer(time, [1.1, 2.3]) + phases) - np.sin(phases))
    return waves.sum(axis=-1) * ease(time, 0, 1)


def _cruise(rng: np.random.Generator, slow: float) -> float:
    return float(rng.uniform(0.6, 1.2 - 0.45 * slow))


def _stopping(request: CourseRequest) -> Array:
    """Speeds of a body that stops at once."""
    return request.speed * (1 - ease(request.time, 0, _STOP_S))


@roams("stand_still", seconds=(1.2, 2.5))
@roams("wait", seconds=(1.2, 2.0))
@roams("do_not_move", seconds=(1.5, 2.5))
@roams("do_not_turn", seconds=(1.5, 2.5))
def stand(request: CourseRequest) -> tuple[Array, Array]:
    return np.zeros_like(request.time), _stopping(request)


@roams("turn", seconds=(2.2, 3.2), least_turn_deg=44.0)
def turn(request: CourseRequest) -> tuple[Array, Array]:
    return _turning(request, 48, 110)


@roams("turn_around", seconds=(3.2, 4.4), least_turn_deg=148.0)
def turn_around(request: CourseRequest) -> tuple[Array, Array]:
    return _turning(request, 152, 198)


def _turning(request: CourseRequest, low: float, high: float) -> tuple[Array, Array]:
    rng = request.rng
    degrees = request.sign * rng.uniform(low, high)
    start = rng.uniform(0.0, 1.2) if request.speed < _AT_REST_MPS else rng.uniform(0.4, 0.9)
    return _turn(request.time, start, degrees, rng.uniform(45, 85)), _stopping(request)


@roams("walk_forward", seconds=(1.8, 3.0), least_distance_m=2.4, from_walk=True, clip_may_begin_inside=True)
def walk(request: CourseRequest) -> tuple[Array, Array]:
    rng, time = request.rng, request.time
    cruise = _cruise(rng, request.slow)
    if request.speed < _AT_REST_MPS:
        delay = rng.uniform(-0.3, 0.3)
        speed = cruise * ease(time, delay, delay + 0.9)
    else:
        speed = request.speed + (cruise - request.speed) * ease(time, 0, 1.5)
    return _wander(rng, time), speed


@roams("stroll", seconds=(2.5, 3.5), least_distance_m=1.0)
def stroll(request: CourseRequest) -> tuple[Array, Array]:
    rng, time = request.rng, request.time
    delay, cruise = rng.uniform(-0.2, 0.4), rng.uniform(0.35, 0.52)
    return _wander(rng, time), _stopping(request) + cruise * ease(time, delay, delay + 0.9)


@roams("hurry", seconds=(3.0, 4.0), least_distance_m=1.8)
def hurry(request: CourseRequest) -> tuple[Array, Array]:
    return _dash(request, 1.3, 1.5)


@roams("jog", seconds=(3.0, 4.0), least_distance_m=2.0)
def jog(request: CourseRequest) -> tuple[Array, Array]:
    return _dash(request, 1.75, 2.05)


@roams("run", seconds=(3.0, 4.0), least_distance_m=2.2)
def run(request: CourseRequest) -> tuple[Array, Array]:
    return _dash(request, 2.2, 2.7)


def _dash(request: CourseRequest, low: float, high: float) -> tuple[Array, Array]:
    """A fast straight way that ends within a room: the body stops before a wall would stop it."""
    rng, time = request.rng, request.time
    speed, start = rng.uniform(low, high), rng.uniform(0.0, 0.9)
    way = rng.uniform(2.6, 4.8 - 2.0 * request.slow)
    end = start + _SPEED_UP_S + max(0.3, way / speed - _SPEED_UP_S)
    pace = ease(time, start, start + _SPEED_UP_S) - ease(time, end, end + _SPEED_UP_S)
    return _wander(rng, time), _stopping(request) + speed * pace


@roams("walk_stop", seconds=(2.4, 3.5), least_distance_m=1.0, from_walk=True, clip_may_begin_inside=True)
def walk_and_stop(request: CourseRequest) -> tuple[Array, Array]:
    heading, speed = walk(request)
    time = request.time
    stop = request.rng.uniform(0.4, 0.7) * time[-1]
    return heading, speed * (1 - ease(time, stop - 0.4, stop + 0.5))


@roams("walk_turn", seconds=(3.2, 4.2), least_turn_deg=44.0, least_distance_m=1.8, from_walk=True)
def walk_in_a_curve(request: CourseRequest) -> tuple[Array, Array]:
    heading, speed = walk(request)
    rng, time = request.rng, request.time
    rate = rng.uniform(35, 65)
    degrees = rng.uniform(50, 100)
    latest = time[-1] - degrees / rate - 0.2
    start = rng.uniform(min(1.0, latest - 0.2), latest)
    turned = start + degrees / rate
    dip = 1 - 0.25 * (ease(time, start, start + 0.6) - ease(time, turned, turned + 1))
    return heading + _turn(time, start, request.sign * degrees, rate), speed * dip


@roams("turn_walk", seconds=(3.2, 4.2), least_turn_deg=44.0, least_distance_m=1.2)
def turn_and_walk(request: CourseRequest) -> tuple[Array, Array]:
    rng, time = request.rng, request.time
    degrees, rate = rng.uniform(50, 105), rng.uniform(55, 90)
    start = rng.uniform(-0.1, 0.4) if request.speed < _AT_REST_MPS else rng.uniform(0.3, 0.6)
    go = start + 0.75 * degrees / rate
    speed = _stopping(request) + _cruise(rng, request.slow) * ease(time, go, go + 0.9)
    return _turn(time, start, request.sign * degrees, rate) + _wander(rng, np.maximum(time - go, 0)), speed


@roams("walk_back", seconds=(2.0, 3.0), least_distance_m=0.6)
def walk_back(request: CourseRequest) -> tuple[Array, Array]:
    rng, time = request.rng, request.time
    delay = rng.uniform(-0.2, 0.5)
    backward = -rng.uniform(0.35, 0.65 - 0.2 * request.slow) * ease(time, delay, delay + 0.9)
    stop = rng.uniform(0.55, 1.1) * time[-1]
    speed = _stopping(request) + backward * (1 - ease(time, stop - 0.5, stop + 0.4))
    return _wander(rng, time), speed
