"""Parameters of the node ``imagine``: one dataclass field each, with description and range; importable without ROS."""

from __future__ import annotations

import dataclasses
import json
import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egotwin_model.io.share import share_folder
from egotwin_model.runtimes.base import DTYPES
from egotwin_model.runtimes.registry import AUTO, describe_runtimes, runtime_names
from egotwin_model.text.goals import MAX_GOAL_CHARACTERS
from egotwin_ros.depth_source import DEPTH_SOURCES
from egotwin_ros.input_topics import TRANSPORTS

if TYPE_CHECKING:
    from rclpy.node import Node


def _field(default: Any, description: str, low: float | None = None, high: float | None = None) -> Any:
    metadata = {"description": description, "range": None if low is None else (low, high)}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class ImagineParameters:
    """Settings of the node, read once when it is configured."""

    autostart: bool = _field(True, "Configure and activate the node at start.")
    model_path: str = _field("", "Model folder; empty: the embedded models/egotwin-mini.")
    runtime: str = _field(AUTO, f"What runs the model. {describe_runtimes()}.")
    device: str = _field(
        "cpu", "Device the model runs on, for instance cpu or cuda:1; auto chooses a runtime that can use it."
    )
    dtype: str = _field(
        DTYPES[0], f"Number format of the networks: {' or '.join(DTYPES)}; auto chooses a runtime that supports it."
    )
    threads: int = _field(0, "CPU threads of the model; 0: all cores.", 0, 1024)
    image_transport: str = _field(
        "raw", "raw: sensor_msgs/Image on `image`; compressed: sensor_msgs/CompressedImage on `image/compressed`."
    )
    fixed_frame_id: str = _field("", "Frame that body poses must be in, z up; empty: any.")
    head_frame_id: str = _field("predicted_head", "TF child frame of the imagined head; empty: no TF.")
    camera_frame_id: str = _field("predicted_camera_optical", "frame_id of ~/predicted/image and its camera_info.")
    camera_mount_rotation: tuple[float, ...] = _field(
        (0.0, 0.0, 0.0, 0.0),
        "Orientation (x, y, z, w) of the real camera's optical frame in the head frame; images are rotated into the "
        "view of the model's camera (a translation is not corrected). All zero: mounted as in training.",
    )
    rate_hz: float = _field(0.5, "Highest rate at which the goal of ~/goal is imagined again [1/s].", 0.01, 30.0)
    num_samples: int = _field(1, "Samples generated for the goal of ~/goal.", 1, 64)
    num_steps: int = _field(0, "Sampler steps; 0: the model's own.", 0, 1000)
    guidance: tuple[float, ...] = _field(
        (0.0, 0.0, 0.0),
        "Guidance scales for text, video and motion; 1: no guidance; all zero: the model's own.",
    )
    seed: int = _field(-1, "Seed for the goal of ~/goal; -1: a random one each time.", -1, 2**31 - 1)
    max_samples: int = _field(64, "Most samples an action goal may ask for.", 1, 4096)
    max_horizon_s: float = _field(
        30.0,
        "Longest horizon an action goal may ask for [s]; beyond one clip of the model, clips are generated one after "
        "the other.",
        0.1,
        600.0,
    )
    max_goal_length: int = _field(MAX_GOAL_CHARACTERS, "Longest goal text [characters].", 1, MAX_GOAL_CHARACTERS)
    max_age_s: float = _field(
        2.0, "Age up to which an image is used [s], by the node's clock; 0: any age.", 0.0, 3600.0
    )
    max_wait_s: float = _field(
        5.0, "How long an action goal with not_before waits for its image [s of wall time].", 0.0, 3600.0
    )
    stop_timeout_s: float = _field(
        10.0, "How long deactivate, cleanup and shutdown wait for the model to end its current step [s].", 0.0, 3600.0
    )
    sync_tolerance_s: float = _field(
        0.1, "Largest time between an image and the body pose used with it [s].", 0.0, 60.0
    )
    depth_source: str = _field(
        "auto",
        f"Where the depth of images comes from. {'; '.join(f'{k}: {v}' for k, v in DEPTH_SOURCES.items())}.",
    )
    memory_seconds: float = _field(
        60.0, "How long what was seen is remembered between goals [s]; 0: not at all.", 0.0, 3600.0
    )
    memory_megabytes: int = _field(
        100,
        "Most memory for what is remembered [MB]; what shows least that is not seen elsewhere goes first.",
        1,
        65536,
    )
    memory_range_m: float = _field(
        20.0,
        "Depth beyond this is not used, and what was seen from further away than this is forgotten [m].",
        0.1,
        1000.0,
    )
    require_all_tracked: bool = _field(False, "Refuse body poses with any untracked joint, not only the head.")


def declare(node: Node) -> None:
    """Declares every parameter on the node."""
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    for field in dataclasses.fields(ImagineParameters):
        descriptor = ParameterDescriptor(description=field.metadata["description"])
        if bounds := field.metadata["range"]:
            if isinstance(field.default, int):
                descriptor.integer_range = [IntegerRange(from_value=bounds[0], to_value=bounds[1], step=1)]
            else:
                descriptor.floating_point_range = [FloatingPointRange(from_value=bounds[0], to_value=bounds[1])]
        node.declare_parameter(field.name, field.default, descriptor)


def read(node: Node) -> ImagineParameters:
    """The current values of the declared parameters.

    Raises:
        ValueError: a value is wrong in a way that no range can express; the message names the parameter.
    """
    values = {field.name: node.get_parameter(field.name).value for field in dataclasses.fields(ImagineParameters)}
    values["model_path"] = values["model_path"] or default_model_path()
    for name, parts in (("camera_mount_rotation", "x, y, z, w"), ("guidance", "text, video, motion")):
        values[name] = tuple(values[name])
        if len(values[name]) != len(parts.split(",")):
            raise ValueError(f"parameter {name} is {values[name]}; wanted {parts}")
        if not all(map(math.isfinite, values[name])):
            raise ValueError(f"parameter {name} is {values[name]}; wanted finite numbers")
    if min(values["guidance"]) < 0.0:
        raise ValueError(f"parameter guidance is {values['guidance']}; wanted numbers of 0 or more")
    choices = {
        "image_transport": TRANSPORTS,
        "depth_source": tuple(DEPTH_SOURCES),
        "runtime": runtime_names(),
        "dtype": DTYPES,
    }
    for name, wanted in choices.items():
        if values[name] not in wanted:
            raise ValueError(f"parameter {name} is {values[name]!r}; wanted {' or '.join(wanted)}")
    return ImagineParameters(**values)


def description(name: str) -> str:
    """Description of a parameter, for the help texts of launch files and commands."""
    return str(ImagineParameters.__dataclass_fields__[name].metadata["description"])


def default_model_path() -> str:
    """Folder of the embedded model."""
    return str(share_folder() / "models/egotwin-mini")


def parameter_file() -> str:
    """Text of config/imagine.yaml: every parameter at its default, below its description."""
    lines = [
        "# Parameters of the node `imagine`, at their defaults; arguments of the launch files take precedence.",
        "# They are read when the node is configured. Made by: python -m egotwin_ros.parameters > config/imagine.yaml",
        "/**:",
        "  ros__parameters:",
    ]
    for field in dataclasses.fields(ImagineParameters):
        lines += textwrap.wrap(field.metadata["description"], 112, initial_indent="    # ", subsequent_indent="    # ")
        lines.append(f"    {field.name}: {json.dumps(field.default)}")  # JSON is YAML
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(parameter_file(), end="")
