"""Horizons longer than a clip: where the windows of a rolled imagination begin and end, and the goal of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from egotwin_model.errors import GoalError, HorizonError
from egotwin_model.latents.timing import FRAMES_PER_LATENT
from egotwin_model.text.goals import check_goal

Goals = str | Sequence[tuple[float, str]]
Continuity = Literal["restart", "clean", "noised"]
EPSILON_S = 1e-6


@dataclass(frozen=True)
class Window:
    """One clip of a rolled imagination; frames are counted from the given one, 0.

    Attributes:
        first: the window's first frame. last: the last frame kept of it.
        known: number of frames from `first` that are known already, 1 + 4j; those after them are new.
        goal: what the wearer does in it.
    """

    first: int
    last: int
    known: int
    goal: str


def plan_windows(
    goals: Goals, horizon_s: float, *, frame_rate: float, clip_frames: int, overlap_s: float
) -> list[Window]:
    """Windows that cover the horizon without gap or duplicate.

    A window ends where the clip ends, where a new goal begins (to the nearest frame) or where the horizon does. The
    next one starts from its last frames: one, or as many as `overlap_s` asks for and exist.

    Raises:
        HorizonError: not positive or finite. GoalError: times not rising from 0. See also `check_goal`.
    """
    if not math.isfinite(horizon_s) or horizon_s * frame_rate < 1.0 - EPSILON_S:
        raise HorizonError(f"horizon is {horizon_s} s; wanted at least one frame's time, {1 / frame_rate:g} s")
    changes = goal_frames(goals, frame_rate)
    known_most = 1 + FRAMES_PER_LATENT * round(overlap_s * frame_rate / FRAMES_PER_LATENT)
    if not 1 <= known_most < clip_frames:
        raise HorizonError(
            f"overlap of {overlap_s} s: wanted 0 to less than a clip's {(clip_frames - 1) / frame_rate:g} s"
        )
    end = int(horizon_s * frame_rate + EPSILON_S)
    windows: list[Window] = []
    here = 0
    while here < end:
        known = min(known_most, 1 + here // FRAMES_PER_LATENT * FRAMES_PER_LATENT)
        first = here - known + 1
        goal = next(text for frame, text in reversed(changes) if frame <= here)
        next_change = min((frame for frame, _ in changes if frame > here), default=end)
        last = min(first + clip_frames - 1, next_change, end)
        windows.append(Window(first, last, known, goal))
        here = last
    return windows


def goal_frames(goals: Goals, frame_rate: float) -> list[tuple[int, str]]:
    """(frame from which it holds, goal) in order, the first at 0."""
    if isinstance(goals, str):
        return [(0, check_goal(goals))]
    if not goals:
        raise GoalError("no goal was given; pass a text, or pairs of the second it begins at and a text")
    frames = [(round(start_s * frame_rate), check_goal(text)) for start_s, text in goals]
    times = [start_s for start_s, _ in goals]
    if times[0] != 0.0 or any(later <= earlier for earlier, later in pairwise(times)):
        raise GoalError(f"goals begin at {', '.join(f'{t:g}' for t in times)} s; wanted rising times from 0")
    return frames


def check_continuity(continuity: str) -> None:
    if continuity not in get_args(Continuity):
        raise GoalError(f"continuity {continuity!r} is not one of {', '.join(get_args(Continuity))}")


def progress_of(
    progress: Callable[[int, int], None] | None, window: int, windows: int
) -> Callable[[int, int], None] | None:
    """The progress callback of one window, which counts steps over all windows."""
    if progress is None:
        return None

    def report(step: int, steps: int) -> None:
        if step < steps or window + 1 == windows:
            progress(window * steps + step, windows * steps)

    return report
