"""The wearer's own body in a head camera's image, against capsules by brute force."""

from __future__ import annotations

import numpy as np

from egotwin_model.geometry.body_mask import _squared_distances, body_mask
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.skeleton import XSENS_JOINTS

from ..bodies import standing

CAMERA = Pinhole.from_fov(64, 48, np.radians(90.0))
HEAD = XSENS_JOINTS.index("Head")


def test_distance_of_rays_and_segments_is_the_least_of_many_pairs() -> None:
    rng = np.random.default_rng(0)
    rays = rng.normal(size=(6, 3))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    start, end = rng.normal(size=(2, 9, 3))
    on_ray = rays[:, None] * np.linspace(0.0, 8.0, 1601)[None, :, None]
    on_bone = start[:, None] + np.linspace(0.0, 1.0, 201)[None, :, None] * (end - start)[:, None]
    found = np.sqrt(_squared_distances(rays, start, end))
    for ray, segment in np.ndindex(found.shape):
        apart = np.linalg.norm(on_ray[ray, :, None] - on_bone[segment, None], axis=-1).min()
        assert abs(found[ray, segment] - apart) < 0.01


def test_a_raised_hand_is_masked_where_it_is_seen() -> None:
    body, mount = standing(), Mount()
    positions = body.positions.copy()
    pose = mount.camera_pose(positions[HEAD], body.rotations[HEAD])
    ahead = body_mask(CAMERA, pose, positions)
    hand, elbow = (XSENS_JOINTS.index(f"R_{joint}") for joint in ("Hand", "Forearm"))
    drop = np.array([0.1, 0.3, -0.1])  # from the hand to the elbow
    point = np.array([0.1, 0.05, 0.5])  # in the optical frame: to the right, 0.5 m ahead
    positions[hand], positions[elbow] = ((pose @ [*place, 1.0])[:3] for place in (point, point + drop))
    raised = body_mask(CAMERA, pose, positions)
    column, row = CAMERA.project(point)[0].round().astype(int)
    assert raised[row, column]
    assert not ahead[row, column]
    assert not raised[:10].any()
    assert 0.005 < raised.mean() < 0.4


def test_whoever_looks_ahead_sees_nothing_of_the_trunk_and_whoever_looks_down_does() -> None:
    body = standing()
    ahead, down = (Mount.looking_forward((0.09, 0.0, 0.07), np.radians(pitch)) for pitch in (0.0, 70.0))
    masks = [
        body_mask(CAMERA, mount.camera_pose(body.positions[HEAD], body.rotations[HEAD]), body.positions)
        for mount in (ahead, down)
    ]
    assert masks[0][:24].sum() == 0
    assert masks[1].mean() > 0.05
