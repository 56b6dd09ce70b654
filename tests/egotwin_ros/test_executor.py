"""The executor hands each callback out about once, also where its threads have to compete for the interpreter."""

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
    handed_out = 0

    def wait_for_ready_callbacks(self, *args, **kwargs):
        ready = super().wait_for_ready_callbacks(*args, **kwargs)
        self.handed_out += 1
        return ready


def test_a_callback_is_not_handed_out_again_and_again_until_it_begins(ros):
    node, heard, all_heard = Node("listener"), [], threading.Event()

    def hear(message: Clock) -> None:
        heard.append(message)
        if len(heard) == MESSAGES:
            all_heard.set()

    node.create_subscription(Clock, "ticks", hear, MESSAGES, callback_group=ReentrantCallbackGroup())
    ticks = node.create_publisher(Clock, "ticks", MESSAGES)
    executor = Counting(num_threads=4)
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin, daemon=True)
    spinning.start()
    for _ in range(MESSAGES):
        ticks.publish(Clock())
        time.sleep(0.002)  # a stream, as a camera or /clock makes it, not a burst
    assert all_heard.wait(60)
    executor.shutdown()
    spinning.join(60)
    node.destroy_node()
    assert executor.handed_out < 3 * MESSAGES
