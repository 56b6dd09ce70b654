"""Camera paths as Plücker rays, the condition of camera-controlled video (CameraCtrl in the paper's Table 3).

A ray through a pixel is (o × d, d): d its unit direction and o the camera centre in metres, both in the optical frame
of the clip's *first* frame (z forward, x right, y down), so the result does not depend on the world frame. The first
frame's moments o × d are zero.

Rays are taken at the centres of the video latent's cells. A latent carries those of all its frames, side by side on
channels: four frames behind every latent but the first, whose one frame is repeated, as in the causal video VAE.

Poses are NumPy arrays or torch tensors; rays are of the same kind.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from egotwin_model.errors import CalibrationError, PoseError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.latents.timing import FRAMES_PER_LATENT


def cell_directions(camera: Pinhole, rows: int, columns: int) -> NDArray[np.float64]:
    """Unit directions (rows, columns, 3) through the centres of a grid over the image; optical frame."""
    view = camera.scaled(columns, rows)  # its pixels are the cells: centres at integers
    rays = view.rays()
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


def plucker_rays(camera: Pinhole, poses: Any, rows: int, columns: int) -> Any:
    """(o × d, d) of every frame and cell.

    Args:
        camera: the frames' intrinsics.
        poses: (..., F, 4, 4) T_world_camera of the optical frame (`Mount.camera_pose` gives them), metres.

    Returns:
        (..., F, 6, rows, columns) float32.
    """
    if poses.ndim < 3 or tuple(poses.shape[-2:]) != (4, 4):
        raise PoseError(f"camera poses {tuple(poses.shape)}: wanted (..., frames, 4, 4) T_world_camera")
    xp = array_namespace(poses)
    poses = xp.astype(poses, xp.float64)
    relative = xp.linalg.inv(poses[..., :1, :, :]) @ poses
    cells = xp.asarray(cell_directions(camera, rows, columns).reshape(-1, 3).T, device=device(poses))
    grid = (*poses.shape[:-2], 3, rows, columns)
    directions = xp.reshape(relative[..., :3, :3] @ cells, grid)
    centres = xp.broadcast_to(relative[..., :3, 3, None, None], grid)
    rays = xp.concat([xp.linalg.cross(centres, directions, axis=-3), directions], axis=-3)
    return xp.astype(rays, xp.float32)


def plucker_maps(camera: Pinhole, poses: Any, rows: int, columns: int) -> Any:
    """The model's `camera` input from the camera pose of each frame.

    Args:
        camera: the frames' intrinsics.
        poses: (..., 1 + 4k, 4, 4) T_world_camera, one for each frame.
        rows, columns: size of the video latent (`latent_height`, `latent_width`).

    Returns:
        (..., 1 + k, 24, rows, columns) float32.

    Raises:
        PoseError: the number of frames fits no number of latents. CalibrationError: rows or columns below 1.
    """
    if rows < 1 or columns < 1:
        raise CalibrationError(f"Plücker rays over {rows}×{columns} cells: both must be at least 1")
    if poses.ndim < 3 or (poses.shape[-3] - 1) % FRAMES_PER_LATENT:
        raise PoseError(f"camera poses {tuple(poses.shape)}: wanted (..., 1 + {FRAMES_PER_LATENT}k, 4, 4)")
    xp = array_namespace(poses)
    rays = plucker_rays(camera, poses, rows, columns)
    padded = xp.concat([rays[..., :1, :, :, :]] * (FRAMES_PER_LATENT - 1) + [rays], axis=-4)
    return xp.reshape(padded, (*rays.shape[:-4], -1, FRAMES_PER_LATENT * 6, rows, columns))
