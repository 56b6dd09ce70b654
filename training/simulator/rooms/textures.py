"""Procedural textures that never repeat, with the light that falls on them baked in.

All textures are uint8 (H, W, 3) RGB. Their detail is 4 to 60 cm large in the room: large enough to be
visible in a 64 px image, small and irregular enough that each patch of wall is a landmark for camera-pose estimation.
A repeated tile would cause false matches.
"""

from __future__ import annotations

import colorsys
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]
Image = NDArray[np.float32]
TEXELS_PER_METRE = 48
GRAINS = 24
_GRAIN_SIZE = 64


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """One RGB colour in [0, 1] from hue, saturation and value in [0, 1]."""
    return colorsys.hsv_to_rgb(hue % 1.0, float(np.clip(saturation, 0, 1)), float(np.clip(value, 0, 1)))


def to_uint8(image: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Colours in [0, 1] to uint8."""
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def texture_size(width_m: float, height_m: float, detail: float = 1.0) -> tuple[int, int]:
    """Width and height in texels of a surface, 32 … 512; `detail` times the usual number in a metre."""
    width, height = (int(np.clip(round(v * TEXELS_PER_METRE * detail), 32, 512)) for v in (width_m, height_m))
    return width, height


def noise(rng: np.random.Generator, width: int, height: int, cell: float) -> Image:
    """Smooth noise in about [-1, 1] whose features are `cell` texels wide: (height, width)."""
    cells = (max(2, round(height / cell)), max(2, round(width / cell)))
    grid = rng.uniform(-1, 1, cells).astype(np.float32)
    return cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)


def blotched(rng: np.random.Generator, colour: Colour, size: tuple[int, int], strength: float) -> Image:
    """A colour varied in lightness by four octaves of noise and a little in tint: (height, width, 3) in [0, 1]."""
    width, height = size
    light = np.zeros((height, width), np.float32)
    for metres, weight in ((1.2, 0.5), (0.4, 0.45), (0.16, 0.5), (0.07, 0.4)):
        light += weight * noise(rng, width, height, metres * TEXELS_PER_METRE)
    tint = cv2.merge([noise(rng, width, height, 0.8 * TEXELS_PER_METRE) for _ in range(3)])
    return np.asarray(colour, np.float32) * (1 + strength * light[..., None]) + 0.35 * strength * tint


def _marks(rng: np.random.Generator, image: Image, count: int, strength: float) -> None:
    """Scatters soft-coloured ellipses and strokes over an image, in place: corners for feature matching."""
    height, width = image.shape[:2]
    places = np.stack([rng.integers(width, size=count), rng.integers(height, size=count)], axis=-1)
    light, tint = rng.uniform(-strength, strength, (count, 1)), rng.uniform(-0.3, 0.3, (count, 3)) * strength
    colours = np.clip(image[places[:, 1], places[:, 0]] * (1 + light) + tint, 0, 1).tolist()
    axes = (rng.uniform(0.02, 0.09, (count, 2)) * TEXELS_PER_METRE + 1).astype(int).tolist()
    for place, axis, angle, colour in zip(places.tolist(), axes, rng.uniform(0, 180, count), colours, strict=True):
        cv2.ellipse(image, place, axis, float(angle), 0, 360, colour, -1)


def wall(rng: np.random.Generator, colour: Colour, accent: Colour, style: str, size: tuple[int, int]) -> Image:
    """A wall seen from inside, top row = top of the wall: (height, width, 3) in [0, 1].

    Args:
        style: "plain"; "panel" (accent below the waist); "fade" (into the accent, sideways); "band" (one stripe);
            "dado" (an accent skirting and rail); "cloud" (patches of the accent).
        size: width and height in texels.
    """
    width, height = size
    image = blotched(rng, colour, size, 0.11)
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    if style in ("panel", "band", "dado", "fade", "cloud"):
        other = blotched(rng, accent, size, 0.11)
        if style == "panel":
            image = np.where(rows > 0.64, other, image)
        elif style == "band":
            image = np.where((rows > 0.30) & (rows < 0.40), other, image)
        elif style == "dado":
            image = np.where((rows > 0.92) | ((rows > 0.60) & (rows < 0.66)), other, image)
        elif style == "fade":
            weight = np.linspace(0, 1, width, dtype=np.float32)[None, :, None] ** 1.5
            image = (1 - weight) * image + weight * other
        else:
            weight = np.clip(0.5 + 2.5 * noise(rng, width, height, 1.0 * TEXELS_PER_METRE), 0, 1)[..., None]
            image = (1 - weight) * image + weight * other
    elif style != "plain":
        raise ValueError(f"unknown wall style {style!r}")
    image = np.ascontiguousarray(image, np.float32)
    _marks(rng, image, int(width * height / 500), 0.16)
    return image


def floor(rng: np.random.Generator, colour: Colour, planks: int, size: tuple[int, int]) -> Image:
    """Boards of many lengths, each of its own shade; `planks` across the whole floor (0 for plain stone)."""
    width, height = size
    image = blotched(rng, colour, size, 0.12)
    if planks:
        row = np.arange(height) * planks // height
        lengths = rng.uniform(0.6, 2.2, (planks, 1)) * TEXELS_PER_METRE
        number = ((np.arange(width) + rng.uniform(0, 300, (planks, 1))) // lengths).astype(int)
        shades = rng.uniform(0.78, 1.1, (planks, int(number.max()) + 1)).astype(np.float32)
        image *= np.take_along_axis(shades, number, axis=1)[row][..., None]
    else:
        _marks(rng, image, int(width * height / 300), 0.2)
    return image


def painting(rng: np.random.Generator, size: tuple[int, int] = (96, 96)) -> Image:
    """A painting: a sky, a ground and many shapes in clear colours."""
    width, height = size
    hue, horizon = rng.uniform(), int(height * rng.uniform(0.4, 0.75))
    image = np.empty((height, width, 3), np.float32)
    image[:horizon] = hsv(hue, 0.45, 0.95)
    image[horizon:] = hsv(hue + rng.uniform(0.3, 0.6), 0.65, 0.6)
    for scale in (*[0.3] * int(rng.integers(2, 4)), *[0.1] * int(rng.integers(4, 9))):
        centre = (int(rng.uniform(0.1, 0.9) * width), int(rng.uniform(0.1, 0.9) * height))
        axes = tuple(int(v) for v in 2 + rng.uniform(0.3, 1.0, 2) * scale * min(size))
        colour = hsv(rng.uniform(), 0.8, rng.uniform(0.4, 1.0))
        cv2.ellipse(image, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    return image


def rug(rng: np.random.Generator, colour: Colour, accent: Colour, size: tuple[int, int]) -> Image:
    """A rug: a border, a medallion and scattered marks in the accent colour."""
    image = blotched(rng, colour, size, 0.12)
    width, height = size
    edge = max(3, width // 16)
    cv2.rectangle(image, (edge, edge), (width - edge - 1, height - edge - 1), accent, edge)
    if rng.uniform() < 0.6:
        cv2.ellipse(image, (width // 2, height // 2), (width // 4, height // 5), 0, 0, 360, accent, -1, cv2.LINE_AA)
    for _ in range(int(rng.integers(10, 30))):
        x, y = int(rng.uniform(0.12, 0.88) * width), int(rng.uniform(0.12, 0.88) * height)
        cv2.circle(image, (x, y), int(rng.integers(2, 6)), hsv(rng.uniform(), 0.6, rng.uniform(0.4, 0.95)), -1)
    return image


def lamp_light(
    size: tuple[int, int], extent: tuple[float, float], lamp: tuple[float, float], distance: float, strength: float
) -> Image:
    """How much of a lamp's light falls on a surface: factors (height, width, 1) about 1, brightest below the lamp.

    Args:
        size: texels. extent: width and height of the surface, metres.
        lamp: the lamp's foot point on the surface, metres from its upper left corner. distance: of the lamp from it.
    """
    x = (np.arange(size[0], dtype=np.float32) + 0.5) * (extent[0] / size[0]) - lamp[0]
    y = (np.arange(size[1], dtype=np.float32) + 0.5) * (extent[1] / size[1]) - lamp[1]
    square = x[None] ** 2 + y[:, None] ** 2 + distance**2
    near = distance / np.sqrt(square) * (4.0 / (1.5 + square))
    return np.asarray(1 + strength * (near - 0.45), np.float32)[..., None]


def darken(image: Image, low: tuple[float, float], high: tuple[float, float], extent: tuple[float, float]) -> None:
    """The soft shadow of a thing over the rectangle low … high (metres from the upper left corner), in place."""
    height, width = image.shape[:2]
    scale = np.array([width / extent[0], height / extent[1]])
    margin = 0.12 * scale
    (x0, y0), (x1, y1) = np.floor(np.array(low) * scale - margin), np.ceil(np.array(high) * scale + margin)
    x0, y0, x1, y1 = max(int(x0), 0), max(int(y0), 0), min(int(x1), width), min(int(y1), height)
    if x1 <= x0 or y1 <= y0:
        return
    edge = 0.13
    x = (np.arange(x0, x1, dtype=np.float32) + 0.5) / scale[0]
    y = (np.arange(y0, y1, dtype=np.float32) + 0.5) / scale[1]
    across = np.clip(0.5 + np.minimum(x - low[0], high[0] - x) / edge, 0, 1)
    along = np.clip(0.5 + np.minimum(y - low[1], high[1] - y) / edge, 0, 1)
    image[y0:y1, x0:x1] *= 1 - 0.45 * (along[:, None] * across)[..., None]


@cache
def grain(index: int) -> NDArray[np.uint8]:
    """One of `GRAINS` greyish surface structures, six faces below one another: (6 * 64, 64, 3), mean about 0.9.

    Furniture multiplies its colour by one of these; they are the same in every room, like wood and cloth are.
    """
    rng = np.random.default_rng([index, 91])
    size = _GRAIN_SIZE
    faces = []
    for _ in range(6):
        stretch = rng.uniform(0.35, 1.0) if index % 2 else 1.0
        light = np.zeros((size, size), np.float32)
        for cell, weight in ((20.0, 0.5), (9.0, 0.5), (5.0, 0.35)):
            rows, columns = max(2, round(size / cell)), max(2, round(size / cell * stretch))
            light += weight * cv2.resize(
                rng.uniform(-1, 1, (rows, columns)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC
            )
        face = np.repeat(0.9 * (1 + 0.13 * light)[..., None], 3, axis=-1)
        _marks(rng, face, 6, 0.3)
        faces.append(to_uint8(face))
    return np.concatenate(faces)
