"""The state of a room while a time line is made: doors and drawers, objects, and where a body may walk."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.rotations import rotation_z
from training.simulator.people.easing import EasedChanges
from training.simulator.rooms.plan import RoomPlan, Target
from training.simulator.rooms.routes import WalkableArea

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Grip:
    """An object in a hand for some time.

    Attributes:
        in_hand: (4, 4) T_hand_object. placed: (4, 4) where the object stands after that; None while it is held.
    """

    target: Target
    hand: str
    from_s: float
    until_s: float = np.inf
    in_hand: Array = field(default_factory=lambda: np.eye(4))
    placed: Array | None = None


@dataclass
class RoomState:
    """What actions have changed in a room, and when.

    Attributes:
        walkable: where a body may walk. values: of articulations, by id. places: (4, 4) of moved objects, by id.
        supports: what moved objects stand on. grips: objects in hands. opened: the part that was opened last.
    """

    room: RoomPlan
    walkable: WalkableArea
    values: dict[str, float] = field(default_factory=dict)
    places: dict[str, Array] = field(default_factory=dict)
    supports: dict[str, str] = field(default_factory=dict)
    grips: list[Grip] = field(default_factory=list)
    opened: Target | None = None
    _initial: dict[str, float] = field(default_factory=dict)
    _changes: dict[str, list[tuple[float, float, Array]]] = field(default_factory=dict)

    @classmethod
    def of(cls, room: RoomPlan) -> RoomState:
        """A room as its plan has it."""
        return cls(room, WalkableArea(room))

    def copy(self) -> RoomState:
        """A copy that can change without this one."""
        walkable = WalkableArea(self.room)
        walkable.rectangles, walkable.leaves = self.walkable.rectangles, dict(self.walkable.leaves)
        return replace(
            self, walkable=walkable, values=dict(self.values), places=dict(self.places), supports=dict(self.supports),
            grips=list(self.grips), _initial=dict(self._initial),
            _changes={part: list(changes) for part, changes in self._changes.items()},
        )  # fmt: skip

    @property
    def moved_parts(self) -> tuple[str, ...]:
        """Ids of the articulations that differ from the plan at some time."""
        return tuple(self._changes)

    def value(self, part: str) -> float:
        """Value of an articulation now."""
        return self.values.get(part, self.room.articulations[part].initial)

    def start_value(self, part: str, value: float) -> None:
        """Gives an articulation another value than the plan's from the beginning."""
        self._initial[part] = self.values[part] = value
        self._changes.setdefault(part, [])

    def move_value(self, part: str, value: float, start_s: float, end_s: float) -> None:
        """Moves an articulation between two times."""
        change = np.array([value - self.value(part)])
        self._initial.setdefault(part, self.room.articulations[part].initial)
        self._changes.setdefault(part, []).append((start_s, end_s, change))
        self.values[part] = value

    def values_at(self, part: str, time: Array) -> Array:
        """Values (T,) of an articulation at times (T,)."""
        changes = EasedChanges.of(self._changes.get(part, []), 1)
        start = self._initial.get(part, self.room.articulations[part].initial)
        return np.asarray(start + changes.at(time)[:, 0])

    def place_of(self, target: Target) -> Array:
        """Pose (4, 4) of an object now, upright."""
        if target.id in self.places:
            return self.places[target.id]
        pose = initial_place(target)
        part = self.room.articulations.get(target.within)
        if part is not None and part.kind == "slide":
            return np.asarray(part.transform(self.value(part.id) - part.initial) @ pose)
        return pose

    def support_of(self, target: Target) -> str:
        """Name of what an object stands on."""
        return self.supports.get(target.id, target.support)

    def put_down(self, grip: Grip, until_s: float, placed: Array, where: Target | None) -> None:
        """Ends a grip: the object stands at ``placed`` (4, 4) from then on."""
        self.grips[self.grips.index(grip)] = replace(grip, until_s=until_s, placed=placed)
        self.places[grip.target.id] = placed
        self.supports[grip.target.id] = where.name if where else "floor"


def initial_place(target: Target) -> Array:
    """Pose (4, 4) of an object as the plan has it."""
    pose = np.eye(4)
    pose[:3, :3] = rotation_z(target.yaw)
    pose[:3, 3] = target.position
    return pose
