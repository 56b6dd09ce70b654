"""Sequences of actions: a start from which they work, and one after the other on one time line.

A script is a list of actions. ``walk_to`` before another action means that the wearer begins somewhere else and walks
to where that action can be done; alone, it is a walk to a piece of furniture or a door.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.actions.wording import kind_of
from training.simulator.motion import grasping, moving, operating, settling
from training.simulator.motion.placement import go_on_roaming, place_roaming
from training.simulator.motion.timeline import Span, Timeline
from training.simulator.people.person import Person
from training.simulator.people.posture import ReachTable, crouching
from training.simulator.people.tracks import ROAMING
from training.simulator.rooms.plan import NoRoomError, RoomPlan, Target

Array = NDArray[np.float64]

AIMED = ("walk_to", "look_at", "reach", "pick_up", "put_down", "open", "close", "sit")
SETTLING = ("crouch", "stand_up")
ACTIONS: tuple[str, ...] = (*ROAMING, *AIMED, *SETTLING)
"""What can be in a script. Labels also know ``step`` (a few steps to get into place) and ``stand_still`` (pauses)."""

_TARGET_TRIES = 5
_START_TRIES = 24
_ROAM_S = {"stand_still": (1.2, 2.5), "walk_forward": (1.8, 3.0), "walk_back": (2.0, 3.0), "walk_stop": (2.4, 3.5)}
_TURN_S = {"turn": (2.2, 3.2), "turn_around": (3.2, 4.4), "walk_turn": (3.2, 4.2), "turn_walk": (3.2, 4.2)}


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
        rng: source of every choice. room: where. person: who. script: names in `ACTIONS`.
        duration_s: of a script of one roaming action. slots_s: if given, action k begins at k times this.

    Raises:
        NoRoomError: this try did not work out; another may.
    """
    table = ReachTable(person)
    if script[0] in ROAMING:
        line, rest = _begin_roaming(rng, room, person, table, script, duration_s, slots_s)
    else:
        line, rest = _begin_aimed(rng, room, person, table, script)
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
    """Place the roaming actions that a script begins with."""
    count = next((k for k, action in enumerate(script) if action not in ROAMING), len(script))
    if slots_s is not None:
        seconds = [slots_s] * count
    else:
        seconds = [_roam_seconds(rng, action) for action in script[:count]]
        if count == len(script):
            seconds = list(np.array(seconds) * min(duration_s / sum(seconds), np.inf if count == 1 else 1.1))
    segments, start, heading = place_roaming(rng, room, script[:count], seconds)
    line = Timeline.moving(person, room, rng, table, segments[0], start, heading)
    _state(line, script)
    line.spans.append(_roam_span(script[0], 0.0, line.now))
    for segment in segments[1:]:
        begin = line.now
        line.roam(segment)
        line.spans.append(_roam_span(segment.behaviour, begin, line.now))
    return line, script[count:]


def _begin_aimed(
    rng: np.random.Generator, room: RoomPlan, person: Person, table: ReachTable, script: list[str]
) -> tuple[Timeline, list[str]]:
    """Find a start for a script whose first action has an aim (or is a crouch), and do that action."""
    walking = script[0] == "walk_to" and len(script) > 1
    first = script[1] if walking else script[0]
    if first not in AIMED:
        walking, first = False, script[0]
    rest = script[2:] if walking else script[1:]
    start = room.sample(rng, 1)[0]
    line = Timeline.begin(person, room, rng, table, start, float(rng.uniform(-np.pi, np.pi)))
    _state(line, script)
    if first in SETTLING:
        _begin_settled(line, first)
    last = not rest
    if first in ("crouch", "stand_up", "look_at"):
        act(line, first, None, last)
        return line, rest
    job = _prepare(line, first)
    stand = job.stand
    if walking or first == "walk_to":
        stand = _afar(line, stand)
    line.relocate(stand[0], stand[1])
    _do(line, first, job, last)
    return line, rest


def _state(line: Timeline, script: list[str]) -> None:
    """What must be so from the beginning: something held that is put down, something open that is closed."""
    if "put_down" in script and "pick_up" not in script[: script.index("put_down")]:
        carried = [target for target in line.room.of_kind("object") if _portable(target)]
        if not carried:
            raise NoRoomError(f"room {line.room.seed} has nothing to carry")
        grasping.hold_from_start(line, _pick(line, carried))
    if "close" in script and "open" not in script[: script.index("close")]:
        parts = [target for target in line.room.of_kind("door", "cabinet", "drawer") if target.articulation]
        if not parts:
            raise NoRoomError(f"room {line.room.seed} has nothing to close")
        target = parts[int(_shuffled(line.rng, parts)[0])]
        part = line.room.articulations[target.articulation]
        line.start_value(part.id, part.limits[1] * float(line.rng.uniform(0.7, 0.95)))
        line.ground.leaves[part.id] = operating.leaf(target, part, line.value(part.id))
        line.meant["close"] = target


def _begin_settled(line: Timeline, first: str) -> None:
    if first == "crouch":
        return
    seats = line.room.of_kind("seat")
    if seats and line.rng.random() < 0.65:
        seat = _pick(line, seats)
        job = settling.prepare_sit(line, seat)
        place, posture = job.feet, job.posture
        line.relocate(place, seat.yaw)
        line.pose_to(posture, -99.0, -98.0)
        line.seat = seat
    else:
        depth = float(line.rng.uniform(0.34, 0.46)) * line.person.scale
        line.pose_to(crouching(depth, 0.35), -99.0, -98.0)
    settling.rest_hands(line)


def _afar(line: Timeline, stand: tuple[Array, float]) -> tuple[Array, float]:
    """A place some metres from a stand, with a free way to it, and a heading that is not too far off the course."""
    places = line.room.sample(line.rng, 96)
    distance = np.linalg.norm(places - stand[0], axis=1)
    there = np.flatnonzero((distance > 1.2) & (distance < 3.2))[:_START_TRIES]
    for index in there:
        if line.ground.straight(places[index], stand[0]):
            course = np.arctan2(*(stand[0] - places[index])[::-1])
            return places[index], float(course + line.rng.normal(0, 0.5))
    for index in there[:4]:
        way = line.ground.route(places[index], stand[0])
        if way is not None and np.linalg.norm(np.diff(way, axis=0), axis=1).sum() < 3.6:
            course = np.arctan2(*(way[1] - way[0])[::-1])
            return places[index], float(course + line.rng.normal(0, 0.4))
    raise NoRoomError(f"room {line.room.seed}: no way of 1.2 m or more leads to {stand[0].round(2)}")


def _portable(target: Target) -> bool:
    return target.graspable or 0.2 < max(target.size[:2]) < 0.45


def _pick(line: Timeline, targets: list[Target]) -> Target:
    return targets[int(line.rng.integers(len(targets)))]


def _within_reach(line: Timeline, target: Target) -> bool:
    """Whether nothing closed is around a target."""
    if not target.within:
        return True
    part = line.room.articulations[target.within]
    return line.value(part.id) > 0.6 * part.limits[1]


def aims(line: Timeline, action: str) -> list[Target]:
    """What an action can be about, here and now."""
    of_kind, held = line.room.of_kind, {target.id for target in line.held.values()}
    objects = [t for t in of_kind("object") if t.id not in held and _within_reach(line, t)]
    if action == "reach":
        return objects
    if action == "pick_up":
        return [t for t in objects if _portable(t)]
    if action == "put_down":
        return [t for t in of_kind("surface") if t.spots]
    if action in ("open", "close"):
        if action in line.meant:
            return [line.meant[action]]
        return [t for t in of_kind("door", "cabinet", "drawer") if t.articulation]
    if action == "sit":
        return of_kind("seat")
    if action == "walk_to":
        return of_kind("surface", "seat", "door", "cabinet", "spot") or of_kind("object")
    return of_kind("object", "surface", "seat", "door", "cabinet")


_PREPARE: dict[str, Callable[[Timeline, Target], Any]] = {
    "reach": grasping.prepare_reach,
    "pick_up": grasping.prepare_take,
    "put_down": grasping.prepare_put,
    "open": lambda line, target: operating.prepare(line, target, "open"),
    "close": lambda line, target: operating.prepare(line, target, "close"),
    "sit": settling.prepare_sit,
    "walk_to": moving.prepare_walk,
}


_DO: dict[str, Callable[[Timeline, Any], None]] = {
    "pick_up": grasping.take,
    "put_down": grasping.put,
    "open": operating.operate,
    "close": operating.operate,
    "sit": settling.sit,
}


def _shuffled(rng: np.random.Generator, targets: list[Target]) -> NDArray[np.intp]:
    """Indices in random order, every kind as likely to come first as another: rooms have few doors, many drawers."""
    count = Counter(target.kind for target in targets)
    shares = np.array([1 / count[target.kind] for target in targets])
    return np.asarray(rng.choice(len(targets), size=len(targets), replace=False, p=shares / shares.sum()))


def _prepare(line: Timeline, action: str) -> Any:
    """A job for an action, about one of a few targets drawn at random."""
    targets = aims(line, action)
    if not targets:
        raise NoRoomError(f"room {line.room.seed} has nothing for {action!r} (targets: add an object, a door, a seat)")
    order = _shuffled(line.rng, targets)
    if line.spans:  # go on with what is near, rather
        away = np.array([np.linalg.norm(line.place_of(target)[:2, 3] - line.here) for target in targets])
        order = np.argsort(away + line.rng.uniform(0, 1.5, len(targets)))
    for index in order[:_TARGET_TRIES]:
        try:
            return _PREPARE[action](line, targets[index])
        except NoRoomError as error:
            problem = error
    raise problem


def _do(line: Timeline, action: str, job: Any, last: bool) -> None:
    if action == "reach":
        grasping.reach(line, job, stay=last and line.rng.random() < 0.6)
    elif action == "walk_to":
        moving.walk_up_to(line, job)
    else:
        _DO[action](line, job)
    if action in ("open", "close"):
        line.meant = {"close": job.target} if action == "open" else {}


def _roam_seconds(rng: np.random.Generator, action: str) -> float:
    return float(rng.uniform(*(_ROAM_S.get(action) or _TURN_S[kind_of(action)[0]])))


def _roam_span(action: str, start_s: float, end_s: float) -> Span:
    side = next((word for word in action.split("_") if word in ("left", "right")), "")
    return Span(action, start_s, end_s, side)


def act(line: Timeline, action: str, seconds: float | None, last: bool) -> None:
    """Go on with one action; who sits or crouches stands up first if need be."""
    if line.posture[0] > 0.1 and action not in ("stand_up", "stand_still", "look_at"):
        settling.stand_up(line)
    begin = line.now
    if action in ROAMING:
        go_on_roaming(line, action, seconds or _roam_seconds(line.rng, action))
        line.spans.append(_roam_span(action, begin, line.now))
        return
    if line.speed > 0.05:
        line.brake()
    if action == "crouch":
        settling.crouch(line)
    elif action == "stand_up":
        settling.stand_up(line)
    elif action == "look_at":
        moving.look_at(line, _pick_visible(line))
    else:
        _do(line, action, _prepare(line, action), last)


def _pick_visible(line: Timeline) -> Target:
    """Something to look at: in the room where the body is, not too near."""
    targets = [t for t in aims(line, "look_at") if np.linalg.norm(line.place_of(t)[:2, 3] - line.here) > 0.6]
    near = [t for t in targets if np.linalg.norm(line.place_of(t)[:2, 3] - line.here) < 4.0]
    if not near:
        raise NoRoomError(f"room {line.room.seed} has nothing near to look at")
    return _pick(line, near)
