"""What becomes of an older keyframe after a new one: what is still there, gone, hidden, or doubtful."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.scene_memory_kernel import SAME, SEEN_THROUGH, SURELY_SEEN_THROUGH, compare
from egotwin_model.geometry.scene_memory_keyframe import Keyframe

_FADE_WINDOW = 9  # pixels around what is gone, in which more of the same surface is doubtful


def revised(old: Keyframe, new: Keyframe, tolerance: float) -> Keyframe:
    """The older keyframe as it is after a new one was added; the same object where nothing changed.

    Each of its pixels that falls into the new view is compared with the depth seen there:

    - nearer, by more than the tolerance: it was seen through, so it is gone. Where this is beyond doubt (twice the
      tolerance) a thing has moved, and what the new view does not show of it fades too.
    - alike: the new keyframe shows the same surface, and leads from now on.
    - farther: it is hidden, and stays.

    Args:
        tolerance: of depth, as a share of it.
    """
    verdicts = compare(old, new, tolerance)
    if not verdicts.any():
        return old
    weight, same = old.weight.copy(), verdicts == SAME
    weight[verdicts >= SEEN_THROUGH] = 0
    gone = verdicts == SURELY_SEEN_THROUGH
    if gone.any():
        weight = _faded(old, weight, gone, same, tolerance)
    return old.reweighted(weight, old.leading & (weight > 0) & ~same)


def _faded(
    old: Keyframe, weight: NDArray[np.uint8], gone: NDArray[np.bool_], shown: NDArray[np.bool_], tolerance: float
) -> NDArray[np.uint8]:
    """Less weight for the rest of surfaces that are partly gone, the less the nearer to what is gone."""
    shape, window = (old.camera.height, old.camera.width), (_FADE_WINDOW, _FADE_WINDOW)
    inverse, lost = old.surface[:, 0], gone.astype(np.float32)
    share = cv2.blur(lost.reshape(shape), window).ravel()
    mean = cv2.blur((lost * inverse).reshape(shape), window).ravel() / np.maximum(share, 1e-9)
    doubtful = (np.abs(inverse - mean) <= 2.0 * tolerance * mean) & ~shown
    kept = np.where(doubtful, np.clip(1.0 - 2.0 * share, 0.0, 1.0), 1.0)
    return np.asarray(weight * kept, np.uint8)
