"""Footsteps under a moving body: where and when each foot is planted, and its path in between.

A foot lands where the body will be in the middle of that foot's stance, so it lands ahead when walking, turned
when turning, and beside the other when the body comes to rest. Between steps a foot does not move.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.rotations import rotation_y, rotation_z
from training.simulator.people.gaits import SAMPLES, WalkCycle, walk_cycle
from training.simulator.people.motion_plan import MotionPlan

Array = NDArray[np.float64]

_Plant = tuple[float, float, float]
_BACK_M = -0.035  # an ankle stands a little behind the body's middle
_APART_M = 0.07  # least distance of the ankles of who steps aside
_ASIDE_M = 0.08  # to one side within 0.7 s: a step aside
_RISE_FROM = 0.62  # phase at which a heel may leave the floor
SIDES = (1.0, -1.0)  # left, right: sign of y
_STRIDE_S = (
    np.array([0.0, 0.35, 0.6, 0.9, 1.2, 1.5, 2.0, 2.6]), np.array([0.95, 1.3, 1.42, 1.27, 1.12, 1.0, 0.8, 0.7]),
)  # fmt: skip
_FAST_MPS = 1.25  # faster than people walk in rooms
_RUN_MPS, _RUN_SWING = (1.5, 2.2), 0.62  # speeds between which walking becomes running, where both feet are in the air


@dataclass(frozen=True)
class FootStyle:
    """How a person steps.

    Attributes:
        pace: factor on stride times. standing_width, walking_width: half the distance of the feet, m.
        toe_out: how far the toes are turned out, rad. lift: factor on the feet's height.
        cycle: the captured cycle that gives timing and foot pitch.
    """

    pace: float
    standing_width: float
    walking_width: float
    toe_out: float
    lift: float
    cycle: WalkCycle = field(default_factory=walk_cycle)


@dataclass(frozen=True)
class Steps:
    """The K steps of one foot.

    Attributes:
        lift, land: times (K,) s. stride: stride times (K,) s. size: length factors (K,).
        plants: (K + 1, 3) planted poses: x, y below the ankle in metres, yaw in radians.
    """

    lift: Array
    land: Array
    stride: Array
    size: Array
    plants: Array


class _PathTable:
    """A motion plan as lists of numbers, for fast look-ups."""

    def __init__(self, plan: MotionPlan, style: FootStyle) -> None:
        self.style, self.begin = style, float(plan.time[0])
        self.rate, self.last = 1 / float(plan.time[1] - plan.time[0]), len(plan.time) - 1
        self.path, self.heading = plan.path.tolist(), plan.heading.tolist()
        self.gone = np.concatenate([[0.0], np.cumsum(plan.speed)]).tolist()
        facing = np.stack([-np.sin(plan.heading), np.cos(plan.heading)], axis=-1)
        steps = np.diff(plan.path, axis=0, prepend=plan.path[:1])
        self.aside = np.concatenate([[0.0], np.cumsum(np.einsum("nk,nk->n", steps, facing))]).tolist()
        moving = (np.abs(plan.speed) > 0.01) | (np.abs(np.gradient(plan.heading)) > 1e-4)
        self.moving = plan.time[moving].tolist()

    def rest(self, side: float, time: float, speed: float) -> tuple[float, float, float]:
        """Pose (x, y, yaw) of a foot under the body at a time; narrower when walking."""
        place = min(max((time - self.begin) * self.rate, 0.0), self.last - 1e-6)
        low = int(place)
        share = place - low
        (x0, y0), (x1, y1) = self.path[low], self.path[low + 1]
        yaw = self.heading[low] + share * (self.heading[low + 1] - self.heading[low])
        mix = min(abs(speed), 0.8) / 0.8
        width = side * (self.style.standing_width * (1 - mix) + self.style.walking_width * mix)
        c, s = math.cos(yaw), math.sin(yaw)
        x, y = x0 + share * (x1 - x0), y0 + share * (y1 - y0)
        return (x + _BACK_M * c - width * s, y + _BACK_M * s + width * c, yaw + side * self.style.toe_out)

    def goes_aside(self, start: float, end: float) -> float:
        """Metres that the body goes to its left between two times."""
        low, high = (min(max(round((when - self.begin) * self.rate), 0), self.last) for when in (start, end))
        return float(self.aside[high + 1] - self.aside[low + 1])

    def mean_speed(self, start: float, end: float) -> float:
        """Mean signed speed between two times, m/s."""
        low = min(max(math.ceil((start - self.begin) * self.rate - 1e-9), 0), self.last)
        high = min(max(math.ceil((end - self.begin) * self.rate - 1e-9), low + 1), self.last + 1)
        return float((self.gone[high] - self.gone[low]) / (high - low))


def plan_steps(plan: MotionPlan, style: FootStyle, first: int, offset: float) -> tuple[Steps, Steps]:
    """Steps of the left and right foot along a motion plan.

    Args:
        plan: the body's.
        style: how the person steps.
        first: 0 to begin with the left foot, 1 with the right.
        offset: 0 … 1, part of a step by which the first step of a walking start is shifted.
    """
    time, end = float(plan.time[0]), float(plan.time[-1])
    start_speed = float(plan.speed[0])
    path_table = _PathTable(plan, style)
    plants = [[path_table.rest(side, time, start_speed)] for side in SIDES]
    records: list[list[tuple[float, float, float, float]]] = [[], []]
    foot = first
    time += offset * 0.5
    while time < end - 0.1:
        signed = path_table.mean_speed(time, time + 0.7)
        speed = abs(signed)
        soon = abs(path_table.mean_speed(time + 0.3, time + 0.9))
        speed = soon if soon > max(speed, _FAST_MPS) else speed  # or who starts to run would begin with a lunge
        stride = float(np.interp(speed, *_STRIDE_S)) * style.pace
        swing = float(np.interp(speed, _RUN_MPS, (style.cycle.swing_fraction, _RUN_SWING)))
        land, middle = time + swing * stride, time + (swing + (1 - swing) / 2) * stride
        later_speed = path_table.mean_speed(land, middle + 0.1)
        goals = [path_table.rest(side, middle, later_speed) for side in SIDES]
        errors = [_misplaced(goals[k], plants[k][-1]) for k in (0, 1)]
        if errors[foot] < 1.0 and errors[1 - foot] >= 1.0 and speed < 0.1:
            foot = 1 - foot
        aside = path_table.goes_aside(time, time + 0.7)
        outer = 0 if aside > 0 else 1
        rested = not records[outer] or time > records[outer][-1][0] + 0.8 * stride
        goes_aside = abs(aside) > max(_ASIDE_M, 0.35 * speed)
        if goes_aside and errors[outer] >= 1.0 and rested:
            foot = outer  # it goes first, or the legs would cross
        if errors[foot] < 1.0 and speed < 0.1:
            later = bisect_left(path_table.moving, time)
            time = max(time + 1 / 16, (path_table.moving[later] if later < len(path_table.moving) else end) - 1.5)
            continue
        goal = _beside(goals[foot], plants[1 - foot][-1], SIDES[foot]) if goes_aside else goals[foot]
        size = math.dist(goal[:2], plants[foot][-1][:2]) / 1.1
        records[foot].append((time, land, stride, size * (1 if signed >= 0 else 0.35)))
        plants[foot].append(goal)
        foot = 1 - foot
        time += 0.5 * stride
    left, right = (_steps(records[k], plants[k]) for k in (0, 1))
    return left, right


def _beside(goal: _Plant, other: _Plant, side: float) -> _Plant:
    """A foot's goal moved to its side where it would be set down across the other foot."""
    c, s = math.cos(goal[2]), math.sin(goal[2])
    apart = side * (c * (goal[1] - other[1]) - s * (goal[0] - other[0]))
    more = side * max(0.0, _APART_M - apart)
    return goal[0] - s * more, goal[1] + c * more, goal[2]


def _misplaced(goal: _Plant, plant: _Plant) -> float:
    """Distance of a foot from its goal; 1 (6 cm or 8 degrees) and more makes a step necessary."""
    return math.dist(goal[:2], plant[:2]) / 0.06 + abs(goal[2] - plant[2]) / 0.14


def _steps(records: list[tuple[float, float, float, float]], plants: list[_Plant]) -> Steps:
    lift, land, stride, size = np.array(records, dtype=float).reshape(-1, 4).T
    return Steps(lift, land, stride, np.clip(size, 0.15, 1.15), np.array(plants))


def gait_phase(left: Steps, right: Steps, time: Array) -> Array:
    """Phase (T,) of the walk cycle, in strides: right toe-off at whole numbers, left at halves."""
    starts = np.concatenate([left.lift, right.lift])
    if not len(starts):
        return np.zeros_like(time)
    order = np.argsort(starts)
    parity = np.concatenate([np.full(len(left.lift), 0.5), np.zeros(len(right.lift))])[order]
    advance = np.diff(parity) % 1.0
    phase = parity[0] + np.concatenate([[0.0], np.cumsum(np.where(advance > 0, advance, 1.0))])
    starts = starts[order]
    before = phase[0] + (time - starts[0]) * 0.5
    after = phase[-1] + np.minimum(time - starts[-1], 0.5)
    return np.where(time < starts[0], before, np.where(time > starts[-1], after, np.interp(time, starts, phase)))


@lru_cache(maxsize=64)
def _pitch_tables(cycle: WalkCycle) -> tuple[Array, Array, Array]:
    """The captured foot pitch, split so that a planted foot is flat: phases 0 … 1, heel rise and swing, heel strike."""
    pitch = np.append(cycle.foot_pitch, cycle.foot_pitch[0])
    phase = np.linspace(0, 1, SAMPLES + 1)
    swing = cycle.swing_fraction
    striking = np.where(phase >= swing, np.minimum(pitch, 0) * (1 - np.clip((phase - swing) / 0.12, 0, 1)), 0.0)
    rising = np.maximum(pitch, 0) * np.clip((phase - _RISE_FROM) / 0.12, 0, 1)
    return phase, np.where(phase < swing, pitch, rising), striking


@dataclass(frozen=True)
class FootPath:
    """One foot over time: ankle (T, 3) m, global rotation (T, 3, 3), and whether it is in the air (T,) bool."""

    ankle: Array
    rotation: Array
    flying: NDArray[np.bool_]


def step_phase(steps: Steps, time: Array) -> Array:
    """Phase (T,) of one foot's step: 0 at toe-off, 1 at the next; 0 while the foot stands for longer than a stride."""
    if not len(steps.lift):
        return np.zeros_like(time)
    last = np.searchsorted(steps.lift, time, side="right") - 1
    ending = np.append(steps.lift[1:], np.inf)
    length = np.minimum(ending - steps.lift, steps.stride)
    phase = (time - steps.lift[np.maximum(last, 0)]) / length[np.maximum(last, 0)]
    return np.where((last < 0) | (phase >= 1), 0.0, phase)


def foot_motion(
    steps: Steps, style: FootStyle, time: Array, ankle_height: float, toe: Array, heel: Array | float = 0.0
) -> FootPath:
    """The path of one foot through its steps.

    Args:
        steps: its steps. style: how the person steps. time: (T,) s.
        ankle_height: metres of the ankle over the floor when the foot is flat.
        toe: (3,) metres, the toe joint in the foot's frame.
        heel: (T,) rad by which the heel is raised in addition, as in a squat.
    """
    count = len(steps.lift)
    if not count:
        resting = np.repeat(steps.plants[:1], len(time), axis=0)
        ankle, rotation = _place(resting, np.zeros_like(time) + heel, np.zeros_like(time), ankle_height, toe)
        return FootPath(ankle, rotation, np.zeros(len(time), dtype=bool))
    begun = np.searchsorted(steps.lift, time, side="right")
    last = np.maximum(begun - 1, 0)
    u = np.clip((time - steps.lift[last]) / (steps.land[last] - steps.lift[last]), 0, 1)
    u = np.where(begun > 0, u, 1.0)
    flying = u < 1
    start = steps.plants[np.where(begun > 0, last, 0)]
    pose = start + (u**2 * (3 - 2 * u))[:, None] * (steps.plants[begun] - start)
    lifted = np.sin(np.pi * u) ** 2 * (0.045 - 0.02 * np.minimum(steps.size[last], 1)) * style.lift
    pitch = _pitch(steps, style.cycle, time, begun, u)
    pitch = np.where(np.asarray(heel) > 1e-3, np.maximum(pitch, heel), pitch)
    ankle, rotation = _place(pose, pitch, lifted * flying, ankle_height, toe)
    return FootPath(ankle, rotation, flying)


def _pitch(steps: Steps, cycle: WalkCycle, time: Array, begun: NDArray[np.intp], u: Array) -> Array:
    """Pitch (T,) of a foot: captured, scaled by the length of the step; ``u`` is 0 … 1 through the last swing."""
    last, upcoming = np.maximum(begun - 1, 0), np.minimum(begun, len(steps.lift) - 1)
    phase, moving, striking = _pitch_tables(cycle)
    swing = cycle.swing_fraction
    in_air = np.interp(u * swing, phase, moving) * steps.size[last]
    since = swing + (time - steps.land[last]) / steps.stride[last]
    landed = np.interp(np.minimum(since, 0.6), phase, striking) * steps.size[last] * (begun > 0)
    until = 1 + (time - steps.lift[upcoming]) / steps.stride[upcoming]
    rising = np.interp(until, phase, moving) * steps.size[upcoming]
    rising = np.where((begun < len(steps.lift)) & (until > _RISE_FROM), rising, 0.0)
    return np.where(u < 1, in_air, landed + rising)


def _place(pose: Array, pitch: Array, lifted: Array, ankle_height: float, toe: Array) -> tuple[Array, Array]:
    """Pivots a foot on its toe joint (heel up) or its heel (toes up)."""
    yaw = rotation_z(pose[:, 2])
    rotation = yaw @ rotation_y(pitch)
    flat = np.column_stack([pose[:, :2], np.full(len(pose), ankle_height)])
    heel = np.array([-0.05, 0.0, -ankle_height])
    pivot = np.where(pitch[:, None] > 0, toe, heel)
    ankle = flat + np.einsum("tij,tj->ti", yaw - rotation, pivot)
    ankle[:, 2] += lifted
    return ankle, rotation
