"""Output messages from arrays, of ROS's own classes (`ROS`) or, where ROS is not installed, of ``rosbags``' (`BAG`).

Both kinds have the same fields. Importing this module needs no ROS; `ROS` imports a message's package at its first use.
"""

from __future__ import annotations

import array
import importlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.skeleton import NUM_JOINTS, XSENS_JOINTS
from egotwin_ros.request import MODE_NUMBERS, Request

if TYPE_CHECKING:
    from egotwin_model.egotwin.pipeline import Imagination, ModelInfo
    from egotwin_ros.observation import Observation

Array = NDArray[np.float64]
NS = 10**9


class Messages:
    """Builds messages of one implementation.

    Args:
        find: class of a message type ``pkg/msg/Name``; called with every field by name.
        sequence: an array as the value of a field of variable length (``float64[]``, ``uint8[]``).
    """

    def __init__(self, find: Callable[[str], Any], sequence: Callable[[NDArray[Any]], Any]) -> None:
        self._find, self._sequence = lru_cache(maxsize=None)(find), sequence

    def time(self, stamp_ns: int) -> Any:
        """Time of nanoseconds since the epoch."""
        return self._find("builtin_interfaces/msg/Time")(sec=int(stamp_ns // NS), nanosec=int(stamp_ns % NS))

    def duration(self, seconds: float) -> Any:
        """Duration of seconds, to the nanosecond."""
        whole = round(seconds * NS)
        return self._find("builtin_interfaces/msg/Duration")(sec=int(whole // NS), nanosec=int(whole % NS))

    def header(self, stamp_ns: int, frame_id: str) -> Any:
        """std_msgs/Header."""
        return self._find("std_msgs/msg/Header")(stamp=self.time(stamp_ns), frame_id=frame_id)

    def poses(self, positions: Array, rotations: Array) -> list[Any]:
        """N geometry_msgs/Pose of positions (N, 3) and rotations (N, 3, 3)."""
        kinds = (self._find(f"geometry_msgs/msg/{name}") for name in ("Pose", "Point", "Quaternion"))
        pose_class, point_class, quaternion_class = kinds
        quaternions = Rotation.from_matrix(np.asarray(rotations, np.float64)).as_quat()
        return [
            pose_class(position=point_class(x=x, y=y, z=z), orientation=quaternion_class(x=qx, y=qy, z=qz, w=qw))
            for (x, y, z), (qx, qy, qz, qw) in zip(
                np.asarray(positions, np.float64).tolist(), quaternions.tolist(), strict=True
            )
        ]

    def trajectory(self, positions: Array, rotations: Array, times: Array, stamp_ns: int, frame_id: str) -> Any:
        """BodyTrajectory of positions (T, 23, 3) and rotations (T, 23, 3, 3) at ``times`` (T,) s after the stamp."""
        flat = self.poses(positions.reshape(-1, 3), rotations.reshape(-1, 3, 3))
        body_poses = self._find("egotwin_ros/msg/BodyPoses")
        points = [
            body_poses(time_from_start=self.duration(t), poses=flat[step * NUM_JOINTS : (step + 1) * NUM_JOINTS])
            for step, t in enumerate(times.tolist())
        ]
        return self._find("egotwin_ros/msg/BodyTrajectory")(
            header=self.header(stamp_ns, frame_id), joint_names=list(XSENS_JOINTS), points=points
        )

    def path(self, positions: Array, rotations: Array, times: Array, stamp_ns: int, frame_id: str) -> Any:
        """nav_msgs/Path of positions (T, 3) and rotations (T, 3, 3); each pose is stamped with its own instant."""
        stamped = self._find("geometry_msgs/msg/PoseStamped")
        stamps = (stamp_ns + round(t * NS) for t in times.tolist())
        poses = [
            stamped(header=self.header(stamp, frame_id), pose=pose)
            for stamp, pose in zip(stamps, self.poses(positions, rotations), strict=True)
        ]
        return self._find("nav_msgs/msg/Path")(header=self.header(stamp_ns, frame_id), poses=poses)

    def image(self, rgb: NDArray[np.uint8], stamp_ns: int, frame_id: str) -> Any:
        """Raw ``rgb8`` sensor_msgs/Image of an (H, W, 3) image."""
        height, width, _ = rgb.shape
        return self._find("sensor_msgs/msg/Image")(
            header=self.header(stamp_ns, frame_id), height=height, width=width, encoding="rgb8", is_bigendian=0,
            step=3 * width, data=self._sequence(np.ascontiguousarray(rgb).reshape(-1)),
        )  # fmt: skip

    def point_cloud(self, xyz: NDArray[np.float32], rgb: NDArray[np.uint8], stamp_ns: int, frame_id: str) -> Any:
        """sensor_msgs/PointCloud2 with x, y, z and rgb of points (N, 3) in metres and their colours (N, 3)."""
        field = self._find("sensor_msgs/msg/PointField")
        points = np.empty((len(xyz), 4), "<f4")
        points[:, :3] = xyz
        colour = points.view("u1").reshape(-1, 16)[:, 12:]  # 0x00RRGGBB, little-endian, in place of a float32
        colour[:, :3], colour[:, 3] = rgb[:, ::-1], 0
        fields = [
            field(name=name, offset=4 * place, datatype=7, count=1) for place, name in enumerate(("x", "y", "z", "rgb"))
        ]  # 7: FLOAT32
        return self._find("sensor_msgs/msg/PointCloud2")(
            header=self.header(stamp_ns, frame_id), height=1, width=len(points), fields=fields, is_bigendian=False,
            point_step=16, row_step=16 * len(points), data=self._sequence(points.view("u1").reshape(-1)), is_dense=True,
        )  # fmt: skip

    def camera_info(self, camera: Pinhole, stamp_ns: int, frame_id: str) -> Any:
        """sensor_msgs/CameraInfo of a pinhole camera without distortion."""
        k = np.asarray(camera.matrix, np.float64)
        region = self._find("sensor_msgs/msg/RegionOfInterest")(
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        )
        return self._find("sensor_msgs/msg/CameraInfo")(
            header=self.header(stamp_ns, frame_id), width=camera.width, height=camera.height,
            distortion_model="plumb_bob", d=self._sequence(np.zeros(5)), k=k.ravel(), r=np.eye(3).ravel(),
            p=np.hstack([k, np.zeros((3, 1))]).ravel(), binning_x=0, binning_y=0, roi=region,
        )  # fmt: skip

    def imaginations(
        self, outcome: Imagination, request: Request, observation: Observation, info: ModelInfo
    ) -> list[Any]:
        """One egotwin_ros/Imagination for each sample of the (cut) outcome of a checked request."""
        times = np.asarray(outcome.motion_times, np.float64)
        motion, start_ns = outcome.motion, observation.stamp_ns
        frame_times = [self.time(start_ns + round(t * NS)) for t in np.asarray(outcome.frame_times).tolist()]
        where: tuple[Any, ...] = (times, start_ns, observation.frame_id)
        count = len(motion.positions)
        identity = self._find("unique_identifier_msgs/msg/UUID")(uuid=np.frombuffer(request.id, np.uint8))
        return [
            self._find("egotwin_ros/msg/Imagination")(
                header=self.header(start_ns, observation.frame_id),
                id=identity,
                goal=request.goal,
                mode=MODE_NUMBERS[request.mode],
                seed=request.seed,
                source_stamp=self.time(start_ns),
                model_name=info.name,
                model_sha256=info.sha256,
                head_path=self.path(motion.head_positions[sample], motion.head_rotations[sample], *where),
                body_trajectory=self.trajectory(motion.positions[sample], motion.rotations[sample], *where),
                frame_times=frame_times,
                sample_index=sample,
                sample_count=count,
                horizon_s=float(times[-1]),
            )
            for sample in range(count)
        ]

    def video(
        self, outcome: Imagination, observation: Observation, info: ModelInfo, frame_id: str
    ) -> Iterator[tuple[Any, Any]]:
        """Yields (Image, CameraInfo) of the first sample's frames, each stamped with the time it is predicted for."""
        for stamp_ns, image in self._frames(outcome.frames[0], outcome, observation, frame_id):
            yield image, self.camera_info(info.camera, stamp_ns, frame_id)

    def prior(self, outcome: Imagination, observation: Observation, frame_id: str) -> Iterator[Any]:
        """Yields Images of what was known of the first sample's frames, stamped as those of `video`; grey where
        nothing was, and none at all where the model imagines without a prior."""
        if outcome.prior is not None:
            for _, image in self._frames(outcome.prior.frames[0], outcome, observation, frame_id):
                yield image

    def _frames(
        self, frames: NDArray[np.uint8], outcome: Imagination, observation: Observation, frame_id: str
    ) -> Iterator[tuple[int, Any]]:
        for frame, t in zip(frames, np.asarray(outcome.frame_times).tolist(), strict=True):
            stamp_ns = observation.stamp_ns + round(t * NS)
            yield stamp_ns, self.image(frame, stamp_ns, frame_id)


def ros_class(name: str) -> Any:
    """ROS's class of a message type ``pkg/msg/Name``; `RecordingError` where the package is not installed."""
    package, kind, message = name.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.{kind}"), message)
    except (ImportError, AttributeError) as error:
        raise RecordingError(f"messages of type {name} cannot be used: {error}; install {package}") from error


def _bag_class(name: str) -> Any:
    from egotwin_model.io.bags import typestore

    return typestore().types[name]


def _ros_sequence(values: NDArray[Any]) -> array.array[Any]:
    return array.array(values.dtype.char, values.tobytes())  # assigning an ndarray is a thousand times slower


ROS = Messages(ros_class, _ros_sequence)
BAG = Messages(_bag_class, lambda values: values)
