"""How hands hold or touch things: their attitude and the point that is held, by the size of the thing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.simulator.people.hand_motion import attitude, finger_point, grip_point
from training.simulator.rooms.plan import Target

Array = NDArray[np.float64]

_TALL_M = 0.11  # things this high are taken from the side, others from above


@dataclass(frozen=True)
class Grasp:
    """How one hand or both hold something.

    Attributes:
        attitude: {hand: rotation (3, 3) relative to the heading}. point: {hand: held point (3,) in its frame}.
    """

    attitude: dict[str, Array]
    point: dict[str, Array]

    @property
    def hands(self) -> list[str]:
        return list(self.attitude)


def grasp_of(target: Target, hands: tuple[str, ...], low: bool) -> Grasp:
    """How to hold an object: tall ones from the side, flat ones and those on the floor from above, wide ones between
    two hands."""
    width, height = (min(target.size[:2]) or 0.1), (target.size[2] or 0.1)
    if len(hands) > 1:
        roll, pitch, radius = np.radians(82), np.radians(25), max(target.size[:2]) / 2
    elif height >= _TALL_M and not low and width < 0.12:
        roll, pitch, radius = np.radians(78), np.radians(8), width / 2
    else:
        roll, pitch, radius = np.radians(20), np.radians(58 if low else 34), min(width, height) / 2
    return Grasp(
        {hand: attitude(hand, roll, pitch) for hand in hands}, {hand: grip_point(hand, radius) for hand in hands}
    )


def touching_grasp(hand: str) -> Grasp:
    """A hand stretched out to touch with its fingertips."""
    return Grasp({hand: attitude(hand, np.radians(25), np.radians(20))}, {hand: finger_point(hand)})


def scaled(grasp: Grasp, scale: float) -> Grasp:
    """The same grasp for a hand of another size."""
    return Grasp(grasp.attitude, {hand: point * scale for hand, point in grasp.point.items()})
