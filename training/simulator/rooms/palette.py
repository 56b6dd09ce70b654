"""Colours that furnished rooms are made of: paints, woods and cloths, each with the surface it is on.

Most of what stands in a room is white, grey, beige or brown; clear colours are the exception, as in real rooms.
"""

from __future__ import annotations

import colorsys

import numpy as np

Colour = tuple[float, float, float]
Rng = np.random.Generator
PAINT, WOOD, CLOTH, METAL = "paint", "wood", "cloth", "metal"
FINISHES = (PAINT, WOOD, CLOTH, METAL)


class Finished(tuple[float, float, float]):
    """An RGB colour in [0, 1] that knows its surface, one of `FINISHES`; plain colours count as paint."""

    finish: str

    def __new__(cls, colour: Colour, finish: str) -> Finished:
        made = super().__new__(cls, colour)
        made.finish = finish
        return made


def finish_of(colour: Colour) -> str:
    """The surface a colour is on."""
    return colour.finish if isinstance(colour, Finished) else PAINT


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """One RGB colour in [0, 1] from hue, saturation and value in [0, 1]."""
    return colorsys.hsv_to_rgb(hue % 1.0, float(np.clip(saturation, 0, 1)), float(np.clip(value, 0, 1)))


def shade(colour: Colour, factor: float) -> Colour:
    """The colour made darker (< 1) or lighter (> 1), on the same surface."""
    red, green, blue = (float(np.clip(c * factor, 0, 1)) for c in colour)
    return Finished((red, green, blue), finish_of(colour))


def wood(rng: Rng) -> Colour:
    """A natural, dark or grey wood, or white and grey lacquer."""
    kind = rng.uniform()
    if kind < 0.5:
        return Finished(hsv(rng.uniform(0.06, 0.105), rng.uniform(0.3, 0.6), rng.uniform(0.5, 0.88)), WOOD)
    if kind < 0.68:
        return Finished(hsv(rng.uniform(0.02, 0.09), rng.uniform(0.3, 0.6), rng.uniform(0.16, 0.42)), WOOD)
    if kind < 0.76:
        return Finished(hsv(rng.uniform(0.06, 0.12), rng.uniform(0.05, 0.2), rng.uniform(0.4, 0.75)), WOOD)
    return hsv(rng.uniform(), rng.uniform(0.0, 0.08), rng.uniform(0.78, 0.96))


def fabric(rng: Rng) -> Colour:
    """A cloth colour: in half of the cases neutral, seldom clear."""
    kind = rng.uniform()
    if kind < 0.5:
        return Finished(hsv(rng.uniform(0.05, 0.14), rng.uniform(0.02, 0.22), rng.uniform(0.15, 0.92)), CLOTH)
    if kind < 0.82:
        return Finished(hsv(rng.uniform(), rng.uniform(0.15, 0.45), rng.uniform(0.22, 0.75)), CLOTH)
    return Finished(hsv(rng.uniform(), rng.uniform(0.45, 0.8), rng.uniform(0.35, 0.85)), CLOTH)


def carpet(rng: Rng) -> Colour:
    """A colour of fitted carpets: beige, grey, brown, seldom a muted colour."""
    if rng.uniform() < 0.75:
        return Finished(hsv(rng.uniform(0.04, 0.14), rng.uniform(0.03, 0.3), rng.uniform(0.3, 0.85)), CLOTH)
    return Finished(hsv(rng.uniform(), rng.uniform(0.1, 0.4), rng.uniform(0.25, 0.65)), CLOTH)


def front_colour(rng: Rng) -> Colour:
    """A colour of fronts and bodies of furniture: like wood, or lacquer of a muted colour."""
    if rng.uniform() < 0.72:
        return wood(rng)
    return hsv(rng.uniform(), rng.uniform(0.1, 0.5), rng.uniform(0.25, 0.8))


def wall_paint(rng: Rng) -> Colour:
    """A paint of walls: mostly off-white, beige or grey."""
    kind = rng.uniform()
    if kind < 0.62:
        return hsv(rng.uniform(0.06, 0.16), rng.uniform(0.0, 0.14), rng.uniform(0.72, 0.97))
    if kind < 0.78:
        return hsv(rng.uniform(0.5, 0.7), rng.uniform(0.0, 0.12), rng.uniform(0.5, 0.85))
    if kind < 0.95:
        return hsv(rng.uniform(), rng.uniform(0.1, 0.3), rng.uniform(0.6, 0.92))
    return hsv(rng.uniform(), rng.uniform(0.3, 0.55), rng.uniform(0.35, 0.75))


STEEL: Colour = Finished((0.62, 0.63, 0.66), METAL)
DARK: Colour = (0.13, 0.13, 0.15)
