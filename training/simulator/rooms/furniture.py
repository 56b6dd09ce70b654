"""Pieces of furniture made of boxes, cylinders and ellipsoids, each built in its own local frame.

Local frame of a piece: origin on the floor in the middle of its back edge, x along the wall, y into the room, z up.
A piece registers what can be done with it (surfaces, doors, drawers, seats) at its `Site`.
"""

from __future__ import annotations

import itertools

import numpy as np

from training.simulator.rooms.plan import Target
from training.simulator.rooms.site import (
    CYLINDER,
    ELLIPSOID,
    GLOW,
    STEEL,
    Frame,
    drawer,
    hinged_front,
    seat,
    surface,
    vector,
)
from training.simulator.rooms.textures import Colour, hsv

Rng = np.random.Generator
DARK: Colour = (0.13, 0.13, 0.15)


def shade(colour: Colour, factor: float) -> Colour:
    """The colour made darker (< 1) or lighter (> 1)."""
    return tuple(float(np.clip(c * factor, 0, 1)) for c in colour)  # type: ignore[return-value]


def wood(rng: Rng) -> Colour:
    """A wood or lacquer colour."""
    if rng.uniform() < 0.65:
        return hsv(rng.uniform(0.05, 0.11), rng.uniform(0.35, 0.7), rng.uniform(0.4, 0.85))
    return hsv(rng.uniform(), rng.uniform(0.0, 0.25), rng.uniform(0.75, 0.95))


def fabric(rng: Rng) -> Colour:
    """A clear cloth colour."""
    return hsv(rng.uniform(), rng.uniform(0.45, 0.8), rng.uniform(0.5, 0.9))


def _places(rng: Rng, w: float, y: float, height: float, count: int) -> list[tuple[float, float, float]]:
    """Places for objects along an edge of a piece, within reach."""
    xs = np.linspace(-w + 0.16, w - 0.16, count) + rng.uniform(-0.04, 0.04, count)
    return [(float(x), float(y - rng.uniform(0.0, 0.08)), height) for x in xs]


def _legs(frame: Frame, w: float, depth: float, height: float, thick: float, colour: Colour) -> None:
    for x in (-w + thick, w - thick):
        for y in (thick, depth - thick):
            frame.box((x - thick / 2, y - thick / 2, 0), (x + thick / 2, y + thick / 2, height), colour)


def _carcass(
    frame: Frame, w: float, depth: float, low: float, high: float, colour: Colour, doors: list[str], shelves: int = 1
) -> None:
    """A box open to the front, with shelves inside; what its closed `doors` hide is drawn only when one opens."""
    t, inner = 0.018, frame.inside(*doors) if doors else frame
    inner.box((-w, 0, low), (w, t, high), shade(colour, 0.75))
    for x in (-w, w - t):
        frame.box((x, 0, low), (x + t, depth, high), colour)
    for z in (low, high - t):
        frame.box((-w, 0, z), (w, depth, z + t), colour)
    for z in np.linspace(low, high - t, shelves + 2)[1:-1]:
        inner.box((-w, t, z), (w, depth, z + t), shade(colour, 0.75))


def _fronts(
    frame: Frame, rng: Rng, piece: str, w: float, depth: float, low: float, high: float, colour: Colour, count: int,
    handle: float,
) -> list[str]:  # fmt: skip
    """`count` hinged fronts side by side, the outer ones hinged at the outside; their ids."""
    edges, parts = np.linspace(-w, w, count + 1), []
    for i in range(count):
        hinge_low = (i == 0 and count > 1) or (0 < i < count - 1 and rng.uniform() < 0.5)
        if count == 1:
            hinge_low = bool(rng.uniform() < 0.5)
        ends = (edges[i], low), (edges[i + 1], high)
        parts.append(hinged_front(frame, piece, *ends, depth, colour, hinge_low, handle))
    return parts


def table(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A table centred on x; objects may stand along its front and back edge, within reach."""
    colour, w = wood(rng), width / 2
    frame.box((-w, 0, height - 0.05), (w, depth, height), colour)
    _legs(frame, w, depth, height - 0.05, 0.06, shade(colour, 0.7))
    places = _places(rng, w, depth - 0.14, height, 4) + _places(rng, w, 0.22, height, 3)
    surface(frame, "table", (-w, 0), (w, depth), height, places)


def coffee_table(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A low table."""
    colour, w = wood(rng), width / 2
    frame.box((-w, 0, height - 0.04), (w, depth, height), colour)
    frame.box((-w + 0.1, 0.1, 0), (w - 0.1, depth - 0.1, 0.04), shade(colour, 0.6))
    frame.box((-0.12, depth / 2 - 0.12, 0.04), (0.12, depth / 2 + 0.12, height - 0.04), shade(colour, 0.7))
    places = _places(rng, w, depth - 0.12, height, 3) + _places(rng, w, 0.2, height, 2)
    surface(frame, "coffee table", (-w, 0), (w, depth), height, places)


def desk(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A desk with a screen, a lamp, and drawers at one side."""
    colour, w = wood(rng), width / 2
    side = 1 if rng.uniform() < 0.5 else -1
    frame.box((-w, 0, height - 0.04), (w, depth, height), colour)
    far = -side * (w - 0.03)
    frame.box((far - 0.03, 0.02, 0), (far + 0.03, depth - 0.02, height - 0.04), shade(colour, 0.75))
    inner, outer = sorted((side * (w - 0.42), side * w))
    unit = frame.at((inner + outer) / 2, 0)
    _carcass(unit, 0.21, depth - 0.02, 0.05, height - 0.04, shade(colour, 0.85), [], shelves=0)
    levels = np.linspace(0.08, height - 0.06, 4)
    for low, high in itertools.pairwise(levels):
        drawer(unit, "desk", (-0.2, low), (0.2, high), depth - 0.02, shade(colour, 1.1))
    x = -side * rng.uniform(0.0, 0.2)
    frame.box((x - 0.28, 0.16, height + 0.1), (x + 0.28, 0.19, height + 0.44), DARK)
    frame.box((x - 0.26, 0.19, height + 0.12), (x + 0.26, 0.193, height + 0.42), hsv(rng.uniform(), 0.4, 0.9), GLOW)
    frame.box((x - 0.1, 0.1, height), (x + 0.1, 0.25, height + 0.012), DARK)
    frame.box((x - 0.03, 0.14, height), (x + 0.03, 0.17, height + 0.12), DARK)
    frame.box((x - 0.22, depth - 0.3, height), (x + 0.22, depth - 0.17, height + 0.02), shade(DARK, 1.6))
    surface(frame, "desk", (-w, 0), (w, depth), height, _places(rng, w, depth - 0.13, height, 4))


def shelf(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """An open shelf with a coloured back and books; objects stand on the board nearest to chest height."""
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
    places = [(float(x), depth - 0.12, float(boards[free] + 0.02)) for x in np.linspace(-w + 0.2, w - 0.2, 3)]
    surface(frame, "shelf", (-w, 0), (w, depth), places[0][2], places)


def _books(frame: Frame, rng: Rng, w: float, depth: float, low: float, high: float) -> None:
    """Books on one board, alone and in blocks."""
    x = -w + 0.07
    while x < w - 0.15:
        width = rng.uniform(0.05, 0.24)
        if rng.uniform() < 0.75:
            top = low + (high - low) * rng.uniform(0.55, 0.95)
            frame.box((x, 0.04, low), (min(x + width, w - 0.05), depth - rng.uniform(0.03, 0.1), top), fabric(rng))
        x += width + rng.uniform(0.004, 0.06)


def cabinet(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A sideboard with doors in a second colour; objects on its top."""
    colour, front = wood(rng), (fabric(rng) if rng.uniform() < 0.6 else wood(rng))
    w, doors = width / 2, (3 if width > 1.35 else 2)
    frame.box((-w + 0.03, 0.03, 0), (w - 0.03, depth - 0.05, 0.06), DARK)
    parts = _fronts(frame, rng, "cabinet", w, depth, 0.07, height - 0.02, front, doors, height - 0.14)
    _carcass(frame, w, depth, 0.06, height, colour, parts)
    surface(frame, "cabinet", (-w, 0), (w, depth), height, _places(rng, w, depth - 0.13, height, 3))


def drawers(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A chest of three or four drawers; objects on its top."""
    colour, front, w = wood(rng), wood(rng), width / 2
    frame.box((-w + 0.03, 0.03, 0), (w - 0.03, depth - 0.05, 0.06), DARK)
    _carcass(frame, w, depth, 0.06, height, colour, [], shelves=0)
    levels = np.linspace(0.08, height - 0.02, int(rng.integers(4, 6)) if height > 0.65 else 3)
    for low, high in itertools.pairwise(levels):
        drawer(frame, "chest of drawers", (-w, low), (w, high), depth, front)
    surface(frame, "chest of drawers", (-w, 0), (w, depth), height, _places(rng, w, depth - 0.12, height, 3))


def nightstand(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A small table with one drawer and a lamp."""
    colour, w = wood(rng), width / 2
    _carcass(frame, w, depth, 0.05, height, colour, [], shelves=1)
    drawer(frame, "nightstand", (-w, height * 0.55), (w, height - 0.02), depth, shade(colour, 1.15))
    frame.geom(CYLINDER, (0, 0.12, height + 0.1), (0.02, 0.1), STEEL)
    frame.geom(CYLINDER, (0, 0.12, height + 0.26), (0.11, 0.08), hsv(rng.uniform(0.06, 0.16), 0.35, 1.0), GLOW)
    surface(frame, "nightstand", (-w, 0), (w, depth), height, [(0.0, depth - 0.12, height)])


def wardrobe(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A tall wardrobe with two or three doors, clothes inside."""
    colour, w = wood(rng), width / 2
    front = shade(colour, rng.uniform(0.85, 1.15)) if rng.uniform() < 0.6 else fabric(rng)
    count = 2 if width < 1.4 else 3
    parts = _fronts(frame, rng, "wardrobe", w, depth, 0.06, height - 0.02, front, count, 1.05)
    _carcass(frame, w, depth, 0.05, height, colour, parts, shelves=0)
    inner = frame.inside(*parts)
    inner.box((-w + 0.02, depth / 2 - 0.012, 1.72), (w - 0.02, depth / 2 + 0.012, 1.745), STEEL)
    for x in np.arange(-w + 0.12, w - 0.12, 0.14):
        inner.box((x, 0.1, rng.uniform(0.7, 1.0)), (x + 0.07, depth - 0.1, 1.7), fabric(rng))


def fridge(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A fridge with one door and bright shelves with food inside."""
    w = width / 2
    body = (0.9, 0.9, 0.92) if rng.uniform() < 0.6 else fabric(rng)
    parts = _fronts(frame, rng, "fridge", w, depth, 0.06, height - 0.01, body, 1, 1.1)
    _carcass(frame, w, depth, 0.05, height, body, parts, shelves=3)
    inner = frame.inside(*parts)
    for z in np.linspace(0.05, height, 5)[:-1] + 0.03:
        for x in rng.uniform(-w + 0.1, w - 0.1, 2):
            tall = rng.uniform(0.06, 0.2)
            inner.box((x - 0.05, depth - 0.35, z), (x + 0.05, depth - 0.2, z + tall), fabric(rng))


def counter(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A kitchen counter: doors and drawers below, worktop with sink and stove, wall cupboards with doors above."""
    front, top, w = fabric(rng), shade(wood(rng), 1.1), width / 2
    body = shade(front, 0.7)
    frame.box((-w, 0.03, 0), (w, depth - 0.08, 0.08), DARK)
    frame.box((-w - 0.01, 0, height - 0.04), (w + 0.01, depth, height), top)
    side = 1 if rng.uniform() < 0.5 else -1
    units = max(3, round(width / 0.55))
    edges = np.linspace(-w, w, units + 1)
    with_drawers, parts = int(rng.integers(units)), []
    for i in range(units):
        low, high = float(edges[i]), float(edges[i + 1])
        if i == with_drawers:
            levels = np.linspace(0.1, height - 0.05, 4)
            for a, b in itertools.pairwise(levels):
                drawer(frame, "kitchen counter", (low, a), (high, b), depth - 0.03, front)
        else:
            ends = (low, 0.1), (high, height - 0.05)
            parts.append(hinged_front(frame, "kitchen cabinet", *ends, depth - 0.03, front, i % 2 == 0, height - 0.17))
    _carcass(frame, w, depth - 0.03, 0.08, height - 0.04, body, parts)
    _sink_and_stove(frame, side * w * 0.5, -side * w * 0.45, depth, height)
    wall_front = shade(front, 1.2)
    cupboard = frame.at(-side * w * 0.4, 0.0, 0.0)
    cw = w * 0.58
    parts = _fronts(cupboard, rng, "cupboard", cw, 0.32, 1.46, 2.09, wall_front, 2, 1.56)
    _carcass(cupboard, cw, 0.32, 1.45, 2.1, body, parts)
    places = _places(rng, w, depth - 0.12, height, 6)
    surface(frame, "counter", (-w, 0), (w, depth), height, places)


def _sink_and_stove(frame: Frame, sink: float, stove: float, depth: float, height: float) -> None:
    grey = (0.55, 0.58, 0.62)
    frame.box((sink - 0.22, 0.12, height), (sink + 0.22, depth - 0.24, height + 0.006), grey, solid=False)
    frame.geom(CYLINDER, (sink, 0.08, height + 0.14), (0.02, 0.14), STEEL)
    frame.box((sink - 0.02, 0.06, height + 0.26), (sink + 0.02, 0.24, height + 0.29), STEEL)
    frame.box((stove - 0.26, 0.06, height), (stove + 0.26, depth - 0.22, height + 0.005), DARK, solid=False)
    for dx in (-0.12, 0.12):
        for y in (0.16, depth - 0.32):
            frame.geom(CYLINDER, (stove + dx, y, height + 0.007), (0.08, 0.002), (0.35, 0.12, 0.1), solid=False)


def sofa(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A sofa (or, when narrow, an armchair) with cushions."""
    colour, w, arm = fabric(rng), width / 2, 0.16
    frame.box((-w, 0, 0.08), (w, depth, 0.34), shade(colour, 0.85))
    frame.box((-w, 0, 0.34), (w, 0.24, height), colour)
    for x in (-w, w - arm):
        frame.box((x, 0, 0.30), (x + arm, depth, 0.58), shade(colour, 0.92))
    seats = max(1, round((width - 2 * arm) / 0.65))
    step = (width - 2 * arm) / seats
    name = "sofa" if seats > 1 else "armchair"
    for i in range(seats):
        low = -w + arm + i * step
        frame.box((low + 0.01, 0.22, 0.34), (low + step - 0.01, depth - 0.02, 0.43), shade(colour, 1.12))
        seat(frame, name, low + step / 2, 0.42, 0.43, depth, (step, depth - 0.24))
    if width > 1.2:
        frame.geom(ELLIPSOID, (-w + arm + 0.14, 0.3, 0.57), (0.16, 0.07, 0.15), fabric(rng), solid=False)


def chair(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A dining chair facing +y."""
    colour, w = fabric(rng), width / 2
    frame.box((-w, 0, 0.42), (w, depth, 0.46), colour)
    frame.box((-w, 0, 0.46), (w, 0.04, height), colour)
    _legs(frame, w, depth, 0.42, 0.04, shade(colour, 0.5))
    seat(frame, "chair", 0.0, depth * 0.46, 0.46, depth, (width, depth))


def stool(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A round stool."""
    colour = fabric(rng)
    frame.geom(CYLINDER, (0, depth / 2, height - 0.03), (width / 2, 0.03), colour)
    frame.geom(CYLINDER, (0, depth / 2, height / 2 - 0.03), (0.04, height / 2 - 0.03), STEEL)
    frame.geom(CYLINDER, (0, depth / 2, 0.012), (width * 0.42, 0.012), STEEL)
    seat(frame, "stool", 0.0, depth * 0.5, height, depth, (width, depth))


def bed(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A bed with its head at the wall; one sits on its foot end."""
    colour, cloth, w = wood(rng), fabric(rng), width / 2
    frame.box((-w, 0, 0), (w, 0.06, height + 0.5), colour)
    frame.box((-w, 0.06, 0.08), (w, depth, 0.26), shade(colour, 0.8))
    frame.box((-w + 0.02, 0.07, 0.26), (w - 0.02, depth - 0.02, height - 0.04), (0.93, 0.92, 0.9))
    frame.box((-w, 0.6, 0.3), (w, depth + 0.01, height), cloth)
    for x in [-w / 2, w / 2] if width > 1.2 else [0.0]:
        frame.geom(ELLIPSOID, (x, 0.32, height + 0.04), (min(0.33, w * 0.7), 0.2, 0.09), shade(cloth, 1.3), solid=False)
    for x in [-w / 2, w / 2] if width > 1.2 else [0.0]:
        seat(frame, "bed", x, depth - 0.24, height, depth, (min(width, 0.8), 0.5))


def lamp(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A floor lamp with a glowing shade."""
    y = depth / 2
    frame.geom(CYLINDER, (0, y, 0.015), (0.15, 0.015), (0.2, 0.2, 0.22))
    frame.geom(CYLINDER, (0, y, height / 2), (0.018, height / 2), (0.25, 0.25, 0.27))
    frame.geom(CYLINDER, (0, y, height), (width / 2, 0.16), hsv(rng.uniform(0.06, 0.16), 0.35, 1.0), GLOW)


def plant(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A pot with a few large leaves."""
    y = depth / 2
    frame.geom(CYLINDER, (0, y, 0.2), (0.17, 0.2), fabric(rng))
    green = hsv(rng.uniform(0.25, 0.4), 0.7, rng.uniform(0.35, 0.6))
    for _ in range(5):
        x, dy = rng.uniform(-0.1, 0.1, 2)
        size = (rng.uniform(0.1, 0.17), rng.uniform(0.1, 0.17), rng.uniform(0.2, 0.32))
        frame.geom(ELLIPSOID, (x, y + dy, rng.uniform(0.55, height - 0.3)), size, shade(green, rng.uniform(0.75, 1.25)))


def window(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A bright window (its panes glow) with a cross of bars and curtains at both sides."""
    w, low, high = width / 2, 0.9, 0.9 + height
    white, curtain = (0.95, 0.95, 0.95), fabric(rng)
    frame.box((-w - 0.07, 0, low - 0.07), (w + 0.07, 0.03, high + 0.07), white)
    land = low + height * rng.uniform(0.25, 0.5)
    frame.box((-w, 0.03, land), (w, 0.04, high), hsv(rng.uniform(0.53, 0.6), rng.uniform(0.25, 0.5), 1.0), GLOW)
    x = -w
    while x < w - 0.05:  # houses and trees on the skyline
        step = min(rng.uniform(0.12, 0.4), w - x)
        colour = hsv(rng.uniform(0.2, 0.4) if rng.uniform() < 0.5 else rng.uniform(), 0.5, rng.uniform(0.4, 0.85))
        frame.box((x, 0.03, low), (x + step, 0.042, land + rng.uniform(-0.1, 0.25) * height), colour, GLOW, solid=False)
        x += step
    frame.box((-0.025, 0.04, low), (0.025, 0.06, high), white)
    middle = (low + high) / 2
    frame.box((-w, 0.04, middle - 0.025), (w, 0.06, middle + 0.025), white)
    for side in (-1, 1):
        x = side * (w + 0.16)
        frame.box((x - 0.16, 0.03, 0.25), (x + 0.16, 0.1, high + 0.12), curtain)
    site, place = frame.site, frame.point(0, 0.9, 0)
    site.targets.append(
        Target(
            "window",
            vector(place),
            "floor",
            0.0,
            "spot",
            site.name("window"),
            room=site.room,
            yaw=frame.yaw + np.pi / 2,
            stands=(frame.stand(0, 0.8, np.pi),),
            size=(width, 0.1, height),
        )
    )


def coat_rack(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """Hooks on a board with coats."""
    w = width / 2
    frame.box((-w, 0, height - 0.06), (w, 0.03, height + 0.06), wood(rng))
    for x in np.linspace(-w + 0.1, w - 0.1, 4):
        if rng.uniform() < 0.7:
            frame.box((x - 0.08, 0.02, height - rng.uniform(0.6, 0.9)), (x + 0.08, 0.14, height - 0.02), fabric(rng))
