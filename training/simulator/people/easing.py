"""Smooth changes over time: minimum-jerk easing, and values made of several changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GRID_HZ = 64  # rate of everything that is planned over time


def ease(time: Array, start: float | Array, end: float | Array) -> Array:
    """Minimum-jerk rise from 0 at ``start`` to 1 at ``end``; the arguments broadcast."""
    u = np.clip((time - start) / np.maximum(np.subtract(end, start), 1e-6), 0.0, 1.0)
    return u**3 * (10 - 15 * u + 6 * u**2)


def integrate(heading: Array, speed: Array) -> Array:
    """Path (N, 2) from the origin for headings and speeds on the grid."""
    step = speed[:, None] * np.stack([np.cos(heading), np.sin(heading)], axis=-1) / GRID_HZ
    return np.concatenate([np.zeros((1, 2)), np.cumsum((step[1:] + step[:-1]) / 2, axis=0)])


@dataclass(frozen=True)
class EasedChanges:
    """A value of D numbers that changes smoothly: each of K changes (K, D) is made from start to end (K,) s.

    Changes add up, so one may begin before the last one has ended.
    """

    start: Array
    end: Array
    change: Array

    @classmethod
    def of(cls, changes: list[tuple[float, float, Array]], width: int) -> EasedChanges:
        """From a list of (start, end, change (D,)); ``width`` is D."""
        change = np.array([c for _, _, c in changes], dtype=float).reshape(-1, width)
        return cls(np.array([c[0] for c in changes]), np.array([c[1] for c in changes]), change)

    def at(self, time: Array) -> Array:
        """The value (T, D) at times (T,)."""
        if not len(self.start):
            return np.zeros((len(time), self.change.shape[1]))
        return ease(time[:, None], self.start, self.end) @ self.change
