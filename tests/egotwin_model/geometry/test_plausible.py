"""Bodies that no person on a floor can be are refused by name; postures of everyday life are not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from egotwin_model.errors import PoseError
from egotwin_model.geometry.plausible import check_body, check_motion
from egotwin_model.geometry.skeleton import XSENS_JOINTS, forward_kinematics, global_rotations, reference_offsets

JOINT = {name: index for index, name in enumerate(XSENS_JOINTS)}


def body(scale: float = 1.0, whole: tuple[float, float] = (0.0, 0.0), **bends: float) -> np.ndarray:
    """A T-pose with joints bent about y (degrees, positive = forward), turned as a whole by pitch and roll."""
    local = np.tile(np.eye(3), (23, 1, 1))
    local[0] = Rotation.from_euler("yx", whole, degrees=True).as_matrix()
    for name, angle in bends.items():
        for joint in [JOINT[name]] if name in JOINT else [JOINT[f"{s}_{name}"] for s in "LR"]:
            local[joint] = local[joint] @ Rotation.from_euler("y", angle, degrees=True).as_matrix()
    return forward_kinematics(np.array([0.0, 0.0, 0.93]), global_rotations(local), scale * reference_offsets())


@pytest.mark.parametrize(
    "posture",
    [
        body(),
        body(scale=0.75),
        body(scale=1.2),
        body(whole=(30.0, 20.0)),
        body(L5=40, L3=35, T12=30, T8=15),  # bent to pick something up
        body(UpperLeg=-110, LowerLeg=140),  # a deep crouch
        body(L5=50, L3=50, T12=30, UpperLeg=20),  # head below the pelvis
        body(LowerLeg=90),  # on the knees
    ],
)
def test_postures_of_everyday_life_pass(posture: np.ndarray) -> None:
    check_body(posture)


@pytest.mark.parametrize(
    ("posture", "reason"),
    [
        (body(whole=(90.0, 0.0)), "the body lies"),
        (body(whole=(-85.0, 0.0)), "the body lies"),
        (body(whole=(0.0, 90.0)), "the body lies"),
        (body(whole=(180.0, 0.0)), "upside down"),
        (body(whole=(0.0, 150.0)), "upside down"),
        (body(scale=100.0), "in metres"),
        (body(scale=0.01), "in metres"),
        (body(scale=2.0), r"2.91 m from ankle to head"),
        (body()[:, [0, 2, 1]], "the body lies"),  # a world with y up
    ],
)
def test_impossible_bodies_are_refused_by_name(posture: np.ndarray, reason: str) -> None:
    with pytest.raises(PoseError, match=reason):
        check_body(posture)


def test_a_body_that_jumps_is_refused() -> None:
    ahead = np.array([0.1, 0.0, 0.0])  # 1.6 m/s
    walk = body() + np.arange(20)[:, None, None] * ahead
    check_motion(walk, 16.0)
    check_motion(walk[:1], 16.0)
    walk[10:] += [2.0, 0.0, 0.0]
    with pytest.raises(PoseError, match="jumps: 34 m/s"):
        check_motion(walk, 16.0)
    with pytest.raises(PoseError, match="the body lies"):
        check_motion(np.stack([body(), body(whole=(90.0, 0.0))]), 16.0)
