"""Floor plans: one room, or a corridor with rooms along it, and the doors that join them. Pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from egotwin_model.geometry.rotations import rotate_2d
from training.simulator.rooms.plan import Rectangle

ROOM_KINDS = ("kitchen", "living room", "bedroom", "office")
KINDS = (*ROOM_KINDS, "corridor")
WALL = 0.12  # metres thick
DOOR_HEIGHT = 2.03
OUTSIDE = -1
_PASSAGE_HALF_WIDTH, _PASSAGE_REACH = 0.24, 0.62  # metres, the reach into each room
_SIZES = {"kitchen": (4.4, 6.6), "living room": (5.0, 8.0), "bedroom": (4.4, 6.6), "office": (4.6, 7.2)}


@dataclass(frozen=True)
class Door:
    """An opening in a wall, with its middle (x, y) on the first room's side, heading (rad) out of the first room.

    Attributes:
        rooms: first and second room, -1 is outside. width: clear, metres.
        leaf: whether it has a door, which opens out of the first room. initial: how far that is open, rad.
        hinge_left: whether it is hinged at the left, seen from the first room.
    """

    rooms: tuple[int, int]
    position: tuple[float, float]
    heading: float
    width: float
    leaf: bool
    hinge_left: bool
    initial: float


@dataclass(frozen=True)
class Layout:
    """Rooms as (kind, floor rectangle) and the doors between them; centred at the origin."""

    kind: str
    size: tuple[float, float]
    rooms: tuple[tuple[str, Rectangle], ...]
    doors: tuple[Door, ...]


def sample_layout(rng: np.random.Generator, kind: str) -> Layout:
    """A floor plan of one of `KINDS`."""
    return _corridor(rng) if kind == "corridor" else _single(rng, kind)


def _single(rng: np.random.Generator, kind: str) -> Layout:
    low, high = _SIZES[kind]
    size = (float(rng.uniform(low, high)), float(rng.uniform(low, high)))
    room = (-size[0] / 2, -size[1] / 2, size[0] / 2, size[1] / 2)
    door = _outer_door(rng, room, 0, int(rng.integers(4)))
    return Layout(kind, size, ((kind, room),), (door,))


def _outer_door(rng: np.random.Generator, room: Rectangle, index: int, wall: int) -> Door:
    """A door to outside in wall 0..3 (+x, +y, -x, -y), closed or ajar."""
    along = (room[0], room[2]) if wall % 2 else (room[1], room[3])
    at = float(rng.uniform(along[0] + 0.75, along[1] - 0.75))
    place = ((room[2], at), (at, room[3]), (room[0], at), (at, room[1]))[wall]
    heading = (0.0, np.pi / 2, np.pi, -np.pi / 2)[wall]
    ajar = float(rng.uniform(0.3, 1.3)) if rng.random() < 0.25 else 0.0
    return Door((index, OUTSIDE), place, heading, 0.86, True, bool(rng.random() < 0.5), ajar)


def _corridor(rng: np.random.Generator) -> Layout:
    """A corridor along x with two rooms on its upper side, then turned by a multiple of 90 degrees."""
    length, width, depth = rng.uniform(7.2, 9.2), rng.uniform(1.9, 2.4), rng.uniform(3.6, 4.6)
    x1, y0 = length / 2, -(width + WALL + depth) / 2
    split = rng.uniform(-0.08, 0.08) * length
    top = y0 + width
    corridor = (-x1, y0, x1, top)
    left, right = (-x1, top + WALL, split - WALL / 2, -y0), (split + WALL / 2, top + WALL, x1, -y0)
    kinds = [str(k) for k in rng.choice(ROOM_KINDS, 2, replace=False)]
    doors = []
    for index, room in ((1, left), (2, right)):
        at = float(rng.uniform(room[0] + 0.9, room[2] - 0.9))
        doors.append(_inner_door(rng, (0, index), (at, top), np.pi / 2))
    if rng.random() < 0.3:
        at = float(rng.uniform(top + WALL + 1.0, -y0 - 1.0))
        doors.append(Door((1, 2), (left[2], at), 0.0, 1.05, False, True, 0.0))
    doors.append(_outer_door(rng, corridor, 0, int(rng.choice([0, 2, 3]))))
    rooms = (("corridor", corridor), (kinds[0], left), (kinds[1], right))
    layout = Layout("corridor", (length, -2 * y0), rooms, tuple(doors))
    for _ in range(int(rng.integers(4))):
        layout = _quarter_turn(layout)
    return layout


def _inner_door(
    rng: np.random.Generator, rooms: tuple[int, int], position: tuple[float, float], heading: float
) -> Door:
    kind = rng.choice(["open", "ajar", "closed"], p=[0.4, 0.35, 0.25])
    initial = {"open": 0.0, "ajar": float(rng.uniform(1.5, 1.75)), "closed": 0.0}[str(kind)]
    return Door(rooms, position, heading, 1.0, kind != "open", bool(rng.random() < 0.5), initial)


def _quarter_turn(layout: Layout) -> Layout:
    def turn(box: Rectangle) -> Rectangle:
        return (-box[3], box[0], -box[1], box[2])

    rooms = tuple((kind, turn(box)) for kind, box in layout.rooms)
    doors = tuple(
        Door(
            d.rooms, (-d.position[1], d.position[0]), float(np.arctan2(np.cos(d.heading), -np.sin(d.heading))),
            d.width, d.leaf, d.hinge_left, d.initial,
        )
        for d in layout.doors
    )  # fmt: skip
    return Layout(layout.kind, (layout.size[1], layout.size[0]), rooms, doors)


def walls_of(room: Rectangle) -> list[tuple[tuple[float, float], float, float]]:
    """Walls 0..3 (+x, +y, -x, -y): middle (x, y), yaw of a frame whose y axis points into the room, and length."""
    x0, y0, x1, y1 = room
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    middles = ((x1, cy), (cx, y1), (x0, cy), (cx, y0))
    return [(m, np.pi / 2 * (1 + k), (x1 - x0) if k % 2 else (y1 - y0)) for k, m in enumerate(middles)]


def openings(layout: Layout, room: int) -> list[list[tuple[float, float, Door]]]:
    """For walls 0..3 of a room: (local x of the middle, width, door) of each opening, in the frames of `walls_of`."""
    found: list[list[tuple[float, float, Door]]] = [[], [], [], []]
    for door in layout.doors:
        if room not in door.rooms:
            continue
        point = np.array(door.position)
        if room == door.rooms[1]:
            point = point + WALL * np.array([np.cos(door.heading), np.sin(door.heading)])
        for k, (middle, yaw, length) in enumerate(walls_of(layout.rooms[room][1])):
            x, y = rotate_2d(point - middle, -yaw).tolist()
            if abs(y) < 1e-6 and abs(x) < length / 2:
                found[k].append((x, door.width, door))
    return [sorted(wall, key=lambda opening: opening[0]) for wall in found]


def passage(door: Door) -> Rectangle:
    """Free rectangle through an opening for the middle of a body; it reaches into both rooms."""
    along = np.array([np.cos(door.heading), np.sin(door.heading)])
    across = np.array([-along[1], along[0]])
    corners = np.array(
        [
            np.array(door.position) + along * distance + across * side
            for distance in (-_PASSAGE_REACH, WALL + _PASSAGE_REACH)
            for side in (-_PASSAGE_HALF_WIDTH, _PASSAGE_HALF_WIDTH)
        ]
    )
    low, high = corners.min(axis=0), corners.max(axis=0)
    return (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
