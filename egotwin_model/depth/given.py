"""Depth images that a camera gives, checked and in metres."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import ImageError
from egotwin_model.geometry.camera import Pinhole

PLAUSIBLE_M = (0.02, 200.0)  # of the median known depth; another unit lies a factor of a thousand away


def depth_in_metres(depth: NDArray[Any], camera: Pinhole) -> NDArray[np.float32]:
    """A depth image as float32 (H, W) metres along the optical axis, 0 where it is unknown.

    Args:
        depth: (H, W), registered to the colour image: unsigned 16-bit millimetres (ROS encoding ``16UC1``) or floating
            metres (``32FC1``). 0, NaN and infinity mean unknown (REP 118: too near, invalid, out of range).
        camera: of the colour image.

    Raises:
        ImageError: another type or size, negative depth, nothing known at all, or depth that looks like another unit.
    """
    if not isinstance(depth, np.ndarray) or not (depth.dtype == np.uint16 or np.issubdtype(depth.dtype, np.floating)):
        came = depth.dtype if isinstance(depth, np.ndarray) else type(depth).__name__
        raise ImageError(f"depth image is {came}: wanted uint16 millimetres (16UC1) or floating metres (32FC1)")
    if depth.shape != (camera.height, camera.width):
        raise ImageError(
            f"depth image has shape {depth.shape}, the colour image {(camera.height, camera.width)}: register it "
            "to the colour image (depth_image_proc/register) at its size"
        )
    metres = depth.astype(np.float32)
    if depth.dtype == np.uint16:
        metres *= np.float32(0.001)
    if (metres[np.isfinite(metres)] < 0.0).any():
        raise ImageError("depth image holds negative depth: mark unknown places by 0 or NaN")
    metres[~np.isfinite(metres)] = 0.0
    known = metres[metres > 0.0]
    if not known.size:
        raise ImageError("depth image knows no depth at all, all of it is 0, NaN or infinite: is the camera covered?")
    median = float(np.median(known))
    if not PLAUSIBLE_M[0] <= median <= PLAUSIBLE_M[1]:
        raise ImageError(
            f"depth image has a median of {median:g} m: wanted millimetres as 16-bit integers or metres as floats; the "
            "unit seems to be another"
        )
    return metres
