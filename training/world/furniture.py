"""Pieces of furniture made of boxes, cylinders and ellipsoids, each built in its own local frame.

Local frame of a piece: origin on the floor in the middle of its back edge, x along the wall, y into the room, z up.
A piece returns `Spots`: places on it where graspable objects may stand.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from training.world.textures import Colour, hsv

Point = tuple[float, float, float]
BOX, CYLINDER = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER
ELLIPSOID, CAPSULE = mujoco.mjtGeom.mjGEOM_ELLIPSOID, mujoco.mjtGeom.mjGEOM_CAPSULE


@dataclass(frozen=True)
class Spot:
    """A place for an object: world point (3,) on the support's surface, the support's name."""

    point: NDArray[np.float64]
    support: str


@dataclass(frozen=True)
class Frame:
    """A local frame in the room: origin (3,) metres and yaw radians; geoms are added to `spec` in it."""

    spec: mujoco.MjSpec
    origin: NDArray[np.float64]
    yaw: float

    def point(self, x: float, y: float, z: float) -> NDArray[np.float64]:
        """World coordinates of a local point."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        return self.origin + np.array([cos * x - sin * y, sin * x + cos * y, z])

    def at(self, x: float, y: float, z: float = 0.0, turn: float = 0.0) -> Frame:
        """A frame within this one."""
        return Frame(self.spec, self.point(x, y, z), self.yaw + turn)

    def geom(
        self, kind: mujoco.mjtGeom, centre: Point, size: tuple[float, ...], colour: Colour, material: str = "matte"
    ) -> None:
        """One geom upright in this frame; `size` as MuJoCo takes it (half extents, radii)."""
        half = self.yaw / 2
        self.spec.worldbody.add_geom(
            type=kind, pos=self.point(*centre), quat=[np.cos(half), 0, 0, np.sin(half)], rgba=[*colour, 1.0],
            size=[*size, *[0.0] * (3 - len(size))], material=material,
        )  # fmt: skip

    def box(self, low: Point, high: Point, colour: Colour, material: str = "matte") -> None:
        """A box from its low to its high corner in local coordinates."""
        low_, high_ = np.array(low, float), np.array(high, float)
        self.geom(BOX, _triple((low_ + high_) / 2), tuple((high_ - low_) / 2), colour, material)


def _triple(values: NDArray[np.floating]) -> Point:
    x, y, z = (float(v) for v in values)
    return (x, y, z)


def shade(colour: Colour, factor: float) -> Colour:
    """The colour made darker (< 1) or lighter (> 1)."""
    return tuple(float(np.clip(c * factor, 0, 1)) for c in colour)  # type: ignore[return-value]


def wood(rng: np.random.Generator) -> Colour:
    """A wood or lacquer colour."""
    if rng.uniform() < 0.65:
        return hsv(rng.uniform(0.05, 0.11), rng.uniform(0.35, 0.7), rng.uniform(0.4, 0.85))
    return hsv(rng.uniform(), rng.uniform(0.0, 0.25), rng.uniform(0.75, 0.95))


def fabric(rng: np.random.Generator) -> Colour:
    """A clear cloth colour."""
    return hsv(rng.uniform(), rng.uniform(0.45, 0.8), rng.uniform(0.5, 0.9))


def table(frame: Frame, rng: np.random.Generator, width: float, depth: float, height: float) -> list[Spot]:
    """A table centred on x; objects may stand along its front and back edge, within reach."""
    colour = wood(rng)
    w = width / 2
    frame.box((-w, 0, height - 0.05), (w, depth, height), colour)
    legs = shade(colour, 0.7)
    for x in (-w + 0.06, w - 0.06):
        for y in (0.06, depth - 0.06):
            frame.box((x - 0.035, y - 0.035, 0), (x + 0.035, y + 0.035, height - 0.05), legs)
    places = np.linspace(-w + 0.2, w - 0.2, 4) + rng.uniform(-0.05, 0.05, 4)
    return [Spot(frame.point(x, depth - rng.uniform(0.13, 0.24), height), "table") for x in places]


def shelf(frame: Frame, rng: np.random.Generator, width: float, depth: float, height: float) -> list[Spot]:
    """An open shelf with a coloured back and large books; objects stand on the board nearest to chest height."""
    colour, back = wood(rng), fabric(rng)
    w, levels = width / 2, int(rng.integers(3, 5))
    frame.box((-w, 0, 0), (w, 0.03, height), shade(back, 0.75))
    for x in (-w, w - 0.04):
        frame.box((x, 0, 0), (x + 0.04, depth, height), colour)
    boards = np.linspace(0.08, height - 0.02, levels + 1)
    for z in boards:
        frame.box((-w, 0, z - 0.02), (w, depth, z + 0.02), colour)
    free = int(np.argmin(np.abs(boards[:-1] - 1.0)))
    for level in range(levels):
        if level != free:
            _books(frame, rng, w, depth, boards[level] + 0.02, boards[level + 1] - 0.03)
    places = np.linspace(-w + 0.2, w - 0.2, 2)
    return [Spot(frame.point(x, depth - 0.13, boards[free] + 0.02), "shelf") for x in places]


def _books(frame: Frame, rng: np.random.Generator, w: float, depth: float, low: float, high: float) -> None:
    """Blocks of books on one board, a few wide ones rather than many thin ones."""
    x = -w + 0.07
    while x < w - 0.15:
        width = rng.uniform(0.12, 0.26)
        if rng.uniform() < 0.75:
            top = low + (high - low) * rng.uniform(0.6, 0.9)
            frame.box((x, 0.04, low), (min(x + width, w - 0.05), depth - 0.06, top), fabric(rng))
        x += width + 0.03


def cabinet(frame: Frame, rng: np.random.Generator, width: float, depth: float, height: float) -> list[Spot]:
    """A sideboard with doors in a second colour; objects on its top."""
    colour, front = wood(rng), (fabric(rng) if rng.uniform() < 0.6 else wood(rng))
    w, doors = width / 2, int(rng.integers(2, 4))
    frame.box((-w, 0, 0.06), (w, depth, height), colour)
    step = width / doors
    for i in range(doors):
        low = -w + i * step + 0.03
        frame.box((low, depth, 0.1), (low + step - 0.06, depth + 0.015, height - 0.05), front)
        frame.box(
            (low + 0.05, depth + 0.015, height - 0.2), (low + 0.08, depth + 0.04, height - 0.1), (0.15, 0.15, 0.17)
        )
    places = np.linspace(-w + 0.2, w - 0.2, 3)
    return [Spot(frame.point(x, depth - 0.14, height), "cabinet") for x in places]


def counter(frame: Frame, rng: np.random.Generator, width: float, depth: float, height: float) -> list[Spot]:
    """A kitchen counter with a worktop, a sink and cupboards on the wall above."""
    front, top = fabric(rng), shade(wood(rng), 1.1)
    w = width / 2
    frame.box((-w, 0, 0.08), (w, depth - 0.03, height - 0.04), front)
    frame.box((-w - 0.01, 0, height - 0.04), (w + 0.01, depth, height), top)
    for i in range(1, 3):
        x = -w + i * width / 3
        frame.box((x - 0.01, depth - 0.03, 0.1), (x + 0.01, depth - 0.02, height - 0.06), shade(front, 0.55))
    side = 1 if rng.uniform() < 0.5 else -1
    frame.box(
        (side * w * 0.5 - 0.22, 0.12, height), (side * w * 0.5 + 0.22, depth - 0.22, height + 0.006), (0.55, 0.58, 0.62)
    )
    frame.geom(CYLINDER, (side * w * 0.5, 0.08, height + 0.14), (0.02, 0.14), (0.75, 0.77, 0.8))
    frame.box(
        (side * w * 0.5 - 0.02, 0.06, height + 0.26), (side * w * 0.5 + 0.02, 0.24, height + 0.29), (0.75, 0.77, 0.8)
    )
    frame.box((-w, 0, 1.5), (w, 0.32, 2.1), shade(front, 1.15))
    frame.box((-0.01, 0.32, 1.52), (0.01, 0.325, 2.08), shade(front, 0.6))
    places = np.linspace(-w + 0.2, w - 0.2, 4)
    return [Spot(frame.point(x, depth - 0.13, height), "counter") for x in places]


def sofa(frame: Frame, rng: np.random.Generator, width: float, depth: float, height: float) -> list[Spot]:
    """A sofa (or, when narrow, an armchair) with cushions; nothing to grasp on it."""
    colour = fabric(rng)
    w, arm = width / 2, 0.16
    frame.box((-w, 0, 0.08), (w, depth, 0.40), shade(colour, 0.85))
    frame.box((-w, 0, 0.40), (w, 0.24, height), colour)
    for x in (-w, w - arm):
        frame.box((x, 0, 0.30), (x + arm, depth, 0.60), shade(colour, 0.92))
    seats = max(1, round((width - 2 * arm) / 0.65))
    step = (width - 2 * arm) / seats
    for i in range(seats):
        low = -w + arm + i * step
        frame.box((low + 0.01, 0.22, 0.40), (low + step - 0.01, depth - 0.02, 0.48), shade(colour, 1.12))
    for x in rng.uniform(-w + 0.35, w - 0.35, 2 if width > 1.2 else 1):
        frame.geom(ELLIPSOID, (x, 0.32, 0.62), (0.21, 0.09, 0.19), fabric(rng))
    return []


def chair(frame: Frame, rng: np.random.Generator, width: float, depth: float, height: float) -> list[Spot]:
    """A dining chair facing +y."""
    colour = fabric(rng)
    w = width / 2
    frame.box((-w, 0, 0.42), (w, depth, 0.47), colour)
    frame.box((-w, 0, 0.47), (w, 0.04, height), colour)
    for x in (-w + 0.02, w - 0.02):
        for y in (0.02, depth - 0.02):
            frame.box((x - 0.02, y - 0.02, 0), (x + 0.02, y + 0.02, 0.42), shade(colour, 0.5))
    return []


def lamp(frame: Frame, rng: np.random.Generator, width: float, depth: float, height: float) -> list[Spot]:
    """A floor lamp with a glowing shade."""
    y = depth / 2
    frame.geom(CYLINDER, (0, y, 0.015), (0.15, 0.015), (0.2, 0.2, 0.22))
    frame.geom(CYLINDER, (0, y, height / 2), (0.018, height / 2), (0.25, 0.25, 0.27))
    frame.geom(CYLINDER, (0, y, height), (width / 2, 0.16), hsv(rng.uniform(0.06, 0.16), 0.35, 1.0), "glow")
    return []


def plant(frame: Frame, rng: np.random.Generator, width: float, depth: float, height: float) -> list[Spot]:
    """A pot with a few large leaves."""
    y = depth / 2
    frame.geom(CYLINDER, (0, y, 0.2), (0.17, 0.2), fabric(rng))
    green = hsv(rng.uniform(0.25, 0.4), 0.7, rng.uniform(0.35, 0.6))
    for _ in range(4):
        x, dy = rng.uniform(-0.1, 0.1, 2)
        size = (rng.uniform(0.12, 0.19), rng.uniform(0.12, 0.19), rng.uniform(0.2, 0.32))
        frame.geom(ELLIPSOID, (x, y + dy, rng.uniform(0.55, height - 0.3)), size, shade(green, rng.uniform(0.75, 1.25)))
    return []


def door(frame: Frame, rng: np.random.Generator, width: float, depth: float, height: float) -> list[Spot]:
    """A closed door with its frame and handle."""
    colour, w = fabric(rng), width / 2
    frame.box((-w - 0.08, 0, 0), (w + 0.08, 0.03, height + 0.08), (0.93, 0.92, 0.9))
    frame.box((-w, 0.03, 0.01), (w, 0.05, height), colour)
    for low, high in ((0.2, 0.9), (1.1, height - 0.2)):
        frame.box((-w + 0.14, 0.05, low), (w - 0.14, 0.055, high), shade(colour, 0.8))
    frame.box((w - 0.13, 0.05, 0.98), (w - 0.06, 0.1, 1.03), (0.85, 0.75, 0.4))
    return []


def window(frame: Frame, rng: np.random.Generator, width: float, depth: float, height: float) -> list[Spot]:
    """A bright window (its pane glows) with a cross of bars and curtains at both sides."""
    w, low, high = width / 2, 0.9, 0.9 + height
    white, curtain = (0.95, 0.95, 0.95), fabric(rng)
    frame.box((-w - 0.07, 0, low - 0.07), (w + 0.07, 0.03, high + 0.07), white)
    land = low + height * rng.uniform(0.25, 0.5)
    frame.box((-w, 0.03, land), (w, 0.04, high), hsv(rng.uniform(0.53, 0.6), rng.uniform(0.25, 0.5), 1.0), "glow")
    frame.box((-w, 0.03, low), (w, 0.04, land), hsv(rng.uniform(0.22, 0.36), 0.5, 0.75), "glow")
    frame.box((-0.025, 0.04, low), (0.025, 0.06, high), white)
    frame.box((-w, 0.04, (low + high) / 2 - 0.025), (w, 0.06, (low + high) / 2 + 0.025), white)
    for side in (-1, 1):
        x = side * (w + 0.16)
        frame.box((x - 0.16, 0.03, 0.25), (x + 0.16, 0.12, high + 0.12), curtain)
    return []
