"""The executor of the node."""

from __future__ import annotations

import time
from typing import Any

from rclpy.executors import MultiThreadedExecutor

HAND_OVER_S = 2e-4


class FairExecutor(MultiThreadedExecutor):
    """rclpy's MultiThreadedExecutor with a pause in which its threads start the callbacks they were given.

    Without it, rclpy's executor submits a callback again and again until a thread has started it, and holds the
    interpreter's lock meanwhile, so that no thread can (ros2/rclpy#1452, fixed in #1547 for later releases). That
    wastes CPU time and delays messages; ``python -m benchmarks.ros_load`` measures both executors.
    """

    def wait_for_ready_callbacks(self, *args: Any, **kwargs: Any) -> Any:
        """Releases the lock briefly, then waits as rclpy does."""
        time.sleep(HAND_OVER_S)
        return super().wait_for_ready_callbacks(*args, **kwargs)
