"""Our launch files under ROS's own launch: arguments are shown and reach the nodes, and an interrupt ends those."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import parameter_value_to_python

from egotwin_model.io.share import share_folder
from egotwin_ros import bringup

from .ros_sources import launch, launch_environment, require_executables

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))
LONG_S = 120.0
pytestmark = [pytest.mark.ros, pytest.mark.slow]


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    return launch_environment(tmp_path_factory.mktemp("launch"))


class Launched:
    """A running launch file; what it printed, and a client of its nodes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.output = process, ""
        self._context = rclpy.Context()
        rclpy.init(args=[], context=self._context)
        self.client = rclpy.create_node("asks_launched_nodes", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.client)

    def read_until(self, *words: str) -> str:
        """The output up to the first line with one of the words, or to its end."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if any(word in line for word in words):
                break
        return self.output

    def call(self, kind: type, service: str, request: Any) -> Any:
        client = self.client.create_client(kind, service)
        self.wait(client.service_is_ready)
        future = client.call_async(request)
        self.wait(future.done)
        return future.result()

    def wait(self, done: Callable[[], object]) -> None:
        deadline = time.monotonic() + LONG_S
        while not done():
            assert time.monotonic() < deadline, self.output
            self._executor.spin_once(timeout_sec=0.02)

    def parameters(self, node: str, *names: str) -> list[Any]:
        result = self.call(GetParameters, f"{node}/get_parameters", GetParameters.Request(names=list(names)))
        return [parameter_value_to_python(value) for value in result.values]

    def interrupt(self) -> int:
        """Ctrl-C; the exit status."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.stdout is not None
        self.output += self.process.stdout.read()
        return self.process.wait(LONG_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.interrupt()
        self._executor.shutdown()
        rclpy.shutdown(context=self._context)


@pytest.fixture
def launched(environment) -> Iterator[Callable[..., Launched]]:
    """Starts a launch file of ours; interrupted at the end of the test if it still runs."""
    require_executables()
    running: list[Launched] = []

    def start(name: str, *arguments: str) -> Launched:
        running.append(Launched(launch(ROOT / "launch" / name, *arguments, environment=environment)))
        return running[-1]

    yield start
    for one in running:
        one.close()


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_show_args_describes_every_argument(path: Path, environment) -> None:
    process = launch(path, "--show-args", environment=environment)
    shown, _ = process.communicate(timeout=LONG_S)
    assert process.returncode == 0, shown
    blocks = re.findall(r"^    '(\w+)':\*?\n        (.+)$", shown, re.MULTILINE)
    assert len(blocks) >= 4
    described = dict(blocks)
    assert not {name for name, text in described.items() if text == "no description given" or len(text) < 10}
    if path.name != "view.launch.py":
        entries = {"imagine.launch.py": (bringup.IMAGINE,), "replay.launch.py": (bringup.IMAGINE, bringup.REPLAY)}
        wanted = {argument.name: argument.description for e in entries[path.name] for argument in e.arguments}
        if path.name == "replay.launch.py":
            del wanted["use_sim_time"]  # always true there
        assert wanted.items() <= described.items()


def test_the_node_starts_says_what_is_wrong_and_an_interrupt_ends_it(launched, tmp_path: Path) -> None:
    """The model folder does not exist, so the node names it and stays up."""
    started = launched("imagine.launch.py", f"model_path:={tmp_path / 'nowhere'}")
    output = started.read_until("BAD_MODEL", "process has died")
    assert "BAD_MODEL" in output, output
    assert str(tmp_path / "nowhere") in output
    state = started.call(GetState, "/imagine/get_state", GetState.Request())
    assert state.current_state.label == "unconfigured"
    assert started.interrupt() == 0
    assert "process has finished cleanly" in started.output, started.output


def test_parameters_and_remappings_arrive(launched, tmp_path: Path) -> None:
    model = share_folder() / "models/egotwin-mini"
    file = tmp_path / "mine.yaml"
    file.write_text("/**:\n  ros__parameters:\n    max_samples: 7\n    rate_hz: 9.0\n")
    arguments = {
        "params_file": file,
        "namespace": "robot",
        "model_path": model,
        "runtime": "onnxruntime",
        "threads": 1,
        "rate_hz": 2,
        "use_sim_time": True,
        "image": "/front/image",
    }
    started = launched("imagine.launch.py", *(f"{name}:={value}" for name, value in arguments.items()))
    assert "loaded in" in started.read_until("loaded in", "cannot be configured", "process has died")
    names = ("model_path", "runtime", "threads", "rate_hz", "use_sim_time", "max_samples", "num_steps")
    arrived = started.parameters("/robot/imagine", *names)
    # an argument takes precedence over the file, the file over the node's own default
    assert arrived == [str(model), "onnxruntime", 1, 2.0, True, 7, 0]
    node = started.client
    for topic in ("/front/image", "/camera/camera_info", "/body_pose"):
        started.wait(lambda: node.count_subscribers(topic))  # noqa: B023 waited for within the loop
    assert node.count_subscribers("/robot/image") == 0
    assert started.interrupt() == 0


def test_replay_publishes_the_recording_without_the_node(launched) -> None:
    bag = share_folder() / "examples/bags/living_room.mcap"
    started = launched("replay.launch.py", f"bag:={bag}", "loop:=true", "imagine:=false", "rate:=2")
    node = started.client
    for topic in ("/clock", "/camera/image", "/camera/camera_info", "/body_pose"):
        started.wait(lambda: node.count_publishers(topic))  # noqa: B023 waited for within the loop
    assert started.parameters("/replay", "bag", "loop", "rate") == [str(bag), True, 2.0]
    assert "imagine" not in node.get_node_names()
    assert started.interrupt() == 0


def _viewers() -> list[str]:
    """What view.launch.py would start."""
    found = []
    for package in ("rviz2", "foxglove_bridge"):
        with contextlib.suppress(PackageNotFoundError, OSError):  # OSError: no AMENT_PREFIX_PATH, so nothing is there
            get_package_prefix(package)
            found.append(package)
    return found


@pytest.mark.skipif(bool(_viewers()), reason=f"{', '.join(_viewers())} would open: run it where none is installed")
def test_view_says_what_is_not_installed(launched) -> None:
    started = launched("view.launch.py")
    assert started.process.wait(LONG_S) == 0
    output = started.read_until()
    for package in ("rviz2", "foxglove_bridge"):
        assert f"{package} is not installed, so it is not started" in output
