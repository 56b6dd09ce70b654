"""Cost of receiving inputs in the node: CPU time and the longest gap between images, with our executor and rclpy's.

Replays the embedded recording to the node, once with ``FairExecutor`` and once with rclpy's ``MultiThreadedExecutor``,
both with ``use_sim_time`` and a ``/clock`` of 50 Hz. Nothing is imagined meanwhile.

    python -m benchmarks.ros_load [--seconds 10]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time

from egotwin_ros import bringup
from egotwin_ros.job.process import NodeProcess, enter_domain

OURS, RCLPY = "FairExecutor", "MultiThreadedExecutor"
POLL_S, START_S, THREADS = 0.005, 60.0, 4


def measure(name: str, seconds: float) -> dict[str, float]:
    """Spins the node in a thread of this process while a recording is replayed to it, and measures its load."""
    import rclpy
    from rclpy.executors import MultiThreadedExecutor

    from egotwin_ros.executor import FairExecutor
    from egotwin_ros.nodes.imagine_node import ImagineNode

    line = bringup.command(bringup.IMAGINE, {"use_sim_time": True})
    rclpy.init(args=line[line.index("--ros-args") :])
    node = ImagineNode()
    executor = {OURS: FairExecutor, RCLPY: MultiThreadedExecutor}[name](num_threads=THREADS)
    executor.add_node(node)
    threading.Thread(target=executor.spin, daemon=True).start()
    deadline = time.monotonic() + START_S
    while node.session is None or not node.session.inputs.received["image"]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no image arrived within {START_S:g} s of the node's start")
        time.sleep(POLL_S)
    received = node.session.inputs.received
    begin, used, before = time.monotonic(), time.process_time(), dict(received)
    longest, count, last = 0.0, received["image"], begin
    while (now := time.monotonic()) < begin + seconds:
        if received["image"] > count:
            longest, count, last = max(longest, now - last), received["image"], now
        time.sleep(POLL_S)
    elapsed = time.monotonic() - begin
    return {
        "core": (time.process_time() - used) / elapsed,
        "longest_gap_s": max(longest, time.monotonic() - last),
        "images_per_s": (received["image"] - before["image"]) / elapsed,
        "poses_per_s": (received["body_pose"] - before["body_pose"]) / elapsed,
    }


def main() -> None:
    """Prints the load with both executors and their ratio."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=10.0, help="how long to measure (default: %(default)s)")
    options.add_argument("--executor", choices=(OURS, RCLPY), help=argparse.SUPPRESS)  # in a process of its own
    given = options.parse_args()
    enter_domain()
    if given.executor:
        print(json.dumps(measure(given.executor, given.seconds)), flush=True)
        os._exit(0)  # rclpy's threads may be starved
    measured = {}
    with NodeProcess(bringup.REPLAY, {"loop": True}):
        for name in (OURS, RCLPY):
            line = [sys.executable, "-m", "benchmarks.ros_load", "--executor", name, "--seconds", str(given.seconds)]
            done = subprocess.run(line, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            measured[name] = json.loads(done.stdout)
    print(f"{'':24}{'cores used':>12}{'longest gap':>14}{'images/s':>12}{'poses/s':>10}")
    for name, row in measured.items():
        print(
            f"{name:24}{row['core']:12.3f}{row['longest_gap_s']:12.2f} s{row['images_per_s']:12.1f}"
            f"{row['poses_per_s']:10.1f}"
        )
    print(f"{RCLPY} / {OURS}: {measured[RCLPY]['core'] / measured[OURS]['core']:.1f} times the CPU time")


if __name__ == "__main__":
    main()
