"""Jumps on the spot: the body dips, pushes off, flies, and is caught by the knees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.simulator.people.easing import ease

Array = NDArray[np.float64]

_GRAVITY = 9.81
_DIP_M = 0.17  # how far the pelvis goes down before the push and after the flight
_DIP_S, _RECOVER_S = 0.42, 0.5
_TIPTOE = np.radians(32)  # of the feet in the air


@dataclass(frozen=True)
class Jump:
    """One jump, straight up.

    Attributes:
        off_s: when the feet leave the floor. height: metres that the body rises in flight.
    """

    off_s: float
    height: float

    @classmethod
    def beginning(cls, start_s: float, height: float) -> Jump:
        """A jump that begins to dip at a time."""
        return cls(start_s + _DIP_S + cls(0.0, height).push_s, height)

    @property
    def speed(self) -> float:
        """At which the feet leave the floor, m/s."""
        return float(np.sqrt(2 * _GRAVITY * self.height))

    @property
    def push_s(self) -> float:
        """Duration of the push, and of the catch: a constant acceleration over the dip."""
        return 2 * _DIP_M / self.speed

    @property
    def down_s(self) -> float:
        """When the feet are back on the floor."""
        return self.off_s + 2 * self.speed / _GRAVITY

    @property
    def end_s(self) -> float:
        """When the body stands again."""
        return self.down_s + self.push_s + _RECOVER_S

    def flies(self, time: Array) -> NDArray[np.bool_]:
        """Whether the feet are in the air at times (T,)."""
        return (time > self.off_s) & (time < self.down_s)

    def rise(self, time: Array) -> Array:
        """Metres (T,) that the body is higher than in a stand; negative in the dips."""
        push, speed = self.push_s, self.speed
        before, since = self.off_s - time, time - self.off_s
        after = time - self.down_s
        dipping = -_DIP_M * ease(time, self.off_s - push - _DIP_S, self.off_s - push)
        pushing = -_DIP_M + _DIP_M * np.clip(1 - before / push, 0, 1) ** 2
        flying = speed * since - _GRAVITY / 2 * since**2
        caught = -_DIP_M + _DIP_M * np.clip(1 - after / push, 0, 1) ** 2
        rising = -_DIP_M * (1 - ease(time, self.down_s + push, self.end_s))
        stages = [time < self.off_s - push, time < self.off_s, time < self.down_s, time < self.down_s + push]
        return np.select(stages, [dipping, pushing, flying, caught], rising)

    def tiptoe(self, time: Array) -> Array:
        """Radians (T,) by which the heels are raised."""
        return _TIPTOE * ease(time, self.off_s - 0.14, self.off_s + 0.06) * (
            1 - ease(time, self.down_s - 0.1, self.down_s + 0.1)
        )  # fmt: skip
