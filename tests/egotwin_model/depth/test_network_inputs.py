"""The depth network's inputs in a room whose truth is computed: the floor, and which plane of a sweep agrees."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from benchmarks.scene_memory import BoxRoom, furnished, pose_at
from egotwin_model.depth.network_inputs import (
    VIEW_CHANNELS,
    View,
    floor_depth,
    plane_sweep,
    view_channels,
    with_parallax,
)
from egotwin_model.depth.sizes import CELL, DepthConfig
from egotwin_model.geometry.camera import Pinhole, looking_at

CAMERA = Pinhole.from_fov(64, 64, np.pi / 2)
CONFIG = DepthConfig(size=64, planes=24, nearest_m=0.5, farthest_m=8.0)


def textured(room: BoxRoom, pose: NDArray[np.float64]) -> tuple[View, NDArray[np.float32]]:
    """A view of a room whose surfaces have a fine random texture, fixed to them, and its depth."""
    _, depth, _ = room.view(CAMERA, pose)
    u, v = np.meshgrid(np.arange(64), np.arange(64))
    rays = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones(u.shape)], -1)
    points = (depth[..., None] * rays) @ pose[:3, :3].T + pose[:3, 3]
    rng = np.random.default_rng(0)
    waves = rng.normal(size=(3, 3, 4)) * 6.0
    colours = np.sin(np.einsum("hwx,xcn->hwcn", points, waves) + rng.uniform(0, 6, (3, 4))).sum(-1)
    return View((127 + 30 * colours).clip(0, 255).astype(np.uint8), pose), depth


def test_the_floor_is_where_it_is() -> None:
    pose = looking_at(np.array([0.0, 0.0, 1.5]), np.array([3.0, 1.0, 0.5]))
    image, depth, _ = BoxRoom().view(CAMERA, pose)
    view = View(image, pose)
    floor = floor_depth(view, CAMERA)
    channels = dict(zip(VIEW_CHANNELS, view_channels(view, CAMERA), strict=True))
    shown = (np.abs(depth - floor) < 1e-3) & (floor > 0)
    assert shown.mean() > 0.2
    np.testing.assert_allclose(1.0 / channels["floor"][shown], depth[shown], rtol=1e-4)
    assert (channels["floor"][floor == 0] == 0).all()
    np.testing.assert_allclose(channels["height"], 1.5, rtol=1e-6)
    raised = View(image, pose.copy())
    raised.T_world_camera[2, 3] += 0.7
    np.testing.assert_allclose(floor_depth(raised, CAMERA, floor_z=0.7), floor, rtol=1e-5)


def test_the_plane_that_agrees_is_the_true_depth() -> None:
    room, now = BoxRoom(), pose_at((0.0, 0.0, 1.6), 0.2)
    view, depth = textured(room, now)
    past = []
    for step in ((-0.3, 0.2, 0.0), (0.25, -0.2, 0.1), (-0.1, -0.35, 0.0)):
        pose = now.copy()
        pose[:3, 3] += step
        past.append(textured(room, pose)[0])
    matches = plane_sweep(view, past, CAMERA, CONFIG)
    assert matches.shape == (CONFIG.planes + 1, 64 // CELL, 64 // CELL)
    assert matches.min() >= 0.0
    assert matches[:-1].max() <= 1.0
    best = CONFIG.plane_depths[matches[:-1].argmax(axis=0)]
    off = np.abs(np.log(best / depth[CELL // 2 :: CELL, CELL // 2 :: CELL]))
    assert np.median(off) < np.log(CONFIG.plane_depths[1] / CONFIG.plane_depths[0])


def test_without_parallax_or_past_nothing_is_claimed() -> None:
    view, _ = textured(BoxRoom(), pose_at((0.0, 0.0, 1.6), 0.2))
    assert not plane_sweep(view, [], CAMERA, CONFIG).any()
    turned = view.T_world_camera.copy()
    turned[:3, :3] = turned[:3, :3] @ Rotation.from_euler("y", 10, degrees=True).as_matrix()
    assert not plane_sweep(view, [textured(BoxRoom(), turned)[0]], CAMERA, CONFIG).any()


def test_what_an_earlier_view_did_not_show_does_not_agree() -> None:
    """Looking back: homographies map rays behind the earlier camera into its image, mirrored."""
    view, _ = textured(BoxRoom(), pose_at((0.0, 0.0, 1.6)))
    back = pose_at((0.5, 0.0, 1.6), np.pi)
    assert not plane_sweep(view, [textured(BoxRoom(), back)[0]], CAMERA, CONFIG).any()


def test_views_with_parallax_are_the_newest_that_are_apart_and_look_this_way() -> None:
    view = View(np.zeros((1, 1, 3), np.uint8), pose_at((0.0, 0.0, 1.6)))
    places = [(0.5, 0.0), (0.2, 0.0), (0.21, 0.0), (0.1, np.pi), (0.1, 0.3), (0.0, 0.1), (0.01, 0.0)]
    past = [View(view.image, pose_at((x, 0.0, 1.6), yaw)) for x, yaw in places]
    found = with_parallax(view, past, 5)
    assert [next(n for n, each in enumerate(past) if each is one) for one in found] == [0, 2, 4]
    assert all(one is other for one, other in zip(with_parallax(view, past, 2), found[1:], strict=True))
    assert with_parallax(view, [], 5) == []


@pytest.mark.parametrize("count", [1, 7])
def test_only_the_newest_views_are_compared(count: int) -> None:
    room, now = furnished(1), pose_at((0.0, 0.0, 1.6), 0.5)
    view, _ = textured(room, now)
    past = []
    for step in range(count):
        pose = now.copy()
        pose[:3, 3] += (0.05 * (count - step), 0.0, 0.0)
        past.append(textured(room, pose)[0])
    np.testing.assert_array_equal(plane_sweep(view, past, CAMERA, CONFIG), plane_sweep(view, past[-5:], CAMERA, CONFIG))
