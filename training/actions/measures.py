"""What a motion does, in numbers that rules can be made of. World frame, z up, metres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egotwin_model.geometry.skeleton import HEAD, PELVIS, XSENS_JOINTS
from egotwin_model.motion.head_path import displacement, heading

Array = NDArray[np.float64]

STOP_S, PAUSE_S = 0.5, 0.25
_SKULL = np.array([0.02, 0.0, 0.095])  # its middle in the head's frame, metres


def _joint(name: str) -> int:
    return XSENS_JOINTS.index(name)


_HANDS = _joint("L_Hand"), _joint("R_Hand")
_FEET = _joint("L_Foot"), _joint("R_Foot")


@dataclass(frozen=True)
class MotionMeasures:
    """Measures of one motion.

    Attributes:
        turn: heading change of the head, left positive, full turns counted. net: distance between start and end,
            and `ahead`, in the first heading, `aside`, to its left. end: (x, y) of the head at the end.
        turn_time, walk_time: share of the clip by which half of the turn and half of the way are done.
        end_speed: mean speed over the last `STOP_S`. least_speed, top_speed: over the slowest and fastest `PAUSE_S`.
        reach: largest distance of a hand ahead of the pelvis, and reach_height: its height then; was_held and
            held: the distance at the start and at the end (left, right).
        lowest, last: pelvis height over its first one, least and at the end. seat: distance over the floor between
            pelvis and feet at the end.
        thigh: how level the thighs are at the end: 0 upright, 1 horizontal. look: how far the head turns against the
            pelvis beyond its first pose, at most: (left, right, up, down) radians.
        body_turn: turn of the pelvis from start to end. lean: how far the trunk bends forward beyond its first pose.
        knee: least height of a knee over the lower foot. rise: how far both feet are above their first heights at once.
        hand_top: greatest height of the left and right wrist over the head joint; hand_head: least distance of each
            from the middle of the skull.
    """

    turn: float
    net: float
    ahead: float
    aside: float
    end: tuple[float, float]
    turn_time: float
    walk_time: float
    end_speed: float
    least_speed: float
    top_speed: float
    reach: tuple[float, float]
    reach_height: tuple[float, float]
    was_held: tuple[float, float]
    held: tuple[float, float]
    lowest: float
    last: float
    seat: float
    thigh: float
    look: tuple[float, float, float, float]
    body_turn: float
    lean: float
    knee: float
    rise: float
    hand_top: tuple[float, float]
    hand_head: tuple[float, float]

    @property
    def turn_lead(self) -> float:
        """Share of the clip by which the turn comes before the walk."""
        return self.walk_time - self.turn_time


def measure(positions: ArrayLike, rotations: ArrayLike, rate_hz: float) -> MotionMeasures:
    """Measures a motion: positions (T, 23, 3) and global rotations (T, 23, 3, 3)."""
    x, r = np.asarray(positions, dtype=np.float64), np.asarray(rotations, dtype=np.float64)
    head, pelvis = x[:, HEAD], x[:, PELVIS]
    yaw = heading(r[:, HEAD])
    steps = np.linalg.norm(np.diff(pelvis[:, :2], axis=0), axis=-1)
    tail, pause = (min(len(steps), max(1, round(seconds * rate_hz))) for seconds in (STOP_S, PAUSE_S))
    height = pelvis[:, 2] / pelvis[0, 2]
    thigh = [x[-1, _joint(f"{s}_UpperLeg")] - x[-1, _joint(f"{s}_LowerLeg")] for s in "LR"]
    hands = _hands_ahead(x, r)
    speeds = np.convolve(steps, np.full(pause, rate_hz / pause), "valid")
    return MotionMeasures(
        turn=float(yaw[-1] - yaw[0]),
        net=float(displacement(head)),
        ahead=float((head[-1, :2] - head[0, :2]) @ [np.cos(yaw[0]), np.sin(yaw[0])]),
        aside=float((head[-1, :2] - head[0, :2]) @ [-np.sin(yaw[0]), np.cos(yaw[0])]),
        end=(float(head[-1, 0]), float(head[-1, 1])),
        turn_time=_half_time(np.abs(yaw - yaw[0])),
        walk_time=_half_time(np.concatenate([[0.0], np.cumsum(steps)])),
        end_speed=float(steps[-tail:].mean() * rate_hz),
        least_speed=float(speeds.min()),
        top_speed=float(speeds.max()),
        reach=_pair(hands.max(axis=0)),
        reach_height=_pair(x[hands.argmax(axis=0), _HANDS, 2]),
        was_held=_pair(hands[0]),
        held=_pair(hands[-1]),
        lowest=float(height.min()),
        last=float(height[-1]),
        seat=float(np.linalg.norm(pelvis[-1, :2] - x[-1, _FEET, :2].mean(axis=0))),
        thigh=float(np.mean([1.0 - abs(t[2]) / np.linalg.norm(t) for t in thigh])),
        look=_look(r),
        **_limbs(x, r),
    )


def _limbs(x: Array, r: Array) -> dict[str, Any]:
    turned, lean = heading(r[:, PELVIS]), np.arcsin(np.clip(-r[:, _joint("T8"), 2, 0], -1, 1))
    toes = x[:, [_joint("L_Toe"), _joint("R_Toe")], 2]
    knees = x[:, [_joint("L_LowerLeg"), _joint("R_LowerLeg")], 2]
    feet = x[:, [*_FEET, _joint("L_Toe"), _joint("R_Toe")], 2]
    skull = x[:, HEAD] + r[:, HEAD] @ _SKULL
    return {
        "body_turn": float(turned[-1] - turned[0]),
        "lean": float(lean.max() - lean[0]),
        "knee": float((knees.min(axis=1) - toes.min(axis=1)).min()),
        "rise": float((feet - feet[0]).min(axis=1).max()),
        "hand_top": _pair((x[:, _HANDS, 2] - x[:, HEAD, None, 2]).max(axis=0)),
        "hand_head": _pair(np.linalg.norm(x[:, _HANDS] - skull[:, None], axis=-1).min(axis=0)),
    }


def _pair(values: Array) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _half_time(amount: Array) -> float:
    """Share of the clip at which `amount` (T,) has first reached half of its end."""
    return float(np.argmax(amount >= amount[-1] / 2) / max(1, len(amount) - 1)) if amount[-1] > 1e-6 else 1.0


def _hands_ahead(x: Array, r: Array) -> Array:
    """Metres of the left and right wrist ahead of the pelvis, in its heading: (T, 2)."""
    yaw = heading(r[:, PELVIS])
    ahead = np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
    return np.einsum("thk,tk->th", x[:, _HANDS, :2] - x[:, None, PELVIS, :2], ahead)


def _look(r: Array) -> tuple[float, float, float, float]:
    relative = np.swapaxes(r[:, PELVIS], -1, -2) @ r[:, HEAD]
    yaw = np.arctan2(relative[:, 1, 0], relative[:, 0, 0])
    pitch = -np.arcsin(np.clip(relative[:, 2, 0], -1, 1))  # forward axis below the horizon: positive
    yaw, pitch = yaw - yaw[0], pitch - pitch[0]
    return float(yaw.max()), float(-yaw.min()), float(-pitch.min()), float(pitch.max())
