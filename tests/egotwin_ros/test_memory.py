"""What is remembered between goals: keyframes by motion, forgotten where poses do not fit, never in the way."""

import threading
import time

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from egotwin_model.errors import CalibrationError, ImageError
from egotwin_model.geometry.body_mask import body_mask
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.io.images import decode_image
from egotwin_ros.conversions import NS
from egotwin_ros.inputs import InputBuffer
from egotwin_ros.memory_feed import MemoryFeed
from egotwin_ros.memory_thread import QUEUE, MemoryThread
from egotwin_ros.messages import BAG, ROS
from egotwin_ros.msg import BodyPose
from egotwin_ros.observation import ObservationReader
from egotwin_ros.parameters import ImagineParameters

from .conftest import Rig

pytestmark = pytest.mark.ros
START = 1_700_000_000 * NS
VIEW, MOUNT = Pinhole.from_fov(32, 32, np.radians(80)), Mount()
STEP_NS = NS // 10


def body(stamp_ns: int, x: float = 0.0, yaw: float = 0.0, frame_id: str = "map", tracked: bool = True) -> BodyPose:
    """A person who was moved and turned in place."""
    positions, rotations = Rig.standing()
    turn = Rotation.from_euler("z", yaw, degrees=True).as_matrix()
    positions = (positions - positions[0]) @ turn.T + positions[0] + [x, 0.0, 0.0]
    poses = ROS.poses(positions, turn @ rotations)
    return BodyPose(header=ROS.header(stamp_ns, frame_id), poses=poses, tracked=[tracked] * 23)


class Stream:
    """Inputs that come together, each tenth of a second, to a feed that looks at them one by one."""

    def __init__(self, estimate=None, **parameters) -> None:
        self.inputs = InputBuffer(ImagineParameters(**parameters), decode_image)
        self.feed = MemoryFeed(ImagineParameters(**parameters), self.inputs, VIEW, MOUNT, estimate)
        self.stamp_ns = START
        for name in ("camera_info", "depth/camera_info"):
            if name in self.inputs.received:
                self.inputs.add(name, Rig.good_info(START))

    def see(self, pose: BodyPose | None = None, depth=True, **moved) -> bool:
        """Whether the next image was remembered."""
        self.stamp_ns += STEP_NS
        pose = pose or body(self.stamp_ns, **moved)
        self.inputs.add("body_pose", pose)
        self.feed.follow(pose)
        if depth and "depth/image" in self.inputs.received:
            self.inputs.add("depth/image", Rig.good_depth(self.stamp_ns))
        image = Rig.good_image(self.stamp_ns)
        self.inputs.add("image", image)
        return self.feed.take(image)


def test_a_keyframe_is_kept_where_the_head_has_moved_or_turned_or_time_has_passed():
    stream = Stream()
    assert [stream.see(x=0.06 * k) for k in range(11)] == [k in (0, 9) for k in range(11)]
    assert [stream.see(x=0.54, yaw=6.0 * k) for k in range(6)] == [k == 5 for k in range(6)]
    still = [stream.see(x=0.54, yaw=30.0) for _ in range(40)]
    assert still == [k in (19, 39) for k in range(40)]
    assert 1 < len(stream.feed.memory) <= 5


def test_what_is_remembered_is_where_it_was_seen():
    """A wall 2 m in front of the camera, seen from the mounted camera of a moved and turned body."""
    stream = Stream()
    stream.see(x=1.0, yaw=-90.0)  # the person looks along +x then
    xyz, rgb = stream.feed.memory.points()
    forward = np.array(MOUNT.rotation)[:, 2]  # in the head frame, which is the fixed frame's now
    positions, _ = Rig.standing()
    eye = positions[6] + [1.0, 0.0, 0.0] + np.array(MOUNT.translation)
    np.testing.assert_allclose((xyz - eye) @ forward, 2.0, atol=0.02)
    memory, frame_id, stamp_ns = stream.feed.snapshot()
    assert (len(memory), frame_id, stamp_ns) == (1, "map", stream.stamp_ns)
    cloud = BAG.point_cloud(xyz, rgb, stamp_ns, frame_id)
    assert [field.name for field in cloud.fields] == ["x", "y", "z", "rgb"]
    fields = {"names": ("xyz", "rgb"), "formats": ("(3,)<f4", "<u4"), "itemsize": cloud.point_step}
    read = np.frombuffer(cloud.data.tobytes(), fields)
    np.testing.assert_array_equal(read["xyz"], xyz)
    np.testing.assert_array_equal(np.stack([read["rgb"] >> 16, read["rgb"] >> 8 & 255, read["rgb"] & 255], 1), rgb)


def test_the_wearers_own_body_is_left_out():
    """Hands held before the eyes: the wall is remembered, what covers it is not."""
    stream = Stream()
    reaching = body(START + STEP_NS)
    positions, rotations = Rig.standing()
    head, forward = positions[6], rotations[6] @ np.array(MOUNT.rotation)[:, 2]
    for joint, reach in ((9, 0.25), (10, 0.5)):  # forearm and hand of the right arm
        place = reaching.poses[joint].position
        place.x, place.y, place.z = (head + reach * forward + [0.0, 0.0, 0.05]).tolist()
    stream.see(reaching)
    pose = np.asarray(MOUNT.camera_pose(head, rotations[6]))[None]
    seen = stream.feed.memory.render(VIEW, pose).visibility[0] > 0.0
    hidden = body_mask(VIEW, pose[0], np.array([(p.position.x, p.position.y, p.position.z) for p in reaching.poses]))
    assert 0.02 < hidden.mean() < 0.7
    assert not seen[hidden].any()
    assert seen[~hidden].all()


def test_nothing_is_known_long_after_the_last_view_or_in_another_frame():
    stream = Stream(memory_seconds=30.0)
    assert stream.feed.known_at(START, "map") is None
    stream.see()
    known = stream.feed.known_at(stream.stamp_ns + 20 * NS, "map")
    assert len(known) == 1
    known.clear()
    assert len(stream.feed.memory) == 1  # it was a copy
    assert stream.feed.known_at(stream.stamp_ns, "odom") is None
    assert stream.feed.known_at(stream.stamp_ns + 31 * NS, "map") is None


@pytest.mark.parametrize(
    ("pose", "reason"),
    [
        (lambda stamp: body(stamp, x=2.0), "the head jumped by 2.00 m and 0 degrees within 0.100 s"),
        (lambda stamp: body(stamp, yaw=170.0), "the head jumped by 0.00 m and 170 degrees"),
        (lambda stamp: body(stamp, frame_id="odom"), "frame changed from 'map' to 'odom'"),
        (lambda stamp: body(stamp - 60 * NS), "time went back by 59.90 s"),
    ],
    ids=["moved", "turned", "frame", "time"],
)
def test_a_pose_that_no_body_can_take_clears_the_memory(pose, reason):
    stream = Stream()
    assert stream.see()
    jumped = pose(stream.stamp_ns + STEP_NS)
    if "time" in reason:
        stream.stamp_ns -= 60 * NS
    assert stream.see(jumped)  # the first of the new map
    assert len(stream.feed.memory) == 1
    assert stream.feed.snapshot()[1] == jumped.header.frame_id
    assert (stream.feed.cleared, reason in stream.feed.cleared_because) == (1, True)


def test_fast_heads_late_poses_and_lost_tracking_clear_nothing():
    stream = Stream()
    assert stream.see()
    assert stream.see(x=0.7, yaw=60.0)  # 7 m/s and 10 rad/s
    stream.feed.follow(body(stream.stamp_ns - STEP_NS // 2, x=9.0))  # late
    stream.feed.follow(body(stream.stamp_ns + 1, x=9.0, tracked=False))
    broken = body(stream.stamp_ns + 2)
    broken.poses[6].position.x = float("nan")
    stream.feed.follow(broken)
    assert (stream.feed.cleared, len(stream.feed.memory)) == (0, 2)


def test_an_image_from_before_a_jump_is_not_remembered_after_it():
    stream = Stream()
    stream.see()
    late = Rig.good_image(stream.stamp_ns + STEP_NS)
    stream.feed.follow(body(stream.stamp_ns + STEP_NS + 1, x=5.0))
    for name, message in (("image", late), ("body_pose", body(stream.stamp_ns + STEP_NS))):
        stream.inputs.add(name, message)
    assert not stream.feed.take(late)
    assert len(stream.feed.memory) == 0


def test_an_image_that_cannot_be_remembered_is_not_decoded_thirty_times_a_second():
    stream, decoded = Stream(depth_source="topic"), []
    stream.inputs.reader = ObservationReader(
        ImagineParameters(depth_source="topic"), lambda message: decoded.append(message) or decode_image(message)
    )
    wrong = Rig.good_info(START)
    wrong.k[0] += 9.0
    stream.inputs.add("depth/camera_info", wrong)
    refused = 0
    for _ in range(11):
        try:
            assert not stream.see()
        except CalibrationError:
            refused += 1
    assert refused == len(decoded) == 3
    stream.inputs.add("depth/camera_info", Rig.good_info(START))
    assert [stream.see() for _ in range(6)].count(True) == 1


def test_the_memory_stays_within_its_bounds():
    def walked(**bounds) -> MemoryFeed:
        stream = Stream(**bounds)
        for k in range(12):
            stream.see(x=0.6 * k, yaw=8.0 * k)
        return stream.feed

    assert len(walked().memory) == 12
    near = walked(memory_range_m=2.5).memory
    assert 1 < len(near) <= 5
    assert len(walked(memory_seconds=0.5).memory) == 6
    assert walked(memory_megabytes=1).memory.max_bytes == 1_000_000


def test_depth_comes_from_the_source_that_the_parameter_names():
    asked = []

    def estimate(image, camera, pose, past, floor_z):
        asked.append((image.shape, camera, pose.shape, len(past), floor_z))
        return np.full((camera.height, camera.width), 1.5, np.float32)

    def points(stream: Stream) -> float:
        xyz, _ = stream.feed.memory.points()
        positions, _ = Rig.standing()
        return float(np.linalg.norm(xyz - positions[6], axis=1).min())

    model = Stream(estimate, depth_source="model")
    assert model.see()
    floor_z = float(Rig.standing()[0][:, 2].min())
    assert asked == [((32, 32, 3), VIEW, (4, 4), 0, pytest.approx(floor_z))]
    both = Stream(estimate)
    assert both.see()
    assert len(asked) == 1  # a depth image was there
    assert points(both) > points(model) + 0.3
    assert both.see(x=0.6, depth=False)  # within the tolerance of the one before
    assert both.see(x=1.2, depth=False)
    assert len(asked) == 2
    assert asked[1][3] == 2
    assert not Stream().see(depth=False)  # none at all
    with pytest.raises(ImageError, match="no depth image has arrived"):
        Stream(depth_source="topic").see(depth=False)


def wait(condition, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)  # between two looks at the condition


@pytest.fixture
def threaded():
    """A stream whose feed has its own thread."""
    stream, warnings = Stream(), []
    thread = MemoryThread(stream.feed, stream.inputs, warnings.append)
    thread.resume()

    def receive(*messages) -> None:
        for name, message in messages:
            stream.inputs.add(name, message)
            thread.receive(name, message)

    yield stream, thread, receive, warnings
    thread.stop()
    assert len(stream.feed.memory) == 0


def inputs_at(stamp_ns: int, x: float = 0.0):
    return (
        ("body_pose", body(stamp_ns, x)), ("depth/image", Rig.good_depth(stamp_ns)), ("image", Rig.good_image(stamp_ns))
    )  # fmt: skip


def test_an_image_waits_for_its_pose_and_depth(threaded):
    stream, _, receive, warnings = threaded
    pose, depth, image = inputs_at(START)
    receive(("depth/image", Rig.good_depth(START - STEP_NS)), image, depth)
    assert len(stream.feed.memory) == 0
    receive(pose)
    wait(lambda: len(stream.feed.memory) == 1)
    assert warnings == []


def test_a_slow_memory_drops_the_oldest_images_counts_them_and_never_holds_up_whoever_brings_them(threaded):
    stream, thread, receive, _ = threaded
    memory, entered, released = stream.feed.memory, threading.Event(), threading.Event()
    add = memory.add

    def slow(*arguments, **options):
        entered.set()
        assert released.wait(60.0)
        add(*arguments, **options)

    memory.add = slow
    receive(*inputs_at(START))
    wait(entered.is_set)
    begin = time.monotonic()
    for k in range(1, QUEUE + 4):
        receive(*inputs_at(START + k * STEP_NS, 0.6 * k))
    assert thread.values()["memory dropped images"] == 3
    thread.clear("asked to")  # while an image is being added
    assert time.monotonic() - begin < 30.0
    released.set()
    receive(*inputs_at(START + 20 * STEP_NS))
    wait(lambda: len(stream.feed.memory) == 1)
    assert stream.feed.snapshot()[2] == START + 20 * STEP_NS  # what came before was forgotten, that being added too


def test_what_cannot_be_remembered_is_said_once_and_the_thread_goes_on(threaded):
    stream, thread, receive, warnings = threaded
    for k in range(3):
        receive(*inputs_at(START + k * STEP_NS)[:2], ("image", Rig.good_image(START + k * STEP_NS)))
    wait(lambda: len(stream.feed.memory) == 1)
    wrong = Rig.good_info(START)
    wrong.k[0] += 9.0
    receive(("depth/camera_info", wrong))
    for k in range(10, 13):
        receive(*inputs_at(START + k * STEP_NS, 0.6 * k - 5.4))
    wait(lambda: warnings)
    assert "depth/camera_info differs from camera_info by up to 9.00 pixels" in thread.values()["memory refusal"]
    receive(("depth/camera_info", Rig.good_info(START)), *inputs_at(START + 20 * STEP_NS, 2.4))
    wait(lambda: stream.feed.snapshot()[2] == START + 20 * STEP_NS)
    assert thread.values()["memory refusal"] == ""
    assert len(warnings) == 1


def test_a_paused_thread_remembers_nothing(threaded):
    stream, thread, receive, _ = threaded
    thread.pause("the node was deactivated")
    receive(*inputs_at(START))
    thread.resume()
    receive(*inputs_at(START + STEP_NS))
    wait(lambda: len(stream.feed.memory) == 1)
    assert stream.feed.snapshot()[2] == START + STEP_NS
    thread.pause("the node was deactivated")
    assert (len(stream.feed.memory), stream.feed.cleared_because) == (0, "the node was deactivated")
