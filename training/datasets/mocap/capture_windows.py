"""Windows of motion capture for training: any number of different ones from a few minutes of recordings.

Most recordings are shorter than a clip. A window begins anywhere in one and goes on with others: each is turned and
moved to where the one before ends, and blended into it. Windows are mirrored, played at other speeds and rescaled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.rotations import rotation_z
from egotwin_model.geometry.skeleton import XSENS_JOINTS, forward_kinematics
from egotwin_model.motion.rotation_6d import matrix_from_6d, matrix_to_6d
from training.datasets.mocap.captured_motion import JOINT, CapturedMotion

Array = NDArray[np.float64]

SPEEDS, SCALES = (0.7, 1.4), (0.85, 1.12)
_BLEND_S, _LEAST_S = 0.5, 1.0  # of a join; of a recording that is used
_OTHER_SIDE = np.array(
    [JOINT[("L" if n[0] == "R" else "R") + n[1:]] if n[1] == "_" else JOINT[n] for n in XSENS_JOINTS]
)
_MIRROR = np.diag([1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class CaptureWindows:
    """Draws windows of `poses` poses at `rate_hz` from motions of the Xsens body.

    Raises:
        RecordingError: no motion is longer than a second.
    """

    motions: tuple[CapturedMotion, ...]
    poses: int
    rate_hz: float

    def __post_init__(self) -> None:
        used = tuple(motion for motion in self.motions if _seconds(motion) > _LEAST_S)
        if not used:
            raise RecordingError(f"no motion capture is longer than {_LEAST_S} s; give longer recordings")
        object.__setattr__(self, "motions", used)

    def draw(self, seeds: Sequence[int | Sequence[int]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Joint positions (N, T, 23, 3) m and global rotations (N, T, 23, 3, 3), one window for each of N seeds."""
        windows = [self._window(np.random.default_rng(seed)) for seed in seeds]
        positions, rotations = (np.stack(part) for part in zip(*windows, strict=True))
        return positions.astype(np.float32), rotations.astype(np.float32)

    def _window(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """A window in a body of the first recording's proportions."""
        speed, scale = np.exp(rng.uniform(*np.log(SPEEDS))), np.exp(rng.uniform(*np.log(SCALES)))
        seconds = np.array([_seconds(motion) for motion in self.motions])
        offsets, piece = None, None
        while piece is None or len(piece[0]) < self.poses:
            motion = self.motions[rng.choice(len(self.motions), p=seconds / seconds.sum())]
            wanted = self.poses / self.rate_hz if piece is None else _LEAST_S
            begin = rng.uniform(0, max(_seconds(motion) - speed * wanted, 0.0)) * motion.rate_hz
            frames = np.arange(begin, len(motion.pelvis) - 1, speed * motion.rate_hz / self.rate_hz)
            more = _sampled(motion, frames[: self.poses])
            if rng.random() < 0.5:
                more = more[0] * (1, -1, 1), _MIRROR @ more[1][:, _OTHER_SIDE] @ _MIRROR
            offsets = motion.offsets if offsets is None else offsets
            piece = more if piece is None else _joined(piece, more, round(_BLEND_S * self.rate_hz))
        path, rotations = piece[0][: self.poses], piece[1][: self.poses]
        return np.asarray(forward_kinematics(scale * path, rotations, scale * offsets), np.float64), rotations


def plain_windows(motion: CapturedMotion, poses: int, rate_hz: float) -> Iterator[tuple[Array, Array]]:
    """Positions (1, T, 23, 3) and rotations (1, T, 23, 3, 3) of all of a recording, in windows one after the other.

    T is `poses`; what is left at the end is a window of 1 + 4k poses, where that is a second or more.
    """
    frames = np.arange(0, len(motion.pelvis) - 1, motion.rate_hz / rate_hz)
    path, rotations = _sampled(motion, frames)
    positions = np.asarray(forward_kinematics(path, rotations, motion.offsets), np.float64)
    for first in range(0, len(frames), poses):
        count = min(poses, len(frames) - first)
        count -= (count - 1) % 4
        if count > _LEAST_S * rate_hz:
            yield positions[None, first : first + count], rotations[None, first : first + count]


def _seconds(motion: CapturedMotion) -> float:
    return len(motion.pelvis) / motion.rate_hz


def _sampled(motion: CapturedMotion, frames: Array) -> tuple[Array, Array]:
    """Pelvis (T, 3) and rotations (T, 23, 3, 3) at fractional frames, interpolated."""
    low = np.minimum(frames.astype(int), len(motion.pelvis) - 2)
    part = frames - low
    pelvis = _between(motion.pelvis[low], motion.pelvis[low + 1], part)
    return pelvis, _orthonormal(_between(motion.rotations[low], motion.rotations[low + 1], part))


def _joined(one: tuple[Array, Array], other: tuple[Array, Array], blend: int) -> tuple[Array, Array]:
    """Two pieces as one: the other turned and moved to the end of the first, at most `blend` poses of both mixed."""
    (path, rotations), (next_path, next_rotations) = one, other
    blend = min(blend, len(path), len(next_path))
    kept, at = len(path) - blend, blend // 2  # the two meet in the middle of the blend
    ahead, theirs = rotations[kept + at, 0, :2, 0], next_rotations[at, 0, :2, 0]
    turn = rotation_z(np.arctan2(ahead[1], ahead[0]) - np.arctan2(theirs[1], theirs[0]))
    next_path, next_rotations = next_path @ turn.T, turn @ next_rotations
    next_path = next_path + (path[kept + at] - next_path[at]) * (1, 1, 0)
    share = np.linspace(0, 1, blend + 2)[1:-1]
    share = share * share * (3 - 2 * share)
    mixed_path = _between(path[kept:], next_path[:blend], share)
    mixed = _orthonormal(_between(rotations[kept:], next_rotations[:blend], share))
    return (
        np.concatenate([path[:kept], mixed_path, next_path[blend:]]),
        np.concatenate([rotations[:kept], mixed, next_rotations[blend:]]),
    )


def _between(one: Array, other: Array, share: Array) -> Array:
    """(T, ...) arrays mixed by shares (T,) of the other."""
    share = share.reshape(-1, *([1] * (one.ndim - 1)))
    return np.asarray(one * (1 - share) + other * share)


def _orthonormal(matrices: Array) -> Array:
    """Rotations (..., 3, 3) near mixed ones."""
    return np.asarray(matrix_from_6d(matrix_to_6d(matrices)))
