"""Pinhole cameras, and rectification of real cameras to the model's view.

Pixel convention (OpenCV, ROS): integer coordinates are pixel *centres*, so the middle of a W wide image is
``(W - 1) / 2``. Optical frame: z forward, x right, y down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from egotwin_model.errors import CalibrationError, ImageError, PoseError

COEFFICIENT_COUNTS: dict[str, tuple[int, ...]] = {
    "plumb_bob": (0, 4, 5),
    "rational_polynomial": (0, 8, 12, 14),
    "equidistant": (4,),
}
"""Distortion models of `sensor_msgs/CameraInfo` and how many coefficients each takes (0: no distortion)."""

_MAX_SUPERSAMPLING = 32
_MAX_MAP_SIDE = 16384  # cv2.remap takes at most 32767


@dataclass(frozen=True)
class Pinhole:
    """A camera without distortion. Sizes and all four intrinsics are in pixels (centres at integers)."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise CalibrationError(f"image size {self.width}x{self.height}: both must be at least 1 pixel")
        _check_focal(self.matrix)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """K, (3, 3)."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def fov_x(self) -> float:
        """Horizontal field of view of a centred camera, radians."""
        return 2.0 * math.atan(self.width / (2.0 * self.fx))

    @classmethod
    def from_fov(cls, width: int, height: int, fov_x: float) -> Pinhole:
        """Centred camera with square pixels; `fov_x` is the horizontal field of view in radians, below pi."""
        if not 0.0 < fov_x < math.pi:
            raise CalibrationError(f"horizontal field of view {fov_x} rad: must lie between 0 and pi (exclusive)")
        focal = width / (2.0 * math.tan(fov_x / 2.0))
        return cls(width, height, focal, focal, (width - 1) / 2.0, (height - 1) / 2.0)

    @classmethod
    def from_matrix(cls, width: int, height: int, matrix: ArrayLike) -> Pinhole:
        """From K as (3, 3) or its 9 numbers row by row. Raises `CalibrationError` for an impossible K."""
        k = check_matrix(matrix)
        return cls(int(width), int(height), float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2]))

    def scaled(self, width: int, height: int) -> Pinhole:
        """The same view at another resolution."""
        sx, sy = width / self.width, height / self.height
        cx, cy = (self.cx + 0.5) * sx - 0.5, (self.cy + 0.5) * sy - 0.5
        return Pinhole(width, height, self.fx * sx, self.fy * sy, cx, cy)

    def rays(self) -> NDArray[np.float64]:
        """Rays (H, W, 3) of the pixel centres in the optical frame, with z = 1."""
        u = (np.arange(self.width) - self.cx) / self.fx
        v = (np.arange(self.height) - self.cy) / self.fy
        return np.stack([*np.meshgrid(u, v), np.ones((self.height, self.width))], axis=-1)

    def project(self, points: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
        """Pixels (..., 2) of points (..., 3) in the optical frame, and whether each lies in front and inside (...)."""
        depth = points[..., 2]
        in_front = depth > 1e-6
        safe = np.where(in_front, depth, 1.0)
        u = self.fx * points[..., 0] / safe + self.cx
        v = self.fy * points[..., 1] / safe + self.cy
        inside = in_front & (u > -0.5) & (u < self.width - 0.5) & (v > -0.5) & (v < self.height - 0.5)
        return np.stack([u, v], axis=-1), inside


def looking_at(place: NDArray[np.floating], goal: NDArray[np.floating]) -> NDArray[np.float64]:
    """T_world_camera (4, 4) of a level camera at `place` (3,) whose optical axis meets `goal` (3,), in a world with z
    up. The axis must not be vertical: such a camera is never level."""
    forward = (goal - place) / np.linalg.norm(goal - place)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = place
    return pose


def check_image(image: NDArray[np.uint8]) -> None:
    """`ImageError` unless this is an (H, W, 3) uint8 array with pixels."""
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        came = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ImageError(f"image is {came}: wanted a uint8 array of shape (height, width, 3)")
    if 0 in image.shape:
        raise ImageError(f"image of shape {image.shape} has no pixels")


def check_poses(poses: ArrayLike) -> NDArray[np.float64]:
    """T_world_camera as float64 (F, 4, 4); `PoseError` unless all are finite and rigid."""
    try:
        poses = np.asarray(poses, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PoseError(f"T_world_camera is not numbers ({error})") from error
    if poses.ndim != 3 or poses.shape[1:] != (4, 4):
        raise PoseError(f"T_world_camera has shape {poses.shape}: wanted 4x4 matrices, (F, 4, 4) to render")
    if not np.isfinite(poses).all():
        raise PoseError("T_world_camera holds NaN or infinite values: use only poses that are tracked")
    rotations = poses[:, :3, :3]
    deviation = np.abs(rotations @ rotations.swapaxes(1, 2) - np.eye(3)).max(initial=0.0)
    deviation = max(deviation, np.abs(poses[:, 3] - (0.0, 0.0, 0.0, 1.0)).max(initial=0.0))
    if deviation > 1e-3 or (np.linalg.det(rotations) < 0).any():
        raise PoseError(
            "T_world_camera is not rigid: wanted a rotation (orthonormal, determinant +1) and a translation"
        )
    return poses


def check_matrix(matrix: ArrayLike) -> NDArray[np.float64]:
    """K as float64 (3, 3), given as (3, 3) or 9 numbers; `CalibrationError` where it cannot be a camera's."""
    try:
        k = np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise CalibrationError(f"intrinsic matrix K is not numbers ({error}): send the 9 numbers row by row") from error
    if k.size != 9:
        raise CalibrationError(f"intrinsic matrix K has shape {k.shape}: wanted 3x3 (9 numbers row by row)")
    k = k.reshape(3, 3)
    _check_focal(k)
    if abs(k[0, 1]) > 1e-6 * k[0, 0] or abs(k[1, 0]) > 1e-6 or not np.allclose(k[2], (0.0, 0.0, 1.0)):
        raise CalibrationError(f"intrinsic matrix K = {k.tolist()}: wanted [fx 0 cx; 0 fy cy; 0 0 1] without skew")
    return k


def _check_focal(k: NDArray[np.float64]) -> None:
    if not np.isfinite(k).all():
        raise CalibrationError(f"intrinsics K = {k.tolist()} hold NaN or infinity: calibrate the camera")
    if k[0, 0] <= 0.0 or k[1, 1] <= 0.0:
        raise CalibrationError(
            f"focal lengths fx = {k[0, 0]:g}, fy = {k[1, 1]:g}: both must be above zero. All zeros means an "
            "uncalibrated camera: run camera_calibration or fill CameraInfo.k"
        )


def check_distortion(distortion: ArrayLike, model: str) -> NDArray[np.float64]:
    """Coefficients as float64 (n,); `CalibrationError` for an unknown model, a wrong count or non-finite values."""
    if model not in COEFFICIENT_COUNTS:
        known = ", ".join(COEFFICIENT_COUNTS)
        raise CalibrationError(f"distortion model {model!r} is not known: use one of {known}")
    try:
        coefficients = np.asarray(distortion, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise CalibrationError(f"distortion coefficients are not numbers ({error})") from error
    counts = COEFFICIENT_COUNTS[model]
    if coefficients.size not in counts:
        wanted = " or ".join(str(count) for count in counts)
        raise CalibrationError(
            f"{coefficients.size} distortion coefficients for model {model!r}: wanted {wanted}; "
            "correct CameraInfo.d or CameraInfo.distortion_model"
        )
    if not np.isfinite(coefficients).all():
        raise CalibrationError(f"distortion coefficients {coefficients.tolist()} hold NaN or infinity")
    return coefficients


def rectify(
    image: NDArray[np.uint8],
    matrix: ArrayLike,
    distortion: ArrayLike,
    model: str,
    target: Pinhole,
    rotation: ArrayLike | None = None,
) -> NDArray[np.uint8]:
    """The view `target` would have from the same place, undistorted from a real camera's image.

    Where the target sees beyond the source image (or beyond the angle for which the distortion polynomial is
    valid), the result is black. Where the target is coarser than the source, each target pixel is the mean of the area
    it covers. The sampling maps are kept for the last few cameras, so a stream costs one remap per frame.

    Args:
        image: (H, W, 3) uint8.
        matrix: K of the source at this image's resolution, (3, 3) or 9 numbers.
        distortion: coefficients, counts in `COEFFICIENT_COUNTS`.
        model: "plumb_bob", "rational_polynomial" or "equidistant" (fisheye).
        target: the wanted view.
        rotation: optional (3, 3) rotation from the source's to the target's optical frame; default none.

    Returns:
        (target.height, target.width, 3) uint8.

    Raises:
        CalibrationError: impossible intrinsics or distortion.
        ImageError: not an (H, W, 3) uint8 image.
    """
    check_image(image)
    k = check_matrix(matrix)
    coefficients = check_distortion(distortion, model)
    r = np.eye(3) if rotation is None else np.asarray(rotation, dtype=np.float64)
    maps, supersampling = _sampling_maps(
        tuple(k.ravel().tolist()), tuple(coefficients.tolist()), model, target, tuple(r.ravel().tolist())
    )
    result = cv2.remap(image, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    if supersampling > 1:
        result = cv2.resize(result, (target.width, target.height), interpolation=cv2.INTER_AREA)
    return np.asarray(result, dtype=np.uint8)


def rectify_depth(
    depth: NDArray[np.float32],
    matrix: ArrayLike,
    distortion: ArrayLike,
    model: str,
    target: Pinhole,
    rotation: ArrayLike | None = None,
) -> NDArray[np.float32]:
    """The depth that `target` would have from the same place: the nearest source pixel's, along the target's axis.

    Depth is measured along the optical axis, so a rotated target has other numbers for the same points.

    Args:
        depth: float32 (H, W) metres along the source's optical axis, 0 where unknown. Other arguments as in `rectify`.

    Returns:
        float32 (target.height, target.width) metres; 0 where unknown or beyond the source image.

    Raises:
        CalibrationError: impossible intrinsics or distortion.
    """
    k = check_matrix(matrix)
    coefficients = check_distortion(distortion, model)
    r = np.eye(3) if rotation is None else np.asarray(rotation, dtype=np.float64)
    u, v, along = _nearest_pixels(
        tuple(k.ravel().tolist()), tuple(coefficients.tolist()), model, target, tuple(r.ravel().tolist())
    )
    inside = (u >= 0) & (u < depth.shape[1]) & (v >= 0) & (v < depth.shape[0])
    found = depth[np.where(inside, v, 0), np.where(inside, u, 0)]
    return np.where(inside, found / along, np.float32(0.0))


@lru_cache(maxsize=8)
def _nearest_pixels(
    matrix: tuple[float, ...],
    distortion: tuple[float, ...],
    model: str,
    target: Pinhole,
    rotation: tuple[float, ...],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Column and row of the source pixel that each target pixel (H, W) sees, -2 where none is, and the depth along the
    source's axis of a point at depth 1 along the target's."""
    r, coefficients = np.array(rotation).reshape(3, 3), np.array(distortion)
    x, y = _source_places(np.array(matrix).reshape(3, 3), coefficients, model, target, r)
    along = (target.rays() @ r)[..., 2]
    return np.rint(x).astype(np.intp), np.rint(y).astype(np.intp), np.where(along > 0, along, 1.0).astype(np.float32)


@lru_cache(maxsize=8)
def _sampling_maps(
    matrix: tuple[float, ...],
    distortion: tuple[float, ...],
    model: str,
    target: Pinhole,
    rotation: tuple[float, ...],
) -> tuple[tuple[NDArray[np.int16], NDArray[np.uint16]], int]:
    """cv2's fixed-point maps at `supersampling` times the target's resolution, and that factor."""
    k, r = np.array(matrix).reshape(3, 3), np.array(rotation).reshape(3, 3)
    coefficients = np.array(distortion)
    shrink = max(k[0, 0] / target.fx, k[1, 1] / target.fy)
    limit = min(_MAX_SUPERSAMPLING, _MAX_MAP_SIDE // max(target.width, target.height))
    supersampling = int(np.clip(math.ceil(shrink - 1e-6), 1, max(1, limit)))
    fine = target.scaled(target.width * supersampling, target.height * supersampling)
    first, second = cv2.convertMaps(*_source_places(k, coefficients, model, fine, r), cv2.CV_16SC2)
    return (np.asarray(first, dtype=np.int16), np.asarray(second, dtype=np.uint16)), supersampling


def _source_places(
    k: NDArray[np.float64],
    coefficients: NDArray[np.float64],
    model: str,
    target: Pinhole,
    rotation: NDArray[np.float64],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where in the source image each target pixel's ray is seen: x and y (H, W), -2 where it is not."""
    size = (target.width, target.height)
    undistort = cv2.fisheye.initUndistortRectifyMap if model == "equidistant" else cv2.initUndistortRectifyMap
    x, y = undistort(k, coefficients, rotation, target.matrix, size, cv2.CV_32FC1)
    unseen = ~_valid_rays(target, rotation, coefficients, model)
    x[unseen], y[unseen] = -2.0, -2.0
    # Fixed-point maps hold int16: far-off coordinates would wrap around into the image.
    return np.clip(x, -2.0, 32000.0), np.clip(y, -2.0, 32000.0)


def _valid_rays(
    target: Pinhole, rotation: NDArray[np.float64], coefficients: NDArray[np.float64], model: str
) -> NDArray[np.bool_]:
    """(H, W): target pixels in front of the source, inside the range where its radial distortion still grows.

    Beyond that range the polynomial folds back and would show a mirrored copy of the image.
    """
    rays = target.rays() @ rotation
    radius = np.hypot(rays[..., 0], rays[..., 1])
    if model == "equidistant":
        reach, limit = np.arctan2(radius, rays[..., 2]), math.pi
    else:
        reach = np.where(rays[..., 2] > 1e-9, radius / np.maximum(rays[..., 2], 1e-9), np.inf)
        limit = 20.0
    samples = np.linspace(0.0, limit, 4001)
    falling = np.diff(_distorted_radius(samples, coefficients, model)) <= 0.0
    last = samples[int(np.argmax(falling))] if falling.any() else limit
    return (reach <= last) & (rays[..., 2] > 0.0)


def _distorted_radius(
    radius: NDArray[np.float64], coefficients: NDArray[np.float64], model: str
) -> NDArray[np.float64]:
    """Radial part of the distortion: normalised radius (or angle, for "equidistant") to distorted radius."""
    square = radius**2
    if model == "equidistant":
        k1, k2, k3, k4 = coefficients
        return radius * (1.0 + square * (k1 + square * (k2 + square * (k3 + square * k4))))
    padded = np.zeros(8)
    padded[: min(coefficients.size, 8)] = coefficients[:8]
    k1, k2, _, _, k3, k4, k5, k6 = padded
    above = 1.0 + square * (k1 + square * (k2 + square * k3))
    below = 1.0 + square * (k4 + square * (k5 + square * k6))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(radius * above / below, nan=-1.0, posinf=-1.0)
