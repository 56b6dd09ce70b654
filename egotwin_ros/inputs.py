"""The newest inputs: images, intrinsics, depth images and body poses, matched by time."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import Cancelled
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_ros.conversions import NS, nanoseconds
from egotwin_ros.errors import NoDepthError, NoImageError, NoPoseError
from egotwin_ros.input_topics import topics_for
from egotwin_ros.match import Match, newest_pair
from egotwin_ros.observation import Observation, ObservationReader
from egotwin_ros.parameters import ImagineParameters

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage, Image

    from egotwin_ros.msg import BodyPose

JUMP_BACK_NS = NS
POLL_S = 0.1  # how often a wait checks whether it was cancelled


class InputBuffer:
    """Keeps a short history of received messages, from any thread; decodes only those that are used.

    Args:
        parameters: limits on ages and times, the fixed frame and the camera's mount.
        decode: (H, W, 3) uint8 RGB of an image message.

    Attributes:
        received: number of messages of each input.
        reader: makes an `Observation` of a `match`.
    """

    def __init__(self, parameters: ImagineParameters, decode: Callable[[Any], NDArray[np.uint8]]) -> None:
        self._parameters = parameters
        self.reader = ObservationReader(parameters, decode)
        self._changed = threading.Condition()
        topics = topics_for(parameters.depth_source)
        self._histories: dict[str, deque[Any]] = {
            topic.name: deque(maxlen=topic.history) for topic in topics if topic.history
        }
        self._images, self._poses = self._histories["image"], self._histories["body_pose"]
        self._depths = self._histories.get("depth/image", deque())
        self._newest: dict[str, Any] = {}
        self.received = {topic.name: 0 for topic in topics}

    def add(self, name: str, message: Any) -> None:
        """Adds a message of the input topic of this name."""
        with self._changed:
            if name in self._histories:
                self._keep(self._histories[name], message)
            else:
                self._newest[name] = message
            self.received[name] += 1
            self._changed.notify_all()

    def _keep(self, history: deque[Any], message: Any) -> None:
        """Adds to a history, which is emptied first where its stamps have jumped back, as when a replay restarts."""
        if history and nanoseconds(history[-1].header.stamp) - nanoseconds(message.header.stamp) > JUMP_BACK_NS:
            history.clear()
        history.append(message)

    def wait(self, not_before_ns: int, stopped: Callable[[], bool]) -> None:
        """Waits for camera_info and an image of ``not_before_ns`` or later with a body pose close to it.

        Then it waits up to ``sync_tolerance_s`` for a pose, and for a depth image where any have come, as new as the
        image: closer ones may arrive late. With depth_source "topic" the image must have a depth image, too.

        Raises:
            NoImageError: they did not arrive within ``max_wait_s``.
            Cancelled: ``stopped`` became true.
        """
        wait_s = self._parameters.max_wait_s
        with self._changed:
            if not self._wait_until(
                lambda: "camera_info" in self._newest and self._pair(not_before_ns), wait_s, stopped
            ):
                raise NoImageError(
                    f"not_before is {not_before_ns / NS:.3f} s, and within {wait_s:g} s (parameter max_wait_s) no "
                    f"image as new came with a body pose and camera_info: {self._newest_stamps()}. Do the clocks "
                    "differ, or were messages lost?"
                )

            def closest() -> bool:
                pair = self._pair(not_before_ns)
                return pair is None or self._all_came(nanoseconds(pair[0].header.stamp))

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

    def _all_came(self, stamp_ns: int) -> bool:
        """Whether a body pose, and a depth image where any have come, as new as this have come."""
        needed = [self._poses, self._depths] if self._depths else [self._poses]
        return all(history and nanoseconds(history[-1].header.stamp) >= stamp_ns for history in needed)

    def settled(self, image: Any) -> bool:
        """Whether the image's `match` will not change: all that is as new came, or images newer by the tolerance."""
        stamp_ns = nanoseconds(image.header.stamp)
        with self._changed:
            newest = nanoseconds(self._images[-1].header.stamp) if self._images else stamp_ns
            return newest - stamp_ns > self._parameters.sync_tolerance_s * NS or self._all_came(stamp_ns)

    def _newest_stamps(self) -> str:
        named = {"image": self._images, "body pose": self._poses}
        if self._needs_depth:
            named["depth image"] = self._depths
        newest = [
            f"the newest {name} is of {max(_stamps(history)) / NS:.3f} s" if history else f"no {name}"
            for name, history in named.items()
        ]
        return ", ".join(newest if "camera_info" in self._newest else [*newest, "no camera_info"])

    @property
    def _needs_depth(self) -> bool:
        return self._parameters.depth_source == "topic"

    def _pair(self, not_before_ns: int) -> tuple[Image | CompressedImage, BodyPose] | None:
        """The newest image with a body pose (and, where that is needed, a depth image) close to it; and the pose.

        An image whose depth is still under way stands back behind one a little older whose depth has come.
        """
        images = [image for image in self._images if nanoseconds(image.header.stamp) >= not_before_ns]
        tolerance_ns = self._parameters.sync_tolerance_s * NS
        if self._depths and images:
            depth_ns, image_ns = np.array(_stamps(self._depths)), np.array(_stamps(images))
            close = np.abs(image_ns[:, None] - depth_ns).min(axis=1) <= tolerance_ns
            came = close & (image_ns <= depth_ns.max()) & (image_ns >= image_ns.max() - tolerance_ns)
            if found := self._newest_pair(images, came):
                return found
            if self._needs_depth:
                return self._newest_pair(images, close)
        elif self._needs_depth:
            return None
        return self._newest_pair(images, np.ones(len(images), bool))

    def _newest_pair(
        self, images: Sequence[Image | CompressedImage], usable: NDArray[np.bool_]
    ) -> tuple[Image | CompressedImage, BodyPose] | None:
        images = [image for image, use in zip(images, usable, strict=True) if use]
        found = newest_pair(_stamps(images), _stamps(self._poses), self._parameters.sync_tolerance_s)
        return None if found is None else (images[found[0]], self._poses[found[1]])

    def observe(self, now_ns: int, view: Pinhole, mount: Mount, not_before_ns: int = 0) -> Observation:
        """The newest image that has a body pose close in time, turned into the model's view.

        Args:
            now_ns: the node's clock.
            view, mount: the model's camera and how it sits on the head.
            not_before_ns: stamp of the oldest image that may be used.

        Raises:
            NoImageError, NoPoseError, NoDepthError, CalibrationError, ImageError, PoseError: see action/Imagine.action.
        """
        with self._changed:
            image, pose = self._match(now_ns, not_before_ns)
            match = self._matched(image, pose)
        return self.reader.read(match, view, mount)

    def match(self, image: Any) -> Match:
        """What came closest to an image in time.

        Raises:
            NoPoseError, NoDepthError: no body pose, or no depth image where one is needed, within the tolerance.
        """
        with self._changed:
            if (pose := self._closest(self._poses, image)) is None:
                raise NoPoseError(self._too_far("body pose", _stamps([image]), _stamps(self._poses)))
            match = self._matched(image, pose)
            if not match.has_depth and self._needs_depth:
                raise NoDepthError(self._too_far("depth image", _stamps([image]), _stamps(self._depths)))
        return match

    def _matched(self, image: Any, pose: Any) -> Match:
        messages = dict(self._newest)
        for name in self._histories.keys() - {"image", "body_pose"}:
            if (closest := self._closest(self._histories[name], image)) is not None:
                messages[name] = closest
        return Match(image, pose, messages)

    def _closest(self, history: Sequence[Any], image: Any) -> Any | None:
        found = newest_pair(_stamps([image]), _stamps(history), self._parameters.sync_tolerance_s)
        return None if found is None else history[found[1]]

    def _match(self, now_ns: int, not_before_ns: int) -> tuple[Image | CompressedImage, BodyPose]:
        parameters = self._parameters
        image_ns, pose_ns, depth_ns = _stamps(self._images), _stamps(self._poses), _stamps(self._depths)
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
        if pair is None and self._needs_depth and newest_pair(image_ns, pose_ns, parameters.sync_tolerance_s):
            raise NoDepthError(self._too_far("depth image", image_ns, depth_ns))
        if pair is None:
            raise NoPoseError(self._too_far("body pose", image_ns, pose_ns))
        return pair

    def _too_far(self, name: str, image_ns: list[int], other_ns: list[int]) -> str:
        if not other_ns:
            return f"no {name} has arrived: check the topic's name, its type and its publisher"
        gap_s = np.abs(np.subtract.outer(image_ns, other_ns)).min() / NS
        return (
            f"the {name} nearest to an image is {gap_s:.3f} s away from it, at most "
            f"{self._parameters.sync_tolerance_s:g} s is accepted (parameter sync_tolerance_s)"
        )


def _stamps(messages: Iterable[Any]) -> list[int]:
    return [nanoseconds(message.header.stamp) for message in messages]
