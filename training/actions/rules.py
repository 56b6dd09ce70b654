"""Fixed rules that read an action off a motion: no network, only thresholds. World frame, z up, metres.

How far a turn or a walk should go is the true clip's to say; everything else a rule asks for is written here. What the
rules recognise, and what they take for something else, is printed by `python -m training.evaluation.metrics.obedience`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egotwin_model.geometry.skeleton import HEAD, PELVIS, XSENS_JOINTS
from egotwin_model.motion.head_path import displacement, heading
from training.actions.wording import kind_of

Array = NDArray[np.float64]
TOLERANCE = 0.4  # of the true angle, and of the way to where the true wearer stops
STILL_TURN_RAD, STILL_M, TURNING_STEP_M, STEP_M = np.deg2rad(20.0), 0.25, 0.7, 0.4
WALK_M, STRAIGHT_RAD = 0.8, np.deg2rad(40.0)
STOP_S, PAUSE_S, STOP_SPEED = 0.5, 0.25, 0.25
TURN_FIRST = 0.27  # so much of the clip lies between half the turn and half the way where the turn comes first
REACH_M = 0.34  # ahead of the pelvis: hands that swing stay behind it
HEIGHT_M = 0.3  # a hand reaches this near to the true one's height: what is named is so high
HELD_M = (0.15, 0.45)  # ahead of the pelvis: where hands carry something, before and after they reach for it
LOOK_RAD, LOWER_SHARE, SIT_SHARE, THIGH_LEVEL = np.deg2rad(15.0), 0.75, (0.40, 0.75), 0.45
SEAT_M = 0.22  # a sitter's pelvis is further behind the feet than a squatter's, who keeps the balance


def _joint(name: str) -> int:
    return XSENS_JOINTS.index(name)


_HANDS = _joint("L_Hand"), _joint("R_Hand")
_FEET = _joint("L_Foot"), _joint("R_Foot")


@dataclass(frozen=True)
class Reading:
    """What a motion does, in numbers.

    Attributes:
        turn: heading change of the head, left positive, full turns counted. net: distance between start and end,
            and `ahead`, in the first heading. end: (x, y) of the head at the end.
        turn_time, walk_time: share of the clip by which half of the turn and half of the way are done.
        end_speed: mean speed over the last `STOP_S`. least_speed: over the slowest `PAUSE_S`.
        reach: how far a hand comes ahead of the pelvis, at most, and reach_height: over the floor, then; was_held and
            held: how far ahead it is at the start and at the end (left, right).
        lowest, last: pelvis height over its first one, least and at the end. seat: distance over the floor between
            pelvis and feet at the end.
        thigh: how level the thighs are at the end: 0 upright, 1 horizontal. look: how far the head turns against the
            pelvis beyond its first pose, at most: (left, right, up, down) radians.
    """

    turn: float
    net: float
    ahead: float
    end: tuple[float, float]
    turn_time: float
    walk_time: float
    end_speed: float
    least_speed: float
    reach: tuple[float, float]
    reach_height: tuple[float, float]
    was_held: tuple[float, float]
    held: tuple[float, float]
    lowest: float
    last: float
    seat: float
    thigh: float
    look: tuple[float, float, float, float]


def read(positions: ArrayLike, rotations: ArrayLike, rate_hz: float) -> Reading:
    """Of one motion (T, 23, 3), (T, 23, 3, 3)."""
    x, r = np.asarray(positions, dtype=np.float64), np.asarray(rotations, dtype=np.float64)
    head, pelvis = x[:, HEAD], x[:, PELVIS]
    yaw = heading(r[:, HEAD])
    steps = np.linalg.norm(np.diff(pelvis[:, :2], axis=0), axis=-1)
    tail, pause = (min(len(steps), max(1, round(seconds * rate_hz))) for seconds in (STOP_S, PAUSE_S))
    height = pelvis[:, 2] / pelvis[0, 2]
    thigh = [x[-1, _joint(f"{s}_UpperLeg")] - x[-1, _joint(f"{s}_LowerLeg")] for s in "LR"]
    hands = _hands_ahead(x, r)
    return Reading(
        turn=float(yaw[-1] - yaw[0]),
        net=float(displacement(head)),
        ahead=float((head[-1, :2] - head[0, :2]) @ [np.cos(yaw[0]), np.sin(yaw[0])]),
        end=(float(head[-1, 0]), float(head[-1, 1])),
        turn_time=_half_time(np.abs(yaw - yaw[0])),
        walk_time=_half_time(np.concatenate([[0.0], np.cumsum(steps)])),
        end_speed=float(steps[-tail:].mean() * rate_hz),
        least_speed=float(np.convolve(steps, np.full(pause, 1.0 / pause), "valid").min() * rate_hz),
        reach=_pair(hands.max(axis=0)),
        reach_height=_pair(x[hands.argmax(axis=0), _HANDS, 2]),
        was_held=_pair(hands[0]),
        held=_pair(hands[-1]),
        lowest=float(height.min()),
        last=float(height[-1]),
        seat=float(np.linalg.norm(pelvis[-1, :2] - x[-1, _FEET, :2].mean(axis=0))),
        thigh=float(np.mean([1.0 - abs(t[2]) / np.linalg.norm(t) for t in thigh])),
        look=_look(r),
    )


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


def obeys(action: str, found: Reading, truth: Reading, hand: str = "", left_open: str = "") -> bool | None:
    """Whether a motion does what the goal asked; None for an action that no rule here knows.

    Args:
        action: as in a clip's record; a side is part of its name. found: the motion judged.
        truth: the true clip's reading, whose angle and end tell how much was asked.
        hand: "left", "right" or "both" for what hands do; "" takes either one.
        left_open: what the text does not say: "side" takes turns to either side, "hand" either hand, "target" any
            place to walk to.
    """
    kind, _ = kind_of(action)
    sides = (1.0, -1.0) if left_open == "side" else (1.0,)
    turned = any(abs(s * found.turn - truth.turn) <= TOLERANCE * abs(truth.turn) for s in sides)
    went = found.net > min(WALK_M, 0.6 * truth.net) and found.net > STILL_M
    walked = went and found.ahead > 0
    arrived = left_open == "target" or np.hypot(*np.subtract(found.end, truth.end)) <= TOLERANCE * truth.net
    standing, straight = found.net < max(TURNING_STEP_M, truth.net + STEP_M), abs(found.turn) < STRAIGHT_RAD
    order = found.walk_time - found.turn_time
    hand = "" if left_open == "hand" and hand != "both" else hand
    heights = [left_open == "target" or abs(a - b) < HEIGHT_M for a, b in _heights(hand, found, truth)]
    reached = _hands_that(hand, [ahead > REACH_M and fits for ahead, fits in zip(found.reach, heights, strict=True)])
    rules = {
        "stand_still": _still(found) if _still(truth) else _idle(found) and found.least_speed < STOP_SPEED,
        "turn": turned and standing,
        "turn_around": turned and standing,
        "walk_forward": walked and straight,
        "walk_turn": went and turned and order < TURN_FIRST,
        "turn_walk": went and turned and order > TURN_FIRST,
        "walk_stop": walked and straight and found.end_speed < STOP_SPEED,
        "walk_to": went and arrived,
        "walk_back": went and found.ahead < 0 and straight,
        "reach": reached,
        "pick_up": reached and _hands_that(hand, [HELD_M[0] < ahead < HELD_M[1] for ahead in found.held]),
        "put_down": reached and _hands_that(hand, [HELD_M[0] < ahead < HELD_M[1] for ahead in found.was_held]),
        "open": reached,
        "close": reached,
        "crouch": found.lowest < LOWER_SHARE and found.seat < SEAT_M and standing and max(found.reach) < REACH_M,
        "sit": SIT_SHARE[0] < found.last < SIT_SHARE[1] and found.thigh > THIGH_LEVEL and found.seat > SEAT_M,
        "stand_up": found.last > 1.0 / LOWER_SHARE,
        "look_at": standing and (left_open == "target" or turned or abs(found.turn - truth.turn) < LOOK_RAD),
    }
    answer = rules.get(kind)
    return None if answer is None else bool(answer)


def _still(found: Reading) -> bool:
    quiet = found.net < STILL_M and abs(found.turn) < STILL_TURN_RAD and max(found.look) < LOOK_RAD
    return quiet and _idle(found)


def _idle(found: Reading) -> bool:
    return max(found.reach) < REACH_M and found.lowest > LOWER_SHARE


def _heights(hand: str, found: Reading, truth: Reading) -> list[tuple[float, float]]:
    """Heights that the hands reached, (left, right), each with the true one: of the hand that was asked, or, where
    either will do, of the one that truly reached furthest."""
    true = list(truth.reach_height)
    if hand not in ("left", "right", "both"):
        true = [true[int(truth.reach[1] > truth.reach[0])]] * 2
    return list(zip(found.reach_height, true, strict=True))


def _hands_that(hand: str, answers: list[bool]) -> bool:
    """Of (left, right): the asked one's answer, both where both are asked, any where none is named."""
    left, right = answers
    return {"left": left, "right": right, "both": left and right}.get(hand, left or right)
