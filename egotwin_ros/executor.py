"""The executor of the node."""

from __future__ import annotations

import time
from typing import Any

from rclpy.executors import MultiThreadedExecutor

HAND_OVER_S = 2e-4


class FairExecutor(MultiThreadedExecutor):
    """rclpy's, which lets its threads begin what it has handed them before it looks for more.

    rclpy's own hands a callback out again and again until a thread has begun it, and holds the interpreter's lock
    meanwhile, so that none can (ros2/rclpy#1452, mended in #1547 for later releases). With a ``/clock`` of 50 Hz it
    takes a whole core, messages wait for seconds, and some are lost; ``python -m benchmarks.ros_load`` measures both.
    """

    def wait_for_ready_callbacks(self, *args: Any, **kwargs: Any) -> Any:
        """Gives the lock away for a moment, then waits as rclpy does."""
        time.sleep(HAND_OVER_S)
        return super().wait_for_ready_callbacks(*args, **kwargs)
