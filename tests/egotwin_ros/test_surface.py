"""What others rely on: error codes, parameters with description and range, the view of a recording."""

import dataclasses

import numpy as np
import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter

from egotwin_model import errors
from egotwin_model.errors import RecordingError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.io.bags import BagWriter, Topics
from egotwin_model.runtimes.registry import runtime_names
from egotwin_ros import bringup, error_codes, parameters
from egotwin_ros.action import Imagine
from egotwin_ros.conversions import nanoseconds
from egotwin_ros.error_codes import code_name, error_code, error_of
from egotwin_ros.input_topics import INPUT_TOPICS
from egotwin_ros.job import command
from egotwin_ros.job.recording import Recording
from egotwin_ros.match import newest_pair

pytestmark = pytest.mark.ros
CODES = [name for name in dir(Imagine.Result) if name.isupper() and name != "SLOT_TYPES"]
START = 1_700_000_000_000_000_000


def test_every_code_has_its_own_number_and_comes_back_as_an_error_of_that_code():
    numbers = [getattr(Imagine.Result, name) for name in CODES]
    assert sorted(numbers) == list(range(13))
    assert [code_name(number) for number in numbers] == CODES
    for name in set(CODES) - {"NONE"}:
        error = error_of(getattr(Imagine.Result, name), "because")
        assert code_name(error_code(error)) == name
        assert "because" in str(error)


def test_every_named_error_of_the_model_has_a_code_and_others_are_internal():
    named = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    unnamed = {kind for kind in named if error_code(kind("x")) == error_codes.Code.INTERNAL}
    assert unnamed == {errors.EgoTwinError}
    assert error_code(KeyError("x")) == error_codes.Code.INTERNAL


def test_every_parameter_is_declared_with_a_description_and_its_range_holds(ros):
    node = Node("declares")
    parameters.declare(node)
    for field in dataclasses.fields(parameters.ImagineParameters):
        descriptor = node.describe_parameter(field.name)
        assert len(descriptor.description) > 15
        ranged = bool(descriptor.integer_range or descriptor.floating_point_range)
        assert ranged == (type(field.default) in (int, float))
    (result,) = node.set_parameters([Parameter("num_steps", value=100_000)])
    assert not result.successful
    assert parameters.read(node).model_path.endswith("models/egotwin-mini")
    node.destroy_node()


def test_every_runtime_of_the_registry_is_described_where_users_choose_one():
    arguments = {argument.name: argument.description for argument in bringup.IMAGINE.arguments}
    texts = [parameters.description("runtime"), arguments["runtime"], command.parser().format_help()]
    for text in texts:
        assert not [name for name in runtime_names() if name not in text]


@pytest.fixture
def recording(tmp_path):
    with BagWriter(tmp_path / "walk.mcap") as bag:
        for step in range(17):
            stamp = START + step * 125_000_000
            camera = Pinhole.from_fov(8, 8, 1.5)
            bag.write_camera_info(Topics.camera_info, stamp, "camera", width=8, height=8, matrix=camera.matrix)
            if step <= 8:
                bag.write_image(Topics.image, stamp, "camera", np.full((8, 8, 3), step, np.uint8))
            positions = np.full((23, 3), float(step))
            positions[0] = np.nan if step == 10 else step
            bag.write_body_pose(stamp, "map", positions, np.tile(np.eye(3), (23, 1, 1)))
    with Recording(tmp_path / "walk.mcap") as opened:
        yield opened


def test_topics_of_depth_are_found_by_their_names_and_not_taken_for_the_cameras(tmp_path):
    camera = Pinhole.from_fov(8, 8, 1.5)
    with BagWriter(tmp_path / "rgbd.mcap") as bag:
        for prefix in ("/camera/depth", "/camera"):
            bag.write_image(f"{prefix}/image", START, "camera", np.zeros((8, 8, 3), np.uint8))
            bag.write_camera_info(f"{prefix}/camera_info", START, "camera", width=8, height=8, matrix=camera.matrix)
        bag.write_body_pose(START, "map", np.zeros((23, 3)), np.tile(np.eye(3), (23, 1, 1)))
    with Recording(tmp_path / "rgbd.mcap") as opened:
        assert opened.topics == {topic.name: topic.default for topic in INPUT_TOPICS}
    with Recording(tmp_path / "rgbd.mcap", {"image": "/camera/depth/image"}) as opened:
        assert opened.topics["image"] == "/camera/depth/image"
    with pytest.raises(RecordingError, match=r"wanted /no/depth of type sensor_msgs/msg/Image"):
        Recording(tmp_path / "rgbd.mcap", {"depth/image": "/no/depth"})


def test_the_motion_after_a_moment_starts_at_the_last_image_before_it(recording):
    source_ns = recording.source_ns(START + 1_070_000_000)
    assert source_ns == START + 1_000_000_000  # images at 1.0 s and, the last one, too
    motion = recording.continuation(source_ns)
    assert nanoseconds(motion.header.stamp) == START + 1_000_000_000
    times = [nanoseconds(point.time_from_start) for point in motion.points]
    assert times == [step * 125_000_000 for step in (0, 1, 3, 4, 5, 6, 7, 8)]  # the NaN pose is left out
    assert motion.points[0].poses[3].position.x == 8.0
    with pytest.raises(RecordingError, match="has 0 images and 8 body poses in the second before"):
        recording.source_ns(START + 2_100_000_000)
    with pytest.raises(RecordingError, match="no body poses after the moment"):
        recording.continuation(START + 2_000_000_000)


@pytest.mark.parametrize(
    ("images", "poses", "pair"),
    [
        ([0, 125, 250], [0, 60, 130], (1, 2)),  # the newest has no pose close to it
        ([250, 0, 125], [240, 251], (0, 1)),  # in any order
        ([0, 125], [300], None),
        ([], [0], None),
        ([0], [], None),
    ],
)
def test_the_newest_image_with_a_pose_close_to_it(images, poses, pair):
    stamps = [[START + 1_000_000 * milliseconds for milliseconds in kind] for kind in (images, poses)]
    assert newest_pair(*stamps, tolerance_s=0.1) == pair


def test_the_default_moment_leaves_room_before_and_if_it_can_after(recording):
    assert recording.default_moment_s(5.0) == 1.0
    assert recording.default_moment_s(0.5) == 1.5


def test_recorded_images_are_rectified_to_another_camera(recording):
    stamps, images = recording.view(Pinhole.from_fov(20, 20, 1.0), START + 250_000_000, START + 500_000_000)
    assert stamps.tolist() == [START + 250_000_000, START + 375_000_000]
    assert [image.shape for image in images] == [(20, 20, 3)] * 2
    assert [int(image[10, 10, 0]) for image in images] == [2, 3]
