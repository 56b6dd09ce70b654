"""Frames and body motion in the caller's world to a model's clean latents, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.prior import Prior
from egotwin_model.geometry.rotations import rotation_z
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.representation import BodyMotion
from egotwin_model.motion.root_centric import RootCentric
from egotwin_model.motion.statistics import MotionStatistics
from egotwin_model.runtimes.base import Runtime
from egotwin_model.video.pixels import to_frames, to_video

Latents = NDArray[Any]  # float32


class ClipCodec:
    """A model folder's two VAEs with what belongs around them; leading dimension S, the number of clips.

    Args:
        statistics, scale: the motion features' standardisation, and the standard deviation of the motion latents,
            by which they are divided for the transformer.
        sees_prior: whether the video decoder takes a prior.
    """

    def __init__(
        self,
        runtime: Runtime,
        representation: HeadCentric | RootCentric,
        statistics: MotionStatistics,
        scale: float,
        *,
        sees_prior: bool = False,
    ) -> None:
        self.runtime, self.representation = runtime, representation
        self.statistics, self.scale, self.sees_prior = statistics, scale, sees_prior

    def encode_frames(self, frames: NDArray[np.uint8]) -> Latents:
        """uint8 (S, 1 + 4k, H, W, 3) to clean latents (S, 1 + k, C, h, w)."""
        return self.runtime.encode_video(to_video(frames)).swapaxes(1, 2)

    def decode_frames(self, latents: Latents, prior: Prior | None = None) -> NDArray[np.uint8]:
        """Clean latents (S, F', C, h, w) to uint8 (S, F, H, W, 3), with the help of a prior (S, F, H, W) of them."""
        known: tuple[Latents, ...] = ()
        if self.sees_prior and prior is not None:
            known = to_video(prior.frames), np.asarray(prior.visibility, dtype=np.float32)[:, None]
        return np.ascontiguousarray(to_frames(self.runtime.decode_video(latents.swapaxes(1, 2), *known)))

    def encode_motion(self, motion: BodyMotion) -> Latents:
        """World motion (S, 1 + 4k, J, …) to clean latents (S, C_m, 1 + k)."""
        positions, rotations = (np.asarray(part, dtype=np.float32) for part in (motion.positions, motion.rotations))
        features = self.statistics.normalise(self.representation.encode(positions, rotations))
        return self.runtime.encode_motion(features) / self.scale

    def decode_motion(self, latents: Latents, start: BodyMotion) -> BodyMotion:
        """Clean latents (S, C_m, N) to the motion whose first head pose is that of `start` (S or 1, T ≥ 1, J, …)."""
        features = self.statistics.denormalise(self.runtime.decode_motion(latents * self.scale))
        rotation, position = (
            np.asarray(part[:, 0], dtype=np.float32) for part in (start.head_rotations, start.head_positions)
        )
        return self.representation.decode_in_clip_frame(features).transformed(rotation, position)


def cut(motion: BodyMotion, start: int, stop: int) -> BodyMotion:
    """Poses `start` to `stop` of (S, T, …)."""
    return BodyMotion(*(part[:, start:stop] for part in vars(motion).values()))


def begun_with(start: BodyMotion, motion: BodyMotion) -> BodyMotion:
    """`motion` (S, T, …) with its first poses replaced by the given ones (S or 1, T₀ ≤ T, …)."""
    parts = []
    for own, given in zip(vars(motion).values(), vars(start).values(), strict=True):
        part = np.array(own)
        part[:, : given.shape[1]] = given
        parts.append(part)
    return BodyMotion(*parts)


def anchored(start: BodyMotion, motion: BodyMotion) -> BodyMotion:
    """`motion` (S, T, …) moved so that its pose T₀ − 1 continues the last pose of `start` (S, T₀ ≤ T, …).

    Decoding repeats a known beginning only nearly. The head's position and heading are taken over, its tilt is not:
    errors of tilt would add up over windows and make the floor a slope. The world's z must be up (REP-103).
    """
    last = start.positions.shape[1] - 1
    apart = start.head_rotations[:, last] @ np.swapaxes(motion.head_rotations[:, last], -1, -2)
    yaw = np.arctan2(apart[:, 1, 0] - apart[:, 0, 1], apart[:, 0, 0] + apart[:, 1, 1])
    turn = rotation_z(yaw)
    shift = start.head_positions[:, last] - (turn @ motion.head_positions[:, last, :, None])[..., 0]
    return motion.transformed(turn, shift)


def joined(parts: list[BodyMotion]) -> BodyMotion:
    """One motion after the other in time, (S, T, …)."""
    arrays = (vars(part).values() for part in parts)
    return BodyMotion(*(np.concatenate(columns, axis=1) for columns in zip(*arrays, strict=True)))


def repeated(motion: BodyMotion, samples: int) -> BodyMotion:
    """A motion (T, …) as `samples` equal ones (S, T, …)."""
    return BodyMotion(*(np.repeat(np.asarray(part)[None], samples, axis=0) for part in vars(motion).values()))
