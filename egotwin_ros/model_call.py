"""Loads the model and runs it on a checked request; independent of ROS."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from egotwin_model.geometry.skeleton import HEAD
from egotwin_ros.conversions import trajectory_to_arrays
from egotwin_ros.inputs import Observation
from egotwin_ros.parameters import ImagineParameters
from egotwin_ros.request import EPSILON_S, Request

if TYPE_CHECKING:
    from egotwin_model.egotwin.pipeline import EgoTwinPipeline, Imagination, ModelInfo
    from egotwin_model.motion.representation import BodyMotion


def load(parameters: ImagineParameters) -> EgoTwinPipeline:
    """The model of the parameters' folder, ready for a first goal; `ModelError` where it is missing or altered."""
    from egotwin_model.egotwin.pipeline import EgoTwinPipeline  # takes seconds

    pipeline = EgoTwinPipeline.from_pretrained(parameters.model_path, runtime=parameters.runtime)
    pipeline.runtime.prepare()
    return pipeline


def imagine(
    pipeline: EgoTwinPipeline,
    request: Request,
    observation: Observation,
    parameters: ImagineParameters,
    progress: Callable[[int, int], None],
) -> Imagination:
    """Runs the model; the outcome is cut to the request's horizon."""
    from egotwin_model.diffusion.sampler import Guidance
    from egotwin_model.egotwin.pipeline import BodyState

    outcome = pipeline(
        request.goal,
        observation.image,
        BodyState(observation.positions, observation.rotations),
        mode=request.mode,  # type: ignore[arg-type]  # checked
        motion=_given_motion(request, pipeline.info),
        num_samples=request.num_samples,
        num_steps=parameters.num_steps or None,
        guidance=Guidance(*parameters.guidance) if any(parameters.guidance) else None,
        seed=request.seed,
        progress=progress,
    )
    return cut(outcome, request.horizon_s)


def _given_motion(request: Request, info: ModelInfo) -> BodyMotion | None:
    if request.motion is None or request.mode != "video":
        return None
    from egotwin_model.motion.representation import BodyMotion

    times = np.arange(info.num_poses) / info.pose_rate
    positions, rotations = trajectory_to_arrays(request.motion, times)
    return BodyMotion(positions, rotations, positions[:, HEAD], rotations[:, HEAD])


def cut(outcome: Imagination, horizon_s: float) -> Imagination:
    """The same imagination without what lies after ``horizon_s``."""
    poses = int((np.asarray(outcome.motion_times) <= horizon_s + EPSILON_S).sum())
    frames = int((np.asarray(outcome.frame_times) <= horizon_s + EPSILON_S).sum())
    motion = outcome.motion
    shorter = type(motion)(
        positions=motion.positions[:, :poses],
        rotations=motion.rotations[:, :poses],
        head_positions=motion.head_positions[:, :poses],
        head_rotations=motion.head_rotations[:, :poses],
    )
    return dataclasses.replace(
        outcome,
        motion=shorter,
        frames=outcome.frames[:, :frames],
        frame_times=outcome.frame_times[:frames],
        motion_times=outcome.motion_times[:poses],
    )
