"""Furniture to store things in: shelves, cabinets, drawers, wardrobes, fridges, kitchen counters.

Each piece is built in its own local frame, see `furniture`.
"""

from __future__ import annotations

import itertools

import numpy as np

from training.simulator.rooms.fittings import drawer, hinged_front, surface
from training.simulator.rooms.furniture_parts import Rng, carcass, edge_places, fronts
from training.simulator.rooms.palette import DARK, STEEL, fabric, front_colour, hsv, shade, wood
from training.simulator.rooms.site import CYLINDER, GLOW, Frame


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
    colour, panels = wood(rng), front_colour(rng)
    w, doors = width / 2, (3 if width > 1.35 else 2)
    frame.box((-w + 0.03, 0.03, 0), (w - 0.03, depth - 0.05, 0.06), DARK)
    parts = fronts(frame, rng, "cabinet", w, depth, 0.07, height - 0.02, panels, doors, height - 0.14)
    carcass(frame, w, depth, 0.06, height, colour, parts)
    surface(frame, "cabinet", (-w, 0), (w, depth), height, edge_places(rng, w, depth - 0.13, height, 3))


def drawers(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A chest of three or four drawers; objects on its top."""
    colour, fronts_colour, w = wood(rng), wood(rng), width / 2
    frame.box((-w + 0.03, 0.03, 0), (w - 0.03, depth - 0.05, 0.06), DARK)
    carcass(frame, w, depth, 0.06, height, colour, [], shelves=0)
    levels = np.linspace(0.08, height - 0.02, int(rng.integers(4, 6)) if height > 0.65 else 3)
    for low, high in itertools.pairwise(levels):
        drawer(frame, "chest of drawers", (-w, low), (w, high), depth, fronts_colour)
    surface(frame, "chest of drawers", (-w, 0), (w, depth), height, edge_places(rng, w, depth - 0.12, height, 3))


def nightstand(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A small table with one drawer and a lamp."""
    colour, w = wood(rng), width / 2
    carcass(frame, w, depth, 0.05, height, colour, [], shelves=1)
    drawer(frame, "nightstand", (-w, height * 0.55), (w, height - 0.02), depth, shade(colour, 1.15))
    frame.geom(CYLINDER, (0, 0.12, height + 0.1), (0.02, 0.1), STEEL)
    frame.geom(CYLINDER, (0, 0.12, height + 0.26), (0.11, 0.08), hsv(rng.uniform(0.06, 0.16), 0.35, 1.0), GLOW)
    surface(frame, "nightstand", (-w, 0), (w, depth), height, [(0.0, depth - 0.12, height)], [(0.0, 0.12)])


def wardrobe(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A tall wardrobe with two or three doors, clothes inside."""
    colour, w = wood(rng), width / 2
    panels = shade(colour, rng.uniform(0.85, 1.15)) if rng.uniform() < 0.6 else front_colour(rng)
    count = 2 if width < 1.4 else 3
    parts = fronts(frame, rng, "wardrobe", w, depth, 0.06, height - 0.02, panels, count, 1.05)
    carcass(frame, w, depth, 0.05, height, colour, parts, shelves=0)
    inner = frame.inside(*parts)
    inner.box((-w + 0.02, depth / 2 - 0.012, 1.72), (w - 0.02, depth / 2 + 0.012, 1.745), STEEL)
    for x in np.arange(-w + 0.12, w - 0.12, 0.14):
        inner.box((x, 0.1, rng.uniform(0.7, 1.0)), (x + 0.07, depth - 0.1, 1.7), fabric(rng))


def fridge(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A fridge with one door and bright shelves with food inside."""
    w = width / 2
    body = (0.9, 0.9, 0.92) if rng.uniform() < 0.5 else STEEL if rng.uniform() < 0.6 else front_colour(rng)
    parts = fronts(frame, rng, "fridge", w, depth, 0.06, height - 0.01, body, 1, 1.1)
    carcass(frame, w, depth, 0.05, height, body, parts, shelves=3)
    inner = frame.inside(*parts)
    for z in np.linspace(0.05, height, 5)[:-1] + 0.03:
        for x in rng.uniform(-w + 0.1, w - 0.1, 2):
            tall = rng.uniform(0.06, 0.2)
            inner.box((x - 0.05, depth - 0.35, z), (x + 0.05, depth - 0.2, z + tall), fabric(rng))


def counter(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A kitchen counter: doors and drawers below, worktop with sink and stove, wall cupboards with doors above."""
    panels, top, w = front_colour(rng), shade(wood(rng), 1.1), width / 2
    body = shade(panels, 0.7)
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
                drawer(frame, "kitchen counter", (low, a), (high, b), depth - 0.03, panels)
        else:
            ends = (low, 0.1), (high, height - 0.05)
            parts.append(hinged_front(frame, "kitchen cabinet", *ends, depth - 0.03, panels, i % 2 == 0, height - 0.17))
    carcass(frame, w, depth - 0.03, 0.08, height - 0.04, body, parts)
    _sink_and_stove(frame, side * w * 0.5, -side * w * 0.45, depth, height)
    wall_front = shade(panels, 1.2)
    cupboard = frame.at(-side * w * 0.4, 0.0, 0.0)
    cw = w * 0.58
    parts = fronts(cupboard, rng, "cupboard", cw, 0.32, 1.46, 2.09, wall_front, 2, 1.56)
    carcass(cupboard, cw, 0.32, 1.45, 2.1, body, parts)
    places = edge_places(rng, w, depth - 0.12, height, 6)
    basins = [(x + dx, y) for x in (side * w * 0.5, -side * w * 0.45) for dx in (-0.16, 0.16) for y in (0.15, 0.35)]
    surface(frame, "counter", (-w, 0), (w, depth), height, places, basins)


def _sink_and_stove(frame: Frame, sink: float, stove: float, depth: float, height: float) -> None:
    grey = (0.55, 0.58, 0.62)
    frame.box((sink - 0.22, 0.12, height), (sink + 0.22, depth - 0.24, height + 0.006), grey, solid=False)
    frame.geom(CYLINDER, (sink, 0.08, height + 0.14), (0.02, 0.14), STEEL)
    frame.box((sink - 0.02, 0.06, height + 0.26), (sink + 0.02, 0.24, height + 0.29), STEEL)
    frame.box((stove - 0.26, 0.06, height), (stove + 0.26, depth - 0.22, height + 0.005), DARK, solid=False)
    for dx in (-0.12, 0.12):
        for y in (0.16, depth - 0.32):
            frame.geom(CYLINDER, (stove + dx, y, height + 0.007), (0.08, 0.002), (0.35, 0.12, 0.1), solid=False)
