"""Sheets of depth: images beside their true depth and the depth that a network estimates."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from egotwin_model.io.images import write_png

CELL_SIDE = 256  # least pixels of a sheet per image
NEAREST_M = 0.4  # drawn in the last colour
LARGEST_ERROR = 0.3  # relative, drawn white
HEADER = 22  # pixels


def save_depth_sheet(
    path: Path,
    images: NDArray[np.uint8],
    true: NDArray[np.float32],
    alone: NDArray[np.float32],
    with_past: NDArray[np.float32],
) -> None:
    """Writes a PNG with a row for each view: image, true depth, depth from the image alone, with its past, its error.

    Args:
        images: (N, H, W, 3). true, alone: (N, H, W) metres, 0 unknown.
        with_past: (N, 2, H, W) metres and the relative error that the network expects of them.
    """
    known = true > 0
    error = np.where(known, np.abs(with_past[:, 0] / np.maximum(true, 1e-3) - 1.0), 0.0)
    columns = {
        "image": images,
        "true depth": depth_colours(true),
        "one image": depth_colours(alone),
        "with its past": depth_colours(with_past[:, 0]),
        f"error, white {LARGEST_ERROR:.0%}": _grey(error),
        "expected error": _grey(with_past[:, 1]),
    }
    cells = np.concatenate([np.concatenate(list(column), axis=0) for column in columns.values()], axis=1)
    scale = -(-CELL_SIDE // images.shape[2])
    sheet = cells.repeat(scale, axis=0).repeat(scale, axis=1)
    header = np.full((HEADER, sheet.shape[1], 3), 255, np.uint8)
    width = sheet.shape[1] // len(columns)
    for number, name in enumerate(columns):
        cv2.putText(header, name, (number * width + 4, HEADER - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, np.ascontiguousarray(np.concatenate([header, sheet])))


def depth_colours(depth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Depth (..., H, W) in metres as colours (..., H, W, 3): near is red, far is blue, unknown is black."""
    near = np.where(depth > 0, NEAREST_M / np.maximum(depth, NEAREST_M), 0.0)
    flat = (255 * near).astype(np.uint8).reshape(-1, depth.shape[-1])
    colours = cv2.applyColorMap(flat, cv2.COLORMAP_TURBO)[..., ::-1].reshape(*depth.shape, 3)
    return np.where((depth > 0)[..., None], colours, 0).astype(np.uint8)


def _grey(error: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Relative errors (N, H, W) as grey images."""
    grey = (255 * np.clip(error / LARGEST_ERROR, 0.0, 1.0)).astype(np.uint8)
    return np.asarray(grey[..., None].repeat(3, axis=-1))
