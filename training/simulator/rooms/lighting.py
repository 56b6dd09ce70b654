"""The light in a room: lamps, windows, what walls throw back, and the dark near things; baked into textures.

Factors multiply colours as a camera records them, about 1 in the middle of a room. The camera's white balance takes
most of the light's tint away, as cameras do.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from training.simulator.rooms.photographs import Image
from training.simulator.rooms.plan import Solids

Array = NDArray[np.floating]
CELL = 0.15  # metres between the points at which light is computed
_RESPONSE = 0.6  # exponent from light to recorded colour
_BALANCE = 0.75  # share of the light's tint that the white balance takes away
_CONTACT_M, _CONTACT = 0.14, 0.5  # reach and strength of the dark near things


@dataclass(frozen=True)
class Window:
    """A window that daylight comes through: centre (3,) m, unit normal (3,) into the room, half extents (2,) m."""

    centre: NDArray[np.float64]
    normal: NDArray[np.float64]
    half: tuple[float, float]

    @property
    def across(self) -> NDArray[np.float64]:
        """Unit vector (3,) along its width."""
        return np.array([-self.normal[1], self.normal[0], 0.0])


@dataclass
class RoomLight:
    """All light of one room.

    Attributes:
        lamp: place (3,) m of the ceiling's lamp. lamp_light, daylight, ambient: RGB (3,) strengths.
        sun: unit vector (3,) towards the sun; zero without sunshine.
        brightness: of outdoors, 0 night … 1 bright day.
        walls: x and y of the room's low and high corner. windows: added while the room is furnished.
    """

    lamp: NDArray[np.float64]
    walls: NDArray[np.float64]
    lamp_light: NDArray[np.float64]
    daylight: NDArray[np.float64]
    ambient: NDArray[np.float64]
    sun: NDArray[np.float64]
    brightness: float
    windows: list[Window] = field(default_factory=list)
    _white: NDArray[np.float64] | None = None

    @classmethod
    def sample(cls, rng: np.random.Generator, lamp: Array, floor: tuple[float, float, float, float]) -> RoomLight:
        """Random strengths and colour temperatures; by day mostly from the windows, in the evening from the lamp."""
        day = rng.uniform()
        warm, cool = rng.uniform(0, 1), rng.uniform(-0.2, 1)
        lamp_light = (0.25 + 2.6 * (1 - day) ** 1.5) * np.array([1.0, 1 - 0.16 * warm, 1 - 0.45 * warm])
        daylight = 9.0 * day * np.array([1 - 0.14 * cool, 1.0, 1 + 0.16 * cool])
        ambient = rng.uniform(0.25, 0.6) * (0.5 * lamp_light / 2 + 0.5 * daylight / 6 + 0.25)
        height, turn = rng.uniform(0.3, 1.0), rng.uniform(0, 2 * np.pi)
        sun = np.array([np.cos(turn) * np.cos(height), np.sin(turn) * np.cos(height), np.sin(height)])
        walls = np.array([floor[:2], floor[2:]])
        return cls(
            np.asarray(lamp, float), walls, lamp_light, daylight, ambient, sun * (rng.uniform() < 0.4 * day), day
        )

    def factors(self, points: Array, normal: Array | None, near: Solids | None = None) -> NDArray[np.float64]:
        """What colours are multiplied by, (..., 3): at points (..., 3) on a surface with a normal, or of any direction.

        Args:
            near: things whose surroundings are darker.
        """
        if self._white is None:
            self._white = self._white_point()
        light = np.maximum(self._light(points, normal) / self._white, 0.0) ** _RESPONSE
        if near is not None and len(near.centre):
            away = np.maximum(near.distance(points), 0.0)
            light = light * (1 - _CONTACT * np.exp(-away / _CONTACT_M))[..., None]
        return light

    def bake(
        self, image: Image, corner: Array, right: Array, down: Array, normal: Array, solids: Solids
    ) -> Image:  # fmt: skip
        """Light on a flat textured rectangle, in place of its colours (height, width, 3); also returned.

        Args:
            corner: (3,) its upper left corner; right, down: (3,) its edges in metres. solids: of the whole building.
        """
        lengths = np.array([np.linalg.norm(right), np.linalg.norm(down)])
        columns, rows = np.maximum(np.ceil(lengths / CELL).astype(int), 2)
        across = (np.arange(columns) + 0.5) / columns
        along = (np.arange(rows) + 0.5) / rows
        points = corner + across[None, :, None] * right + along[:, None, None] * down
        low, high = points.min(axis=(0, 1)) - 0.4, points.max(axis=(0, 1)) + 0.4
        radius = np.linalg.norm(solids.half, axis=-1, keepdims=True) if len(solids.half) else solids.half
        close = ((solids.centre + radius > low) & (solids.centre - radius < high)).all(axis=-1)
        light = self.factors(points + 0.02 * normal, normal, solids.select(close)).astype(np.float32)
        image *= cv2.resize(light, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
        return image

    def _white_point(self) -> NDArray[np.float64]:
        """The light that is recorded as 1, RGB: the mean over places in the room, for the most part without tint."""
        (x0, y0), (x1, y1) = self.walls
        x, y, z = np.meshgrid([0.15, 0.5, 0.85], [0.15, 0.5, 0.85], [0.3, 1.4])
        places = np.stack([x0 + x * (x1 - x0), y0 + y * (y1 - y0), z], axis=-1).reshape(-1, 3)
        mean = self._light(places, None).mean(axis=0)
        return mean**_BALANCE * mean.mean() ** (1 - _BALANCE)

    def _light(self, points: Array, normal: Array | None) -> NDArray[np.float64]:
        corners = np.min(np.abs(points[..., None, :2] - self.walls).reshape(*points.shape[:-1], 4), axis=-1)
        open_ = 1 - 0.3 * np.exp(-corners / 0.35) - 0.25 * np.exp(-np.maximum(points[..., 2], 0) / 0.3)
        light = self.ambient * open_[..., None]
        if self.lamp_light.any():
            way = self.lamp - points
            square = (way**2).sum(axis=-1)
            light = light + self.lamp_light * (_facing(way, normal) / (0.4 + square))[..., None]
        for window in self.windows:
            light = light + self.daylight * self._through(window, points, normal)[..., None]
        return light

    def _through(self, window: Window, points: Array, normal: Array | None) -> NDArray[np.float64]:
        """Solid angle of a window, weighted with both cosines, over π; and the sunshine that falls through it."""
        total = np.zeros(points.shape[:-1])
        area = 4 * window.half[0] * window.half[1]
        spots = [(u, v) for u in (-0.6, 0.0, 0.6) for v in (-0.6, 0.6)]
        for u, v in spots:
            spot = window.centre + u * window.half[0] * window.across + np.array([0, 0, v * window.half[1]])
            way = spot - points
            square = (way**2).sum(axis=-1) + 0.05
            leaving = np.clip(-(way @ window.normal), 0, None) / np.sqrt(square)
            total += area / len(spots) * leaving * _facing(way, normal) / (np.pi * square)
        towards = -self.sun @ window.normal
        if towards > 0.15:
            distance = (points - window.centre) @ window.normal / towards
            hit = points + distance[..., None] * self.sun - window.centre
            inside = [
                np.clip((half - np.abs(hit @ axis)) / 0.08, 0, 1)
                for half, axis in zip(window.half, (window.across, np.array([0.0, 0, 1])), strict=True)
            ]
            facing = 0.5 if normal is None else max(float(self.sun @ normal), 0.0)
            total += 0.5 * facing * inside[0] * inside[1] * (distance > 0)
        return total


def _facing(way: Array, normal: Array | None) -> NDArray[np.float64]:
    """Cosine between directions (..., 3) and a normal, 0 behind it; 0.4 for things that face all ways."""
    if normal is None:
        return np.full(way.shape[:-1], 0.4)
    return np.clip(way @ normal, 0, None) / np.maximum(np.linalg.norm(way, axis=-1), 1e-6)
