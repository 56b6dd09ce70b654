"""Where an image of a head camera shows the wearer's own body, from the body's pose."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.skeleton import XSENS_JOINTS, XSENS_PARENTS

_RADII_M = {
    "L5": 0.14, "L3": 0.14, "T12": 0.14, "T8": 0.14, "Neck": 0.11, "Shoulder": 0.08, "UpperArm": 0.07,
    "Forearm": 0.06, "Hand": 0.05, "UpperLeg": 0.11, "LowerLeg": 0.09, "Foot": 0.07, "Toe": 0.06,
}  # fmt: skip
"""Of a capsule from a joint's parent to the joint, clothes included. Neck and head carry the camera: it does not see
them."""
_FINGERS_M, _PALM_RADIUS_M = 0.19, 0.055  # from the wrist on, as the forearm points; fingers are not in the pose


def body_mask(camera: Pinhole, T_world_camera: ArrayLike, positions: ArrayLike) -> NDArray[np.bool_]:
    """Pixels whose ray meets the wearer's body, approximated by capsules around the bones.

    The mask is one pixel wider than they are, as the edge of a body mixes with what is behind it.

    Args:
        camera: of the image.
        T_world_camera: (4, 4) of its optical frame.
        positions: (23, 3) joints of the Xsens body in the same world, metres.

    Returns:
        (H, W), True where the image shows the body.
    """
    pose = np.asarray(T_world_camera, dtype=np.float64)
    joints = (np.asarray(positions, dtype=np.float64) - pose[:3, 3]) @ pose[:3, :3]
    start, end, radius = _capsules(joints)
    rays = camera.rays()
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    met = (_squared_distances(rays.reshape(-1, 3), start, end) < radius**2).any(axis=1)
    wide = cv2.dilate(met.reshape(rays.shape[:2]).astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.asarray(wide, dtype=np.bool_)


def _capsules(
    joints: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Both ends (N, 3) of the body's capsules and their radii (N,)."""
    named = [(joint, _RADII_M.get(name.split("_")[-1])) for joint, name in enumerate(XSENS_JOINTS)]
    bones = [(XSENS_PARENTS[joint], joint, radius) for joint, radius in named if radius and XSENS_PARENTS[joint] >= 0]
    parents, children, radii = (list(column) for column in zip(*bones, strict=True))
    wrists, elbows = ([XSENS_JOINTS.index(f"{side}_{joint}") for side in "LR"] for joint in ("Hand", "Forearm"))
    along = joints[wrists] - joints[elbows]
    tips = joints[wrists] + _FINGERS_M * along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    start, end = np.concatenate([joints[parents], joints[wrists]]), np.concatenate([joints[children], tips])
    return start, end, np.array([*radii, _PALM_RADIUS_M, _PALM_RADIUS_M])


def _squared_distances(
    rays: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Between rays (P, 3) from the origin, unit vectors, and segments (N, 3) to (N, 3): (P, N)."""
    bone = end - start
    length, along_start = (bone**2).sum(axis=1), (bone * start).sum(axis=1)
    length = np.maximum(length, 1e-12)
    towards, onto = rays @ bone.T, rays @ start.T
    # where on the bone it is nearest to the ray's line; a ray that leaves the other way is nearest at its origin
    share = (towards * onto - along_start) / np.maximum(length - towards**2, 1e-12)
    share = np.clip(share, 0.0, 1.0)
    reach = onto + share * towards
    share = np.where(reach < 0.0, np.clip(-along_start / length, 0.0, 1.0), share)
    reach = np.maximum(onto + share * towards, 0.0)
    distance = (start**2).sum(axis=1) + share**2 * length + reach**2
    return np.asarray(distance + 2.0 * (share * along_start - reach * (onto + share * towards)))
