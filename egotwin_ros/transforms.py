"""The imagined head and camera as TF transforms, and tf2_ros' broadcaster where it is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Path
from rclpy.node import Node
from scipy.spatial.transform import Rotation

from egotwin_model.geometry.mount import Mount

try:
    import tf2_ros
except ImportError:  # ROS 2 from wheels has none
    tf2_ros = None

MakeBroadcaster = Callable[[Node], Any]
"""Makes an object with tf2_ros' ``sendTransform`` for a node."""

tf2_broadcaster: MakeBroadcaster | None = None if tf2_ros is None else tf2_ros.TransformBroadcaster


def head_and_camera(head_path: Path, mount: Mount, head_frame_id: str, camera_frame_id: str) -> list[TransformStamped]:
    """T_fixed_head at every pose of the path, each followed by T_head_camera at the same stamp."""
    quaternion = Rotation.from_matrix(mount.rotation).as_quat().tolist()
    transforms = []
    for stamped in head_path.poses:
        position, orientation = stamped.pose.position, stamped.pose.orientation
        stamp, fixed_frame_id = stamped.header.stamp, stamped.header.frame_id
        turn = (orientation.x, orientation.y, orientation.z, orientation.w)
        transforms += [
            _transform(stamp, fixed_frame_id, head_frame_id, (position.x, position.y, position.z), turn),
            _transform(stamp, head_frame_id, camera_frame_id, mount.translation, quaternion),
        ]
    return transforms


def _transform(stamp: Any, frame_id: str, child_frame_id: str, translation: Any, quaternion: Any) -> TransformStamped:
    message = TransformStamped(child_frame_id=child_frame_id)
    message.header.stamp, message.header.frame_id = stamp, frame_id
    t, r = message.transform.translation, message.transform.rotation
    t.x, t.y, t.z = translation
    r.x, r.y, r.z, r.w = quaternion
    return message
