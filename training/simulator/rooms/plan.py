"""A room as motion synthesis sees it: where a body may be, and the targets of actions.

All positions are world metres, z up, floor at z = 0, the building centred at the origin; headings are radians about z,
0 along +x. The plan is the interface of two sides:

- `scene.build_room` makes a `RoomPlan`: rooms, free area, `Target`s, `Articulation`s, `Solids`.
- a motion has poses of the wearer, and of what it moves, one row per pose (T rows):
  ``articulations`` {Articulation.id: (T,) value}, ``objects`` {Target.id: (T, 4, 4) T_world_object},
  ``step_phase`` (T, 2) and ``fingers`` (T, 2). All other things keep their initial value or place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.rotations import rotate_2d, rotation_about

Array = NDArray[np.float64]
Rectangle = tuple[float, float, float, float]
Vector = tuple[float, float, float]
Stand = tuple[float, float, float]
"""x, y (m) of the pelvis and the heading (rad) of a body that stands ready to do something."""

TARGET_KINDS = ("object", "door", "cabinet", "drawer", "seat", "surface", "spot")


class NoRoomError(ValueError):
    """The room has no place for the wanted action; another try may find one."""


class MissingTargetError(NoRoomError):
    """The room lacks what the wanted action needs; another try finds nothing either."""


@dataclass(frozen=True)
class Articulation:
    """A moving part of door or furniture: a hinge (value in radians) or a slide (metres); 0 is closed, > 0 opens.

    Attributes:
        id: unique in the room, also the name of its MuJoCo body.
        kind: "hinge" or "slide".
        origin: a point on the hinge's axis (for a slide any point of the part).
        axis: unit vector of the hinge (right-hand rule: positive values open) or the direction in which it slides open.
        limits: smallest and largest value.
        initial: value at the beginning of a clip.
    """

    id: str
    kind: str
    origin: Vector
    axis: Vector
    limits: tuple[float, float]
    initial: float = 0.0

    def transform(self, value: NDArray[np.floating] | float) -> Array:
        """World transforms (..., 4, 4) of points of the closed part to their places at values (...)."""
        value = np.asarray(value, dtype=np.float64)
        axis = np.array(self.axis)
        matrix = np.zeros((*value.shape, 4, 4))
        matrix[...] = np.eye(4)
        if self.kind == "slide":
            matrix[..., :3, 3] = value[..., None] * axis
            return matrix
        turn = rotation_about(axis, value)
        origin = np.array(self.origin)
        matrix[..., :3, :3] = turn
        matrix[..., :3, 3] = origin - turn @ origin
        return matrix

    def move(self, point: Vector | Array, value: NDArray[np.floating] | float) -> Array:
        """Places (..., 3) of a point (3,) of the closed part, for instance its handle, at values (...)."""
        matrix = self.transform(value)
        return matrix[..., :3, :3] @ np.asarray(point, dtype=np.float64) + matrix[..., :3, 3]


@dataclass(frozen=True)
class Target:
    """A thing or place that an action can be about.

    Attributes:
        name: as people call it, "red box", "door", "cabinet"; two targets may share a name (see `qualifier`).
        position: of its centre; of a surface the middle of its top; of a seat where the middle of the pelvis' underside
            comes to rest; of a spot the place on the floor.
        support: what an object stands on ("table", "floor"); of a cabinet or drawer the furniture it belongs to.
        height: of the supporting surface over the floor (of a seat: of the seat; of a door or drawer: of its handle).
        kind: one of `TARGET_KINDS`. "cabinet" is one hinged door of a piece of furniture.
        id: unique in the room; of objects the key of their poses.
        colour: word for its colour, "" where it has no name.
        qualifier: words that distinguish it from others of the same name ("left", "by the window"), or "".
        room: index into `RoomPlan.rooms`.
        size: full extents along the target's own axes (x, y, z); of an object at `yaw`.
        yaw: rad; of an object its heading; of everything else the direction its front faces, away from the wall
            (a sitter's heading, the side from which a drawer is opened).
        handle: where a hand holds it while closed (moved by `Articulation.move`); None: `position`.
        stands: where to stand for it, best first; empty: search the free area around it. For a seat: just in front of
            it, facing as the sitter will. For a door: one stand on each side.
        articulation: id of the part it is or opens; "" for none.
        within: id of the articulation that must be open to reach it; objects in a drawer move with it. "" for none.
        graspable: one hand can carry it.
        spots: of a surface: free places (x, y, z) for an object's underside.
    """

    name: str
    position: Vector
    support: str
    height: float
    kind: str = "object"
    id: str = ""
    colour: str = ""
    qualifier: str = ""
    room: int = 0
    size: Vector = (0.0, 0.0, 0.0)
    yaw: float = 0.0
    handle: Vector | None = None
    stands: tuple[Stand, ...] = ()
    articulation: str = ""
    within: str = ""
    graspable: bool = False
    spots: tuple[Vector, ...] = ()


@dataclass(frozen=True)
class RoomArea:
    """One room of the building: its kind ("kitchen", ...), floor rectangle, and the free rectangles within it."""

    kind: str
    floor: Rectangle
    free: tuple[Rectangle, ...] = ()


@dataclass(frozen=True)
class Doorway:
    """An opening between two rooms (indices; -1 is outside).

    Attributes:
        position: x, y of its middle. heading: rad, direction from the first room into the second.
        width: clear width, metres.
        rooms: indices of the rooms it joins.
        articulation: id of its door, "" for an opening without one. It is passable where that is empty or open wide.
        passage: free rectangle for the centre of a body, reaching into the free area of both rooms.
    """

    position: tuple[float, float]
    heading: float
    width: float
    rooms: tuple[int, int]
    articulation: str = ""
    passage: Rectangle | None = None


@dataclass(frozen=True)
class Solids:
    """Everything a body must not pass through, as N upright boxes (round things by the box around them).

    Attributes:
        centre: (N, 3) m. half: (N, 3) half extents in the box's axes. yaw: (N,) rad.
        part: for each, the id of the articulation or object it moves with; "" for static boxes.
    """

    centre: Array = field(default_factory=lambda: np.zeros((0, 3)))
    half: Array = field(default_factory=lambda: np.zeros((0, 3)))
    yaw: Array = field(default_factory=lambda: np.zeros(0))
    part: tuple[str, ...] = ()

    def select(self, keep: NDArray[np.bool_]) -> Solids:
        """The boxes of a mask (N,)."""
        part = tuple(p for p, k in zip(self.part, keep, strict=True) if k)
        return Solids(self.centre[keep], self.half[keep], self.yaw[keep], part)

    @property
    def static(self) -> Solids:
        """The boxes that never move."""
        return self.select(np.array([not p for p in self.part], dtype=bool))

    def distance(self, points: NDArray[np.floating]) -> Array:
        """Signed distance (...) from points (..., 3) to the nearest box, negative inside; infinite without boxes."""
        if not len(self.centre):
            return np.full(points.shape[:-1], np.inf)
        away = np.asarray(points, dtype=np.float64)[..., None, :] - self.centre
        local = np.concatenate([rotate_2d(away[..., :2], -self.yaw), away[..., 2:]], axis=-1)
        beyond = np.abs(local) - self.half
        outside = np.linalg.norm(np.maximum(beyond, 0), axis=-1)
        return np.min(outside + np.minimum(beyond.max(axis=-1), 0), axis=-1)


@dataclass(frozen=True)
class Clearance:
    """Distance to the nearest solid (walls included) on a floor grid, for three bands of height.

    Attributes:
        origin: x, y of the grid's first cell. cell: side of a cell, metres.
        bands: upper end of each band, metres. distance: (bands, X, Y) metres, 0 inside solids and outside the walls.
    """

    origin: tuple[float, float]
    cell: float
    bands: tuple[float, ...]
    distance: NDArray[np.float32]

    def __call__(self, points: NDArray[np.floating]) -> Array:
        """Metres (...) to the nearest solid: for points (..., 2) at any height, for (..., 3) in the height's band."""
        index = np.rint((points[..., :2] - np.array(self.origin)) / self.cell).astype(int)
        inside = ((index >= 0) & (index < self.distance.shape[1:])).all(axis=-1)
        x, y = np.clip(index, 0, np.array(self.distance.shape[1:]) - 1).transpose(-1, *range(index.ndim - 1))
        if points.shape[-1] == 2:
            found = self.distance[:, x, y].min(axis=0)
        else:
            band = np.minimum(np.searchsorted(self.bands, points[..., 2]), len(self.bands) - 1)
            found = self.distance[band, x, y]
        return np.where(inside, found, 0.0).astype(np.float64)


@dataclass(frozen=True)
class RoomPlan:
    """A building of one to four rooms seen from above.

    Attributes:
        seed: the room's seed.
        size: extent of the whole along x and y.
        free: rectangles (x0, y0, x1, y1) whose union is where the centre of a body of radius 0.3 m may be, passages
            through openings and open doors included.
        targets: of actions, of all `TARGET_KINDS`.
        kind: "kitchen", "living room", "bedroom", "office" or "corridor".
        rooms: one or several; `doorways` join them.
        articulations: by id.
        solids: for checks of poses. clearance: for planning; None for none (`distance_to_solids`).
        height: of the ceiling.
    """

    seed: int
    size: tuple[float, float]
    free: list[Rectangle]
    targets: list[Target]
    kind: str = "living room"
    rooms: tuple[RoomArea, ...] = ()
    doorways: tuple[Doorway, ...] = ()
    articulations: Mapping[str, Articulation] = field(default_factory=dict)
    solids: Solids = field(default_factory=Solids)
    clearance: Clearance | None = None
    height: float = 2.6

    def of_kind(self, *kinds: str) -> list[Target]:
        """Targets of these kinds (of `TARGET_KINDS`), in the plan's order."""
        return [target for target in self.targets if target.kind in kinds]

    def contains(self, points: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which of the world points (..., 2) are in the free area: bool (...)."""
        inside = np.zeros(points.shape[:-1], dtype=bool)
        for x0, y0, x1, y1 in self.free:
            x, y = points[..., 0], points[..., 1]
            inside |= (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
        return inside

    def distance_to_solids(self, points: NDArray[np.floating]) -> Array:
        """Metres (...) from points (..., 2 or 3) to the nearest solid, see `Clearance`; infinite in an empty plan."""
        if self.clearance is None:
            return np.full(points.shape[:-1], np.inf)
        return self.clearance(points)

    def sample(self, rng: np.random.Generator, count: int) -> Array:
        """Random points of the free rectangles, weighted by area: (count, 2) metres."""
        boxes = np.array(self.free, dtype=float).reshape(-1, 4)
        if not len(boxes):
            raise MissingTargetError(f"room {self.seed} has no free rectangle to stand in; give it at least one")
        spans = boxes[:, 2:] - boxes[:, :2]
        area = spans.prod(axis=1) + 1e-9
        chosen = rng.choice(len(boxes), size=count, p=area / area.sum())
        return boxes[chosen, :2] + rng.random((count, 2)) * spans[chosen]
