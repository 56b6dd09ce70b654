"""Things that lie about and are no targets: behind the places of objects on surfaces, and on the floor at walls.

Their colours are neutral or muted, so that none is mistaken for an object of a named colour.
"""

from __future__ import annotations

import numpy as np

from training.simulator.rooms.palette import Colour, Rng, hsv, shade, wood
from training.simulator.rooms.site import BOX, CYLINDER, ELLIPSOID, Frame

CLEAR = 0.17  # metres between middles of clutter and of what else is there
_CARDBOARD: Colour = (0.6, 0.47, 0.33)


def muted(rng: Rng) -> Colour:
    """White, grey, brown, black, or a dull colour."""
    saturation = 0.08 if rng.uniform() < 0.6 else 0.3
    return hsv(rng.uniform(), rng.uniform(0, saturation), rng.uniform(0.12, 0.95))


def scatter(
    frame: Frame, low: tuple[float, float], high: tuple[float, float], height: float, taken: list[tuple[float, float]]
) -> None:
    """Up to six things on a surface, away from what is there and from the places for objects; nothing collides.

    Args:
        low, high: local (x, y) of the surface's corners. taken: local (x, y) of places and things.
    """
    rng = frame.site.looks
    occupied = np.array(taken).reshape(-1, 2)
    for _ in range(int(rng.integers(0, 7))):
        x = rng.uniform(low[0] + 0.1, high[0] - 0.1)
        y = rng.uniform(low[1] + 0.08, max(low[1] + 0.09, high[1] - 0.12))
        if len(occupied) and np.abs(occupied - (x, y)).max(axis=1).min() < CLEAR:
            continue
        occupied = np.concatenate([occupied, [(x, y)]])
        _thing(frame.at(x, y, height, float(rng.uniform(-0.5, 0.5))), rng)


def _thing(frame: Frame, rng: Rng) -> None:
    """One of paper, books, a vase, a jar, a cup on a plate, a box, a picture in a frame."""
    kind, colour = int(rng.integers(7)), muted(rng)
    if kind == 0:
        for k in range(int(rng.integers(1, 3))):
            frame.box(
                (-0.1 + 0.03 * k, -0.07, 0.002 * k), (0.1, 0.07, 0.003 + 0.002 * k), (0.9, 0.9, 0.88), solid=False
            )
    elif kind == 1:
        top = 0.0
        for _ in range(int(rng.integers(1, 4))):
            thick, wide = rng.uniform(0.015, 0.04), rng.uniform(0.06, 0.1)
            frame.box((-wide, -0.07, top), (wide, 0.07, top + thick), muted(rng), solid=False)
            top += thick
    elif kind == 2:
        tall = rng.uniform(0.06, 0.12)
        frame.geom(ELLIPSOID, (0, 0, tall), (0.05, 0.05, tall), colour, solid=False)
        frame.geom(CYLINDER, (0, 0, 2 * tall), (0.025, 0.03), shade(colour, 0.8), solid=False)
    elif kind == 3:
        tall = rng.uniform(0.04, 0.1)
        frame.geom(CYLINDER, (0, 0, tall), (rng.uniform(0.025, 0.045), tall), colour, solid=False)
    elif kind == 4:
        frame.geom(CYLINDER, (0, 0, 0.008), (0.09, 0.008), colour, solid=False)
        frame.geom(CYLINDER, (0, 0, 0.045), (0.035, 0.035), (0.88, 0.87, 0.84), solid=False)
    elif kind == 5:
        half = rng.uniform(0.03, 0.08, 3)
        frame.geom(BOX, (0, 0, float(half[2])), tuple(float(v) for v in half), colour, solid=False)
    else:
        wide, tall = rng.uniform(0.05, 0.09), rng.uniform(0.1, 0.18)
        frame.box((-wide, -0.01, 0), (wide, 0.01, tall), wood(rng), solid=False)
        frame.box((-0.8 * wide, 0.01, 0.02), (0.8 * wide, 0.012, tall - 0.02), colour, solid=False)


def odds(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """What stands on floors: boxes, a bin, a basket, shoes."""
    looks, y = frame.site.looks, depth / 2
    kind = int(looks.integers(4))
    if kind == 0:
        top = 0.0
        for _ in range(int(looks.integers(1, 4))):
            w, d, h = looks.uniform((0.3, 0.3, 0.15), (0.5, 0.5, 0.35)) * (width, depth, 1.0)
            colour = shade(_CARDBOARD, looks.uniform(0.8, 1.15)) if looks.uniform() < 0.7 else muted(looks)
            frame.box((-w, y - d, top), (w, y + d, top + h), colour)
            top += h
    elif kind == 1:
        frame.geom(CYLINDER, (0, y, height / 2), (0.4 * min(width, depth), height / 2), muted(looks))
    elif kind == 2:
        frame.box((-width / 2, 0.03, 0), (width / 2, depth, height * 0.7), wood(looks))
        frame.geom(ELLIPSOID, (0, y, height * 0.7), (width * 0.4, depth * 0.35, 0.08), muted(looks))
    else:
        colour = muted(looks)
        for x in (-0.08, 0.08):
            frame.geom(ELLIPSOID, (x, y, 0.05), (0.05, 0.13, 0.05), colour)
            frame.box((x - 0.045, y - 0.13, 0), (x + 0.045, y + 0.13, 0.02), shade(colour, 0.5))
