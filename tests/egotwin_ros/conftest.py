"""A small real model, a ROS domain of its own, and a rig: the node under test with a client beside it."""

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Pose
from lifecycle_msgs.srv import ChangeState, GetState
from nav_msgs.msg import Path as PathMessage
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String
from visualization_msgs.msg import MarkerArray

from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.skeleton import forward_kinematics, reference_offsets
from egotwin_ros.action import Imagine
from egotwin_ros.conversions import nanoseconds
from egotwin_ros.depth_source import takes_topic
from egotwin_ros.executor import FairExecutor
from egotwin_ros.job.process import free_domain
from egotwin_ros.messages import ROS
from egotwin_ros.msg import BodyPose, BodyTrajectory, Imagination
from egotwin_ros.nodes.imagine_node import ImagineNode

LONG_S = 60.0
RNG = np.random.default_rng(11)
CAMERA = Pinhole.from_fov(96, 96, np.radians(100))


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory) -> Path:
    """The smallest real model folder, with random weights."""
    from egotwin_model.egotwin.pipeline import SamplingDefaults
    from training.export.command import export, random_networks

    folder = tmp_path_factory.mktemp("models") / "egotwin-smoke"
    export(random_networks("smoke"), folder, "egotwin-smoke", SamplingDefaults(num_steps=3), {}, graphs=False)
    return folder


def _clean_shared_memory() -> None:
    """Fast DDS's own tool removes what killed processes left: 32 MB each."""
    tool = Path(sys.prefix, "tools", "fastdds", "fastdds.py")
    if tool.is_file():  # of the wheels
        subprocess.run([sys.executable, tool, "shm", "clean"], check=True, capture_output=True)


@pytest.fixture(scope="session", autouse=True)
def ros_domain() -> None:
    """A domain without other nodes, and without the shared memory that earlier runs left."""
    _clean_shared_memory()
    os.environ["ROS_DOMAIN_ID"] = str(free_domain())
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


@pytest.fixture
def tidied_shared_memory() -> Iterator[None]:
    """For a test that kills a node."""
    yield
    _clean_shared_memory()


@pytest.fixture(scope="module")
def ros() -> Iterator[None]:
    rclpy.init()
    yield
    rclpy.try_shutdown()


def depth_message(depth: np.ndarray, encoding: str, stamp_ns: int) -> Image:
    """An unpadded depth image of the head camera's frame."""
    height, width = depth.shape
    return Image(
        header=ROS.header(stamp_ns, "camera_optical"), height=height, width=width, encoding=encoding,
        is_bigendian=depth.dtype.byteorder == ">", step=depth.strides[0], data=depth.tobytes(),
    )  # fmt: skip


class Rig:
    """The node in threads of its own, and a client that publishes, asks and listens."""

    OUTPUTS = (
        ("imagination", Imagination), ("head_path", PathMessage), ("body_trajectory", BodyTrajectory),
        ("predicted/image", Image), ("predicted/camera_info", CameraInfo), ("markers", MarkerArray),
    )  # fmt: skip

    _numbers = itertools.count()

    def __init__(self, node_options: dict | None = None, **parameters) -> None:
        namespace = f"/rig{next(self._numbers)}"  # rigs may live side by side
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.node = ImagineNode(parameter_overrides=overrides, namespace=namespace, **(node_options or {}))
        self._executor = FairExecutor(num_threads=4)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()
        self.client = Node("client", namespace=namespace)
        self._spinner = SingleThreadedExecutor()
        self._spinner.add_node(self.client)
        self.compressed = parameters.get("image_transport") == "compressed"
        kind, topic = (CompressedImage, "image/compressed") if self.compressed else (Image, "image")
        self._image = self.client.create_publisher(kind, topic, 10)
        self._info = self.client.create_publisher(CameraInfo, "camera_info", 10)
        self._pose = self.client.create_publisher(BodyPose, "body_pose", 10)
        self._depth = self.client.create_publisher(Image, "depth/image", 10)
        self._depth_info = self.client.create_publisher(CameraInfo, "depth/camera_info", 10)
        self.goal_topic = self.client.create_publisher(String, "imagine/goal", 10)
        self.action = ActionClient(self.client, Imagine, "imagine/imagine")
        self.change_state = self.client.create_client(ChangeState, "imagine/change_state")
        self.get_state = self.client.create_client(GetState, "imagine/get_state")
        self.received: dict[str, list] = {}
        for name, message_kind in self.OUTPUTS:
            self._listen(name, message_kind, f"imagine/{name}")
        self._listen("diagnostics", DiagnosticArray, "/diagnostics")
        self.feedback: list[tuple[int, int, float]] = []
        self.wait(self.action.server_is_ready)

    def _listen(self, name: str, kind: type, topic: str) -> None:
        self.received[name] = []
        self.client.create_subscription(kind, topic, self.received[name].append, 200)

    def close(self) -> None:
        self._executor.shutdown(LONG_S)
        self._spinner.shutdown()
        self.node.destroy_node()
        self.client.destroy_node()

    def wait(self, condition: Callable[[], object], timeout_s: float = LONG_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"waited {timeout_s} s"
            self._spinner.spin_once(timeout_sec=0.01)

    def statuses(self) -> list:
        """The statuses that this node has published."""
        name = self.node.get_fully_qualified_name()
        return [status for array in self.received["diagnostics"] for status in array.status if status.name == name]

    def sequence(self, name: str, source_ns: int, period_ns: int = 125_000_000) -> list:
        """Messages received on a topic with stamps at multiples of the period after the source (or at it)."""
        messages = self.received[name]
        steps = (stamp - source_ns for stamp in self.stamps(messages))
        return [m for step, m in zip(steps, messages, strict=True) if step >= 0 and step % period_ns == 0]

    def call(self, future):
        self.wait(future.done)
        return future.result()

    def wait_active(self) -> None:
        """Active, and every topic of both sides connected."""
        self.wait(lambda: self.call(self.get_state.call_async(GetState.Request())).current_state.label == "active")
        inputs = [self._image, self._info, self._pose, self.goal_topic]
        if takes_topic(self.node.session.parameters.depth_source):
            inputs += [self._depth, self._depth_info]
        self.wait(lambda: all(p.get_subscription_count() for p in inputs))
        self.wait(
            lambda: all(
                self.client.count_publishers(f"{self.node.get_fully_qualified_name()}/{name}")
                for name, _ in self.OUTPUTS
            )
        )

    def transition(self, label: str) -> bool:
        request = ChangeState.Request()
        request.transition.label = label
        return self.call(self.change_state.call_async(request)).success

    def now_ns(self) -> int:
        return self.client.get_clock().now().nanoseconds

    def show(self, *messages) -> None:
        """Publishes inputs and waits until the node has them."""
        senders = {
            "Image": self._image,
            "CompressedImage": self._image,
            "CameraInfo": self._info,
            "BodyPose": self._pose,
        }
        names = {"Image": "image", "CompressedImage": "image", "CameraInfo": "camera_info", "BodyPose": "body_pose"}
        for message in messages:
            kind = type(message).__name__
            self._send(senders[kind], names[kind], message)

    def show_depth(self, depth: Image, info: CameraInfo | None = None) -> None:
        """Publishes a depth image, after its camera_info, and waits until the node has them."""
        if info is not None:
            self._send(self._depth_info, "depth/camera_info", info)
        self._send(self._depth, "depth/image", depth)

    def _send(self, publisher, name: str, message) -> None:
        received = self.node.session.inputs.received
        before = received[name]
        publisher.publish(message)
        self.wait(lambda: received[name] > before)

    def show_good(self, stamp_ns: int | None = None) -> int:
        """A good image, camera_info and body pose of one instant; its stamp."""
        stamp_ns = self.now_ns() if stamp_ns is None else stamp_ns
        self.show(self.good_info(stamp_ns), self.good_pose(stamp_ns), self.good_image(stamp_ns))
        return stamp_ns

    def send(self, **goal):
        """Sends a goal; its handle."""
        self.feedback.clear()

        def keep(message) -> None:
            step = message.feedback
            self.feedback.append((step.step, step.steps, step.seconds_left))

        fields = {"goal": "walk forward", "seed": 5, **goal}
        return self.call(self.action.send_goal_async(Imagine.Goal(**fields), keep))

    def ask(self, **goal) -> Imagine.Result:
        """The result of a goal."""
        handle = self.send(**goal)
        assert handle.accepted
        return self.call(handle.get_result_async()).result

    def forget(self) -> None:
        """Forgets all received messages."""
        for messages in self.received.values():
            messages.clear()

    @staticmethod
    def parameter(name: str, value: object) -> Parameter:
        return Parameter(name, value=value)

    @staticmethod
    def good_rgb() -> np.ndarray:
        return RNG.integers(0, 256, (CAMERA.height, CAMERA.width, 3), dtype=np.uint8)

    @staticmethod
    def good_image(stamp_ns: int) -> Image:
        return ROS.image(Rig.good_rgb(), stamp_ns, "camera_optical")

    @staticmethod
    def good_info(stamp_ns: int) -> CameraInfo:
        return ROS.camera_info(CAMERA, stamp_ns, "camera_optical")

    @staticmethod
    def good_depth(stamp_ns: int, metres: float = 2.0) -> Image:
        """Of a wall straight ahead."""
        depth = np.full((CAMERA.height, CAMERA.width), metres, np.float32)
        return depth_message(depth, "32FC1", stamp_ns)

    @staticmethod
    def standing() -> tuple[np.ndarray, np.ndarray]:
        """Positions and rotations of a person who stands at (3, -2), turned 90 degrees to the left."""
        turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        rotations = np.tile(turn, (23, 1, 1))
        return forward_kinematics(np.array([3.0, -2.0, 0.93]), rotations, reference_offsets()), rotations

    @staticmethod
    def good_pose(stamp_ns: int) -> BodyPose:
        poses: list[Pose] = ROS.poses(*Rig.standing())
        return BodyPose(header=ROS.header(stamp_ns, "map"), poses=poses, tracked=[True] * 23)

    @staticmethod
    def stamps(messages) -> list[int]:
        return [nanoseconds(message.header.stamp) for message in messages]


@pytest.fixture(scope="module")
def rig(ros, model_folder) -> Iterator[Rig]:
    """The node with the small model, active, shared by the tests of a module."""
    rig = Rig(model_path=str(model_folder), runtime="torch", max_age_s=60.0)
    rig.wait_active()
    yield rig
    rig.close()


@pytest.fixture
def make_rig(ros) -> Iterator[Callable[..., Rig]]:
    """Makes nodes with other parameters, for one test."""
    rigs: list[Rig] = []

    def make(node_options: dict | None = None, **parameters) -> Rig:
        rigs.append(Rig(node_options, **parameters))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()
