"""Postures of pelvis and trunk, and which of them bring a hand to a point."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from egotwin_model.geometry.rotations import rotation_y, rotation_z
from egotwin_model.geometry.skeleton import XSENS_PARENTS, forward_kinematics
from training.simulator.people.person import JOINT, SPINE, Person, idle_rotvecs

Array = NDArray[np.float64]

POSTURE = ("drop", "lean", "turn", "forward", "heel")
"""What a posture is made of: metres the pelvis is lower than in a stand, trunk's forward lean and left turn (rad),
metres the pelvis is ahead of where the body stands (along its heading), heels raised (rad)."""

STANDING = np.zeros(len(POSTURE))
SIDES = {"left": 1.0, "right": -1.0}
PREFIX = {"left": "L", "right": "R"}
STRETCH = 0.95  # of an arm's length, the farthest planned reach
_HIPS_BACK = 0.12  # metres the pelvis moves back per radian of lean
_HIPS_DOWN = 0.10  # metres it moves down
_REACH_TURN = 0.35  # radians the trunk turns its reaching shoulder forward
_DROPS = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.48])
_LEANS = np.radians(np.arange(0, 76, 7.5))
_TRUNK = [JOINT[name] for name in ("L5", "L3", "T12", "T8", "Neck", "Head", "R_Shoulder", "L_Shoulder")]
_FOLDED = 0.3  # metres from shoulder to wrist below which an arm is folded up too much


def crouching(drop: float | Array, lean: float | Array, turn: float | Array = 0.0) -> Array:
    """The posture (..., 5) with the pelvis ``drop`` m lower (for a 1.75 m body) and the trunk leaning ``lean`` rad."""
    drop, lean, turn = np.broadcast_arrays(np.asarray(drop, float), lean, turn)
    heel = np.radians(32) * np.clip((drop - 0.15) / 0.3, 0, 1)
    back = -_HIPS_BACK * lean - 0.28 * drop + 0.05 * np.clip(drop / 0.4, 0, 1)
    return np.stack([drop + _HIPS_DOWN * lean, lean, turn, back, heel], axis=-1)


def chain(local: Array, rotations: Array, joints: list[int]) -> None:
    """Fills the global ``rotations`` (T, 23, 3, 3) of ``joints`` from their local ones; parents come first."""
    for joint in joints:
        rotations[:, joint] = rotations[:, XSENS_PARENTS[joint]] @ local[:, joint]


def bend_trunk(local: Array, lean: Array, turn: Array) -> None:
    """Bends the trunk forward by ``lean`` (T,) rad and turn it by ``turn`` (T,), over pelvis and spine, in place."""
    local[:, 0] = local[:, 0] @ rotation_y(0.4 * lean)
    bend = rotation_z(turn / 4) @ rotation_y(0.6 * lean / 4)
    local[:, SPINE] = bend[:, None] @ local[:, SPINE]


class ReachTable:
    """A person's shoulders in many postures, the most comfortable posture first.

    Keys are "left", "right" (the trunk turns that shoulder forward) and "both" (it does not turn).

    Attributes:
        cost: (P,) discomfort. arm: metres from shoulder to wrist of a straight arm.
    """

    def __init__(self, person: Person) -> None:
        self.person, self.arm = person, sum(person.arm)
        drop, lean = (grid.ravel() for grid in np.meshgrid(_DROPS, _LEANS, indexing="ij"))
        cost = lean**2 + (2.6 * drop) ** 2 + 0.15 * (drop > 0)
        order = np.argsort(cost, kind="stable")
        self.cost = cost[order]
        self._drop, self._lean = drop[order] * person.scale, lean[order]
        self._measured: dict[str, tuple[Array, dict[str, Array], Array]] = {}

    def measured(self, key: str) -> tuple[Array, dict[str, Array], Array]:
        """Postures (P, 5), shoulders {hand: (P, 3)} and heads (P, 3): metres from the point on the floor under the
        stand, x along the heading."""
        if key not in self._measured:
            need = np.clip((self._lean + 2 * self._drop) / 0.3, 0, 1)
            posture = crouching(self._drop, self._lean, -SIDES.get(key, 0.0) * _REACH_TURN * need)
            idle = Rotation.from_rotvec(idle_rotvecs(self.person)).as_matrix()
            local = np.repeat(idle[None], len(posture), axis=0)
            bend_trunk(local, posture[:, 1], posture[:, 2])
            rotations = local.copy()
            chain(local, rotations, _TRUNK)
            height = self.person.standing_height - posture[:, 0]
            pelvis = np.column_stack([posture[:, 3], np.zeros_like(height), height])
            joints = np.asarray(forward_kinematics(pelvis, rotations, self.person.offsets), dtype=np.float64)
            shoulders = {hand: joints[:, JOINT[f"{PREFIX[hand]}_UpperArm"]] for hand in SIDES}
            self._measured[key] = posture, shoulders, joints[:, JOINT["Head"]]
        return self._measured[key]

    def fits(self, wrists: dict[str, Array]) -> NDArray[np.bool_]:
        """Which postures (..., P) bring the wrists of one hand or both, {hand: (..., 3)}, to these points, given from
        the stand with x along the heading."""
        shoulders = self.measured(key_of(wrists))[1]
        fits: NDArray[np.bool_] = np.ones(1, dtype=bool)
        for hand, wrist in wrists.items():
            away = wrist[..., None, :] - shoulders[hand]
            squared = np.einsum("...i,...i->...", away, away)
            fits = fits & (squared <= (STRETCH * self.arm) ** 2) & (squared >= _FOLDED**2)
        return fits


def key_of(hands: Iterable[str]) -> str:
    """The key of some hands in a `ReachTable`."""
    names = list(hands)
    return names[0] if len(names) == 1 else "both"
