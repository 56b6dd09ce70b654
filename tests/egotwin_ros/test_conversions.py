"""Messages to arrays and back: exact round trips, and every fault refused by its own name."""

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from egotwin_model.errors import CalibrationError, ImageError, PoseError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.skeleton import HEAD, XSENS_JOINTS
from egotwin_model.io.images import decode_image
from egotwin_ros import conversions, image_bridge
from egotwin_ros.messages import ROS
from egotwin_ros.msg import BodyPose, BodyTrajectory

RNG = np.random.default_rng(5)
POSITIONS = RNG.normal(size=(23, 3))
ROTATIONS = Rotation.random(23, random_state=5).as_matrix()
RGB = RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8)


def body(**changes) -> BodyPose:
    message = BodyPose(poses=ROS.poses(POSITIONS, ROTATIONS), tracked=[True] * 23)
    message.header.frame_id = "map"
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_stamps_round_trip_to_the_nanosecond(stamp_ns):
    assert conversions.nanoseconds(ROS.time(stamp_ns)) == stamp_ns


@given(st.floats(0, 1e5))
def test_durations_are_true_to_the_nanosecond(seconds):
    duration = ROS.duration(seconds)
    assert 0 <= duration.nanosec < 10**9
    assert abs(conversions.nanoseconds(duration) - seconds * 1e9) <= 1.0


def test_body_poses_round_trip():
    sent = deserialize_message(serialize_message(body()), BodyPose)
    positions, rotations = conversions.body_to_arrays(sent, "map", require_all_tracked=True)
    np.testing.assert_array_equal(positions, POSITIONS)
    np.testing.assert_allclose(rotations, ROTATIONS, atol=1e-12)


@pytest.mark.parametrize(("joint", "field"), [(0, "x"), (HEAD, "y"), (22, "z")])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_non_finite_positions_are_refused_by_joint(joint, field, value):
    message = body()
    setattr(message.poses[joint].position, field, value)
    with pytest.raises(PoseError, match=rf"{XSENS_JOINTS[joint]} .* not finite"):
        conversions.body_to_arrays(message)


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.002, 7.0])
def test_non_unit_quaternions_are_refused_by_joint(scale):
    message = body()
    turn = message.poses[14].orientation
    turn.x, turn.y, turn.z, turn.w = (scale * v for v in (turn.x, turn.y, turn.z, turn.w))
    with pytest.raises(PoseError, match=r"quaternion of L_Hand .* normalise"):
        conversions.body_to_arrays(message)


def test_rounded_quaternions_are_taken_and_give_true_rotations():
    message = body()
    for pose in message.poses:
        pose.orientation.w = float(np.float16(pose.orientation.w))
    _, rotations = conversions.body_to_arrays(message)
    np.testing.assert_allclose(rotations @ rotations.swapaxes(1, 2), np.broadcast_to(np.eye(3), (23, 3, 3)), atol=1e-12)


def test_other_frames_and_untracked_joints_are_refused():
    with pytest.raises(PoseError, match="frame 'map'; wanted 'odom'"):
        conversions.body_to_arrays(body(), "odom")
    no_head = body(tracked=[joint != HEAD for joint in range(23)])
    with pytest.raises(PoseError, match="untracked joints: Head"):
        conversions.body_to_arrays(no_head)
    no_toe = body(tracked=[joint != 22 for joint in range(23)])
    conversions.body_to_arrays(no_toe)
    with pytest.raises(PoseError, match="untracked joints: L_Toe"):
        conversions.body_to_arrays(no_toe, require_all_tracked=True)


def info(**changes) -> CameraInfo:
    message = CameraInfo(width=32, height=24, distortion_model="plumb_bob", d=[0.0] * 5)
    message.k = [20.0, 0.0, 15.5, 0.0, 20.0, 11.5, 0.0, 0.0, 1.0]
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def test_intrinsics_are_read():
    model = conversions.camera_model(info(), 32, 24)
    assert model.matrix == (20.0, 0.0, 15.5, 0.0, 20.0, 11.5, 0.0, 0.0, 1.0)
    assert (model.distortion, model.model) == ((0.0,) * 5, "plumb_bob")


@pytest.mark.parametrize(
    "changes",
    [
        {"k": [0.0] * 9},
        {"k": [np.nan] + [0.0] * 8},
        {"d": [np.nan] * 5},
        {"d": [0.1, 0.2]},
        {"distortion_model": "magic"},
        {"width": 64},
    ],
)
def test_impossible_intrinsics_are_refused(changes):
    with pytest.raises(CalibrationError):
        conversions.camera_model(info(**changes), 32, 24)


def test_pinholes_become_intrinsics_and_back():
    camera = Pinhole.from_fov(64, 64, np.pi / 2)
    message = ROS.camera_info(camera, 5, "camera_optical")
    model = conversions.camera_model(message, 64, 64)
    assert Pinhole.from_matrix(64, 64, model.matrix) == camera


def test_images_round_trip_through_the_wire():
    message = ROS.image(RGB, 1_500_000_000, "camera_optical")
    received = deserialize_message(serialize_message(message), Image)
    np.testing.assert_array_equal(image_bridge.to_rgb(received), RGB)
    assert (received.header.stamp, received.header.frame_id) == (Time(sec=1, nanosec=500_000_000), "camera_optical")


def test_wrong_images_are_refused():
    for changes in ({"encoding": "64FC3"}, {"height": 99}, {"step": 5}, {"width": 0}):
        message = ROS.image(RGB, 0, "camera_optical")
        for name, value in changes.items():
            setattr(message, name, value)
        with pytest.raises(ImageError):
            image_bridge.to_rgb(message)
    with pytest.raises(ImageError):
        image_bridge.to_rgb(CompressedImage(format="jpeg", data=b"nothing"))


@pytest.mark.skipif(
    image_bridge.CvBridge is None,
    reason="cv_bridge is not installed (ROS 2 from wheels): run it on stock ROS, see .github/workflows/stock-ros.yml",
)
@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8"])
def test_cv_bridge_and_ours_agree(encoding):
    channels = {"rgba8": 4, "bgra8": 4, "mono8": 1}.get(encoding, 3)
    pixels = RNG.integers(0, 256, (24, 32, channels), dtype=np.uint8)
    message = Image(height=24, width=32, encoding=encoding, step=32 * channels, data=pixels.tobytes())
    np.testing.assert_array_equal(image_bridge.cv_bridge_rgb(message), decode_image(message))


def trajectory(steps=5, rate=10.0):
    times = np.arange(steps) / rate
    positions = POSITIONS + times[:, None, None]
    turns = Rotation.from_euler("z", 40 * times[:, None], degrees=True).as_matrix()
    return times, positions, turns[:, None] @ ROTATIONS


def test_trajectories_round_trip():
    times, positions, rotations = trajectory()
    message = ROS.trajectory(positions, rotations, times, 7, "map")
    got_positions, got_rotations = conversions.trajectory_to_arrays(message, times)
    np.testing.assert_allclose(got_positions, positions, atol=1e-9)
    np.testing.assert_allclose(got_rotations, rotations, atol=1e-9)


def test_trajectories_are_interpolated_between_and_held_after_their_points():
    times, positions, rotations = trajectory()
    message = ROS.trajectory(positions, rotations, times, 7, "map")
    got_positions, got_rotations = conversions.trajectory_to_arrays(message, np.array([0.05, 9.0]))
    np.testing.assert_allclose(got_positions, [POSITIONS + 0.05, positions[-1]], atol=1e-9)
    half = Rotation.from_euler("z", 2, degrees=True).as_matrix() @ ROTATIONS
    np.testing.assert_allclose(got_rotations, [half, rotations[-1]], atol=1e-9)
    single = ROS.trajectory(positions[:1], rotations[:1], times[:1], 7, "map")
    np.testing.assert_allclose(conversions.trajectory_to_arrays(single, times)[0], positions[:1].repeat(5, 0))


def test_impossible_trajectories_are_refused():
    times, positions, rotations = trajectory()
    good = ROS.trajectory(positions, rotations, times, 7, "map")
    with pytest.raises(PoseError, match="no points"):
        conversions.trajectory_to_arrays(BodyTrajectory(), times)
    good.points = good.points[::-1]
    with pytest.raises(PoseError, match="strictly increase"):
        conversions.trajectory_to_arrays(good, times)
    good.points = good.points[::-1]
    good.joint_names = [*good.joint_names[:-1], "Tail"]
    with pytest.raises(PoseError, match="other joints"):
        conversions.trajectory_to_arrays(good, times)
    good.joint_names = []
    good.points[2].poses[4].orientation.w += 0.5
    with pytest.raises(PoseError, match=r"T8 \(joint 4, step 2\)"):
        conversions.trajectory_to_arrays(good, times)


def test_paths_are_stamped_with_their_own_instants():
    times, positions, rotations = trajectory()
    path = ROS.path(positions[:, HEAD], rotations[:, HEAD], times, 3_000_000_000, "map")
    stamps = [conversions.nanoseconds(pose.header.stamp) for pose in path.poses]
    assert stamps == [3_000_000_000 + 100_000_000 * step for step in range(5)]
    assert {pose.header.frame_id for pose in path.poses} == {path.header.frame_id} == {"map"}
