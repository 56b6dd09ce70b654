"""Depth images: checked to be registered to the colour image, and turned into the model's view."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from egotwin_model.depth.given import depth_in_metres
from egotwin_model.errors import CalibrationError, ImageError
from egotwin_model.geometry.camera import Pinhole, rectify_depth
from egotwin_model.io.images import decode_depth
from egotwin_ros.conversions import CameraModel, camera_model
from egotwin_ros.match import Match

_SAME_PIXELS = 0.5  # by which intrinsics of a registered depth image may differ from the image's
_SAME_DISTORTION = 1e-3


def view_of_depth(
    match: Match, size: tuple[int, int], camera: CameraModel, view: Pinhole, turn: NDArray[np.float64] | None
) -> NDArray[np.float32]:
    """A depth image as the model's view sees it.

    Args:
        match: with a depth image, and the colour image, to which it must be registered.
        size, camera: (width, height) and intrinsics of the colour image.
        view, turn: the wanted view, as for `rectify`.

    Returns:
        float32 (view.height, view.width) metres along the view's optical axis, 0 where unknown.

    Raises:
        CalibrationError: not registered to the image: without camera_info, in another frame, or of another camera.
        ImageError: another size, encoding or unit than wanted, or no depth within the view.
    """
    message, info = match.messages["depth/image"], match.messages.get("depth/camera_info")
    if info is None:
        raise CalibrationError("no depth/camera_info has arrived: publish it beside depth/image")
    advice = "publish depth that is registered (aligned) to the image"
    frames = message.header.frame_id, match.image.header.frame_id
    if frames[0] != frames[1]:
        raise CalibrationError(f"depth image is in frame {frames[0]!r}, the image in {frames[1]!r}: {advice}")
    metres = depth_in_metres(decode_depth(message), Pinhole.from_matrix(*size, camera.matrix))
    _check_same_camera(camera_model(info, *size), camera, advice)
    depth = rectify_depth(metres, camera.matrix, camera.distortion, camera.model, view, turn)
    if not depth.any():
        raise ImageError("depth image knows no depth in the model's view: is the camera mounted as the node is told?")
    return depth


def _check_same_camera(depth: CameraModel, camera: CameraModel, advice: str) -> None:
    away = np.abs(np.subtract(depth.matrix, camera.matrix)).max()
    if away > _SAME_PIXELS:
        raise CalibrationError(
            f"depth/camera_info differs from camera_info by up to {away:.2f} pixels (K = {list(depth.matrix)} and "
            f"{list(camera.matrix)}): {advice}"
        )
    one, other = np.zeros((2, max(len(depth.distortion), len(camera.distortion))))
    one[: len(depth.distortion)], other[: len(camera.distortion)] = depth.distortion, camera.distortion
    same = depth.model == camera.model or not (one.any() or other.any())
    if not same or np.abs(one - other).max(initial=0.0) > _SAME_DISTORTION:
        raise CalibrationError(
            f"depth/camera_info has distortion {depth.model} {list(depth.distortion)}, camera_info {camera.model} "
            f"{list(camera.distortion)}: {advice}"
        )
