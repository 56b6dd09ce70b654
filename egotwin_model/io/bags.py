"""Recordings: ROS 2 bags read and written without ROS, through ``rosbags``.

What we ship and make is one MCAP file with the topics of `Topics`; what we read is any rosbag2: an ``.mcap`` or
``.db3`` file, or a bag folder. Our own message types come from their ``.msg`` text, so a bag opens anywhere.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Generator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore
from scipy.spatial.transform import Rotation

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.camera import check_image
from egotwin_model.geometry.skeleton import NUM_JOINTS
from egotwin_model.io.images import encode_image
from egotwin_model.io.share import share_folder

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
BODY_POSE = "egotwin_ros/msg/BodyPose"

_OWN_MESSAGES = ("BodyPose", "BodyPoses", "BodyTrajectory", "Imagination")


@dataclass(frozen=True)
class Topics:
    """Topic names of the bags we ship and make."""

    image: str = "/camera/image"
    camera_info: str = "/camera/camera_info"
    body_pose: str = "/body_pose"


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """ROS 2 Kilted's message types plus our own, for ``rosbags``."""
    store = get_typestore(Stores.ROS2_KILTED)
    folder = share_folder() / "msg"
    types: dict[str, Any] = {}
    for name in _OWN_MESSAGES:
        types.update(get_types_from_msg((folder / f"{name}.msg").read_text(), f"egotwin_ros/msg/{name}"))
    store.register(types)
    return store


class BagWriter:
    """Writes one MCAP file, atomically: the final name appears complete on a clean exit, or not at all.

    Args:
        path: the ``.mcap`` file; an existing one is replaced on exit. Its folder is made.

    Used as a context manager. Every ``stamp_ns`` is nanoseconds since the epoch; it is both the message's header stamp
    and its time in the bag.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if self.path.suffix != ".mcap":
            raise RecordingError(f"a recording is written as one .mcap file; came {str(self.path)!r}")
        self._store = typestore()
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.parent))
        self._writer = Writer(self._folder / self.path.stem, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._writer.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._writer.close()
                (self._folder / self.path.stem / self.path.name).replace(self.path)
            else:
                self._writer.abort()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def message(self, name: str, **fields: Any) -> Any:
        """A message of type ``pkg/msg/Name`` in ``rosbags``'s classes, for `write`."""
        return self._store.types[name](**fields)

    def header(self, stamp_ns: int, frame_id: str) -> Any:
        """A std_msgs/Header."""
        stamp = self.message("builtin_interfaces/msg/Time", sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
        return self.message("std_msgs/msg/Header", stamp=stamp, frame_id=frame_id)

    def write(self, topic: str, message: Any, stamp_ns: int) -> None:
        """Writes a message made by `message`, or read by `BagReader.messages`."""
        name = message.__msgtype__
        self.write_raw(topic, name, stamp_ns, self._store.serialize_cdr(message, name))

    def write_raw(self, topic: str, message_type: str, stamp_ns: int, cdr: bytes | memoryview) -> None:
        """Writes an already serialised message (``rclpy.serialization.serialize_message`` or `raw_messages`)."""
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, message_type, typestore=self._store)
        if self._connections[topic].msgtype != message_type:
            raise RecordingError(f"{topic} carries {self._connections[topic].msgtype}; came {message_type}")
        self._writer.write(self._connections[topic], stamp_ns, cdr)

    def write_image(self, topic: str, stamp_ns: int, frame_id: str, rgb: NDArray[np.uint8]) -> None:
        """Writes (H, W, 3) uint8 RGB as a raw ``rgb8`` sensor_msgs/Image."""
        check_image(rgb)
        height, width, _ = rgb.shape
        message = self.message(
            IMAGE, header=self.header(stamp_ns, frame_id), height=height, width=width, encoding="rgb8",
            is_bigendian=0, step=3 * width, data=np.ascontiguousarray(rgb).reshape(-1),
        )  # fmt: skip
        self.write(topic, message, stamp_ns)

    def write_compressed(
        self, topic: str, stamp_ns: int, frame_id: str, rgb: NDArray[np.uint8], quality: int = 95
    ) -> None:
        """Writes (H, W, 3) uint8 RGB as a JPEG sensor_msgs/CompressedImage; topics end in ``/compressed`` by custom."""
        jpeg = np.frombuffer(encode_image(rgb, ".jpg", quality), np.uint8)
        header = self.header(stamp_ns, frame_id)
        message = self.message(COMPRESSED_IMAGE, header=header, format="rgb8; jpeg compressed bgr8", data=jpeg)
        self.write(topic, message, stamp_ns)

    def write_camera_info(
        self,
        topic: str,
        stamp_ns: int,
        frame_id: str,
        *,
        width: int,
        height: int,
        matrix: ArrayLike,
        distortion: ArrayLike = (0.0, 0.0, 0.0, 0.0, 0.0),
        model: str = "plumb_bob",
    ) -> None:
        """Writes a sensor_msgs/CameraInfo: ``matrix`` K (3, 3) in pixels, distortion coefficients and their model."""
        k = np.asarray(matrix, np.float64).reshape(3, 3)
        region = self.message(
            "sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        )
        message = self.message(
            CAMERA_INFO, header=self.header(stamp_ns, frame_id), height=height, width=width, distortion_model=model,
            d=np.asarray(distortion, np.float64).reshape(-1), k=k.reshape(-1), r=np.eye(3).reshape(-1),
            p=np.hstack([k, np.zeros((3, 1))]).reshape(-1), binning_x=0, binning_y=0, roi=region,
        )  # fmt: skip
        self.write(topic, message, stamp_ns)

    def write_body_pose(
        self,
        stamp_ns: int,
        frame_id: str,
        positions: NDArray[np.floating],
        rotations: NDArray[np.floating],
        tracked: ArrayLike | None = None,
        topic: str = Topics.body_pose,
    ) -> None:
        """Writes an egotwin_ros/BodyPose: positions (23, 3) metres, global rotations (23, 3, 3), in ``frame_id``.

        ``tracked`` (23,) bool, default all True: which joints were measured.
        """
        quaternions = Rotation.from_matrix(np.asarray(rotations, np.float64)).as_quat()
        poses = [
            self.message("geometry_msgs/msg/Pose", position=self._point(p), orientation=self._quaternion(q))
            for p, q in zip(np.asarray(positions, np.float64), quaternions, strict=True)
        ]
        flags = np.ones(NUM_JOINTS, bool) if tracked is None else np.asarray(tracked, bool)
        message = self.message(BODY_POSE, header=self.header(stamp_ns, frame_id), poses=poses, tracked=flags)
        self.write(topic, message, stamp_ns)

    def _point(self, xyz: NDArray[np.float64]) -> Any:
        x, y, z = xyz.tolist()
        return self.message("geometry_msgs/msg/Point", x=x, y=y, z=z)

    def _quaternion(self, xyzw: NDArray[np.float64]) -> Any:
        x, y, z, w = xyzw.tolist()
        return self.message("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)


class BagReader:
    """Reads a rosbag2 recording: an ``.mcap`` or ``.db3`` file, or a bag folder with ``metadata.yaml``.

    Opens at once; use as a context manager or `close` it.

    Attributes:
        start_ns, end_ns: times in the bag of the first and last message, nanoseconds since the epoch.

    Raises:
        RecordingError: missing, not a rosbag2, truncated, or empty.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise RecordingError(f"recording {self.path} does not exist")
        if self.path.is_file() and self.path.suffix not in (".mcap", ".db3"):
            raise RecordingError(
                f"recording {self.path} is no rosbag2: wanted an .mcap or .db3 file or a bag folder "
                "(ROS 1 bags: convert with rosbags-convert)"
            )
        try:
            self._reader = AnyReader([self.path], default_typestore=typestore())
            self._reader.open()
        except RecordingError:
            raise
        except Exception as error:  # a parser on a foreign file: whatever it trips over, the file is unreadable
            raise RecordingError(f"recording {self.path} is unreadable or truncated: {_reason(error)}") from error
        if self._reader.message_count == 0:
            self.close()
            raise RecordingError(f"recording {self.path} has no messages")
        self.start_ns = self._reader.start_time
        self.end_ns = self._reader.end_time - 1  # rosbags gives the end as exclusive

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._reader.close()

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the last message."""
        return (self.end_ns - self.start_ns) / 1e9

    def topics(self) -> dict[str, str]:
        """Topic names and their message types (``pkg/msg/Name``)."""
        return {connection.topic: connection.msgtype for connection in self._reader.connections}

    def find(self, *message_types: str, without: Collection[str] = ()) -> str:
        """The first topic of any of these types, in the types' order; not one of ``without``.

        Raises:
            RecordingError: the recording has none; the message names what it has.
        """
        for wanted in message_types:
            for topic, message_type in self.topics().items():
                if message_type == wanted and topic not in without:
                    return topic
        raise RecordingError(
            f"recording {self.path} lacks a topic of type {' or '.join(message_types)}; {self._there()}"
        )

    def messages(
        self, topics: Collection[str] = (), start_ns: int | None = None, stop_ns: int | None = None
    ) -> Generator[tuple[str, int, Any], None, None]:
        """Yields (topic, stamp_ns in the bag, decoded message) in time order.

        Args:
            topics: names to read; none means all.
            start_ns, stop_ns: only messages with start ≤ stamp < stop.

        Raises:
            RecordingError: a topic is not there, or the file breaks off on the way.
        """
        for topic, message_type, stamp_ns, cdr in self.raw_messages(topics, start_ns, stop_ns):
            try:
                message = self._reader.deserialize(cdr, message_type)
            except Exception as error:
                raise RecordingError(
                    f"recording {self.path}: a {message_type} on {topic} is broken: {_reason(error)}"
                ) from error
            yield topic, stamp_ns, message

    def raw_messages(
        self, topics: Collection[str] = (), start_ns: int | None = None, stop_ns: int | None = None
    ) -> Generator[tuple[str, str, int, bytes], None, None]:
        """Yields (topic, type, stamp_ns in the bag, CDR bytes as recorded) in time order; arguments as `messages`."""
        if absent := sorted(set(topics) - set(self.topics())):
            raise RecordingError(f"recording {self.path} lacks the topic {', '.join(absent)}; {self._there()}")
        connections = [c for c in self._reader.connections if not topics or c.topic in topics]
        try:
            for connection, stamp_ns, cdr in self._reader.messages(connections, start_ns, stop_ns):
                yield connection.topic, connection.msgtype, stamp_ns, cdr
        except Exception as error:
            raise RecordingError(f"recording {self.path} is truncated or damaged: {_reason(error)}") from error

    def _there(self) -> str:
        return "it has " + ", ".join(f"{topic} ({kind})" for topic, kind in sorted(self.topics().items()))


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
