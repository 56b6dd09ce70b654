"""Where the body goes: heading and path of each behaviour over time, before any joint is posed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.simulator.people.easing import GRID_HZ, Moves, ease
from training.simulator.people.hand_task import HandTask
from training.simulator.rooms.plan import Target

Array = NDArray[np.float64]

PRE_S = 2.5  # a track starts this long before its clip, so that a clip can start in mid-step
POST_S = 2.0


@dataclass(frozen=True)
class Segment:
    """What a behaviour asks of the body: heading change (N,) rad and speed (N,) m/s on the grid, from its start."""

    behaviour: str
    heading: Array
    speed: Array


@dataclass(frozen=True)
class Gaze:
    """Something looked at: world points (K, 3) m at times (K,) s, from when to when; with a hand, the head also
    follows that hand a little. ``target`` is what is there."""

    points: Array
    times: Array
    start_s: float
    end_s: float
    hand: str = ""
    target: Target | None = None


@dataclass(frozen=True)
class Track:
    """What the whole body follows, on the grid: heading (N,) rad, signed speed along it (N,) m/s and path (N, 2) m in
    the world at ``time`` (N,) s; how the trunk is held (see `posture.POSTURE`), what hands do, what is looked at."""

    time: Array
    heading: Array
    speed: Array
    path: Array
    posture: Moves
    hands: tuple[HandTask, ...] = ()
    gazes: tuple[Gaze, ...] = ()


def grid(duration_s: float, pre_s: float = 0.0) -> Array:
    """Times -pre … duration of one segment, both ends included."""
    return np.arange(-round(pre_s * GRID_HZ), round(duration_s * GRID_HZ) + 1) / GRID_HZ


def _turn(rng: np.random.Generator, time: Array, start: float, degrees: float, rate: float) -> Array:
    duration = max(abs(degrees) / rate, 0.7)
    return np.radians(degrees) * ease(time, start, start + duration)


def _wander(rng: np.random.Generator, time: Array) -> Array:
    """Small slow changes of course while walking, zero at time 0."""
    phases = rng.uniform(0, 2 * np.pi, 2)
    amplitude = rng.uniform(0.0, 0.025, 2)
    waves = amplitude * (np.sin(np.outer(time, [1.1, 2.3]) + phases) - np.sin(phases))
    return waves.sum(axis=-1) * ease(time, 0, 1)


def _cruise(rng: np.random.Generator, slow: float) -> float:
    return float(rng.uniform(0.6, 1.2 - 0.45 * slow))


def _stand(rng: np.random.Generator, time: Array, v0: float, slow: float) -> tuple[Array, Array]:
    return np.zeros_like(time), v0 * (1 - ease(time, 0, 0.8))


def _turning(sign: int, low: float, high: float) -> Callable[..., tuple[Array, Array]]:
    def track(rng: np.random.Generator, time: Array, v0: float, slow: float) -> tuple[Array, Array]:
        degrees = sign * rng.uniform(low, high)
        start = rng.uniform(0.0, 1.2) if v0 < 0.05 else rng.uniform(0.4, 0.9)
        heading = _turn(rng, time, start, degrees, rng.uniform(45, 85))
        return heading, v0 * (1 - ease(time, 0, 0.8))

    return track


def _walk(rng: np.random.Generator, time: Array, v0: float, slow: float) -> tuple[Array, Array]:
    cruise = _cruise(rng, slow)
    if v0 < 0.05:
        delay = rng.uniform(-0.3, 0.3)
        speed = cruise * ease(time, delay, delay + 0.9)
    else:
        speed = v0 + (cruise - v0) * ease(time, 0, 1.5)
    return _wander(rng, time), speed


def _walk_stop(rng: np.random.Generator, time: Array, v0: float, slow: float) -> tuple[Array, Array]:
    heading, speed = _walk(rng, time, v0, slow)
    stop = rng.uniform(0.4, 0.7) * time[-1]
    return heading, speed * (1 - ease(time, stop - 0.4, stop + 0.5))


def _walk_turn(sign: int) -> Callable[..., tuple[Array, Array]]:
    def track(rng: np.random.Generator, time: Array, v0: float, slow: float) -> tuple[Array, Array]:
        heading, speed = _walk(rng, time, v0, slow)
        rate = rng.uniform(35, 65)
        degrees = rng.uniform(50, 100)
        latest = time[-1] - degrees / rate - 0.2
        start = rng.uniform(min(1.0, latest - 0.2), latest)
        dip = 1 - 0.25 * (
            ease(time, start, start + 0.6) - ease(time, start + degrees / rate, start + degrees / rate + 1)
        )
        return heading + _turn(rng, time, start, sign * degrees, rate), speed * dip

    return track


def _turn_walk(sign: int) -> Callable[..., tuple[Array, Array]]:
    def track(rng: np.random.Generator, time: Array, v0: float, slow: float) -> tuple[Array, Array]:
        degrees, rate = rng.uniform(50, 105), rng.uniform(55, 90)
        start = rng.uniform(-0.1, 0.4) if v0 < 0.05 else rng.uniform(0.3, 0.6)
        go = start + 0.75 * degrees / rate
        speed = v0 * (1 - ease(time, 0, 0.8)) + _cruise(rng, slow) * ease(time, go, go + 0.9)
        return _turn(rng, time, start, sign * degrees, rate) + _wander(rng, np.maximum(time - go, 0)), speed

    return track


def _walk_back(rng: np.random.Generator, time: Array, v0: float, slow: float) -> tuple[Array, Array]:
    delay = rng.uniform(-0.2, 0.5)
    backward = -rng.uniform(0.35, 0.65 - 0.2 * slow) * ease(time, delay, delay + 0.9)
    stop = rng.uniform(0.55, 1.1) * time[-1]
    speed = v0 * (1 - ease(time, 0, 0.8)) + backward * (1 - ease(time, stop - 0.5, stop + 0.4))
    return _wander(rng, time), speed


_TRACKS: dict[str, Callable[..., tuple[Array, Array]]] = {
    "stand_still": _stand,
    "turn_left": _turning(1, 48, 110),
    "turn_right": _turning(-1, 48, 110),
    "turn_around_left": _turning(1, 152, 198),
    "turn_around_right": _turning(-1, 152, 198),
    "walk_forward": _walk,
    "walk_back": _walk_back,
    "walk_stop": _walk_stop,
    "walk_turn_left": _walk_turn(1),
    "walk_turn_right": _walk_turn(-1),
    "turn_left_walk": _turn_walk(1),
    "turn_right_walk": _turn_walk(-1),
}
ROAMING = tuple(_TRACKS)
MAY_START_WALKING = ("walk_forward", "walk_stop", "walk_turn_left", "walk_turn_right")


def roam(
    rng: np.random.Generator, behaviour: str, duration_s: float, v0: float, slow: float = 0.0, pre_s: float = 0.0
) -> Segment:
    """A segment of one of the behaviours in ``ROAMING``.

    Args:
        rng: source of every choice.
        behaviour: a name in ``ROAMING``.
        duration_s: seconds of the segment.
        v0: speed at its start, m/s.
        slow: 0 … 1, how far the fastest walks are left out (for small rooms).
        pre_s: seconds before its start that the arrays also cover.
    """
    heading, speed = _TRACKS[behaviour](rng, grid(duration_s, pre_s), v0, slow)
    return Segment(behaviour, heading, speed)
