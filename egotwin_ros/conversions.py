"""Checked arrays from messages of ROS's or rosbags' classes: metres, seconds, global rotation matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from egotwin_model.errors import CalibrationError, PoseError
from egotwin_model.geometry.camera import check_distortion, check_matrix
from egotwin_model.geometry.skeleton import HEAD, NUM_JOINTS, XSENS_JOINTS

if TYPE_CHECKING:
    from geometry_msgs.msg import Pose
    from sensor_msgs.msg import CameraInfo

    from egotwin_ros.msg import BodyPose, BodyTrajectory

Array = NDArray[np.float64]
QUATERNION_TOLERANCE = 1e-3
NS = 10**9


def nanoseconds(stamp: Any) -> int:
    """Of a Time or Duration message."""
    return int(stamp.sec) * NS + int(stamp.nanosec)


def poses_to_arrays(poses: Sequence[Pose], what: str) -> tuple[Array, Array]:
    """Positions (N, 3) and rotations (N, 3, 3) of N pose messages; ``what`` names them in errors.

    Raises:
        PoseError: a NaN or infinity, or a quaternion whose length differs from 1 by more than 1e-3.
    """
    numbers = np.array(
        [
            (p.position.x, p.position.y, p.position.z, o.x, o.y, o.z, o.w)
            for p, o in ((pose, pose.orientation) for pose in poses)
        ]
    ).reshape(-1, 7)
    bad = ~np.isfinite(numbers).all(axis=1)
    if bad.any():
        raise PoseError(f"{what}: {_joint(bad)} is not finite (NaN or infinity); send only finite poses")
    lengths = np.linalg.norm(numbers[:, 3:], axis=1)
    bad = np.abs(lengths - 1.0) > QUATERNION_TOLERANCE
    if bad.any():
        length = lengths[int(np.argmax(bad))]
        raise PoseError(f"{what}: the quaternion of {_joint(bad)} has length {length:.4f}, wanted 1: normalise it")
    return numbers[:, :3], Rotation.from_quat(numbers[:, 3:]).as_matrix()


def _joint(bad: NDArray[np.bool_]) -> str:
    index = int(np.argmax(bad))
    return f"{XSENS_JOINTS[index % NUM_JOINTS]} (joint {index % NUM_JOINTS}, step {index // NUM_JOINTS})"


def body_to_arrays(
    message: BodyPose, fixed_frame_id: str = "", *, require_all_tracked: bool = False
) -> tuple[Array, Array]:
    """Positions (23, 3) and global rotations (23, 3, 3) of a body pose, in its frame.

    Raises:
        PoseError: as `poses_to_arrays`; another frame than ``fixed_frame_id`` (if not empty); an untracked head, or
            with ``require_all_tracked`` an untracked joint.
    """
    frame = message.header.frame_id
    if fixed_frame_id and frame != fixed_frame_id:
        raise PoseError(f"body pose is in frame {frame!r}; wanted {fixed_frame_id!r} (parameter fixed_frame_id)")
    needed = range(NUM_JOINTS) if require_all_tracked else (HEAD,)
    if missing := [XSENS_JOINTS[joint] for joint in needed if not message.tracked[joint]]:
        raise PoseError(f"body pose has untracked joints: {', '.join(missing)}")
    return poses_to_arrays(message.poses, "body pose")


@dataclass(frozen=True)
class CameraModel:
    """Intrinsics of a received image: K (9 numbers row by row, pixels), distortion coefficients and their model."""

    matrix: tuple[float, ...]
    distortion: tuple[float, ...]
    model: str


def camera_model(info: CameraInfo, width: int, height: int) -> CameraModel:
    """Intrinsics for an image of this size.

    Raises:
        CalibrationError: zero or non-finite K or distortion, an unknown distortion model, or another image size.
    """
    matrix = check_matrix(np.asarray(info.k))
    if (info.width, info.height) not in {(0, 0), (width, height)}:
        raise CalibrationError(
            f"camera_info is for {info.width}x{info.height} pixels, the image has {width}x{height}: "
            "publish the camera_info that belongs to the image"
        )
    model = info.distortion_model or "plumb_bob"
    distortion = check_distortion(np.asarray(info.d, np.float64), model)
    return CameraModel(tuple(matrix.ravel().tolist()), tuple(distortion.tolist()), model)


def trajectory_to_arrays(message: BodyTrajectory, times: Array) -> tuple[Array, Array]:
    """A body trajectory at other instants: positions (T, 23, 3) linearly, rotations (T, 23, 3, 3) by slerp.

    ``times`` (T,) seconds after the trajectory's stamp; after its end the last pose is held.

    Raises:
        PoseError: no points, other joints than ours, times that do not start at 0 and grow, or as `poses_to_arrays`.
    """
    if not message.points:
        raise PoseError("the given motion has no points")
    if list(message.joint_names) not in ([], list(XSENS_JOINTS)):
        raise PoseError(f"the given motion names other joints than the 23 of BodyPose: {list(message.joint_names)}")
    given = np.array([nanoseconds(point.time_from_start) for point in message.points]) / NS
    if given[0] != 0.0 or (np.diff(given) <= 0).any():
        raise PoseError("the given motion's time_from_start must begin with 0 and then strictly increase")
    flat = [pose for point in message.points for pose in point.poses]
    positions, rotations = (part.reshape(len(given), NUM_JOINTS, -1) for part in poses_to_arrays(flat, "given motion"))
    if len(given) == 1:
        given, positions, rotations = np.array([0.0, 1.0]), positions.repeat(2, 0), rotations.repeat(2, 0)
    inside = np.clip(times, 0.0, given[-1])
    after = np.clip(np.searchsorted(given, inside, side="right"), 1, len(given) - 1)
    weight = ((inside - given[after - 1]) / (given[after] - given[after - 1]))[:, None, None]
    turned = [
        Slerp(given, Rotation.from_matrix(rotations[:, joint].reshape(-1, 3, 3)))(inside).as_matrix()
        for joint in range(NUM_JOINTS)
    ]
    return positions[after - 1] * (1 - weight) + positions[after] * weight, np.stack(turned, axis=1)
