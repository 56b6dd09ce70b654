"""From one frame, one body pose and a goal in words to the coming seconds: frames and body motion."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from egotwin_model.camera import Mount, Pinhole
from egotwin_model.config import EgoTwinConfig
from egotwin_model.errors import GoalError, ImageError, ModelError, PoseError
from egotwin_model.files import read_json, sha256
from egotwin_model.motion import BodyMotion, HeadCentric, MotionStatistics
from egotwin_model.runtime import Runtime, load_runtime
from egotwin_model.sampler import Conditions, Guidance, Mode, Sampler, Schedule
from egotwin_model.skeleton import HEAD, NUM_JOINTS
from egotwin_model.store import MANIFEST, component_config, load_tensors, verify
from egotwin_model.text import TextEncoder, check_goal

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BodyState:
    """One body pose in the caller's world frame.

    Attributes:
        positions: (23, 3) metres, in `skeleton.XSENS_JOINTS` order.
        rotations: (23, 3, 3) global rotations of the segment frames.
    """

    positions: NDArray[np.floating]
    rotations: NDArray[np.floating]

    def check(self) -> None:
        """`PoseError` unless of the right shape, finite, and of real rotations."""
        if self.positions.shape != (NUM_JOINTS, 3) or self.rotations.shape != (NUM_JOINTS, 3, 3):
            raise PoseError(
                f"body pose has positions {self.positions.shape} and rotations {self.rotations.shape}; "
                f"wanted ({NUM_JOINTS}, 3) and ({NUM_JOINTS}, 3, 3) in Xsens order"
            )
        if not (np.isfinite(self.positions).all() and np.isfinite(self.rotations).all()):
            raise PoseError("body pose holds NaN or infinite values; send only poses that are fully tracked")
        gram = self.rotations @ np.swapaxes(self.rotations, -1, -2)
        if not np.allclose(gram, np.eye(3), atol=1e-3) or (np.linalg.det(self.rotations) < 0).any():
            raise PoseError("body pose holds matrices that are no rotations; normalise the quaternions first")


@dataclass(frozen=True)
class ModelInfo:
    """What a caller must know of a model.

    Attributes:
        sha256: of the model folder's manifest, which lists the sum of every file.
        camera, mount: the pinhole view the model was trained on, and where that camera sits in the head frame.
        horizon_s: seconds a generation covers, (num_frames − 1) / frame_rate.
    """

    name: str
    sha256: str
    camera: Pinhole
    mount: Mount
    num_frames: int
    frame_rate: float
    num_poses: int
    pose_rate: float

    @property
    def horizon_s(self) -> float:
        return (self.num_frames - 1) / self.frame_rate


@dataclass(frozen=True)
class Imagination:
    """S imagined futures; index 0 in time is the given frame and pose.

    Attributes:
        frames: uint8 (S, F, H, W, 3) RGB; F = 0 where no video was asked for.
        motion: (S, T, 23, …) in the caller's world frame.
        frame_times, motion_times: (F,) and (T,) seconds from the given frame.
        seed: repeats the generation on the same device.
    """

    frames: NDArray[np.uint8]
    motion: BodyMotion
    frame_times: NDArray[np.float64]
    motion_times: NDArray[np.float64]
    seed: int


@dataclass(frozen=True)
class SamplingDefaults:
    """What a model was found to sample best with; stored in its ``model_index.json``."""

    num_steps: int = 8
    guidance: Guidance = field(default_factory=lambda: Guidance(1.0, 1.0, 1.0))
    schedule: Schedule = field(default_factory=Schedule)


class EgoTwinPipeline:
    """A loaded model folder, ready to imagine. Not thread-safe: one call at a time."""

    def __init__(
        self,
        info: ModelInfo,
        config: EgoTwinConfig,
        runtime: Runtime,
        text_encoder: TextEncoder,
        statistics: MotionStatistics,
        motion_scale: float,
        defaults: SamplingDefaults,
    ) -> None:
        self.info, self.config, self.runtime = info, config, runtime
        self.text_encoder, self.statistics, self.motion_scale = text_encoder, statistics, motion_scale
        self.defaults = defaults
        self.representation = HeadCentric()

    @classmethod
    def from_pretrained(cls, path: str | Path, runtime: str = "auto") -> EgoTwinPipeline:
        """Load a model folder after checking every file against the manifest.

        Args:
            path: folder with ``model_index.json`` and ``manifest.json``.
            runtime: "auto", "torch" or "onnxruntime".

        Raises:
            ModelError: a missing or altered file, or a configuration that does not fit.
        """
        folder = Path(path)
        manifest = verify(folder)
        index = read_json(folder / "model_index.json")
        config = EgoTwinConfig(**component_config(folder / "transformer"))
        tensors = load_tensors(folder / "statistics.safetensors")
        scale = tensors.pop("motion_latent.scale", None)
        if scale is None:
            raise ModelError(f"{folder / 'statistics.safetensors'} lacks motion_latent.scale; export the model again")
        sampling = index["sampling"]
        return cls(
            info=_info(index, str(manifest.get("name", folder.name)), sha256(folder / MANIFEST)),
            config=config,
            runtime=load_runtime(folder, runtime),
            text_encoder=TextEncoder.from_package(index["text_encoder"], config.text_length),
            statistics=MotionStatistics.from_tensors(tensors),
            motion_scale=float(scale),
            defaults=SamplingDefaults(
                sampling["num_steps"], Guidance(**sampling["guidance"]), Schedule(**sampling["schedule"])
            ),
        )

    @torch.inference_mode()
    def __call__(
        self,
        goal: str,
        image: NDArray[np.uint8],
        pose: BodyState,
        *,
        mode: Mode = "joint",
        video: NDArray[np.uint8] | None = None,
        motion: BodyMotion | None = None,
        num_samples: int = 1,
        num_steps: int | None = None,
        guidance: Guidance | None = None,
        seed: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Imagination:
        """Imagine what follows.

        Args:
            goal: what the wearer will do, in words.
            image: uint8 (H, W, 3) RGB, already the view of `info.camera` (`camera.rectify` makes it so).
            pose: the body at the image's time.
            mode: "joint" (video and motion), "motion" (the body only; with `video`, the motion that explains it), or
                "video" (the views along the given `motion`).
            video: uint8 (F, H, W, 3) for mode "motion".
            motion: (T, 23, …) in the caller's world for mode "video".
            num_samples: independent futures, made in one batch.
            num_steps, guidance: default to the model's own.
            seed: repeats a generation; drawn where not given.
            progress: called with (step, steps) before every step and at the end; may raise `Cancelled`.

        Raises:
            GoalError, ImageError, PoseError: unusable input, by name.
        """
        goal = check_goal(goal)
        pose.check()
        self._check_mode(mode, video, motion, num_samples)
        seed = secrets.randbits(31) if seed is None else seed
        conditions = self._conditions(goal, self._checked(image, 3), pose, num_samples)
        if mode == "motion" and video is not None:
            conditions = replace(conditions, video=_repeat(self._encode_frames(self._checked(video, 4)), num_samples))
        if mode == "video" and motion is not None:
            conditions = replace(conditions, motion=_repeat(self._encode_motion(motion), num_samples))
        generator = torch.Generator().manual_seed(seed)
        c = self.config
        noise_video = torch.randn(
            num_samples, c.latent_frames, c.latent_channels, c.latent_height, c.latent_width, generator=generator
        )
        noise_motion = torch.randn(num_samples, c.motion_channels, c.motion_length, generator=generator)
        latents = Sampler(self.runtime.denoise, self.defaults.schedule).sample(
            mode, conditions, noise_video, noise_motion,
            num_steps or self.defaults.num_steps, guidance or self.defaults.guidance, progress,
        )  # fmt: skip
        frames = self._frames(latents[0], image, video, num_samples)
        body = self._body(latents[1], conditions, pose) if latents[1] is not None else _stacked(motion, num_samples)
        times = np.arange(frames.shape[1]) / self.info.frame_rate
        return Imagination(frames, body, times, np.arange(self.info.num_poses) / self.info.pose_rate, seed)

    def _check_mode(
        self, mode: Mode, video: NDArray[np.uint8] | None, motion: BodyMotion | None, num_samples: int
    ) -> None:
        if mode not in get_args(Mode):
            raise GoalError(f"mode {mode!r} is not one of {', '.join(get_args(Mode))}")
        if num_samples < 1:
            raise GoalError(f"num_samples is {num_samples}; at least 1 is needed")
        if mode == "video" and motion is None:
            raise GoalError("mode 'video' imagines the views along a given motion; pass motion=")
        if motion is not None and len(motion.positions) != self.info.num_poses:
            raise PoseError(
                f"the given motion has {len(motion.positions)} poses; this model needs {self.info.num_poses} "
                f"at {self.info.pose_rate:g} Hz"
            )
        if video is not None and len(video) != self.info.num_frames:
            raise ImageError(f"the given video has {len(video)} frames; this model needs {self.info.num_frames}")

    def _checked(self, image: NDArray[np.uint8], ndim: int) -> NDArray[np.uint8]:
        wanted = (self.info.camera.height, self.info.camera.width, 3)
        if image.dtype != np.uint8 or image.ndim != ndim or image.shape[-3:] != wanted:
            raise ImageError(
                f"image is {image.dtype} {image.shape}; this model needs uint8 RGB, (…, {wanted[0]}, {wanted[1]}, 3). "
                "camera.rectify resamples a calibrated camera's image to that view"
            )
        return image

    def _conditions(self, goal: str, image: NDArray[np.uint8], pose: BodyState, samples: int) -> Conditions:
        first = self.representation.encode(
            torch.from_numpy(np.asarray(pose.positions[None], dtype=np.float32)),
            torch.from_numpy(np.asarray(pose.rotations[None], dtype=np.float32)),
        )
        pose_latent = self.runtime.encode_motion(self.statistics.normalise(first)[None]) / self.motion_scale
        encoder = self.text_encoder
        if lost := encoder.truncated(goal):
            log.warning("the goal is longer than the %d tokens this model reads; not read: %r", encoder.length, lost)
        return Conditions(
            text=_repeat(encoder.cached(goal), samples),
            empty=_repeat(encoder.cached(""), samples),
            image=_repeat(self._encode_frames(image[None])[:, 0], samples),
            pose=_repeat(pose_latent[..., 0], samples),
        )

    def _encode_frames(self, frames: NDArray[np.uint8]) -> Tensor:
        """uint8 (F, H, W, 3) to clean latents (1, F', C, h, w)."""
        pixels = torch.from_numpy(np.ascontiguousarray(frames)).float() / 127.5 - 1.0
        return self.runtime.encode_video(pixels.permute(3, 0, 1, 2)[None]).transpose(1, 2)

    def _encode_motion(self, motion: BodyMotion) -> Tensor:
        positions, rotations = (
            torch.from_numpy(np.asarray(part, dtype=np.float32)) for part in (motion.positions, motion.rotations)
        )
        features = self.statistics.normalise(self.representation.encode(positions, rotations))
        return self.runtime.encode_motion(features[None]) / self.motion_scale

    def _frames(
        self, latents: Tensor | None, image: NDArray[np.uint8], video: NDArray[np.uint8] | None, samples: int
    ) -> NDArray[np.uint8]:
        if latents is None:
            given = image[None][:0] if video is None else video
            return np.repeat(given[None], samples, axis=0)
        decoded = self.runtime.decode_video(latents.transpose(1, 2).contiguous())
        frames = ((decoded + 1.0) * 127.5).clamp(0, 255).byte().permute(0, 2, 3, 4, 1).contiguous().numpy()
        frames[:, 0] = image
        return frames

    def _body(self, latents: Tensor, conditions: Conditions, pose: BodyState) -> BodyMotion:
        """Decoded motion in the caller's world; P⁰'s latent and pose are the given ones."""
        assert conditions.pose is not None
        latents = torch.cat([conditions.pose[..., None], latents[..., 1:]], dim=-1)
        features = self.statistics.denormalise(self.runtime.decode_motion(latents * self.motion_scale))
        clip = self.representation.decode(features)
        rotation, position = (
            torch.from_numpy(np.asarray(part[HEAD], dtype=np.float32)) for part in (pose.rotations, pose.positions)
        )
        world = clip.transformed(rotation, position)
        arrays = [
            part.numpy() for part in (world.positions, world.rotations, world.head_positions, world.head_rotations)
        ]
        given = (pose.positions, pose.rotations, pose.positions[HEAD], pose.rotations[HEAD])
        for array, first in zip(arrays, given, strict=True):
            array[:, 0] = first
        return BodyMotion(*arrays)


def _info(index: dict[str, Any], name: str, checksum: str) -> ModelInfo:
    mount = index["mount"]
    return ModelInfo(
        name=name,
        sha256=checksum,
        camera=Pinhole(**index["camera"]),
        mount=Mount(tuple(mount["translation"]), tuple(tuple(row) for row in mount["rotation"])),
        num_frames=index["num_frames"],
        frame_rate=index["frame_rate"],
        num_poses=index["num_poses"],
        pose_rate=index["pose_rate"],
    )


def _repeat(tensor: Tensor, samples: int) -> Tensor:
    return tensor.expand(samples, *tensor.shape[1:])


def _stacked(motion: BodyMotion | None, samples: int) -> BodyMotion:
    assert motion is not None
    return BodyMotion(*(np.repeat(np.asarray(part)[None], samples, axis=0) for part in vars(motion).values()))
