"""Looking up, down, aside, over the shoulder and around: the head turns, and the trunk where the neck is too short."""

from __future__ import annotations

import numpy as np

from training.simulator.motion.animation import CAMERA_PITCH
from training.simulator.motion.performing import performs, performs_to_side
from training.simulator.motion.timeline import ActionSpan, Timeline
from training.simulator.people.motion_plan import Gaze
from training.simulator.people.posture import SIDES

_AWAY_M = 3.0
_HEAD_M = 0.62  # of a 1.75 m body, from the pelvis of a stand to the head


def _glance(line: Timeline, yaw: float, up: float, start_s: float, end_s: float) -> None:
    """Aims the head at a direction: ``yaw`` from the heading, ``up`` from the horizon, rad."""
    person, angle = line.person, line.heading + yaw
    height = person.standing_height + _HEAD_M * person.scale - float(line.posture[0])
    rise = _AWAY_M * np.tan(up - CAMERA_PITCH)
    point = np.array([*(line.here + _AWAY_M * np.array([np.cos(angle), np.sin(angle)])), height + rise])
    line.gazes.append(Gaze(point[None], np.zeros(1), start_s, end_s))


def _look(line: Timeline, name: str, yaw: float, up: float, side: str = "") -> None:
    begin = line.now + float(line.rng.uniform(0.1, 0.8))
    end = begin + float(line.rng.uniform(1.5, 2.8))
    _glance(line, yaw, up, begin, end)
    line.wait_until(end + float(line.rng.uniform(0.0, 0.5)))
    line.spans.append(ActionSpan(name, begin, end, side))


@performs("look_up")
def look_up(line: Timeline) -> None:
    _look(line, "look_up", float(np.radians(line.rng.uniform(-12, 12))), float(np.radians(line.rng.uniform(20, 34))))


@performs("look_down")
def look_down(line: Timeline) -> None:
    _look(line, "look_down", float(np.radians(line.rng.uniform(-12, 12))), -float(np.radians(line.rng.uniform(36, 56))))


@performs_to_side("look_aside")
def look_aside(line: Timeline, side: str) -> None:
    yaw = SIDES[side] * float(np.radians(line.rng.uniform(48, 85)))
    _look(line, f"look_aside_{side}", yaw, -float(np.radians(line.rng.uniform(0, 12))), side)


@performs_to_side("look_back")
def look_back(line: Timeline, side: str) -> None:
    """Turns the trunk as well, and back."""
    turn = float(np.radians(line.rng.uniform(26, 38)))
    begin = line.now
    twisted = line.posture.copy()
    twisted[2] += SIDES[side] * turn
    before = line.posture.copy()
    _look(line, f"look_back_{side}", SIDES[side] * (turn + float(np.radians(90))), -float(np.radians(6)), side)
    line.pose_to(twisted, begin + 0.1, begin + 1.1)
    line.pose_to(before, line.now, line.now + 1.0)
    line.wait(0.8)


@performs("look_around")
def look_around(line: Timeline) -> None:
    """Looks to one side and then to the other."""
    first = float(line.rng.choice((1.0, -1.0)))
    begin = line.now + float(line.rng.uniform(0.1, 0.4))
    change = begin + float(line.rng.uniform(1.2, 1.6))
    end = change + float(line.rng.uniform(1.6, 2.0))
    for sign, start, until in ((first, begin, change - 0.25), (-first, change + 0.3, end)):
        yaw = sign * float(np.radians(line.rng.uniform(50, 80)))
        _glance(line, yaw, -float(np.radians(line.rng.uniform(0, 10))), start, until)
    line.wait_until(end)
    line.spans.append(ActionSpan("look_around", begin, end))
