"""RGB arrays of ROS image messages: by ``cv_bridge`` where it is installed, else by `egotwin_model.io.images`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from egotwin_model.errors import ImageError
from egotwin_model.io.images import decode_image

try:
    from cv_bridge import CvBridge
except ImportError:
    CvBridge = None


def cv_bridge_rgb(message: Image | CompressedImage) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB by cv_bridge; raises `ImageError` where it refuses the message."""
    bridge: Any = CvBridge()
    convert = bridge.compressed_imgmsg_to_cv2 if isinstance(message, CompressedImage) else bridge.imgmsg_to_cv2
    try:
        return np.asarray(convert(message, "rgb8"), np.uint8)
    except Exception as error:  # CvBridgeError, cv2.error, ValueError and TypeError, by fault and version
        raise ImageError(f"cv_bridge cannot convert the image to rgb8: {error}") from error


to_rgb = decode_image if CvBridge is None else cv_bridge_rgb
