"""A body drawn in 3D as a picture: capsules, a head with its gaze, the floor, the path; seen from behind and above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.skeleton import HEAD, PELVIS, XSENS_JOINTS, XSENS_PARENTS

Array = NDArray[np.float64]
Colour = tuple[int, int, int]

SUBPIXEL_BITS = 4  # cv2 draws with coordinates of 1/16 pixel
BACKGROUND_TOP, BACKGROUND_BOTTOM = (24, 28, 38), (44, 50, 64)
RIGHT, LEFT, MIDDLE, GHOST, FLOOR = (255, 140, 66), (82, 168, 255), (236, 239, 244), (120, 128, 145), (70, 78, 96)
HEAD_RADIUS_M = 0.105
_RADII_M = {"Pelvis": 0.09, "L5": 0.1, "L3": 0.1, "T12": 0.1, "T8": 0.1, "Neck": 0.06, "Head": 0.05}
_LIMB_RADII_M = {"Shoulder": 0.06, "UpperArm": 0.05, "Forearm": 0.042, "Hand": 0.035, "UpperLeg": 0.07} | {
    "LowerLeg": 0.062, "Foot": 0.045, "Toe": 0.04
}  # fmt: skip


@dataclass(frozen=True)
class Body:
    """Bodies over time to draw: positions (T, 23, 3) m, rotations (T, 23, 3, 3); ``ghost`` draws them plain grey."""

    positions: Array
    rotations: Array
    ghost: bool = False


class SkeletonView:
    """Draws bodies from a camera that follows the first one, looking along where its head faced at the start.

    Args:
        size: side of the square pictures, pixels.
        followed: the body the camera follows; its lowest joint at the start is the floor.
        others: bodies drawn beside it; a body shorter than the asked step stays away.
        distance_m: from the camera to the body.
    """

    def __init__(self, size: int, followed: Body, others: Sequence[Body] = (), distance_m: float = 3.4) -> None:
        self._size = size
        self._camera = Pinhole.from_fov(self._size, self._size, np.radians(42.0))
        self._bodies = [*others, followed]
        self._followed = followed
        self._floor = float(followed.positions[0, :, 2].min())
        forward = followed.rotations[0, HEAD, :2, 0]
        self._heading = float(np.arctan2(forward[1], forward[0]))
        self._distance = distance_m
        middle = followed.positions[:, PELVIS].copy()
        middle[:, 2] = self._floor + 0.85
        self._targets = gaussian_filter1d(middle, 6.0, axis=0, mode="nearest")
        shade = np.linspace(0.0, 1.0, self._size)[:, None, None]
        gradient = np.array(BACKGROUND_TOP) * (1 - shade) + np.array(BACKGROUND_BOTTOM) * shade
        self._background = np.broadcast_to(gradient, (self._size, self._size, 3)).astype(np.uint8)

    def draw(self, step: int) -> NDArray[np.uint8]:
        """The picture (size, size, 3) RGB of one time step."""
        canvas = self._background.copy()
        R, eye = self._pose(self._targets[min(step, len(self._targets) - 1)])
        self._draw_floor(canvas, R, eye, self._targets[min(step, len(self._targets) - 1)])
        for body in self._bodies:
            if step < len(body.positions):
                self._draw_trail(canvas, R, eye, body, step)
        for body in self._bodies:
            if step < len(body.positions):
                self._draw_body(canvas, R, eye, body, step)
        return canvas

    def _pose(self, target: Array) -> tuple[Array, Array]:
        """R_world_camera (optical axes as columns) and the camera's place."""
        azimuth, elevation = self._heading + np.radians(-24.0), np.radians(24.0)
        look = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), -np.sin(elevation)])
        right = np.cross(look, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(look, right), look], axis=1), target - self._distance * look

    def _project(self, points: Array, R: Array, eye: Array) -> tuple[Array, Array]:
        """Pixels (..., 2) and depths (...) of world points (..., 3)."""
        seen = (points - eye) @ R
        pixels, _ = self._camera.project(seen)
        return np.asarray(pixels), seen[..., 2]

    def _draw_floor(self, canvas: NDArray[np.uint8], R: Array, eye: Array, target: Array) -> None:
        """A grid of half metres around the target."""
        centre, reach = np.round(target[:2] * 2) / 2, 3.0
        steps = np.arange(-reach, reach + 0.25, 0.5)
        for offset in steps:
            fade = 1.0 - 0.75 * abs(offset) / reach
            for ends in (((offset, -reach), (offset, reach)), ((-reach, offset), (reach, offset))):
                points = np.array([[*(centre + end), self._floor] for end in ends])
                line = points[0] + np.linspace(0, 1, 25)[:, None] * (points[1] - points[0])
                pixels, depth = self._project(line, R, eye)
                self._polyline(canvas, pixels[depth > 0.3], _mix(FLOOR, BACKGROUND_BOTTOM, fade), 1.0)

    def _draw_trail(self, canvas: NDArray[np.uint8], R: Array, eye: Array, body: Body, step: int) -> None:
        """Where the pelvis has been and will be, on the floor."""
        ground = body.positions[:, PELVIS].copy()
        ground[:, 2] = self._floor
        pixels, depth = self._project(ground, R, eye)
        colour = GHOST if body.ghost else RIGHT
        self._polyline(canvas, pixels[depth > 0.3], _mix(colour, BACKGROUND_BOTTOM, 0.35), 1.5)
        self._polyline(canvas, pixels[: step + 1][depth[: step + 1] > 0.3], colour, 2.5)

    def _draw_body(self, canvas: NDArray[np.uint8], R: Array, eye: Array, body: Body, step: int) -> None:
        joints, head_turn = body.positions[step], body.rotations[step, HEAD]
        pixels, depth = self._project(joints, R, eye)
        if (depth < 0.3).any():
            return
        bones = sorted(range(1, len(XSENS_PARENTS)), key=lambda joint: -depth[joint])
        head = joints[HEAD] + 0.09 * head_turn[:, 2] + 0.02 * head_turn[:, 0]
        drawn_head = False
        for joint in bones:
            if not drawn_head and depth[joint] < depth[HEAD]:
                self._draw_head(canvas, R, eye, head, head_turn, body.ghost)
                drawn_head = True
            parent = XSENS_PARENTS[joint]
            radius = _radius(XSENS_JOINTS[joint]) * (0.6 if body.ghost else 1.0)
            width = 2 * radius * self._camera.fx / ((depth[joint] + depth[parent]) / 2)
            near = float(np.clip(1.15 - 0.3 * (depth[joint] - depth.min()), 0.75, 1.0))
            colour = GHOST if body.ghost else _mix(_colour(XSENS_JOINTS[joint]), BACKGROUND_TOP, near)
            ends = pixels[[parent, joint]]
            if not body.ghost:
                self._polyline(canvas, ends, _mix(colour, (0, 0, 0), 0.45), width + 2)
            self._polyline(canvas, ends, colour, width)
        if not drawn_head:
            self._draw_head(canvas, R, eye, head, head_turn, body.ghost)

    def _draw_head(
        self, canvas: NDArray[np.uint8], R: Array, eye: Array, centre: Array, turn: Array, ghost: bool
    ) -> None:
        corners = np.array([[0.42, y, z] for y, z in ((0.2, 0.04), (-0.2, 0.04), (-0.2, -0.22), (0.2, -0.22))])
        gaze, gaze_depth = self._project(centre + np.vstack([[0.05, 0.0, 0.0], corners]) @ turn.T, R, eye)
        at, depth = self._project(centre, R, eye)
        colour = GHOST if ghost else (255, 214, 102)
        if (gaze_depth > 0.3).all() and not ghost:
            for corner in (1, 2, 3, 4):
                self._polyline(canvas, gaze[[0, corner]], colour, 1.2)
            self._polyline(canvas, gaze[[1, 2, 3, 4, 1]], colour, 1.2)
        radius = HEAD_RADIUS_M * self._camera.fx / float(depth) * (0.8 if ghost else 1.0)
        x, y, r = (round(float(v) * (1 << SUBPIXEL_BITS)) for v in (*at, radius))
        if not ghost:
            rim = _mix(MIDDLE, (0, 0, 0), 0.45)
            cv2.circle(canvas, (x, y), r + (1 << SUBPIXEL_BITS), rim, -1, cv2.LINE_AA, SUBPIXEL_BITS)
        cv2.circle(canvas, (x, y), r, GHOST if ghost else MIDDLE, -1, cv2.LINE_AA, SUBPIXEL_BITS)

    def _polyline(self, canvas: NDArray[np.uint8], pixels: Array, colour: Colour, width: float) -> None:
        if len(pixels) < 2:
            return
        points = np.round(np.clip(pixels, -9_000, 9_000) * (1 << SUBPIXEL_BITS)).astype(np.int32)
        cv2.polylines(canvas, [points], False, colour, max(1, round(width)), cv2.LINE_AA, SUBPIXEL_BITS)


def _radius(joint: str) -> float:
    side = joint.startswith(("R_", "L_"))
    return _LIMB_RADII_M[joint[2:]] if side else _RADII_M[joint]


def _colour(joint: str) -> Colour:
    return RIGHT if joint.startswith("R_") else LEFT if joint.startswith("L_") else MIDDLE


def _mix(colour: Colour, other: Colour, share: float) -> Colour:
    """``share`` of the first colour, the rest of the second."""
    r, g, b = (round(share * a + (1 - share) * c) for a, c in zip(colour, other, strict=True))
    return r, g, b
