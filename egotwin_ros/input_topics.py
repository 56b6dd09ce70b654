"""The node's input topics, one entry each.

Subscriptions, launch arguments, options of ``egotwin imagine``, and what a recording must hold are made from
`INPUT_TOPICS`. A further input needs an entry here, a place in `egotwin_ros.inputs` and its use in `model_call`.
"""

from __future__ import annotations

from dataclasses import dataclass

TRANSPORTS = ("raw", "compressed")


@dataclass(frozen=True)
class InputTopic:
    """One input.

    Attributes:
        name: the node's topic, and its launch argument.
        default: topic in the graph that the launch files connect it to.
        description: for help texts.
        message_type: ``pkg/msg/Name``.
        compressed_type: the type on ``<topic>/compressed``, where the input has both transports.
        may_be_sent_once: whether publishers may send it once at the start, so that a replay repeats the last message.
    """

    name: str
    default: str
    description: str
    message_type: str
    compressed_type: str = ""
    may_be_sent_once: bool = False

    @property
    def types(self) -> tuple[str, ...]:
        """Every message type that is accepted."""
        return (self.message_type, self.compressed_type) if self.compressed_type else (self.message_type,)

    def transported(self, transport: str) -> tuple[str, str]:
        """Message type and suffix of the topic's name under one of `TRANSPORTS`."""
        if transport == "compressed" and self.compressed_type:
            return self.compressed_type, "/compressed"
        return self.message_type, ""


IMAGE = InputTopic(
    "image",
    "/camera/image",
    "the head camera's images",
    "sensor_msgs/msg/Image",
    compressed_type="sensor_msgs/msg/CompressedImage",
)
INPUT_TOPICS = (
    IMAGE,
    InputTopic(
        "camera_info",
        "/camera/camera_info",
        "the head camera's intrinsics",
        "sensor_msgs/msg/CameraInfo",
        may_be_sent_once=True,
    ),
    InputTopic("body_pose", "/body_pose", "the wearer's body pose", "egotwin_ros/msg/BodyPose"),
)
