"""The node's outputs: imaginations as messages, video, markers, TF where ROS has it, diagnostics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from nav_msgs.msg import Path
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from visualization_msgs.msg import MarkerArray

from egotwin_ros.markers import skeleton_markers
from egotwin_ros.memory_feed import MemoryFeed
from egotwin_ros.messages import ROS
from egotwin_ros.msg import BodyTrajectory, Imagination
from egotwin_ros.observation import Observation
from egotwin_ros.parameters import ImagineParameters
from egotwin_ros.transforms import MakeBroadcaster, head_and_camera

if TYPE_CHECKING:
    from egotwin_model.egotwin.pipeline import Imagination as Outcome
    from egotwin_model.egotwin.pipeline import ModelInfo

UNCONFIGURED = "cannot be configured: "


class Outputs:
    """The node's lifecycle publishers, which publish only while the node is active.

    Args:
        node: makes the publishers.
        parameters: frames and the longest horizon.
        info: the model's frame rate, camera and mount.
        make_broadcaster: makes what sends TF; None: no TF.
    """

    def __init__(
        self,
        node: LifecycleNode,
        parameters: ImagineParameters,
        info: ModelInfo,
        make_broadcaster: MakeBroadcaster | None,
    ) -> None:
        self._parameters = parameters
        longest_s = max(parameters.max_horizon_s, info.horizon_s)
        video = QoSProfile(depth=math.ceil(longest_s * info.frame_rate) + 1)  # all frames are published at once
        make = node.create_lifecycle_publisher
        self._imagination = make(Imagination, "~/imagination", 64)
        self._head_path = make(Path, "~/head_path", 10)
        self._trajectory = make(BodyTrajectory, "~/body_trajectory", 10)
        self._image = make(Image, "~/predicted/image", video)
        self._camera_info = make(CameraInfo, "~/predicted/camera_info", video)
        self._markers = make(MarkerArray, "~/markers", 10)
        self._prior = make(Image, "~/prior/image", video)
        self._memory = make(PointCloud2, "~/memory", 1)
        self._shown: tuple[object, int] | None = None  # version of the memory, and number of subscribers
        self._frame_id = ""
        self._transforms = make_broadcaster(node) if make_broadcaster and parameters.head_frame_id else None
        self._all = (
            self._imagination, self._head_path, self._trajectory, self._image, self._camera_info, self._markers,
            self._prior, self._memory,
        )  # fmt: skip
        self._node = node

    def publish(self, messages: list[Imagination], outcome: Outcome, observation: Observation, info: ModelInfo) -> None:
        """Every sample on ~/imagination; path, body, video, prior, markers and TF of the first one."""
        first = messages[0]
        self._head_path.publish(first.head_path)
        self._trajectory.publish(first.body_trajectory)
        times = np.asarray(outcome.motion_times)
        where = observation.stamp_ns, observation.frame_id
        self._markers.publish(skeleton_markers(outcome.motion.positions[0], times, *where))
        for image, camera_info in ROS.video(outcome, observation, info, self._parameters.camera_frame_id):
            self._camera_info.publish(camera_info)
            self._image.publish(image)
        if self._prior.get_subscription_count():
            for image in ROS.prior(outcome, observation, self._parameters.camera_frame_id):
                self._prior.publish(image)
        if self._transforms is not None:
            frames = self._parameters.head_frame_id, self._parameters.camera_frame_id
            self._transforms.sendTransform(head_and_camera(first.head_path, info.mount, *frames))
        for message in messages:
            self._imagination.publish(message)

    def publish_memory(self, feed: MemoryFeed, stamp_ns: int) -> None:
        """What is remembered, where it or its subscribers have changed and there are any.

        Args:
            stamp_ns: the stamp of an empty cloud, which shows that the memory was cleared.
        """
        shown = feed.version, self._memory.get_subscription_count()
        if not shown[1] or shown == self._shown or not self._memory.is_activated:
            return
        memory, frame_id, newest_ns = feed.snapshot()
        frame_id = frame_id or self._frame_id
        self._memory.publish(ROS.point_cloud(*memory.points(), newest_ns or stamp_ns, frame_id))
        self._shown, self._frame_id = shown, frame_id

    def destroy(self) -> None:
        """Removes the publishers."""
        for publisher in self._all:
            self._node.destroy_lifecycle_publisher(publisher)


@dataclass
class Health:
    """The content of the node's status on /diagnostics."""

    state: str = "unconfigured"
    model: str = ""
    model_sha256: str = ""
    runtime: str = ""
    runtime_description: str = ""
    imaginations: int = 0
    last_latency_s: float = float("nan")
    last_error: str = ""
    failing: bool = False

    def succeeded(self, latency_s: float) -> None:
        """Counts one more imagination."""
        self.last_latency_s, self.failing = latency_s, False
        self.imaginations += 1

    def message(
        self, name: str, stamp: Any, received: Mapping[str, int], memory: Mapping[str, object]
    ) -> DiagnosticArray:
        """The state as one DiagnosticStatus: ERROR without a model, WARN while the last request failed or images are
        not remembered, else OK."""
        level, summary = DiagnosticStatus.OK, self.state
        if self.failing:
            level = DiagnosticStatus.WARN if self.model else DiagnosticStatus.ERROR
            summary = self.last_error
        elif memory.get("memory refusal"):
            level, summary = DiagnosticStatus.WARN, f"{self.state}; not remembered: {memory['memory refusal']}"
        values = [KeyValue(key=key, value=str(value)) for key, value in vars(self).items() if key != "failing"]
        values += [KeyValue(key=f"received {topic}", value=str(count)) for topic, count in received.items()]
        values += [KeyValue(key=key, value=str(value)) for key, value in memory.items()]
        status = DiagnosticStatus(level=level, name=name, message=summary, hardware_id=self.runtime, values=values)
        array = DiagnosticArray(status=[status])
        array.header.stamp = stamp
        return array
