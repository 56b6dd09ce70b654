"""The EgoTwin pipeline: from one frame, one body pose and a goal in words to the coming seconds."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import NDArray

from egotwin_model.diffusion.sampler import Guidance, Mode, Solver
from egotwin_model.egotwin.clip_codec import ClipCodec, cut
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.generation import (
    ClipGenerator,
    GeneratedClip,
    GivenConditions,
    Progress,
    Settings,
    Start,
    joined_clips,
)
from egotwin_model.egotwin.imagination import BodyState, Imagination, ModelInfo, SamplingDefaults
from egotwin_model.egotwin.model_folder import (
    check_parts,
    decoder_sees_prior,
    folder_depth_estimator,
    motion_statistics,
)
from egotwin_model.egotwin.networks import NETWORKS
from egotwin_model.egotwin.rolling import (
    Continuity,
    Goals,
    Window,
    check_continuity,
    plan_windows,
    progress_of,
)
from egotwin_model.egotwin.scene_views import SceneViews, checked_depth, remember
from egotwin_model.errors import GoalError, HorizonError, ImageError, ModelError, PoseError
from egotwin_model.geometry.plausible import check_body
from egotwin_model.geometry.prior import Prior
from egotwin_model.geometry.scene_memory import SceneMemory
from egotwin_model.geometry.skeleton import XSENS_JOINTS
from egotwin_model.io.files import read_json, sha256
from egotwin_model.io.store import MANIFEST, component_config, verify
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.representation import BodyMotion
from egotwin_model.motion.representation_kinds import read_representation
from egotwin_model.runtimes.base import Runtime, RuntimeOptions
from egotwin_model.runtimes.registry import load_runtime
from egotwin_model.text.goal_confidence import GoalConfidence, doubt
from egotwin_model.text.goals import check_goal
from egotwin_model.text.loading import GoalEncoder, load_goal_encoder

if TYPE_CHECKING:
    from egotwin_model.depth.estimator import DepthEstimator

__all__ = ["BodyState", "EgoTwinPipeline", "Imagination", "ModelInfo", "Prior", "SamplingDefaults"]

log = logging.getLogger(__name__)


class EgoTwinPipeline:
    """A loaded model folder, ready to imagine. Not thread-safe: one call at a time."""

    def __init__(
        self,
        info: ModelInfo,
        config: EgoTwinConfig,
        runtime: Runtime,
        text_encoder: GoalEncoder,
        codec: ClipCodec,
        defaults: SamplingDefaults,
        *,
        has_video: bool = True,
        depth_estimator: DepthEstimator | None = None,
        goal_confidence: GoalConfidence | None = None,
    ) -> None:
        self.info, self.config, self.runtime = info, config, runtime
        self.depth_estimator, self.goal_confidence = depth_estimator, goal_confidence
        self.text_encoder, self.codec, self.defaults = text_encoder, codec, defaults
        self.representation, self.statistics = codec.representation, codec.statistics
        self.has_video, self.has_motion = has_video, config.num_motion_layers > 0
        self._generate = ClipGenerator(info, config, runtime, text_encoder, codec, defaults, has_video=has_video)

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        runtime: str = "auto",
        *,
        device: str = "cpu",
        dtype: str = "float32",
        threads: int | None = None,
        offload: bool = False,
        tiling: bool = False,
        text_cache: str | Path | None = None,
    ) -> EgoTwinPipeline:
        """Load a model folder after checking every file against the manifest.

        Args:
            path: folder with ``model_index.json`` and ``manifest.json``. The index may name "modalities" (default
                video and motion, where the transformer has motion layers) and a "representation" (default
                head-centric, see `motion.read_representation`).
            runtime: a name of `runtimes.registry.runtime_names`; "auto" is the first that can run the model.
            device, dtype, threads, offload, tiling, text_cache: how the runtime computes, see `RuntimeOptions`. The
                paper's model on one GPU: device="cuda", dtype="bfloat16", offload=True.

        Raises:
            ModelError: a missing or altered file, or a configuration that does not fit.
        """
        folder = Path(path)
        manifest = verify(folder)
        index = read_json(folder / "model_index.json")
        if (name := index.get("_class_name", cls.__name__)) != cls.__name__:
            raise ModelError(
                f"{folder} holds a {name!r}, not a {cls.__name__!r}; egotwin_model.load_pipeline loads each"
            )
        config = EgoTwinConfig(**component_config(folder / "transformer"))
        modalities = tuple(index.get("modalities", ("video", "motion") if config.num_motion_layers else ("video",)))
        check_parts(folder, config, modalities)
        text_cache = None if text_cache is None else str(text_cache)
        options = RuntimeOptions(device, dtype, offload, tiling, text_cache, threads)
        loaded = load_runtime(folder, runtime, options, networks=NETWORKS)
        representation = read_representation(index.get("representation", {"kind": HeadCentric.kind}))
        return cls(
            info=ModelInfo.from_index(index, str(manifest.get("name", folder.name)), sha256(folder / MANIFEST)),
            config=config,
            runtime=loaded,
            text_encoder=load_goal_encoder(folder, index["text_encoder"], config.text_length, options, loaded),
            codec=ClipCodec(
                loaded, representation, *motion_statistics(folder, config, representation),
                sees_prior="video" in modalities and decoder_sees_prior(folder),
            ),
            defaults=SamplingDefaults.from_index(index["sampling"]),
            has_video="video" in modalities,
            depth_estimator=folder_depth_estimator(folder, loaded),
            goal_confidence=GoalConfidence.load(folder),
        )  # fmt: skip

    def __call__(
        self,
        goal: str,
        image: NDArray[np.uint8],
        pose: BodyState,
        *,
        depth: NDArray[np.floating] | None = None,
        memory: SceneMemory | None = None,
        prior: Prior | None = None,
        mode: Mode = "joint",
        video: NDArray[np.uint8] | None = None,
        motion: BodyMotion | None = None,
        num_samples: int = 1,
        num_steps: int | None = None,
        guidance: Guidance | None = None,
        solver: Solver | None = None,
        seed: int | None = None,
        refuse_unknown_goals: bool = False,
        progress: Progress = None,
    ) -> Imagination:
        """Imagine the coming seconds.

        Args:
            goal: what the wearer will do, in words.
            image: uint8 (H, W, 3) RGB, already the view of `info.camera` (`camera.rectify` makes it so).
            pose: the body at the image's time.
            depth: (H, W) floating metres of the image along the optical axis; 0 or NaN where unknown, which may be
                everywhere. Without it, the depth of `depth_estimator` where the model folder has one.
            memory: what was seen before, in the caller's world; never changed. The given view is added to a copy.
            prior: the views as far as they are known, (F, H, W), instead of what the memory shows along the motion.
            mode: "joint" (video and motion), "motion" (the body only; with `video`, the motion that explains it), or
                "video" (the views along the given `motion`).
            video: uint8 (F, H, W, 3) for mode "motion".
            motion: (T, 23, …) in the caller's world for mode "video".
            num_samples: independent futures, made in one batch.
            num_steps, guidance, solver: default to the model's own.
            seed: repeats a generation; random where not given. Sample i of a seed is the same in any number of samples.
            refuse_unknown_goals: raise `GoalError` for a goal of less confidence than `WARN_BELOW`, which else is only
                warned of in the log. For models that carry `goals.safetensors`.
            progress: called with (step, steps) before every step and at the end; may raise `Cancelled`.

        Raises:
            GoalError, ImageError, PoseError: unusable input, by name.
        """
        goal = check_goal(goal)
        confidence = self._confidence([goal], refuse=refuse_unknown_goals)
        start = self._begin(image, pose)
        self._check_mode(mode, motion, num_samples)
        self._check_given(video, motion, self.info.num_frames)
        self._check_prior(prior)
        seed = secrets.randbits(31) if seed is None else seed
        settings = self._settings(mode, num_samples, num_steps, guidance, solver, seed)
        given = GivenConditions(video, motion, prior, self._scene(image, pose, depth, memory))
        clip = self._generate(goal, start, given, settings, progress)
        return replace(self._imagination(clip, seed), goal_confidence=confidence)

    def roll(
        self,
        goals: Goals,
        image: NDArray[np.uint8],
        pose: BodyState,
        *,
        horizon_s: float,
        depth: NDArray[np.floating] | None = None,
        memory: SceneMemory | None = None,
        continuity: Continuity = "restart",
        overlap_s: float = 1.0,
        mode: Mode = "joint",
        motion: BodyMotion | None = None,
        num_samples: int = 1,
        num_steps: int | None = None,
        guidance: Guidance | None = None,
        solver: Solver | None = None,
        seed: int | None = None,
        refuse_unknown_goals: bool = False,
        progress: Progress = None,
    ) -> Imagination:
        """Imagine a horizon longer than one clip: windows one after the other, joined without gap or duplicate.

        Args:
            goals: one goal, or pairs (second from which it holds, goal), the first at 0. A window ends where a goal
                does.
            horizon_s: seconds to imagine; cut to whole frames.
            depth, memory: as in a call. All windows know the given view and what was seen before it; none remembers
                what an earlier window imagined.
            continuity: what a window knows of the one before.
                "restart": its last frame and pose, as a call would. Any model, exactly as trained; the body's speed is
                lost.
                "clean": the last `overlap_s`, as clean latents with timestep 0 among the noisy ones (diffusion
                forcing). Right for models trained with per-token timesteps; with others it runs, unlearned.
                "noised": the same latents, as noisy as the rest at every step. Any model, an approximation.
            overlap_s: to the nearest latent (0.5 s); not used with "restart".
            mode: "joint", or "video" with a `motion` that covers the horizon ((T, 23, …), T poses at `info.pose_rate`);
                "motion" for models without video: others need a frame to continue from.
            progress: as in a call, over the steps of all windows.

        Other arguments and errors as in a call, and HorizonError. A horizon of one clip gives what the call gives.
        """
        check_continuity(continuity)
        start = self._begin(image, pose)
        self._check_mode(mode, motion, num_samples)
        info = self.info
        overlap_s = 0.0 if continuity == "restart" else overlap_s
        windows = plan_windows(
            goals, horizon_s, frame_rate=info.frame_rate, clip_frames=info.num_frames, overlap_s=overlap_s
        )
        if len(windows) > 1 and mode == "motion" and self.has_video:
            raise HorizonError(
                f"mode 'motion' reaches {info.horizon_s:g} s: the next window starts from a frame, which it does not "
                "generate; use mode='joint'"
            )
        confidence = self._confidence([window.goal for window in windows], refuse=refuse_unknown_goals)
        self._check_given(None, motion, windows[-1].last + 1)
        seed = secrets.randbits(31) if seed is None else seed
        settings = self._settings(mode, num_samples, num_steps, guidance, solver, seed)
        scene = self._scene(image, pose, depth, memory)
        clip = self._roll(windows, replace(start, continuity=continuity), motion, scene, settings, progress)
        seams = tuple(window.last / info.frame_rate for window in windows[:-1])
        return replace(self._imagination(clip, seed, seams), goal_confidence=confidence)

    def _roll(
        self, windows: list[Window], start: Start, motion: BodyMotion | None, scene: SceneViews | None,
        settings: Settings, progress: Progress,
    ) -> GeneratedClip:  # fmt: skip
        ratio, clips = self.info.poses_per_frame, []
        for number, window in enumerate(windows):
            excerpt = None if motion is None else self._excerpt(motion, window.first * ratio)
            report = progress_of(progress, number, len(windows))
            clip = self._generate(window.goal, start, GivenConditions(motion=excerpt, scene=scene), settings, report)
            clips.append(clip.part(window.known if number else 0, window.last - window.first + 1, ratio))
            if number + 1 < len(windows):  # the next window's beginning may reach back into earlier windows
                known = windows[number + 1].known
                so_far = joined_clips(clips)
                poses, back = so_far.motion.positions.shape[1], (known - 1) * ratio + 1
                end_of_body = cut(so_far.motion, max(0, poses - back), poses)
                start = replace(
                    start, frames=so_far.frames[:, -known:], motion=end_of_body, known=known, window=number + 1
                )
        return joined_clips(clips)

    def _confidence(self, goals: Sequence[str], *, refuse: bool) -> float | None:
        """The least confidence in any of the goals; None for a model that tells none. Warns of doubtful goals."""
        if self.goal_confidence is None:
            return None
        found = {goal: self.goal_confidence(self.text_encoder.cached(goal)) for goal in dict.fromkeys(goals)}
        for goal, confidence in found.items():
            if why := doubt(goal, confidence):
                if refuse:
                    raise GoalError(f"goal {goal!r} is refused, at a confidence of {confidence:.2f}: {why}")
                log.warning("goal %r may not be done (confidence %.2f): %s", goal, confidence, why)
        return min(found.values())

    def _excerpt(self, motion: BodyMotion, first: int) -> BodyMotion:
        """One clip's poses of a longer motion (T, …) from `first`; its last pose is repeated where it ends earlier."""
        picks = np.minimum(first + np.arange(self.info.num_poses), len(motion.positions) - 1)
        return BodyMotion(*(np.asarray(part)[picks] for part in vars(motion).values()))

    @property
    def takes_scene(self) -> bool:
        """Whether the model makes use of what else is known of the scene: a call's `depth` and `memory`."""
        return self.has_video and (self.config.prior_condition or self.config.depth_condition)

    def _settings(
        self, mode: Mode, samples: int, num_steps: int | None, guidance: Guidance | None, solver: Solver | None,
        seed: int,
    ) -> Settings:  # fmt: skip
        d = self.defaults
        return Settings(
            mode, samples, num_steps or d.num_steps, guidance or d.guidance, solver or d.solver,
            seed,
        )  # fmt: skip

    def _imagination(self, clip: GeneratedClip, seed: int, seams: tuple[float, ...] = ()) -> Imagination:
        frame_times = np.arange(clip.frames.shape[1]) / self.info.frame_rate
        motion_times = np.arange(clip.motion.positions.shape[1]) / self.info.pose_rate
        return Imagination(clip.frames, clip.motion, frame_times, motion_times, seed, seams, clip.prior)

    def _scene(
        self, image: NDArray[np.uint8], pose: BodyState, depth: NDArray[np.floating] | None, memory: SceneMemory | None
    ) -> SceneViews | None:
        """The scene as the caller knows it; None for a model that asks for nothing of it."""
        if not self.takes_scene:
            if depth is not None or memory is not None:
                raise ImageError("this model knows nothing of the scene but its image; leave depth and memory out")
            return None
        head, camera = self.representation.head_index, self.info.camera
        T_world_camera = np.asarray(self.info.mount.camera_pose(pose.positions[head], pose.rotations[head]), np.float64)
        estimated = depth is None and self.depth_estimator is not None
        if depth is None and self.depth_estimator is not None:
            floor_z = float(pose.positions[:, 2].min())  # the lowest joint stands on it
            depth = self.depth_estimator(image, camera, T_world_camera, floor_z=floor_z)
        metres = checked_depth(np.zeros(image.shape[:2], np.float32) if depth is None else depth, camera)
        known = remember(
            memory, image, metres, camera, T_world_camera, pose.positions, self.representation.joint_names,
            estimated=estimated,
        )  # fmt: skip
        return SceneViews(known, camera, self.info.mount, self.info.poses_per_frame, metres)

    def _begin(self, image: NDArray[np.uint8], pose: BodyState) -> Start:
        """The start of what a caller asks for; a body that no person can be is refused, which a window's may be."""
        start = self._start(image, pose)
        if self.representation.joint_names == XSENS_JOINTS:
            check_body(pose.positions)
        return start

    def _start(self, image: NDArray[np.uint8], pose: BodyState) -> Start:
        pose.check(self.representation.num_joints)
        head = self.representation.head_index
        parts = pose.positions, pose.rotations, pose.positions[head], pose.rotations[head]
        return Start(self._checked(image, 3)[None, None], BodyMotion(*(part[None, None] for part in parts)))

    def _check_mode(self, mode: Mode, motion: BodyMotion | None, num_samples: int) -> None:
        if mode not in get_args(Mode):
            raise GoalError(f"mode {mode!r} is not one of {', '.join(get_args(Mode))}")
        only = "motion" if not self.has_video else "video" if not self.has_motion else mode
        if mode != only:
            raise GoalError(f"this model generates {only} alone; pass mode={only!r}")
        if num_samples < 1:
            raise GoalError(f"num_samples is {num_samples}; at least 1 is needed")
        if mode == "video" and motion is None and self.has_motion:
            raise GoalError("mode 'video' imagines the views along a given motion; pass motion=")

    def _check_given(self, video: NDArray[np.uint8] | None, motion: BodyMotion | None, num_frames: int) -> None:
        poses = (num_frames - 1) * self.info.poses_per_frame + 1
        if motion is not None and len(motion.positions) != poses:
            raise PoseError(
                f"the given motion has {len(motion.positions)} poses; this model needs {poses} "
                f"at {self.info.pose_rate:g} Hz"
            )
        if video is not None and len(self._checked(video, 4)) != num_frames:
            raise ImageError(f"the given video has {len(video)} frames; this model needs {num_frames}")

    def _check_prior(self, prior: Prior | None) -> None:
        if prior is None:
            return
        if not (self.config.prior_condition and self.has_video):
            raise ImageError("this model knows no prior of its views; leave prior out")
        frames, seen = self._checked(prior.frames, 4), np.asarray(prior.visibility)
        if len(frames) != self.info.num_frames or seen.shape != frames.shape[:3]:
            raise ImageError(
                f"prior of {len(frames)} frames with visibility {seen.shape}; this model needs {self.info.num_frames} "
                f"frames and {(self.info.num_frames, *frames.shape[1:3])}"
            )
        if not ((seen >= 0) & (seen <= 1)).all():
            raise ImageError("prior visibility is outside 0 … 1 or NaN")

    def _checked(self, image: NDArray[np.uint8], ndim: int) -> NDArray[np.uint8]:
        wanted = (self.info.camera.height, self.info.camera.width, 3)
        if image.dtype != np.uint8 or image.ndim != ndim or image.shape[-3:] != wanted:
            raise ImageError(
                f"image is {image.dtype} {image.shape}; this model needs uint8 RGB, (…, {wanted[0]}, {wanted[1]}, 3). "
                "camera.rectify resamples a calibrated camera's image to that view"
            )
        return image
