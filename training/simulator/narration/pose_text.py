"""Texts read off poses, as Nymeria has them: the posture, and the focus of attention."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.skeleton import HEAD
from egotwin_model.motion.head_path import heading
from training.simulator.people.person import JOINT

Array = NDArray[np.float64]

_SUBJECTS = {"train": ("the person", "the wearer"), "test": ("this person", "someone")}
_LEGS = {
    "standing": (("stands with straight legs", "stands upright"), ("is upright on both feet",)),
    "walking forward": (("walks forward", "steps forward"), ("strides ahead",)),
    "walking backward": (("walks backward", "steps back"), ("moves back step by step",)),
    "stepping": (("takes small steps", "shifts the feet"), ("makes little steps in place",)),
    "squatting": (("squats with the heels raised", "is down in a squat"), ("crouches on bent knees",)),
    "knees bent": (("bends the knees", "stands with bent knees"), ("has both knees bent",)),
    "sitting": (("sits with bent knees", "is seated"), ("rests on a seat",)),
}
_TRUNKS = {
    "upright": (("the back is straight", "the trunk is upright"), ("the torso is held straight",)),
    "leaning": (("the trunk leans forward", "the upper body tilts forward"), ("the torso is inclined",)),
    "bent": (("the trunk is bent far forward", "the upper body is bent over"), ("the torso is folded forward",)),
}
_HANDS = {
    "down": (("hangs at the side", "is down at the side"), ("dangles beside the body",)),
    "before": (("is held before the body", "is bent in front of the chest"), ("is kept in front",)),
    "out": (("is stretched out forward", "reaches forward"), ("extends ahead",)),
    "low": (("reaches down", "is stretched towards the floor"), ("extends downward",)),
    "high": (("is raised above the shoulder", "reaches up"), ("extends upward",)),
    "swinging": (("swings with the steps", "swings along"), ("moves with the stride",)),
    "lap": (("rests on the thigh", "lies on the knee"), ("is laid on the leg",)),
}
_TURNS = (("while turning to the {side}", "and turns {side}"), ("turning {side}",))
_FOCUS = {
    "aim": (("the attention is on the {name}", "{subject} looks at the {name}"), ("the eyes rest on the {name}",)),
    "way": (("{subject} looks where the way goes", "the eyes are on the way ahead"), ("the gaze goes straight ahead",)),
    "turn": (("{subject} looks to the {side}, into the turn",), ("the gaze leads to the {side}",)),
    "still": (("{subject} looks ahead", "the eyes rest on what is ahead"), ("the gaze stays on what lies in front",)),
}


def _pick(rng: np.random.Generator, table: tuple[tuple[str, ...], tuple[str, ...]], split: str) -> str:
    choice = table[0 if split == "train" else 1]
    return choice[int(rng.integers(len(choice)))]


def _words(name: str) -> tuple[str, str]:
    return ("left", "L") if name == "left" else ("right", "R")


def legs_of(positions: Array, rotations: Array, drop: Array, seated: bool) -> str:
    """State of the legs in poses (T, 23, 3), (T, 23, 3, 3); ``drop`` (T,) m is how low the pelvis is held."""
    path = positions[:, 0, :2]
    step = path[-1] - path[0]
    ahead = float(step @ rotations[:, 0, :2, 0].mean(axis=0))
    if seated:
        return "sitting"
    if drop.max() > 0.3:
        return "squatting"
    if drop.max() > 0.1:
        return "knees bent"
    if abs(ahead) > 0.35:
        return "walking forward" if ahead > 0 else "walking backward"
    return (
        "stepping"
        if np.linalg.norm(np.diff(positions[:, JOINT["L_Foot"], :2], axis=0), axis=-1).sum() > 0.15
        else ("standing")
    )


def trunk_of(rotations: Array) -> str:
    """State of the trunk where it is bent most."""
    lean = np.degrees(np.arccos(np.clip(rotations[:, JOINT["T8"], 2, 2], -1, 1)).max())
    return "upright" if lean < 16 else ("leaning" if lean < 38 else "bent")


def hand_of(positions: Array, rotations: Array, side: str, walking: bool, seated: bool) -> str:
    """State of a hand relative to the trunk; ``side`` is "L" or "R"."""
    wrist, shoulder = positions[:, JOINT[f"{side}_Hand"]], positions[:, JOINT[f"{side}_UpperArm"]]
    facing = rotations[:, 0, :2, 0]
    facing = facing / np.linalg.norm(facing, axis=-1, keepdims=True)
    away = wrist - shoulder
    ahead = (away[:, :2] * facing).sum(axis=-1)
    most = int(np.argmax(ahead))
    if seated and abs(wrist[:, 2].mean() - positions[:, 0, 2].mean()) < 0.25 and ahead.max() < 0.5:
        return "lap"
    if wrist[:, 2].min() < 0.45:
        return "low"
    if away[:, 2].max() > 0.05:
        return "high"
    if ahead[most] > 0.36:
        return "out"
    if ahead[most] > 0.2 and away[most, 2] > -0.42:
        return "before"
    return "swinging" if walking else "down"


def posture_text(
    rng: np.random.Generator, positions: Array, rotations: Array, drop: Array, seated: bool, turn: float, split: str
) -> str:
    """Describes the posture over some seconds.

    Args:
        rng: chooses the paraphrase. positions: (T, 23, 3) m. rotations: (T, 23, 3, 3). drop: (T,) m, see `legs_of`.
        seated: whether the body sits at their end. turn: rad the body turns in all. split: "train" or "test".
    """
    legs = legs_of(positions, rotations, drop, seated)
    walking = legs.startswith("walking")
    text = f"{_pick(rng, (_SUBJECTS['train'], _SUBJECTS['test']), split)} {_pick(rng, _LEGS[legs], split)}"
    if abs(turn) > np.radians(40):
        text += " " + _pick(rng, _TURNS, split).format(side="left" if turn > 0 else "right")
    where = [hand_of(positions, rotations, side, walking, seated) for side in "LR"]
    parts = [_pick(rng, _TRUNKS[trunk_of(rotations)], split)]
    if where[0] == where[1]:
        parts.append(f"each arm {_pick(rng, _HANDS[where[0]], split)}")
    else:
        arms = (("left", where[0]), ("right", where[1]))
        parts += [f"the {name} arm {_pick(rng, _HANDS[state], split)}" for name, state in arms]
    return f"{text}; {', '.join(parts)}"


def focus_text(rng: np.random.Generator, looked_at: Sequence[str], turn: float, walked: float, split: str) -> str:
    """Describes the focus of attention: the things looked at in order, else the way, the turn, or what is ahead."""
    if looked_at:
        phrases = [_pick(rng, _FOCUS["aim"], split).format(name=name, subject="{subject}") for name in looked_at[:2]]
        text = ", then ".join(phrases)
    elif abs(turn) > np.radians(40):
        text = _pick(rng, _FOCUS["turn"], split).replace("{side}", "left" if turn > 0 else "right")
    else:
        text = _pick(rng, _FOCUS["way" if walked > 0.6 else "still"], split)
    return text.replace("{subject}", _pick(rng, (_SUBJECTS["train"], _SUBJECTS["test"]), split))


def head_yaw(rotations: Array) -> Array:
    """Heading (T,) of the head, continuous, rad."""
    return heading(rotations[:, HEAD])
