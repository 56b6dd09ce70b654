"""Where down is for a head: what a representation relative to the first head pose cannot know by itself."""

from __future__ import annotations

from typing import Any


def gravity_in_head(head_rotations: Any) -> Any:
    """Unit vector of gravity in the head frame (x forward, y left, z up), for a world with z up (REP-103).

    A head that is level gives (0, 0, −1) whatever its heading; one that looks down has more of it along x.

    Args:
        head_rotations: R_world_head (..., 3, 3), NumPy array or torch tensor.

    Returns:
        (..., 3), of the same kind and dtype.
    """
    return -head_rotations[..., 2, :]
