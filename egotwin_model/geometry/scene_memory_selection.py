"""Which keyframes take part in which view."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.scene_memory_keyframe import Keyframe

_POINTS_PER_PIXEL = 4.0  # of a view, projected into it at most
_MOST_KEYFRAMES = 255  # what the kernel can number


def choose(keyframes: Sequence[Keyframe], camera: Pinhole, poses: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The keyframes with most points in each view, (F, K); no more than a view's pixels call for.

    Args:
        poses: T_world_camera (F, 4, 4).
    """
    most = _POINTS_PER_PIXEL * camera.width * camera.height
    if len(keyframes) <= _MOST_KEYFRAMES and sum(len(keyframe.leaders) for keyframe in keyframes) <= most:
        return np.ones((len(poses), len(keyframes)), bool)
    points = points_in_view(keyframes, camera, poses)
    order = np.argsort(-points, axis=1, kind="stable")
    descending = np.take_along_axis(points, order, axis=1)
    before = np.cumsum(descending, axis=1) - descending
    chosen = np.zeros(points.shape, bool)
    np.put_along_axis(chosen, order, before <= most, axis=1)
    chosen &= points > 0
    if len(keyframes) > _MOST_KEYFRAMES:
        chosen[:, np.argsort(-points.sum(axis=0), kind="stable")[_MOST_KEYFRAMES:]] = False
    return chosen


def points_in_view(keyframes: Sequence[Keyframe], camera: Pinhole, poses: NDArray[np.float64]) -> NDArray[np.intp]:
    """How many of every keyframe's leading points each camera may have in view, (F, K), by blocks of its image."""
    if not keyframes or not len(poses):
        return np.zeros((len(poses), len(keyframes)), np.intp)
    origin = poses[0, :3, 3]
    probes = [keyframe.probes for keyframe in keyframes]
    lengths = np.array([len(counts) for _, counts in probes])
    points = np.concatenate([points for points, _ in probes], axis=1)
    counts = np.concatenate([counts for _, counts in probes])
    shifts = np.array([keyframe.centre - origin for keyframe in keyframes]).T.astype(np.float32)
    points[:3] += np.repeat(shifts, lengths, axis=1) * points[3]
    reach = [math.sqrt(2.0) * keyframe.block / min(keyframe.camera.fx, keyframe.camera.fy) for keyframe in keyframes]
    reaches = np.repeat(np.array(reach, np.float32), lengths)  # of a block, for a point at depth 1
    starts = np.cumsum(lengths) - lengths
    found = np.empty((len(poses), len(keyframes)), np.intp)
    for i, pose in enumerate(poses):
        to_camera = np.concatenate([pose[:3, :3].T, -(pose[:3, :3].T @ (pose[:3, 3] - origin))[:, None]], 1)
        x, y, z = to_camera.astype(np.float32) @ points
        z += reaches
        inside = z > 0.0
        for place, focal, centre, size in (
            (x, camera.fx, camera.cx, camera.width),
            (y, camera.fy, camera.cy, camera.height),
        ):
            np.abs(place, out=place)
            place -= reaches
            inside &= place * np.float32(focal) <= z * np.float32(0.5 * size + abs(centre - 0.5 * (size - 1)))
        found[i] = np.add.reduceat(np.where(inside, counts, 0), starts)
    return found
