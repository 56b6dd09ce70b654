"""A motion moved to where another one begins: turned about gravity and shifted, so that the heads start alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.rotations import rotation_z
from egotwin_model.geometry.skeleton import HEAD

Array = NDArray[np.float64]


def levelled(positions: NDArray[Any], rotations: NDArray[Any]) -> tuple[Array, Array]:
    """Positions (T, 23, 3) and rotations (T, 23, 3, 3) in the frame of the first head's position and heading; gravity
    stays along z."""
    turn = _heading(np.asarray(rotations[0, HEAD], np.float64))
    return (positions - positions[0, HEAD]) @ turn, turn.T @ rotations


def placed_at(
    positions: NDArray[Any], rotations: NDArray[Any], head_position: NDArray[Any], head_rotation: NDArray[Any]
) -> tuple[Array, Array]:
    """A `levelled` motion that starts at a head's position (3,) and heading (of a rotation (3, 3))."""
    turn = _heading(np.asarray(head_rotation, np.float64))
    return positions @ turn.T + head_position, turn @ rotations


def _heading(rotation: Array) -> Array:
    """The rotation about z that has the same heading, (3, 3)."""
    yaw = np.arctan2(rotation[1, 0], rotation[0, 0])
    return rotation_z(yaw)
