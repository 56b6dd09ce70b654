"""Bones in a camera's image: each at its pixels and in its side's colour, as far as it is in front of the camera."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from egotwin_model.drawing.limbs import LEFT, MIDDLE, RIGHT, side_colour
from egotwin_model.drawing.overlay import NEAR_M, draw_bones, project_points
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.skeleton import (
    XSENS_JOINTS,
    XSENS_PARENTS,
    Skeleton,
    forward_kinematics,
    reference_offsets,
)

JOINT = {name: index for index, name in enumerate(XSENS_JOINTS)}
T_POSE = forward_kinematics(np.array([0.0, 0.0, 0.93]), np.tile(np.eye(3), (23, 1, 1)), reference_offsets())
SIZE = 256
CAMERA = Pinhole.from_fov(SIZE, SIZE, np.radians(60))


def facing(distance_m: float) -> np.ndarray:
    """T_world_camera of a level camera in front of the body that looks back at it; its right is the body's left."""
    pose = np.eye(4)
    pose[:3, :3] = np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    pose[:3, 3] = distance_m, 0.0, 1.0
    return pose


def drawn(positions: np.ndarray, pose: np.ndarray, width: float = 2.0) -> np.ndarray:
    image = np.full((SIZE, SIZE, 3), 255, np.uint8)
    draw_bones(image, CAMERA, pose, positions, width)
    return image


def middle_of(bone: str, positions: np.ndarray, pose: np.ndarray) -> tuple[int, int]:
    """Row and column of a bone's middle; in perspective that is not the middle of its ends' pixels."""
    ends = positions[[XSENS_PARENTS[JOINT[bone]], JOINT[bone]]]
    (u, v), inside = project_points(CAMERA, pose, ends.mean(axis=0))
    assert inside
    return round(float(v)), round(float(u))


def test_a_joints_name_gives_its_side() -> None:
    assert len({LEFT, RIGHT, MIDDLE}) == 3
    assert {side_colour(name) for name in ("L_Hand", "left_wrist", "LeftArm")} == {LEFT}
    assert {side_colour(name) for name in ("R_Toe", "right_ankle")} == {RIGHT}
    assert {side_colour(name) for name in ("Head", "L5", "T12", "lower_back")} == {MIDDLE}  # L5 is a vertebra


@pytest.mark.parametrize("turn_deg", [0.0, 25.0, -140.0])
def test_limbs_land_where_they_are_projected_in_the_colour_of_their_side(turn_deg: float) -> None:
    positions = T_POSE @ Rotation.from_euler("z", turn_deg, degrees=True).as_matrix().T
    pose = facing(3.0)
    image = drawn(positions, pose)
    for limb in ("Forearm", "Hand", "LowerLeg"):
        for side, colour in (("L", LEFT), ("R", RIGHT)):
            row, column = middle_of(f"{side}_{limb}", positions, pose)
            assert (column > SIZE / 2) == ((side == "L") == (abs(turn_deg) < 90))  # facing us, left is on our right
            np.testing.assert_allclose(image[row, column], colour, atol=20)
    row, column = middle_of("T12", positions, pose)
    np.testing.assert_allclose(image[row, column], MIDDLE, atol=20)
    assert (image[:20] == 255).all()  # nothing above the head


def test_near_limbs_are_drawn_over_far_ones() -> None:
    pose = np.eye(4)  # to the body's left, looking along its shoulders: the right leg is behind the left one
    pose[:3, :3] = np.stack([[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0]], axis=1)
    pose[:3, 3] = 0.0, 3.0, 1.0
    row, column = middle_of("L_LowerLeg", T_POSE, pose)
    np.testing.assert_allclose(drawn(T_POSE, pose)[row, column], LEFT, atol=20)


def test_of_a_bone_that_passes_the_camera_only_the_part_in_front_is_drawn() -> None:
    """The camera at the left elbow's height sees the forearm from its near plane on, and nothing of what is behind."""
    elbow, hand = T_POSE[JOINT["L_Forearm"]], T_POSE[JOINT["L_Hand"]]
    pose = np.eye(4)
    pose[:3, :3] = np.stack([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]], axis=1)  # looks to the left, level
    pose[:3, 3] = elbow + np.array([0.0, 0.02, 0.03])  # beyond the elbow: the near plane cuts the forearm
    image = drawn(T_POSE, pose)
    for depth in (NEAR_M + 0.01, 0.2):
        (u, v), _ = project_points(CAMERA, pose, np.array([hand[0], pose[1, 3] + depth, hand[2]]))
        np.testing.assert_allclose(image[round(float(v)), round(float(u))], LEFT, atol=20)
    coloured = (image != 255).any(axis=-1)
    (_, top), _ = project_points(CAMERA, pose, hand)
    (_, bottom), _ = project_points(CAMERA, pose, np.array([hand[0], pose[1, 3] + NEAR_M, hand[2]]))
    rows = np.flatnonzero(coloured.any(axis=1))
    assert top - 4 <= rows.min()
    assert rows.max() <= bottom + 4
    pose[:3, 3] += [0.0, 1.0, 0.0]  # all of the body is behind
    assert (drawn(T_POSE, pose) == 255).all()


def test_other_skeletons_are_drawn_by_their_own_bones() -> None:
    arm = Skeleton(("root", "left_arm", "right_arm"), (-1, 0, 0), head="root")
    positions = np.array([[0.0, 0.0, 1.0], [0.0, 0.8, 1.0], [0.0, -0.8, 1.0]])
    image = np.full((SIZE, SIZE, 3), 255, np.uint8)
    draw_bones(image, CAMERA, facing(3.0), positions, skeleton=arm)
    for y, colour in ((0.4, LEFT), (-0.4, RIGHT)):
        (u, v), _ = project_points(CAMERA, facing(3.0), np.array([0.0, y, 1.0]))
        np.testing.assert_allclose(image[round(float(v)), round(float(u))], colour, atol=20)


def test_drawing_needs_no_torch() -> None:
    code = (
        "import sys, egotwin_model.drawing.overlay, egotwin_model.drawing.skeleton_view\n"
        "print(sorted({'torch', 'matplotlib', 'scipy'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
