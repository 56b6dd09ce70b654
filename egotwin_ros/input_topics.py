"""The node's input topics, one entry each.

Subscriptions, launch arguments, options of ``egotwin imagine``, and what a recording must hold are made from
`INPUT_TOPICS`. A further input needs an entry here, its checks in `egotwin_ros.observation`, and its use in
`model_call`.
"""

from __future__ import annotations

from dataclasses import dataclass

from egotwin_ros.depth_source import takes_topic

TRANSPORTS = ("raw", "compressed")
IMAGE_HISTORY = 8


@dataclass(frozen=True)
class InputTopic:
    """One input.

    Attributes:
        name: the node's topic.
        default: topic in the graph that the launch files connect it to.
        description: for help texts.
        message_type: ``pkg/msg/Name``.
        compressed_type: the type on ``<topic>/compressed``, where the input has both transports.
        may_be_sent_once: whether publishers may send it once at the start, so that a replay repeats the last message.
        history: how many messages are kept, of which the one closest to an image in time is used; 0: only the newest,
            which is used for every image.
        of_depth: whether it belongs to depth images, which the node listens to where parameter depth_source says so
            and a recording may lack.
    """

    name: str
    default: str
    description: str
    message_type: str
    compressed_type: str = ""
    may_be_sent_once: bool = False
    history: int = 0
    of_depth: bool = False

    @property
    def argument(self) -> str:
        """Its launch argument, and the beginning of its option of the commands."""
        return self.name.replace("/", "_")

    @property
    def types(self) -> tuple[str, ...]:
        """Every message type that is accepted."""
        return (self.message_type, self.compressed_type) if self.compressed_type else (self.message_type,)

    def transported(self, transport: str) -> tuple[str, str]:
        """Message type and suffix of the topic's name under one of `TRANSPORTS`."""
        if transport == "compressed" and self.compressed_type:
            return self.compressed_type, "/compressed"
        return self.message_type, ""


_IMAGE, _CAMERA_INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"

IMAGE = InputTopic(
    "image",
    "/camera/image",
    "the head camera's images",
    _IMAGE,
    compressed_type="sensor_msgs/msg/CompressedImage",
    history=IMAGE_HISTORY,
)
INPUT_TOPICS = (
    IMAGE,
    InputTopic(
        "camera_info", "/camera/camera_info", "the head camera's intrinsics", _CAMERA_INFO, may_be_sent_once=True
    ),
    InputTopic("body_pose", "/body_pose", "the wearer's body pose", "egotwin_ros/msg/BodyPose", history=512),
    InputTopic(
        "depth/image",
        "/camera/depth/image",
        "depth images registered to the head camera's, 16UC1 in millimetres or 32FC1 in metres",
        _IMAGE,
        history=IMAGE_HISTORY,
        of_depth=True,
    ),
    InputTopic(
        "depth/camera_info",
        "/camera/depth/camera_info",
        "the depth images' intrinsics",
        _CAMERA_INFO,
        may_be_sent_once=True,
        of_depth=True,
    ),
)


def topics_for(depth_source: str) -> tuple[InputTopic, ...]:
    """The topics that a node with this parameter listens to."""
    return tuple(topic for topic in INPUT_TOPICS if not topic.of_depth or takes_topic(depth_source))
