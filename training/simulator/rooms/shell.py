"""Walls, floor, ceiling and doors of a floor plan, with the lamps' light baked into their textures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from training.simulator.rooms import textures
from training.simulator.rooms.layout import (
    DOOR_HEIGHT,
    OUTSIDE,
    WALL,
    Door,
    Layout,
    openings,
    passage,
    walls_of,
)
from training.simulator.rooms.palette import STEEL, Colour, hsv, shade, wall_paint, wood
from training.simulator.rooms.photographs import Image
from training.simulator.rooms.plan import Articulation, Doorway, Rectangle, Stand, Target
from training.simulator.rooms.site import CYLINDER, GLOW, Frame, Site, vector

NICHE = 1.05  # metres, depth of what is visible behind an outer door


@dataclass(frozen=True)
class Appearance:
    """Ceiling height, wall style, and the lamp's place (x, y) in each room."""

    height: float
    style: str
    lamps: tuple[tuple[float, float], ...]


def textured(spec: mujoco.MjSpec, name: str, image: Image, emission: float = 0.0) -> str:
    """Registers an image in [0, 1] as a material stretched once over its geom; returns the material's name."""
    data = textures.to_uint8(image)
    texture = spec.add_texture(
        name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=data.shape[1], height=data.shape[0], nchannel=3
    )
    texture.data = np.ascontiguousarray(data).tobytes()
    material = spec.add_material(name=name, specular=0.0, shininess=0.0, emission=emission)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    return name


def panel(
    site: Site, name: str, centre: NDArray[np.floating], axes: NDArray[np.floating], half: Sequence[float],
    image: Image, emission: float = 0.0,
) -> None:  # fmt: skip
    """A flat textured rectangle: columns of `axes` are the image's right, its up, and the visible side's normal.

    Args:
        emission: light that it gives off itself, as a share of its colours.
    """
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, np.ascontiguousarray(axes, dtype=np.float64).ravel())
    site.add_panel(name, centre, quat, (half[0], half[1]), textured(site.spec, name, image, emission))


def lit(
    site: Site, centre: NDArray[np.floating], axes: NDArray[np.floating], extent: Sequence[float], image: Image
) -> Image:
    """An image with the room's light on it, on a rectangle as `panel` takes it; `extent` is its width and height, m."""
    if not site.lights:
        return image
    right, down = axes[:, 0] * extent[0], -axes[:, 1] * extent[1]
    corner = centre - right / 2 - down / 2
    return site.lights[site.room].bake(image, corner, right, down, axes[:, 2], site.solids())


def lit_floor(site: Site, name: str, centre: NDArray[np.floating], extent: Sequence[float], image: Image) -> None:
    """A rectangle that lies on the floor, with the light and the shadows of what stands on it."""
    image = lit(site, centre, np.eye(3), extent, image)
    panel(site, name, centre, np.eye(3), [v / 2 for v in extent], image)


def upright(frame: Frame) -> NDArray[np.float64]:
    """Axes of a panel that hangs on a wall whose frame's y axis points into the room."""
    origin = frame.point(0, 0, 0)
    return np.stack([frame.point(-1, 0, 0) - origin, (0, 0, 1), frame.point(0, 1, 0) - origin], axis=1)


def build_shell(site: Site, layout: Layout, appearance: Appearance) -> None:
    """Builds walls with their openings, ceilings with their lamps, and floors, around rooms that are furnished."""
    for index, (kind, room) in enumerate(layout.rooms):
        site.room = index
        _walls(site, layout, index, appearance)
        _ceiling(site, room, index, appearance)
        extent = (room[2] - room[0], room[3] - room[1])
        middle = np.array([(room[0] + room[2]) / 2, (room[1] + room[3]) / 2, 0.0])
        image = textures.floor(site.looks, kind, site.split, textures.texture_size(*extent))
        lit_floor(site, f"floor_{index}", middle, extent, image)
    for door in layout.doors:
        site.room = door.rooms[0]
        _casing(site, door)
        if door.rooms[1] == OUTSIDE:
            _niche(site, site.looks, door)


def _walls(site: Site, layout: Layout, index: int, appearance: Appearance) -> None:
    """The four walls of a room, in one paint or, in some styles, one of them in another."""
    rng, holes = site.looks, openings(layout, index)
    kind, room = layout.rooms[index]
    paint = wall_paint(rng)
    style = "tiles" if kind == "kitchen" and rng.uniform() < 0.35 else appearance.style
    special = int(rng.integers(4)) if style in ("accent", "bricks", "striped") else -1
    for wall, (middle, yaw, length) in enumerate(walls_of(room)):
        frame = Frame(site, np.array([*middle, 0.0]), yaw)
        alone = special in (-1, wall) or (style == "striped" and rng.uniform() < 0.5)
        colour = wall_paint(rng) if wall == special and style == "accent" else paint
        size = textures.texture_size(length, appearance.height)
        image = textures.wall(rng, colour, style if alone else "plain", site.split, size, appearance.height)
        centre = frame.point(0, 0, appearance.height / 2)
        image = lit(site, centre, upright(frame), (length, appearance.height), image)
        _wall(frame, f"wall_{index}_{wall}", image, length, appearance.height, [(x, w) for x, w, _ in holes[wall]])


def _wall(
    frame: Frame, name: str, image: Image, length: float, height: float, holes: list[tuple[float, float]]
) -> None:
    """A wall as panels beside and above its openings, and as solid boxes behind them."""
    pieces, x = [], -length / 2
    for middle, width in holes:
        pieces += [(x, middle - width / 2, 0.0), (middle - width / 2, middle + width / 2, DOOR_HEIGHT)]
        x = middle + width / 2
    pieces.append((x, length / 2, 0.0))
    rows, columns = image.shape[:2]
    for k, (x0, x1, low) in enumerate(pieces):
        left, right = (round((length / 2 - v) / length * columns) for v in (x1, x0))
        if right - left < 1:
            continue
        cut = image[: max(1, round((height - low) / height * rows)), left:right]
        centre = frame.point((x0 + x1) / 2, 0, (low + height) / 2)
        panel(frame.site, f"{name}_{k}", centre, upright(frame), ((x1 - x0) / 2, (height - low) / 2), cut)
        behind = frame.point((x0 + x1) / 2, -WALL / 2, (low + height) / 2)
        frame.site.obstruct(behind, ((x1 - x0) / 2, WALL / 2, (height - low) / 2), frame.yaw)


def _ceiling(site: Site, room: Rectangle, index: int, appearance: Appearance) -> None:
    extent, rng = (room[2] - room[0], room[3] - room[1]), site.looks
    middle = np.array([(room[0] + room[2]) / 2, (room[1] + room[3]) / 2, appearance.height])
    image = textures.ceiling(rng, site.split, textures.texture_size(*extent, detail=0.5))
    facing_down = np.diag([1.0, -1.0, -1.0])
    image = lit(site, middle, facing_down, extent, image)
    # no light falls on it from below
    panel(site, f"ceiling_{index}", middle, facing_down, [v / 2 for v in extent], image, 0.3)
    frame = Frame(site, np.array([*appearance.lamps[index], 0.0]), 0.0)
    radius = float(rng.uniform(0.14, 0.24))
    on = not site.lights or site.lights[index].brightness < 0.6
    glass = hsv(0.12, rng.uniform(0.02, 0.25), 1.0 if on else 0.85)
    frame.geom(CYLINDER, (0, 0, appearance.height - 0.12), (radius, 0.06), glass, GLOW if on else None)
    frame.geom(CYLINDER, (0, 0, appearance.height - 0.03), (0.02, 0.03), STEEL)


def _casing(site: Site, door: Door) -> None:
    """Posts and lintel in the thickness of the wall, and the threshold."""
    frame = Frame(site, np.array([*door.position, 0.0]), door.heading + np.pi / 2)  # its y axis into the first room
    w, white = door.width / 2, (0.92, 0.91, 0.89)
    for low, high in ((-w - 0.05, -w + 0.015), (w - 0.015, w + 0.05)):
        frame.box((low, -WALL - 0.015, 0), (high, 0.015, DOOR_HEIGHT + 0.05), white)
    frame.box((-w, -WALL - 0.015, DOOR_HEIGHT - 0.015), (w, 0.015, DOOR_HEIGHT + 0.05), white)
    frame.box((-w, -WALL, -0.02), (w, 0.0, 0.004), (0.45, 0.4, 0.34), solid=False)


def _niche(site: Site, rng: np.random.Generator, door: Door) -> None:
    """Builds what an outer door opens onto: the dim end of another room."""
    frame = Frame(site, np.array([*door.position, 0.0]), door.heading + np.pi / 2)
    w, h, far = door.width / 2 + 0.25, DOOR_HEIGHT + 0.2, -WALL - NICHE
    colour: Colour = shade(wall_paint(rng), rng.uniform(0.45, 0.8))
    name = f"niche_{site.name('niche')}"
    plans = {
        "back": (frame.at(0, far), (2 * w, h), (0.0, 0.0)),
        "left": (frame.at(-w, -WALL - NICHE / 2, 0, -np.pi / 2), (NICHE, h), (0.0, 0.0)),
        "right": (frame.at(w, -WALL - NICHE / 2, 0, np.pi / 2), (NICHE, h), (0.0, 0.0)),
    }
    for side, (at, extent, _) in plans.items():
        image = textures.covered(rng, "plaster", site.split, colour, textures.texture_size(*extent))
        panel(site, f"{name}_{side}", at.point(0, 0, h / 2), upright(at), (extent[0] / 2, h / 2), image)
    frame.box((-w, far, -0.02), (w, -WALL, -0.005), wood(rng), solid=False)
    frame.box((-w, far, h), (w, -WALL, h + 0.02), (0.6, 0.6, 0.6), solid=False)
    frame.box((-w, -WALL - 0.02, DOOR_HEIGHT + 0.05), (w, -WALL - 0.015, h), (0.6, 0.6, 0.6), solid=False)


def build_doors(site: Site, rng: np.random.Generator, layout: Layout) -> list[Doorway]:
    """Door leaves on hinges, as targets; and every opening as the plan lists it."""
    doorways = []
    for door in layout.doors:
        site.room = door.rooms[0]
        part = _leaf(site, rng, door) if door.leaf else ""
        inner = door.rooms[1] != OUTSIDE
        doorways.append(
            Doorway(door.position, door.heading, door.width, door.rooms, part, passage(door) if inner else None)
        )
    return doorways


def _leaf(site: Site, rng: np.random.Generator, door: Door) -> str:
    """One door: hinged at the far face of the wall, it opens out of the first room; returns its id."""
    part = site.body(site.name("door"))
    frame = Frame(site, np.array([*door.position, 0.0]), door.heading + np.pi / 2, part)
    word, colour = str(rng.choice(list(DOOR_COLOURS))), (0.0, 0.0, 0.0)
    colour = DOOR_COLOURS[word]
    w, back, front = door.width / 2 - 0.015, -WALL, -WALL + 0.04
    frame.box((-w, back, 0.01), (w, front, DOOR_HEIGHT - 0.02), colour)
    for low, high in ((0.15, 0.9), (1.12, DOOR_HEIGHT - 0.15)):
        for y0, y1 in ((front, front + 0.005), (back - 0.005, back)):
            frame.box((-w + 0.13, y0, low), (w - 0.13, y1, high), shade(colour, 0.82), solid=False)
    # Seen from the first room (facing local -y), left is local +x.
    hinge, free = (w, -w) if door.hinge_left else (-w, w)
    grip = free - 0.07 * np.sign(free)
    for y0, y1 in ((front, front + 0.055), (back - 0.055, back)):
        frame.box((grip - 0.012, y0, 0.99), (grip + 0.012, y1, 1.015), STEEL)
    for y in (front + 0.055, back - 0.055):
        frame.box((grip - 0.05 * np.sign(free) - 0.06, y - 0.01, 0.99), (grip + 0.02, y + 0.01, 1.015), STEEL)
    axis = (0.0, 0.0, 1.0 if hinge > 0 else -1.0)
    site.articulations[part] = Articulation(
        part, "hinge", vector(frame.point(hinge, back, 0)), axis, (0.0, 1.75), door.initial
    )
    middle = (back + front) / 2
    stands: tuple[Stand, ...] = (frame.stand(grip * 0.8, 0.5, np.pi),)
    if door.rooms[1] != OUTSIDE:
        stands = (*stands, frame.stand(grip * 1.1, -WALL - 0.62, 0.0))
    site.targets.append(
        Target(
            "door",
            vector(frame.point(0, middle, DOOR_HEIGHT / 2)),
            "wall",
            1.0,
            "door",
            part,
            word,
            room=door.rooms[0],
            size=(2 * w, 0.04, DOOR_HEIGHT),
            yaw=frame.yaw + np.pi / 2,
            handle=vector(frame.point(grip, middle, 1.0)),
            stands=stands,
            articulation=part,
        )
    )
    return part


DOOR_COLOURS: dict[str, Colour] = {
    "white": (0.92, 0.92, 0.9),
    "brown": (0.5, 0.32, 0.18),
    "blue": (0.25, 0.38, 0.65),
    "green": (0.3, 0.5, 0.34),
    "grey": (0.55, 0.56, 0.58),
    "red": (0.66, 0.24, 0.2),
}
