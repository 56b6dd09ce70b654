"""One frame of motion capture in the numbers that tell actions apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WALK_MPS, RUN_MPS = 0.3, 1.9  # speeds from which a body walks, runs
TURN_RPS = float(np.radians(30))  # yaw rate from which it turns


@dataclass(frozen=True)
class CaptureFrame:
    """What a body does in one frame.

    Attributes:
        speed_mps: of the pelvis over the floor. ahead_mps: its part along the heading.
        turning_rps: yaw rate, left positive.
        low: the pelvis is much lower than in a stand. leaning: the trunk is bent far forward.
    """

    speed_mps: float
    ahead_mps: float
    turning_rps: float
    low: bool
    leaning: bool

    @property
    def running(self) -> bool:
        return self.speed_mps >= RUN_MPS

    @property
    def walking(self) -> bool:
        return WALK_MPS <= self.speed_mps < RUN_MPS

    @property
    def standing(self) -> bool:
        """In one place, in whatever posture."""
        return self.speed_mps < WALK_MPS

    @property
    def upright(self) -> bool:
        """In one place, neither low nor leaning."""
        return self.standing and not self.low and not self.leaning

    @property
    def forward(self) -> bool:
        return self.ahead_mps > 0.6 * self.speed_mps

    @property
    def backward(self) -> bool:
        return self.ahead_mps < -0.5 * self.speed_mps

    @property
    def side(self) -> str:
        """The side to which it turns, "" for neither."""
        if abs(self.turning_rps) < TURN_RPS:
            return ""
        return "left" if self.turning_rps > 0 else "right"
