"""Common parts of furniture: colours, legs, carcasses, fronts, places for objects."""

from __future__ import annotations

import numpy as np

from training.simulator.rooms.fittings import hinged_front
from training.simulator.rooms.palette import Colour, shade
from training.simulator.rooms.site import Frame

Rng = np.random.Generator


def edge_places(rng: Rng, w: float, y: float, height: float, count: int) -> list[tuple[float, float, float]]:
    """Places for objects along an edge of a piece, within reach."""
    xs = np.linspace(-w + 0.16, w - 0.16, count) + rng.uniform(-0.04, 0.04, count)
    return [(float(x), float(y - rng.uniform(0.0, 0.08)), height) for x in xs]


def legs(frame: Frame, w: float, depth: float, height: float, thick: float, colour: Colour) -> None:
    """Four legs at the corners of a piece."""
    for x in (-w + thick, w - thick):
        for y in (thick, depth - thick):
            frame.box((x - thick / 2, y - thick / 2, 0), (x + thick / 2, y + thick / 2, height), colour)


def carcass(
    frame: Frame, w: float, depth: float, low: float, high: float, colour: Colour, doors: list[str], shelves: int = 1
) -> None:
    """A box open to the front, with shelves inside; what its `doors` hide is rendered only while one is open."""
    t, inner = 0.018, frame.inside(*doors) if doors else frame
    inner.box((-w, 0, low), (w, t, high), shade(colour, 0.75))
    for x in (-w, w - t):
        frame.box((x, 0, low), (x + t, depth, high), colour)
    for z in (low, high - t):
        frame.box((-w, 0, z), (w, depth, z + t), colour)
    for z in np.linspace(low, high - t, shelves + 2)[1:-1]:
        inner.box((-w, t, z), (w, depth, z + t), shade(colour, 0.75))


def fronts(
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
