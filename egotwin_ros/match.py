"""Messages that belong together in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from egotwin_ros.conversions import NS


@dataclass(frozen=True)
class Match:
    """Messages of one instant.

    Attributes:
        image, pose: an image and the body pose closest to it.
        messages: of every other input topic by its name, the one closest to the image, or the newest where only that
            is kept; without those of which none has arrived or none is close.
    """

    image: Any
    pose: Any
    messages: Mapping[str, Any]

    @property
    def has_depth(self) -> bool:
        """Whether a depth image is close."""
        return "depth/image" in self.messages


def newest_pair(image_ns: Sequence[int], pose_ns: Sequence[int], tolerance_s: float) -> tuple[int, int] | None:
    """The newest image that has a body pose within the tolerance, and that pose.

    Args:
        image_ns, pose_ns: stamps in any order.
        tolerance_s: largest time between the two.

    Returns:
        Indices of image and pose; None where no image has such a pose.
    """
    if not len(image_ns) or not len(pose_ns):
        return None
    images = np.asarray(image_ns, np.int64)
    away = np.abs(images[:, None] - np.asarray(pose_ns, np.int64))
    paired = away.min(axis=1) <= tolerance_s * NS
    if not paired.any():
        return None
    image = int(np.argmax(np.where(paired, images, np.iinfo(np.int64).min)))
    return image, int(np.argmin(away[image]))
