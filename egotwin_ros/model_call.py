"""Loads the model and runs it on a checked request; independent of ROS."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from egotwin_model.errors import ModelError
from egotwin_model.families import load_pipeline
from egotwin_model.geometry.prior import Prior
from egotwin_model.geometry.skeleton import HEAD
from egotwin_ros.conversions import trajectory_to_arrays
from egotwin_ros.depth_source import takes_model
from egotwin_ros.observation import Observation
from egotwin_ros.parameters import ImagineParameters
from egotwin_ros.request import EPSILON_S, Request

if TYPE_CHECKING:
    from egotwin_model.depth.estimator import DepthEstimator
    from egotwin_model.egotwin.pipeline import EgoTwinPipeline, Imagination, ModelInfo
    from egotwin_model.geometry.scene_memory import SceneMemory
    from egotwin_model.motion.representation import BodyMotion


def load(parameters: ImagineParameters) -> EgoTwinPipeline:
    """The model of the parameters' folder, ready for a first goal; `ModelError` where it is missing or altered."""
    pipeline: EgoTwinPipeline = load_pipeline(
        parameters.model_path,
        parameters.runtime,
        device=parameters.device,
        dtype=parameters.dtype,
        threads=parameters.threads,
    )
    pipeline.runtime.prepare()
    return pipeline


def load_depth(parameters: ImagineParameters, runtime: str) -> DepthEstimator | None:
    """The depth estimator of the parameters' model folder, for a thread of its own; None where none is to be used.

    Args:
        runtime: that runs the model.

    Raises:
        ModelError: depth_source "model", and the folder has none; or a file of it is altered.
    """
    if not takes_model(parameters.depth_source):
        return None
    from egotwin_model.depth.estimator import SOURCES, DepthEstimator
    from egotwin_model.runtimes.base import RuntimeOptions

    folder = Path(parameters.model_path)
    if parameters.depth_source == "auto" and not any(source.reads(folder) for source in SOURCES):
        return None
    options = RuntimeOptions(parameters.device, parameters.dtype, threads=parameters.threads or None)
    try:
        return DepthEstimator.from_pretrained(folder, runtime, options)
    except ModelError as error:
        raise ModelError(f"depth_source is {parameters.depth_source!r}: {error}") from error


def imagine(
    pipeline: EgoTwinPipeline,
    request: Request,
    observation: Observation,
    memory: SceneMemory | None,
    parameters: ImagineParameters,
    progress: Callable[[int, int], None],
) -> Imagination:
    """Runs the model; the outcome is cut to the request's horizon.

    Depth and memory go to models that make use of them. With depth_source "none" the depth is unknown, also for a model
    that could estimate it.

    A horizon beyond one clip is rolled: `EgoTwinPipeline.roll` generates clip after clip, each from the last frame and
    pose of the one before.
    """
    from egotwin_model.diffusion.sampler import Guidance
    from egotwin_model.egotwin.pipeline import BodyState

    info = pipeline.info
    start = request.goal, observation.image, BodyState(observation.positions, observation.rotations)
    options: dict[str, Any] = {
        "mode": request.mode,
        "motion": _given_motion(request, info),
        "num_samples": request.num_samples,
        "num_steps": parameters.num_steps or None,
        "guidance": Guidance(*parameters.guidance) if any(parameters.guidance) else None,
        "seed": request.seed,
        "progress": progress,
    }
    if pipeline.takes_scene:
        unknown = np.zeros(observation.image.shape[:2], np.float32) if parameters.depth_source == "none" else None
        options |= {"depth": unknown if observation.depth is None else observation.depth, "memory": memory}
    if _is_longer_than_a_clip(request, info):
        return pipeline.roll(*start, horizon_s=request.horizon_s, **options)
    return cut(pipeline(*start, **options), request.horizon_s)


def _is_longer_than_a_clip(request: Request, info: ModelInfo) -> bool:
    return request.horizon_s > info.horizon_s + EPSILON_S


def _given_motion(request: Request, info: ModelInfo) -> BodyMotion | None:
    """The request's motion at the model's own rate, as long as the model generates."""
    if request.motion is None or request.mode != "video":
        return None
    from egotwin_model.motion.representation import BodyMotion

    num_poses = info.num_poses
    if _is_longer_than_a_clip(request, info):
        num_poses = int(request.horizon_s * info.frame_rate + EPSILON_S) * info.poses_per_frame + 1
    positions, rotations = trajectory_to_arrays(request.motion, np.arange(num_poses) / info.pose_rate)
    return BodyMotion(positions, rotations, positions[:, HEAD], rotations[:, HEAD])


def cut(outcome: Imagination, horizon_s: float) -> Imagination:
    """The same imagination without the frames and poses after ``horizon_s``."""
    poses = int((np.asarray(outcome.motion_times) <= horizon_s + EPSILON_S).sum())
    frames = int((np.asarray(outcome.frame_times) <= horizon_s + EPSILON_S).sum())
    motion = outcome.motion
    shorter = type(motion)(
        positions=motion.positions[:, :poses],
        rotations=motion.rotations[:, :poses],
        head_positions=motion.head_positions[:, :poses],
        head_rotations=motion.head_rotations[:, :poses],
    )
    prior = outcome.prior
    if prior is not None:
        depth = None if prior.depth is None else prior.depth[:, :frames]
        prior = Prior(prior.frames[:, :frames], prior.visibility[:, :frames], depth)
    return dataclasses.replace(
        outcome,
        prior=prior,
        motion=shorter,
        frames=outcome.frames[:, :frames],
        frame_times=outcome.frame_times[:frames],
        motion_times=outcome.motion_times[:poses],
    )
