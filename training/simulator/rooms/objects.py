"""Graspable objects, each of a colour and a kind ("red box"); splits share no pair of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training.simulator.rooms.palette import Colour, shade
from training.simulator.rooms.plan import Target
from training.simulator.rooms.site import BOX, CAPSULE, CYLINDER, ELLIPSOID, Frame, Site, Spot, vector

COLOURS: dict[str, Colour] = {
    "red": (0.85, 0.10, 0.10),
    "orange": (0.98, 0.50, 0.08),
    "yellow": (0.96, 0.85, 0.12),
    "green": (0.12, 0.62, 0.20),
    "blue": (0.12, 0.28, 0.85),
    "purple": (0.50, 0.16, 0.68),
    "pink": (0.96, 0.50, 0.70),
    "white": (0.96, 0.96, 0.96),
    "black": (0.08, 0.08, 0.09),
}
KINDS = ("box", "ball", "mug", "bottle", "book", "bowl", "can")


def split_of(colour: str, kind: str) -> str:
    """The split a (colour, kind) pair belongs to: of each colour five kinds are for train, one for val, one for test.

    Every word occurs in train; no pair of val or test does.
    """
    slot = (2 * list(COLOURS).index(colour) + KINDS.index(kind)) % len(KINDS)
    return {5: "val", 6: "test"}.get(slot, "train")


def pairs_of(split: str) -> list[tuple[str, str]]:
    """The (colour, kind) pairs of a split."""
    return [(colour, kind) for colour in COLOURS for kind in KINDS if split_of(colour, kind) == split]


def sample_objects(rng: np.random.Generator, split: str, count: int) -> list[tuple[str, str]]:
    """Up to 9 random (colour, kind) pairs, each colour once, so that colours identify objects."""
    pairs = []
    for colour in rng.permutation(list(COLOURS))[:count]:
        kinds = [kind for kind in KINDS if split_of(str(colour), kind) == split]
        pairs.append((str(colour), str(rng.choice(kinds))))
    return pairs


def place_object(site: Site, spot: Spot, colour: str, kind: str, rng: np.random.Generator) -> Target:
    """Builds an object on a spot and returns its target, whose id is the name of its MuJoCo body."""
    yaw = float(rng.uniform(-np.pi, np.pi))
    size = _DRAW[kind](rng)
    centre = spot.point + np.array([0.0, 0.0, size[2] / 2])
    name = site.body(site.name(f"{colour}_{kind}"), centre, yaw)
    _BUILD[kind](Frame(site, centre, yaw, name), COLOURS[colour], size)
    return Target(
        f"{colour} {kind}", vector(centre), spot.support, float(spot.point[2]), "object", name, colour,
        room=spot.room, size=size, yaw=yaw, graspable=True,
    )  # fmt: skip


Size = tuple[float, float, float]


def _uniform(low: Size, high: Size) -> Callable[[np.random.Generator], Size]:
    """A sampler of sizes between two; equal first two components stay equal (round things), or all three (balls)."""

    def draw(rng: np.random.Generator) -> Size:
        x, y, z = (float(v) for v in rng.uniform(low, high))
        if low[0] == low[1]:
            y = x
        return (x, y, x if low[0] == low[2] else z)

    return draw


def _box(frame: Frame, colour: Colour, size: Size) -> None:
    half = tuple(v / 2 for v in size)
    frame.geom(BOX, (0, 0, 0), half, colour)
    frame.geom(BOX, (0, 0, half[2]), (half[0] * 1.02, 0.015, 0.004), shade(colour, 0.6), solid=False)


def _ball(frame: Frame, colour: Colour, size: Size) -> None:
    frame.geom(ELLIPSOID, (0, 0, 0), (size[0] / 2, size[1] / 2, size[2] / 2), colour)


def _mug(frame: Frame, colour: Colour, size: Size) -> None:
    radius, half = size[0] / 2, size[2] / 2
    frame.geom(CYLINDER, (0, 0, 0), (radius, half), colour)
    frame.geom(CYLINDER, (0, 0, half), (radius * 0.82, 0.003), shade(colour, 0.35), solid=False)
    frame.geom(CAPSULE, (radius + 0.022, 0, 0), (0.011, half * 0.5), colour, solid=False)
    for z in (-0.5, 0.5):
        frame.geom(BOX, (radius + 0.01, 0, z * half), (0.02, 0.01, 0.01), colour, solid=False)


def _bottle(frame: Frame, colour: Colour, size: Size) -> None:
    radius, half = size[0] / 2, size[2] / 2
    body = 0.62 * size[2]
    frame.geom(CYLINDER, (0, 0, body / 2 - half), (radius, body / 2), colour)
    frame.geom(ELLIPSOID, (0, 0, body - half), (radius, radius, 0.04), colour)
    neck = (size[2] - body) / 2
    frame.geom(CYLINDER, (0, 0, half - neck), (0.015, neck), colour)
    frame.geom(CYLINDER, (0, 0, half - 0.012), (0.02, 0.012), (0.92, 0.92, 0.92))


def _book(frame: Frame, colour: Colour, size: Size) -> None:
    half = tuple(v / 2 for v in size)
    frame.geom(BOX, (0, 0, 0), half, colour)
    frame.geom(BOX, (half[0] * 0.05, 0, 0), (half[0], half[1] * 0.97, half[2] * 0.8), (0.94, 0.92, 0.86))
    frame.geom(BOX, (0, half[1] * 0.2, half[2]), (half[0] * 0.6, half[1] * 0.3, 0.002), shade(colour, 1.5))


def _bowl(frame: Frame, colour: Colour, size: Size) -> None:
    radius, half = size[0] / 2, size[2] / 2
    frame.geom(CYLINDER, (0, 0, -half + 0.01), (radius * 0.5, 0.01), shade(colour, 0.8))
    frame.geom(ELLIPSOID, (0, 0, 0), (radius, radius, half), colour)
    frame.geom(CYLINDER, (0, 0, half * 0.8), (radius * 0.8, half * 0.2), colour)
    frame.geom(CYLINDER, (0, 0, half), (radius * 0.7, 0.002), shade(colour, 0.45), solid=False)


def _can(frame: Frame, colour: Colour, size: Size) -> None:
    radius, half = size[0] / 2, size[2] / 2
    frame.geom(CYLINDER, (0, 0, 0), (radius, half * 0.94), colour)
    for z in (-half * 0.97, half * 0.97):
        frame.geom(CYLINDER, (0, 0, z), (radius * 0.95, half * 0.03), (0.75, 0.76, 0.78))
    frame.geom(CYLINDER, (0, 0, 0), (radius * 1.01, half * 0.25), shade(colour, 1.45), solid=False)


_DRAW = {
    "box": _uniform((0.09, 0.08, 0.09), (0.14, 0.13, 0.15)),
    "ball": _uniform((0.12, 0.12, 0.12), (0.16, 0.16, 0.16)),
    "mug": _uniform((0.084, 0.084, 0.10), (0.1, 0.1, 0.12)),
    "bottle": _uniform((0.07, 0.07, 0.25), (0.088, 0.088, 0.31)),
    "book": _uniform((0.15, 0.2, 0.03), (0.19, 0.25, 0.05)),
    "bowl": _uniform((0.15, 0.15, 0.06), (0.2, 0.2, 0.08)),
    "can": _uniform((0.066, 0.066, 0.11), (0.075, 0.075, 0.15)),
}
_BUILD = {"box": _box, "ball": _ball, "mug": _mug, "bottle": _bottle, "book": _book, "bowl": _bowl, "can": _can}
