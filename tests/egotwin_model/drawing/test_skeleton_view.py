"""The 3D view of bodies: sides keep their colours, the camera follows, ghosts are grey, the path is on the floor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from egotwin_model.drawing.limbs import GHOST, LEFT, MIDDLE, RIGHT
from egotwin_model.drawing.skeleton_view import Body, SkeletonView
from egotwin_model.geometry.skeleton import HEAD, PELVIS, XSENS_JOINTS, forward_kinematics, reference_offsets

SIZE = 320
JOINT = {name: index for index, name in enumerate(XSENS_JOINTS)}


def walker(poses: int = 33, speed: float = 0.1, yaw_deg: float = 0.0, at: tuple[float, float] = (0.0, 0.0)) -> Body:
    """A body in T-pose that glides `speed` metres a pose along its heading."""
    turn = Rotation.from_euler("z", yaw_deg, degrees=True).as_matrix()
    rotations = np.broadcast_to(turn, (poses, 23, 3, 3)).copy()
    pelvis = np.array([*at, 0.93]) + speed * np.arange(poses)[:, None] * turn[:, 0]
    return Body(forward_kinematics(pelvis, rotations, reference_offsets()), rotations)


def nearest_colour(pixel: np.ndarray) -> str:
    colours = {"left": LEFT, "right": RIGHT, "middle": MIDDLE, "ghost": GHOST}
    return min(colours, key=lambda name: float(np.abs(pixel.astype(int) - colours[name]).sum()))


def pixel(view: SkeletonView, image: np.ndarray, point: np.ndarray, step: int) -> np.ndarray:
    (u, v), depth = view.project(point, step)
    assert depth > 0
    return np.asarray(image[round(float(v)), round(float(u))])


@pytest.mark.parametrize("yaw_deg", [0.0, 130.0])
@pytest.mark.parametrize("step", [0, 20, 32])
def test_sides_keep_their_colours_wherever_the_body_walks(yaw_deg: float, step: int) -> None:
    body = walker(yaw_deg=yaw_deg, at=(3.0, -2.0))
    view = SkeletonView(SIZE, body)
    image = view.draw(step)
    assert image.shape == (SIZE, SIZE, 3)
    assert image.dtype == np.uint8
    joints = body.positions[step]
    for name, side in (("L_Hand", "left"), ("R_Hand", "right"), ("L_Foot", "left"), ("R_Foot", "right")):
        assert nearest_colour(pixel(view, image, joints[JOINT[name]], step)) == side
    head = joints[HEAD] + body.rotations[step, HEAD] @ [0.02, 0.0, 0.09]
    assert nearest_colour(pixel(view, image, head, step)) == "middle"
    (left, _), (right, _) = (view.project(joints[JOINT[name]], step)[0] for name in ("L_Hand", "R_Hand"))
    assert left < right  # seen from behind


def test_the_camera_follows_and_the_body_stays_in_the_image() -> None:
    body = walker(poses=81, speed=0.1)
    view = SkeletonView(SIZE, body)
    for step in (0, 40, 80):
        pixels, _ = view.project(body.positions[step], step)
        assert (pixels > 0).all()
        assert (pixels < SIZE).all()
        assert abs(pixels[PELVIS, 0] - SIZE / 2) < SIZE / 8
    assert not np.array_equal(view.draw(0), view.draw(40))


def test_a_ghost_is_grey_and_leaves_after_its_last_pose() -> None:
    body = walker(speed=0.0)
    ghost = replace(walker(poses=5, speed=0.0, at=(0.0, -0.9)), ghost=True)
    view, alone = SkeletonView(SIZE, body, [ghost]), SkeletonView(SIZE, body)
    image = view.draw(0)
    for joint in ("R_Foot", "L_LowerLeg", "T12"):
        point = ghost.positions[0, JOINT[joint]]
        np.testing.assert_array_equal(pixel(view, image, point, 0), GHOST)
        assert nearest_colour(pixel(alone, alone.draw(0), point, 0)) == "ghost"  # the background is the nearest to grey
    assert not np.array_equal(image, alone.draw(0))
    np.testing.assert_array_equal(view.draw(5), alone.draw(5))


def test_the_path_is_on_the_floor_bright_where_it_was_walked() -> None:
    body = walker(poses=81, speed=0.02)
    view = SkeletonView(SIZE, body)
    step = 50
    image = view.draw(step)

    def on_floor(pose: int) -> np.ndarray:
        return np.array([*body.positions[pose, PELVIS, :2], body.positions[0, :, 2].min()])

    walked = pixel(view, image, on_floor(30), step).astype(int)
    ahead = pixel(view, image, on_floor(80), step).astype(int)
    assert np.abs(walked - RIGHT).sum() < np.abs(ahead - RIGHT).sum()
    assert walked[0] > walked[2] + 60  # orange
    assert ahead[0] > ahead[2]


def test_sizes_show_the_same_view() -> None:
    body = walker()
    places, shares = [], []
    for size in (120, 480):
        view = SkeletonView(size, body)
        pixels, _ = view.project(body.positions[10], 10)
        places.append((pixels + 0.5) / size)
        distance = np.abs(view.draw(10).astype(int)[..., None, :] - np.array([LEFT, RIGHT, MIDDLE])).sum(axis=-1)
        shares.append((distance < 60).mean(axis=(0, 1)))
    np.testing.assert_allclose(places[0], places[1], atol=1e-9)
    assert (shares[1] > 0.01).all()
    np.testing.assert_allclose(shares[0], shares[1], rtol=0.35)
