"""The simulator's output for one person's motion: poses, labels and texts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.datasets.clips.shards import PAST_KEYFRAMES

Array = NDArray[np.float64]

RATE_HZ = 16
LEAST_PAST_S = 0.6
PAST_SHARE = 0.5  # of motions, where pasts are asked for


def past_times(rng: np.random.Generator, past_s: float) -> Array:
    """Times (K,) of keyframes before a motion, s, rising, on the poses' grid: one or two a second over a random time.

    Args:
        past_s: seconds of the longest past, at least `LEAST_PAST_S`.
    """
    span = float(rng.uniform(LEAST_PAST_S, past_s))
    rate = float(rng.uniform(1.0, np.clip(PAST_KEYFRAMES / span, 1.0, 2.0)))
    newest = float(rng.uniform(0.1, 1.0)) * min(1 / rate, span)
    count = min(PAST_KEYFRAMES, 1 + int((span - newest) * rate))
    times = -newest - np.arange(count)[::-1] / rate
    return np.minimum(np.rint(times * RATE_HZ), -1) / RATE_HZ


@dataclass(frozen=True)
class PastPoses:
    """Some poses of the same body before a clip, K of them, the earliest first.

    Attributes:
        time: (K,) s from the clip's first pose, below 0. positions: (K, 23, 3). rotations: (K, 23, 3, 3).
        fingers: (K, 2). articulations: {id: (K,)}. objects: {id: (K, 4, 4)}, as in `SyntheticMotion`.
    """

    time: Array
    positions: NDArray[np.float32]
    rotations: NDArray[np.float32]
    fingers: Array
    articulations: dict[str, Array] = field(default_factory=dict)
    objects: dict[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class SyntheticMotion:
    """A body in motion, world frame (z up, metres), with texts and labels.

    Attributes:
        positions: (T, 23, 3) float32. rotations: (T, 23, 3, 3) float32, global.
        text: the goal, an instruction. behaviour: actions joined by "+", of a clip one of `scripts.clip_scripts`.
        offsets: (23, 3) float64, joint offsets; forward kinematics of rotations and offsets gives the positions.
        meta: ground truth: ``head_turn_rad`` (left positive), ``distance_m``, ``net_distance_m`` (of the head, seen
            from above), ``duration_s``; ``hand`` and ``target`` of the first action that has them ("" for none);
            ``texts`` {"action", "posture", "focus"}; ``ambiguous`` (what the text leaves open: "", "target", "side" or
            "hand"); ``actions``, a list of {"action", "start_s", "end_s", "text", "posture", "focus", "side",
            "target", "target_id", "support"}; ``person`` {"scale", "size", "legs", "pace"}.
        rate_hz: poses per second.
        contacts: (T, 2) bool, whether the left and right foot is planted.
        articulations: {`plan.Articulation.id`: (T,) value} of every part that moves in the clip.
        objects: {`plan.Target.id`: (T, 4, 4) T_world_object (origin: the object's centre)} of every object that moves.
        step_phase: (T, 2) phase of the left and right foot's step, 0 … 1 from toe-off to toe-off; 0 while standing.
        fingers: (T, 2) left and right, 0 relaxed … 1 closed around something.
        labels: (T,) the action of each pose, "stand_still" in pauses.
        past: poses before the first one; None for a motion without a past.
    """

    positions: NDArray[np.float32]
    rotations: NDArray[np.float32]
    text: str
    behaviour: str
    offsets: Array
    meta: dict[str, Any] = field(default_factory=dict)
    rate_hz: int = RATE_HZ
    contacts: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 2), dtype=bool))
    articulations: dict[str, Array] = field(default_factory=dict)
    objects: dict[str, Array] = field(default_factory=dict)
    step_phase: Array = field(default_factory=lambda: np.zeros((0, 2)))
    fingers: Array = field(default_factory=lambda: np.zeros((0, 2)))
    labels: tuple[str, ...] = ()
    past: PastPoses | None = None
