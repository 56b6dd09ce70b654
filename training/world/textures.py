"""Procedural textures that never repeat: smooth blotches over one colour, so each patch of wall is a landmark.

All textures are uint8 (H, W, 3) RGB. They hold only low frequencies: at 64 px a fine grain would be noise to a
small video model, and a repeated tile would give camera-pose estimation false matches.
"""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]
TEXTURE_SIZE = 128


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """One RGB colour in [0, 1] from hue, saturation and value in [0, 1]."""
    return colorsys.hsv_to_rgb(hue % 1.0, float(np.clip(saturation, 0, 1)), float(np.clip(value, 0, 1)))


def smooth_noise(rng: np.random.Generator, cells: int, size: int = TEXTURE_SIZE) -> NDArray[np.float32]:
    """Noise in about [-1, 1] whose features are `size / cells` pixels wide: (size, size)."""
    grid = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
    return cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)


def blotched(rng: np.random.Generator, colour: Colour, strength: float, cells: int = 6) -> NDArray[np.uint8]:
    """A colour varied in lightness and a little in tint by two octaves of smooth noise."""
    light = 0.7 * smooth_noise(rng, cells) + 0.3 * smooth_noise(rng, 2 * cells)
    tint = np.stack([smooth_noise(rng, max(cells // 2, 2)) for _ in range(3)], axis=-1)
    image = np.asarray(colour, np.float32) * (1 + strength * light[..., None]) + 0.35 * strength * tint
    return to_uint8(image)


def wall(rng: np.random.Generator, colour: Colour, accent: Colour, style: str) -> NDArray[np.uint8]:
    """A wall seen from inside, top row = top of the wall.

    Args:
        style: "plain", "panel" (accent below the waist), "fade" (into the accent, sideways) or "band" (one stripe).
    """
    image = blotched(rng, colour, 0.10).astype(np.float32)
    other = blotched(rng, accent, 0.10).astype(np.float32)
    rows = np.linspace(0, 1, TEXTURE_SIZE, dtype=np.float32)[:, None, None]
    if style == "panel":
        image = np.where(rows > 0.64, other, image)
    elif style == "band":
        image = np.where((rows > 0.30) & (rows < 0.40), other, image)
    elif style == "fade":
        weight = np.swapaxes(rows, 0, 1) ** 1.5
        image = (1 - weight) * image + weight * other
    elif style != "plain":
        raise ValueError(f"unknown wall style {style!r}")
    return image.astype(np.uint8)


def floor(rng: np.random.Generator, colour: Colour, planks: int) -> NDArray[np.uint8]:
    """Broad boards, each of its own shade; `planks` across the whole floor (0 for plain stone)."""
    image = blotched(rng, colour, 0.14, cells=8).astype(np.float32)
    if planks:
        shades = rng.uniform(0.82, 1.08, planks).astype(np.float32)
        image = image * shades[np.arange(TEXTURE_SIZE) * planks // TEXTURE_SIZE][:, None, None]
    return np.clip(image, 0, 255).astype(np.uint8)


def painting(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture for the wall: a sky, a ground and a few large shapes in clear colours."""
    size, hue = TEXTURE_SIZE, rng.uniform()
    image = np.empty((size, size, 3), np.uint8)
    horizon = int(size * rng.uniform(0.4, 0.75))
    image[:horizon] = to_uint8(np.array(hsv(hue, 0.45, 0.95)))
    image[horizon:] = to_uint8(np.array(hsv(hue + rng.uniform(0.3, 0.6), 0.65, 0.6)))
    for _ in range(rng.integers(2, 4)):
        centre = tuple(int(v) for v in rng.uniform(0.15 * size, 0.85 * size, 2))
        colour = tuple(int(v) for v in to_uint8(np.array(hsv(rng.uniform(), 0.8, rng.uniform(0.6, 1.0)))))
        axes = tuple(int(v) for v in rng.uniform(0.12 * size, 0.3 * size, 2))
        cv2.ellipse(image, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    return image


def rug(rng: np.random.Generator, colour: Colour, accent: Colour) -> NDArray[np.uint8]:
    """A rug: a border and a medallion in the accent colour."""
    image = blotched(rng, colour, 0.10)
    size = TEXTURE_SIZE
    border = tuple(int(v) for v in to_uint8(np.array(accent)))
    cv2.rectangle(image, (6, 6), (size - 7, size - 7), border, 9)
    if rng.uniform() < 0.6:
        cv2.ellipse(image, (size // 2, size // 2), (size // 4, size // 5), 0, 0, 360, border, -1, cv2.LINE_AA)
    return image


def to_uint8(image: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Colours in [0, 1] to uint8."""
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
