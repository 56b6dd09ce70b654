"""The horizontal shift of the view from one frame to the next.

Heads turn by up to 30° between frames, a third of the frame's width, which is further than optical flow follows. So the
middle of a frame is first matched in the next one. From each candidate position flow measures the remaining shift, and
the candidate with the least unexplained difference is taken.
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
_MIDDLE = 0.375  # of the width is matched in the next frame
_UP_DOWN = 0.125  # of the height: the largest vertical shift of a match
_CANDIDATES, _APART = 2, 5  # positions tried beside the unshifted one, and columns between them
_FAR = 0.5  # penalty of a match, or of a remaining difference, for a shift of one frame width
_SURE = 0.8  # correlation at which the unshifted position is taken without trying others


def view_shift(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Horizontal shift of the view between successive frames, pixels; positive where the view turns left.

    The median horizontal motion of the upper part of the frame. At 64 px it measures shifts of up to about 20 px.

    Args:
        frames: (F, H, W, 3) uint8 RGB.

    Returns:
        (F - 1,) pixels by which the frame's content moves to the right.

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
    """Pixels by which the content of one grey frame (H, W) moves to the right in the next."""
    return min(_from_candidate(flow, before, after, *shift) for shift in _candidates(before, after))[1]


def _from_candidate(flow: Any, before: NDArray[Any], after: NDArray[Any], right: int, down: int) -> tuple[float, float]:
    """The difference that remains after a shift of whole pixels and flow, and the total shift in pixels."""
    height, width = before.shape
    back = np.array([[1, 0, -right], [0, 1, -down]], dtype=np.float32)
    aligned = cv2.warpAffine(after, back, (width, height), borderMode=cv2.BORDER_REPLICATE)
    field = flow.calc(before, aligned, None)
    u, v = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    found = cv2.remap(aligned, u + field[..., 0], v + field[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    margin = round(width * _SIDE_MARGIN)
    rows = slice(max(1, round(height * _UPPER_PART)))
    columns = slice(max(margin, -right), min(width - margin, width - right))  # of what both frames show
    frame = before[rows, columns].astype(np.float32)
    rest = np.abs(frame - found[rows, columns]).mean() / (frame.std() + 4.0)
    return float(rest + _FAR * abs(right) / width), right + float(np.median(field[rows, columns, 0]))


def _candidates(before: NDArray[Any], after: NDArray[Any]) -> list[tuple[int, int]]:
    """Shifts of whole pixels (right, down) by which the middle of the upper part may have moved; first (0, 0)."""
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
    for _ in range(_CANDIDATES):
        row, column = (int(index) for index in np.unravel_index(int(np.argmax(match)), match.shape))
        found.append((int(right[column]), int(down[row, 0])))
        match[:, max(0, column - _APART) : column + _APART + 1] = -np.inf
    return list(dict.fromkeys(found))
