"""Depth images beside the image: which belongs to it, which are refused and why, and what the model's view shows."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from egotwin_model.errors import CalibrationError, ImageError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.io.images import decode_image
from egotwin_ros.error_codes import Code, error_code
from egotwin_ros.errors import NoDepthError
from egotwin_ros.input_topics import topics_for
from egotwin_ros.inputs import InputBuffer
from egotwin_ros.messages import ROS
from egotwin_ros.parameters import ImagineParameters

from .conftest import CAMERA, Rig, depth_message

pytestmark = pytest.mark.ros
START = 1_700_000_000_000_000_000
MS = 1_000_000
VIEW = Pinhole.from_fov(64, 64, np.radians(80))


def buffer(source: str = "topic", rgb: np.ndarray | None = None, **parameters) -> InputBuffer:
    """With an image (a random one unless given), its camera_info and body pose."""
    made = InputBuffer(ImagineParameters(depth_source=source, **parameters), decode_image)
    made.add("camera_info", Rig.good_info(START))
    made.add("body_pose", Rig.good_pose(START))
    made.add("image", ROS.image(Rig.good_rgb() if rgb is None else rgb, START, "camera_optical"))
    return made


def show(made: InputBuffer, depth, info=None) -> None:
    made.add("depth/camera_info", info or Rig.good_info(START))
    made.add("depth/image", depth)


def observe(made: InputBuffer, **options):
    return made.observe(START, VIEW, Mount(), **options)


def test_depth_comes_with_the_image_in_the_models_view():
    made = buffer()
    show(made, Rig.good_depth(START, 2.5))
    observation = observe(made)
    assert (observation.depth.shape, observation.depth.dtype) == (observation.image.shape[:2], np.float32)
    np.testing.assert_allclose(observation.depth, 2.5, rtol=1e-6)
    assert observation.depth_refusal == ""


@pytest.mark.parametrize("angles", [(0, 0, 180), (10, -15, 25)], ids=["upside down", "tilted"])
def test_depth_is_turned_with_the_image_onto_the_models_axis(angles):
    """The camera sees a wall squarely; the model's camera sees the same wall at an angle, under the same colours."""
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()  # R_model_camera
    mount_rotation = Rotation.from_matrix(np.array(Mount().rotation) @ turn).as_quat()
    near = np.arange(CAMERA.width) < 40  # a step in colour and depth at one column
    depth = np.where(near, 1.0, 3.0).astype(np.float32) * np.ones((CAMERA.height, 1), np.float32)
    rgb = np.repeat(np.where(near, 255, 0).astype(np.uint8)[None, :, None], CAMERA.height, 0).repeat(3, 2)
    made = buffer(rgb=rgb, camera_mount_rotation=tuple(mount_rotation.tolist()))
    show(made, depth_message(depth, "32FC1", START))
    observation = observe(made)
    u, v = np.meshgrid(np.arange(VIEW.width), np.arange(VIEW.height))
    rays = np.stack([(u - VIEW.cx) / VIEW.fx, (v - VIEW.cy) / VIEW.fy, np.ones(u.shape)], -1)
    along = observation.depth * (rays @ turn)[..., 2]  # depth along the camera's own axis
    seen = observation.depth > 0.0
    assert seen.mean() > 0.8
    white = observation.image[..., 0] > 250
    black = seen & (observation.image[..., 0] < 5)
    assert min(white.mean(), black.mean()) > 0.1
    np.testing.assert_allclose(along[white], 1.0, rtol=1e-5)
    for wanted in np.unique(np.round(along[black], 4)):
        assert wanted == 3.0


def bad_depth(kind: str):
    """A depth image and camera_info with one fault."""
    depth, info = Rig.good_depth(START), Rig.good_info(START)
    if kind == "size":
        depth = depth_message(np.full((48, 48), 2.0, np.float32), "32FC1", START)
    elif kind == "encoding":
        depth.encoding = "mono16"
    elif kind == "unit":
        depth = Rig.good_depth(START, 2000.0)
    elif kind == "frame":
        depth.header.frame_id = "depth_optical"
    elif kind == "camera":
        info.k[0] += 7.0
    elif kind == "distortion":
        info.d[0] = 0.1
    elif kind == "uncalibrated":
        info.k = [0.0] * 9
    elif kind == "NaN":
        depth = Rig.good_depth(START, np.nan)
    elif kind == "beside":  # known in one corner alone, which the model's view does not show
        corner = np.zeros((CAMERA.height, CAMERA.width), np.uint16)
        corner[0, 0] = 2000
        depth = depth_message(corner, "16UC1", START)
    elif kind == "zero":
        depth = depth_message(np.zeros((CAMERA.height, CAMERA.width), np.uint16), "16UC1", START)
    return depth, info


FAULTS = {
    "size": (ImageError, r"shape \(48, 48\), the colour image \(96, 96\): register it"),
    "encoding": (ImageError, "'mono16'; wanted 16UC1"),
    "unit": (ImageError, "median of 2000 m: wanted millimetres as 16-bit integers or metres as floats"),
    "frame": (
        CalibrationError,
        "frame 'depth_optical', the image in 'camera_optical': publish depth that is registered",
    ),
    "camera": (CalibrationError, "differs from camera_info by up to 7.00 pixels"),
    "distortion": (CalibrationError, "has distortion plumb_bob"),
    "uncalibrated": (CalibrationError, "uncalibrated"),
    "NaN": (ImageError, "knows no depth at all, all of it is 0, NaN or infinite"),
    "zero": (ImageError, "knows no depth at all, all of it is 0, NaN or infinite"),
    "beside": (ImageError, "knows no depth in the model's view"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_depth_that_does_not_fit_is_refused_by_name_or_left_to_the_model_with_the_reason(fault):
    kind, says = FAULTS[fault]
    strict, lenient = buffer("topic"), buffer("auto")
    for made in (strict, lenient):
        show(made, *bad_depth(fault))
    with pytest.raises(kind, match=says) as refused:
        observe(strict)
    assert error_code(refused.value) in (Code.BAD_IMAGE, Code.BAD_CALIBRATION)
    observation = observe(lenient)
    assert observation.depth is None
    assert observation.depth_refusal == str(refused.value)


def test_depth_that_is_missing_late_or_without_intrinsics_is_refused_where_it_is_demanded():
    made = buffer()
    with pytest.raises(NoDepthError, match="no depth image has arrived"):
        observe(made)
    made.add("depth/image", Rig.good_depth(START - 500 * MS))
    with pytest.raises(
        NoDepthError, match=r"depth image nearest to an image is 0.500 s away .* sync_tolerance_s"
    ) as late:
        observe(made)
    assert error_code(late.value) == Code.NO_IMAGE
    made.add("depth/image", Rig.good_depth(START))
    with pytest.raises(CalibrationError, match="no depth/camera_info has arrived"):
        observe(made)
    lenient = buffer("auto")
    assert (observe(lenient).depth, observe(lenient).depth_refusal) == (None, "")
    lenient.add("depth/image", Rig.good_depth(START - 500 * MS))
    assert observe(lenient).depth is None


def test_an_image_whose_depth_has_come_goes_before_a_newer_one_but_not_for_long():
    made = buffer("auto")
    show(made, Rig.good_depth(START))
    for pose_and_image in (33, 66):
        made.add("body_pose", Rig.good_pose(START + pose_and_image * MS))
        made.add("image", Rig.good_image(START + pose_and_image * MS))
    assert observe(made).stamp_ns == START
    assert observe(made, not_before_ns=START + 1).stamp_ns == START + 66 * MS
    made.add("body_pose", Rig.good_pose(START + 300 * MS))
    made.add("image", Rig.good_image(START + 300 * MS))  # depth has stopped
    observation = observe(made)
    assert (observation.stamp_ns, observation.depth) == (START + 300 * MS, None)


def test_a_wait_for_an_image_waits_for_its_depth():
    made = buffer(max_wait_s=0.1)
    with pytest.raises(ImageError, match="no depth image"):
        made.wait(START, lambda: False)
    show(made, Rig.good_depth(START))
    made.wait(START, lambda: False)
    assert observe(made).depth is not None


def test_depth_topics_are_listened_to_where_the_parameter_says_so():
    names = {source: {topic.name for topic in topics_for(source)} for source in ("auto", "topic", "model", "none")}
    assert names["auto"] == names["topic"] == names["none"] | {"depth/image", "depth/camera_info"}
    assert names["model"] == names["none"] == set(buffer("none").received)
