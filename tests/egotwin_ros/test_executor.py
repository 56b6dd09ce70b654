"""The executor submits each callback about once, even where its threads compete for the interpreter's lock."""

import threading
import time

import pytest
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rosgraph_msgs.msg import Clock

from egotwin_ros.executor import FairExecutor

pytestmark = pytest.mark.ros
MESSAGES = 200


class Counting(FairExecutor):
    submitted = 0

    def wait_for_ready_callbacks(self, *args, **kwargs):
        ready = super().wait_for_ready_callbacks(*args, **kwargs)
        self.submitted += 1
        return ready


def test_a_callback_is_submitted_about_once(ros):
    node, received, all_received = Node("listener"), [], threading.Event()

    def receive(message: Clock) -> None:
        received.append(message)
        if len(received) == MESSAGES:
            all_received.set()

    node.create_subscription(Clock, "ticks", receive, MESSAGES, callback_group=ReentrantCallbackGroup())
    ticks = node.create_publisher(Clock, "ticks", MESSAGES)
    executor = Counting(num_threads=4)
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin, daemon=True)
    spinning.start()
    for _ in range(MESSAGES):
        ticks.publish(Clock())
        time.sleep(0.002)  # a stream, as a camera or /clock makes it, not a burst
    assert all_received.wait(60)
    executor.shutdown()
    spinning.join(60)
    node.destroy_node()
    assert executor.submitted < 3 * MESSAGES
