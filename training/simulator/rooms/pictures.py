"""What hangs on walls and stands on desks: photographs, prints, paintings, screens, views through windows.

All are float32 (height, width, 3) RGB in [0, 1].
"""

from __future__ import annotations

import cv2
import numpy as np

from training.simulator.rooms.palette import Colour, hsv
from training.simulator.rooms.photographs import PLACE, VIEW, Image, crop, names_of

Rng = np.random.Generator
Size = tuple[int, int]


def picture(rng: Rng, split: str, size: Size) -> Image:
    """A framed photograph, painting or print, often with a margin of card around it."""
    kind = rng.uniform()
    if kind < 0.5:
        name = str(rng.choice(names_of(VIEW, split) + names_of(PLACE, split)))
        image = crop(name, rng, size[0] / size[1], size, float(rng.uniform(0.5, 1.0)))
        if rng.uniform() < 0.3:
            image = np.repeat(image.mean(axis=-1, keepdims=True), 3, axis=-1)
        image = image * float(rng.uniform(0.6, 1.0))
    elif kind < 0.8:
        image = painting(rng, size)
    else:
        image = page(rng, size)
    if rng.uniform() < 0.5:
        edge = max(2, round(rng.uniform(0.06, 0.18) * min(size)))
        card = np.full_like(image, rng.uniform(0.8, 0.97))
        inner = (size[0] - 2 * edge, size[1] - 2 * edge)
        card[edge:-edge, edge:-edge] = cv2.resize(np.ascontiguousarray(image), inner, interpolation=cv2.INTER_AREA)
        image = card
    return np.ascontiguousarray(image, np.float32)


def painting(rng: Rng, size: Size) -> Image:
    """A painting: a sky, a ground and many shapes, in colours that go together."""
    width, height = size
    hue, horizon, clear = rng.uniform(), int(height * rng.uniform(0.3, 0.8)), rng.uniform(0.1, 0.9)
    image = np.empty((height, width, 3), np.float32)
    image[:horizon] = hsv(hue, 0.4 * clear, rng.uniform(0.5, 0.95))
    image[horizon:] = hsv(hue + rng.normal(0, 0.2), 0.7 * clear, rng.uniform(0.2, 0.7))
    for scale in (*[0.3] * int(rng.integers(2, 4)), *[0.1] * int(rng.integers(4, 14))):
        centre = (int(rng.uniform(0, 1) * width), int(rng.uniform(0, 1) * height))
        axes = tuple(int(v) for v in 2 + rng.uniform(0.2, 1.0, 2) * scale * min(size))
        colour = hsv(hue + rng.normal(0, 0.15), clear * rng.uniform(0.2, 1), rng.uniform(0.1, 1.0))
        cv2.ellipse(image, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    return image


def page(rng: Rng, size: Size) -> Image:
    """A printed page, poster or window of a program: blocks of lines, a headline, a coloured block."""
    width, height = size
    dark = rng.uniform() < 0.3
    paper, ink = (0.12, 0.85) if dark else (rng.uniform(0.85, 1.0), rng.uniform(0.1, 0.5))
    image = np.full((height, width, 3), paper, np.float32)
    y = int(height * 0.08)
    while y < height * 0.92:
        thick = int(rng.choice([1, 1, 1, 2, 3]))
        x = int(width * 0.08)
        while x < width * 0.9:
            word = int(rng.integers(2, max(3, width // 7)))
            image[y : y + thick, x : min(x + word, int(width * 0.92))] = ink
            x += word + 2
            if rng.uniform() < 0.1:
                break
        y += thick + int(rng.integers(2, 5))
    for _ in range(int(rng.integers(0, 3))):
        low = (rng.uniform(0.05, 0.6, 2) * size).astype(int)
        high = low + (rng.uniform(0.1, 0.45, 2) * size).astype(int)
        block: Colour = hsv(rng.uniform(), rng.uniform(0.2, 0.8), rng.uniform(0.3, 0.95))
        cv2.rectangle(image, low.tolist(), high.tolist(), block, -1)
    return image


def screen(rng: Rng, split: str, size: Size) -> Image:
    """A screen: programs, a photograph, or off and nearly black with a reflection."""
    kind = rng.uniform()
    if kind < 0.4:
        return np.ascontiguousarray(page(rng, size) * float(rng.uniform(0.7, 1.0)))
    if kind < 0.7:
        name = str(rng.choice(names_of(VIEW, split) + names_of(PLACE, split)))
        return crop(name, rng, size[0] / size[1], size, float(rng.uniform(0.6, 1.0)))
    slope = np.linspace(0, 1, size[0], dtype=np.float32)[None, :, None] * rng.uniform(0, 0.1)
    return np.broadcast_to(0.04 + slope, (size[1], size[0], 3)).astype(np.float32)


def view(rng: Rng, split: str, size: Size, day: float) -> Image:
    """What a window shows: outdoors, overexposed by day as cameras see it; blinds or a net curtain in some.

    Args:
        day: 0 night … 1 bright day.
    """
    image = crop(str(rng.choice(names_of(VIEW, split))), rng, size[0] / size[1], size, float(rng.uniform(0.6, 1.0)))
    exposure = 0.06 + day * rng.uniform(0.7, 2.2)
    image = np.clip(image * exposure, 0, 1)
    kind, height = rng.uniform(), size[1]
    if kind < 0.2:  # slats of a blind
        slats = (np.arange(height) * rng.uniform(0.1, 0.2)) % 1 < rng.uniform(0.4, 0.75)
        image = np.where(slats[:, None, None], 0.25 + 0.65 * day, image)
    elif kind < 0.4:
        image = 0.4 * image + 0.6 * (0.2 + 0.75 * day)
    elif kind < 0.5:  # half closed roller blind
        image[: int(height * rng.uniform(0.2, 0.6))] = hsv(rng.uniform(0.05, 0.15), 0.12, 0.3 + 0.6 * day)
    return np.ascontiguousarray(image, np.float32)
