"""TF of the imagined head and camera: what is handed to a broadcaster, and what real tf2_ros gives back for it."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from scipy.spatial.transform import Rotation

from egotwin_ros.action import Imagine
from egotwin_ros.conversions import nanoseconds
from egotwin_ros.transforms import tf2_broadcaster

pytestmark = pytest.mark.ros
EMBEDDED = {"max_age_s": 60.0, "num_steps": 1}  # this needs no training packages, so it runs on stock ROS as well
MOTION = Imagine.Goal.MODE_MOTION
FRAMES = {"head_frame_id": "guess_head", "camera_frame_id": "guess_camera"}


class Broadcaster:
    """Keeps what tf2_ros' broadcaster would send."""

    def __init__(self, node) -> None:
        self.node, self.sent = node, []

    def sendTransform(self, transforms: list[TransformStamped]) -> None:  # noqa: N802  tf2_ros' name
        self.sent.append(transforms)


def matrix(transform: TransformStamped) -> np.ndarray:
    t, r = transform.transform.translation, transform.transform.rotation
    T = np.eye(4)
    T[:3, :3] = Rotation.from_quat([r.x, r.y, r.z, r.w]).as_matrix()
    T[:3, 3] = t.x, t.y, t.z
    return T


@pytest.fixture
def broadcasting(make_rig):
    """A node with an in-test broadcaster, which the fixture's result returns once it has sent."""

    def make(**parameters):
        made: list[Broadcaster] = []

        def broadcaster(node) -> Broadcaster:
            made.append(Broadcaster(node))
            return made[-1]

        options = {"make_broadcaster": broadcaster}
        rig = make_rig(options, **EMBEDDED, **parameters)
        rig.wait_active()
        return rig, made

    return make


def test_head_and_camera_are_broadcast_at_every_pose(broadcasting):
    rig, made = broadcasting(**FRAMES)
    source = rig.show_good()
    (imagination,) = rig.ask(mode=MOTION).imaginations
    (broadcaster,) = made
    assert broadcaster.node is rig.node
    rig.wait(lambda: broadcaster.sent)
    (transforms,) = broadcaster.sent
    heads, cameras = transforms[::2], transforms[1::2]
    assert {(t.header.frame_id, t.child_frame_id) for t in heads} == {("map", "guess_head")}
    assert {(t.header.frame_id, t.child_frame_id) for t in cameras} == {("guess_head", "guess_camera")}
    expected = [source + 62_500_000 * step for step in range(81)]
    assert [nanoseconds(t.header.stamp) for t in heads] == expected
    assert [nanoseconds(t.header.stamp) for t in cameras] == expected
    mount = rig.node.session.info.mount
    for head, camera, stamped in zip(heads, cameras, imagination.head_path.poses, strict=True):
        position, orientation = stamped.pose.position, stamped.pose.orientation
        R = Rotation.from_quat([orientation.x, orientation.y, orientation.z, orientation.w]).as_matrix()
        at = np.array([position.x, position.y, position.z])
        np.testing.assert_allclose(matrix(head)[:3], np.column_stack([R, at]), atol=1e-12)
        np.testing.assert_allclose(matrix(head) @ matrix(camera), mount.camera_pose(at, R), atol=1e-9)


def test_the_broadcast_begins_at_the_given_head(broadcasting):
    rig, made = broadcasting()
    rig.show_good()
    rig.ask(mode=MOTION)
    rig.wait(lambda: made[0].sent)
    first, camera = made[0].sent[0][:2]
    assert (first.child_frame_id, camera.child_frame_id) == ("predicted_head", "predicted_camera_optical")
    positions, rotations = rig.standing()
    np.testing.assert_allclose(matrix(first)[:3], np.column_stack([rotations[6], positions[6]]), atol=1e-5)


def test_without_a_head_frame_nothing_is_broadcast(broadcasting):
    rig, made = broadcasting(head_frame_id="")
    rig.show_good()
    assert rig.ask(mode=MOTION).error_msg == ""
    assert made == []


@pytest.mark.skipif(
    tf2_broadcaster is None,
    reason="tf2_ros is not installed (ROS 2 from wheels): run it on stock ROS, see .github/workflows/stock-ros.yml",
)
def test_tf2_gives_the_imagined_camera_in_the_fixed_frame(make_rig):
    from rclpy.time import Time
    from tf2_ros import Buffer, TransformListener

    rig = make_rig(**EMBEDDED, **FRAMES)
    rig.wait_active()
    buffer = Buffer(node=rig.client)
    listener = TransformListener(buffer, rig.client)
    rig.wait(lambda: rig.client.count_publishers("/tf"))
    source = rig.show_good()
    (imagination,) = rig.ask(mode=MOTION).imaginations
    mount = rig.node.session.info.mount
    for step in (0, 16, 80):
        when = Time(nanoseconds=source + 62_500_000 * step)
        rig.wait(lambda: buffer.can_transform("map", "guess_camera", when))  # noqa: B023 waited for within the loop
        pose = imagination.head_path.poses[step].pose
        R = Rotation.from_quat([getattr(pose.orientation, axis) for axis in "xyzw"]).as_matrix()
        at = np.array([pose.position.x, pose.position.y, pose.position.z])
        given = matrix(buffer.lookup_transform("map", "guess_camera", when))
        np.testing.assert_allclose(given, mount.camera_pose(at, R), atol=1e-6)
    listener.unregister()
