"""Bending over, leaning, kneeling down and jumping, on the spot."""

from __future__ import annotations

import numpy as np

from training.simulator.motion.performing import performs
from training.simulator.motion.timeline import ActionSpan, Timeline
from training.simulator.people.jumps import Jump
from training.simulator.people.motion_plan import Gaze
from training.simulator.people.posture import STANDING, crouching


def _bow(line: Timeline, name: str, drop: float, lean: float, look_m: float) -> None:
    """Bends the trunk, looks at the floor some metres ahead where that is near, and mostly comes up again."""
    rng = line.rng
    begin = line.now + float(rng.uniform(0.1, 0.7))
    end = begin + float(rng.uniform(0.9, 1.3)) + 0.4 * lean
    line.pose_to(crouching(drop * line.person.scale, lean), begin, end)
    leave = end + float(rng.uniform(0.5, 1.1))
    if look_m:
        ahead = line.here + look_m * np.array([np.cos(line.heading), np.sin(line.heading)])
        line.gazes.append(Gaze(np.array([[*ahead, 0.0]]), np.zeros(1), begin, leave))
    line.wait_until(leave)
    line.spans.append(ActionSpan(name, begin, leave))
    line.shown_s = end + 0.3
    line.pose_to(STANDING, leave, leave + 1.2)
    line.wait_until(leave + 1.2)


@performs("bend")
def bend(line: Timeline) -> None:
    _bow(line, "bend", float(line.rng.uniform(0.0, 0.06)), float(np.radians(line.rng.uniform(50, 72))), 0.9)


@performs("lean")
def lean(line: Timeline) -> None:
    _bow(line, "lean", 0.0, float(np.radians(line.rng.uniform(20, 34))), 0.0)


@performs("kneel")
def kneel(line: Timeline) -> None:
    """Squats down, then brings the knees to the floor, and stays."""
    rng, person = line.rng, line.person
    begin = line.now + float(rng.uniform(0.1, 0.6))
    low = begin + float(rng.uniform(1.1, 1.4))
    down = low + float(rng.uniform(0.6, 0.8))
    thigh, shank = person.leg
    line.pose_to(crouching(0.46 * person.scale, 0.35), begin, low)
    knees = STANDING.copy()
    knees[0] = person.standing_height - (thigh * 0.985 + 0.07 * person.scale)
    knees[1] = np.radians(6)
    knees[3] = shank * 0.93 + 0.07 * person.scale
    knees[4] = np.radians(76)
    line.pose_to(knees, low - 0.25, down)
    line.spans.append(ActionSpan("kneel", begin, down))
    line.wait_until(down + float(rng.uniform(0.2, 0.6)))


def _jumps(line: Timeline, name: str, count: int, height: tuple[float, float]) -> None:
    begin = line.now + float(line.rng.uniform(0.1, 0.8))
    start = begin
    for _ in range(count):
        jump = Jump.beginning(start, float(line.rng.uniform(*height)) * line.person.scale)
        line.jumps.append(jump)
        start = jump.end_s
    line.spans.append(ActionSpan(name, begin, start))
    line.wait_until(start)


@performs("jump")
def jump(line: Timeline) -> None:
    _jumps(line, "jump", 1, (0.09, 0.16))


@performs("hop")
def hop(line: Timeline) -> None:
    _jumps(line, "hop", int(line.rng.integers(2, 4)), (0.05, 0.1))
