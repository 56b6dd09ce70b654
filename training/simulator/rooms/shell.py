"""Walls, floor, ceiling and doors of a floor plan, with the lamps' light baked into their textures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.rotations import rotate_2d
from training.simulator.rooms import textures
from training.simulator.rooms.furniture_parts import shade, wood
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
from training.simulator.rooms.plan import Articulation, Doorway, Rectangle, Stand, Target
from training.simulator.rooms.site import CYLINDER, GLOW, STEEL, Frame, Site, vector
from training.simulator.rooms.textures import Colour, Image

LAMP_STRENGTH = 0.33
NICHE = 1.05  # metres, depth of what is visible behind an outer door
WALL_STYLES = {
    "train": ("plain", "panel", "fade"),
    "val": ("dado",),
    "test": ("band", "cloud"),
}
"""Patterns of walls; none is in two splits."""


@dataclass(frozen=True)
class Appearance:
    """Ceiling height, wall style, and the lamp's place (x, y) in each room."""

    height: float
    style: str
    lamps: tuple[tuple[float, float], ...]


def textured(spec: mujoco.MjSpec, name: str, image: Image) -> str:
    """Registers an image in [0, 1] as a material stretched once over its geom; returns the material's name."""
    data = textures.to_uint8(image)
    texture = spec.add_texture(
        name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=data.shape[1], height=data.shape[0], nchannel=3
    )
    texture.data = np.ascontiguousarray(data).tobytes()
    material = spec.add_material(name=name, specular=0.0, shininess=0.0)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    return name


def panel(
    site: Site, name: str, centre: NDArray[np.floating], axes: NDArray[np.floating], half: Sequence[float], image: Image
) -> None:
    """A flat textured rectangle: columns of `axes` are the image's right, its up, and the visible side's normal."""
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, np.ascontiguousarray(axes, dtype=np.float64).ravel())
    site.add_panel(name, centre, quat, (half[0], half[1]), textured(site.spec, name, image))


def upright(frame: Frame) -> NDArray[np.float64]:
    """Axes of a panel that hangs on a wall whose frame's y axis points into the room."""
    origin = frame.point(0, 0, 0)
    return np.stack([frame.point(-1, 0, 0) - origin, (0, 0, 1), frame.point(0, 1, 0) - origin], axis=1)


def build_walls(site: Site, rng: np.random.Generator, layout: Layout, appearance: Appearance) -> None:
    """Builds all walls with their openings, ceilings and lamps; floors come last (`build_floor`)."""
    for index, (_, room) in enumerate(layout.rooms):
        site.room = index
        # Hues of the four walls are far apart, so that colours identify the heading.
        hues = rng.uniform() + rng.permutation(4) / 4 + rng.uniform(-0.06, 0.06, 4)
        holes = openings(layout, index)
        for wall, (middle, yaw, length) in enumerate(walls_of(room)):
            frame = Frame(site, np.array([*middle, 0.0]), yaw)
            colour = textures.hsv(hues[wall], rng.uniform(0.18, 0.48), rng.uniform(0.82, 0.97))
            accent = textures.hsv(hues[wall] + rng.uniform(0.05, 0.2), rng.uniform(0.3, 0.6), rng.uniform(0.5, 0.85))
            size = textures.texture_size(length, appearance.height)
            image = textures.wall(rng, colour, accent, appearance.style, size)
            across, distance = rotate_2d(np.array(appearance.lamps[index]) - middle, -yaw).tolist()
            image *= textures.lamp_light(
                size, (length, appearance.height), (length / 2 - across, 0.3), distance, LAMP_STRENGTH
            )
            _wall(frame, f"wall_{index}_{wall}", image, length, appearance.height, [(x, w) for x, w, _ in holes[wall]])
        _ceiling(site, rng, room, index, appearance)
    for door in layout.doors:
        site.room = door.rooms[0]
        _casing(site, door)
        if door.rooms[1] == OUTSIDE:
            _niche(site, rng, door)


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


def _ceiling(site: Site, rng: np.random.Generator, room: Rectangle, index: int, appearance: Appearance) -> None:
    extent = (room[2] - room[0], room[3] - room[1])
    middle = np.array([(room[0] + room[2]) / 2, (room[1] + room[3]) / 2])
    size = textures.texture_size(*extent, detail=0.5)
    image = textures.blotched(rng, textures.hsv(rng.uniform(), 0.08, 0.92), size, 0.07)
    lamp = np.array(appearance.lamps[index])
    # Seen from below, the image's right is +x and its up is -y.
    foot = (float(lamp[0] - room[0]), float(lamp[1] - room[1]))
    image *= textures.lamp_light(size, extent, foot, 0.5, 0.08)
    name = f"ceiling_{index}"
    half, facing_down = [v / 2 for v in extent], np.diag([1.0, -1.0, -1.0])
    panel(site, name, np.array([*middle, appearance.height]), facing_down, half, image)
    site.spec.material(name).emission = 0.3  # no light falls on it from below
    frame = Frame(site, np.array([*lamp, 0.0]), 0.0)
    radius = float(rng.uniform(0.14, 0.24))
    frame.geom(CYLINDER, (0, 0, appearance.height - 0.12), (radius, 0.06), textures.hsv(0.12, 0.2, 1.0), GLOW)
    frame.geom(CYLINDER, (0, 0, appearance.height - 0.03), (0.02, 0.03), STEEL)


def build_floor(
    site: Site, rng: np.random.Generator, layout: Layout, appearance: Appearance, shadows: list[Rectangle]
) -> None:
    """Floors with soft shadows under the furniture; thresholds in the openings."""
    for index, (kind, room) in enumerate(layout.rooms):
        extent = (room[2] - room[0], room[3] - room[1])
        size = textures.texture_size(*extent)
        planks = 0 if kind == "kitchen" else round(extent[1] / rng.uniform(0.12, 0.3))
        image = textures.floor(rng, shade(wood(rng), 1.05), planks, size)
        lamp = appearance.lamps[index]
        image *= textures.lamp_light(size, extent, (lamp[0] - room[0], room[3] - lamp[1]), appearance.height, 0.3)
        for box in shadows:
            textures.darken(image, (box[0] - room[0], room[3] - box[3]), (box[2] - room[0], room[3] - box[1]), extent)
        middle = np.array([(room[0] + room[2]) / 2, (room[1] + room[3]) / 2, 0.0])
        panel(site, f"floor_{index}", middle, np.eye(3), [v / 2 for v in extent], image)


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
    colour: Colour = textures.hsv(rng.uniform(), 0.3, 0.55)
    name = f"niche_{site.name('niche')}"
    plans = {
        "back": (frame.at(0, far), (2 * w, h), (0.0, 0.0)),
        "left": (frame.at(-w, -WALL - NICHE / 2, 0, -np.pi / 2), (NICHE, h), (0.0, 0.0)),
        "right": (frame.at(w, -WALL - NICHE / 2, 0, np.pi / 2), (NICHE, h), (0.0, 0.0)),
    }
    for side, (at, extent, _) in plans.items():
        image = textures.blotched(rng, colour, textures.texture_size(*extent), 0.12)
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
