"""Maps over pixels as maps over latents: means over the cells of a grid, and the visibility of frames as that of
latents."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egotwin_model.latents.timing import FRAMES_PER_LATENT


def cell_sums(values: NDArray[np.floating], rows: int, columns: int) -> NDArray[np.floating]:
    """Sums of a map (..., H, W) over the cells of a grid, (..., rows, columns); a pixel counts by its share of each."""
    down, across = (_shares(length, cells) for length, cells in zip(values.shape[-2:], (rows, columns), strict=True))
    return down.astype(values.dtype) @ values @ across.T.astype(values.dtype)


def latent_visibility(visibility: ArrayLike, rows: int, columns: int) -> NDArray[np.float32]:
    """Visibility of frames (..., 1 + 4k, H, W) to that of their latents, (..., 1 + k, 1, rows, columns) float32.

    A latent is as visible as the pixels behind it are on average.
    """
    seen = np.asarray(visibility, dtype=np.float32)
    seen = cell_sums(seen, rows, columns) * (rows * columns / (seen.shape[-2] * seen.shape[-1]))
    later = seen[..., 1:, :, :]
    groups = later.reshape(*later.shape[:-3], -1, FRAMES_PER_LATENT, rows, columns).mean(axis=-3)
    return np.clip(np.concatenate([seen[..., :1, :, :], groups], axis=-3), 0.0, 1.0)[..., None, :, :]


def _shares(length: int, cells: int) -> NDArray[np.float64]:
    """What share of each of `length` pixels lies in each of `cells` equal parts, (cells, length)."""
    edges = np.arange(cells + 1)[:, None] * length / cells
    within = np.clip(edges - np.arange(length), 0.0, 1.0)  # of each pixel, up to each edge
    return np.diff(within, axis=0)
