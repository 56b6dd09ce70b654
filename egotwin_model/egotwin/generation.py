"""Generates one clip from its beginning, a goal and perhaps the other modality; results are in the caller's world."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egotwin_model.diffusion.noise import SampleNoise
from egotwin_model.diffusion.sampler import Conditions, Context, Guidance, Mode, Sampler, Solver
from egotwin_model.egotwin.clip_codec import ClipCodec, Latents, anchored, begun_with, cut, joined, repeated
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.imagination import ModelInfo, SamplingDefaults
from egotwin_model.egotwin.rolling import Continuity
from egotwin_model.egotwin.scene_views import SceneViews, begun_with_frames, repeated_prior
from egotwin_model.errors import GoalError
from egotwin_model.geometry.depth_condition import inverse_depth_condition
from egotwin_model.geometry.plucker import plucker_maps
from egotwin_model.geometry.prior import Prior
from egotwin_model.latents.cells import latent_visibility
from egotwin_model.motion.gravity import gravity_in_head
from egotwin_model.motion.representation import BodyMotion
from egotwin_model.runtimes.base import Runtime, to_numpy
from egotwin_model.text.loading import GoalEncoder

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None] | None
START_VIDEO, START_MOTION, FRESH_VIDEO, FRESH_MOTION = range(4)  # what a window's streams of noise are for


@dataclass(frozen=True)
class Start:
    """The beginning of a clip, for S clips or one for all.

    Attributes:
        frames: uint8 (S, known, H, W, 3); none for a model without video.
        motion: poses of the same time (S, T, J, …) in the caller's world.
        known: number of known frames, 1 + 4j. continuity: how the model is given those after the first.
        window: number of this clip among the windows of a rolled imagination; each has its own noise.
    """

    frames: NDArray[np.uint8]
    motion: BodyMotion
    known: int = 1
    continuity: Continuity = "restart"
    window: int = 0


@dataclass(frozen=True)
class GivenConditions:
    """Conditions that cover a whole clip: frames (F, H, W, 3) or motion (T, J, …) in the conditional modes; what is
    known of the views, as such (F, H, W) or as the scene that they show."""

    video: NDArray[np.uint8] | None = None
    motion: BodyMotion | None = None
    prior: Prior | None = None
    scene: SceneViews | None = None


@dataclass(frozen=True)
class GeneratedClip:
    """Frames (S, F, H, W, 3), motion (S, T, J, …), and the prior (S, F, H, W) that was known of the frames."""

    frames: NDArray[np.uint8]
    motion: BodyMotion
    prior: Prior | None

    def part(self, first: int, last: int, poses_per_frame: int) -> GeneratedClip:
        """Frames `first` to `last` − 1, and the poses from behind frame `first` − 1 to frame `last` − 1."""
        motion = cut(self.motion, max(0, (first - 1) * poses_per_frame + 1), (last - 1) * poses_per_frame + 1)
        prior = None if self.prior is None else _of_prior([self.prior], slice(first, last))
        return GeneratedClip(self.frames[:, first:last], motion, prior)


def joined_clips(clips: list[GeneratedClip]) -> GeneratedClip:
    """One clip after the other in time; with a prior where all have one."""
    priors = [clip.prior for clip in clips if clip.prior is not None]
    prior = _of_prior(priors, slice(None)) if len(priors) == len(clips) else None
    frames = np.concatenate([clip.frames for clip in clips], axis=1)
    return GeneratedClip(frames, joined([clip.motion for clip in clips]), prior)


def _of_prior(priors: list[Prior], part: slice) -> Prior:
    """A part in time of each prior (S, F, H, W), one after the other; with depth where all have it."""
    columns = [[prior.frames, prior.visibility, prior.depth] for prior in priors]
    frames, visibility, depth = (
        None if any(array is None for array in column) else np.concatenate([a[:, part] for a in column], axis=1)  # type: ignore[index]
        for column in zip(*columns, strict=True)
    )
    assert frames is not None
    return Prior(frames, np.asarray(visibility), depth)


@dataclass(frozen=True)
class Settings:
    """Sampling settings of one call."""

    mode: Mode
    samples: int
    num_steps: int
    guidance: Guidance
    solver: Solver
    seed: int


class ClipGenerator:
    """Generates clips with the parts of a loaded model folder.

    Args:
        has_video: False for a model of motion alone. One of video alone has no motion layers.
    """

    def __init__(
        self,
        info: ModelInfo,
        config: EgoTwinConfig,
        runtime: Runtime,
        text_encoder: GoalEncoder,
        codec: ClipCodec,
        defaults: SamplingDefaults,
        *,
        has_video: bool,
    ) -> None:
        self.info, self.config, self.runtime = info, config, runtime
        self.text_encoder, self.codec, self.defaults = text_encoder, codec, defaults
        self.has_video, self.has_motion = has_video, config.num_motion_layers > 0

    def __call__(
        self, goal: str, start: Start, given: GivenConditions, settings: Settings, progress: Progress
    ) -> GeneratedClip:
        """One clip, beginning with the frames and poses of `start`."""
        conditions = self._conditions(goal, start, given, settings)
        priors: list[Prior] = []

        def known_views(motion: Latents | None) -> dict[str, Latents]:
            """The prior along the motion, for the networks; kept for the decoder and the caller."""
            prior = self._prior(motion, conditions, start, given, settings.samples)
            if prior is None:
                return {}
            priors.append(prior)
            return self._prior_conditions(prior)

        c, samples = self.config, settings.samples
        noise = [SampleNoise(settings.seed, samples, start.window, purpose) for purpose in range(4)]
        size = (c.latent_frames, c.latent_channels, c.latent_height, c.latent_width)
        sampler = Sampler(
            self.runtime.denoise, self.defaults.schedule, settings.solver,
            asynchronous=c.asynchronous and self.has_motion,
            video_pace=self.defaults.video_pace, motion_pace=self.defaults.motion_pace,
            prior_start=self.defaults.prior_start,
        )  # fmt: skip
        video, motion = sampler.sample(
            settings.mode, conditions,
            noise[START_VIDEO].normal(*size) if self.has_video else None,
            noise[START_MOTION].normal(c.motion_channels, c.motion_length) if self.has_motion else None,
            settings.num_steps, settings.guidance, progress, noise[FRESH_VIDEO].like, noise[FRESH_MOTION].like,
            known_views if self.config.prior_condition else None,
        )  # fmt: skip
        seen = priors[0] if priors else None
        body = self._body(motion, conditions, start, given, samples)
        return GeneratedClip(self._frames(video, start, given, samples, seen), body, seen)

    def _conditions(self, goal: str, start: Start, given: GivenConditions, settings: Settings) -> Conditions:
        encoder, codec, samples = self.text_encoder, self.codec, settings.samples
        if lost := encoder.truncated(goal):
            log.warning("the goal is longer than the %d tokens this model reads; not read: %r", encoder.length, lost)
        # encoders are causal: the first latent of a beginning is that of its first frame or pose
        frames = _repeat(codec.encode_frames(start.frames), samples) if self.has_video else None
        poses = _repeat(codec.encode_motion(start.motion), samples) if self.has_motion else None
        context = None if start.known == 1 else Context(frames, poses, per_token=start.continuity == "clean")
        extra: dict[str, Latents] = {}
        if self.config.depth_condition and self.has_video and given.scene is not None:
            depth = given.scene.first_depth(start.motion, is_given=start.window == 0)
            extra["depth"] = inverse_depth_condition(depth, self.config.latent_height, self.config.latent_width)
        if self.config.gravity_condition and self.has_motion:
            extra["gravity"] = gravity_in_head(np.asarray(start.motion.head_rotations[:, 0], dtype=np.float32))
        if (camera := self._camera(given, settings.mode)) is not None:
            extra["camera"] = camera
        return Conditions(
            text=_repeat(to_numpy(encoder.cached(goal)), samples),
            empty=_repeat(to_numpy(encoder.cached("")), samples),
            image=None if frames is None else frames[:, 0],
            pose=None if poses is None else poses[..., 0],
            video=self._given_video(given, samples) if settings.mode == "motion" else None,
            motion=self._given_motion(given, samples) if settings.mode == "video" else None,
            context=context,
            extra={name: _repeat(value, samples) for name, value in extra.items()},
        )

    def _prior(
        self, motion: Latents | None, conditions: Conditions, start: Start, given: GivenConditions, samples: int
    ) -> Prior | None:
        """What is known of the views along a motion, given or of these latents; None where nothing is."""
        if given.prior is not None:
            return repeated_prior(given.prior, samples)
        if given.scene is None or (motion is None and given.motion is None):
            return None
        body = self._body(None if given.motion is not None else motion, conditions, start, given, samples)
        return begun_with_frames(given.scene.along(body), start.frames)

    def _prior_conditions(self, prior: Prior) -> dict[str, Latents]:
        """A prior (S, F, H, W) for the transformer: latents (S, F', C, h, w), and where they count (S, F', 1, h, w)."""
        size = self.config.latent_height, self.config.latent_width
        return {
            "prior": self.codec.encode_frames(prior.frames), "visibility": latent_visibility(prior.visibility, *size),
        }  # fmt: skip

    def _given_video(self, given: GivenConditions, samples: int) -> Latents | None:
        return None if given.video is None else _repeat(self.codec.encode_frames(given.video[None]), samples)

    def _given_motion(self, given: GivenConditions, samples: int) -> Latents | None:
        if given.motion is None or not self.has_motion:
            return None
        return _repeat(self.codec.encode_motion(repeated(given.motion, 1)), samples)

    def _camera(self, given: GivenConditions, mode: Mode) -> Latents | None:
        """Plücker maps (1, F', 24, h, w) of the camera on the given motion's head, for models that take them."""
        if not self.config.camera_condition or mode == "motion":
            return None
        if given.motion is None:
            raise GoalError("this model's video follows a camera path; pass mode='video' and motion= to take it from")
        ratio, camera = self.info.poses_per_frame, self.info.camera
        head = given.motion.head_positions[::ratio], given.motion.head_rotations[::ratio]
        poses = np.asarray(self.info.mount.camera_pose(*head), dtype=np.float64)
        return plucker_maps(camera, poses, self.config.latent_height, self.config.latent_width)[None]

    def _frames(
        self, latents: Latents | None, start: Start, given: GivenConditions, samples: int, prior: Prior | None
    ) -> NDArray[np.uint8]:
        if latents is None:
            frames = start.frames[:1, :0] if given.video is None else given.video[None]
            return np.repeat(frames, samples, axis=0)
        frames = self.codec.decode_frames(latents, prior)
        frames[:, : start.known] = start.frames
        return frames

    def _body(
        self, latents: Latents | None, conditions: Conditions, start: Start, given: GivenConditions, samples: int
    ) -> BodyMotion:
        """Motion in the caller's world; P⁰'s latent and the known poses are replaced by the given ones."""
        if latents is None:
            first = repeated(BodyMotion(*(part[0] for part in vars(start.motion).values())), samples)
            return cut(first, 0, 0) if given.motion is None else repeated(given.motion, samples)
        assert conditions.pose is not None
        latents = np.concatenate([conditions.pose[..., None], latents[..., 1:]], axis=-1)
        motion = self.codec.decode_motion(latents, start.motion)
        return begun_with(start.motion, motion if start.known == 1 else anchored(start.motion, motion))


def _repeat(latents: Latents, samples: int) -> Latents:
    """(1, …) as (samples, …); (samples, …) as it is."""
    return latents if len(latents) == samples else np.repeat(latents, samples, axis=0)
