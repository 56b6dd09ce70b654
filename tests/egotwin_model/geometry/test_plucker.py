"""Plücker rays: one computed by hand, and what every ray must obey."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from egotwin_model.errors import CalibrationError, PoseError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.plucker import cell_directions, plucker_maps, plucker_rays

CAMERA = Pinhole(32, 16, fx=16.0, fy=16.0, cx=15.5, cy=7.5)


def path(frames: int, seed: int = 0) -> Tensor:
    """Random camera poses (frames, 4, 4)."""
    rng = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (frames, 1, 1))
    poses[:, :3, :3] = Rotation.random(frames, rng=rng).as_matrix()
    poses[:, :3, 3] = rng.normal(size=(frames, 3))
    return torch.from_numpy(poses)


def test_a_ray_computed_by_hand() -> None:
    """The camera moves 2 m along its x axis and turns 90° to the right (about its y axis, which points down)."""
    second = torch.eye(4, dtype=torch.float64)
    second[:3, :3] = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])  # its z is the first one's x
    second[:3, 3] = torch.tensor([2.0, 0.0, 0.0])
    rays = plucker_rays(CAMERA, torch.stack([torch.eye(4, dtype=torch.float64), second]), rows=2, columns=4)
    # Cell (0, 3) is 8 px wide and high: its centre is pixel (27.5, 3.5), 12 px right of and 4 px above the middle.
    x, y, z = 0.75, -0.25, 1.0
    length = math.sqrt(x * x + y * y + z * z)
    first = torch.tensor([0.0, 0.0, 0.0, x, y, z]) / torch.tensor([1.0, 1.0, 1.0, length, length, length])
    torch.testing.assert_close(rays[0, :, 0, 3], first)
    # The second looks along the first one's x: its x axis is -z there. o × d with o = (2, 0, 0) is (0, -2 d_z, 2 d_y).
    d = torch.tensor([z, y, -x]) / length
    torch.testing.assert_close(rays[1, :, 0, 3], torch.tensor([0.0, -2.0 * d[2], 2.0 * d[1], *d]))


def test_cells_are_where_the_pinhole_projects_their_directions() -> None:
    directions = cell_directions(CAMERA, 4, 8)
    pixels, inside = CAMERA.project(directions * 3.0)
    assert inside.all()
    np.testing.assert_allclose(pixels[..., 0], np.tile(np.arange(8) * 4 + 1.5, (4, 1)), atol=1e-9)
    np.testing.assert_allclose(pixels[..., 1], np.tile(np.arange(4)[:, None] * 4 + 1.5, (1, 8)), atol=1e-9)


def test_rays_do_not_depend_on_the_world_and_pass_through_their_points() -> None:
    poses = path(5)
    rays = plucker_rays(CAMERA, poses, 2, 4).double()
    elsewhere = path(1, seed=7)[0]
    torch.testing.assert_close(plucker_rays(CAMERA, elsewhere @ poses, 2, 4).double(), rays, atol=1e-6, rtol=0)
    moment, direction = rays[:, :3], rays[:, 3:]
    torch.testing.assert_close(direction.norm(dim=1), torch.ones(5, 2, 4, dtype=torch.float64), atol=1e-6, rtol=0)
    assert (moment * direction).sum(1).abs().max() < 1e-5
    # Every point p of a line has p × d = its moment: take one 3 m from each camera.
    relative = torch.linalg.inv(poses[:1]) @ poses
    points = relative[:, :3, 3, None, None] + 3.0 * direction
    torch.testing.assert_close(torch.cross(points, direction, dim=1), moment, atol=1e-5, rtol=0)


def test_a_latent_carries_the_rays_of_its_own_frames() -> None:
    poses = path(9).expand(2, 9, 4, 4)
    rays, maps = plucker_rays(CAMERA, poses, 2, 4), plucker_maps(CAMERA, poses, 2, 4)
    assert maps.shape == (2, 3, 24, 2, 4)
    blocks = maps.unflatten(2, (4, 6))
    for part in range(4):
        assert torch.equal(blocks[:, 0, part], rays[:, 0])
        assert torch.equal(blocks[:, 1, part], rays[:, 1 + part])
        assert torch.equal(blocks[:, 2, part], rays[:, 5 + part])


def test_a_heads_path_becomes_rays_through_the_mount() -> None:
    """The direction in the middle of a forward-looking camera is the head's x axis."""
    camera = Pinhole.from_fov(9, 9, math.pi / 2)
    heads = Rotation.from_euler("z", [[0.0], [90.0]], degrees=True).as_matrix()
    poses = Mount.looking_forward((0.0, 0.0, 0.0), 0.0).camera_pose(np.zeros((2, 3)), heads)
    middle = plucker_rays(camera, torch.from_numpy(poses), 3, 3)[:, 3:, 1, 1]
    # Turned left by 90 degrees, the camera looks along the first frame's −x (left).
    torch.testing.assert_close(middle, torch.tensor([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]]), atol=1e-6, rtol=0)


def test_what_does_not_fit_is_refused_by_name() -> None:
    with pytest.raises(PoseError, match=r"\(8, 4, 4\).*1 \+ 4k"):
        plucker_maps(CAMERA, path(8), 2, 2)
    with pytest.raises(PoseError, match=r"\(9, 3, 4\)"):
        plucker_rays(CAMERA, path(9)[:, :3], 2, 2)
    with pytest.raises(CalibrationError, match="0×2"):
        plucker_maps(CAMERA, path(9), 0, 2)


def test_numpy_poses_give_the_same_rays_as_tensors() -> None:
    poses = path(9)
    found = plucker_maps(CAMERA, poses.numpy(), 2, 4)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, plucker_maps(CAMERA, poses, 2, 4).numpy(), atol=1e-6)
