"""Camera paths as Plücker rays, the condition of camera-controlled video (CameraCtrl in the paper's Table 3).

A ray through a pixel is (o × d, d): d its unit direction and o the camera centre in metres, both in the optical frame
of the clip's *first* picture (z forward, x right, y down), so the result does not depend on the world frame. The first
picture's moments o × d are zero.

Rays are taken at the centres of the video latent's cells. A latent carries those of all its pictures, side by side on
channels: four pictures behind every latent but the first, whose one picture is repeated, as in the causal video VAE.
"""

from __future__ import annotations

import torch
from torch import Tensor

from egotwin_model.errors import CalibrationError, PoseError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.latents.timing import FRAMES_PER_LATENT


def cell_directions(camera: Pinhole, rows: int, columns: int) -> Tensor:
    """Unit directions (rows, columns, 3), float64, through the centres of a grid laid over the image; optical frame."""
    view = camera.scaled(columns, rows)  # its pixels are the cells: centres at integers
    y, x = torch.meshgrid(
        torch.arange(rows, dtype=torch.float64), torch.arange(columns, dtype=torch.float64), indexing="ij"
    )
    rays = torch.stack([(x - view.cx) / view.fx, (y - view.cy) / view.fy, torch.ones_like(x)], dim=-1)
    return rays / rays.norm(dim=-1, keepdim=True)


def plucker_rays(camera: Pinhole, poses: Tensor, rows: int, columns: int) -> Tensor:
    """(o × d, d) of every picture and cell.

    Args:
        camera: the pictures' intrinsics.
        poses: (..., P, 4, 4) T_world_camera of the optical frame (`Mount.camera_pose` gives them), metres.

    Returns:
        (..., P, 6, rows, columns) float32.
    """
    if poses.ndim < 3 or poses.shape[-2:] != (4, 4):
        raise PoseError(f"camera poses {tuple(poses.shape)}: wanted (..., pictures, 4, 4) T_world_camera")
    poses = poses.double()
    relative = torch.linalg.inv(poses[..., :1, :, :]) @ poses
    directions = torch.einsum("...ij,rcj->...irc", relative[..., :3, :3], cell_directions(camera, rows, columns))
    centres = relative[..., :3, 3, None, None].expand_as(directions)
    return torch.cat([torch.cross(centres, directions, dim=-3), directions], dim=-3).float()


def plucker_maps(camera: Pinhole, poses: Tensor, rows: int, columns: int) -> Tensor:
    """The model's `camera` input from the camera pose of each picture.

    Args:
        camera: the pictures' intrinsics.
        poses: (..., 1 + 4k, 4, 4) T_world_camera, one for each picture.
        rows, columns: size of the video latent (`latent_height`, `latent_width`).

    Returns:
        (..., 1 + k, 24, rows, columns) float32.

    Raises:
        PoseError: the number of pictures fits no number of latents. CalibrationError: rows or columns below 1.
    """
    if rows < 1 or columns < 1:
        raise CalibrationError(f"Plücker rays over {rows}×{columns} cells: both must be at least 1")
    if poses.ndim < 3 or (poses.shape[-3] - 1) % FRAMES_PER_LATENT:
        raise PoseError(f"camera poses {tuple(poses.shape)}: wanted (..., 1 + {FRAMES_PER_LATENT}k, 4, 4)")
    rays = plucker_rays(camera, poses, rows, columns)
    repeated = rays[..., :1, :, :, :].expand(*rays.shape[:-4], FRAMES_PER_LATENT - 1, *rays.shape[-3:])
    return torch.cat([repeated, rays], dim=-4).unflatten(-4, (-1, FRAMES_PER_LATENT)).flatten(-4, -3)
