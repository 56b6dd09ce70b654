"""Furnishes rooms: the pieces of each kind of room, along its walls and free in the middle."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from training.simulator.rooms import furniture, storage, textures
from training.simulator.rooms.clutter import odds
from training.simulator.rooms.layout import Layout, openings, walls_of
from training.simulator.rooms.palette import DARK, wood
from training.simulator.rooms.pictures import picture, screen
from training.simulator.rooms.plan import Rectangle
from training.simulator.rooms.shell import lit_floor, panel, upright
from training.simulator.rooms.site import Frame, Site

Builder = Callable[[Frame, np.random.Generator, float, float, float], None]
CORNER = 0.08
AISLE = 1.05  # metres between a free-standing table and everything else
_TRIES = 24


@dataclass(frozen=True)
class Piece:
    """Furniture at a wall: how to build it, its size, and how many metres in front of it stay free for its use.

    Pieces `on_wall`, such as windows, occupy wall but no floor.
    """

    build: Builder
    width: float
    depth: float
    height: float
    access: float = 0.6
    on_wall: bool = False
    side: float = 0.06  # metres of wall left free at either side


@dataclass
class _Wall:
    frame: Frame
    length: float
    taken: list[tuple[float, float]]

    def fits(self, low: float, high: float) -> bool:
        edge = self.length / 2 - CORNER
        return low >= -edge and high <= edge and all(high <= a or low >= b for a, b in self.taken)


@dataclass
class Furnisher:
    """Furnishes one room; `blocked` collects the footprints of pieces on the floor."""

    site: Site
    rng: np.random.Generator
    layout: Layout
    index: int
    blocked: list[Rectangle] = field(default_factory=list)
    low: list[tuple[_Wall, float, Piece]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kind, self.room = self.layout.rooms[self.index]
        holes = openings(self.layout, self.index)
        self.walls, self.kept_free = [], []
        for (middle, yaw, length), doors in zip(walls_of(self.room), holes, strict=True):
            frame = Frame(self.site, np.array([*middle, 0.0]), yaw)
            self.walls.append(_Wall(frame, length, [(x - w / 2 - 0.12, x + w / 2 + 0.12) for x, w, _ in doors]))
            for x, w, door in doors:
                swings = door.leaf and door.rooms[1] == self.index
                self.kept_free.append(rectangle(frame, x, 0.0, w + 0.2, 1.3 if swings else 1.0))

    def furnish(self) -> None:
        """Places all pieces of this kind of room for which there is space."""
        u = self.rng.uniform
        for piece in _pieces(self.kind, self.rng):
            self.at_wall(piece)
        if self.kind in ("kitchen", "living room", "office"):
            self.free_table()
        if self.kind in ("living room", "bedroom") or (self.kind == "office" and u() < 0.4):
            self.rug()
        self.paintings()

    def at_wall(self, piece: Piece) -> bool:
        """Places a piece at a random free stretch of wall; returns False where there is none."""
        for _ in range(_TRIES):
            wall = self.walls[int(self.rng.integers(4))]
            half = piece.width / 2 + piece.side
            if wall.length / 2 - half - CORNER <= 0:
                continue
            x = float(self.rng.uniform(-1, 1) * (wall.length / 2 - half - CORNER))
            if not wall.fits(x - half, x + half):
                continue
            foot = rectangle(wall.frame, x, 0.0, piece.width, piece.depth)
            before = rectangle(wall.frame, x, piece.depth, piece.width, piece.access)
            if not piece.on_wall and (
                self._meets(foot, self.blocked + self.kept_free) or self._meets(before, self.blocked)
            ):
                continue
            if piece.on_wall and self._meets(rectangle(wall.frame, x, 0.0, piece.width, 0.15), self.blocked):
                continue
            piece.build(wall.frame.at(x, 0.0), self.rng, piece.width, piece.depth, piece.height)
            wall.taken.append((x - half, x + half))
            if not piece.on_wall:
                self.blocked.append(foot)
                self.kept_free.append(before)
            if piece.height < 1.1 and not piece.on_wall:
                self.low.append((wall, x, piece))
            return True
        return False

    def free_table(self) -> None:
        """Places a free-standing table with aisles around it, and chairs."""
        rng = self.rng
        coffee = self.kind == "living room" and rng.uniform() < 0.6
        width, depth = (rng.uniform(0.9, 1.2), rng.uniform(0.5, 0.65)) if coffee else (rng.uniform(1.1, 1.5), 0.75)
        height = rng.uniform(0.4, 0.46) if coffee else rng.uniform(0.72, 0.78)
        x0, y0, x1, y1 = self.room
        for _ in range(_TRIES):
            centre = np.array([rng.uniform(x0 + 1.2, x1 - 1.2), rng.uniform(y0 + 1.2, y1 - 1.2), 0.0])
            frame = Frame(self.site, centre, int(rng.integers(4)) * np.pi / 2).at(0.0, -depth / 2)
            foot = rectangle(frame, 0.0, 0.0, width, depth)
            if self._meets(grown(foot, AISLE), [*self.blocked]) or self._outside(grown(foot, AISLE - 0.1)):
                continue
            if self._meets(grown(foot, 0.3), self.kept_free):
                continue
            (furniture.coffee_table if coffee else furniture.table)(frame, rng, width, depth, height)
            self.blocked.append(foot)
            if not coffee:
                self._chairs(frame, width, depth)
            return

    def _chairs(self, frame: Frame, width: float, depth: float) -> None:
        """Places one or two chairs at the table, pulled out and turned away from it."""
        sides = (
            frame.at(width / 2 + 0.1, depth / 2, 0.0, -np.pi / 2),
            frame.at(-width / 2 - 0.1, depth / 2, 0.0, np.pi / 2),
        )
        for k in self.rng.permutation(2)[: int(self.rng.integers(1, 3))]:
            foot = rectangle(sides[k], 0.0, 0.0, 0.44, 0.44)
            if self._meets(grown(foot, 0.5), self.blocked[:-1]) or self._outside(grown(foot, 0.7)):
                continue
            furniture.chair(sides[k], self.rng, 0.44, 0.44, float(self.rng.uniform(0.8, 0.95)))
            self.blocked.append(foot)

    def rug(self) -> None:
        """Places a rug near the middle."""
        rng, (x0, y0, x1, y1) = self.rng, self.room
        half = np.array([rng.uniform(0.7, 1.3), rng.uniform(0.55, 0.95)])
        half = np.minimum(half, [(x1 - x0) / 2 - 0.3, (y1 - y0) / 2 - 0.3])
        centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) + rng.uniform(-0.18, 0.18, 2) * (x1 - x0, y1 - y0)
        extent = 2 * half
        image = textures.rug(self.site.looks, self.site.split, textures.texture_size(*extent))
        lit_floor(self.site, f"rug_{self.index}", np.array([*centre, 0.006]), extent, image)

    def paintings(self) -> None:
        """Hangs paintings on bare walls and above low furniture."""
        for wall, x, piece in self.low:
            if self.rng.uniform() < 0.75 and piece.width > 0.8:
                self._painting(wall, x, piece.width / 2)
        for wall in self.walls:
            edges = sorted([(-wall.length / 2, -wall.length / 2), *wall.taken, (wall.length / 2, wall.length / 2)])
            for (_, low), (high, _) in itertools.pairwise(edges):
                if high - low > 0.9 and self.rng.uniform() < 0.85:
                    self._painting(wall, (low + high) / 2, (high - low) / 2 - 0.1)

    def _painting(self, wall: _Wall, x: float, room: float) -> None:
        rng = self.rng
        half = np.minimum(rng.uniform(0.2, 0.5, 2), [room, 0.42])
        z, edge = rng.uniform(1.5, 1.7), 0.04
        colour = wood(rng) if rng.uniform() < 0.6 else DARK
        low, high = (x - half[0] - edge, 0, z - half[1] - edge), (x + half[0] + edge, 0.025, z + half[1] + edge)
        wall.frame.box(low, high, colour, solid=False)
        hangs_screen = self.kind == "living room" and self.site.looks.uniform() < 0.25
        make = screen if hangs_screen else picture
        image = make(self.site.looks, self.site.split, textures.texture_size(*(4 * half)))
        centre = wall.frame.point(x, 0.03, z)
        if self.site.lights:
            normal = upright(wall.frame)[:, 2]
            image *= self.site.lights[self.index].factors(centre[None], normal).astype(np.float32)
        name = self.site.name("picture")
        panel(self.site, name, centre, upright(wall.frame), tuple(half), image)

    def _meets(self, box: Rectangle, others: list[Rectangle]) -> bool:
        return any(box[0] < o[2] and box[2] > o[0] and box[1] < o[3] and box[3] > o[1] for o in others)

    def _outside(self, box: Rectangle) -> bool:
        x0, y0, x1, y1 = self.room
        return box[0] < x0 or box[1] < y0 or box[2] > x1 or box[3] > y1


def _pieces(kind: str, rng: np.random.Generator) -> list[Piece]:
    """Pieces at the walls of a kind of room, the most important first."""
    u = rng.uniform
    window = Piece(furniture.window, u(1.2, 1.9), 0.12, u(1.1, 1.35), on_wall=True, side=0.38)
    plant, lamp = Piece(furniture.plant, 0.5, 0.5, u(1.1, 1.5), 0.1), Piece(furniture.lamp, 0.4, 0.4, u(1.45, 1.7), 0.1)
    shelf = Piece(storage.shelf, u(0.9, 1.5), 0.34, u(1.5, 1.95))
    cabinet = Piece(storage.cabinet, u(1.0, 1.7), 0.45, u(0.78, 0.95), 0.9)
    chest = Piece(storage.drawers, u(0.7, 1.0), 0.46, u(0.75, 0.95), 0.9)
    chair = Piece(furniture.chair, 0.44, 0.44, u(0.8, 0.95), 0.6)
    sofa = Piece(furniture.sofa, u(1.6, 2.1), 0.85, u(0.78, 0.9), 0.7)
    armchair = Piece(furniture.sofa, 0.92, 0.82, 0.8, 0.7)
    wanted: dict[str, list[Piece]] = {
        "kitchen": [
            Piece(storage.counter, u(1.9, 2.7), 0.62, u(0.88, 0.94), 0.9), window,
            Piece(storage.fridge, u(0.6, 0.72), 0.62, u(1.6, 1.85), 0.9), cabinet,
            Piece(furniture.stool, 0.36, 0.36, u(0.5, 0.6), 0.5), chair, shelf, plant,
        ],
        "living room": [sofa, window, cabinet, shelf, armchair, lamp, plant, chest],
        "bedroom": [
            Piece(furniture.bed, u(1.0, 1.7), u(1.95, 2.05), u(0.46, 0.54), 0.6), window,
            Piece(storage.wardrobe, u(1.0, 1.6), 0.58, u(1.9, 2.05), 0.9),
            Piece(storage.nightstand, 0.45, 0.4, u(0.5, 0.58), 0.8), chest, chair, lamp, armchair,
        ],
        "office": [
            Piece(furniture.desk, u(1.3, 1.7), 0.72, u(0.72, 0.77), 0.9), window, shelf,
            Piece(furniture.chair, 0.46, 0.46, 0.92, 0.6), chest, cabinet,
            Piece(furniture.desk, u(1.2, 1.4), 0.68, u(0.72, 0.77), 0.9), plant, shelf,
        ],
        "corridor": [
            Piece(storage.drawers, u(0.8, 1.1), 0.38, u(0.75, 0.9), 0.9),
            Piece(furniture.coat_rack, u(0.8, 1.2), 0.14, u(1.65, 1.75), 0.3, on_wall=True),
            Piece(furniture.stool, 0.36, 0.36, 0.48, 0.5),
        ],
    }  # fmt: skip
    stray = [Piece(odds, u(0.3, 0.5), u(0.28, 0.4), u(0.25, 0.5), 0.1) for _ in range(int(rng.integers(0, 3)))]
    return wanted[kind] + stray


def rectangle(frame: Frame, x: float, y: float, width: float, depth: float) -> Rectangle:
    """World rectangle (x0, y0, x1, y1) of a footprint at local (x, y … y + depth)."""
    corners = np.array([frame.point(x + s * width / 2, y + d * depth, 0)[:2] for s in (-1, 1) for d in (0, 1)])
    low, high = corners.min(axis=0), corners.max(axis=0)
    return (float(low[0]), float(low[1]), float(high[0]), float(high[1]))


def grown(box: Rectangle, margin: float) -> Rectangle:
    """A rectangle enlarged on all sides."""
    return (box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin)
