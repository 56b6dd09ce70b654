"""Sizes of the depth network; no torch, so that a robot can prepare its inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import ModelError

CELL = 4
"""Pixels along a side of the cells that the matches of earlier views are given for."""


@dataclass(frozen=True)
class DepthConfig:
    """Sizes of a `DepthNetwork` and of its inputs.

    Attributes:
        size: side of the images it takes, pixels; a multiple of 16. Other views are resampled.
        planes: depths at which earlier views are compared, evenly spaced in log depth.
        nearest_m, farthest_m: the first and the last of them.
        limit_m: no estimate lies beyond, and training ignores what does.
        past: earlier views that are compared at most, the newest first.
        widths: channels at 1/4, 1/8 and 1/16 of the resolution. blocks: residual blocks there on the way down.
        up_blocks: residual blocks on the way up, at 1/4 and 1/8.
    """

    size: int = 128
    planes: int = 32
    nearest_m: float = 0.25
    farthest_m: float = 8.0
    limit_m: float = 20.0
    past: int = 5
    widths: tuple[int, int, int] = (64, 96, 160)
    blocks: tuple[int, int, int] = (1, 2, 3)
    up_blocks: tuple[int, int] = (2, 1)

    def __post_init__(self) -> None:
        for name in ("widths", "blocks", "up_blocks"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # JSON gives lists
        if self.size < 16 or self.size % 16:
            raise ModelError(f"depth network: size {self.size} pixels; wanted a multiple of 16")
        if len(self.widths) != 3 or len(self.blocks) != 3 or len(self.up_blocks) != 2:
            raise ModelError("depth network: wanted three widths, three counts of blocks and two of up_blocks")
        if not (self.planes >= 2 and 0.0 < self.nearest_m < self.farthest_m <= self.limit_m):
            raise ModelError(
                f"depth network: {self.planes} planes from {self.nearest_m} to {self.farthest_m} m, limit "
                f"{self.limit_m} m; wanted at least two, rising, and below the limit"
            )

    @classmethod
    def smoke(cls) -> DepthConfig:
        """For tests: for clips of 64 px."""
        return cls(size=64, planes=4, widths=(8, 8, 8), blocks=(1, 1, 1), up_blocks=(1, 1))

    @property
    def plane_depths(self) -> NDArray[np.float64]:
        """Depths of the planes, (planes,) metres, rising."""
        return np.geomspace(self.nearest_m, self.farthest_m, self.planes)
