"""Texts of a clip: its goal, posture and focus of attention, and the same of each action with its times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.actions.vocabulary import action_of, kind_of
from training.actions.wording import AMBIGUOUS_SHARE, Clause, goal_text
from training.simulator.motion.animation import Pose
from training.simulator.motion.timeline import ActionSpan, Timeline
from training.simulator.narration.naming import Viewpoint, name_of, namesakes
from training.simulator.narration.pose_text import focus_text, head_yaw, posture_text
from training.simulator.rooms.plan import Target

Array = NDArray[np.float64]
_IN_VIEW = np.radians(45)  # largest bearing in view; beyond it, texts say where a target is


@dataclass(frozen=True)
class ClipText:
    """A clip's goal text, and the entries of `SyntheticMotion.meta` about texts and actions."""

    text: str
    meta: dict[str, Any]


def describe_clip(
    rng: np.random.Generator,
    line: Timeline,
    spans: list[ActionSpan],
    pose: Pose,
    time: Array,
    split: str,
    plain: bool,
    ambiguous: float = AMBIGUOUS_SHARE,
) -> ClipText:
    """Writes the texts of a window of a time line.

    Args:
        rng: chooses paraphrases and what is left open. line: the time line. spans: the actions that the window shows.
        pose: of the window, at ``time`` (T,). split: "train" or "val" (train's wordings), or "test".
        plain: without "please" or "now", and each action named by itself, as in a narration's rows.
        ambiguous: share of texts made ambiguous on purpose, where their names are clear.
    """
    wording = "test" if split == "test" else "train"
    worded = [span for span in spans if span.in_words]
    clauses, unclear = _clauses(line, worded, time[0])
    ambiguity = "target" if unclear else ""
    if not ambiguity and rng.random() < ambiguous:
        ambiguity = _leave_open(line, worded, clauses)
        if ambiguity == "target":
            clauses, _ = _clauses(line, worded, time[0], leave_open="target")
    text, open_ = goal_text(rng, clauses, wording, leave_open=ambiguity in ("side", "hand"), plain=plain)
    if ambiguity in ("side", "hand") and not open_:
        ambiguity = ""
    yaw = head_yaw(pose.rotations)
    whole = np.ones(len(time), dtype=bool)
    texts = {"action": text, **_pose_texts(rng, line, pose, time, whole, yaw, wording)}
    actions = []
    for span, clause in zip(worded, clauses, strict=True):
        shown = (time >= span.start_s - 0.03) & (time <= span.end_s + 0.03)
        alone = replace(clause, target_named=False, support_named=False) if plain else clause
        actions.append({
            "action": span.action, "start_s": round(float(max(span.start_s - time[0], 0.0)), 4),
            "end_s": round(float(min(span.end_s, time[-1]) - time[0]), 4), "side": span.side,
            "target": span.target.name if span.target else "", "target_id": span.target.id if span.target else "",
            "target_place": [] if span.target_place is None else np.round(span.target_place, 3).tolist(),
            "support": span.support, "text": goal_text(rng, [alone], wording, plain=True)[0],
            **_pose_texts(rng, line, pose, time, shown, yaw, wording),
        })  # fmt: skip
    return ClipText(text, {"texts": texts, "ambiguous": ambiguity, "actions": actions})


def _leave_open(line: Timeline, spans: list[ActionSpan], clauses: list[Clause]) -> str:
    """What a text leaves open: "target" where several are alike or it is out of view, else a side or hand, or ""."""
    doubled = any(span.target is not None and namesakes(line.room, span.target) for span in spans)
    if doubled or any(clause.bearing is not None for clause in clauses):
        return "target"
    able = [clause for clause in clauses if clause.can_leave_open]
    if not able:
        return ""
    return "side" if kind_of(able[0].action)[1] else "hand"


def _clauses(
    line: Timeline, spans: list[ActionSpan], begin_s: float, leave_open: str = ""
) -> tuple[list[Clause], bool]:
    """Clauses of the actions of a window that begins then, and whether some target's name is ambiguous."""
    clauses, unclear, last, last_name = [], False, "", ""
    for span in spans:
        name = ""
        action = action_of(span.action)
        if span.target is not None and action.names_target:
            view = Viewpoint(*line.where(span.end_s if action.named_on_arrival else span.start_s))
            name, doubt = name_of(line.room, span.target, view, leave_open == "target")
            unclear |= doubt
        bearing = None
        if span.target_place is not None and leave_open != "target":
            found = Viewpoint(*line.where(max(span.start_s, begin_s))).bearing(span.target_place)
            bearing = found if abs(found) > _IN_VIEW else None
        support = span.support
        if not support and span.target is not None and action.mentions("support"):
            support = line.state.support_of(span.target)
        identity = span.target.id or name if span.target is not None else ""
        named, support_named = bool(identity) and identity == last, bool(support) and last_name == support
        clauses.append(Clause(span.action, span.side, name, support, named, support_named, bearing, span.amount))
        last_name = name
        last = identity
    return clauses, unclear


def _pose_texts(
    rng: np.random.Generator,
    line: Timeline,
    pose: Pose,
    time: Array,
    shown: NDArray[np.bool_],
    yaw: Array,
    wording: str,
) -> dict[str, str]:
    """Posture and focus texts of the shown poses."""
    if not shown.any():
        shown = np.ones(len(time), dtype=bool)
    when = time[shown]
    drop = line.postures_at(when)[:, 0]
    turn = float(yaw[shown][-1] - yaw[shown][0])
    walked = float(np.linalg.norm(pose.positions[shown][-1, 0, :2] - pose.positions[shown][0, 0, :2]))
    seated = line.is_seated_at(float(when[-1]))
    looked = [_name_at(line, point, float(when[0])) for point in line.looked_at(float(when[0]), float(when[-1]))]
    names = list(dict.fromkeys(name for name in looked if name))
    return {
        "posture": posture_text(rng, pose.positions[shown], pose.rotations[shown], drop, seated, turn, wording),
        "focus": focus_text(rng, names, turn, walked, wording),
    }


def _name_at(line: Timeline, target: Target | None, when: float) -> str:
    if target is None:
        return ""
    place, heading = line.where(when)
    return name_of(line.room, target, Viewpoint(place, heading))[0]
