"""What a clip's first frame and its past let one know of its frames: views of a scene memory along the true path."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.prior import Prior
from egotwin_model.geometry.scene_memory import SceneMemory
from training.datasets.clips.cameras import pinhole_of

NEEDED = ("frames", "camera_pose", "intrinsics")
FIRST_DEPTH = ("first_depth", "depth")
"""The first frame's depth alone, or that of all frames; the former is preferred."""
PAST = ("past_frames", "past_depth", "past_camera_pose", "past_time")
BODIES = ("first_body", "past_body")

_TOLERANCE, _MOST_TOLERANCE = 0.05, 0.4  # of depth that is true, and of any: what `SceneMemory` takes ends at 0.5
_BUMPS = 5  # along each side of an image, of a depth error


def has_depth(names: Collection[str]) -> bool:
    """Whether clips with these arrays have depth, of their first frame at least."""
    return not set(FIRST_DEPTH).isdisjoint(names)


def prior_arrays(names: Iterable[str]) -> list[str]:
    """Those of a clip's arrays that `clip_prior` reads.

    Raises:
        RecordingError: there is no depth among them.
    """
    names = set(names)
    depth = next((name for name in FIRST_DEPTH if name in names), None)
    if depth is None:
        raise RecordingError(
            f"clips hold {sorted(names)}, none of {', '.join(FIRST_DEPTH)}, so no prior can be rendered; make them by "
            "`egotwin data world --keyframe-depth`"
        )
    past = PAST if set(PAST) <= names else ()
    bodies = [name for name in BODIES if name in names and (past or name != "past_body")]
    return [*NEEDED, depth, *past, *bodies]


def clip_prior(clip: Mapping[str, Any], error: float = 0.0, rng: np.random.Generator | None = None) -> Prior:
    """The views that a scene memory of a clip's past keyframes, if it has any, and its first frame gives of its frames.

    The wearer's own body is left out of the memory where the clip says which pixels show it. The first view is the
    first frame itself.

    Args:
        clip: the arrays of `prior_arrays` (`training.datasets.clips.shards`); frames (F, H, W, 3).
        error: standard deviation of the log of a smooth factor on each keyframe's depth, as of estimated depth.
        rng: of the error; by default one of seed 0.

    Returns:
        `Prior` of (F, H, W), with depth.

    Raises:
        RecordingError: the clip holds no depth.
    """
    names = prior_arrays(clip)
    rng = np.random.default_rng(0) if rng is None else rng
    memory, first = past_memory(clip, error, rng), np.asarray(clip["frames"][0])
    depth = np.asarray(clip["first_depth"] if "first_depth" in names else clip["depth"][0], np.float32)
    depth = _disturbed(depth[None], error, rng)[0]
    mask = clip["first_body"] if "first_body" in names else np.zeros(depth.shape, np.uint8)
    memory.add(first, depth, clip_camera(clip), clip["camera_pose"][0], 0.0, _ignored(mask))
    prior = memory.render(clip_camera(clip), clip["camera_pose"])
    assert prior.depth is not None
    prior.frames[0], prior.visibility[0], prior.depth[0] = first, 1.0, depth
    return prior


def past_memory(clip: Mapping[str, Any], error: float = 0.0, rng: np.random.Generator | None = None) -> SceneMemory:
    """A scene memory of a clip's past keyframes; empty where it has none. Arguments as of `clip_prior`."""
    memory = SceneMemory(max_age_s=np.inf, depth_tolerance=min(_TOLERANCE + error, _MOST_TOLERANCE))
    if not set(PAST) <= set(clip):
        return memory
    used = np.flatnonzero(np.isfinite(clip["past_time"]))
    depths = _disturbed(np.asarray(clip["past_depth"][used], np.float32), error, rng or np.random.default_rng(0))
    masks = clip["past_body"] if "past_body" in clip else np.zeros(clip["past_depth"].shape, np.uint8)
    for row, depth in zip(used, depths, strict=True):
        image, pose, stamp = (clip[name][row] for name in ("past_frames", "past_camera_pose", "past_time"))
        memory.add(image, depth, clip_camera(clip), pose, float(stamp), _ignored(masks[row]))
    return memory


def clip_camera(clip: Mapping[str, Any]) -> Pinhole:
    """The intrinsics of a clip's frames."""
    return pinhole_of(clip["frames"].shape[1:3], clip["intrinsics"])


def _disturbed(depths: NDArray[np.float32], error: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Depths (N, H, W) with a smooth error of that standard deviation of their logarithm."""
    count, height, width = depths.shape
    return depths if error == 0.0 else depths * np.exp(error * smooth_noise(count, height, width, rng))


def _ignored(body: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels (H, W) that are left out for the wearer's body, one more on each side: its edges mix with what is behind
    it."""
    return cv2.dilate(np.ascontiguousarray(body, np.uint8), np.ones((3, 3), np.uint8)).astype(bool)


def smooth_noise(count: int, height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Fields (count, height, width), unit normal in each pixel and alike over about a quarter of the image."""
    down, across = (_bumps(side) for side in (height, width))
    heights = rng.standard_normal((count, _BUMPS, _BUMPS))
    return np.asarray(down @ heights @ across.T, np.float32)


def _bumps(side: int) -> NDArray[np.float64]:
    """Gaussian bumps (side, _BUMPS) at equal distances over a row of pixels, of unit norm in every pixel."""
    pixels, centres = np.linspace(0.0, _BUMPS - 1.0, side), np.arange(_BUMPS)
    bumps = np.exp(-0.5 * (pixels[:, None] - centres) ** 2)
    return np.asarray(bumps / np.linalg.norm(bumps, axis=1, keepdims=True))
