"""Crouching, sitting down, and standing up again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.simulator.motion.approaching import few_steps, go_to
from training.simulator.motion.choosing import pick
from training.simulator.motion.performing import performs, performs_at_target
from training.simulator.motion.timeline import ActionSpan, Timeline
from training.simulator.people.hand_motion import attitude
from training.simulator.people.hand_task import HandTask
from training.simulator.people.person import Person
from training.simulator.people.posture import SIDES, STANDING, crouching
from training.simulator.rooms.plan import NoRoomError, Target

Array = NDArray[np.float64]

_HIP_OVER_SEAT = 0.095  # metres of a 1.75 m body
_CALF_M = 0.055  # from the middle of a calf to its back
_ANKLE_BACK = 0.035  # metres an ankle stands behind the body's point
_CROUCH_M = (0.34, 0.46)  # how much lower the pelvis of a 1.75 m body is
_SEATED_SHARE = 0.65  # of bodies that begin low, where there are seats


@performs("crouch")
def crouch(line: Timeline) -> None:
    """Squats down and stays."""
    begin = line.now + float(line.rng.uniform(0.0, 0.4))
    end = begin + float(line.rng.uniform(1.0, 1.4))
    depth = float(line.rng.uniform(*_CROUCH_M)) * line.person.scale
    line.pose_to(crouching(depth, float(np.radians(line.rng.uniform(14, 30)))), begin, end)
    if not line.held:
        _hands_on_thighs(line, begin + 0.2, end + 0.1, 0.24, 0.13)
    line.spans.append(ActionSpan("crouch", begin, end))
    line.wait_until(end + 0.2)


@performs("stand_up")
def stand_up(line: Timeline) -> None:
    """Rises from a crouch or a seat.

    Raises:
        NoRoomError: the body stands already.
    """
    if not line.is_low:
        raise NoRoomError("the body stands already")
    begin = line.now + float(line.rng.uniform(0.1, 0.5))
    if line.seat is not None:
        lean = np.zeros(len(STANDING))
        lean[1], lean[3] = np.radians(36), 0.05
        line.pose_to(line.posture + lean, begin, begin + 0.7)
        rise, end = begin + 0.5, begin + 1.7
    else:
        rise, end = begin, begin + float(line.rng.uniform(1.0, 1.3))
    line.pose_to(STANDING, rise, end)
    if not line.held:
        for hand in SIDES:
            line.let_go(hand, begin + 0.3, end)
    line.spans.append(ActionSpan("stand_up", begin, end, target=line.seat))
    line.leave_seat(end - 0.5)
    line.wait_until(end + 0.1)


def seated(person: Person, seat: Target) -> tuple[Array, Array]:
    """Where a sitter's feet are (2,) m, and the sitting posture (5,)."""
    hip = seat.position[2] + _HIP_OVER_SEAT * person.scale
    thigh, shank = person.leg
    rise = hip - person.ankle_height - shank * np.cos(np.radians(6))
    out = np.sqrt(max(thigh**2 - rise**2, 0.1)) - shank * np.sin(np.radians(6)) + _ANKLE_BACK
    forward = np.array([np.cos(seat.yaw), np.sin(seat.yaw)])
    posture = STANDING.copy()
    posture[0], posture[1], posture[3] = person.standing_height - hip, np.radians(3), -out
    return np.array(seat.position[:2]) + out * forward, posture


@dataclass(frozen=True)
class SittingPlan:
    """Planned sitting down: the seat, where to turn ((2,) m, heading), where the feet stay, the posture."""

    target: Target
    stand: tuple[Array, float]
    feet: Array
    posture: Array


def _on_the_edge(line: Timeline, seat: Target, feet: Array) -> float:
    """How far from the seat's middle towards its edge a body sits so that its legs are in front of the seat, m.

    Raises:
        NoRoomError: there is no space for the legs even at the edge.
    """
    forward = np.array([np.cos(seat.yaw), np.sin(seat.yaw), 0.0])
    left = np.array([-forward[1], forward[0], 0.0])
    shifts = np.arange(0.0, 0.26, 0.04)
    heights = line.person.scale * np.array([0.06, 0.2, 0.34])
    ankle = np.append(feet, 0.0) - _ANKLE_BACK * forward
    points = (
        ankle
        + shifts[:, None, None, None] * forward
        + np.array([-0.11, 0.11])[:, None, None] * left
        + heights[:, None] * np.array([0.0, 0.0, 1.0])
    )
    clear = line.room.solids.static.distance(points).min(axis=(1, 2)) > _CALF_M
    if not clear.any():
        raise NoRoomError(f"no space for the legs in front of the {seat.name}")
    return float(shifts[int(np.argmax(clear))])


def prepare_sit(line: Timeline, seat: Target) -> SittingPlan:
    """Plans sitting down on a seat.

    Raises:
        NoRoomError: the seat cannot be reached, or the body sits already.
    """
    if line.seat is not None:
        raise NoRoomError("the body sits already")
    feet, posture = seated(line.person, seat)
    feet = feet + _on_the_edge(line, seat, feet) * np.array([np.cos(seat.yaw), np.sin(seat.yaw)])
    forward = np.array([np.cos(seat.yaw), np.sin(seat.yaw)])
    before = feet + np.arange(0.0, 0.8, 0.08)[:, None] * forward
    free = line.walkable.clear(before, slack=0.03)
    if not free.any():
        raise NoRoomError(f"the {seat.name} cannot be reached")
    return SittingPlan(seat, (before[int(np.argmax(free))], seat.yaw), feet, posture)


@performs_at_target("sit", prepare_sit)
def sit(line: Timeline, plan: SittingPlan, last: bool) -> None:
    """Walks to a seat, turns the back to it, and sits down."""
    go_to(line, plan.stand, plan.target, np.array(plan.target.position))
    few_steps(line, plan.feet, plan.target.yaw)  # the last steps are backward
    down(line, plan.target, plan.posture, line.now)
    line.shown_s = line.spans[-1].end_s
    line.wait_until(line.shown_s)


def down(line: Timeline, seat: Target, posture: Array, begin: float) -> None:
    """Sits down in front of a seat; the trunk leans forward on the way."""
    seconds = float(line.rng.uniform(1.3, 1.7))
    leaning = posture.copy()
    leaning[0], leaning[1], leaning[3] = 0.55 * posture[0], np.radians(38), 0.45 * posture[3]
    line.pose_to(leaning, begin, begin + 0.65 * seconds)
    line.pose_to(posture, begin + 0.35 * seconds, begin + seconds)
    if not line.held:
        _hands_on_thighs(line, begin + 0.2, begin + seconds + 0.2, 0.27, 0.12)
    line.sit_on(seat, begin + 0.5)
    line.spans.append(ActionSpan("sit", begin, begin + seconds, target=seat))


def begin_low(line: Timeline) -> None:
    """Lets a time line start with a body that sits or crouches."""
    seats = line.room.of_kind("seat")
    if seats and line.rng.random() < _SEATED_SHARE:
        seat = pick(line, seats)
        plan = prepare_sit(line, seat)
        line.relocate(plan.feet, seat.yaw)
        line.pose_to(plan.posture, -99.0, -98.0)
        line.sit_on(seat, -np.inf)
    else:
        depth = float(line.rng.uniform(*_CROUCH_M)) * line.person.scale
        line.pose_to(crouching(depth, 0.35), -99.0, -98.0)
    _hands_on_thighs(line, -99.0, -98.0, 0.27, 0.12)


def _hands_on_thighs(line: Timeline, start: float, arrive: float, ahead: float, aside: float) -> None:
    scale = line.person.scale
    for hand, sign in SIDES.items():
        wrist = np.array([ahead * 0.75, sign * aside, 0.11]) * scale
        turned = attitude(hand, np.radians(15), np.radians(18), inward=np.radians(12))
        line.tasks.append(HandTask(hand, wrist[None], turned, np.zeros(1), start, arrive, carried=True, swing=0.02))
