"""The depth network's inputs: a view with what gravity and the floor say of its rays, and matches of earlier views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from egotwin_model.depth.sizes import CELL, DepthConfig
from egotwin_model.geometry.camera import Pinhole

VIEW_CHANNELS = ("red", "green", "blue", "floor", "up", "right", "down", "height")
"""Channels of a view: colours in [0, 1]; inverse depth of the floor along each ray (1/m, 0 above the horizon); upward
part of the ray of unit depth; its x and y in the optical frame; the camera's height above the floor (m)."""

HORIZONTAL = VIEW_CHANNELS.index("right")
"""The channel that changes its sign when a view is mirrored."""

NEAREST_FLOOR_M = 0.1  # inverse depths are clipped there

WORST_MATCH = 0.6  # sum of absolute differences of four channels from which on two pixels count as entirely different
TEXTURE_SCALE, LEAST_CONTRAST = 0.3, 0.03  # of the channel of local contrast
AREA = cv2.INTER_AREA
LEAST_PARALLAX_M, LEAST_COSINE = 0.03, 0.25  # between views that are compared: of places, of viewing directions
HALF_WEIGHT_PX = 1.0  # parallax at one metre, in half-resolution pixels, at which an earlier view counts half


@dataclass(frozen=True)
class View:
    """An image with its pose.

    Attributes:
        image: uint8 (H, W, 3) RGB. T_world_camera: float64 (4, 4) of the optical frame, z up.
    """

    image: NDArray[np.uint8]
    T_world_camera: NDArray[np.float64]


def view_channels(view: View, camera: Pinhole, floor_z: float = 0.0) -> NDArray[np.float32]:
    """`VIEW_CHANNELS` of a view, float32 (8, H, W)."""
    right, down, up = _rays(view, camera)
    height = float(view.T_world_camera[2, 3] - floor_z)
    floor = np.clip(-up / height, 0.0, 1.0 / NEAREST_FLOOR_M)
    planes = (floor, up, right, down, np.full_like(up, height))
    colours = view.image.transpose(2, 0, 1).astype(np.float32) / 255.0
    return np.concatenate([colours, np.stack(planes).astype(np.float32)])


def floor_depth(view: View, camera: Pinhole, floor_z: float = 0.0) -> NDArray[np.float32]:
    """Depth of the floor's plane along each ray, float32 (H, W) metres along the optical axis; 0 above the horizon."""
    up = _rays(view, camera)[2]
    height = float(view.T_world_camera[2, 3] - floor_z)
    return np.where(up < 0.0, height / np.maximum(-up, 1e-9), 0.0).astype(np.float32)


def _rays(view: View, camera: Pinhole) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """x, y and the world's upward part of each pixel's ray of unit depth, (H, W) each."""
    right, down, _ = np.moveaxis(camera.rays(), -1, 0)
    x, y, z = view.T_world_camera[2, :3]
    return right, down, right * x + down * y + z


def with_parallax(view: View, past: Sequence[View], count: int) -> list[View]:
    """The newest `count` of earlier views that tell of depth, the newest last: taken at some distance from `view` and
    from each other, and in about its direction."""
    chosen: list[View] = []
    for earlier in reversed(past):
        pose = earlier.T_world_camera
        distances = [np.linalg.norm(pose[:3, 3] - other.T_world_camera[:3, 3]) for other in (view, *chosen)]
        if min(distances) >= LEAST_PARALLAX_M and pose[:3, 2] @ view.T_world_camera[:3, 2] >= LEAST_COSINE:
            chosen.append(earlier)
        if len(chosen) == count:
            break
    return chosen[::-1]


def plane_sweep(view: View, past: Sequence[View], camera: Pinhole, config: DepthConfig) -> NDArray[np.float32]:
    """How well each depth explains what earlier views show.

    Every plane of constant depth maps the view into an earlier one by a homography; where the plane's depth is right,
    colours and local contrast agree there. The views are weighted by their parallax.

    Args:
        past: of the same camera, the newest last; only the last `config.past` are compared.

    Returns:
        float32 (planes + 1, H/4, W/4): agreement in [0, 1] for each plane, and the weight of all views that saw the
        place. All zeros without earlier views.
    """
    half = camera.scaled(camera.width // 2, camera.height // 2)
    shape = config.planes, camera.height // CELL, camera.width // CELL
    agreement, weights = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    here = np.tile(_features(view.image, half), (config.planes, 1, 1)) if past else None
    for earlier in past[-config.past :]:
        motion = np.linalg.inv(earlier.T_world_camera) @ view.T_world_camera
        parallax = half.fx * float(np.linalg.norm(motion[:3, 3]))
        weight = np.float32(parallax / (parallax + HALF_WEIGHT_PX))
        warped = _warped(_features(earlier.image, half), motion, half, config.plane_depths)
        seen = weight * _cells(255 * (cv2.extractChannel(warped, 3) > 0).astype(np.uint8), shape)
        difference = cv2.resize(cv2.absdiff(warped, here), (shape[2], shape[0] * shape[1]), interpolation=AREA)
        alike = cv2.transform(difference, np.array([[-1.0 / WORST_MATCH] * 4 + [255.0]]))  # not below 0
        agreement += seen * _cells(alike, shape)
        weights += seen
    return np.concatenate([agreement / (weights + np.float32(1e-3)), weights.mean(axis=0, keepdims=True)])


def _cells(values: NDArray[np.uint8], shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Values of planes below each other, averaged to (planes, H/4, W/4), as shares of 255."""
    cells = cv2.resize(values, (shape[2], shape[0] * shape[1]), interpolation=AREA)
    return cells.reshape(shape).astype(np.float32) / np.float32(255.0)


def _features(image: NDArray[np.uint8], half: Pinhole) -> NDArray[np.uint8]:
    """Colours and local contrast at half the resolution, uint8 (H/2, W/2, 4); the contrast is never 0."""
    small = cv2.resize(image, (half.width, half.height), interpolation=AREA)
    colour = small.astype(np.float32) / 255.0
    mean = cv2.blur(colour, (5, 5))
    variance = np.maximum(cv2.blur(colour * colour, (5, 5)) - mean * mean, 0.0).sum(axis=-1)
    contrast = (colour - mean).mean(axis=-1) / np.sqrt(variance + LEAST_CONTRAST**2)
    return np.dstack([small, np.clip(128.0 + 255.0 * TEXTURE_SCALE * contrast, 1.0, 255.0).astype(np.uint8)])


def _warped(
    features: NDArray[np.uint8], motion: NDArray[np.float64], camera: Pinhole, depths: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """An earlier view's features as this view sees them on each plane, (planes * H, W, 4); zeros outside it.

    Args:
        motion: T_earlier_this of the optical frames.
    """
    k, (width, height) = camera.matrix, (camera.width, camera.height)
    homographies = k @ (motion[:3, :3] + motion[:3, 3:] * np.array([0.0, 0.0, 1.0]) / depths[:, None, None])
    homographies = homographies @ np.linalg.inv(k)
    warped = np.empty((len(depths), height, width, 4), np.uint8)
    for plane, homography in zip(warped, homographies, strict=True):
        cv2.warpPerspective(
            features, homography, (width, height), dst=plane, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0, 0),
        )  # fmt: skip
    corners = np.array([[0, 0, 1], [width - 1, 0, 1], [0, height - 1, 1], [width - 1, height - 1, 1]], float)
    in_front = homographies[:, 2] @ corners.T > 1e-6
    for number in np.flatnonzero(~in_front.all(axis=1)):  # partly behind that camera, where a homography mirrors
        u, v = np.arange(width), np.arange(height)[:, None]
        row = homographies[number, 2]
        warped[number][row[0] * u + row[1] * v + row[2] <= 1e-6] = 0
    return warped.reshape(len(depths) * height, width, 4)
