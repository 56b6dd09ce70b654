"""Does a body do what was asked? Fixed rules that read the behaviour off the motion, no network.

World frame, z up, metres. `python -m training.evaluation.obedience --data data/world64` prints how often the rules
recognise true clips, and how often they take one behaviour for another.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egotwin_model.errors import EgoTwinError
from egotwin_model.skeleton import HEAD, PELVIS, XSENS_JOINTS
from training.evaluation.motion import displacement, heading
from training.sequences.dataset import open_clips
from training.world.narration import kind_of

Array = NDArray[np.float64]
Motion = tuple[NDArray[Any], NDArray[Any]]
MARGIN_S = 0.25
TURN_TOLERANCE = 0.4  # of the true angle
STILL_TURN_RAD, STILL_M, TURNING_STEP_M = np.deg2rad(20.0), 0.25, 0.7
WALK_M, STRAIGHT_RAD = 0.8, np.deg2rad(40.0)
STOP_S, STOP_SPEED = 0.5, 0.25
TURN_FIRST = 0.27  # so much of the clip lies between half the turn and half the way where the turn comes first
REACH_M = 0.12  # further than the other hand
LOOK_RAD, LOWER_SHARE, SIT_SHARE, THIGH_LEVEL = np.deg2rad(15.0), 0.75, (0.40, 0.75), 0.45


def _joint(name: str) -> int:
    return XSENS_JOINTS.index(name)


@dataclass(frozen=True)
class Reading:
    """What a motion does, in numbers.

    Attributes:
        turn: heading change of the head, left positive, full turns counted. net: distance between start and end,
            and `ahead`, in the first heading.
        turn_time, walk_time: share of the clip by which half of the turn and half of the way are done.
        end_speed: mean speed over the last `STOP_S`. reach: wrist ahead of and above its shoulder, summed, at most,
            in metres (left, right). lowest, last: pelvis height over its first one, least and at the end.
        thigh: how level the thighs are at the end: 0 upright, 1 horizontal. look: how far the head turns against the
            pelvis beyond its first pose, at most: (left, right, up, down) radians.
    """

    turn: float
    net: float
    ahead: float
    turn_time: float
    walk_time: float
    end_speed: float
    reach: tuple[float, float]
    lowest: float
    last: float
    thigh: float
    look: tuple[float, float, float, float]


def read(positions: ArrayLike, rotations: ArrayLike, rate_hz: float) -> Reading:
    """Of one motion (T, 23, 3), (T, 23, 3, 3)."""
    x, r = np.asarray(positions, dtype=np.float64), np.asarray(rotations, dtype=np.float64)
    head, pelvis = x[:, HEAD], x[:, PELVIS]
    yaw = heading(r[:, HEAD])
    steps = np.linalg.norm(np.diff(pelvis[:, :2], axis=0), axis=-1)
    tail = max(1, round(STOP_S * rate_hz))
    height = pelvis[:, 2] / pelvis[0, 2]
    thigh = [x[-1, _joint(f"{s}_UpperLeg")] - x[-1, _joint(f"{s}_LowerLeg")] for s in "LR"]
    return Reading(
        turn=float(yaw[-1] - yaw[0]),
        net=float(displacement(head)),
        ahead=float((head[-1, :2] - head[0, :2]) @ [np.cos(yaw[0]), np.sin(yaw[0])]),
        turn_time=_half_time(np.abs(yaw - yaw[0])),
        walk_time=_half_time(np.concatenate([[0.0], np.cumsum(steps)])),
        end_speed=float(steps[-tail:].mean() * rate_hz),
        reach=(_reach(x, r, "L"), _reach(x, r, "R")),
        lowest=float(height.min()),
        last=float(height[-1]),
        thigh=float(np.mean([1.0 - abs(t[2]) / np.linalg.norm(t) for t in thigh])),
        look=_look(r),
    )


def _half_time(amount: Array) -> float:
    """Share of the clip at which `amount` (T,) has first reached half of its end."""
    return float(np.argmax(amount >= amount[-1] / 2) / max(1, len(amount) - 1)) if amount[-1] > 1e-6 else 1.0


def _reach(x: Array, r: Array, side: str) -> float:
    """Furthest reach of a hand: metres ahead of its shoulder, in the pelvis' heading, plus metres above it."""
    yaw = heading(r[:, PELVIS])
    ahead = np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
    arm = x[:, _joint(f"{side}_Hand")] - x[:, _joint(f"{side}_UpperArm")]
    return float(((arm[:, :2] * ahead).sum(-1) + arm[:, 2]).max())


def _look(r: Array) -> tuple[float, float, float, float]:
    relative = np.swapaxes(r[:, PELVIS], -1, -2) @ r[:, HEAD]
    yaw = np.arctan2(relative[:, 1, 0], relative[:, 0, 0])
    pitch = -np.arcsin(np.clip(relative[:, 2, 0], -1, 1))  # forward axis below the horizon: positive
    yaw, pitch = yaw - yaw[0], pitch - pitch[0]
    return float(yaw.max()), float(-yaw.min()), float(-pitch.min()), float(pitch.max())


def obeys(behaviour: str, found: Reading, truth: Reading, hand: str = "") -> bool | None:
    """Whether a motion does what the goal asked; None for a behaviour that no rule here knows.

    Args:
        behaviour: as in a clip's record; a side is part of its name. found: the motion judged.
        truth: the true clip's reading, whose angle tells how much was asked.
        hand: "left" or "right" for reaching; "" takes either.
    """
    kind, side = kind_of(behaviour)
    turned = abs(found.turn - truth.turn) <= TURN_TOLERANCE * abs(truth.turn)
    walked = found.net > min(WALK_M, 0.6 * truth.net) and found.net > STILL_M
    standing = found.net < TURNING_STEP_M
    order = found.walk_time - found.turn_time
    rules = {
        "stand_still": _still(found),
        "turn": turned and standing,
        "turn_around": turned and standing,
        "walk_forward": walked and abs(found.turn) < STRAIGHT_RAD,
        "walk_turn": walked and turned and order < TURN_FIRST,
        "turn_walk": walked and turned and order > TURN_FIRST,
        "walk_stop": walked and abs(found.turn) < STRAIGHT_RAD and found.end_speed < STOP_SPEED,
        "walk_to": walked,
        "walk_back": walked and found.ahead < 0,
        "reach": _reached(found, hand) and standing,
        "walk_reach": _reached(found, hand) and found.net > TURNING_STEP_M and found.end_speed < STOP_SPEED,
        **dict.fromkeys(("pick_up", "put_down", "open", "close"), _reached(found, hand)),
        "crouch": found.lowest < LOWER_SHARE and standing,
        "sit": SIT_SHARE[0] < found.last < SIT_SHARE[1] and found.thigh > THIGH_LEVEL,
        "stand_up": found.last > 1.0 / LOWER_SHARE,
        "look": standing and found.look[1 if side == "right" else 0] > LOOK_RAD,
        "look_at": standing and (turned or abs(found.turn - truth.turn) < LOOK_RAD),
        "look_up": standing and found.look[2] > LOOK_RAD,
        "look_down": standing and found.look[3] > LOOK_RAD,
        "look_around": standing and min(found.look[:2]) > LOOK_RAD,
    }
    return rules.get(kind)


def obeys_record(record: Mapping[str, Any], found: Motion, truth: Motion, rate_hz: float) -> bool | None:
    """Whether a motion does what a clip's record asks: its behaviour, or every one of its `actions` in its time.

    An action is judged from `MARGIN_S` before it begins in the true clip until as long after its end.

    Args:
        record: with "behaviour", "hand", and "actions" ({"action", "start_s", "end_s", "side"}, ...) where a clip holds
            several. found, truth: positions (T, 23, 3) and rotations (T, 23, 3, 3).
    """
    actions = record.get("actions") or []
    if not actions:
        readings = [read(positions, rotations, rate_hz) for positions, rotations in (found, truth)]
        return obeys(str(record["behaviour"]), readings[0], readings[1], str(record.get("hand") or ""))
    answers = []
    for action in actions:
        begin = max(0, round((action["start_s"] - MARGIN_S) * rate_hz))
        window = slice(begin, round((action["end_s"] + MARGIN_S) * rate_hz) + 1)
        if len(found[0][window]) > 2 * MARGIN_S * rate_hz:
            readings = [read(positions[window], rotations[window], rate_hz) for positions, rotations in (found, truth)]
            answers.append(obeys(str(action["action"]), readings[0], readings[1], str(action.get("side") or "")))
    known = [answer for answer in answers if answer is not None]
    return all(known) if known else None


def _still(found: Reading) -> bool:
    idle_hands = abs(found.reach[0] - found.reach[1]) < 2 * REACH_M
    return found.net < STILL_M and abs(found.turn) < STILL_TURN_RAD and max(found.look) < LOOK_RAD and idle_hands


def _reached(found: Reading, hand: str) -> bool:
    left, right = found.reach
    return {"left": left - right, "right": right - left}.get(hand, abs(left - right)) > REACH_M


def verify(data: Path, split: str) -> tuple[dict[str, float], dict[str, float]]:
    """On true clips: share that obeys its own behaviour's rule, and share of *other* behaviours' clips that also does.

    Asked for another behaviour, a clip is held against that one's median angle and distance.
    """
    clips = open_clips(data / split)
    rate = clips.manifest.pose_rate
    names = [str(record["behaviour"]) for record in clips.records]
    readings = [
        read(clips.tensor("positions", number), clips.tensor("rotations", number), rate) for number in range(len(clips))
    ]
    own: dict[str, list[bool]] = defaultdict(list)
    other: dict[str, list[bool]] = defaultdict(list)
    for asked in sorted(set(names)):
        alike = [reading for name, reading in zip(names, readings, strict=True) if name == asked]
        turn, net = (float(np.median([getattr(reading, key) for reading in alike])) for key in ("turn", "net"))
        for number, (name, reading) in enumerate(zip(names, readings, strict=True)):
            truth = reading if name == asked else replace(reading, turn=turn, net=net)
            answer = obeys(asked, reading, truth, str(clips.records[number].get("hand") or ""))
            if answer is not None:
                (own if name == asked else other)[asked].append(answer)
    return (
        {name: float(np.mean(values)) for name, values in own.items()},
        {name: float(np.mean(values)) for name, values in other.items()},
    )


def main(argv: list[str] | None = None) -> int:
    """Prints how well the rules tell true clips apart."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluation.obedience", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with one folder of clips per split")
    parser.add_argument("--split", default="test")
    arguments = parser.parse_args(argv)
    try:
        own, other = verify(arguments.data, arguments.split)
    except EgoTwinError as error:
        print(f"{parser.prog}: {error}")
        return 1
    width = max(map(len, own))
    print(f"{'behaviour':<{width}}  own clips  other clips")
    for name in sorted(own):
        print(f"{name:<{width}}  {own[name]:8.1%}  {other[name]:10.1%}")
    print(f"{'mean':<{width}}  {np.mean(list(own.values())):8.1%}  {np.mean(list(other.values())):10.1%}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
