"""Cameras: geometry by hand and against OpenCV's projection, rectification of synthetic images, refusals by name."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from egotwin_model.errors import CalibrationError, ImageError
from egotwin_model.geometry.camera import Pinhole, looking_at, rectify, rectify_depth
from egotwin_model.geometry.mount import Mount

MINI = Pinhole.from_fov(64, 64, math.pi / 2)
SOURCE_K = np.array([[300.0, 0.0, 319.5], [0.0, 305.0, 239.5], [0.0, 0.0, 1.0]])
MODELS = {
    "plumb_bob": [-0.28, 0.07, 0.0012, -0.0008, 0.01],
    "rational_polynomial": [0.3, -0.1, 0.001, 0.0005, 0.02, 0.6, -0.05, 0.01],
    "equidistant": [0.02, -0.01, 0.003, -0.001],
}


def test_field_of_view_and_scale() -> None:
    assert (MINI.fx, MINI.fy, MINI.cx, MINI.cy) == pytest.approx((32.0, 32.0, 31.5, 31.5))
    assert MINI.fov_x == pytest.approx(math.pi / 2)
    large = MINI.scaled(480, 480)
    assert (large.fx, large.cx, large.fov_x) == pytest.approx((240.0, 239.5, math.pi / 2))
    assert large.scaled(64, 64).cx == pytest.approx(MINI.cx)
    assert Pinhole.from_matrix(64, 64, MINI.matrix.ravel()) == MINI


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.1, 10))
def test_projection_is_opencvs(x: float, y: float, z: float) -> None:
    camera = Pinhole(640, 480, 300.0, 310.0, 311.0, 250.0)
    expected, _ = cv2.projectPoints(np.array([[x, y, z]]), np.zeros(3), np.zeros(3), camera.matrix, None)
    pixel, inside = camera.project(np.array([x, y, z]))
    np.testing.assert_allclose(pixel, expected.ravel(), atol=1e-6, rtol=1e-6)
    u, v = pixel
    assert bool(inside) == (-0.5 < u < 639.5 and -0.5 < v < 479.5)
    assert not camera.project(np.array([x, y, -z]))[1]


def test_default_mount_looks_forward_and_fifteen_degrees_down() -> None:
    head_position = np.array([1.0, 2.0, 1.5])
    left_turn = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    pose = Mount().camera_pose(head_position, left_turn)
    cos, sin = math.cos(math.radians(15)), math.sin(math.radians(15))
    np.testing.assert_allclose(pose[:3, 3], [1.0, 2.09, 1.57], atol=1e-12)  # forward is now +y
    np.testing.assert_allclose(pose[:3, 2], [0.0, cos, -sin], atol=1e-12)  # optical z: forward and down
    np.testing.assert_allclose(pose[:3, 0], [1.0, 0.0, 0.0], atol=1e-12)  # optical x: right, the world's +x
    np.testing.assert_allclose(pose[:3, 1], [0.0, -sin, -cos], atol=1e-12)  # optical y: down
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)


def test_mounts_compose_over_frames_compare_and_hash() -> None:
    rng = np.random.default_rng(0)
    rotations = Rotation.random(6, rng=rng).as_matrix().reshape(2, 3, 3, 3)
    positions = rng.normal(size=(2, 3, 3))
    mount = Mount.looking_forward((0.1, -0.02, 0.05), 0.3)
    head = np.tile(np.eye(4), (2, 3, 1, 1))
    head[..., :3, :3], head[..., :3, 3] = rotations, positions
    np.testing.assert_allclose(mount.camera_pose(positions, rotations), head @ mount.matrix, atol=1e-12)
    again = Mount.from_matrix(mount.matrix)
    assert again == mount
    assert len({again, mount}) == 1
    assert Mount.looking_forward(Mount().translation, math.radians(15)) == Mount()


def _draw(points: np.ndarray, model: str) -> np.ndarray:
    """A 640 x 480 image with a soft white dot where each 3D point falls, through the distortion `model`."""
    if model == "equidistant":
        pixels = cv2.fisheye.distortPoints(
            (points[None, :, :2] / points[None, :, 2:]), SOURCE_K, np.array(MODELS[model])
        )
    else:
        pixels, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), SOURCE_K, np.array(MODELS[model]))
    v, u = np.mgrid[0:480, 0:640]
    image = np.zeros((480, 640))
    for x, y in pixels.reshape(-1, 2):
        image += 255 * np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * 4.0**2))
    return np.repeat(image.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.mark.parametrize("model", list(MODELS))
@pytest.mark.parametrize("target", [Pinhole.from_fov(64, 64, math.radians(80)), Pinhole.from_fov(700, 500, 1.4)])
def test_rectified_points_are_where_the_pinhole_sees_them(model: str, target: Pinhole) -> None:
    for point in np.array([[0.0, 0.0, 1.0], [0.5, -0.3, 1.0], [-0.55, 0.4, 1.0], [0.3, 0.45, 1.0]]):
        view = rectify(_draw(point[None], model), SOURCE_K, MODELS[model], model, target)
        assert view.shape == (target.height, target.width, 3)
        weight = view[..., 0].astype(float)
        weight /= weight.sum()
        v, u = np.mgrid[0 : target.height, 0 : target.width]
        centre = np.array([(weight * u).sum(), (weight * v).sum()])
        expected, inside = target.project(point)
        assert inside
        np.testing.assert_allclose(centre, expected, atol=0.02 * target.fx / 8 + 0.1)


def test_a_pinhole_source_of_the_same_size_is_unchanged() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(rectify(image, MINI.matrix, [0.0] * 5, "plumb_bob", MINI), image)
    np.testing.assert_array_equal(rectify(image, MINI.matrix, [], "plumb_bob", MINI), image)


def test_shrinking_averages_areas() -> None:
    image = np.random.default_rng(0).integers(0, 256, (640, 640, 3), dtype=np.uint8)
    view = rectify(image, MINI.scaled(640, 640).matrix, [], "plumb_bob", MINI)
    means = image.reshape(64, 10, 64, 10, 3).mean(axis=(1, 3))
    assert np.abs(view.astype(float) - means).max() <= 1.0


def test_beyond_the_source_is_black() -> None:
    image = np.full((64, 64, 3), 255, dtype=np.uint8)
    narrow = Pinhole.from_fov(64, 64, math.radians(45))
    view = rectify(image, narrow.matrix, [], "plumb_bob", MINI)
    seen = 32 * math.tan(math.radians(22.5))
    columns = np.abs(np.arange(64) - 31.5)
    assert (view[32, columns < seen - 1] == 255).all()
    assert (view[32, columns > seen + 1] == 0).all()


def test_distortion_that_folds_back_does_not_mirror_the_image() -> None:
    """r (1 - 0.5 r^2) turns at r = 0.816: beyond, the polynomial would come back into the image."""
    image = np.full((64, 64, 3), 255, dtype=np.uint8)
    wide = Pinhole.from_fov(64, 64, math.radians(120))
    view = rectify(image, MINI.matrix, [-0.5, 0.0, 0.0, 0.0, 0.0], "plumb_bob", wide)
    radius = np.hypot(*np.meshgrid((np.arange(64) - 31.5) / wide.fx, (np.arange(64) - 31.5) / wide.fy))
    assert (view[radius < 0.7] == 255).all()
    assert (view[radius > 0.95] == 0).all()


def test_a_rotation_turns_the_view() -> None:
    """A camera lying on its side (rolled by 90 degrees about its optical axis) is brought upright."""
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    roll = Rotation.from_euler("z", 90, degrees=True).as_matrix()  # source x becomes the target's y
    view = rectify(image, MINI.matrix, [], "plumb_bob", MINI, rotation=roll)
    np.testing.assert_array_equal(view, np.rot90(image, -1))


def test_depth_of_a_tilted_plane_is_along_the_targets_own_axis() -> None:
    """A plane seen by a distorted camera, and by a pinhole that looks elsewhere from the same place."""
    target = Pinhole.from_fov(48, 40, math.radians(50))
    turn = Rotation.from_euler("xyz", [12, -18, 30], degrees=True).as_matrix()  # R_target_source
    normal, offset = np.array([0.2, -0.1, 1.0]), 3.0
    rays = np.ones((480, 640, 3))
    pixels = np.stack(np.meshgrid(np.arange(640.0), np.arange(480.0)), -1).reshape(1, -1, 2)
    k1 = [-0.1, 0.0, 0.0, 0.0, 0.0]
    rays[..., :2] = cv2.undistortPoints(pixels, SOURCE_K, np.array(k1)).reshape(480, 640, 2)
    depth = (offset / (rays @ normal)).astype(np.float32)
    depth[:, 320:330] = 0.0
    found = rectify_depth(depth, SOURCE_K, k1, "plumb_bob", target, turn)
    u, v = np.meshgrid(np.arange(48), np.arange(40))
    own = np.stack([(u - target.cx) / target.fx, (v - target.cy) / target.fy, np.ones(u.shape)], -1)
    expected = offset / (own @ (turn @ normal))
    known = found > 0.0
    assert 0.5 < known.mean() < 1.0
    np.testing.assert_allclose(found[known], expected[known], rtol=0.01)


def test_depth_of_the_same_pinhole_is_unchanged() -> None:
    depth = np.random.default_rng(0).uniform(0.5, 5.0, (64, 64)).astype(np.float32)
    np.testing.assert_array_equal(rectify_depth(depth, MINI.matrix, [], "plumb_bob", MINI), depth)
    narrow = Pinhole.from_fov(64, 64, math.radians(45))
    beyond = rectify_depth(depth, narrow.matrix, [], "plumb_bob", MINI)
    assert (beyond[:, :10] == 0.0).all()


@pytest.mark.parametrize(
    ("matrix", "distortion", "model", "says"),
    [
        (np.zeros((3, 3)), [], "plumb_bob", "fx = 0.*uncalibrated"),
        (np.diag([-5.0, 5.0, 1.0]), [], "plumb_bob", "above zero"),
        (np.full((3, 3), np.nan), [], "plumb_bob", "NaN"),
        (np.eye(4), [], "plumb_bob", r"shape \(4, 4\)"),
        ([["a"] * 3] * 3, [], "plumb_bob", "not numbers"),
        ([[32, 1, 31], [0, 32, 31], [0, 0, 1]], [], "plumb_bob", "skew"),
        (MINI.matrix, [0.1, 0.2, 0.3], "plumb_bob", "3 distortion coefficients.*0 or 4 or 5"),
        (MINI.matrix, [0.1] * 5, "equidistant", "wanted 4"),
        (MINI.matrix, [0.1, np.inf, 0.0, 0.0], "plumb_bob", "infinity"),
        (MINI.matrix, [], "omnidirectional", "'omnidirectional'.*plumb_bob"),
    ],
)
def test_impossible_calibrations_are_refused_by_name(
    matrix: object, distortion: list[float], model: str, says: str
) -> None:
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    with pytest.raises(CalibrationError, match=says):
        rectify(image, matrix, distortion, model, MINI)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 4), (0, 64, 3)])
def test_impossible_images_are_refused_by_name(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="image"):
        rectify(np.zeros(shape, dtype=np.uint8), MINI.matrix, [], "plumb_bob", MINI)


def test_impossible_cameras_and_mounts_are_refused_by_name() -> None:
    with pytest.raises(CalibrationError, match="field of view"):
        Pinhole.from_fov(64, 64, math.pi)
    with pytest.raises(CalibrationError, match="size"):
        Pinhole(0, 64, 1.0, 1.0, 0.0, 0.0)
    with pytest.raises(CalibrationError, match="not a rotation"):
        Mount((0.0, 0.0, 0.0), np.diag([1.0, 1.0, -1.0]))  # type: ignore[arg-type]


@pytest.mark.parametrize("goal", [[3.0, 1.0, 0.2], [-2.0, 0.5, 4.0], [0.0, -5.0, 1.5]])
def test_a_camera_that_looks_at_a_point_is_level_and_sees_it_in_the_middle(goal: list[float]) -> None:
    place = np.array([0.0, 0.0, 1.5])
    pose = looking_at(place, np.array(goal))
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)
    assert abs(pose[2, 0]) < 1e-12  # right is horizontal
    assert pose[2, 1] < 0  # down is down
    pixel, inside = Pinhole.from_fov(65, 49, 1.0).project((np.array(goal) - pose[:3, 3]) @ pose[:3, :3])
    assert inside
    np.testing.assert_allclose(pixel, [32.0, 24.0], atol=1e-9)
