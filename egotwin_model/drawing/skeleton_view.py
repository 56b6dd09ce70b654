"""Bodies in a 3D view: capsules, a head with its gaze, the floor and the path, seen from behind and above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from egotwin_model.drawing.limbs import GHOST, MIDDLE, RIGHT, mix, side_colour
from egotwin_model.drawing.strokes import draw_disc, draw_line
from egotwin_model.geometry.camera import Pinhole, looking_at
from egotwin_model.geometry.skeleton import XSENS, Skeleton

Array = NDArray[np.float64]

BACKGROUND_TOP, BACKGROUND_BOTTOM = (24, 28, 38), (44, 50, 64)
FLOOR, GAZE = (70, 78, 96), (255, 214, 102)
NEAREST_M = 0.3  # what is closer to the camera is not drawn
FOLLOWING_POSES = 6.0  # standard deviation of the camera's smoothed path
HEAD_RADIUS_M = 0.105
OTHER_RADIUS_M = 0.02  # of a joint that the Xsens body lacks: fingers
_RADII_M = {"Pelvis": 0.09, "L5": 0.1, "L3": 0.1, "T12": 0.1, "T8": 0.1, "Neck": 0.06, "Head": 0.05}
_LIMB_RADII_M = {"Shoulder": 0.06, "UpperArm": 0.05, "Forearm": 0.042, "Hand": 0.035, "UpperLeg": 0.07} | {
    "LowerLeg": 0.062, "Foot": 0.045, "Toe": 0.04
}  # fmt: skip
# Apex and corners of the pyramid that shows where the head faces, in the head's frame from its centre.
_GAZE_M = np.array(
    [[0.05, 0.0, 0.0], *([0.42, y, z] for y, z in ((0.2, 0.04), (-0.2, 0.04), (-0.2, -0.22), (0.2, -0.22)))]
)


@dataclass(frozen=True)
class Body:
    """A body over time: positions (T, J, 3) m, rotations (T, J, 3, 3), z up; ``ghost`` draws it plain grey."""

    positions: Array
    rotations: Array
    ghost: bool = False
    skeleton: Skeleton = XSENS


class SkeletonView:
    """Draws bodies as seen by a camera that follows one of them, from behind its heading at the start.

    Args:
        size: side of the square images, pixels.
        followed: the body that the camera follows; its lowest joint at the start is the floor.
        others: bodies drawn beside it; each is left out after its last pose.
        distance_m: from the camera to the followed body.
    """

    def __init__(self, size: int, followed: Body, others: Sequence[Body] = (), distance_m: float = 3.4) -> None:
        self._camera = Pinhole.from_fov(size, size, np.radians(42.0))
        self._pen = size / 480  # widths of thin lines are given for this size
        self._bodies = [*others, followed]
        self._floor = float(followed.positions[0, :, 2].min())
        self._R = _view_rotation(followed.rotations[0, followed.skeleton.head_index])
        middle = np.array(followed.positions[:, followed.skeleton.root_index], np.float64)
        middle[:, 2] = self._floor + 0.85
        self._targets = _smoothed(middle, FOLLOWING_POSES)
        self._eyes = self._targets - distance_m * self._R[:, 2]
        shade = np.linspace(0.0, 1.0, size)[:, None, None]
        gradient = np.array(BACKGROUND_TOP) * (1 - shade) + np.array(BACKGROUND_BOTTOM) * shade
        self._background = np.broadcast_to(gradient, (size, size, 3)).astype(np.uint8)

    def draw(self, step: int) -> NDArray[np.uint8]:
        """The image (size, size, 3) RGB of one time step."""
        canvas = self._background.copy()
        self._draw_floor(canvas, step)
        present = [body for body in self._bodies if step < len(body.positions)]
        for body in present:
            self._draw_path(canvas, body, step)
        for body in present:
            self._draw_body(canvas, body, step)
        return canvas

    def project(self, points: Array, step: int) -> tuple[Array, Array]:
        """Pixels (..., 2) and depths (...) m of world points (..., 3) in the image of a time step."""
        optical = (points - self._eyes[min(step, len(self._eyes) - 1)]) @ self._R
        pixels, _ = self._camera.project(optical)
        return np.asarray(pixels), optical[..., 2]

    def _draw_floor(self, canvas: NDArray[np.uint8], step: int) -> None:
        """A grid of half metres around the followed body."""
        target = self._targets[min(step, len(self._targets) - 1)]
        centre, reach = np.round(target[:2] * 2) / 2, 3.0
        for offset in np.arange(-reach, reach + 0.25, 0.5):
            fade = 1.0 - 0.75 * abs(offset) / reach
            for ends in (((offset, -reach), (offset, reach)), ((-reach, offset), (reach, offset))):
                points = np.array([[*(centre + end), self._floor] for end in ends])
                line = points[0] + np.linspace(0, 1, 25)[:, None] * (points[1] - points[0])
                pixels, depth = self.project(line, step)
                draw_line(canvas, pixels[depth > NEAREST_M], mix(FLOOR, BACKGROUND_BOTTOM, fade), self._pen)

    def _draw_path(self, canvas: NDArray[np.uint8], body: Body, step: int) -> None:
        """The root joint's path on the floor: the past bright, the future faint."""
        ground = np.array(body.positions[:, body.skeleton.root_index], np.float64)
        ground[:, 2] = self._floor
        pixels, depth = self.project(ground, step)
        colour = GHOST if body.ghost else RIGHT
        draw_line(canvas, pixels[depth > NEAREST_M], mix(colour, BACKGROUND_BOTTOM, 0.35), 1.5 * self._pen)
        past = slice(0, step + 1)
        draw_line(canvas, pixels[past][depth[past] > NEAREST_M], colour, 2.5 * self._pen)

    def _draw_body(self, canvas: NDArray[np.uint8], body: Body, step: int) -> None:
        """Capsules and head, far ones first."""
        pixels, depth = self.project(body.positions[step], step)
        if (depth < NEAREST_M).any():
            return
        nearest = float(depth.min())
        for joint, parent in sorted(body.skeleton.bones, key=lambda bone: -depth[bone[0]]):
            ends, name = [parent, joint], body.skeleton.joint_names[joint]
            self._draw_bone(canvas, name, pixels[ends], depth[ends], nearest, body.ghost)
            if joint == body.skeleton.head_index:
                self._draw_head(canvas, body, step)

    def _draw_bone(
        self, canvas: NDArray[np.uint8], joint: str, ends: Array, depths: Array, nearest: float, ghost: bool
    ) -> None:
        radius = _radius(joint) * (0.6 if ghost else 1.0)
        width = 2 * radius * self._camera.fx / float(depths.mean())
        if ghost:
            draw_line(canvas, ends, GHOST, width)
            return
        light = float(np.clip(1.15 - 0.3 * (depths[1] - nearest), 0.75, 1.0))
        colour = mix(side_colour(joint), BACKGROUND_TOP, light)
        draw_line(canvas, ends, mix(colour, (0, 0, 0), 0.45), width + 2 * self._pen)
        draw_line(canvas, ends, colour, width)

    def _draw_head(self, canvas: NDArray[np.uint8], body: Body, step: int) -> None:
        """A ball, and the pyramid of what the head faces."""
        turn = body.rotations[step, body.skeleton.head_index]
        centre = body.positions[step, body.skeleton.head_index] + turn @ [0.02, 0.0, 0.09]
        at, depth = self.project(centre, step)
        radius = HEAD_RADIUS_M * self._camera.fx / float(depth)
        if body.ghost:
            draw_disc(canvas, at, 0.8 * radius, GHOST)
            return
        gaze, gaze_depth = self.project(centre + _GAZE_M @ turn.T, step)
        if (gaze_depth > NEAREST_M).all():
            for corner in (1, 2, 3, 4):
                draw_line(canvas, gaze[[0, corner]], GAZE, 1.2 * self._pen)
            draw_line(canvas, gaze[[1, 2, 3, 4, 1]], GAZE, 1.2 * self._pen)
        draw_disc(canvas, at, radius + self._pen, mix(MIDDLE, (0, 0, 0), 0.45))
        draw_disc(canvas, at, radius, MIDDLE)


def _view_rotation(head: Array) -> Array:
    """R_world_camera (optical axes as columns): along the head's heading, from its left side and above."""
    azimuth, elevation = np.arctan2(head[1, 0], head[0, 0]) - np.radians(24.0), np.radians(24.0)
    look = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), -np.sin(elevation)])
    return looking_at(-look, np.zeros(3))[:3, :3]


def _smoothed(path: Array, poses: float) -> Array:
    """A path (T, 3) after a Gaussian of this standard deviation along time."""
    taps = 2 * round(4 * poses) + 1
    return np.asarray(cv2.GaussianBlur(path, (1, taps), 1.0, sigmaY=poses, borderType=cv2.BORDER_REPLICATE))


def _radius(joint: str) -> float:
    return _RADII_M.get(joint) or _LIMB_RADII_M.get(joint[2:], OTHER_RADIUS_M)
