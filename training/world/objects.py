"""Graspable objects: a colour and a kind, named as people say it ("red box"); some pairs are for the test split."""

from __future__ import annotations

import numpy as np

from training.world.furniture import BOX, CAPSULE, CYLINDER, ELLIPSOID, Frame, Spot, shade
from training.world.plan import Target
from training.world.textures import Colour

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
KINDS = ("box", "ball", "mug", "bottle")
TEST_ONLY = frozenset({("purple", "box"), ("orange", "ball"), ("green", "mug"), ("yellow", "bottle")})
"""Pairs never seen in train or val; both words of each pair are."""


def draw_objects(rng: np.random.Generator, split: str, count: int) -> list[tuple[str, str]]:
    """`count` different (colour, kind) pairs; each colour once, so that a colour alone tells objects apart."""
    colours = rng.permutation(list(COLOURS))[:count]
    pairs = []
    for colour in colours:
        kinds = [kind for kind in KINDS if split == "test" or (str(colour), kind) not in TEST_ONLY]
        pairs.append((str(colour), str(rng.choice(kinds))))
    return pairs


def place_object(frame: Frame, spot: Spot, colour: str, kind: str, rng: np.random.Generator) -> Target:
    """Build the object standing on the spot and return what a hand would reach for."""
    rgb = COLOURS[colour]
    local = Frame(frame.spec, spot.point, float(rng.uniform(0, np.pi)))
    centre = _BUILDERS[kind](local, rgb, rng)
    x, y, z = (float(v) for v in local.point(0, 0, centre))
    return Target(f"{colour} {kind}", (x, y, z), spot.support, float(spot.point[2]))


def _box(frame: Frame, colour: Colour, rng: np.random.Generator) -> float:
    half = rng.uniform(0.055, 0.08, 3)
    frame.geom(BOX, (0, 0, half[2]), tuple(half), colour)
    frame.geom(BOX, (0, 0, 2 * half[2]), (half[0] * 1.02, 0.015, 0.004), shade(colour, 0.6))
    return float(half[2])


def _ball(frame: Frame, colour: Colour, rng: np.random.Generator) -> float:
    radius = rng.uniform(0.06, 0.085)
    frame.geom(ELLIPSOID, (0, 0, radius), (radius, radius, radius), colour)
    return float(radius)


def _mug(frame: Frame, colour: Colour, rng: np.random.Generator) -> float:
    radius, half = rng.uniform(0.042, 0.052), rng.uniform(0.05, 0.062)
    frame.geom(CYLINDER, (0, 0, half), (radius, half), colour)
    frame.geom(CYLINDER, (0, 0, 2 * half), (radius * 0.82, 0.003), shade(colour, 0.35))
    frame.geom(CAPSULE, (radius + 0.022, 0, half), (0.011, half * 0.5), colour)
    for z in (0.5, 1.5):
        frame.geom(BOX, (radius + 0.01, 0, z * half), (0.02, 0.01, 0.01), colour)
    return float(half)


def _bottle(frame: Frame, colour: Colour, rng: np.random.Generator) -> float:
    radius, half = rng.uniform(0.036, 0.045), rng.uniform(0.085, 0.11)
    frame.geom(CYLINDER, (0, 0, half), (radius, half), colour)
    frame.geom(ELLIPSOID, (0, 0, 2 * half), (radius, radius, 0.04), colour)
    frame.geom(CYLINDER, (0, 0, 2 * half + 0.05), (0.015, 0.04), colour)
    frame.geom(CYLINDER, (0, 0, 2 * half + 0.1), (0.02, 0.015), (0.92, 0.92, 0.92))
    return float(half)


_BUILDERS = {"box": _box, "ball": _ball, "mug": _mug, "bottle": _bottle}
