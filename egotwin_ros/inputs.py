"""What the node has last seen: images, intrinsics and body poses, matched by time and checked when they are used."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from egotwin_model.camera import Mount, Pinhole, rectify
from egotwin_model.errors import CalibrationError
from egotwin_ros.codes import NoImageError, NoPoseError
from egotwin_ros.conversions import NS, body_to_arrays, camera_model, nanoseconds
from egotwin_ros.image_bridge import to_rgb
from egotwin_ros.msg import BodyPose
from egotwin_ros.parameters import ImagineParameters

IMAGE_HISTORY = 8
POSE_HISTORY = 512
JUMP_BACK_NS = NS


@dataclass(frozen=True)
class Observation:
    """One instant to imagine from.

    Attributes:
        image: (H, W, 3) uint8 RGB in the model's view.
        positions, rotations: (23, 3) metres and (23, 3, 3), in ``frame_id``.
        stamp_ns: the image's stamp.
        frame_id: the body pose's fixed frame.
    """

    image: NDArray[np.uint8]
    positions: NDArray[np.float64]
    rotations: NDArray[np.float64]
    stamp_ns: int
    frame_id: str


class InputBuffer:
    """Keeps a short history of messages as they come, from any thread; decodes only what is used.

    Attributes:
        received: how many messages of each input have come.
    """

    def __init__(self, parameters: ImagineParameters) -> None:
        self._parameters = parameters
        self._lock = threading.Lock()
        self._images: deque[Image | CompressedImage] = deque(maxlen=IMAGE_HISTORY)
        self._poses: deque[BodyPose] = deque(maxlen=POSE_HISTORY)
        self._info: CameraInfo | None = None
        self.received = {"image": 0, "camera_info": 0, "body_pose": 0}

    def add_image(self, message: Image | CompressedImage) -> None:
        """Takes an image message."""
        with self._lock:
            self._forget_the_future(self._images, message)
            self._images.append(message)
            self.received["image"] += 1

    def add_pose(self, message: BodyPose) -> None:
        """Takes a body pose message."""
        with self._lock:
            self._forget_the_future(self._poses, message)
            self._poses.append(message)
            self.received["body_pose"] += 1

    def _forget_the_future(self, kept: deque[Any], message: Any) -> None:
        """Empties a history whose stamps have jumped back, as when a replay starts again."""
        if kept and nanoseconds(kept[-1].header.stamp) - nanoseconds(message.header.stamp) > JUMP_BACK_NS:
            kept.clear()

    def add_info(self, message: CameraInfo) -> None:
        """Takes a camera_info message; the newest holds for every image."""
        with self._lock:
            self._info = message
            self.received["camera_info"] += 1

    def observe(self, now_ns: int, view: Pinhole, mount: Mount) -> Observation:
        """The newest image that has a body pose close in time, turned into the model's view.

        Args:
            now_ns: the node's clock.
            view, mount: the model's camera and how it sits on the head.

        Raises:
            NoImageError, NoPoseError, CalibrationError, ImageError, PoseError: see action/Imagine.action.
        """
        with self._lock:
            images, poses, info = list(self._images), list(self._poses), self._info
        image, pose = self._match(images, poses, now_ns)
        if info is None:
            raise CalibrationError("no camera_info has arrived: publish the camera's intrinsics beside the image")
        rgb = to_rgb(image)
        camera = camera_model(info, rgb.shape[1], rgb.shape[0])
        positions, rotations = body_to_arrays(
            pose, self._parameters.fixed_frame_id, require_all_tracked=self._parameters.require_all_tracked
        )
        turn = self._turn_into_view(mount)
        seen = rectify(rgb, camera.matrix, camera.distortion, camera.model, view, turn)
        return Observation(seen, positions, rotations, nanoseconds(image.header.stamp), pose.header.frame_id)

    def _match(
        self, images: list[Image | CompressedImage], poses: list[BodyPose], now_ns: int
    ) -> tuple[Image | CompressedImage, BodyPose]:
        parameters = self._parameters
        if not images:
            raise NoImageError("no image has arrived: check the topic's name, its type and its publisher")
        newest = max(images, key=lambda message: nanoseconds(message.header.stamp))
        age_s = (now_ns - nanoseconds(newest.header.stamp)) / NS
        if parameters.max_age_s and age_s > parameters.max_age_s:
            raise NoImageError(
                f"the newest image is {age_s:.2f} s old, at most {parameters.max_age_s:g} s is accepted "
                "(parameter max_age_s): has the camera stopped, or do the clocks differ?"
            )
        if not poses:
            raise NoPoseError("no body pose has arrived: check the topic's name, its type and its publisher")
        pose_stamps = np.array([nanoseconds(pose.header.stamp) for pose in poses])
        gaps = []
        for image in sorted(images, key=lambda message: -nanoseconds(message.header.stamp)):
            away = np.abs(pose_stamps - nanoseconds(image.header.stamp))
            nearest = int(np.argmin(away))
            gaps.append(away[nearest] / NS)
            if gaps[-1] <= parameters.sync_tolerance_s:
                return image, poses[nearest]
        raise NoPoseError(
            f"the body pose nearest to an image is {min(gaps):.3f} s away from it, at most "
            f"{parameters.sync_tolerance_s:g} s is accepted (parameter sync_tolerance_s)"
        )

    def _turn_into_view(self, mount: Mount) -> NDArray[np.float64] | None:
        """R_model_camera: from the real camera's optical frame to the one the model was trained on."""
        quaternion = np.array(self._parameters.camera_mount_rotation, np.float64)
        if not quaternion.any():
            return None
        if not np.isfinite(quaternion).all():
            raise CalibrationError("parameter camera_mount_rotation is not finite")
        return np.asarray(mount.rotation).T @ Rotation.from_quat(quaternion).as_matrix()
