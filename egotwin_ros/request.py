"""One goal to imagine, checked against the model and the node's limits; independent of ROS."""

from __future__ import annotations

import dataclasses
import math
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egotwin_model.errors import Cancelled, GoalError, HorizonError
from egotwin_model.text.goals import check_goal
from egotwin_ros.conversions import nanoseconds
from egotwin_ros.parameters import ImagineParameters

if TYPE_CHECKING:
    from egotwin_model.egotwin.pipeline import ModelInfo

MODE_NUMBERS = {"joint": 0, "motion": 1, "video": 2}
"""The sampler's modes and their numbers MODE_* in action/Imagine.action."""
_MODE_NAMES = {number: name for name, number in MODE_NUMBERS.items()}
EPSILON_S = 1e-6


@dataclass(frozen=True)
class Request:
    """One goal.

    Attributes:
        id: 16 bytes that name it.
        goal: in words.
        horizon_s: seconds to look ahead; 0: one clip of the model.
        num_samples: independent futures.
        seed: repeats an imagination; negative: a random one.
        mode: a key of `MODE_NUMBERS`.
        motion: BodyTrajectory for mode "video", None otherwise.
        not_before_ns: oldest image to start from; 0: the newest there is.
    """

    id: bytes
    goal: str
    horizon_s: float = 0.0
    num_samples: int = 1
    seed: int = -1
    mode: str = "joint"
    motion: Any = None
    not_before_ns: int = 0

    @classmethod
    def of_action(cls, goal: Any, goal_id: bytes) -> Request:
        """The request of a goal of action/Imagine.action."""
        return cls(
            id=goal_id,
            goal=goal.goal,
            horizon_s=goal.horizon_s,
            num_samples=max(1, goal.num_samples),
            seed=goal.seed,
            mode=_MODE_NAMES.get(goal.mode, str(goal.mode)),
            motion=goal.motion if goal.motion.points else None,
            not_before_ns=nanoseconds(goal.not_before),
        )

    @classmethod
    def of_text(cls, text: str, parameters: ImagineParameters) -> Request:
        """The request of a text on ``~/goal``."""
        return cls(uuid.uuid4().bytes, text, num_samples=parameters.num_samples, seed=parameters.seed)

    def checked(self, info: ModelInfo, parameters: ImagineParameters) -> Request:
        """This request with seed and horizon filled in.

        Raises:
            GoalError: empty or too long text, unknown mode, too many samples, mode "video" without a motion.
            HorizonError: negative, not finite, or longer than the node accepts.
        """
        if len(self.goal) > parameters.max_goal_length:
            raise GoalError(
                f"the goal has {len(self.goal)} characters, at most {parameters.max_goal_length} are accepted "
                "(parameter max_goal_length)"
            )
        check_goal(self.goal)
        if self.mode not in MODE_NUMBERS:
            numbers = sorted(MODE_NUMBERS.values())
            raise GoalError(f"mode {self.mode} is unknown; wanted one of {numbers} (MODE_* of Imagine.action)")
        if self.mode == "video" and self.motion is None:
            raise GoalError("MODE_VIDEO came without a motion; fill the goal's field motion")
        if not 1 <= self.num_samples <= parameters.max_samples:
            raise GoalError(
                f"{self.num_samples} samples were asked for; wanted 1 to {parameters.max_samples} "
                "(parameter max_samples)"
            )
        longest_s = parameters.max_horizon_s
        if not math.isfinite(self.horizon_s) or not 0.0 <= self.horizon_s <= longest_s + EPSILON_S:
            raise HorizonError(f"horizon {self.horizon_s:g} s; wanted 0 to {longest_s:g} s (parameter max_horizon_s)")
        seed = self.seed if self.seed >= 0 else secrets.randbits(31)
        return dataclasses.replace(self, seed=seed, horizon_s=self.horizon_s or min(info.horizon_s, longest_s))


Report = Callable[[int, int, float], None]


class Progress:
    """The pipeline's ``progress``: reports steps with an estimate of the seconds left (NaN at first), and cancels.

    Args:
        stopped: whether to cancel; asked before every step.
        report: called with step, steps and seconds left.
    """

    def __init__(self, stopped: Callable[[], bool], report: Report | None) -> None:
        self._stopped, self._report, self._begin = stopped, report, time.monotonic()

    def __call__(self, step: int, steps: int) -> None:
        if self._stopped():
            raise Cancelled(f"cancelled after step {step} of {steps}")
        if self._report is not None:
            elapsed = time.monotonic() - self._begin
            self._report(step, steps, elapsed / step * (steps - step) if step else math.nan)
