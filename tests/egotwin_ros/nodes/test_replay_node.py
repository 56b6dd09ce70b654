"""Replaying: the recorded bytes unchanged and in order, with /clock, from and to where it is asked."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from egotwin_model.errors import RecordingError
from egotwin_model.io.bags import BagReader, BagWriter, Topics
from egotwin_ros.conversions import nanoseconds
from egotwin_ros.messages import ros_class
from egotwin_ros.msg import BodyPose
from egotwin_ros.nodes import replay_node as replay

pytestmark = pytest.mark.ros
START = 1_700_000_000_000_000_000
STEP = 50_000_000
RNG = np.random.default_rng(2)


@pytest.fixture
def bag(tmp_path):
    with BagWriter(tmp_path / "walk.mcap") as writer:
        for step in range(20):
            stamp = START + step * STEP
            writer.write_image(Topics.image, stamp, "camera", RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            writer.write_body_pose(stamp, "map", np.zeros((23, 3)), np.tile(np.eye(3), (23, 1, 1)))
    with BagReader(tmp_path / "walk.mcap") as reader:
        yield reader


class Listener:
    """Hears an image topic, a body pose topic and /clock."""

    def __init__(self, image: str, pose: str) -> None:
        self.node = Node("listener")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.images, self.poses, self.clock = [], [], []
        qos = QoSProfile(depth=500)
        for kind, topic, take in (
            (Image, image, self.images),
            (BodyPose, pose, self.poses),
            (Clock, "/clock", self.clock),
        ):
            self.node.create_subscription(kind, topic, take.append, qos)

    def wait(self, condition) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            self.executor.spin_once(timeout_sec=0.01)


@pytest.fixture
def listener(ros):
    made = Listener("/camera/image", "/body_pose")
    yield made
    made.executor.shutdown()
    made.node.destroy_node()


@pytest.fixture
def player_node(ros):
    node = Node("player")
    yield node
    node.destroy_node()


def test_the_recorded_bytes_arrive_unchanged_in_order_with_the_clock(bag, listener, player_node):
    player = replay.Player(player_node, bag, rate=0)
    listener.wait(player.subscribed)
    assert player.play()
    listener.wait(lambda: len(listener.images) == len(listener.poses) == 20)
    recorded = [cdr for *_, cdr in bag.raw_messages([Topics.image])]
    assert [serialize_message(message) for message in listener.images] == recorded
    listener.wait(lambda: listener.clock and nanoseconds(listener.clock[-1].clock) == bag.end_ns)
    published = [nanoseconds(message.clock) for message in listener.clock]
    assert published == sorted(published)
    assert published[0] == bag.start_ns


def test_a_part_is_played_at_its_rate_and_under_other_names(bag, ros, player_node):
    listener = Listener("/other", "/body_pose")
    player = replay.Player(player_node, bag, rate=2.0, topics={Topics.image: "/other"})
    listener.wait(player.subscribed)
    begin = time.monotonic()
    assert player.play(START + 4 * STEP, START + 10 * STEP)
    assert time.monotonic() - begin >= 6 * STEP / 1e9 / 2.0
    listener.wait(lambda: len(listener.images) == 7)
    assert [nanoseconds(m.header.stamp) for m in listener.images] == [START + k * STEP for k in range(4, 11)]
    assert listener.poses == []
    player.publish_latest(Topics.image, START + 2 * STEP)
    listener.wait(lambda: len(listener.images) == 8)
    assert nanoseconds(listener.images[-1].header.stamp) == START + 2 * STEP
    listener.node.destroy_node()


def test_stopping_ends_a_slow_replay_at_once(bag, player_node):
    player = replay.Player(player_node, bag, rate=1e-6)
    player.stop()
    assert not player.play()


def test_types_that_are_not_installed_are_refused_by_name():
    with pytest.raises(RecordingError, match="no_such_package"):
        ros_class("no_such_package/msg/Nothing")
    with pytest.raises(RecordingError, match="Nothing"):
        ros_class("sensor_msgs/msg/Nothing")


def test_options_become_ros_parameters():
    line = replay.ros_arguments(["walk 1.mcap", "--rate", "2", "--until", "3.5", "--loop"])
    assert line[:3] == ["--ros-args", "-p", 'bag:="walk 1.mcap"']
    assert {"rate:=2.0", "until_s:=3.5", "start_s:=0.0", "loop:=true"} <= set(line)
    assert replay.ros_arguments(["--ros-args", "-p", "rate:=3.0"]) == ["--ros-args", "-p", "rate:=3.0"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_ends_cleanly(bag, tmp_path, number):
    line = [sys.executable, "-m", "egotwin_ros.nodes.replay_node", "--ros-args", "-p", f"bag:={tmp_path / 'walk.mcap'}"]
    process = subprocess.Popen([*line, "-p", "loop:=true"], stderr=subprocess.PIPE, text=True)
    assert any("again from the start" in line for line in process.stderr)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err


def test_the_command_replays_a_file_and_refuses_a_missing_one(bag, tmp_path, capfd):
    if rclpy.ok():
        rclpy.shutdown()
    assert replay.main([str(tmp_path / "walk.mcap"), "--rate", "0"]) == 0
    assert replay.main([str(tmp_path / "none.mcap")]) == 1
    assert "RecordingError: recording" in capfd.readouterr().err
    assert replay.main([str(tmp_path / "walk.mcap"), "--start", "99", "--loop"]) == 1
    assert "start_s 99 s, until_s 0 s: wanted a part of" in capfd.readouterr().err
    assert replay.main(["", "--ros-args", "-p", "rate:=-1.0"]) == 1
    assert "rate" in capfd.readouterr().err
