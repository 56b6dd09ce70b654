"""Where a body may walk, and routes from place to place: straight, or around corners and through doors."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from training.simulator.rooms.plan import Rectangle, RoomPlan

Array = NDArray[np.float64]

_LEAF_CLEARANCE = 0.34  # metres between the middle of a body and an open door's edge
_SLACK = 0.06  # metres by which a way may leave the free area
_AT_LEAF = 0.4
_STEP = 0.08  # metres between the points at which a way is checked


def segment_distance(points: Array, segments: Array) -> Array:
    """Distances (..., S) from points (..., 2) to line segments (S, 4) (x0, y0, x1, y1)."""
    start, along = segments[:, :2], segments[:, 2:] - segments[:, :2]
    away = points[..., None, :] - start
    share = np.clip((away * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-9), 0, 1)
    return np.asarray(np.linalg.norm(away - share[..., None] * along, axis=-1))


class WalkableArea:
    """The free area of a room, which changes as doors open, and open leaves in it.

    Attributes:
        rectangles: (R, 4) whose union is free. leaves: (L, 4) segments a body keeps away from.
    """

    def __init__(self, room: RoomPlan) -> None:
        self.rectangles = np.array(room.free, dtype=float).reshape(-1, 4)
        self.leaves: dict[str, Array] = {}

    def open_passage(self, passage: Rectangle) -> None:
        """Adds a rectangle that has become free."""
        self.rectangles = np.concatenate([self.rectangles, np.array([passage])])

    def clear(self, points: Array, slack: float = 0.0, ignore: str = "") -> NDArray[np.bool_]:
        """Which points (..., 2) are free, up to ``slack`` metres outside; the leaf named ``ignore`` (or "all")
        does not count."""
        p = points[..., None, :]
        inside = (p >= self.rectangles[:, :2] - slack) & (p <= self.rectangles[:, 2:] + slack)
        free = np.asarray(inside.all(axis=-1).any(axis=-1))
        for name, leaf in self.leaves.items():
            if ignore not in (name, "all"):
                free &= (segment_distance(points, leaf) > _LEAF_CLEARANCE).all(axis=-1)
        return free

    def straight(self, start: Array, end: Array) -> bool:
        """Whether the straight way between two points is free."""
        count = max(2, int(np.linalg.norm(end - start) / _STEP) + 1)
        way = start + np.linspace(0, 1, count)[:, None] * (end - start)
        free = self.clear(way, slack=_SLACK)
        if self.leaves and not free.all():  # a body may be near a leaf that it has just opened
            near = np.minimum(np.linalg.norm(way - start, axis=1), np.linalg.norm(way - end, axis=1)) < _AT_LEAF
            free |= near & self.clear(way, slack=_SLACK, ignore="all")
        return bool(free.all())

    def route(self, start: Array, end: Array) -> Array | None:
        """Corners (K, 2) of a free way, both ends included, or None."""
        if self.straight(start, end):
            return np.stack([start, end])
        way = self._through_overlaps(start, end)
        return None if way is None else self._shortened(way)

    def _through_overlaps(self, start: Array, end: Array) -> Array | None:
        """The shortest way along the middles of the rectangles' overlaps; within a rectangle any way is free."""
        r = self.rectangles
        first, second = np.triu_indices(len(r), 1)
        low, high = np.maximum(r[first, :2], r[second, :2]), np.minimum(r[first, 2:], r[second, 2:])
        wide = (high - low > 0.02).all(axis=1)
        nodes = np.concatenate([start[None], end[None], ((low + high) / 2)[wide]])
        nodes = np.concatenate([nodes[:2], nodes[2:][self.clear(nodes[2:])]])
        inside = (nodes[:, None] >= r[:, :2] - _SLACK) & (nodes[:, None] <= r[:, 2:] + _SLACK)
        member: NDArray[np.bool_] = np.asarray(inside.all(axis=-1))
        joined = (member[:, None] & member).any(axis=-1)
        lengths = np.linalg.norm(nodes[:, None] - nodes, axis=-1) * joined
        distance, before = dijkstra(csr_matrix(lengths), indices=0, return_predecessors=True)
        if not np.isfinite(distance[1]):
            return None
        way = [1]
        while way[-1] != 0:
            way.append(int(before[way[-1]]))
        corners = nodes[way[::-1]]
        free = all(self.straight(a, b) for a, b in pairwise(corners)) if self.leaves else True
        return corners if free else None

    def _shortened(self, way: Array) -> Array:
        """Leaves out unnecessary corners."""
        kept, at = [way[0]], 0
        while at < len(way) - 1:
            ahead = next(k for k in range(len(way) - 1, at, -1) if k == at + 1 or self.straight(way[at], way[k]))
            kept.append(way[ahead])
            at = ahead
        return np.stack(kept)
