"""The list of nodes: the parameters and remappings that its arguments set; launch itself is in test_launch_files.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from egotwin_ros import bringup
from egotwin_ros.input_topics import INPUT_TOPICS

from ..shared_data import missing_extra

ROOT = Path(__file__).resolve().parents[2]
VALUES = {"model_path": "/models/1.5", "rate_hz": 2, "use_sim_time": True, "image": "/front/image"}


def test_values_become_parameters_of_their_type() -> None:
    assert bringup.IMAGINE.parameters(VALUES) == {"model_path": "/models/1.5", "rate_hz": 2.0, "use_sim_time": True}
    assert dict(bringup.IMAGINE.remappings(VALUES)) == {
        "image": "/front/image",
        "camera_info": "/camera/camera_info",
        "body_pose": "/body_pose",
        "depth/image": "/camera/depth/image",
        "depth/camera_info": "/camera/depth/camera_info",
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
        declared = {*node.get_parameters_by_prefix(""), *(topic.argument for topic in INPUT_TOPICS)}
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


def test_the_stock_ros_job_runs_files_that_exist() -> None:
    import yaml

    workflow = yaml.safe_load((ROOT / ".github/workflows/stock-ros.yml").read_text())
    files = workflow["jobs"]["test"]["env"]["TESTS"].split()
    assert files
    assert not [file for file in files if not (ROOT / file).is_file()]
