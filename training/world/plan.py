"""What the motion generator needs to know about a room: its size, where a body may stand, what can be reached for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rectangle = tuple[float, float, float, float]


class NoRoomError(ValueError):
    """The room has no place (or no target) for the wanted behaviour."""


@dataclass(frozen=True)
class Target:
    """An object a hand can reach for: world position of its centre (3,) metres, its support and that one's height."""

    name: str
    position: tuple[float, float, float]
    support: str
    height: float


@dataclass(frozen=True)
class RoomPlan:
    """A room seen from above; world frame, metres, floor at z = 0, room centred at the origin.

    Attributes:
        seed: the room's seed.
        size: extent along x and y.
        free: rectangles (x0, y0, x1, y1) whose union is where the centre of a body of radius 0.3 m may be.
        targets: what can be reached for.
    """

    seed: int
    size: tuple[float, float]
    free: list[Rectangle]
    targets: list[Target]

    @classmethod
    def empty(cls, size: tuple[float, float] = (6.0, 6.0), margin: float = 0.5) -> RoomPlan:
        """A room without furniture, free up to ``margin`` metres from its walls, and without targets."""
        x, y = size[0] / 2 - margin, size[1] / 2 - margin
        return cls(seed=0, size=size, free=[(-x, -y, x, y)], targets=[])

    def contains(self, points: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which of the world points (..., 2) lie in the free area: bool (...)."""
        inside = np.zeros(points.shape[:-1], dtype=bool)
        for x0, y0, x1, y1 in self.free:
            x, y = points[..., 0], points[..., 1]
            inside |= (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
        return inside

    def sample(self, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        """Points drawn from the free rectangles, each chosen by its area: (count, 2) metres."""
        boxes = np.array(self.free, dtype=float).reshape(-1, 4)
        if not len(boxes):
            raise NoRoomError(f"room {self.seed} has no free rectangle to stand in; give it at least one")
        spans = boxes[:, 2:] - boxes[:, :2]
        area = spans.prod(axis=1) + 1e-9
        chosen = rng.choice(len(boxes), size=count, p=area / area.sum())
        return boxes[chosen, :2] + rng.random((count, 2)) * spans[chosen]
