"""The job's side of the conversation: waits for the node, asks for a goal, gathers the answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import rclpy
from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from egotwin_model.errors import ModelError
from egotwin_ros.action import Imagine
from egotwin_ros.conversions import nanoseconds
from egotwin_ros.error_codes import error_of
from egotwin_ros.msg import Imagination
from egotwin_ros.outputs import PICTURES_QOS, UNCONFIGURED

NODE = "/imagine"
PICTURES_TIMEOUT_S = 20.0


@dataclass
class Answer:
    """What came back: one message per sample, and the pictures of the first sample by predicted stamp."""

    imaginations: list[Imagination]
    images: dict[int, Image] = field(default_factory=dict)
    camera_infos: dict[int, CameraInfo] = field(default_factory=dict)


class Asker:
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
        self._answer = Answer([])
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._subscriptions = [
            node.create_subscription(Image, f"{NODE}/predicted/image", self._on_image, PICTURES_QOS),
            node.create_subscription(CameraInfo, f"{NODE}/predicted/camera_info", self._on_info, PICTURES_QOS),
        ]

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == NODE and status.level == DiagnosticStatus.ERROR:
                self._failure = status.message

    def _on_image(self, message: Image) -> None:
        self._answer.images[nanoseconds(message.header.stamp)] = message

    def _on_info(self, message: CameraInfo) -> None:
        self._answer.camera_infos[nanoseconds(message.header.stamp)] = message

    def wait(self, done: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Serves callbacks until ``done``; TimeoutError names ``what`` was waited for."""
        deadline = time.monotonic() + timeout_s
        while not done():
            self._alive()
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {timeout_s:g} s for {what}")
            self._executor.spin_once(timeout_sec=0.02)

    def wait_active(self, timeout_s: float = 120.0) -> None:
        """Until the node is active and its pictures are heard; `ModelError` where it says it cannot be."""
        deadline = time.monotonic() + timeout_s

        def left() -> float:
            return deadline - time.monotonic()

        def heard() -> bool:
            if self._failure:
                raise ModelError(self._failure.removeprefix(f"{UNCONFIGURED}BAD_MODEL: "))
            return all(self._node.count_publishers(s.topic_name) for s in self._subscriptions)

        self.wait(self._state.service_is_ready, left(), f"the node {NODE} to start")
        self.wait(heard, left(), f"the node {NODE} to load its model")
        self.wait(self._action.server_is_ready, left(), f"the action {NODE}/imagine")
        state = 0
        while state != State.PRIMARY_STATE_ACTIVE:
            future = self._state.call_async(GetState.Request())
            self.wait(future.done, left(), f"the state of {NODE}")
            state = future.result().current_state.id

    def ask(self, goal: Imagine.Goal, feedback: Callable[[int, int, float], None], timeout_s: float) -> Answer:
        """Sends the goal and waits for its result and its pictures; cancels it when interrupted.

        Raises:
            EgoTwinError: the node's error_code, as the class it stands for.
        """
        self._answer = Answer([])

        def on_feedback(message: Any) -> None:
            step = message.feedback
            feedback(step.step, step.steps, step.seconds_left)

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
        self._answer.imaginations = list(outcome.result.imaginations)
        count = len(self._answer.imaginations[0].frame_times)
        self.wait(
            lambda: min(len(self._answer.images), len(self._answer.camera_infos)) >= count,
            PICTURES_TIMEOUT_S,
            f"{count} imagined pictures",
        )
        return self._answer
