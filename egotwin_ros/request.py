"""What is asked of the model, checked, and the call that answers it."""

from __future__ import annotations

import dataclasses
import math
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from egotwin_model.errors import Cancelled, GoalError, HorizonError
from egotwin_model.geometry.skeleton import HEAD
from egotwin_ros.action import Imagine
from egotwin_ros.conversions import nanoseconds, trajectory_to_arrays
from egotwin_ros.inputs import Observation
from egotwin_ros.msg import BodyTrajectory
from egotwin_ros.parameters import ImagineParameters

if TYPE_CHECKING:
    from egotwin_model.diffusion.sampler import Mode
    from egotwin_model.egotwin.pipeline import EgoTwinPipeline, Imagination, ModelInfo
    from egotwin_model.motion.representation import BodyMotion

MODES: dict[int, Mode] = {
    Imagine.Goal.MODE_JOINT: "joint",
    Imagine.Goal.MODE_MOTION: "motion",
    Imagine.Goal.MODE_VIDEO: "video",
}
EPSILON_S = 1e-6


@dataclass(frozen=True)
class Request:
    """One goal. ``seed`` negative: drawn; ``horizon_s`` 0: all the model can; ``motion`` for MODE_VIDEO only.

    ``not_before_ns``: oldest image to start from, waited for; 0: the newest there is.
    """

    id: bytes
    goal: str
    horizon_s: float = 0.0
    num_samples: int = 1
    seed: int = -1
    mode: int = Imagine.Goal.MODE_JOINT
    motion: BodyTrajectory | None = None
    not_before_ns: int = 0

    @classmethod
    def of_action(cls, goal: Imagine.Goal, goal_id: bytes) -> Request:
        """The request an action goal makes."""
        given = goal.motion if goal.motion.points else None
        samples = max(1, goal.num_samples)
        oldest = nanoseconds(goal.not_before)
        return cls(goal_id, goal.goal, goal.horizon_s, samples, goal.seed, goal.mode, given, oldest)

    @classmethod
    def of_text(cls, text: str, parameters: ImagineParameters) -> Request:
        """The request a text on ``~/goal`` makes."""
        return cls(uuid.uuid4().bytes, text, num_samples=parameters.num_samples, seed=parameters.seed)

    def checked(self, info: ModelInfo, parameters: ImagineParameters) -> Request:
        """This request with seed and horizon filled in.

        Raises:
            GoalError: empty or too long text, unknown mode, too many samples, MODE_VIDEO without a motion.
            HorizonError: negative, not finite, or longer than the model's.
        """
        if not self.goal.strip():
            raise GoalError("the goal is empty; say in words what the wearer is about to do")
        if len(self.goal) > parameters.max_goal_length:
            raise GoalError(
                f"the goal has {len(self.goal)} characters, at most {parameters.max_goal_length} are accepted "
                "(parameter max_goal_length)"
            )
        if self.mode not in MODES:
            raise GoalError(f"mode {self.mode} is unknown; wanted one of {sorted(MODES)} (MODE_* of Imagine.action)")
        if self.mode == Imagine.Goal.MODE_VIDEO and self.motion is None:
            raise GoalError("MODE_VIDEO came without a motion; fill the goal's field motion")
        if self.num_samples > parameters.max_samples:
            raise GoalError(
                f"{self.num_samples} samples asked, at most {parameters.max_samples} (parameter max_samples)"
            )
        if not math.isfinite(self.horizon_s) or not 0.0 <= self.horizon_s <= info.horizon_s + EPSILON_S:
            raise HorizonError(f"horizon {self.horizon_s:g} s; this model can do 0 to {info.horizon_s:g} s")
        seed = self.seed if self.seed >= 0 else secrets.randbits(31)
        return dataclasses.replace(self, seed=seed, horizon_s=self.horizon_s or info.horizon_s)


Report = Callable[[int, int, float], None]


class Progress:
    """Passes the pipeline's steps on, with an estimate of the seconds left (NaN at first), and stops it when asked."""

    def __init__(self, stopped: Callable[[], bool], report: Report | None) -> None:
        self._stopped, self._report, self._begin = stopped, report, time.monotonic()

    def __call__(self, step: int, steps: int) -> None:
        if self._stopped():
            raise Cancelled(f"cancelled after step {step} of {steps}")
        if self._report is not None:
            elapsed = time.monotonic() - self._begin
            self._report(step, steps, elapsed / step * (steps - step) if step else math.nan)


def imagine(
    pipeline: EgoTwinPipeline,
    request: Request,
    seen: Observation,
    parameters: ImagineParameters,
    progress: Callable[[int, int], None],
) -> Imagination:
    """Runs the model on a checked request; the outcome is cut to the request's horizon."""
    from egotwin_model.diffusion.sampler import Guidance
    from egotwin_model.egotwin.pipeline import BodyState

    outcome = pipeline(
        request.goal,
        seen.image,
        BodyState(seen.positions, seen.rotations),
        mode=MODES[request.mode],
        motion=_given_motion(request, pipeline.info),
        num_samples=request.num_samples,
        num_steps=parameters.num_steps or None,
        guidance=Guidance(*parameters.guidance) if any(parameters.guidance) else None,
        seed=request.seed,
        progress=progress,
    )
    return cut(outcome, request.horizon_s)


def _given_motion(request: Request, info: ModelInfo) -> BodyMotion | None:
    if request.motion is None or request.mode != Imagine.Goal.MODE_VIDEO:
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
