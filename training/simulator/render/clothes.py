"""What the wearer has on: colours and patterns of sleeves, shirt, trousers and shoes, gloves, and skin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import mujoco
import numpy as np
from numpy.typing import NDArray

from training.simulator.rooms.grains import add_cube
from training.simulator.rooms.palette import Colour, hsv
from training.simulator.rooms.textures import noise, to_uint8

PLAIN = "matte"
PATTERNS = (PLAIN, "woven", "knitted", "denim", "rings", "stripes", "checks", "blocks")
"""Materials of cloth; all but `PLAIN` are cube textures that multiply the colour."""
_SIDE = 48


@dataclass(frozen=True)
class Clothing:
    """Colours of a wearer's parts, RGB in [0, 1]; `sleeve` is the skin's colour with short sleeves.

    Attributes:
        glove: colour of the hands; None for bare hands. pattern, legs: of shirt and trousers, one of `PATTERNS`.
    """

    skin: Colour
    shirt: Colour
    sleeve: Colour
    trousers: Colour
    shoes: Colour
    hair: Colour
    glove: Colour | None = None
    pattern: str = PLAIN
    legs: str = PLAIN

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Clothing:
        """A random wearer."""
        light, dark = np.array((0.94, 0.77, 0.66)), np.array((0.33, 0.21, 0.15))
        tone = rng.uniform()
        red, green, blue = ((1 - tone) * light + tone * dark) * rng.uniform(0.92, 1.05)
        skin = (float(red), float(green), float(blue))
        shirt = _cloth(rng)
        return cls(
            skin=skin,
            shirt=shirt,
            sleeve=shirt if rng.uniform() < 0.65 else skin,
            trousers=_cloth(rng) if rng.uniform() < 0.4 else hsv(0.6, rng.uniform(0.1, 0.6), rng.uniform(0.12, 0.5)),
            shoes=hsv(rng.uniform(), rng.uniform(0.0, 0.4) ** 1.5, rng.uniform(0.08, 0.95)),
            hair=hsv(rng.uniform(0.03, 0.1), rng.uniform(0.3, 0.8), rng.uniform(0.08, 0.6)),
            glove=_cloth(rng) if rng.uniform() < 0.04 else None,
            pattern=str(rng.choice(PATTERNS)),
            legs=str(rng.choice(["woven", "denim", PLAIN, "checks"], p=[0.4, 0.35, 0.2, 0.05])),
        )

    def material(self, part: str) -> str:
        """The pattern of a part ("shirt", "sleeve", ...)."""
        if part == "trousers":
            return self.legs
        return self.pattern if part == "shirt" or (part == "sleeve" and self.sleeve == self.shirt) else PLAIN


def _cloth(rng: np.random.Generator) -> Colour:
    """A colour of clothes: black, grey, white, navy, earthy, or clear."""
    kind = rng.uniform()
    if kind < 0.4:
        return hsv(rng.uniform(), rng.uniform(0, 0.12), rng.uniform(0.07, 0.95))
    if kind < 0.55:
        return hsv(rng.uniform(0.56, 0.68), rng.uniform(0.3, 0.7), rng.uniform(0.12, 0.5))
    if kind < 0.7:
        return hsv(rng.uniform(0.03, 0.14), rng.uniform(0.2, 0.6), rng.uniform(0.2, 0.75))
    return hsv(rng.uniform(), rng.uniform(0.3, 0.85), rng.uniform(0.3, 0.9))


def add_patterns(spec: mujoco.MjSpec) -> None:
    """Adds the materials of `PATTERNS` that the specification lacks."""
    for name in PATTERNS:
        if name != PLAIN and spec.material(name) is None:
            add_cube(spec, name, pattern(name))


@cache
def pattern(name: str) -> NDArray[np.uint8]:
    """A cloth as six faces below one another, (6 * side, side, 3), with soft folds."""
    rng = np.random.default_rng([PATTERNS.index(name), 92])
    return np.concatenate([to_uint8(_face(name, rng)) for _ in range(6)])


def _face(name: str, rng: np.random.Generator) -> NDArray[np.float32]:
    light = np.ones((_SIDE, _SIDE, 3), np.float32)
    if name == "denim":
        light *= 0.85 + 0.25 * (noise(rng, _SIDE, _SIDE, 2) > 0)[..., None]
    elif name == "knitted":
        light *= _bars(2, 0.78)
    elif name == "rings":
        light *= _bars(6, 0.4)
    elif name == "stripes":
        light *= np.swapaxes(_bars(4, 0.55), 0, 1)
    elif name == "checks":
        light *= _bars(8, 0.6) * np.swapaxes(_bars(8, 0.6), 0, 1)
    elif name == "blocks":
        light[: _SIDE // 2] *= (0.5, 0.55, 0.7)
    fine = rng.normal(0, 0.04, (_SIDE, _SIDE, 1))
    folds = cv2.GaussianBlur(noise(rng, _SIDE, _SIDE, 9), (0, 0), 1.0)[..., None]
    return np.asarray(0.94 * light * (1 + 0.12 * folds + fine), np.float32)


def _bars(wide: int, dark: float) -> NDArray[np.float64]:
    """Rows that are alternately 1 and `dark`: (side, 1, 1)."""
    return np.where((np.arange(_SIDE) // wide) % 2, 1.0, dark)[:, None, None]
