"""Depth of the first frame as a condition of the video's latents."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from egotwin_model.latents.cells import cell_sums

SUBDIVISION = 4  # a latent position is divided 4 × 4, its 16 channels
NEAREST_M = 0.1


def inverse_depth_condition(depth: NDArray[np.floating], rows: int, columns: int) -> NDArray[np.float32]:
    """Inverse depth as a map over latents.

    Inverse depth is averaged over the known pixels of a grid of (4·rows, 4·columns) cells, which are then folded 4 × 4
    into channels.

    Args:
        depth: (..., H, W) metres along the optical axis; 0 or NaN where unknown.
        rows, columns: of the latents.

    Returns:
        float32 (..., 16, rows, columns), 1/m, at most 10 (0.1 m); 0 where nothing is known. Channel 4·i + j is row i
        and column j inside the latent's place.
    """
    depth = np.asarray(depth, dtype=np.float32)
    known = depth > 0.0
    inverse = 1.0 / np.maximum(depth, NEAREST_M, where=known, out=np.full_like(depth, np.inf))
    grid = SUBDIVISION * rows, SUBDIVISION * columns
    sums, counts = cell_sums(inverse, *grid), cell_sums(known.astype(np.float32), *grid)
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0.0)
    folded = means.reshape(*depth.shape[:-2], rows, SUBDIVISION, columns, SUBDIVISION)
    folded = np.moveaxis(folded, -3, -4)  # (..., 4, rows, columns, 4)
    return np.moveaxis(folded, -1, -3).reshape(*depth.shape[:-2], SUBDIVISION**2, rows, columns)
