"""Furnished rooms from a seed: walls, furniture, objects to reach for, light, and the plan a motion is made for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from training.world import furniture as make
from training.world import textures
from training.world.furniture import Frame, Spot
from training.world.objects import draw_objects, place_object
from training.world.plan import Rectangle, RoomPlan, Target

SPLIT_SEEDS: dict[str, range] = {
    "train": range(10_000_000),
    "val": range(10_000_000, 11_000_000),
    "test": range(11_000_000, 12_000_000),
}
"""Room seeds of each split; disjoint, so no room is in two splits."""

WALL_STYLES = {
    "train": ("plain", "panel", "fade"),
    "val": ("plain", "panel", "fade"),
    "test": ("plain", "fade", "band"),
}
WALL_CLEARANCE = 0.55  # a reach or a stride brings the head about this far ahead of the pelvis' standing place
FURNITURE_CLEARANCE = 0.36
MIN_FREE_SIDE = 0.35

Size = tuple[float, float]
Builder = Callable[[Frame, np.random.Generator, float, float, float], list[Spot]]


@dataclass(frozen=True)
class Piece:
    """Furniture standing at a wall: how to build it, its size, and how long a stretch of wall it takes."""

    build: Builder
    width: float
    depth: float
    height: float
    on_wall: bool = False  # a door or window: takes wall, no floor

    @property
    def stretch(self) -> float:
        return self.width + (0.7 if self.build is make.window else 0.25)


def build_room(seed: int, split: str) -> tuple[mujoco.MjSpec, RoomPlan]:
    """One furnished room, the same for the same seed and split.

    Args:
        seed: room seed; must lie in `SPLIT_SEEDS[split]`.
        split: "train", "val" or "test"; test rooms have a wall style and colour-object pairs of their own.

    Returns:
        The MuJoCo specification (no body in it yet) and the plan: size, free area, targets.
    """
    if seed not in SPLIT_SEEDS[split]:
        raise ValueError(f"room seed {seed} is not of split {split!r} ({SPLIT_SEEDS[split]})")
    rng = np.random.default_rng([seed, 20])
    size = (float(rng.uniform(5.0, 8.0)), float(rng.uniform(5.0, 8.0)))
    height = float(rng.uniform(2.5, 2.9))
    spec = _empty_spec()
    _shell(spec, rng, size, height, WALL_STYLES[split])
    spots: list[Spot] = []
    blocked: list[Rectangle] = []
    for wall, pieces in enumerate(_assign(rng)):
        _furnish_wall(spec, rng, size, wall, pieces, spots, blocked)
    _place_table(spec, rng, size, spots, blocked)
    _place_rug(spec, rng, size)
    _light(spec, rng, size, height)
    targets = _place_objects(spec, rng, split, spots)
    inner = (size[0] / 2 - WALL_CLEARANCE, size[1] / 2 - WALL_CLEARANCE)
    free = maximal_rectangles((-inner[0], -inner[1], inner[0], inner[1]), [_grow(b) for b in blocked])
    return spec, RoomPlan(seed=seed, size=size, free=free, targets=targets)


def maximal_rectangles(bounds: Rectangle, obstacles: list[Rectangle]) -> list[Rectangle]:
    """All rectangles inside `bounds` that touch no obstacle's inside and cannot be made larger (side >= 0.35 m)."""
    xs = sorted({bounds[0], bounds[2], *(np.clip(v, bounds[0], bounds[2]) for o in obstacles for v in (o[0], o[2]))})
    ys = sorted({bounds[1], bounds[3], *(np.clip(v, bounds[1], bounds[3]) for o in obstacles for v in (o[1], o[3]))})
    x_mid, y_mid = np.convolve(xs, [0.5, 0.5], "valid"), np.convolve(ys, [0.5, 0.5], "valid")
    taken = np.zeros((len(x_mid), len(y_mid)), dtype=bool)
    for a0, b0, a1, b1 in obstacles:
        taken |= ((x_mid > a0) & (x_mid < a1))[:, None] & ((y_mid > b0) & (y_mid < b1))[None]
    total = np.pad(taken.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    n, m = len(xs), len(ys)
    i0, j0, i1, j1 = np.meshgrid(range(n), range(m), range(n), range(m), indexing="ij", sparse=True)
    free = (total[i1, j1] - total[i0, j1] - total[i1, j0] + total[i0, j0] == 0) & (i1 > i0) & (j1 > j0)
    grown = np.pad(free, 1)  # may the rectangle take one more strip on some side?
    core = (slice(1, -1),) * 4
    larger = np.zeros_like(free)
    for axis, step in ((0, -1), (1, -1), (2, 1), (3, 1)):
        larger |= np.roll(grown, -step, axis=axis)[core]
    best = [(xs[a], ys[b], xs[c], ys[d]) for a, b, c, d in np.argwhere(free & ~larger)]
    wide = [box for box in best if min(box[2] - box[0], box[3] - box[1]) >= MIN_FREE_SIDE]
    return [(float(a), float(b), float(c), float(d)) for a, b, c, d in wide]


def _grow(box: Rectangle) -> Rectangle:
    c = FURNITURE_CLEARANCE
    return (box[0] - c, box[1] - c, box[2] + c, box[3] + c)


def _empty_spec() -> mujoco.MjSpec:
    """Rendering settings: few facets, no shadows, near plane at 2 cm."""
    spec = mujoco.MjSpec()
    quality = spec.visual.quality
    quality.offsamples, quality.shadowsize = 0, 0
    quality.numslices, quality.numstacks, quality.numquads = 12, 6, 1
    spec.visual.global_.offwidth = spec.visual.global_.offheight = 16
    spec.stat.extent, spec.stat.center = 5.0, np.zeros(3)
    spec.visual.map.znear, spec.visual.map.zfar = 0.02 / 5.0, 6.0
    spec.add_material(name="matte", specular=0.05, shininess=0.1)
    spec.add_material(name="glow", emission=0.75, specular=0.0)
    return spec


def _textured(spec: mujoco.MjSpec, name: str, image: NDArray[np.uint8]) -> str:
    """Register an image as a material stretched once over its geom; returns the material's name."""
    texture = spec.add_texture(
        name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=image.shape[1], height=image.shape[0], nchannel=3
    )
    texture.data = np.ascontiguousarray(image).tobytes()
    material = spec.add_material(name=name, specular=0.0, shininess=0.0)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    return name


def _panel(
    spec: mujoco.MjSpec,
    name: str,
    centre: Sequence[float],
    axes: NDArray[np.float64],
    half: Sequence[float],
    image: NDArray[np.uint8],
) -> None:
    """A flat textured rectangle: columns of `axes` are the image's right, its up, and the visible side's normal."""
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, np.ascontiguousarray(axes, dtype=np.float64).ravel())
    material = _textured(spec, name, image)
    kind = mujoco.mjtGeom.mjGEOM_PLANE
    spec.worldbody.add_geom(
        name=name, type=kind, pos=list(centre), quat=quat, size=[half[0], half[1], 0.5], material=material
    )


def wall_frame(spec: mujoco.MjSpec, size: Size, wall: int) -> tuple[Frame, float]:
    """Frame at the middle of wall 0..3 (+x, +y, -x, -y), its y axis into the room; and the wall's length."""
    x, y = size[0] / 2, size[1] / 2
    origins = ((x, 0.0, 0.0), (0.0, y, 0.0), (-x, 0.0, 0.0), (0.0, -y, 0.0))
    return Frame(spec, np.array(origins[wall]), np.pi / 2 * (1 + wall)), size[(wall + 1) % 2]


def _shell(spec: mujoco.MjSpec, rng: np.random.Generator, size: Size, height: float, styles: tuple[str, ...]) -> None:
    """Floor, ceiling and four walls whose hues lie far apart, so the heading can be read off the colours."""
    boards = textures.floor(rng, make.shade(make.wood(rng), 1.1), int(rng.choice([0, 9, 11])))
    _panel(spec, "floor", (0, 0, 0), np.eye(3), (size[0] / 2, size[1] / 2), boards)
    down = np.diag([1.0, -1.0, -1.0])
    ceiling = textures.blotched(rng, textures.hsv(rng.uniform(), 0.08, 0.95), 0.05)
    _panel(spec, "ceiling", (0, 0, height), down, (size[0] / 2, size[1] / 2), ceiling)
    spec.material("ceiling").emission = 0.3  # no light falls on it from below
    hues = rng.uniform() + rng.permutation(4) / 4 + rng.uniform(-0.06, 0.06, 4)
    for wall, hue in enumerate(hues):
        frame, length = wall_frame(spec, size, wall)
        colour = textures.hsv(hue, rng.uniform(0.25, 0.55), rng.uniform(0.78, 0.98))
        accent = textures.hsv(hue + rng.uniform(0.05, 0.2), rng.uniform(0.3, 0.6), rng.uniform(0.5, 0.85))
        image = textures.wall(rng, colour, accent, str(rng.choice(styles)))
        centre = frame.point(0, 0, height / 2)
        inward = frame.point(0, 1, 0) - frame.point(0, 0, 0)
        right = frame.point(-1, 0, 0) - frame.point(0, 0, 0)  # as seen from inside
        axes = np.stack([right, (0, 0, 1), inward], axis=1)
        _panel(spec, f"wall_{wall}", tuple(centre), axes, (length / 2, height / 2), image)


def _assign(rng: np.random.Generator) -> list[list[Piece]]:
    """Which furniture stands at which of the four walls."""
    u = rng.uniform
    lamp, plant = Piece(make.lamp, 0.4, 0.4, u(1.45, 1.7)), Piece(make.plant, 0.5, 0.5, u(1.1, 1.5))
    shelf = Piece(make.shelf, u(1.0, 1.5), 0.34, u(1.5, 1.95))
    sofa = Piece(make.sofa, u(1.7, 2.1), 0.85, u(0.78, 0.9))
    armchair = Piece(make.sofa, u(0.85, 0.95), 0.8, u(0.75, 0.85))
    cabinet, counter = (
        Piece(make.cabinet, u(1.1, 1.6), 0.45, u(0.78, 0.92)),
        Piece(make.counter, u(1.7, 2.2), 0.6, u(0.88, 0.95)),
    )
    door = Piece(make.door, 0.9, 0.05, 2.03, on_wall=True)
    window = Piece(make.window, u(1.4, 2.0), 0.12, u(1.1, 1.35), on_wall=True)
    walls = [[window, plant], [shelf, armchair], [sofa, lamp], [door, cabinet if u() < 0.5 else counter]]
    if u() < 0.4:  # swap companions, so that no two pieces always go together
        walls[0][1], walls[2][1] = walls[2][1], walls[0][1]
    if u() < 0.4:
        walls[1][1], walls[3][1] = walls[3][1], walls[1][1]
    return [walls[i] for i in rng.permutation(4)]


def _furnish_wall(
    spec: mujoco.MjSpec,
    rng: np.random.Generator,
    size: Size,
    wall: int,
    pieces: list[Piece],
    spots: list[Spot],
    blocked: list[Rectangle],
) -> None:
    """Stand the pieces side by side with random gaps, and hang pictures where the wall is bare above them."""
    frame, length = wall_frame(spec, size, wall)
    order = [pieces[i] for i in rng.permutation(len(pieces))]
    room = length - 1.0 - sum(p.stretch for p in order)  # half a metre to either corner
    gaps = rng.dirichlet(np.ones(len(order) + 1)) * max(room, 0.0)
    x = -length / 2 + 0.5
    for gap, piece in zip(gaps, order, strict=False):
        x += gap + piece.stretch / 2
        spots.extend(piece.build(frame.at(x, 0.0), rng, piece.width, piece.depth, piece.height))
        if not piece.on_wall:
            blocked.append(_footprint(frame, x, 0.0, piece.width, piece.depth))
        if piece.build in (make.sofa, make.cabinet):
            _hang_picture(spec, rng, frame, x, f"picture_{wall}_{x:.2f}")
        x += piece.stretch / 2
    for bare in (-length / 2 + 0.5 + gaps[0] / 2, length / 2 - 0.5 - gaps[-1] / 2):
        gap = gaps[0] if bare < 0 else gaps[-1]
        if gap > 0.9:
            _hang_picture(spec, rng, frame, bare, f"picture_{wall}_{bare:.2f}")


def _hang_picture(spec: mujoco.MjSpec, rng: np.random.Generator, frame: Frame, x: float, name: str) -> None:
    half, z = rng.uniform(0.28, 0.42, 2), rng.uniform(1.5, 1.65)
    edge = make.fabric(rng) if rng.uniform() < 0.5 else (0.12, 0.11, 0.1)
    frame.box((x - half[0] - 0.05, 0, z - half[1] - 0.05), (x + half[0] + 0.05, 0.03, z + half[1] + 0.05), edge)
    inward, right = frame.point(0, 1, 0) - frame.origin, frame.point(-1, 0, 0) - frame.origin
    axes = np.stack([right, (0, 0, 1), inward], axis=1)
    _panel(spec, name, tuple(frame.point(x, 0.035, z)), axes, tuple(half), textures.painting(rng))


def _footprint(frame: Frame, x: float, y: float, width: float, depth: float) -> Rectangle:
    """Rectangle (x0, y0, x1, y1) in the room of a piece at local (x, y)."""
    corners = np.array([frame.point(x + s * width / 2, y + d * depth, 0)[:2] for s in (-1, 1) for d in (0, 1)])
    low, high = corners.min(axis=0), corners.max(axis=0)
    return (float(low[0]), float(low[1]), float(high[0]), float(high[1]))


def _place_table(
    spec: mujoco.MjSpec, rng: np.random.Generator, size: Size, spots: list[Spot], blocked: list[Rectangle]
) -> None:
    """A free table off the middle of the room, so that one side stays open for walking; maybe a chair at its back."""
    width, depth, height = rng.uniform(1.1, 1.5), rng.uniform(0.65, 0.8), rng.uniform(0.72, 0.8)
    for _ in range(20):
        centre = np.array(size) * rng.choice([-1, 1], 2) * rng.uniform(0.1, 0.24, 2)
        frame = Frame(spec, np.array([*centre, 0.0]), int(rng.integers(4)) * np.pi / 2).at(0.0, -depth / 2)
        x0, y0, x1, y1 = _footprint(frame, 0.0, -0.4, width, depth + 0.4)
        if all(x1 + 0.6 < b[0] or x0 - 0.6 > b[2] or y1 + 0.6 < b[1] or y0 - 0.6 > b[3] for b in blocked):
            break
    else:
        return  # a small room may have no place for it
    spots.extend(make.table(frame, rng, width, depth, height))
    blocked.append(_footprint(frame, 0.0, 0.0, width, depth))
    if rng.uniform() < 0.6:
        seat = frame.at(rng.uniform(-0.25, 0.25) * width, -0.38)
        make.chair(seat, rng, 0.44, 0.44, rng.uniform(0.8, 0.95))
        blocked.append(_footprint(seat, 0.0, 0.0, 0.44, 0.44))


def _place_rug(spec: mujoco.MjSpec, rng: np.random.Generator, size: Size) -> None:
    half = (rng.uniform(0.9, 1.5), rng.uniform(0.7, 1.1))
    centre = rng.uniform(-0.18, 0.18, 2) * size
    angle = rng.choice([0, np.pi / 2]) + rng.uniform(-0.1, 0.1)
    cos, sin = np.cos(angle), np.sin(angle)
    axes = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    image = textures.rug(rng, make.fabric(rng), make.fabric(rng))
    _panel(spec, "rug", (*centre, 0.012), axes, half, image)


def _place_objects(spec: mujoco.MjSpec, rng: np.random.Generator, split: str, spots: list[Spot]) -> list[Target]:
    """Two to four objects on the table and one or two on each other support."""
    by_support: dict[str, list[Spot]] = {}
    for spot in spots:
        by_support.setdefault(spot.support, []).append(spot)
    chosen: list[Spot] = []
    for support, places in by_support.items():
        wanted = int(rng.integers(2, 5)) if support == "table" else int(rng.integers(1, 3))
        chosen += [places[i] for i in rng.permutation(len(places))[:wanted]]
    pairs = draw_objects(rng, split, min(len(chosen), 8))
    frame = Frame(spec, np.zeros(3), 0.0)
    return [place_object(frame, spot, *pair, rng) for spot, pair in zip(chosen, pairs, strict=False)]


def _light(spec: mujoco.MjSpec, rng: np.random.Generator, size: Size, height: float) -> None:
    """Even ambient light, a lamp at the ceiling and the sun from one side; strength and warmth vary."""
    ambient, warmth = rng.uniform(0.52, 0.66), rng.uniform(-0.05, 0.05)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    head = spec.visual.headlight
    head.ambient, head.diffuse, head.specular = tint * ambient, np.full(3, 0.12), np.zeros(3)
    position = [*(rng.uniform(-0.2, 0.2, 2) * size), height - 0.25]
    point, directional = mujoco.mjtLightType.mjLIGHT_POINT, mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    common = {"castshadow": False, "specular": [0.05] * 3}
    spec.worldbody.add_light(
        type=point, pos=position, diffuse=tint * rng.uniform(0.26, 0.38), attenuation=[1, 0, 0.02], **common
    )
    angle = rng.uniform(0, 2 * np.pi)
    sun = [np.cos(angle), np.sin(angle), -rng.uniform(0.5, 0.9)]
    spec.worldbody.add_light(
        type=directional, pos=[0, 0, height], dir=sun, diffuse=np.full(3, rng.uniform(0.18, 0.3)), **common
    )
