"""Images: decoded from ROS image messages without ROS, and encoded as files of their own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.image import ImageError as BridgeError
from rosbags.image import image_to_cvimage

from egotwin_model.errors import ImageError
from egotwin_model.geometry.camera import check_image
from egotwin_model.io.files import write_atomically

_OTHER_8BIT = ("mono8", "bayer_rggb8", "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8")
_YUV_422 = ("uyvy", "yuv422", "yuyv", "yuv422_yuy2")
_BYTES_PER_PIXEL = {
    "rgb8": 3,
    "bgr8": 3,
    "rgba8": 4,
    "bgra8": 4,
    **dict.fromkeys(_OTHER_8BIT, 1),
    **dict.fromkeys(_YUV_422, 2),
}
_DEPTH_KINDS: dict[str, np.dtype[Any]] = {"16UC1": np.dtype(np.uint16), "32FC1": np.dtype(np.float32)}


def decode_image(message: Any) -> NDArray[np.uint8]:
    """Decodes a sensor_msgs Image or CompressedImage of ``rosbags``'s or ``rclpy``'s classes.

    Padding after each row (``step``) is skipped. An unpadded ``rgb8`` image is a view of the message's data.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageError: an encoding without 8-bit colour or grey, a size that does not fit the data, or a broken stream.
    """
    if hasattr(message, "format"):
        return _decode_compressed(message)
    encoding, width, height = message.encoding, message.width, message.height
    if encoding not in _BYTES_PER_PIXEL:
        wanted = ", ".join(_BYTES_PER_PIXEL)
        raise ImageError(f"image encoding is {encoding!r}; wanted one of {wanted}: convert it before publishing")
    rows = _rows(message, _BYTES_PER_PIXEL[encoding])
    plain = SimpleNamespace(encoding=encoding, width=width, height=height, is_bigendian=0, data=rows)
    try:
        return np.asarray(image_to_cvimage(plain, "rgb8"), np.uint8)  # type: ignore[arg-type]
    except (BridgeError, cv2.error) as error:
        raise ImageError(f"{width}x{height} {encoding} image cannot be turned into rgb8: {error}") from error


def decode_depth(message: Any) -> NDArray[Any]:
    """Decodes a depth sensor_msgs Image: `egotwin_model.depth.given.depth_in_metres` takes the result.

    Returns:
        (H, W) in the encoding's unit: uint16 millimetres (``16UC1``) or float32 metres (``32FC1``).

    Raises:
        ImageError: another encoding, or a size that does not fit the data.
    """
    if message.encoding not in _DEPTH_KINDS:
        raise ImageError(
            f"depth image's encoding is {message.encoding!r}; wanted 16UC1 (millimetres) or 32FC1 (metres)"
        )
    kind = _DEPTH_KINDS[message.encoding]
    came = kind.newbyteorder(">" if message.is_bigendian else "<")
    return _rows(message, kind.itemsize).view(came).astype(kind, copy=False)


def _rows(message: Any, pixel_bytes: int) -> NDArray[np.uint8]:
    """The bytes (H, W · pixel_bytes) of a raw image message, without padding; `ImageError` where they do not fit."""
    width, height, row = message.width, message.height, message.width * pixel_bytes
    data = np.frombuffer(message.data, np.uint8)
    if width == 0 or height == 0 or message.step < row or data.size < message.step * height:
        raise ImageError(
            f"{width}x{height} {message.encoding} image with step {message.step} needs a step of at least {row} and "
            f"{max(message.step, row) * height} bytes; it has {data.size}: the publisher fills step or data wrongly"
        )
    return np.ascontiguousarray(data[: message.step * height].reshape(height, message.step)[:, :row])


def _decode_compressed(message: Any) -> NDArray[np.uint8]:
    data = np.frombuffer(message.data, np.uint8)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if decoded is None:
        raise ImageError(
            f"compressed image of {data.size} bytes (format {message.format!r}) is no readable JPEG or PNG"
        )
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def encode_image(image: NDArray[np.uint8], extension: str, quality: int = 95) -> bytes:
    """Encodes (H, W, 3) uint8 RGB as ".png" (lossless and small), or as ".jpg" or ".webp" of a quality up to 100.

    Raises:
        ImageError: not an (H, W, 3) uint8 image.
    """
    check_image(image)
    options = {
        ".png": [cv2.IMWRITE_PNG_COMPRESSION, 9],
        ".jpg": [cv2.IMWRITE_JPEG_QUALITY, quality],
        ".webp": [cv2.IMWRITE_WEBP_QUALITY, quality],
    }[extension]
    _, encoded = cv2.imencode(extension, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    return encoded.tobytes()


def write_png(path: Path, image: NDArray[np.uint8]) -> None:
    """Writes (H, W, 3) uint8 RGB as a PNG file, whole or not at all."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(encode_image(image, ".png"))

    write_atomically(path, write)
