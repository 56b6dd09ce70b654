"""Goals as users type them, and whether an imagined motion does what they ask.

`user_goals.json` was written before the training that it judges, and no training reads it. Each goal names the range of
some measured quantities (`QUANTITIES`), or says why it must be refused or warned of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egotwin_model.geometry.skeleton import HEAD, PELVIS, XSENS_JOINTS
from egotwin_model.motion.head_path import heading
from egotwin_model.motion.representation import BodyMotion
from training.evaluation.errors import PredictionError

Array = NDArray[np.float64]
Range = tuple[float, float]

GOALS_FILE = Path(__file__).with_name("user_goals.json")
THING = "{thing}"
_FEET = [XSENS_JOINTS.index(f"{side}_{part}") for side in "LR" for part in ("Foot", "Toe")]
_HANDS = [XSENS_JOINTS.index(f"{side}_Hand") for side in "LR"]
_SKULL = np.array([0.02, 0.0, 0.095])  # its middle in the head's frame, metres
_SPEED_S, _SEEN_S = 0.25, 2.0  # speeds are means over the first; a target counts as seen within the last

QUANTITIES: dict[str, str] = {
    "heading_deg": "turn of the pelvis from the first to the last pose, left positive, full turns counted",
    "abs_heading_deg": "the same, to either side",
    "first_second_turn_deg": "largest turn of the pelvis to either side within the first second",
    "forward_m": "way over the floor at the end, along the pelvis's first heading",
    "left_m": "way over the floor at the end, to the left of it",
    "travel_m": "largest distance over the floor from the first pose",
    "first_second_travel_m": "the same within the first second",
    "last_second_travel_m": "the same from the pose a second before the end",
    "peak_speed_mps": "largest speed of the pelvis over the floor, a mean over 0.25 s",
    "head_drop_m": "how far the head goes down below its first height",
    "head_forward_m": "how far the head goes forward against the feet",
    "feet_rise_m": "how far both feet are above their first height at once",
    "highest_gaze_deg": "highest direction of the head above the horizon",
    "lowest_gaze_deg": "lowest direction of the head above the horizon",
    "peak_gaze_yaw_deg": "turn of the head against the pelvis's first heading where it is largest, left positive",
    "gaze_yaw_range_deg": "between the head's leftmost and rightmost direction",
    "hand_over_head_m": "height of either wrist over the head joint at its highest",
    "left_hand_over_head_m": "the same of the left wrist",
    "right_hand_over_head_m": "the same of the right wrist",
    "left_hand_forward_m": "how far the left wrist reaches ahead of the pelvis",
    "right_hand_forward_m": "how far the right wrist reaches ahead of the pelvis",
    "hand_to_head_m": "least distance of a wrist from the middle of the skull",
}
"""What is measured of every motion; degrees and metres, relative to the first pose where there is no other word."""
TARGET_QUANTITIES: dict[str, str] = {
    "distance_to_target_m": "distance over the floor between pelvis and target at the end",
    "target_in_view_deg": "least horizontal angle between head and target within the last two seconds",
    "round_target_deg": "how far around the target the pelvis goes, to either side",
}
"""What is measured in addition where a target's place is given."""


@dataclass(frozen=True)
class UserGoal:
    """A goal as typed: with wanted ranges (low, high) of quantities, or with why it is ``unknown``."""

    goal: str
    wanted: Mapping[str, Range]
    unknown: str = ""

    @property
    def about_target(self) -> bool:
        """Whether the text names a thing (`THING`)."""
        return THING in self.goal

    def text(self, thing: str = "") -> str:
        """The goal to be typed, with the name of a thing where it names one."""
        return self.goal.replace(THING, thing)


def load_user_goals(path: Path = GOALS_FILE) -> tuple[UserGoal, ...]:
    """Reads and checks a file of goals.

    Raises:
        PredictionError: the file is no such file; an entry is incomplete, given twice, or wants what is not measured.
    """
    try:
        entries = json.loads(path.read_text())["goals"]
        goals = tuple(_goal(path, entry) for entry in entries)
    except (OSError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise PredictionError(f"{path}: {error!r}; wanted {{'goals': [{{'goal', 'wanted' or 'unknown'}}]}}") from error
    texts = [goal.goal for goal in goals]
    if twice := sorted({text for text in texts if texts.count(text) > 1}):
        raise PredictionError(f"{path}: goals {twice} are given twice; remove one of each")
    return goals


def _goal(path: Path, entry: Mapping[str, Any]) -> UserGoal:
    text, wanted, unknown = entry["goal"], entry.get("wanted", {}), entry.get("unknown", "")
    known = QUANTITIES | (TARGET_QUANTITIES if THING in text else {})
    if bool(wanted) == bool(unknown):
        raise PredictionError(f"{path}: goal {text!r} wants ranges under 'wanted', or a reason under 'unknown'")
    for name, limits in wanted.items():
        if name not in known:
            raise PredictionError(
                f"{path}: goal {text!r} wants {name!r}, which is not measured; choose of {list(known)}"
            )
        if len(limits) != 2 or not limits[0] < limits[1]:
            raise PredictionError(f"{path}: goal {text!r} wants {name} in {limits}; wanted [low, high] with low < high")
    return UserGoal(text, {name: (float(low), float(high)) for name, (low, high) in wanted.items()}, unknown)


def measure_quantities(motion: BodyMotion, rate_hz: float, target: ArrayLike | None = None) -> dict[str, float]:
    """Measures one motion: `QUANTITIES`, and `TARGET_QUANTITIES` where there is a target.

    Args:
        motion: of the 23 Xsens joints, positions (T, 23, 3) in a world with z up. rate_hz: poses per second.
        target: (2,) or (3,) m, place of the named thing in that world.

    Raises:
        PredictionError: the motion is of another shape or not finite.
    """
    x, r = np.asarray(motion.positions, dtype=np.float64), np.asarray(motion.rotations, dtype=np.float64)
    if x.ndim != 3 or x.shape[1:] != (len(XSENS_JOINTS), 3) or len(x) < 2 or r.shape != (*x.shape, 3):
        raise PredictionError(f"positions {x.shape}, rotations {r.shape}; wanted one motion (T, 23, 3), (T, 23, 3, 3)")
    if not (np.isfinite(x).all() and np.isfinite(r).all()):
        raise PredictionError("the motion has values that are not finite; score finite samples only")
    measured = _way(x, r, rate_hz) | _gaze(r) | _limbs(x, r)
    if target is not None:
        measured |= _about_target(x, r, rate_hz, np.asarray(target, dtype=np.float64)[:2])
    return {name: float(value) for name, value in measured.items()}


def misses(goal: UserGoal, measured: Mapping[str, float]) -> dict[str, float]:
    """The measured quantities that are outside a goal's wanted ranges; empty where the goal is done.

    Raises:
        PredictionError: a wanted quantity was not measured, or the goal is one that must be refused.
    """
    if goal.unknown:
        raise PredictionError(f"goal {goal.goal!r} must be refused or warned of ({goal.unknown}); no motion does it")
    if missing := [name for name in goal.wanted if name not in measured]:
        raise PredictionError(f"goal {goal.goal!r} wants {missing}; give `measure_quantities` the target's place")
    return {name: measured[name] for name, (low, high) in goal.wanted.items() if not low <= measured[name] <= high}


def _way(x: Array, r: Array, rate_hz: float) -> dict[str, Any]:
    pelvis, yaw = x[:, PELVIS, :2], heading(r[:, PELVIS])
    turned = np.degrees(yaw - yaw[0])
    away = pelvis - pelvis[0]
    ahead = np.array([np.cos(yaw[0]), np.sin(yaw[0])])
    second, window = min(len(x) - 1, round(rate_hz)), min(len(x) - 1, max(1, round(_SPEED_S * rate_hz)))
    return {
        "heading_deg": turned[-1],
        "abs_heading_deg": abs(turned[-1]),
        "first_second_turn_deg": np.abs(turned[: second + 1]).max(),
        "forward_m": away[-1] @ ahead,
        "left_m": away[-1] @ [-ahead[1], ahead[0]],
        "travel_m": _farthest(pelvis),
        "first_second_travel_m": _farthest(pelvis[: second + 1]),
        "last_second_travel_m": _farthest(pelvis[-second - 1 :]),
        "peak_speed_mps": np.linalg.norm(pelvis[window:] - pelvis[:-window], axis=-1).max() * rate_hz / window,
    }


def _farthest(way: Array) -> float:
    return float(np.linalg.norm(way - way[0], axis=-1).max())


def _gaze(r: Array) -> dict[str, Any]:
    pitch = np.degrees(np.arcsin(np.clip(r[:, HEAD, 2, 0], -1, 1)))
    head, first = heading(r[:, HEAD]), heading(r[:1, PELVIS])[0]
    aside = head - first - 2 * np.pi * np.round((head[0] - first) / (2 * np.pi))
    return {
        "highest_gaze_deg": pitch.max(),
        "lowest_gaze_deg": pitch.min(),
        "peak_gaze_yaw_deg": np.degrees(aside[np.abs(aside).argmax()]),
        "gaze_yaw_range_deg": np.degrees(np.ptp(aside)),
    }


def _limbs(x: Array, r: Array) -> dict[str, Any]:
    feet = x[:, _FEET, 2] - x[0, _FEET, 2]
    yaw = heading(r[:, PELVIS])
    ahead = np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
    leaning = np.einsum("tk,tk->t", x[:, HEAD, :2] - x[:, _FEET, :2].mean(axis=1), ahead)
    over = (x[:, _HANDS, 2] - x[:, HEAD, None, 2]).max(axis=0)
    reach = np.einsum("thk,tk->th", x[:, _HANDS, :2] - x[:, None, PELVIS, :2], ahead).max(axis=0)
    skull = x[:, HEAD] + r[:, HEAD] @ _SKULL
    return {
        "head_drop_m": x[0, HEAD, 2] - x[:, HEAD, 2].min(),
        "head_forward_m": leaning.max() - leaning[0],
        "feet_rise_m": feet.min(axis=1).max(),
        "hand_over_head_m": over.max(),
        "left_hand_over_head_m": over[0],
        "right_hand_over_head_m": over[1],
        "left_hand_forward_m": reach[0],
        "right_hand_forward_m": reach[1],
        "hand_to_head_m": np.linalg.norm(x[:, _HANDS] - skull[:, None], axis=-1).min(),
    }


def _about_target(x: Array, r: Array, rate_hz: float, target: Array) -> dict[str, Any]:
    to_target = target - x[:, HEAD, :2]
    aside = np.arctan2(to_target[:, 1], to_target[:, 0]) - heading(r[:, HEAD])
    seen = np.abs(np.arctan2(np.sin(aside), np.cos(aside)))[-max(1, round(_SEEN_S * rate_hz)) :]
    from_target = x[:, PELVIS, :2] - target
    around = np.unwrap(np.arctan2(from_target[:, 1], from_target[:, 0]))
    return {
        "distance_to_target_m": np.linalg.norm(from_target[-1]),
        "target_in_view_deg": np.degrees(seen.min()),
        "round_target_deg": np.degrees(np.abs(around - around[0]).max()),
    }
