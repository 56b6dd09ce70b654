"""The newest inputs: images, intrinsics and body poses, matched by time and checked when they are used."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from egotwin_model.errors import CalibrationError, Cancelled
from egotwin_model.geometry.camera import Pinhole, rectify
from egotwin_model.geometry.mount import Mount
from egotwin_ros.conversions import NS, body_to_arrays, camera_model, nanoseconds
from egotwin_ros.errors import NoImageError, NoPoseError
from egotwin_ros.input_topics import INPUT_TOPICS
from egotwin_ros.parameters import ImagineParameters

if TYPE_CHECKING:
    from sensor_msgs.msg import CameraInfo, CompressedImage, Image

    from egotwin_ros.msg import BodyPose

IMAGE_HISTORY = 8
POSE_HISTORY = 512
JUMP_BACK_NS = NS
POLL_S = 0.1  # how often a wait checks whether it was cancelled


def newest_pair(image_ns: Sequence[int], pose_ns: Sequence[int], tolerance_s: float) -> tuple[int, int] | None:
    """The newest image that has a body pose within the tolerance, and that pose.

    Args:
        image_ns, pose_ns: stamps in any order.
        tolerance_s: largest time between the two.

    Returns:
        Indices of image and pose; None where no image has such a pose.
    """
    if not len(image_ns) or not len(pose_ns):
        return None
    images = np.asarray(image_ns, np.int64)
    away = np.abs(images[:, None] - np.asarray(pose_ns, np.int64))
    paired = away.min(axis=1) <= tolerance_s * NS
    if not paired.any():
        return None
    image = int(np.argmax(np.where(paired, images, np.iinfo(np.int64).min)))
    return image, int(np.argmin(away[image]))


@dataclass(frozen=True)
class Observation:
    """The observed instant from which an imagination starts.

    Attributes:
        image: (H, W, 3) uint8 RGB, the view of the model's camera.
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
    """Keeps a short history of received messages, from any thread; decodes only those that are used.

    Args:
        parameters: limits on ages and times, the fixed frame and the camera's mount.
        decode: (H, W, 3) uint8 RGB of an image message.

    Attributes:
        received: number of messages of each input.
    """

    def __init__(self, parameters: ImagineParameters, decode: Callable[[Any], NDArray[np.uint8]]) -> None:
        self._parameters, self._decode = parameters, decode
        self._changed = threading.Condition()
        self._images: deque[Image | CompressedImage] = deque(maxlen=IMAGE_HISTORY)
        self._poses: deque[BodyPose] = deque(maxlen=POSE_HISTORY)
        self._info: CameraInfo | None = None
        self._add = {"image": self._add_image, "camera_info": self._add_info, "body_pose": self._add_pose}
        self.received = {topic.name: 0 for topic in INPUT_TOPICS}

    def add(self, name: str, message: Any) -> None:
        """Adds a message of the input topic of this name."""
        with self._changed:
            self._add[name](message)
            self.received[name] += 1
            self._changed.notify_all()

    def _add_image(self, message: Image | CompressedImage) -> None:
        self._forget_the_future(self._images, message)
        self._images.append(message)

    def _add_pose(self, message: BodyPose) -> None:
        self._forget_the_future(self._poses, message)
        self._poses.append(message)

    def _add_info(self, message: CameraInfo) -> None:
        self._info = message  # the newest one is used for every image

    def _forget_the_future(self, kept: deque[Any], message: Any) -> None:
        """Empties a history whose stamps have jumped back, as when a replay restarts."""
        if kept and nanoseconds(kept[-1].header.stamp) - nanoseconds(message.header.stamp) > JUMP_BACK_NS:
            kept.clear()

    def wait(self, not_before_ns: int, stopped: Callable[[], bool]) -> None:
        """Waits for camera_info and an image of ``not_before_ns`` or later with a body pose close to it.

        Then it waits up to ``sync_tolerance_s`` for a pose as new as the image: a closer one may arrive late.

        Raises:
            NoImageError: they did not arrive within ``max_wait_s``.
            Cancelled: ``stopped`` became true.
        """
        wait_s = self._parameters.max_wait_s
        with self._changed:
            if not self._wait_until(lambda: self._info and self._pair(not_before_ns), wait_s, stopped):
                raise NoImageError(
                    f"not_before is {not_before_ns / NS:.3f} s, and within {wait_s:g} s (parameter max_wait_s) no "
                    f"image as new came with a body pose and camera_info: {self._newest()}. Do the clocks differ, or "
                    "were messages lost?"
                )

            def closest() -> bool:
                pair = self._pair(not_before_ns)
                return pair is None or max(_stamps(self._poses)) >= nanoseconds(pair[0].header.stamp)

            self._wait_until(closest, self._parameters.sync_tolerance_s, stopped)

    def _wait_until(self, done: Callable[[], object], timeout_s: float, stopped: Callable[[], bool]) -> bool:
        """Whether ``done`` became true in time; call with the lock held."""
        deadline = time.monotonic() + timeout_s
        while not done():
            if stopped():
                raise Cancelled("cancelled before an image came")
            if (left_s := deadline - time.monotonic()) <= 0.0:
                return False
            self._changed.wait(min(left_s, POLL_S))
        return True

    def _newest(self) -> str:
        stamps = {"image": _stamps(self._images), "body pose": _stamps(self._poses)}
        newest = [
            f"the newest {name} is of {max(ns) / NS:.3f} s" if ns else f"no {name}" for name, ns in stamps.items()
        ]
        return ", ".join(newest if self._info is not None else [*newest, "no camera_info"])

    def _pair(self, not_before_ns: int) -> tuple[Image | CompressedImage, BodyPose] | None:
        images = [image for image in self._images if nanoseconds(image.header.stamp) >= not_before_ns]
        found = newest_pair(_stamps(images), _stamps(self._poses), self._parameters.sync_tolerance_s)
        return None if found is None else (images[found[0]], self._poses[found[1]])

    def observe(self, now_ns: int, view: Pinhole, mount: Mount, not_before_ns: int = 0) -> Observation:
        """The newest image that has a body pose close in time, turned into the model's view.

        Args:
            now_ns: the node's clock.
            view, mount: the model's camera and how it sits on the head.
            not_before_ns: stamp of the oldest image that may be used.

        Raises:
            NoImageError, NoPoseError, CalibrationError, ImageError, PoseError: see action/Imagine.action.
        """
        with self._changed:
            (image, pose), info = self._match(now_ns, not_before_ns), self._info
        if info is None:
            raise CalibrationError("no camera_info has arrived: publish the camera's intrinsics beside the image")
        rgb = self._decode(image)
        camera = camera_model(info, rgb.shape[1], rgb.shape[0])
        positions, rotations = body_to_arrays(
            pose, self._parameters.fixed_frame_id, require_all_tracked=self._parameters.require_all_tracked
        )
        turn = self._turn_into_view(mount)
        seen = rectify(rgb, camera.matrix, camera.distortion, camera.model, view, turn)
        return Observation(seen, positions, rotations, nanoseconds(image.header.stamp), pose.header.frame_id)

    def _match(self, now_ns: int, not_before_ns: int) -> tuple[Image | CompressedImage, BodyPose]:
        parameters = self._parameters
        image_ns, pose_ns = _stamps(self._images), _stamps(self._poses)
        if not image_ns:
            raise NoImageError("no image has arrived: check the topic's name, its type and its publisher")
        age_s = (now_ns - max(image_ns)) / NS
        if parameters.max_age_s and age_s > parameters.max_age_s:
            raise NoImageError(
                f"the newest image is {age_s:.2f} s old, at most {parameters.max_age_s:g} s is accepted "
                "(parameter max_age_s): has the camera stopped, or do the clocks differ?"
            )
        if not pose_ns:
            raise NoPoseError("no body pose has arrived: check the topic's name, its type and its publisher")
        pair = self._pair(not_before_ns)
        if pair is None:
            gap_s = np.abs(np.subtract.outer(image_ns, pose_ns)).min() / NS
            raise NoPoseError(
                f"the body pose nearest to an image is {gap_s:.3f} s away from it, at most "
                f"{parameters.sync_tolerance_s:g} s is accepted (parameter sync_tolerance_s)"
            )
        return pair

    def _turn_into_view(self, mount: Mount) -> NDArray[np.float64] | None:
        """R_model_camera: from the real camera's optical frame to the one the model was trained on."""
        quaternion = np.array(self._parameters.camera_mount_rotation, np.float64)
        if not quaternion.any():
            return None
        if not np.isfinite(quaternion).all():
            raise CalibrationError("parameter camera_mount_rotation is not finite")
        return np.asarray(mount.rotation).T @ Rotation.from_quat(quaternion).as_matrix()


def _stamps(messages: Iterable[Any]) -> list[int]:
    return [nanoseconds(message.header.stamp) for message in messages]
