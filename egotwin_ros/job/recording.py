"""A recording as the job uses it: the topics of the inputs, the images and the body poses over time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import PoseError, RecordingError
from egotwin_model.geometry.camera import Pinhole, rectify
from egotwin_model.io.bags import BagReader
from egotwin_model.io.images import decode_image
from egotwin_ros.conversions import NS, CameraModel, body_to_arrays, camera_model, nanoseconds
from egotwin_ros.input_topics import IMAGE, INPUT_TOPICS
from egotwin_ros.match import newest_pair
from egotwin_ros.messages import BAG
from egotwin_ros.parameters import ImagineParameters

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Bodies:
    """Body poses over time: stamps (N,) ns, positions (N, 23, 3) m, rotations (N, 23, 3, 3), in ``frame_id``."""

    stamps_ns: NDArray[np.int64]
    positions: Array
    rotations: Array
    frame_id: str


class Recording:
    """An open recording of the input topics.

    Args:
        path: an .mcap or .db3 file, or a rosbag2 folder.
        topics: input → its topic in the recording; others are found by their type, those of depth by their usual names.

    Attributes:
        topics: input → its topic in the recording; without those of depth where it has none.
        transport: of the images, raw or compressed.

    Raises:
        RecordingError: unreadable, or a topic is missing.
    """

    def __init__(self, path: Path | str, topics: Mapping[str, str | None] | None = None) -> None:
        self.bag = BagReader(path)
        try:
            kinds = self.bag.topics()
            self.topics = self._find_topics(kinds, topics or {})
            for topic in INPUT_TOPICS:
                name = self.topics.get(topic.name, "")
                if name and kinds.get(name) not in topic.types:
                    there = ", ".join(f"{name} ({kind})" for name, kind in sorted(kinds.items()))
                    raise RecordingError(f"{path}: wanted {name} of type {' or '.join(topic.types)}; it has {there}")
        except BaseException:
            self.bag.close()
            raise
        self.transport = "compressed" if kinds[self.topics[IMAGE.name]] == IMAGE.compressed_type else "raw"

    def _find_topics(self, kinds: Mapping[str, str], given: Mapping[str, str | None]) -> dict[str, str]:
        depth = {topic.name: given.get(topic.name) or topic.default for topic in INPUT_TOPICS if topic.of_depth}
        depth = {name: topic for name, topic in depth.items() if topic in kinds or given.get(name)}
        others = [topic for topic in INPUT_TOPICS if not topic.of_depth]
        found = {
            topic.name: given.get(topic.name) or self.bag.find(*topic.types, without=depth.values()) for topic in others
        }
        return found | depth

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *exception: object) -> None:
        self.bag.close()

    def default_moment_s(self, horizon_s: float = 5.0) -> float:
        """A moment with some input before it and, if the recording is long enough, ``horizon_s`` after it."""
        return max(min(4.0, self.bag.duration_s - horizon_s), min(1.0, self.bag.duration_s))

    def frames(self, start_ns: int, stop_ns: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yields (header stamp, (H, W, 3) RGB) of images with start ≤ time in the bag < stop."""
        for _, _, message in self.bag.messages([self.topics["image"]], start_ns, stop_ns):
            yield nanoseconds(message.header.stamp), decode_image(message)

    def view(self, target: Pinhole, start_ns: int, stop_ns: int) -> tuple[NDArray[np.int64], list[NDArray[np.uint8]]]:
        """Stamps (N,) and the images, rectified to the view of the camera ``target``."""
        stamps, views = [], []
        camera: CameraModel | None = None
        for stamp, rgb in self.frames(start_ns, stop_ns):
            camera = camera or self._camera(rgb.shape[1], rgb.shape[0])
            stamps.append(stamp)
            views.append(rectify(rgb, camera.matrix, camera.distortion, camera.model, target))
        return np.array(stamps, np.int64), views

    def _camera(self, width: int, height: int) -> CameraModel:
        _, _, info = next(self.bag.messages([self.topics["camera_info"]]))
        return camera_model(info, width, height)

    def latest(self, topic: str, before_ns: int) -> Any:
        """The last message of a topic up to this time in the bag, for topics that may be sent once at the start.

        Raises:
            RecordingError: there is none.
        """
        for start_ns in (before_ns - 10 * NS, None):  # the whole recording only where the last seconds have none
            found = deque(self.bag.messages([topic], start_ns, before_ns + 1), maxlen=1)
            if found:
                return found[0][2]
        raise RecordingError(f"{self.bag.path} has nothing on {topic} before the moment; choose a later one")

    def source_ns(self, moment_ns: int) -> int:
        """Stamp of the image from which a node with default parameters imagines after all messages up to this time.

        Raises:
            RecordingError: no image in the second before has a body pose close to it.
        """
        images, poses = (
            [
                nanoseconds(message.header.stamp)
                for *_, message in self.bag.messages([topic], moment_ns - NS, moment_ns + 1)
            ]
            for topic in (self.topics["image"], self.topics["body_pose"])
        )
        tolerance_s = ImagineParameters().sync_tolerance_s
        found = newest_pair(images, poses, tolerance_s)
        if found is None:
            raise RecordingError(
                f"{self.bag.path} has {len(images)} images and {len(poses)} body poses in the second before "
                f"{(moment_ns - self.bag.start_ns) / NS:.2f} s, no two within {tolerance_s:g} s of each other; "
                "choose another moment"
            )
        return images[found[0]]

    def continuation(self, source_ns: int) -> Any:
        """The recorded motion from the image of that stamp to the end, as an egotwin_ros/BodyTrajectory.

        Raises:
            RecordingError: no body pose after it.
        """
        bodies = self.bodies(source_ns - NS // 4, self.bag.end_ns + 1)
        start = int(np.abs(bodies.stamps_ns - source_ns).argmin()) if len(bodies.stamps_ns) else 0
        times = (bodies.stamps_ns[start:] - source_ns) / NS
        if len(times) < 2:
            raise RecordingError(f"{self.bag.path} has no body poses after the moment")
        times[0] = 0.0
        return BAG.trajectory(bodies.positions[start:], bodies.rotations[start:], times, source_ns, bodies.frame_id)

    def bodies(self, start_ns: int, stop_ns: int) -> Bodies:
        """Body poses with start ≤ time in the bag < stop; those the node would refuse are left out."""
        stamps, positions, rotations, frame_id = [], [], [], ""
        for _, _, message in self.bag.messages([self.topics["body_pose"]], start_ns, stop_ns):
            try:
                position, rotation = body_to_arrays(message)
            except PoseError:
                continue
            stamps.append(nanoseconds(message.header.stamp))
            positions.append(position)
            rotations.append(rotation)
            frame_id = message.header.frame_id
        count = len(stamps)
        return Bodies(
            np.array(stamps, np.int64),
            np.reshape(positions, (count, -1, 3)),
            np.reshape(rotations, (count, -1, 3, 3)),
            frame_id,
        )
