"""The plan that a body's motion follows: where it goes, what hands do, what is looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.simulator.people.easing import GRID_HZ, EasedChanges
from training.simulator.people.hand_task import HandTask
from training.simulator.people.jumps import Jump
from training.simulator.rooms.plan import Target

Array = NDArray[np.float64]

PRE_S = 2.5  # a plan starts this long before its clip, so that a clip can start in mid-step
POST_S = 2.0
CARRIAGE = ("yaw", "pitch", "roll", "side")
"""How head and trunk are held besides posture and gaze, rad: the head turned to the left, bent down, and tilted to the
right; the trunk leaning to the right."""


@dataclass(frozen=True)
class RoamingSegment:
    """A roaming action's course: heading change (N,) rad and speed (N,) m/s on the grid, from its start."""

    action: str
    heading: Array
    speed: Array


@dataclass(frozen=True)
class Gaze:
    """Looking at something.

    Attributes:
        points: (K, 3) m, world, at times (K,) s. hand: a hand that the head also follows a little; "" for none.
        target: what is at the points.
    """

    points: Array
    times: Array
    start_s: float
    end_s: float
    hand: str = ""
    target: Target | None = None


@dataclass(frozen=True)
class MotionPlan:
    """What the whole body follows, on the grid.

    Attributes:
        time: (N,) s. heading: (N,) rad. speed: (N,) m/s along the heading, signed. path: (N, 2) m, world.
        posture: changes of `posture.POSTURE`. carriage: changes of `CARRIAGE`. hands: tasks of both hands.
        gazes: what is looked at. jumps: on the spot.
    """

    time: Array
    heading: Array
    speed: Array
    path: Array
    posture: EasedChanges
    carriage: EasedChanges
    hands: tuple[HandTask, ...] = ()
    gazes: tuple[Gaze, ...] = ()
    jumps: tuple[Jump, ...] = ()


def grid(duration_s: float, pre_s: float = 0.0) -> Array:
    """Times -pre … duration of one segment, both ends included."""
    return np.arange(-round(pre_s * GRID_HZ), round(duration_s * GRID_HZ) + 1) / GRID_HZ
