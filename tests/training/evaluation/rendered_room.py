"""A room with patterned walls, seen by any camera: frames whose camera path is known."""

from __future__ import annotations

import cv2
import numpy as np

from egotwin_model.geometry.camera import Pinhole


def wall_patterns() -> np.ndarray:
    """Patterns of six walls, (6, 200, 200, 3) uint8."""
    rng = np.random.default_rng(0)
    walls = np.stack(
        [cv2.GaussianBlur(rng.integers(0, 256, (200, 200, 3)).astype(np.uint8), (0, 0), 1.0) for _ in range(6)]
    )
    return np.clip((walls.astype(float) - 128) * 2.5 + 128, 0, 255).astype(np.uint8)


def room_view(camera: Pinhole, pose: np.ndarray, walls: np.ndarray) -> np.ndarray:
    """A box of 6 × 5 × 3 m with patterned walls, seen from T_world_camera `pose` inside it."""
    v, u = np.mgrid[: camera.height, : camera.width]
    rays = (
        np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], axis=-1) @ pose[:3, :3].T
    )
    half = np.array([3.0, 2.5, 1.5])
    with np.errstate(divide="ignore"):
        distance = np.where(rays != 0, (np.sign(rays) * half - pose[:3, 3]) / rays, np.inf)
    axis = distance.argmin(axis=-1)
    point = pose[:3, 3] + rays * distance.min(axis=-1, keepdims=True)
    wall = 2 * axis + (np.take_along_axis(rays, axis[..., None], -1)[..., 0] > 0)
    across = np.array([[1, 2], [0, 2], [0, 1]])[axis]
    place = np.take_along_axis(point, across, -1) * 24 + 100
    return walls[wall, place[..., 0].astype(int), place[..., 1].astype(int)]
