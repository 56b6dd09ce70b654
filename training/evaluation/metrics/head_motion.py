"""Metrics of head motion: view consistency, heading, distance, path errors, and the baselines they are read against.

Positions are metres and rotations matrices, in a world with z up; T is time, leading dimensions are clips or samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egotwin_model.errors import PoseError
from egotwin_model.geometry.rotations import rotation_angle

Array = NDArray[np.float64]


def view_consistency(
    camera_rotations: ArrayLike, camera_positions: ArrayLike, head_rotations: ArrayLike, head_positions: ArrayLike
) -> dict[str, float]:
    """How well the camera path of a video agrees with the head path of a motion (spec: "Evaluation").

    Both paths are taken relative to their own first frame; the camera's unknown scale s is the least-squares
    (Procrustes) one, never negative. Relative poses compare only if both paths are of the *same* rigid point and axes:
    give the camera path the motion implies (`Mount.camera_pose`), or bring the camera's to head axes first.

    Args:
        camera_rotations: (N, 3, 3), N >= 2. The paper takes every second pose, so that N is the number of frames.
        camera_positions: (N, 3) in any unit.
        head_rotations: (N, 3, 3).
        head_positions: (N, 3) metres.

    Returns:
        `TransErr`, mean |s T_v - T_m| in metres, and `RotErr`, mean angle of R_v R_m^T in radians, over frames 1...

    Raises:
        PoseError: shapes that do not belong together, or fewer than two frames.
    """
    r_v, p_v, r_m, p_m = (
        np.asarray(a, dtype=np.float64) for a in (camera_rotations, camera_positions, head_rotations, head_positions)
    )
    count = len(p_m)
    if count < 2 or not (r_v.shape == r_m.shape == (count, 3, 3) and p_v.shape == p_m.shape == (count, 3)):
        raise PoseError(
            f"camera path {r_v.shape}, {p_v.shape} and head path {r_m.shape}, {p_m.shape}: wanted (N, 3, 3) and (N, 3) "
            "each, with the same N of at least 2; take every second pose of the motion"
        )
    r_v, p_v = _relative_to_first(r_v, p_v)
    r_m, p_m = _relative_to_first(r_m, p_m)
    extent = (p_v**2).sum()
    scale = max(0.0, (p_v * p_m).sum() / extent) if extent > 0 else 0.0
    return {
        "TransErr": float(np.linalg.norm(scale * p_v - p_m, axis=-1)[1:].mean()),
        "RotErr": float(rotation_angle(r_v, r_m)[1:].mean()),
    }


def _relative_to_first(rotations: Array, positions: Array) -> tuple[Array, Array]:
    return rotations[0].T @ rotations, (positions - positions[0]) @ rotations[0]


def constant_velocity(positions: ArrayLike) -> Array:
    """Baseline: continues with the velocity of the first two positions. (..., T, 3) to (..., T, 3).

    It is given more than the model, which sees one pose only and so no velocity.
    """
    p = np.asarray(positions, dtype=np.float64)
    step = p[..., 1, :] - p[..., 0, :]
    return p[..., :1, :] + np.arange(p.shape[-2])[:, None] * step[..., None, :]
