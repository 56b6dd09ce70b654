"""Replays a recording into ROS: the recorded bytes unchanged, at a rate, with ``/clock``.

As an executable (``ros2 run egotwin_ros replay --ros-args -p bag:=…``) and as `Player`, which ``egotwin imagine`` uses.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import rclpy
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.duration import Duration
from rclpy.exceptions import ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock

from egotwin_model.errors import RecordingError
from egotwin_model.io.bags import BagReader
from egotwin_model.io.share import share_folder
from egotwin_ros.bringup import environment
from egotwin_ros.interrupts import Interrupts
from egotwin_ros.messages import NS, ROS, ros_class
from egotwin_ros.option_types import number

CLOCK_PERIOD_S = 0.02
QOS = QoSProfile(depth=64)  # reliable: serves best-effort and reliable subscribers alike


class Player:
    """Publishes a recording's messages and ``/clock`` from a node, in the calling thread.

    Args:
        node: makes the publishers; its remappings apply.
        bag: an open recording.
        rate: seconds of recording per second; 0: as fast as possible.
        topics: recorded topic name → name to publish it as; none: all whose types are installed, as they are
            (the others are named in the log).
    """

    def __init__(self, node: Node, bag: BagReader, rate: float = 1.0, topics: Mapping[str, str] | None = None) -> None:
        self._node, self._bag, self._rate = node, bag, rate
        self._clock = node.create_publisher(Clock, "/clock", QOS)
        self._publishers: dict[str, Publisher] = {}
        self._wake = threading.Event()
        for topic, kind in bag.topics().items():
            if topics and topic not in topics:
                continue
            try:
                name = topics[topic] if topics else topic
                self._publishers[topic] = node.create_publisher(ros_class(kind), name, QOS)
            except RecordingError as error:
                if topics:
                    raise
                node.get_logger().warning(f"{topic} is left out: {error}")
        self.position_ns = bag.start_ns

    def subscribed(self) -> bool:
        """Whether every topic has a subscriber."""
        return all(publisher.get_subscription_count() for publisher in self._publishers.values())

    def publish_latest(self, topic: str, before_ns: int) -> None:
        """Publishes the last message of a topic up to ``before_ns``, for topics that are sent once at the beginning."""
        for start_ns in (before_ns - 10 * NS, None):  # the whole recording only where the last seconds have none
            found = deque(self._bag.raw_messages([topic], start_ns, before_ns + 1), maxlen=1)
            if found:
                self._publishers[topic].publish(found[0][3])
                return

    def stop(self) -> None:
        """Makes `play` return soon; callable from any thread."""
        self._wake.set()

    def play(self, start_ns: int | None = None, until_ns: int | None = None) -> bool:
        """Plays from ``start_ns`` up to and including ``until_ns`` (bag times); False where `stop` broke it off.

        Raises:
            RecordingError: the recording breaks off.
        """
        first = self._bag.start_ns if start_ns is None else start_ns
        last = self._bag.end_ns if until_ns is None else until_ns
        begin = time.monotonic()
        self._publish_time(first)
        for topic, _, stamp_ns, cdr in self._bag.raw_messages(list(self._publishers), first, last + 1):
            if not self._wait_until(stamp_ns, lambda: first + int((time.monotonic() - begin) * self._rate * NS)):
                return False
            self._publish_time(stamp_ns)
            self._publishers[topic].publish(cdr)
        return self._wait_until(last, lambda: first + int((time.monotonic() - begin) * self._rate * NS))

    def _wait_until(self, stamp_ns: int, now: Callable[[], int]) -> bool:
        """Waits in wall time and publishes bag time meanwhile."""
        while self._rate > 0 and (ahead_s := (stamp_ns - now()) / NS / self._rate) > 0:
            if self._wake.wait(min(ahead_s, CLOCK_PERIOD_S)):
                return False
            self._publish_time(min(now(), stamp_ns))
        return not self._wake.is_set()

    def _publish_time(self, stamp_ns: int) -> None:
        self.position_ns = stamp_ns
        self._clock.publish(Clock(clock=ROS.time(stamp_ns)))

    def finish(self, timeout_s: float = 5.0) -> bool:
        """Waits until reliable subscribers have everything; False on timeout."""
        limit = Duration(seconds=timeout_s)
        return all(publisher.wait_for_all_acked(limit) for publisher in self._publishers.values())


@dataclass(frozen=True)
class _Setting:
    """One parameter: default, description, and its highest value where it is a number of 0 or more."""

    default: Any
    description: str
    high: float = 0.0


_SETTINGS = {
    "bag": _Setting("", "Recording: an .mcap or .db3 file or a rosbag2 folder; empty: the embedded example."),
    "rate": _Setting(1.0, "Seconds of recording per second; 0: as fast as possible.", 1000.0),
    "loop": _Setting(False, "Start again at the end; stamps then jump back."),
    "start_s": _Setting(0.0, "Where to begin [s after the recording's start].", 1e6),
    "until_s": _Setting(0.0, "Where to end [s after the recording's start]; 0: at its end.", 1e6),
    "wait_s": _Setting(0.0, "Longest wait until every topic has a subscriber [s].", 1e6),
}
_NUMBERS = {name: setting for name, setting in _SETTINGS.items() if setting.high}


def declare(node: Node) -> None:
    """Declares the node's parameters."""
    for name, setting in _SETTINGS.items():
        descriptor = ParameterDescriptor(description=setting.description)
        if setting.high:
            descriptor.floating_point_range = [FloatingPointRange(from_value=0.0, to_value=setting.high)]
        node.declare_parameter(name, setting.default, descriptor)


@contextmanager
def _served(node: Node) -> Iterator[None]:
    """Answers the node's parameter services in a thread of their own: playing occupies the main one."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, name="services", daemon=True)
    thread.start()
    try:
        yield
    finally:
        executor.shutdown()
        thread.join()


def _replay(node: Node) -> None:
    value = {name: node.get_parameter(name).value for name in _SETTINGS}
    path = value["bag"] or str(share_folder() / "examples/bags/living_room.mcap")
    with BagReader(path) as bag:
        start = bag.start_ns + round(value["start_s"] * NS)
        until = bag.start_ns + round(value["until_s"] * NS) if value["until_s"] else bag.end_ns
        if not start <= until or start > bag.end_ns:
            raise RecordingError(
                f"start_s {value['start_s']:g} s, until_s {value['until_s']:g} s: wanted a part of {path}, "
                f"which is {bag.duration_s:.2f} s long"
            )
        player = Player(node, bag, value["rate"])
        deadline = time.monotonic() + value["wait_s"]
        while not player.subscribed() and time.monotonic() < deadline:
            time.sleep(CLOCK_PERIOD_S)
        node.get_logger().info(f"replaying {path}: {(until - start) / NS:.1f} s at rate {value['rate']:g}")
        while player.play(start, until) and value["loop"]:
            node.get_logger().info("again from the start")
        player.finish()


def ros_arguments(arguments: list[str]) -> list[str]:
    """Command-line options as ROS parameters; arguments that contain ``--ros-args`` are returned unchanged."""
    if "--ros-args" in arguments:
        return arguments
    parser = argparse.ArgumentParser(prog="egotwin replay", description="Publishes a recording on ROS topics.")
    parser.add_argument("bag", nargs="?", default="", help=_SETTINGS["bag"].description)
    parser.add_argument("--loop", action="store_true", help=_SETTINGS["loop"].description)
    for name, setting in _NUMBERS.items():
        parser.add_argument(
            f"--{name.removesuffix('_s')}", dest=name, type=number(0.0, setting.high), default=setting.default,
            help=f"{setting.description} (default: %(default)s)",
        )  # fmt: skip
    given = parser.parse_args(arguments)
    line = ["--ros-args", "-p", f"bag:={json.dumps(given.bag)}", "-p", f"loop:={json.dumps(given.loop)}"]
    for name in _NUMBERS:
        line += ["-p", f"{name}:={getattr(given, name)!r}"]
    return line


def main(arguments: list[str] | None = None) -> int:
    """Replays until the end or an interrupt; returns 1 where the recording or a parameter cannot be used."""
    os.environ.update(environment())
    line = sys.argv if arguments is None else ros_arguments(arguments)
    rclpy.init(args=line, signal_handler_options=SignalHandlerOptions.NO)  # `Interrupts` handles them
    node = Node("replay")
    try:
        with Interrupts():
            declare(node)
            with _served(node):
                _replay(node)
    except KeyboardInterrupt:
        pass
    except (RecordingError, ParameterException) as error:
        node.get_logger().fatal(f"{type(error).__name__}: {error}")
        return 1
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
