"""A body's bones drawn into the image of a camera that sees them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from egotwin_model.drawing.limbs import mix, side_colour
from egotwin_model.drawing.strokes import draw_line
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.skeleton import XSENS, Skeleton

NEAR_M = 0.12  # of the optical centre: nearer parts are the wearer's own head and neck, and would fill the view


def project_points(
    camera: Pinhole, T_world_camera: NDArray[np.floating], points: NDArray[np.floating]
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Pixels (..., 2) of world points (..., 3), and whether each is in front of the camera and inside its image."""
    return camera.project(_in_optical_frame(T_world_camera, points))


def draw_bones(
    image: NDArray[np.uint8],
    camera: Pinhole,
    T_world_camera: NDArray[np.floating],
    positions: NDArray[np.floating],
    width: float = 2.0,
    skeleton: Skeleton = XSENS,
) -> None:
    """Draws bones into an image in their sides' colours, near ones over far ones, with a dark rim around them all.

    Args:
        image: (H, W, 3) uint8 RGB, changed in place.
        camera: intrinsics of this image, at its size.
        T_world_camera: (4, 4) pose of the optical frame (z forward, x right, y down).
        positions: (J, 3) joints in the world, metres. Of a bone that passes the camera, the part in front is drawn.
        width: of the lines, pixels.
    """
    joints = _in_optical_frame(T_world_camera, positions)
    bones = [(joint, _in_front(joints[[parent, joint]])) for joint, parent in skeleton.bones]
    seen = [(joint, ends) for joint, ends in bones if ends is not None]
    seen.sort(key=lambda bone: -float(bone[1][:, 2].mean()))
    lines = [(camera.project(ends)[0], side_colour(skeleton.joint_names[joint])) for joint, ends in seen]
    for pixels, colour in lines:
        draw_line(image, pixels, mix(colour, (0, 0, 0), 0.3), 1.6 * width)
    for pixels, colour in lines:
        draw_line(image, pixels, colour, width)


def _in_optical_frame(T_world_camera: NDArray[np.floating], points: NDArray[np.floating]) -> NDArray[np.floating]:
    return (points - T_world_camera[:3, 3]) @ T_world_camera[:3, :3]


def _in_front(ends: NDArray[np.floating]) -> NDArray[np.floating] | None:
    """The part (2, 3) of a bone that is at least `NEAR_M` in front of the camera, or None."""
    depths = ends[:, 2]
    if depths.max() < NEAR_M:
        return None
    if depths.min() >= NEAR_M:
        return ends
    near, far = np.argsort(depths)
    share = (NEAR_M - depths[near]) / (depths[far] - depths[near])
    return np.stack([ends[near] + share * (ends[far] - ends[near]), ends[far]])
