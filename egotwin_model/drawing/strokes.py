"""Smooth lines and discs at coordinates between the pixels (OpenCV)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from egotwin_model.drawing.limbs import Colour

_SUBPIXEL_BITS = 4  # OpenCV takes coordinates in units of 1/16 pixel
_FARTHEST = 9_000.0  # pixels; OpenCV's fixed-point coordinates overflow beyond


def draw_line(image: NDArray[np.uint8], pixels: NDArray[np.floating], colour: Colour, width: float) -> None:
    """Draws a line through pixels (N, 2) with round ends; fewer than two points draw nothing."""
    if len(pixels) >= 2:
        points = np.round(np.clip(pixels, -_FARTHEST, _FARTHEST) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        cv2.polylines(image, [points], False, colour, max(1, round(width)), cv2.LINE_AA, _SUBPIXEL_BITS)


def draw_disc(image: NDArray[np.uint8], centre: NDArray[np.floating], radius: float, colour: Colour) -> None:
    """Fills a circle around a pixel (2,)."""
    x, y, r = (round(float(value) * (1 << _SUBPIXEL_BITS)) for value in (*centre, radius))
    cv2.circle(image, (x, y), r, colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
