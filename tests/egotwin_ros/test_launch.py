"""The list of nodes: the same parameters by `command` and by the launch files, and real launch runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from egotwin_ros import bringup

from ..shared_data import missing_extra

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))

try:
    from launch import LaunchContext, LaunchService  # noqa: F401
    from launch.actions import DeclareLaunchArgument
    from launch.launch_description_sources import get_launch_description_from_python_launch_file
    from launch_ros.actions import Node  # noqa: F401

    LAUNCH = True
except ImportError:  # ROS 2's wheels have no launch; our folder launch/ is no module of that name
    LAUNCH = False

needs_launch = pytest.mark.skipif(not LAUNCH, reason="ROS's launch and launch_ros are not installed")
VALUES = {"model_path": "/models/1.5", "rate_hz": 2, "use_sim_time": True, "image": "/front/image"}


def test_values_become_parameters_of_their_type() -> None:
    assert bringup.IMAGINE.parameters(VALUES) == {"model_path": "/models/1.5", "rate_hz": 2.0, "use_sim_time": True}
    assert dict(bringup.IMAGINE.remappings(VALUES)) == {
        "image": "/front/image",
        "camera_info": "/camera/camera_info",
        "body_pose": "/body_pose",
    }


@pytest.mark.parametrize(
    ("values", "named"),
    [({"rate_hz": "fast"}, "rate_hz"), ({"use_sim_time": "maybe"}, "maybe"), ({"model": "x"}, "model")],
)
def test_wrong_arguments_are_named(values: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        bringup.command(bringup.IMAGINE, values)


def test_command_gives_ros_the_same_parameters() -> None:
    """ROS itself reads the command line: text stays text, numbers and flags get their type."""
    rclpy = pytest.importorskip("rclpy", reason=missing_extra("ros"))
    arguments = bringup.command(bringup.REPLAY, {"bag": "1.5", "rate": 2, "loop": True})
    context = rclpy.Context()
    rclpy.init(args=arguments[3:], context=context)
    try:
        node = rclpy.create_node("replay", context=context, automatically_declare_parameters_from_overrides=True)
        got = {name: node.get_parameter(name).value for name in ("bag", "rate", "loop")}
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)
    assert (
        got
        == {"bag": "1.5", "rate": 2.0, "loop": True}
        == bringup.REPLAY.parameters({"bag": "1.5", "rate": 2, "loop": True})
    )


@pytest.mark.parametrize("entry", [bringup.IMAGINE, bringup.REPLAY], ids=lambda entry: entry.name)
def test_every_argument_is_a_parameter_or_topic_of_its_node(entry: bringup.Entry) -> None:
    rclpy = pytest.importorskip("rclpy", reason="needs rclpy: make setup")
    from egotwin_ros import parameters
    from egotwin_ros.nodes import replay_node

    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    try:
        node = rclpy.create_node("declares", context=context)
        {"imagine": parameters.declare, "replay": replay_node.declare}[entry.name](node)
        declared = {*node.get_parameters_by_prefix(""), "image", "camera_info", "body_pose"}
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)
    assert {argument.name for argument in entry.arguments} <= declared


def test_parameter_file_holds_the_declared_parameters_with_default_and_description() -> None:
    import dataclasses
    import json

    import yaml

    from egotwin_ros.parameters import ImagineParameters, parameter_file

    text = bringup.config("imagine.yaml").read_text()
    written = yaml.safe_load(text)["/**"]["ros__parameters"]
    assert written == json.loads(json.dumps(dataclasses.asdict(ImagineParameters())))
    assert text == parameter_file()


def test_profile_is_set_once_and_a_users_own_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE", "ROS_DISTRO"):
        monkeypatch.delenv(name, raising=False)
    [(name, path)] = bringup.environment().items()
    assert name == "FASTDDS_DEFAULT_PROFILES_FILE"
    assert Path(path).is_file()
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    assert list(bringup.environment()) == ["FASTRTPS_DEFAULT_PROFILES_FILE"]
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", "/mine.xml")
    assert bringup.environment() == {}


@needs_launch
@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_every_launch_argument_is_described(path: Path) -> None:
    entities = get_launch_description_from_python_launch_file(str(path)).entities
    declared = [entity for entity in entities if isinstance(entity, DeclareLaunchArgument)]
    assert declared
    for argument in declared:
        assert argument.description not in ("", "no description given"), argument.name


def _launch(path: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    program = (
        "import sys; from launch import LaunchDescription, LaunchService;"
        "from launch.actions import IncludeLaunchDescription;"
        "from launch.launch_description_sources import PythonLaunchDescriptionSource as Source;"
        "service = LaunchService();"
        "service.include_launch_description(LaunchDescription([IncludeLaunchDescription(Source(sys.argv[1]),"
        " launch_arguments=[tuple(a.split(':=', 1)) for a in sys.argv[2:]])]));"
        "sys.exit(service.run())"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, str(path), *arguments],
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def _state(domain: int) -> str:
    """What the node `imagine` answers to ~/get_state within 20 s."""
    import rclpy
    from lifecycle_msgs.srv import GetState

    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    try:
        node = rclpy.create_node("asker", context=context)
        client = node.create_client(GetState, "/imagine/get_state")
        assert client.wait_for_service(20.0)
        future = client.call_async(GetState.Request())
        executor = rclpy.executors.SingleThreadedExecutor(context=context)
        executor.add_node(node)
        executor.spin_until_future_complete(future, 20.0)
        return future.result().current_state.label
    finally:
        rclpy.shutdown(context=context)


@pytest.mark.ros
@needs_launch
def test_launch_starts_the_node_and_an_interrupt_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real launch, real executable; the model folder does not exist, so the node says so and stays up."""
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    domain = 120 + os.getpid() % 80
    environment = {"ROS_DOMAIN_ID": str(domain), "ROS_LOG_DIR": str(tmp_path)}
    process = _launch(ROOT / "launch/imagine.launch.py", f"model_path:={tmp_path / 'nowhere'}", **environment)
    assert process.stdout is not None
    output = ""
    try:
        for line in process.stdout:
            output += line
            if "BAD_MODEL" in line or "process has died" in line:
                break
        assert "BAD_MODEL" in output, output
        assert str(tmp_path / "nowhere") in output
        assert _state(domain) == "unconfigured"
    finally:
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(60) == 0
    assert "process has finished cleanly" in rest, rest
