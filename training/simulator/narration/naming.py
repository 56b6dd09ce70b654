"""Names of things as seen by the wearer: "red box", "left cabinet", "door by the window"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.simulator.rooms.plan import RoomPlan, Target

Array = NDArray[np.float64]

_APART = np.radians(7)  # bearings that differ by less do not distinguish things
_AHEAD = np.radians(100)  # things at larger bearings are not called left or right
_WORDS = {2: ("left", "right"), 3: ("left", "middle", "right")}
_LEVELS = {2: ("top", "bottom"), 3: ("top", "middle", "bottom"), 4: ("top", "second", "third", "bottom")}
_SAME_PIECE_M, _SAME_SEAT_M = 1.6, 1.0
_FACING = np.radians(60)


def _wrapped(angle: float) -> float:
    return float(np.arctan2(np.sin(angle), np.cos(angle)))


@dataclass(frozen=True)
class Viewpoint:
    """The wearer's place (2,) m and heading (rad) from which things are named."""

    place: Array
    heading: float

    def bearing(self, position: Array) -> float:
        """Direction to a point, rad, left positive."""
        away = position[:2] - self.place
        return _wrapped(float(np.arctan2(away[1], away[0])) - self.heading)


def namesakes(room: RoomPlan, target: Target) -> list[Target]:
    """Other targets of the same kind and name in the same room; seats of one sofa or bed do not count."""
    return [
        other for other in room.targets
        if other.name == target.name and other.kind == target.kind and other.room == target.room
        and other.id != target.id and not (other.kind == "seat" and _distance(other, target) < _SAME_SEAT_M)
    ]  # fmt: skip


def name_of(room: RoomPlan, target: Target, view: Viewpoint, leave_open: bool = False) -> tuple[str, bool]:
    """The name of a target, and whether it is ambiguous.

    Of several with one name on a piece of furniture, the upper one is the top one, the lower one the bottom one. Left
    and right are the wearer's. Where they do not distinguish targets (large bearings, one behind the other), the
    piece of furniture or the plan's qualifier does.

    Args:
        room: with all targets. target: which is named. view: from where.
        leave_open: use only the name that all its namesakes have.
    """
    others = namesakes(room, target)
    if not others:
        return target.name, False
    if leave_open:
        return target.name, True
    if target.kind in ("drawer", "cabinet"):
        return _part_of_piece(target, others, view)
    word = _side_of(target, others, view)
    if word:
        return f"{word} {target.name}", False
    if target.qualifier and not {"left", "right"} & set(target.qualifier.split()):
        same = any(other.qualifier == target.qualifier for other in others)
        before = target.qualifier in ("top", "middle", "bottom")
        return " ".join((target.qualifier, target.name) if before else (target.name, target.qualifier)), same
    return target.name, True


def _side_of(target: Target, others: list[Target], view: Viewpoint) -> str:
    """ "left", "middle" or "right" as the wearer sees it; "" where that does not distinguish targets."""
    family = [target, *others]
    bearings = np.array([view.bearing(np.array(t.handle or t.position)) for t in family])
    order = np.sort(bearings)[::-1]
    if len(family) not in _WORDS:
        return ""
    if np.abs(bearings).max() > _AHEAD or np.diff(order).max() > -_APART:
        if abs(_wrapped(view.heading - target.yaw - np.pi)) > _FACING or target.kind not in ("cabinet", "drawer"):
            return ""
        left = np.array([-np.sin(view.heading), np.cos(view.heading)])  # a wearer close to a piece faces all its doors
        bearings = np.array([left @ np.array(t.position[:2]) for t in family])
        order = np.sort(bearings)[::-1]
        if np.diff(order).max() > -0.1:
            return ""
    return _WORDS[len(family)][int(np.flatnonzero(order == bearings[0])[0])]


def _part_of_piece(target: Target, others: list[Target], view: Viewpoint) -> tuple[str, bool]:
    """Name of a drawer or cabinet door by its place on its piece of furniture, and whether it is ambiguous."""
    beside = [t for t in others if t.support == target.support and _distance(t, target) < _SAME_PIECE_M]
    word, name = "", target.name
    if beside:
        levels = np.sort([t.height for t in (target, *beside)])[::-1]
        if len(levels) in _LEVELS and np.diff(levels).max() < -0.05:
            word = _LEVELS[len(levels)][int(np.flatnonzero(levels == target.height)[0])]
        else:
            word = _side_of(target, beside, view)
    rest = [t for t in others if all(t.id != b.id for b in beside)]
    if rest and target.support != target.name:
        name = f"{target.name} of the {target.support}"
        rest = [t for t in rest if t.support == target.support]
    clear = not rest and bool(word or not beside)
    return f"{word} {name}".strip(), not clear


def _distance(one: Target, other: Target) -> float:
    return float(np.hypot(*(np.array(one.position[:2]) - other.position[:2])))
