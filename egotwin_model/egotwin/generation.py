"""One clip: from what it begins with, a goal and perhaps the other modality, through the sampler, to the world."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from egotwin_model.diffusion.sampler import Conditions, Context, Guidance, Mode, Sampler, Solver
from egotwin_model.egotwin.clip_codec import ClipCodec, anchored, begun_with, cut, repeated
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.imagination import ModelInfo, Prior, SamplingDefaults
from egotwin_model.egotwin.rolling import Continuity
from egotwin_model.errors import GoalError
from egotwin_model.geometry.plucker import plucker_maps
from egotwin_model.latents.timing import FRAMES_PER_LATENT
from egotwin_model.motion.representation import BodyMotion
from egotwin_model.runtimes.base import Runtime
from egotwin_model.text.encoders import TextEncoder

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None] | None


@dataclass(frozen=True)
class Start:
    """What a clip begins with, for S clips or one for all.

    Attributes:
        frames: uint8 (S, known, H, W, 3); none for a model without video.
        motion: poses of the same time (S, T, J, …) in the caller's world.
        known: pictures' worth of beginning, 1 + 4j. continuity: what the model is told of those after the first.
    """

    frames: NDArray[np.uint8]
    motion: BodyMotion
    known: int = 1
    continuity: Continuity = "restart"


@dataclass(frozen=True)
class Given:
    """What of a whole clip is given: frames (F, H, W, 3) or motion (T, J, …) in the conditional modes; a prior."""

    video: NDArray[np.uint8] | None = None
    motion: BodyMotion | None = None
    prior: Prior | None = None


@dataclass(frozen=True)
class Settings:
    """How a call samples."""

    mode: Mode
    samples: int
    num_steps: int
    guidance: Guidance
    solver: Solver
    generator: torch.Generator


class ClipGenerator:
    """Makes clips with a loaded model folder's parts.

    Args:
        has_video: False for a model of motion alone. One of video alone has no motion layers.
    """

    def __init__(
        self,
        info: ModelInfo,
        config: EgoTwinConfig,
        runtime: Runtime,
        text_encoder: TextEncoder,
        codec: ClipCodec,
        defaults: SamplingDefaults,
        *,
        has_video: bool,
    ) -> None:
        self.info, self.config, self.runtime = info, config, runtime
        self.text_encoder, self.codec, self.defaults = text_encoder, codec, defaults
        self.has_video, self.has_motion = has_video, config.num_motion_layers > 0

    def __call__(
        self, goal: str, start: Start, given: Given, settings: Settings, progress: Progress
    ) -> tuple[NDArray[np.uint8], BodyMotion]:
        """One clip's frames (S, F, H, W, 3) and motion (S, T, J, …), beginning with those of `start`."""
        conditions = self._conditions(goal, start, given, settings)
        c, g, samples = self.config, settings.generator, settings.samples
        size = (c.latent_frames, c.latent_channels, c.latent_height, c.latent_width)
        sampler = Sampler(
            self.runtime.denoise, self.defaults.schedule, settings.solver,
            asynchronous=c.asynchronous and self.has_motion,
            video_pace=self.defaults.video_pace, motion_pace=self.defaults.motion_pace,
        )  # fmt: skip
        video, motion = sampler.sample(
            settings.mode, conditions,
            torch.randn(samples, *size, generator=g) if self.has_video else None,
            torch.randn(samples, c.motion_channels, c.motion_length, generator=g) if self.has_motion else None,
            settings.num_steps, settings.guidance, progress, g,
        )  # fmt: skip
        return self._frames(video, start, given, samples), self._body(motion, conditions, start, given, samples)

    def _conditions(self, goal: str, start: Start, given: Given, settings: Settings) -> Conditions:
        encoder, codec, samples = self.text_encoder, self.codec, settings.samples
        if lost := encoder.truncated(goal):
            log.warning("the goal is longer than the %d tokens this model reads; not read: %r", encoder.length, lost)
        # encoders are causal: the first latent of a beginning is that of its first picture or pose
        pictures = _repeat(codec.encode_frames(start.frames), samples) if self.has_video else None
        moves = _repeat(codec.encode_motion(start.motion), samples) if self.has_motion else None
        context = None if start.known == 1 else Context(pictures, moves, per_token=start.continuity == "clean")
        image, extra = self._image_condition(None if pictures is None else pictures[:, 0], given.prior)
        if (camera := self._camera(given, settings.mode)) is not None:
            extra["camera"] = _repeat(camera, samples)
        return Conditions(
            text=_repeat(encoder.cached(goal), samples),
            empty=_repeat(encoder.cached(""), samples),
            image=image,
            pose=None if moves is None else moves[..., 0],
            video=self._given_video(given, samples) if settings.mode == "motion" else None,
            motion=self._given_motion(given, samples) if settings.mode == "video" else None,
            context=context,
            extra=extra,
        )

    def _image_condition(self, first: Tensor | None, prior: Prior | None) -> tuple[Tensor | None, dict[str, Tensor]]:
        """I⁰'s latent (S, C, h, w), or with a prior a latent for every frame (S, F', C, h, w) and their visibility."""
        if first is None or prior is None:
            return first, {}
        latents = _repeat(self.codec.encode_frames(prior.frames[None]), len(first))
        seen = torch.from_numpy(np.asarray(prior.visibility, dtype=np.float32))
        seen = torch.nn.functional.adaptive_avg_pool2d(seen, (self.config.latent_height, self.config.latent_width))
        # a latent is as visible as the pictures behind it on average; the given image wholly
        groups = [torch.ones_like(seen[0]), *(group.mean(0) for group in seen[1:].split(FRAMES_PER_LATENT))]
        visibility = _repeat(torch.stack(groups)[None, :, None], len(first))
        return torch.cat([first[:, None], latents[:, 1:]], dim=1), {"visibility": visibility}

    def _given_video(self, given: Given, samples: int) -> Tensor | None:
        return None if given.video is None else _repeat(self.codec.encode_frames(given.video[None]), samples)

    def _given_motion(self, given: Given, samples: int) -> Tensor | None:
        if given.motion is None or not self.has_motion:
            return None
        return _repeat(self.codec.encode_motion(repeated(given.motion, 1)), samples)

    def _camera(self, given: Given, mode: Mode) -> Tensor | None:
        """Plücker maps (1, F', 24, h, w) of the camera on the given motion's head, for models that take them."""
        if not self.config.camera_condition or mode == "motion":
            return None
        if given.motion is None:
            raise GoalError("this model's video follows a camera path; pass mode='video' and motion= to take it from")
        ratio, camera = self.info.poses_per_frame, self.info.camera
        head = given.motion.head_positions[::ratio], given.motion.head_rotations[::ratio]
        poses = torch.from_numpy(np.asarray(self.info.mount.camera_pose(*head), dtype=np.float64))
        return plucker_maps(camera, poses, self.config.latent_height, self.config.latent_width)[None]

    def _frames(self, latents: Tensor | None, start: Start, given: Given, samples: int) -> NDArray[np.uint8]:
        if latents is None:
            frames = start.frames[:1, :0] if given.video is None else given.video[None]
            return np.repeat(frames, samples, axis=0)
        frames = self.codec.decode_frames(latents)
        frames[:, : start.known] = start.frames
        return frames

    def _body(
        self, latents: Tensor | None, conditions: Conditions, start: Start, given: Given, samples: int
    ) -> BodyMotion:
        """Motion in the caller's world; P⁰'s latent and what is known of the poses are the given ones."""
        if latents is None:
            first = repeated(BodyMotion(*(part[0] for part in vars(start.motion).values())), samples)
            return cut(first, 0, 0) if given.motion is None else repeated(given.motion, samples)
        assert conditions.pose is not None
        latents = torch.cat([conditions.pose[..., None], latents[..., 1:]], dim=-1)
        motion = self.codec.decode_motion(latents, start.motion)
        return begun_with(start.motion, motion if start.known == 1 else anchored(start.motion, motion))


def _repeat(tensor: Tensor, samples: int) -> Tensor:
    return tensor.expand(samples, *tensor.shape[1:])
