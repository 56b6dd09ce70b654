"""Does the picture turn with the head? Horizontal shift of the view between frames, and its correlation with yaw.

Heads turn by up to 30° between frames, a third of the picture, further than optical flow follows. So the middle of a
picture is first looked for in the next one; from each place where it may be, flow measures what is left, and the place
that explains the next picture best counts.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import ImageError

_UPPER_PART = 0.75  # the wearer's arms and body move on their own, mostly below
_SIDE_MARGIN = 0.125  # what enters or leaves at the sides has no match
_MIDDLE = 0.375  # of the width is looked for in the next picture
_UP_DOWN = 0.125  # of the height it may have moved
_PLACES, _APART = 2, 5  # places that are tried beside the old one, and columns between them
_FAR = 0.5  # what a match, or an explanation, loses for each picture width that it lies away
_SURE = 0.8  # correlation at which the old place is taken without trying others


def view_shift(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Horizontal shift of the view between successive frames, pixels; positive where the view turns left.

    The median horizontal motion of the upper part of the picture. At 64 px good for about 20 px a step.

    Args:
        frames: (F, H, W, 3) uint8 RGB.

    Returns:
        (F - 1,) pixels the picture's content moves to the right.

    Raises:
        ImageError: not such frames, or fewer than two.
    """
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or len(frames) < 2:
        raise ImageError(f"frames are {frames.dtype} {frames.shape}: wanted uint8 (at least 2 frames, H, W, 3)")
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow.setFinestScale(0)
    flow.setGradientDescentIterations(50)
    flow.setVariationalRefinementIterations(0)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    return np.array([_shift(flow, before, after) for before, after in pairwise(grey)], dtype=np.float64)


def _shift(flow: Any, before: NDArray[Any], after: NDArray[Any]) -> float:
    """Pixels by which the content of one grey picture (H, W) lies further right in the next."""
    return min(_from_place(flow, before, after, *place) for place in _places(before, after))[1]


def _from_place(flow: Any, before: NDArray[Any], after: NDArray[Any], right: int, down: int) -> tuple[float, float]:
    """What flow from a shift of whole pixels leaves unexplained, and the whole shift, pixels."""
    height, width = before.shape
    back = np.array([[1, 0, -right], [0, 1, -down]], dtype=np.float32)
    aligned = cv2.warpAffine(after, back, (width, height), borderMode=cv2.BORDER_REPLICATE)
    field = flow.calc(before, aligned, None)
    u, v = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    found = cv2.remap(aligned, u + field[..., 0], v + field[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    margin = round(width * _SIDE_MARGIN)
    rows = slice(max(1, round(height * _UPPER_PART)))
    columns = slice(max(margin, -right), min(width - margin, width - right))  # of what both pictures show
    picture = before[rows, columns].astype(np.float32)
    left = np.abs(picture - found[rows, columns]).mean() / (picture.std() + 4.0)
    return float(left + _FAR * abs(right) / width), right + float(np.median(field[rows, columns, 0]))


def _places(before: NDArray[Any], after: NDArray[Any]) -> list[tuple[int, int]]:
    """Shifts of whole pixels (right, down) that the middle of the upper part may have made; none at all among them."""
    height, width = before.shape
    left, margin = (width - round(width * _MIDDLE)) // 2, round(height * _UP_DOWN)
    bottom = max(margin + 1, round(height * _UPPER_PART))
    middle = before[margin:bottom, left : width - left]
    match = cv2.matchTemplate(after[: bottom + margin], middle, cv2.TM_CCOEFF_NORMED)
    down, right = np.arange(match.shape[0])[:, None] - margin, np.arange(match.shape[1]) - left
    if match[margin, left] > _SURE:
        return [(0, 0)]
    match = match - _FAR * (abs(right) + abs(down)) / width
    found = [(0, 0)]
    for _ in range(_PLACES):
        row, column = (int(index) for index in np.unravel_index(int(np.argmax(match)), match.shape))
        found.append((int(right[column]), int(down[row, 0])))
        match[:, max(0, column - _APART) : column + _APART + 1] = -np.inf
    return list(dict.fromkeys(found))
