"""What is asked of the model by ``egotwin imagine``, and its answer; independent of ROS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from egotwin_ros import bringup
from egotwin_ros.input_topics import topics_for
from egotwin_ros.job.recording import Recording
from egotwin_ros.parameters import ImagineParameters
from egotwin_ros.request import Request

NODE = f"/{bringup.IMAGINE.name}"
REPLAYED_S = 1.5  # how much of the recording before the moment is used as input


@dataclass(frozen=True)
class Task:
    """One call of the command.

    Attributes:
        recording: where the inputs come from.
        moment_ns: bag time up to which the recording is used.
        request: with the image to start from in ``not_before_ns``; its motion is of ``rosbags``' classes.
        parameters: of the node, or of the session that takes its place.
        rate: speed of a replay.
    """

    recording: Recording
    moment_ns: int
    request: Request
    parameters: ImagineParameters
    rate: float = 1.0

    @property
    def begin_ns(self) -> int:
        """Bag time from which the recording is used."""
        return max(self.recording.bag.start_ns, self.moment_ns - round(REPLAYED_S * 1e9))

    @property
    def topics(self) -> dict[str, str]:
        """Recorded topic → the topic on which the node receives it."""
        recording = self.recording
        return {
            recording.topics[topic.name]: topic.default + topic.transported(recording.transport)[1]
            for topic in topics_for(self.parameters.depth_source)
            if topic.name in recording.topics
        }


@dataclass
class Answer:
    """The imagined futures as messages of ``rosbags``' classes.

    Attributes:
        imaginations: one egotwin_ros/Imagination per sample.
        images, camera_infos: the first sample's video, by predicted stamp [ns].
    """

    imaginations: list[Any]
    images: dict[int, Any] = field(default_factory=dict)
    camera_infos: dict[int, Any] = field(default_factory=dict)
