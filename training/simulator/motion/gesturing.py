"""Gestures of one hand while the body stands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.simulator.motion.performing import performs
from training.simulator.motion.timeline import ActionSpan, Timeline
from training.simulator.people.easing import GRID_HZ
from training.simulator.people.hand_motion import attitude
from training.simulator.people.hand_task import HandTask
from training.simulator.people.posture import SIDES

Array = NDArray[np.float64]

_STEP_S = 4 / GRID_HZ


def _gesture(line: Timeline, name: str, place: tuple[float, float, float], rotation: Array, hand: str,
             swing: tuple[float, float, float] = (0.0, 0.0, 0.0), rate_hz: float = 1.0) -> None:  # fmt: skip
    """Brings a free hand to a place and takes it down again, or keeps it there.

    Args:
        place: of the wrist from the pelvis of a 1.75 m body: ahead, outward, up. swing: metres it swings about it.
    """
    rng, sign = line.rng, SIDES[hand]
    start = line.now + float(rng.uniform(0.1, 0.8))
    arrive = start + float(rng.uniform(1.1, 1.4))
    leave = arrive + float(rng.uniform(0.9, 1.5))
    back = leave + float(rng.uniform(1.1, 1.4))
    times = np.arange(start, back, _STEP_S)
    wave = np.sin(2 * np.pi * rate_hz * (times - arrive)) * np.clip((times - arrive + 0.2) / 0.4, 0, 1)
    outward = np.array([1.0, sign, 1.0])
    wrist = (np.array(place) + wave[:, None] * np.array(swing)) * outward * line.person.scale
    line.tasks.append(
        HandTask(hand, wrist, rotation, times, start, arrive, leave, back, carried=True, swing=0.0, apart=0.1)
    )
    line.spans.append(ActionSpan(name, start, back, hand))
    line.shown_s = leave
    line.wait_until(back - 0.2)


@performs("wave")
def wave(line: Timeline) -> None:
    hand = line.free_hand()
    fingers_up = attitude(hand, 0.0, np.radians(-78))
    height = float(line.rng.uniform(0.62, 0.76))
    rate = float(line.rng.uniform(1.3, 1.9))
    _gesture(line, "wave", (0.24, 0.34, height), fingers_up, hand, (0.0, 0.07, 0.0), rate)


@performs("raise_hand")
def raise_hand(line: Timeline) -> None:
    hand = line.free_hand()
    ahead, aside, up = (float(line.rng.uniform(*ends)) for ends in ((0.2, 0.28), (0.2, 0.28), (0.76, 0.86)))
    _gesture(line, "raise_hand", (ahead, aside, up), attitude(hand, 0.0, np.radians(-82)), hand)


@performs("point")
def point(line: Timeline) -> None:
    hand = line.free_hand()
    place = 0.48, float(line.rng.uniform(0.06, 0.16)), float(line.rng.uniform(0.42, 0.54))
    _gesture(line, "point", place, attitude(hand, np.radians(50), np.radians(-4)), hand)


@performs("scratch")
def scratch(line: Timeline) -> None:
    hand = line.free_hand()
    rotation = attitude(hand, np.radians(20), np.radians(-62), inward=np.radians(50))
    _gesture(line, "scratch", (0.15, 0.16, 0.78), rotation, hand, (0.0, 0.0, 0.012), 2.2)
