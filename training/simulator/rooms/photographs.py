"""Photographs of surfaces and places that rooms are covered with; each belongs to one split.

The files in assets/ are made by `photograph_assets`; assets/ORIGIN.md says where each comes from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
ASSETS = Path(__file__).parent / "assets"
VIEW, PLACE = "view", "place"


@dataclass(frozen=True)
class Photograph:
    """What a file shows.

    Attributes:
        kind: of surface; "view" for a panorama outdoors, "place" for one indoors.
        split: the only split whose rooms use it. metres: of surface along a side; 0 for panoramas.
    """

    kind: str
    split: str
    metres: float = 0.0

    @property
    def is_panorama(self) -> bool:
        return self.kind in (VIEW, PLACE)


PHOTOGRAPHS: dict[str, Photograph] = {
    "cream-plaster": Photograph("plaster", "train", 2.2),
    "light-gray-plaster": Photograph("plaster", "train", 1.6),
    "pink-plaster": Photograph("plaster", "train", 2.0),
    "white-plaster": Photograph("plaster", "train", 1.0),
    "gray-plaster": Photograph("plaster", "val", 2.0),
    "yellow-plaster": Photograph("plaster", "test", 2.0),
    "white-bricks": Photograph("masonry", "train", 0.9),
    "clay": Photograph("masonry", "val", 0.7),
    "dirt": Photograph("masonry", "test", 1.4),
    "light-wood": Photograph("boards", "train", 1.4),
    "dark-wood": Photograph("boards", "train", 0.7),
    "wood-varnished-panels": Photograph("boards", "val", 1.2),
    "light-gray-floor-tile": Photograph("boards", "test", 1.1),
    "wood-tiles": Photograph("parquet", "train", 1.0),
    "green-wood": Photograph("wood", "train", 0.6),
    "red-wood": Photograph("wood", "train", 0.9),
    "blue-wood": Photograph("wood", "val", 0.8),
    "gray-woodgrain": Photograph("wood", "test", 0.6),
    "gray-felt": Photograph("cloth", "train", 0.4),
    "bread": Photograph("cloth", "val", 0.5),
    "lemon": Photograph("cloth", "test", 0.5),
    "metal": Photograph("metal", "train", 0.5),
    "steel-brushed": Photograph("metal", "train", 0.5),
    "steel-scratched": Photograph("metal", "val", 0.7),
    "brass-ambra": Photograph("metal", "test", 0.5),
    "city": Photograph(VIEW, "train"),
    "forest": Photograph(VIEW, "train"),
    "night": Photograph(VIEW, "train"),
    "park": Photograph(VIEW, "train"),
    "sky": Photograph(VIEW, "train"),
    "sunrise": Photograph(VIEW, "train"),
    "dawn": Photograph(VIEW, "val"),
    "venice": Photograph(VIEW, "val"),
    "sunset": Photograph(VIEW, "test"),
    "apartment": Photograph(PLACE, "train"),
    "bridge": Photograph(PLACE, "train"),
    "esplanade": Photograph(PLACE, "train"),
    "hall": Photograph(PLACE, "train"),
    "warehouse": Photograph(PLACE, "train"),
    "workshop": Photograph(PLACE, "train"),
    "lab": Photograph(PLACE, "val"),
    "lobby": Photograph(PLACE, "test"),
}


def names_of(kind: str, split: str) -> list[str]:
    """Photographs of a kind that a split's rooms use, in the order of their names."""
    return sorted(name for name, about in PHOTOGRAPHS.items() if (about.kind, about.split) == (kind, split))


@cache
def photograph(name: str) -> Image:
    """A photograph, (H, W, 3) RGB in [0, 1]; read once per process, not to be written to."""
    image = cv2.cvtColor(cv2.imread(str(ASSETS / f"{name}.jpg")), cv2.COLOR_BGR2RGB)
    result = image.astype(np.float32) / 255
    result.flags.writeable = False
    return result


@cache
def relief(name: str) -> Image:
    """A surface's own light and dark, (H, W, 3) with mean 1: multiplied by a colour it is that surface, painted."""
    image = photograph(name)
    detail = image / np.maximum(image.mean(axis=(0, 1)), 0.02)
    slow = cv2.GaussianBlur(detail, (0, 0), len(detail) / 4, borderType=cv2.BORDER_REFLECT)
    result = np.clip(detail / np.maximum(slow, 0.1), 0.25, 2.0).astype(np.float32)
    # Chroma of the detail is kept at a third, so that painted surfaces are of their paint's colour.
    grey = result.mean(axis=-1, keepdims=True)
    result = grey + 0.33 * (result - grey)
    result.flags.writeable = False
    return result


def spread(image: Image, metres: float, size: tuple[int, int], texels: float, rng: np.random.Generator) -> Image:
    """A square photograph laid over a surface, mirrored at its edges so that it has no seams: (height, width, 3).

    Args:
        metres: side of the photograph. size: width and height in texels. texels: in a metre.
    """
    width, height = size
    side = max(4, round(metres * texels))
    tile = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    columns, rows = (_mirrored(n, side, int(rng.integers(2 * side))) for n in (width, height))
    return np.ascontiguousarray(tile[rows][:, columns])


def crop(name: str, rng: np.random.Generator, aspect: float, size: tuple[int, int], share: float = 1.0) -> Image:
    """A part of a panorama, (height, width, 3), `share` of its height and `aspect` times as wide."""
    whole = photograph(name)
    height = max(8, round(share * len(whole)))
    width = min(max(8, round(height * aspect)), whole.shape[1])
    top = int(rng.integers(len(whole) - height + 1))
    columns = (np.arange(width) + int(rng.integers(whole.shape[1]))) % whole.shape[1]
    part = np.ascontiguousarray(whole[top : top + height][:, columns])
    way = cv2.INTER_AREA if size[0] < width else cv2.INTER_LINEAR
    return cv2.resize(part, size, interpolation=way)


def _mirrored(count: int, side: int, start: int) -> NDArray[np.int64]:
    place = (np.arange(count) + start) % (2 * side)
    return np.where(place < side, place, 2 * side - 1 - place)
