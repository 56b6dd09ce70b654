"""Views of a clip with their poses and true depth: what depth estimation is trained and measured on.

A clip has depth of every frame (`depth`), or of its first frame and of keyframes before it (`first_depth`,
`past_depth`); the other frames then serve as further views of the same place. Which depth is the wearer's own body is
told by `first_body` and `past_body` where the clip has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.camera import Pinhole
from training.datasets.clips.cameras import pinhole_of
from training.datasets.clips.dataset import ClipSet
from training.datasets.clips.priors import has_depth


@dataclass(frozen=True)
class DepthViews:
    """The views of a clip in the order of time.

    Attributes:
        images: uint8 (N, H, W, 3). poses: float64 (N, 4, 4) T_world_camera, optical, floor at z = 0.
        times: (N,) seconds, rising; the clip's first frame is at 0.
        labels: (M, H, W) metres as stored, of the first M views. bodies: (M, H, W), above 0 on the wearer's own body.
        camera: of all views.
    """

    images: NDArray[np.uint8]
    poses: NDArray[np.float64]
    times: NDArray[np.float64]
    labels: NDArray[np.floating]
    bodies: NDArray[Any] | None
    camera: Pinhole

    @property
    def labelled(self) -> int:
        """How many views have depth: the first ones."""
        return len(self.labels)

    def depth(self, view: int) -> NDArray[np.float32]:
        """Depth of a labelled view, float32 (H, W) metres; 0 where it is unknown or of the wearer's body."""
        label = self.labels[view]
        known = np.isfinite(label) & (label > 0)
        if self.bodies is not None:
            known &= self.bodies[view] == 0
        return np.where(known, label, 0).astype(np.float32)


FURTHER_EVERY = 6  # of the frames after the first, where these have no depth
KEPT_BYTES = 2_500_000_000


class DepthClips:
    """Clips opened for their depth; the views of clips with keyframes are kept in memory, up to `KEPT_BYTES`.

    Decoding a clip costs more than training on one of its views.

    Raises:
        RecordingError: the clips have no depth.
    """

    def __init__(self, clips: ClipSet) -> None:
        self.clips = clips
        self.names = frozenset(clips[0]) if len(clips) else frozenset()
        if not has_depth(self.names):
            raise RecordingError(
                f"{clips.folder} has no depth; make the clips with `egotwin data world --keyframe-depth`, with --past "
                "for earlier views"
            )
        self._kept: dict[int, DepthViews] = {}
        self._room = KEPT_BYTES

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, clip: int) -> DepthViews:
        """The views of a clip: all frames where they have depth, else keyframes, the first and some further frames."""
        if clip in self._kept:
            return self._kept[clip]
        views = self._views(clip)
        if "depth" not in self.names and self._room >= views.images.nbytes + views.labels.nbytes:
            self._room -= views.images.nbytes + views.labels.nbytes
            self._kept[clip] = views
        return views

    def _views(self, clip: int) -> DepthViews:
        frames, poses = self._read("frames", clip), self._read("camera_pose", clip).astype(np.float64)
        times = np.arange(len(frames)) / self.clips.manifest.frame_rate
        camera = pinhole_of(frames.shape[1:3], self._read("intrinsics", clip))
        if "depth" in self.names:
            return DepthViews(frames, poses, times, self._read("depth", clip), None, camera)
        frames, poses, times = frames[::FURTHER_EVERY].copy(), poses[::FURTHER_EVERY], times[::FURTHER_EVERY]
        labels, bodies = self._read("first_depth", clip)[None], self._body("first_body", clip)
        bodies = None if bodies is None else bodies[None]
        if "past_frames" in self.names:
            past_times = self._read("past_time", clip).astype(np.float64)
            used = np.isfinite(past_times)
            frames = np.concatenate([self._read("past_frames", clip)[used], frames])
            poses = np.concatenate([self._read("past_camera_pose", clip)[used].astype(np.float64), poses])
            times = np.concatenate([past_times[used], times])
            labels = np.concatenate([self._read("past_depth", clip)[used], labels])
            past_bodies = self._body("past_body", clip)
            bodies = None if bodies is None or past_bodies is None else np.concatenate([past_bodies[used], bodies])
        return DepthViews(frames, poses, times, labels, bodies, camera)

    def _read(self, name: str, clip: int) -> NDArray[Any]:
        return self.clips.tensor(name, clip)

    def _body(self, name: str, clip: int) -> NDArray[Any] | None:
        return self._read(name, clip) if name in self.names else None
