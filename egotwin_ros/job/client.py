"""Client of the node ``imagine``: waits for it, sends a goal and collects the answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import rclpy
from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image

from egotwin_model.errors import ModelError
from egotwin_model.io.bags import typestore
from egotwin_ros.action import Imagine
from egotwin_ros.conversions import nanoseconds
from egotwin_ros.error_codes import error_of
from egotwin_ros.job.answer import NODE, Answer
from egotwin_ros.outputs import UNCONFIGURED
from egotwin_ros.request import Report

VIDEO_QOS = QoSProfile(depth=1024)  # all frames arrive at once
VIDEO_TIMEOUT_S = 20.0


def to_bag_class(message: Any) -> Any:
    """The same message in ``rosbags``' class."""
    package, _, _ = type(message).__module__.partition(".")
    return typestore().deserialize_cdr(serialize_message(message), f"{package}/msg/{type(message).__name__}")


class ImagineClient:
    """Client of the node; everything it does happens in the calling thread.

    Args:
        node: used for its subscriptions and clients.
        alive: called while waiting; raises where waiting has become pointless.
    """

    def __init__(self, node: Node, alive: Callable[[], None]) -> None:
        self._node, self._alive = node, alive
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._action = ActionClient(node, Imagine, f"{NODE}/imagine")
        self._state = node.create_client(GetState, f"{NODE}/get_state")
        self._failure = ""
        self._images: dict[int, Image] = {}
        self._camera_infos: dict[int, CameraInfo] = {}
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._subscriptions = [
            node.create_subscription(Image, f"{NODE}/predicted/image", self._on_image, VIDEO_QOS),
            node.create_subscription(CameraInfo, f"{NODE}/predicted/camera_info", self._on_info, VIDEO_QOS),
        ]

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == NODE and status.level == DiagnosticStatus.ERROR:
                self._failure = status.message

    def _on_image(self, message: Image) -> None:
        self._images[nanoseconds(message.header.stamp)] = message

    def _on_info(self, message: CameraInfo) -> None:
        self._camera_infos[nanoseconds(message.header.stamp)] = message

    def wait(self, done: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Runs callbacks until ``done``; the TimeoutError names ``what`` was waited for."""
        deadline = time.monotonic() + timeout_s
        while not done():
            self._alive()
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {timeout_s:g} s for {what}")
            self._executor.spin_once(timeout_sec=0.02)

    def wait_active(self, timeout_s: float = 120.0) -> None:
        """Waits until the node is active and its video topics are connected.

        Raises:
            ModelError: the node's diagnostics report that it cannot be configured.
        """
        deadline = time.monotonic() + timeout_s

        def left() -> float:
            return deadline - time.monotonic()

        def connected() -> bool:
            if self._failure:
                raise ModelError(self._failure.removeprefix(f"{UNCONFIGURED}BAD_MODEL: "))
            return all(self._node.count_publishers(s.topic_name) for s in self._subscriptions)

        self.wait(self._state.service_is_ready, left(), f"the node {NODE} to start")
        self.wait(connected, left(), f"the node {NODE} to load its model")
        self.wait(self._action.server_is_ready, left(), f"the action {NODE}/imagine")
        state = 0
        while state != State.PRIMARY_STATE_ACTIVE:
            future = self._state.call_async(GetState.Request())
            self.wait(future.done, left(), f"the state of {NODE}")
            state = future.result().current_state.id

    def imagine(self, goal: Imagine.Goal, report: Report, timeout_s: float) -> Answer:
        """Sends the goal, waits for its result and its video; cancels the goal when interrupted.

        Raises:
            EgoTwinError: the error of the node's error_code.
        """
        self._images.clear()
        self._camera_infos.clear()

        def on_feedback(message: Any) -> None:
            step = message.feedback
            report(step.step, step.steps, step.seconds_left)

        sent = self._action.send_goal_async(goal, on_feedback)
        self.wait(sent.done, timeout_s, "the goal to be accepted")
        handle = sent.result()
        if not handle.accepted:
            raise RuntimeError(f"the node {NODE} rejected the goal: it is not active")
        result = handle.get_result_async()
        try:
            self.wait(result.done, timeout_s, "the imagination")
        except BaseException:
            if rclpy.ok():
                handle.cancel_goal_async()
            raise
        outcome = result.result()
        if outcome.status != GoalStatus.STATUS_SUCCEEDED:
            raise error_of(outcome.result.error_code, outcome.result.error_msg)
        count = len(outcome.result.imaginations[0].frame_times)
        self.wait(
            lambda: min(len(self._images), len(self._camera_infos)) >= count,
            VIDEO_TIMEOUT_S,
            f"{count} imagined frames",
        )
        return Answer(
            [to_bag_class(message) for message in outcome.result.imaginations],
            {stamp: to_bag_class(message) for stamp, message in sorted(self._images.items())},
            {stamp: to_bag_class(message) for stamp, message in sorted(self._camera_infos.items())},
        )
