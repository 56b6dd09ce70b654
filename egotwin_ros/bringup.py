"""The nodes with their arguments and parameter files: one list for the launch files and for starting without launch.

Where ROS 2 is installed, ``launch/*.launch.py`` turn an `Entry` into launch actions. Where only its wheels are (they
have no ``launch``), `command` turns the same entry into a command line with the same parameters.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from egotwin_model.io.share import share_folder
from egotwin_ros.input_topics import INPUT_TOPICS
from egotwin_ros.parameters import description

PACKAGE = "egotwin_ros"

Value = bool | int | float | str


@dataclass(frozen=True)
class Argument:
    """An argument of a node's launch file.

    `kind` is the ROS parameter's type (str, float, int or bool), or "remap" for the name of a topic that the node calls
    `topic`. With a default of "" the parameter keeps its value of the parameter file.
    """

    name: str
    default: str
    description: str
    kind: type | str = str
    topic: str = ""


@dataclass(frozen=True)
class Entry:
    """One node: its executable in lib/egotwin_ros, the module that runs, its name, arguments and parameter file.

    `lifecycle`: a lifecycle node, which configures and activates itself (parameter autostart).
    """

    executable: str
    module: str
    name: str
    arguments: tuple[Argument, ...]
    parameter_file: str | None = None
    lifecycle: bool = False

    def settings(self, values: Mapping[str, object] | None = None) -> dict[str, str]:
        """Every argument's value as text: its default, or the one in `values`.

        Raises:
            ValueError: the node has no argument of such a name, or the text is not of the argument's kind.
        """
        settings = {argument.name: argument.default for argument in self.arguments}
        for name, value in (values or {}).items():
            if name not in settings:
                raise ValueError(f"{self.executable} has no argument {name!r}; it has {', '.join(settings)}")
            settings[name] = str(value)
        return settings

    def parameters(self, values: Mapping[str, object] | None = None) -> dict[str, Value]:
        """The ROS parameters that these argument values set, each of its type (see `settings`)."""
        settings = self.settings(values)
        return {
            argument.name: _typed(argument, settings[argument.name])
            for argument in self.arguments
            if argument.kind != "remap" and settings[argument.name]
        }

    def remappings(self, values: Mapping[str, object] | None = None) -> list[tuple[str, str]]:
        """The topic remappings that these argument values set: the node's name → the name in the graph."""
        settings = self.settings(values)
        return [(a.topic, settings[a.name]) for a in self.arguments if a.kind == "remap" and settings[a.name]]


def _typed(argument: Argument, text: str) -> Value:
    try:
        if argument.kind is bool:
            return {"true": True, "false": False}[text.lower()]
        return {str: str, int: int, float: float}[argument.kind](text)  # type: ignore[index]
    except (KeyError, ValueError):
        kind = getattr(argument.kind, "__name__", argument.kind)
        raise ValueError(f"argument {argument.name} is {text!r}; wanted {kind}: {argument.description}") from None


def _parameter(name: str, kind: type = str) -> Argument:
    """A parameter of the node `imagine` as an argument that is left to the parameter file unless it is set."""
    return Argument(name, "", f"{description(name)} Not set: as in params_file.", kind)


IMAGINE = Entry(
    executable="imagine",
    module="egotwin_ros.nodes.imagine_node",
    name="imagine",
    parameter_file="imagine.yaml",
    lifecycle=True,
    arguments=(
        _parameter("model_path"),
        _parameter("runtime"),
        _parameter("device"),
        _parameter("dtype"),
        _parameter("threads", int),
        _parameter("image_transport"),
        _parameter("rate_hz", float),
        _parameter("max_horizon_s", float),
        _parameter("depth_source"),
        _parameter("autostart", bool),
        Argument("use_sim_time", "false", "Take the time from /clock, as a replay publishes it: true or false.", bool),
        *(
            Argument(t.argument, t.default, f"Topic of {t.description} ({t.types[0]}).", "remap", t.name)
            for t in INPUT_TOPICS
        ),
    ),
)

REPLAY = Entry(
    executable="replay",
    module="egotwin_ros.nodes.replay_node",
    name="replay",
    arguments=(
        Argument("bag", "", "Recording: a rosbag2 folder, an .mcap or .db3 file. Empty: the embedded example."),
        Argument("rate", "1.0", "Seconds of recording per second; 0: as fast as possible.", float),
        Argument("loop", "false", "Start again at the end: true or false.", bool),
    ),
)


def config(name: str) -> Path:
    """Path of a file in config/."""
    return share_folder() / "config" / name


def environment() -> dict[str, str]:
    """Environment variables for every process of this package.

    Fast DDS's default transports lose almost all best-effort 480x480 images; the profile's shared-memory segment of
    32 MB is large enough for them. A profile that is already set takes precedence.
    """
    old, new = "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"
    if old in os.environ or new in os.environ:
        return {}
    return {old if os.environ.get("ROS_DISTRO") in {"humble", "jazzy"} else new: str(config("fastdds.xml"))}


def command(entry: Entry, values: Mapping[str, object] | None = None) -> list[str]:
    """Command line that runs a node without ``launch``, with the parameters and remappings that launch would set.

    Args:
        entry: one of `IMAGINE`, `REPLAY`.
        values: argument name → value, in place of its default.

    Raises:
        ValueError: an argument's name or value is wrong (see `Entry.settings`).
    """
    line = [sys.executable, "-m", entry.module, "--ros-args", "-r", f"__node:={entry.name}"]
    if entry.parameter_file:
        line += ["--params-file", str(config(entry.parameter_file))]
    for name, value in entry.parameters(values).items():
        line += ["-p", f"{name}:={json.dumps(value)}"]  # JSON is YAML: text stays text, even a bag named 1.5
    for name, topic in entry.remappings(values):
        line += ["-r", f"{name}:={topic}"]
    return line
