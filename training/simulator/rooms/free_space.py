"""Free floor: maximal rectangles between obstacles, and a grid of distances to solids."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from training.simulator.rooms.plan import Clearance, Rectangle, Solids

MIN_FREE_SIDE = 0.35
CELL = 0.05
BANDS = (0.45, 1.0, 2.0)


def maximal_rectangles(bounds: Rectangle, obstacles: list[Rectangle]) -> list[Rectangle]:
    """All rectangles inside `bounds` that touch no obstacle's inside and cannot be made larger (side >= 0.35 m)."""
    obstacles = [
        o for o in obstacles if o[0] < bounds[2] and o[2] > bounds[0] and o[1] < bounds[3] and o[3] > bounds[1]
    ]
    xs = sorted({bounds[0], bounds[2], *(np.clip(v, bounds[0], bounds[2]) for o in obstacles for v in (o[0], o[2]))})
    ys = sorted({bounds[1], bounds[3], *(np.clip(v, bounds[1], bounds[3]) for o in obstacles for v in (o[1], o[3]))})
    x_mid, y_mid = np.convolve(xs, [0.5, 0.5], "valid"), np.convolve(ys, [0.5, 0.5], "valid")
    taken = np.zeros((len(x_mid), len(y_mid)), dtype=bool)
    for a0, b0, a1, b1 in obstacles:
        taken |= ((x_mid > a0) & (x_mid < a1))[:, None] & ((y_mid > b0) & (y_mid < b1))[None]
    total = np.pad(taken.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    n, m = len(xs), len(ys)
    i0, j0, i1, j1 = np.meshgrid(range(n), range(m), range(n), range(m), indexing="ij", sparse=True)
    free = (total[i1, j1] - total[i0, j1] - total[i1, j0] + total[i0, j0] == 0) & (i1 > i0) & (j1 > j0)
    grown = np.pad(free, 1)  # may the rectangle take one more strip on some side?
    core = (slice(1, -1),) * 4
    larger = np.zeros_like(free)
    for axis, step in ((0, -1), (1, -1), (2, 1), (3, 1)):
        larger |= np.roll(grown, -step, axis=axis)[core]
    best = [(xs[a], ys[b], xs[c], ys[d]) for a, b, c, d in np.argwhere(free & ~larger)]
    wide = [box for box in best if min(box[2] - box[0], box[3] - box[1]) >= MIN_FREE_SIDE]
    return [(float(a), float(b), float(c), float(d)) for a, b, c, d in wide]


def footprint(solids: Solids) -> np.ndarray:
    """Rectangles (N, 4) x0, y0, x1, y1 around the boxes seen from above."""
    c, s = np.abs(np.cos(solids.yaw)), np.abs(np.sin(solids.yaw))
    reach = np.stack([c * solids.half[:, 0] + s * solids.half[:, 1], s * solids.half[:, 0] + c * solids.half[:, 1]], -1)
    return np.concatenate([solids.centre[:, :2] - reach, solids.centre[:, :2] + reach], axis=1)


def clearance(size: tuple[float, float], floors: list[Rectangle], solids: Solids) -> Clearance:
    """Distances to solids and walls on a grid over the whole building.

    Args:
        size: extent of the building. floors: where there is floor (rooms and openings); all else is solid.
        solids: everything else that is solid, doors in their initial state.
    """
    shape = tuple(int(np.ceil(v / CELL)) + 3 for v in size)
    origin = tuple(float(-(n - 1) / 2 * CELL) for n in shape)
    outside = np.ones(shape, dtype=bool)
    for box in floors:
        outside[_cells(box, origin)] = False
    layers = []
    foot = footprint(solids)
    bottom, top = solids.centre[:, 2] - solids.half[:, 2], solids.centre[:, 2] + solids.half[:, 2]
    for low, high in zip((0.0, *BANDS[:-1]), BANDS, strict=True):
        taken = outside.copy()
        for k in np.flatnonzero((bottom < high) & (top > low + 0.02)):
            taken[_touched(foot[k], origin)] = True
        layers.append(np.asarray(distance_transform_edt(~taken, sampling=CELL), dtype=np.float32))
    return Clearance((origin[0], origin[1]), CELL, BANDS, np.stack(layers))


def _touched(box: NDArray[np.floating], origin: tuple[float, ...]) -> tuple[slice, slice]:
    """The grid cells a rectangle touches, so that boards thinner than a cell count."""
    low = np.maximum(np.rint((box[:2] - origin) / CELL), 0).astype(int)
    high = np.maximum(np.rint((box[2:] - origin) / CELL) + 1, 0).astype(int)
    return slice(low[0], high[0]), slice(low[1], high[1])


def _cells(box: tuple[float, ...], origin: tuple[float, ...]) -> tuple[slice, slice]:
    """The grid cells whose centres are in a rectangle."""
    x0, y0 = (int(np.ceil(round((box[k] - origin[k]) / CELL, 6))) for k in (0, 1))
    x1, y1 = (int(np.floor(round((box[k + 2] - origin[k]) / CELL, 6))) + 1 for k in (0, 1))
    return slice(max(x0, 0), max(x1, 0)), slice(max(y0, 0), max(y1, 0))
