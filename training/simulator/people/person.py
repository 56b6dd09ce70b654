"""The wearer: a random body and its habits of standing, stepping and looking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from egotwin_model.geometry.skeleton import XSENS_JOINTS, reference_offsets
from training.simulator.people.footsteps import FootStyle
from training.simulator.people.gaits import WalkCycle, walk_cycle

Array = NDArray[np.float64]

JOINT = {name: index for index, name in enumerate(XSENS_JOINTS)}
SPINE = [JOINT[name] for name in ("L5", "L3", "T12", "T8")]
ARMS = [JOINT[f"{side}_{part}"] for side in "LR" for part in ("UpperArm", "Forearm", "Hand")]
UPPER_BODY = list(range(1, 15))  # spine, neck, head and both arms, parents first
_REFERENCE_LENGTH = float(reference_offsets()[1:7, 2].sum() + 0.84)  # spine, neck and one leg, metres


@dataclass(frozen=True, eq=False)
class Person:
    """One body and its habits.

    Attributes:
        offsets: (23, 3) metres, joint offsets from their parents.
        feet: how this person steps.
        arm_swing: factor on the captured arm motion.
        abduction: (2,) radians, how far the hanging left and right upper arm is from the body.
        elbow: (2,) radians, bend of the hanging left and right elbow.
        slouch: radians the trunk leans forward.
        gaze_pitch: radians the head looks down when it looks at nothing.
        gaze_lead_s: how long before the body the head turns.
        waves: (3, 6) amplitudes, frequencies (rad/s) and phases of the small motions of standing, see `sway`.
        size, leg_share: factors on the reference body and on its legs.
    """

    offsets: Array
    feet: FootStyle
    arm_swing: float
    abduction: Array
    elbow: Array
    slouch: float
    gaze_pitch: float
    gaze_lead_s: float
    waves: Array
    size: float = 1.0
    leg_share: float = 1.0

    @property
    def scale(self) -> float:
        """Size relative to the 1.75 m reference body."""
        return float(self.offsets[1:7, 2].sum() + sum(self.leg)) / _REFERENCE_LENGTH

    @property
    def ankle_height(self) -> float:
        """Height of the ankle joint over the floor when the foot is flat, metres."""
        return float(-self.offsets[JOINT["L_Toe"], 2] * 1.5)

    @property
    def standing_height(self) -> float:
        """Height of the pelvis of a relaxed stand, metres."""
        return sum(self.leg) * 0.992 + self.ankle_height

    @property
    def leg(self) -> tuple[float, float]:
        """Lengths of thigh and shank, metres."""
        return self._length("L_LowerLeg"), self._length("L_Foot")

    @property
    def arm(self) -> tuple[float, float]:
        """Lengths of upper arm and forearm, metres."""
        return self._length("L_Forearm"), self._length("L_Hand")

    def _length(self, joint: str) -> float:
        return float(np.linalg.norm(self.offsets[JOINT[joint]]))


# Splits share no bodies and paces: each has bands of overall size, leg length and pace of its own, with gaps between.
_SIZES = {
    "train": ((0.895, 0.945), (0.965, 1.005), (1.025, 1.065), (1.085, 1.11)),
    "val": ((0.950, 0.960), (1.070, 1.080)),
    "test": ((1.010, 1.020), (0.880, 0.890)),
}
_LEGS = {"train": ((0.965, 0.995), (1.005, 1.035)), "val": ((0.997, 1.003),), "test": ((1.037, 1.05), (0.95, 0.963))}
_PACES = {"train": ((0.94, 0.985), (1.0, 1.06)), "val": ((0.987, 0.998),), "test": ((0.92, 0.938), (1.062, 1.08))}


def _banded(rng: np.random.Generator, bands: tuple[tuple[float, float], ...]) -> float:
    """A random number from one of several bands; wider bands are chosen more often."""
    low, high = np.array(bands).T
    chosen = int(rng.choice(len(low), p=(high - low) / (high - low).sum()))
    return float(rng.uniform(low[chosen], high[chosen]))


def sample_person(rng: np.random.Generator, split: str = "train", gaits: Sequence[WalkCycle] = ()) -> Person:
    """A random body of a split, 0.88 to 1.11 of the reference's size with slightly other proportions, and its habits.

    Sizes, leg proportions and paces of val and test never occur in train.

    Args:
        rng: source of every choice. split: "train", "val" or "test".
        gaits: captured walks; with some, half of the people walk like one of them.
    """
    arm, trunk = rng.normal(1, 0.015, 2)
    size, leg, pace = (_banded(rng, bands[split]) for bands in (_SIZES, _LEGS, _PACES))
    offsets = reference_offsets() * size
    for name, index in JOINT.items():
        if "LowerLeg" in name or "Foot" in name:
            offsets[index] *= leg
        elif "Forearm" in name or "Hand" in name:
            offsets[index] *= arm
        elif index < 7 or "Shoulder" in name:
            offsets[index] *= trunk
    feet = FootStyle(
        pace=pace,
        standing_width=float(rng.uniform(0.085, 0.135)),
        walking_width=float(rng.uniform(0.06, 0.085)),
        toe_out=float(np.radians(rng.uniform(2, 11))),
        lift=float(rng.uniform(0.8, 1.3)),
        cycle=gaits[int(rng.integers(len(gaits)))] if gaits and rng.random() < 0.5 else walk_cycle(),
    )
    amplitudes = rng.uniform(0.3, 1.0, 6) * np.array([0.008, 0.012, 0.006, 0.005, 0.05, 0.025])
    return Person(
        offsets=offsets,
        feet=feet,
        arm_swing=float(rng.uniform(0.75, 1.2)),
        abduction=np.radians(rng.uniform(5, 13, 2)),
        elbow=np.radians(rng.uniform(8, 28, 2)),
        slouch=float(np.radians(rng.uniform(-1, 5))),
        gaze_pitch=float(np.radians(rng.uniform(-2, 10))),
        gaze_lead_s=float(rng.uniform(0.14, 0.28)),
        waves=np.stack([amplitudes, rng.uniform(0.5, 2.2, 6), rng.uniform(0, 2 * np.pi, 6)]),
        size=size,
        leg_share=leg,
    )


def sway(person: Person, time: Array) -> Array:
    """Small slow motions (T, 6): pelvis x and y (m), then trunk pitch and roll, head yaw and pitch (rad)."""
    amplitude, frequency, phase = person.waves
    angle = np.outer(time, frequency) + phase
    return amplitude * (np.sin(angle) + 0.4 * np.sin(2.3 * angle))


@lru_cache(maxsize=8)
def idle_rotvecs(person: Person) -> Array:
    """Local rotation vectors (23, 3) of standing with hanging arms; not to be changed."""
    idle = np.zeros((23, 3))
    for k, (side, sign) in enumerate((("L", -1.0), ("R", 1.0))):
        hang = Rotation.from_rotvec([sign * (np.pi / 2 - person.abduction[k]), 0, 0])
        idle[JOINT[f"{side}_UpperArm"]] = (Rotation.from_rotvec([0, 0.04, 0]) * hang).as_rotvec()
        idle[JOINT[f"{side}_Forearm"]] = hang.inv().apply([0, -person.elbow[k], 0])
    idle[SPINE, 1] = person.slouch / 4
    return idle
