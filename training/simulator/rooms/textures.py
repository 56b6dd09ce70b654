"""Textures of walls, floors, ceilings and rugs: photographed surfaces in a room's own colours, sizes and patterns.

All are float32 (height, width, 3) RGB in [0, 1], before the light (see `lighting`). Photographs repeat mirrored, from a
random start, under spots and streaks that do not repeat: a repeated tile would cause false matches in camera-pose
estimation. Which photographs and which patterns are used depends on the split.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.simulator.rooms.palette import Colour, carpet, fabric, hsv, shade, wall_paint, wood
from training.simulator.rooms.photographs import PHOTOGRAPHS, Image, names_of, photograph, relief, spread

TEXELS_PER_METRE = 56
WALL_STYLES = {
    "train": ("plain", "accent", "panel", "striped", "bricks"),
    "val": ("dado", "dotted"),
    "test": ("band", "diamonds"),
}
"""Patterns of walls; none is in two splits."""
_TILES = {"train": ((0.15, 0.15), (0.2, 0.1)), "val": ((0.1, 0.1),), "test": ((0.3, 0.2),)}
_SKIRTING, _JOINT = 0.09, 0.005


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


def uneven(rng: np.random.Generator, size: tuple[int, int], strength: float) -> Image:
    """Factors about 1 for use, dust and unevenness: (height, width, 1)."""
    width, height = size
    light = sum(
        weight * noise(rng, width, height, metres * TEXELS_PER_METRE)
        for metres, weight in ((1.2, 0.5), (0.4, 0.4), (0.12, 0.35))
    )
    return np.asarray(1 + strength * light, np.float32)[..., None]


def covered(
    rng: np.random.Generator, kind: str, split: str, colour: Colour, size: tuple[int, int], strength: float = 1.0
) -> Image:
    """A photographed surface of a kind, in a colour, with marks of use."""
    name = str(rng.choice(names_of(kind, split)))
    detail = spread(relief(name), PHOTOGRAPHS[name].metres, size, TEXELS_PER_METRE, rng)
    return np.asarray(colour, np.float32) * (1 + strength * (detail - 1)) * uneven(rng, size, 0.035)


def wall(
    rng: np.random.Generator, paint: Colour, style: str, split: str, size: tuple[int, int], height: float
) -> Image:
    """A wall seen from inside, top row = top of the wall.

    Args:
        style: one of `WALL_STYLES`, or "tiles".
        size: width and height in texels. height: of the wall, metres.
    """
    image = covered(rng, "plaster", split, paint, size, float(rng.uniform(0.3, 1.0)))
    other = wall_paint(rng)
    rows = np.linspace(height, 0, size[1], dtype=np.float32)[:, None, None]  # metres over the floor
    x = np.arange(size[0], dtype=np.float32)[None, :, None] / TEXELS_PER_METRE
    if style == "bricks":
        image = covered(rng, "masonry", split, paint, size)
    elif style == "tiles":
        image = tiles(rng, split, hsv(rng.uniform(), rng.uniform(0, 0.2), rng.uniform(0.6, 0.95)), size)
    elif style in ("panel", "dado"):
        rail = float(rng.uniform(0.85, 1.15))
        lower = covered(rng, "wood", split, other, size, 0.5)
        if style == "panel":  # boards with grooves
            lower = lower * np.where(x % rng.uniform(0.09, 0.3) < 0.016, 0.72, 1.0)
        image = np.where(rows < rail, lower, image)
        image = np.where(np.abs(rows - rail) < 0.03, np.asarray(shade(other, 1.1)), image)
    elif style == "striped":
        pitch = rng.uniform(0.08, 0.4)
        image = np.where(x % pitch < pitch * rng.uniform(0.3, 0.6), image * rng.uniform(0.85, 0.97), image)
    elif style in ("dotted", "diamonds"):
        image = image * _wallpaper(rng, style, size)
    elif style == "band":
        image = np.where(np.abs(rows - rng.uniform(1.9, 2.2)) < 0.09, np.asarray(other), image)
    elif style not in ("plain", "accent"):
        raise ValueError(f"unknown wall style {style!r}")
    return _trimmed(rng, image, rows)


def _wallpaper(rng: np.random.Generator, style: str, size: tuple[int, int]) -> Image:
    """Factors of a printed pattern: (height, width, 1)."""
    pitch = float(rng.uniform(0.12, 0.3)) * TEXELS_PER_METRE
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float32) / pitch
    if style == "dotted":
        x = x + 0.5 * (np.floor(y) % 2)
        inside = np.hypot(x % 1 - 0.5, y % 1 - 0.5) < rng.uniform(0.16, 0.32)
    else:
        inside = np.minimum(np.abs((x + y) % 1 - 0.5), np.abs((x - y) % 1 - 0.5)) < rng.uniform(0.05, 0.12)
    return np.where(inside, rng.uniform(0.75, 0.95), 1.0).astype(np.float32)[..., None]


def _trimmed(rng: np.random.Generator, image: Image, rows: Image) -> Image:
    """A wall with its skirting board, and a socket or switch."""
    white = np.asarray(hsv(0.1, 0.03, rng.uniform(0.75, 0.97)) if rng.uniform() < 0.7 else wood(rng), np.float32)
    high = _SKIRTING * rng.uniform(0.7, 1.5)
    image = np.where(rows < high, white, image)
    image = np.ascontiguousarray(np.where(np.abs(rows - high) < 0.01, 0.75 * image, image), np.float32)
    for _ in range(int(rng.integers(0, 3))):
        side, width = max(3, round(0.08 * TEXELS_PER_METRE)), image.shape[1]
        at = float(rng.choice([0.3, 1.1]))
        top = int(np.argmin(np.abs(rows[:, 0, 0] - at)))
        left = int(rng.integers(max(1, width - side)))
        image[top : top + side, left : left + side] = (0.93, 0.92, 0.9)
        cv2.rectangle(image, (left, top), (left + side - 1, top + side - 1), (0.68, 0.67, 0.65), 1)
    return image


def tiles(rng: np.random.Generator, split: str, colour: Colour, size: tuple[int, int], large: float = 1.0) -> Image:
    """Tiles, each of its own shade, in a grid or a bond, with joints."""
    across, along = (
        max(3.0, v * large * TEXELS_PER_METRE) for v in _TILES[split][int(rng.integers(len(_TILES[split])))]
    )
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float32)
    row = y // along
    x = x + (0.5 * across * (row % 2) if rng.uniform() < 0.5 else 0)
    column = x // across
    shades = 1 + rng.uniform(0.01, 0.05) * rng.standard_normal((int(row.max()) + 1, int(column.max()) + 1))
    image = np.asarray(colour, np.float32) * shades[row.astype(int), column.astype(int)].astype(np.float32)[..., None]
    if large > 1 and rng.uniform() < 0.3:  # every other tile of a floor in a second colour
        image = np.where(((row + column) % 2 == 0)[..., None], image * rng.uniform(0.4, 0.9), image)
    image = image * uneven(rng, size, 0.04)
    joint = (x % across < 1.0) | (y % along < 1.0)
    return np.where(joint[..., None], image * rng.uniform(0.6, 0.85), image).astype(np.float32)


def floor(rng: np.random.Generator, kind: str, split: str, size: tuple[int, int]) -> Image:
    """A floor of a kind of room: boards, planks of many lengths, parquet, carpet, tiles or stone."""
    wet = kind == "kitchen"
    choice = str(rng.choice(["boards", "planks", "carpet", "tiles", "stone"],
                            p=[0.25, 0.2, 0.0, 0.4, 0.15] if wet else [0.32, 0.33, 0.25, 0.06, 0.04]))  # fmt: skip
    if choice == "boards":
        names = names_of("boards", split) + names_of("parquet", split)
        return _laid(rng, str(rng.choice(names)), size)
    if choice == "planks":
        return planks(rng, wood(rng), split, size)
    if choice == "carpet":
        return covered(rng, "cloth", split, carpet(rng), size, 0.8) * uneven(rng, size, 0.05)
    if choice == "tiles":
        return tiles(rng, split, hsv(rng.uniform(0.02, 0.15), rng.uniform(0, 0.3), rng.uniform(0.4, 0.9)), size, 2.4)
    grey = hsv(rng.uniform(0.05, 0.15), rng.uniform(0, 0.15), rng.uniform(0.4, 0.8))
    return covered(rng, "plaster", split, grey, size, 1.5) * uneven(rng, size, 0.08)


def _laid(rng: np.random.Generator, name: str, size: tuple[int, int]) -> Image:
    """A photographed floor, in part stained in another colour."""
    image = spread(photograph(name), PHOTOGRAPHS[name].metres, size, TEXELS_PER_METRE, rng)
    own, wanted = photograph(name).mean(axis=(0, 1)), np.asarray(wood(rng))
    tint = (wanted / own) ** rng.uniform(0.2, 1.0)
    tint *= min(1.0, 1.6 / tint.max())  # more would multiply the photograph's contrast
    return image * tint.astype(np.float32) * uneven(rng, size, 0.05)


def planks(rng: np.random.Generator, colour: Colour, split: str, size: tuple[int, int]) -> Image:
    """Boards of many lengths, each of its own shade and grain, with joints."""
    width, height = size
    image = covered(rng, "wood", split, colour, size)
    wide = rng.uniform(0.09, 0.24) * TEXELS_PER_METRE
    row = (np.arange(height) / wide).astype(int)
    count = int(row.max()) + 1
    lengths = rng.uniform(0.6, 2.2, (count, 1)) * TEXELS_PER_METRE
    number = ((np.arange(width) + rng.uniform(0, 300, (count, 1))) // lengths).astype(int)
    shades = rng.uniform(0.8, 1.1, (count, int(number.max()) + 1)).astype(np.float32)
    image = image * np.take_along_axis(shades, number, axis=1)[row][..., None]
    joint = np.diff(row, prepend=0)[:, None] | np.diff(number, axis=1, prepend=number[:, :1])[row]
    return np.where((joint != 0)[..., None], image * 0.7, image).astype(np.float32)


def ceiling(rng: np.random.Generator, split: str, size: tuple[int, int]) -> Image:
    """White or nearly white plaster, seldom boards."""
    if rng.uniform() < 0.06:
        return covered(rng, "wood", split, wood(rng), size, 0.6)
    return covered(rng, "plaster", split, hsv(0.12, rng.uniform(0, 0.05), rng.uniform(0.82, 0.98)), size, 0.35)


def rug(rng: np.random.Generator, split: str, size: tuple[int, int]) -> Image:
    """A woven rug: plain, striped, or with borders and a pattern that is the same in its four quarters."""
    ground, accent, third = fabric(rng), fabric(rng), fabric(rng)
    image = covered(rng, "cloth", split, ground, size, 0.7)
    width, height = size
    kind = rng.uniform()
    if kind < 0.3:
        position = np.arange(width)[None, :, None] / width * rng.integers(5, 16)
        image = np.where(position % 1 < rng.uniform(0.3, 0.6), image, image * 0.3 + 0.7 * np.asarray(accent))
    elif kind < 0.8:
        quarter = noise(rng, (width + 1) // 2, (height + 1) // 2, rng.uniform(5, 12))
        field = np.concatenate([quarter, quarter[:, ::-1]], axis=1)
        field = np.concatenate([field, field[::-1]], axis=0)[:height, :width, None]
        image = np.where(field > 0.25, image * 0.3 + 0.7 * np.asarray(accent), image)
        image = np.where(field < -0.35, image * 0.3 + 0.7 * np.asarray(third), image)
    image = np.ascontiguousarray(image, np.float32)
    if kind >= 0.3:
        for inset, colour in ((max(2, width // 24), accent), (max(4, width // 9), third)):
            cv2.rectangle(image, (inset, inset), (width - inset - 1, height - inset - 1), colour, max(1, width // 40))
    return image
