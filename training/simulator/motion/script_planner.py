"""Plans scripts: a start from which the actions are possible, then one action after the other on one time line.

A script is a list of names of actions. ``walk_to`` before another action at a target means that the body begins
somewhere else and walks to where that action can be done; alone, it is a walk to a piece of furniture or a door.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.actions.action import Condition
from training.actions.vocabulary import action_of, kind_of
from training.simulator.motion import (  # noqa: F401  some are imported to register what they perform
    body_moves,
    gesturing,
    grasping,
    looking,
    operating,
    posture_changes,
    told_amounts,
)
from training.simulator.motion.choosing import shuffled
from training.simulator.motion.performing import AtTarget, InPlace, find_performance
from training.simulator.motion.roaming import is_roaming, roaming_seconds
from training.simulator.motion.roaming_placement import continue_roaming, place_roaming
from training.simulator.motion.timeline import ActionSpan, Timeline
from training.simulator.people.person import Person
from training.simulator.people.posture import ReachTable
from training.simulator.rooms.plan import MissingTargetError, NoRoomError, RoomPlan

Array = NDArray[np.float64]

_ARRANGE: dict[Condition, Callable[[Timeline], None]] = {
    Condition.HOLDING: grasping.begin_holding,
    Condition.OPEN: operating.begin_opened,
    Condition.LOW: posture_changes.begin_low,
}
"""How a condition is made true at the beginning, where no earlier action of the script makes it true."""

_TARGET_TRIES = 5
_START_TRIES = 24


def compose(
    rng: np.random.Generator,
    room: RoomPlan,
    person: Person,
    script: list[str],
    duration_s: float,
    slots_s: float | None = None,
) -> Timeline:
    """One try at a script.

    Args:
        rng: source of every choice. room: where. person: who. script: names of actions.
        duration_s: of a script of one roaming action. slots_s: if given, action k begins at k times this.

    Raises:
        NoRoomError: this try failed; another may succeed.
    """
    table = ReachTable(person)
    if is_roaming(script[0]):
        line, rest = _begin_roaming(rng, room, person, table, script, duration_s, slots_s)
    else:
        line, rest = _begin_acting(rng, room, person, table, script)
    done = len(script) - len(rest)
    for number, action in enumerate(rest, start=done):
        if slots_s is not None:
            line.wait_until(number * slots_s)
        act(line, action, slots_s, last=number == len(script) - 1)
    return line


def _begin_roaming(
    rng: np.random.Generator,
    room: RoomPlan,
    person: Person,
    table: ReachTable,
    script: list[str],
    duration_s: float,
    slots_s: float | None,
) -> tuple[Timeline, list[str]]:
    """Places the roaming actions that a script begins with; returns the time line and the rest of the script."""
    count = next((k for k, action in enumerate(script) if not is_roaming(action)), len(script))
    if slots_s is not None:
        seconds = [slots_s] * count
    else:
        seconds = [roaming_seconds(rng, action) for action in script[:count]]
        if count == len(script):
            seconds = list(np.array(seconds) * min(duration_s / sum(seconds), np.inf if count == 1 else 1.1))
    segments, start, heading = place_roaming(rng, room, script[:count], seconds)
    line = Timeline.moving(person, room, rng, table, segments[0], start, heading)
    _arrange(line, script)
    line.spans.append(_roaming_span(script[0], 0.0, line.now))
    for segment in segments[1:]:
        begin = line.now
        line.roam(segment)
        line.spans.append(_roaming_span(segment.action, begin, line.now))
    return line, script[count:]


def _begin_acting(
    rng: np.random.Generator, room: RoomPlan, person: Person, table: ReachTable, script: list[str]
) -> tuple[Timeline, list[str]]:
    """Finds a start for a script that does not begin with roaming, and does its first action."""
    led = len(script) > 1 and _leads(script[0]) and isinstance(find_performance(script[1]), AtTarget)
    first = script[1] if led else script[0]
    rest = script[2:] if led else script[1:]
    start = room.sample(rng, 1)[0]
    line = Timeline.begin(person, room, rng, table, start, float(rng.uniform(-np.pi, np.pi)))
    _arrange(line, script)
    performance = find_performance(first)
    if not isinstance(performance, AtTarget):
        act(line, first, None, last=not rest)
        return line, rest
    plan = _prepare(line, first, performance)
    stand = _afar(line, plan.stand) if led or performance.leads else plan.stand
    line.relocate(*stand)
    performance.perform(line, plan, not rest)
    return line, rest


def _leads(action: str) -> bool:
    performance = find_performance(action)
    return isinstance(performance, AtTarget) and performance.leads


def _arrange(line: Timeline, script: list[str]) -> None:
    """Makes conditions true at the beginning that an action needs and no earlier action leaves behind."""
    for condition, arrange in _ARRANGE.items():
        before = next((k for k, name in enumerate(script) if condition in action_of(name).needs), None)
        if before is None or any(condition in action_of(name).leaves for name in script[:before]):
            continue
        if condition is Condition.LOW and before > 0:  # the earlier action is done standing
            continue
        arrange(line)


def _afar(line: Timeline, stand: tuple[Array, float]) -> tuple[Array, float]:
    """A place some metres from a stand, with a free way to it, and a heading near the direction of that way."""
    places = line.room.sample(line.rng, 96)
    distance = np.linalg.norm(places - stand[0], axis=1)
    there = np.flatnonzero((distance > 1.2) & (distance < 3.2))[:_START_TRIES]
    for index in there:
        if line.walkable.straight(places[index], stand[0]):
            course = np.arctan2(*(stand[0] - places[index])[::-1])
            return places[index], float(course + line.rng.normal(0, 0.5))
    for index in there[:4]:
        way = line.walkable.route(places[index], stand[0])
        if way is not None and np.linalg.norm(np.diff(way, axis=0), axis=1).sum() < 3.6:
            course = np.arctan2(*(way[1] - way[0])[::-1])
            return places[index], float(course + line.rng.normal(0, 0.4))
    raise NoRoomError(f"room {line.room.seed}: no way of 1.2 m or more leads to {stand[0].round(2)}")


def _prepare(line: Timeline, action: str, performance: AtTarget) -> Any:
    """A plan of an action, for one of a few targets chosen at random."""
    targets = performance.choose(line, line.room.of_kind(*action_of(action).aims_at))
    if not targets:
        raise MissingTargetError(
            f"room {line.room.seed} has nothing for {action!r} (targets: add an object, a door, a seat)"
        )
    order = shuffled(line.rng, targets)
    if line.spans:  # prefer what is near
        away = np.array([np.linalg.norm(line.state.place_of(target)[:2, 3] - line.here) for target in targets])
        order = np.argsort(away + line.rng.uniform(0, 1.5, len(targets)))
    for index in order[:_TARGET_TRIES]:
        try:
            return performance.prepare(line, targets[index])
        except NoRoomError as error:
            problem = error
    raise problem


def _roaming_span(action: str, start_s: float, end_s: float) -> ActionSpan:
    return ActionSpan(action, start_s, end_s, kind_of(action)[1])


def act(line: Timeline, action: str, seconds: float | None, last: bool) -> None:
    """Continues with one action; a body that sits or crouches stands up first if the action needs it.

    Args:
        line: the time line. action: its name. seconds: of a roaming action; None for a random duration.
        last: whether the clip ends with it.

    Raises:
        NoRoomError: it cannot be done here.
    """
    if line.is_low and Condition.STANDING in action_of(action).needs:
        posture_changes.stand_up(line)
    begin, performance = line.now, find_performance(action)
    if is_roaming(action):
        continue_roaming(line, action, seconds or roaming_seconds(line.rng, action))
        line.spans.append(_roaming_span(action, begin, line.now))
        return
    if line.speed > 0.05:
        line.brake()
    if isinstance(performance, InPlace):
        performance.perform(line, kind_of(action)[1])
    elif isinstance(performance, AtTarget):
        performance.perform(line, _prepare(line, action, performance), last)
