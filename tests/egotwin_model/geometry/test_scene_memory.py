"""The scene memory: what is exact, what wins, what is dropped, what is refused; in rooms whose truth is computed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from benchmarks.scene_memory import BoxRoom, furnished, pose_at, walk
from egotwin_model.errors import CalibrationError, ImageError, PoseError
from egotwin_model.geometry import scene_memory_kernel
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.prior import Prior
from egotwin_model.geometry.scene_memory import SceneMemory

CAMERA = Pinhole.from_fov(64, 64, np.pi / 2)
WIDE = Pinhole(96, 64, fx=50.0, fy=52.0, cx=45.0, cy=33.0)
ROOM = furnished(1)
Array = NDArray[np.float64]


def remember(memory: SceneMemory, room: BoxRoom, pose: Array, stamp_s: float = 0.0, camera: Pinhole = CAMERA) -> None:
    image, depth, _ = room.view(camera, pose)
    memory.add(image, depth, camera, pose, stamp_s)


def noise(camera: Pinhole = CAMERA, seed: int = 0) -> NDArray[np.uint8]:
    """The hardest image to resample."""
    return np.random.default_rng(seed).integers(0, 256, (camera.height, camera.width, 3), dtype=np.uint8)


def turned(pose: Array, *degrees: float) -> Array:
    """The same place, turned about the camera's own axes."""
    result = pose.copy()
    result[:3, :3] = pose[:3, :3] @ Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    return result


def bilinear(image: NDArray[np.uint8], x: Array, y: Array) -> Array:
    """Image values at places inside it, in double precision."""
    x0 = np.clip(np.floor(x).astype(int), 0, image.shape[1] - 2)
    y0 = np.clip(np.floor(y).astype(int), 0, image.shape[0] - 2)
    a, b, values = (x - x0)[..., None], (y - y0)[..., None], image.astype(float)
    upper = values[y0, x0] * (1 - a) + values[y0, x0 + 1] * a
    return upper * (1 - b) + (values[y0 + 1, x0] * (1 - a) + values[y0 + 1, x0 + 1] * a) * b


def places_before(
    camera: Pinhole, now: Array, source: Pinhole, before: Array, depth: Array | float
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Where an earlier camera saw what each pixel sees now at a depth, and whether inside its image."""
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], -1)
    T_before_now = np.linalg.inv(before) @ now
    points = (rays * np.asarray(depth)[..., None]) @ T_before_now[:3, :3].T + T_before_now[:3, 3]
    x = source.fx * points[..., 0] / points[..., 2] + source.cx
    y = source.fy * points[..., 1] / points[..., 2] + source.cy
    inside = (points[..., 2] > 0) & (x >= 0) & (x <= source.width - 1) & (y >= 0) & (y <= source.height - 1)
    return x, y, inside


def is_box(frame: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where a frame of `two_colours` shows the (red) box."""
    return (frame[..., 0] > 200) & (frame[..., 2] < 60)


def is_wall(frame: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return (frame[..., 2] > 200) & (frame[..., 0] < 60)


BOX = BoxRoom(boxes=np.array([[(-0.4, -0.4, 0.9), (0.4, 0.4, 1.9)]]))


def two_colours(
    pose: Array, room: BoxRoom = BOX, camera: Pinhole = CAMERA
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A blue room with a red box in its middle."""
    _, depth, thing = room.view(camera, pose)
    return np.where(thing[..., None] > 0, np.uint8([255, 0, 0]), np.uint8([0, 0, 255])).astype(np.uint8), depth


@pytest.mark.parametrize("depth", ["known", "zero", "nan", "far"])
@pytest.mark.parametrize("degrees", [(0, 20, 0), (15, -30, 5), (0, 0, 90), (-25, 10, -40)])
def test_a_pure_rotation_is_the_bilinear_homography(depth: str, degrees: tuple[float, ...]) -> None:
    before = pose_at((0.3, -0.2, 1.6), 0.4, 0.2)
    image, true_depth = noise(WIDE), ROOM.view(WIDE, before)[1]
    known = {"known": true_depth, "zero": 0 * true_depth, "nan": np.nan * true_depth, "far": 100 * true_depth}
    memory = SceneMemory()
    memory.add(image, known[depth], WIDE, before)
    now = turned(before, *degrees)
    prior = memory.render(WIDE, now[None])
    x, y, inside = places_before(WIDE, now, WIDE, before, 1.0)
    assert inside.mean() > 0.25
    assert (prior.visibility[0][inside] == 1.0).all()
    error = np.abs(prior.frames[0].astype(float) - bilinear(image, x, y))[inside]
    assert error.max() <= 1.0
    outside = (x < -0.51) | (x > WIDE.width - 0.49) | (y < -0.51) | (y > WIDE.height - 0.49)
    assert (prior.visibility[0][outside] == 0.0).all(), "nothing was seen there"


@pytest.mark.parametrize("camera", [CAMERA, WIDE])
def test_the_view_that_was_added_is_rendered_exactly(camera: Pinhole) -> None:
    memory, poses = SceneMemory(), walk(12)
    for i, pose in enumerate(poses):
        image, depth = noise(camera, i), ROOM.view(camera, pose)[1]
        if i == 7:
            depth = np.where(noise(camera)[..., 0] < 128, depth, np.nan).astype(np.float32)
        memory.add(image, depth, camera, pose, i / 2)
        prior = memory.render(camera, pose[None])
        assert np.array_equal(prior.frames[0], image)
        assert (prior.visibility == 1.0).all()
        known = np.isfinite(depth)
        assert prior.depth is not None
        np.testing.assert_allclose(prior.depth[0][known], depth[known], rtol=1e-4)


def test_a_walk_through_a_room_looks_like_the_room() -> None:
    """Two rounds at 2 Hz are remembered; the third goes between their places."""
    memory, poses = SceneMemory(), walk(120)
    for i, pose in enumerate(poses):
        remember(memory, ROOM, pose, i / 2)
    between = walk(601)[[13, 207, 333, 481, 555]]
    prior = memory.render(CAMERA, between)
    assert prior.frames.shape == (5, 64, 64, 3)
    assert prior.frames.dtype == np.uint8
    assert prior.visibility.shape == (5, 64, 64)
    assert prior.visibility.dtype == np.float32
    assert prior.depth is not None
    assert prior.depth.dtype == np.float32
    for k, pose in enumerate(between):
        image, depth, _ = ROOM.view(CAMERA, pose)
        seen = prior.visibility[k] > 0.5
        assert seen.mean() > 0.97
        error = np.abs(prior.frames[k].astype(float) - image)[seen]
        assert np.median(error) < 2
        assert 10 * np.log10(255**2 / (error**2).mean()) > 27.0
        assert np.median(np.abs(prior.depth[k] / depth - 1)[seen]) < 0.003


@pytest.mark.parametrize("zoom", [1.5, 2.0, 5.0, 12.0])
@pytest.mark.parametrize("slant", [0.0, 0.6])
def test_no_cracks_open_on_the_way_to_a_wall(zoom: float, slant: float) -> None:
    wall, distance = 4.0, 3.0
    before = pose_at((wall - distance, 0.0, 1.3), slant)
    image, depth, _ = ROOM_OF_WALLS.view(CAMERA, before)
    memory = SceneMemory()
    memory.add(image, depth, CAMERA, before)
    # Along the optical axis to 1/zoom of the way, with a little sway, as one walks.
    along = distance / np.cos(slant) * (1 - 1 / zoom)
    now = turned(pose_at(before[:3, 3] + along * before[:3, 2] + (0, 0.02, 0.01), slant), 1.0, 2.0, 3.0)
    prior = memory.render(CAMERA, now[None])
    true_depth = ROOM_OF_WALLS.view(CAMERA, now)[1]
    x, y, inside = places_before(CAMERA, now, CAMERA, before, true_depth)
    visible = inside & (np.abs(ROOM_OF_WALLS.view(CAMERA, now)[2]) == 0)
    assert visible.mean() > 0.9
    assert (prior.visibility[0][visible] == 1.0).all()
    assert np.abs(prior.frames[0].astype(float) - bilinear(image, x, y))[visible].max() <= 2.0
    assert prior.depth is not None
    np.testing.assert_allclose(prior.depth[0][visible], true_depth[visible], rtol=0.01)


ROOM_OF_WALLS = BoxRoom(low=(-50, -50, -50), high=(4.0, 50, 50))


@pytest.mark.parametrize("angle", np.arange(0, 360, 30))
@pytest.mark.parametrize("sides", [1, 4])
def test_a_near_box_hides_the_far_wall_from_any_side(angle: int, sides: int) -> None:
    """With one keyframe the box's back is unknown, but its front still hides what is beyond it."""
    memory = SceneMemory()
    for i in range(sides):
        a = 2 * np.pi * i / sides
        pose = pose_at((-2.0 * np.cos(a), -2.0 * np.sin(a), 1.5), a)
        memory.add(*two_colours(pose), CAMERA, pose, float(i))
    a = np.radians(angle)
    now = pose_at((-1.6 * np.cos(a), -1.6 * np.sin(a), 1.5), a)
    prior, (truth, _) = memory.render(CAMERA, now[None]), two_colours(now)
    seen, box = prior.visibility[0] > 0.5, is_box(truth)
    inner = box & np.roll(box, 2, 0) & np.roll(box, -2, 0) & np.roll(box, 2, 1) & np.roll(box, -2, 1)
    if sides == 4:
        assert prior.visibility[0][inner].min() >= 0.5
    assert not (is_wall(prior.frames[0]) & seen)[inner].any()
    if sides == 1 and 120 <= angle <= 240:
        assert not seen[inner].any(), "what colour the back has is not known"
    assert not (is_box(prior.frames[0]) & seen & ~np.asarray(grown(box))).any(), "the box is nowhere else"


def grown(mask: NDArray[np.bool_], pixels: int = 2) -> NDArray[np.bool_]:
    for _ in range(pixels):
        mask = mask | np.roll(mask, 1, 0) | np.roll(mask, -1, 0)
        mask = mask | np.roll(mask, 1, 1) | np.roll(mask, -1, 1)
    return mask


def test_what_a_box_hid_is_seen_where_another_keyframe_saw_it() -> None:
    memory = SceneMemory()
    first, second = pose_at((-2.0, 0.0, 1.5)), pose_at((-2.0, -2.0, 1.5), 0.3)
    for i, pose in enumerate((first, second)):
        memory.add(*two_colours(pose), CAMERA, pose, float(i))
    alone = SceneMemory()
    alone.add(*two_colours(first), CAMERA, first)
    now = pose_at((-2.0, -0.9, 1.5), 0.1)
    more, less = memory.render(CAMERA, now[None]), alone.render(CAMERA, now[None])
    assert more.visibility.mean() > less.visibility.mean() + 0.02
    truth, seen = two_colours(now)[0], more.visibility[0] > 0.5
    wrong = np.abs(more.frames[0].astype(int) - truth).max(-1) > 60
    assert (wrong & seen).mean() < 0.02


def test_the_newest_observation_wins() -> None:
    memory, poses = SceneMemory(), [pose_at((0.1 * i, 0.0, 1.5), 0.05 * i) for i in range(5)]
    for i, pose in enumerate(poses):
        repainted = BoxRoom(shade=float(i))
        image, depth, _ = repainted.view(CAMERA, pose)
        memory.add(image, depth, CAMERA, pose, float(i))
    now = pose_at((0.3, 0.05, 1.5), 0.1)
    prior, truth = memory.render(CAMERA, now[None]), BoxRoom(shade=4.0).view(CAMERA, now)[0]
    _, _, inside = places_before(CAMERA, now, CAMERA, poses[-1], BoxRoom().view(CAMERA, now)[1])
    assert inside.mean() > 0.8
    error = np.abs(prior.frames[0].astype(int) - truth)[inside]
    assert error.mean() < 2
    assert (error > 12).mean() < 0.005, "older paint differs by far more"


def test_what_is_seen_through_is_dropped() -> None:
    memory, pose = SceneMemory(), pose_at((-2.0, 0.0, 1.5))
    memory.add(*two_colours(pose), CAMERA, pose)
    now = pose_at((-1.9, 0.6, 1.5), -0.2)
    assert is_box(memory.render(CAMERA, now[None]).frames[0]).mean() > 0.05
    empty = BoxRoom()
    memory.add(*two_colours(now, empty), CAMERA, now, 1.0)
    for place in (now, pose, pose_at((-1.9, -0.6, 1.5), 0.2)):
        prior = memory.render(CAMERA, place[None])
        assert (is_box(prior.frames[0]) & (prior.visibility[0] > 0.5)).mean() < 0.002
    assert not (memory.points()[1][:, 0] > 200).any(), "nor is it in the cloud"


def test_what_was_hidden_stays() -> None:
    """A box appears before a wall that was seen; beside it the wall is still known."""
    memory, pose = SceneMemory(), pose_at((-2.0, 0.0, 1.5))
    memory.add(*two_colours(pose, BoxRoom()), CAMERA, pose)
    memory.add(*two_colours(pose), CAMERA, pose, 1.0)
    now = pose_at((-2.0, 0.8, 1.5), -0.1)
    prior, (truth, _) = memory.render(CAMERA, now[None]), two_colours(now)
    inside = places_before(CAMERA, now, CAMERA, pose, two_colours(now)[1])[2]
    assert is_wall(prior.frames[0])[is_wall(truth) & inside & ~grown(is_box(truth))].mean() > 0.99
    behind = is_wall(truth) & is_box(memory.render(CAMERA, pose[None]).frames[0])
    assert is_wall(prior.frames[0])[behind & ~grown(is_box(truth))].mean() > 0.98, "what the box hides in the newest"


@pytest.mark.parametrize("farther", [0.0, 0.04, -0.04, -0.2])
def test_depth_within_the_tolerance_is_the_same_surface(farther: float) -> None:
    memory, pose = SceneMemory(depth_tolerance=0.05), pose_at((0.0, 0.0, 1.5))
    depth = np.full((64, 64), 2.0, np.float32)
    red, blue = np.full((64, 64, 3), (250, 0, 0), np.uint8), np.full((64, 64, 3), (0, 0, 250), np.uint8)
    memory.add(red, depth, CAMERA, pose)
    memory.add(blue, depth * (1 + farther), CAMERA, pose, 1.0)
    hidden = farther == -0.2
    assert len(memory) == 1 + hidden, "a keyframe that shows nothing of its own is forgotten"
    assert (memory.points()[1][:, 0] > 200).any() == hidden
    assert (memory.render(CAMERA, pose[None]).frames[0, ..., 2] == 250).all()


def test_what_moved_fades_where_it_is_not_seen_again() -> None:
    """A box that reaches out of the new view is gone from it: what the view does not show of it is doubtful."""
    memory, pose = SceneMemory(), pose_at((-2.0, 0.0, 1.5))
    memory.add(*two_colours(pose), CAMERA, pose)
    aside = turned(pose, 0.0, 45.0, 0.0)  # half of the box is out of view
    before = memory.render(CAMERA, pose[None]).visibility[0]
    memory.add(*two_colours(aside, BoxRoom()), CAMERA, aside, 1.0)
    prior = memory.render(CAMERA, pose[None])
    box = is_box(two_colours(pose)[0])
    assert (before[box] == 1.0).all()
    left = box & is_box(prior.frames[0]) & (prior.visibility[0] > 0)
    columns = np.flatnonzero(left.any(axis=0))
    assert 5 < len(columns) < box.any(axis=0).sum()
    by_column = [float(prior.visibility[0][:, c][left[:, c]].mean()) for c in columns]
    assert by_column[0] == 1.0, "far from what is gone"
    assert by_column[-1] < 0.6, "next to it"


def test_the_wearers_own_body_is_left_out() -> None:
    memory, pose = SceneMemory(), pose_at((0.0, 0.0, 1.5), 0.3, 0.4)
    image, depth, _ = ROOM.view(CAMERA, pose)
    hand = np.zeros((64, 64), bool)
    hand[40:, 20:44] = True
    image, depth = image.copy(), depth.copy()
    image[hand], depth[hand] = (255, 0, 255), 0.3
    memory.add(image, depth, CAMERA, pose, 0.0, ignore=hand)
    prior = memory.render(CAMERA, pose[None])
    assert (prior.visibility[0][hand] == 0).all()
    assert np.array_equal(prior.frames[0][~hand], image[~hand])
    for place in (pose_at((0.1, 0.1, 1.4), 0.3, 0.4), pose_at((-0.5, 0.2, 1.5), 0.1, 0.3)):
        prior = memory.render(CAMERA, place[None])
        purple = (prior.frames[0] == (255, 0, 255)).all(-1)
        assert not (purple & (prior.visibility[0] > 0.5)).any()
    before = pose_at((-0.3, 0.1, 1.5), 0.3, 0.4)
    memory = SceneMemory()
    remember(memory, ROOM, before)
    memory.add(image, depth, CAMERA, pose, 1.0, ignore=hand)
    prior = memory.render(CAMERA, pose[None])
    assert prior.visibility[0][hand].mean() > 0.9, "what the hand hides was seen before"
    truth = ROOM.view(CAMERA, pose)[0]
    seen = hand & (prior.visibility[0] > 0.9)
    assert np.abs(prior.frames[0].astype(int) - truth)[seen].mean() < 4


def test_directions_without_depth_serve_the_same_place_and_fade_with_distance() -> None:
    memory, pose = SceneMemory(), pose_at((0.0, 0.0, 1.5))
    image = ROOM.view(CAMERA, pose)[0]
    memory.add(image, np.full((64, 64), np.nan, np.float32), CAMERA, pose)
    seen = []
    for away in (0.0, 0.05, 0.2, 0.5, 2.0):
        prior = memory.render(CAMERA, pose_at((0.0, away, 1.5))[None])
        seen.append(float(prior.visibility.max()))
        assert prior.depth is not None
        assert not prior.depth.any()
    assert seen[0] == seen[1] == 1.0
    assert seen == sorted(seen, reverse=True)
    assert 0.0 < seen[2] < 1.0
    assert seen[3] == seen[4] == 0.0
    assert len(memory.points()[0]) == 0


def test_depth_that_is_missing_is_taken_from_the_memory() -> None:
    memory, pose = SceneMemory(), pose_at((0.0, 0.0, 1.5))
    remember(memory, ROOM, pose)
    now = pose_at((0.1, 0.0, 1.5), 0.05)
    image, depth, _ = ROOM.view(CAMERA, now)
    memory.add(image, np.zeros_like(depth), CAMERA, now, 1.0)
    prior = memory.render(CAMERA, now[None])
    assert np.array_equal(prior.frames[0], image)
    assert prior.depth is not None
    known = prior.depth[0] > 0
    assert known.mean() > 0.8
    assert np.median(np.abs(prior.depth[0] / depth - 1)[known]) < 0.01


@pytest.mark.parametrize("shift", [(1e4, -1e4, 50.0), (3.0, 2.0, -1.0)])
def test_the_world_frame_does_not_matter(shift: tuple[float, float, float]) -> None:
    world = np.eye(4)
    world[:3, :3] = Rotation.from_euler("zyx", (130, 20, -50), degrees=True).as_matrix()
    world[:3, 3] = shift
    here, there = SceneMemory(), SceneMemory()
    for i, pose in enumerate(walk(10)):
        image, depth, _ = ROOM.view(CAMERA, pose)
        here.add(image, depth, CAMERA, pose, i / 2)
        there.add(image, depth, CAMERA, world @ pose, i / 2)
    path = walk(71)[[4, 19, 33]]
    one, other = here.render(CAMERA, path), there.render(CAMERA, world @ path)
    alike = np.abs(one.visibility - other.visibility) < 1e-3
    assert alike.mean() > 0.998
    both = alike & (one.visibility > 0)
    assert (np.abs(one.frames.astype(int) - other.frames)[both] <= 1).mean() > 0.998
    xyz, back = there.points()[0], (here.points()[0] @ world[:3, :3].T + world[:3, 3]).astype(np.float32)
    np.testing.assert_allclose(xyz, back, atol=5e-3)


def test_the_cloud_holds_the_rooms_surfaces() -> None:
    memory = SceneMemory()
    for i, pose in enumerate(walk(30)):
        remember(memory, ROOM, pose, i / 2)
    xyz, rgb = memory.points()
    assert xyz.dtype == np.float32
    assert rgb.dtype == np.uint8
    assert xyz.shape == rgb.shape
    assert len(xyz) > 4096
    solids = np.concatenate([[(ROOM.low, ROOM.high)], ROOM.boxes])
    outside = np.maximum(solids[:, None, 0] - xyz, xyz - solids[:, None, 1]).max(-1)  # > 0: outside of the box
    nearest = np.minimum(np.abs(outside[0]), np.abs(outside[1:]).min(0))
    assert np.quantile(nearest, 0.999) < 1e-3
    # Each surface once: not much more points than pixels of surface were ever seen.
    assert len(xyz) < 0.6 * 30 * 4096


def test_an_empty_memory_sees_nothing() -> None:
    prior = SceneMemory().render(CAMERA, walk(3))
    assert isinstance(prior, Prior)
    assert prior.frames.shape == (3, 64, 64, 3)
    assert not prior.visibility.any()
    assert prior.depth is not None
    assert not prior.depth.any()
    assert len(SceneMemory().points()[0]) == 0
    assert SceneMemory().nbytes == 0
    assert SceneMemory().render(CAMERA, np.zeros((0, 4, 4))).frames.shape == (0, 64, 64, 3)


def test_a_view_of_what_was_never_seen_is_empty() -> None:
    memory = SceneMemory()
    remember(memory, ROOM, pose_at((0, 0, 1.5)))
    assert not memory.render(CAMERA, pose_at((0, 0, 1.5), np.pi)[None]).visibility.any()


def test_copies_change_by_themselves_and_share_what_they_hold() -> None:
    memory, poses = SceneMemory(), walk(8)
    for i, pose in enumerate(poses[:4]):
        remember(memory, ROOM, pose, i / 2)
    before = memory.render(CAMERA, poses[:4])
    copy, size, held = memory.copy(), memory.nbytes, len(memory)
    for i, pose in enumerate(poses[4:]):
        remember(copy, BoxRoom(shade=1.0), pose, 2 + i / 2)
    assert (memory.nbytes, len(memory)) == (size, held)
    after = memory.render(CAMERA, poses[:4])
    assert np.array_equal(before.frames, after.frames)
    assert np.array_equal(before.visibility, after.visibility)
    copy.clear()
    assert (len(copy), copy.nbytes, len(memory)) == (0, 0, held)


def test_what_is_given_is_neither_kept_nor_changed() -> None:
    memory, pose = SceneMemory(), pose_at((0, 0, 1.5))
    image, depth, _ = ROOM.view(CAMERA, pose)
    given = image.copy(), depth.copy(), pose.copy()
    memory.add(*given[:2], CAMERA, given[2])
    for mine, original in zip(given, (image, depth, pose), strict=True):
        assert np.array_equal(mine, original)
        mine[:] = 0
    assert np.array_equal(memory.render(CAMERA, pose[None]).frames[0], image)


def test_rendering_is_deterministic_and_each_view_independent() -> None:
    memory, path = SceneMemory(), walk(41)
    for i, pose in enumerate(walk(20)):
        remember(memory, ROOM, pose, i / 2)
    one, again = memory.render(CAMERA, path), memory.render(CAMERA, path)
    assert np.array_equal(one.frames, again.frames)
    assert np.array_equal(one.visibility, again.visibility)
    alone = memory.render(CAMERA, path[17:18])
    assert (np.abs(alone.frames[0].astype(int) - one.frames[17]) <= 1).mean() > 0.995


def test_the_memory_never_outgrows_its_bytes_and_keeps_what_shows_most() -> None:
    size = SceneMemory()
    remember(size, ROOM, pose_at((0, 0, 1.5)))
    memory, poses = SceneMemory(max_bytes=int(5.5 * size.nbytes)), walk(40)
    for i, pose in enumerate(poses):
        remember(memory, ROOM, pose, i / 2)
        assert 0 < memory.nbytes <= memory.max_bytes
        prior = memory.render(CAMERA, pose[None])
        assert (prior.visibility == 1.0).all(), "the newest view is always kept"
    assert len(memory) == 5
    # Standing still adds nothing, so it pushes nothing out.
    known = memory.render(CAMERA, poses).visibility.mean()
    for i in range(30):
        remember(memory, ROOM, poses[-1], 30 + i / 2)
    assert memory.render(CAMERA, poses).visibility.mean() > known - 0.02
    with pytest.raises(ImageError, match="max_bytes"):
        remember(SceneMemory(max_bytes=1000), ROOM, poses[0])


def test_age_and_distance_bound_the_memory() -> None:
    old = SceneMemory(max_age_s=10.0)
    remember(old, ROOM, pose_at((0, 0, 1.5)), 0.0)
    remember(old, ROOM, pose_at((0, 0, 1.5), np.pi), 9.0)
    assert len(old) == 2
    remember(old, ROOM, pose_at((0, 0, 1.5), np.pi / 2), 10.5)
    assert len(old) == 2
    assert not old.render(CAMERA, pose_at((0, 0, 1.5))[None]).visibility[:, 20:40, 20:40].any()
    far = SceneMemory(range_m=3.0)
    remember(far, ROOM, pose_at((0, 0, 1.5)))
    depth = ROOM.view(CAMERA, pose_at((0, 0, 1.5)))[1]
    prior = far.render(CAMERA, pose_at((0, 0, 1.5))[None])
    assert prior.depth is not None
    assert np.array_equal(prior.depth[0] > 0, depth <= 3.0), "what is further has no depth"
    assert (prior.visibility == 1.0).all(), "but its direction is known"
    remember(far, ROOM, pose_at((-3.5, 0, 1.5), np.pi), 1.0)
    assert len(far) == 1


def test_a_wider_or_finer_camera_may_look() -> None:
    memory, pose = SceneMemory(), pose_at((0.0, 0.2, 1.5), 0.3)
    remember(memory, ROOM, pose)
    fine = CAMERA.scaled(160, 160)
    prior, truth = memory.render(fine, pose[None]), ROOM.view(fine, pose)[0]
    assert (prior.visibility[0, 4:-4, 4:-4] > 0.99).mean() > 0.99
    assert np.abs(prior.frames[0].astype(int) - truth)[4:-4, 4:-4].mean() < 3
    coarse = CAMERA.scaled(24, 24)
    prior = memory.render(coarse, pose[None])
    assert (prior.visibility == 1.0).all()
    wide = Pinhole.from_fov(96, 64, 2.0)
    seen = memory.render(wide, pose[None]).visibility[0]
    assert 0.3 < seen.mean() < 0.9


def edited(**changes: object) -> Callable[[], None]:
    def call() -> None:
        pose = pose_at((0, 0, 1.5))
        given: dict[str, object] = {
            "image": noise(), "depth": np.ones((64, 64), np.float32), "camera": CAMERA, "T_world_camera": pose,
        }  # fmt: skip
        SceneMemory().add(**{**given, **changes})  # type: ignore[arg-type]

    return call


SCALED, MIRRORED, UNTRACKED = np.diag([1.1, 1.1, 1.1, 1]), np.diag([1.0, 1, -1, 1]), np.full((4, 4), np.nan)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"image": noise().astype(float)}, ImageError, "image is float64"),
        ({"image": noise()[..., 0]}, ImageError, r"image has shape \(64, 64\)"),
        ({"image": None}, ImageError, "image is NoneType"),
        ({"image": noise(WIDE)}, CalibrationError, "image is 96x64, its camera 64x64"),
        ({"camera": WIDE}, CalibrationError, "image is 64x64, its camera 96x64"),
        ({"camera": None}, CalibrationError, "camera is NoneType"),
        ({"depth": np.ones((32, 32), np.float32)}, ImageError, r"depth has shape \(32, 32\)"),
        ({"depth": np.ones((64, 64, 1), np.float32)}, ImageError, "depth has shape"),
        ({"depth": np.ones((64, 64), np.uint16)}, ImageError, "depth is uint16"),
        ({"depth": np.full((64, 64), -1.0)}, ImageError, "negative or infinite"),
        ({"depth": np.full((64, 64), np.inf)}, ImageError, "negative or infinite"),
        ({"ignore": np.zeros((64, 64), np.uint8)}, ImageError, "ignore is uint8"),
        ({"ignore": np.zeros((32, 64), bool)}, ImageError, "ignore has shape"),
        ({"T_world_camera": SCALED}, PoseError, "not rigid"),
        ({"T_world_camera": MIRRORED}, PoseError, "not rigid"),
        ({"T_world_camera": UNTRACKED}, PoseError, "NaN"),
        ({"T_world_camera": np.eye(3)}, PoseError, "shape"),
        ({"T_world_camera": "here"}, PoseError, "not numbers"),
        ({"T_world_camera": np.eye(4) + np.eye(4)[[3, 0, 1, 2]]}, PoseError, "not rigid"),
        ({"stamp_s": float("nan")}, PoseError, "nan s"),
    ],
)
def test_bad_views_are_refused(changes: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        edited(**changes)()


def test_bad_settings_order_and_paths_are_refused() -> None:
    memory = SceneMemory()
    remember(memory, ROOM, pose_at((0, 0, 1.5)), 5.0)
    with pytest.raises(PoseError, match=r"view at 4\.0 s after one at 5\.0 s"):
        remember(memory, ROOM, pose_at((0, 0, 1.5)), 4.0)
    assert len(memory) == 1, "what is refused changes nothing"
    with pytest.raises(PoseError, match="shape"):
        memory.render(CAMERA, np.eye(4))
    with pytest.raises(PoseError, match="not rigid"):
        memory.render(CAMERA, SCALED[None])
    with pytest.raises(CalibrationError, match="camera is tuple"):
        memory.render((64, 64), np.eye(4)[None])  # type: ignore[arg-type]
    for setting in ({"max_bytes": 0}, {"max_age_s": -1.0}, {"range_m": 0.0}, {"depth_tolerance": 0.7}):
        with pytest.raises(ValueError, match=next(iter(setting))):
            SceneMemory(**setting)  # type: ignore[arg-type]


def test_the_kernel_is_compiled_where_it_was_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    built = scene_memory_kernel._compile()
    assert built.parent == tmp_path / "egotwin"
    assert scene_memory_kernel._compile() == built, "once"
    assert [path.name for path in built.parent.iterdir()] == [built.name], "nothing is left behind"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImportError, match="no C compiler"):
        scene_memory_kernel._compile()


def test_a_built_kernel_is_used_until_a_source_is_newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library beside the module, as pip and colcon install it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiled = scene_memory_kernel._compile()
    sources = shutil.copytree(scene_memory_kernel._SOURCES, tmp_path / "geometry/kernel")
    monkeypatch.setattr(scene_memory_kernel, "_SOURCES", sources)
    built = Path(shutil.copy(compiled, sources.with_name("_scene_memory.so")))
    scene_memory_kernel._library.cache_clear()
    assert scene_memory_kernel._library()._name == str(built)
    os.utime(sources / "kernel.h", (time.time() + 60, time.time() + 60))
    scene_memory_kernel._library.cache_clear()
    assert scene_memory_kernel._library()._name == str(compiled)
    scene_memory_kernel._library.cache_clear()
