"""What a scene memory knows of the views along an imagined motion, and how a model's networks are told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import ImageError
from egotwin_model.geometry.body_mask import body_mask
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.prior import Prior
from egotwin_model.geometry.scene_memory import SceneMemory
from egotwin_model.geometry.skeleton import XSENS_JOINTS
from egotwin_model.motion.representation import BodyMotion

ESTIMATE_TOLERANCE = 0.15  # of estimated depth, as `SceneMemory` takes it
FARTHEST_M = 200.0  # a median depth beyond this is in another unit


@dataclass(frozen=True)
class SceneViews:
    """A scene as it is known when imagining begins.

    Attributes:
        memory: of the caller's world, with the given frame. camera, mount: of the imagined views.
        poses_per_frame: poses of a motion from one frame to the next.
        depth: of the given frame, float32 (H, W) m, 0 where unknown.
    """

    memory: SceneMemory
    camera: Pinhole
    mount: Mount
    poses_per_frame: int
    depth: NDArray[np.float32]

    def along(self, motion: BodyMotion) -> Prior:
        """The views of motions (S, T, …): `Prior` of (S, F, H, W), all rendered at once."""
        ratio = self.poses_per_frame
        return self._rendered(motion.head_positions[:, ::ratio], motion.head_rotations[:, ::ratio])

    def first_depth(self, motion: BodyMotion, *, is_given: bool) -> NDArray[np.float32]:
        """Depth of the first view of motions (S, T, …), (S, H, W), 0 where unknown.

        Args:
            is_given: whether that is the given frame, whose own depth then counts where it is known.
        """
        found = self._rendered(motion.head_positions[:, :1], motion.head_rotations[:, :1])
        assert found.depth is not None
        remembered = np.where(found.visibility[:, 0] > 0.0, found.depth[:, 0], 0.0).astype(np.float32)
        return np.where(self.depth > 0.0, self.depth, remembered) if is_given else remembered

    def _rendered(self, positions: Any, rotations: Any) -> Prior:
        poses = self.mount.camera_pose(np.asarray(positions, np.float64), np.asarray(rotations, np.float64))
        found = self.memory.render(self.camera, poses.reshape(-1, 4, 4))
        assert found.depth is not None
        clips = poses.shape[:2]
        return Prior(
            found.frames.reshape(*clips, *found.frames.shape[1:]),
            found.visibility.reshape(*clips, *found.visibility.shape[1:]),
            found.depth.reshape(*clips, *found.depth.shape[1:]),
        )


def remember(
    memory: SceneMemory | None,
    image: NDArray[np.uint8],
    depth: NDArray[np.float32],
    camera: Pinhole,
    T_world_camera: NDArray[np.float64],
    positions: NDArray[np.floating],
    joint_names: tuple[str, ...],
    *,
    estimated: bool,
) -> SceneMemory:
    """A copy of the memory (None: an empty one) with a view, without what it shows of its wearer.

    Args:
        depth: (H, W) m, 0 where unknown. positions: (J, 3) joints of the wearer, `joint_names`; of another body than
            the Xsens one nothing is left out.
        estimated: whether the depth is an estimate.
    """
    known = memory.copy() if memory is not None else SceneMemory()
    if estimated:
        known.depth_tolerance = max(known.depth_tolerance, ESTIMATE_TOLERANCE)
    body = body_mask(camera, T_world_camera, positions) if joint_names == XSENS_JOINTS else None
    known.add(image, depth, camera, T_world_camera, ignore=body)
    return known


def checked_depth(depth: NDArray[np.floating], camera: Pinhole) -> NDArray[np.float32]:
    """A caller's depth as float32 (H, W) m, 0 where it is unknown; it may be so everywhere.

    Raises:
        ImageError: another type or size, negative or infinite depth, or one that looks like another unit.
    """
    wanted = (camera.height, camera.width)
    if not isinstance(depth, np.ndarray) or not np.issubdtype(depth.dtype, np.floating) or depth.shape != wanted:
        came = f"{depth.dtype} {depth.shape}" if isinstance(depth, np.ndarray) else type(depth).__name__
        raise ImageError(
            f"depth is {came}; this model needs floating metres {wanted}, registered to the image "
            "(egotwin_model.depth.given reads the images of depth cameras)"
        )
    metres = np.where(np.isnan(depth), 0.0, depth).astype(np.float32)
    if (metres < 0.0).any() or np.isinf(metres).any():
        raise ImageError("depth holds negative or infinite values: mark unknown places by 0 or NaN")
    if (median := float(np.median(metres[metres > 0.0])) if metres.any() else 0.0) > FARTHEST_M:
        raise ImageError(f"depth has a median of {median:g} m; wanted metres: the unit seems to be another")
    return metres


def repeated_prior(prior: Prior, samples: int) -> Prior:
    """A prior (F, H, W) as `samples` equal ones (S, F, H, W)."""
    frames, visibility = prior.frames[None], np.asarray(prior.visibility, np.float32)[None]
    depth = None if prior.depth is None else np.repeat(prior.depth[None], samples, axis=0)
    return Prior(np.repeat(frames, samples, axis=0), np.repeat(visibility, samples, axis=0), depth)


def begun_with_frames(prior: Prior, frames: NDArray[np.uint8]) -> Prior:
    """A prior (S, F, H, W) whose first views are known: the given frames (S or 1, known, H, W, 3)."""
    known = frames.shape[1]
    views, visibility = np.array(prior.frames), np.array(prior.visibility, dtype=np.float32)
    views[:, :known], visibility[:, :known] = frames, 1.0
    return Prior(views, visibility, prior.depth)
