"""A task of a hand: to go to a place, stay there or follow it, and come back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.rotations import rotation_z
from training.simulator.people.easing import ease

Array = NDArray[np.float64]

_RISE = 0.08  # metres a hand rises over what is in its way


@dataclass(frozen=True)
class HandTask:
    """To be at a place for some time: the hand goes there, stays or follows, and comes back or begins its next task.

    Attributes:
        hand: "left" or "right".
        wrist: (K, 3) metres at ``times``: in the world, or from the pelvis with x along the heading (``carried``).
        rotation: (3, 3) or (K, 3, 3) of the hand in the same frame.
        times: (K,) s.
        start_s, arrive_s, leave_s, back_s: the way there and the way back.
        carried: the frame moves with the body.
        up_first: the hand rises (or comes back level) before it goes across; else it goes across and then down.
        grip: how closed the fingers are meanwhile, 0 … 1.
        swing: metres it rises on its way.
        apart: share of the time on the way by which going across and going up or down are separated.
    """

    hand: str
    wrist: Array
    rotation: Array
    times: Array
    start_s: float
    arrive_s: float
    leave_s: float = np.inf
    back_s: float = np.inf
    carried: bool = False
    up_first: bool = True
    grip: float = 0.0
    swing: float = _RISE
    apart: float = 0.3

    def weights(self, time: Array) -> tuple[Array, Array]:
        """How far the hand has got, across and up or down: two of (T,), from 0 to 1 and back."""
        go, back = self.apart * (self.arrive_s - self.start_s), self.apart * (self.back_s - self.leave_s)
        first = ease(time, self.start_s, self.arrive_s - go)
        second = ease(time, self.start_s + go, self.arrive_s)
        if np.isfinite(self.back_s):
            first = first * (1 - ease(time, self.leave_s + back, self.back_s))
            second = second * (1 - ease(time, self.leave_s, self.back_s - back))
        return (second, first) if self.up_first else (first, second)

    def pose(self, time: Array, pelvis: Array, heading: Array) -> tuple[Array, Array]:
        """World wrist (T, 3) and hand rotation (T, 3, 3) of the task at times (T,), constant before and after it."""
        wrist = np.stack([np.interp(time, self.times, self.wrist[:, k]) for k in range(3)], axis=-1)
        rotation = self.rotation
        if rotation.ndim == 3:
            nearest = np.clip(np.searchsorted(self.times, time), 0, len(self.times) - 1)
            rotation = rotation[nearest]
        if not self.carried:
            return wrist, np.broadcast_to(rotation, (len(time), 3, 3))
        facing = rotation_z(heading)
        return pelvis + np.einsum("tij,tj->ti", facing, wrist), facing @ rotation
