"""How the simulator performs each kind of action: a registry to which the modules that perform them add.

An action is performed in one of three ways: roaming follows a course without an aim, other actions are done where the
body stands, or at a target for which a stand is prepared first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.actions.vocabulary import ACTIONS, kind_of
from training.simulator.motion.timeline import Timeline
from training.simulator.rooms.plan import Target

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CourseRequest:
    """What a course is made for.

    Attributes:
        rng: source of every choice. time: (N,) s from the action's start. speed: at its start, m/s.
        slow: 0 … 1, larger values leave out faster walks (for small rooms). sign: 1 to the left, -1 to the right.
    """

    rng: np.random.Generator
    time: Array
    speed: float
    slow: float
    sign: int


Course = Callable[[CourseRequest], tuple[Array, Array]]
"""Heading change (N,) rad and signed speed (N,) m/s at the requested times."""


@dataclass(frozen=True, kw_only=True)
class Performance:
    """What all performances have in common.

    Attributes:
        clip_may_begin_inside: a clip may begin in its middle, where it takes longer than the clip has time for.
    """

    clip_may_begin_inside: bool = False


@dataclass(frozen=True, kw_only=True)
class Roaming(Performance):
    """Walking, turning or standing without an aim.

    Attributes:
        course: where the body goes. seconds: range of durations.
        least_turn_deg, least_distance_m: a course that turns or goes less does not show the action.
        from_walk: the body may be walking already when a clip begins.
    """

    course: Course
    seconds: tuple[float, float]
    least_turn_deg: float | None = None
    least_distance_m: float = 0.0
    from_walk: bool = False


@dataclass(frozen=True, kw_only=True)
class InPlace(Performance):
    """An action done where the body stands: `perform` adds it, to a side ("" where it has none), to a time line."""

    perform: Callable[[Timeline, str], None]


@dataclass(frozen=True, kw_only=True)
class AtTarget(Performance):
    """An action at a target.

    Attributes:
        choose: which targets of the action's kinds are possible now.
        prepare: a plan for one of them, with `stand` ((2,) m and heading); raises `NoRoomError` where there is none.
        perform: adds a plan to a time line; its last argument says whether it is the last action of a script.
        leads: before another action at a target, the body begins far from there and walks up to it.
    """

    choose: Callable[[Timeline, list[Target]], list[Target]]
    prepare: Callable[[Timeline, Target], Any]
    perform: Callable[[Timeline, Any, bool], None]
    leads: bool = False


PERFORMANCES: dict[str, Performance] = {}
"""By the name of the kind of action."""


def find_performance(action: str) -> Performance | None:
    """How an action is performed, by its name with or without a side; None where it is not."""
    return PERFORMANCES.get(kind_of(action)[0])


def performed_names() -> tuple[str, ...]:
    """Names of all actions that can be in a script."""
    return tuple(name for kind in PERFORMANCES for name in ACTIONS[kind].names)


def roams(
    kind: str,
    *,
    seconds: tuple[float, float],
    least_turn_deg: float | None = None,
    least_distance_m: float = 0.0,
    from_walk: bool = False,
    clip_may_begin_inside: bool = False,
) -> Callable[[Course], Course]:
    """Registers a course as how a kind of action is performed; see `Roaming`."""

    def register(course: Course) -> Course:
        _register(
            kind,
            Roaming(
                course=course, seconds=seconds, least_turn_deg=least_turn_deg, least_distance_m=least_distance_m,
                from_walk=from_walk, clip_may_begin_inside=clip_may_begin_inside,
            ),
        )  # fmt: skip
        return course

    return register


def performs(kind: str) -> Callable[[Callable[[Timeline], None]], Callable[[Timeline], None]]:
    """Registers a function as how a kind of action is done where the body stands."""

    def register(perform: Callable[[Timeline], None]) -> Callable[[Timeline], None]:
        _register(kind, InPlace(perform=lambda line, side: perform(line)))
        return perform

    return register


def performs_to_side(
    kind: str,
) -> Callable[[Callable[[Timeline, str], None]], Callable[[Timeline, str], None]]:
    """Registers a function as how a kind of action that has sides is done where the body stands."""

    def register(perform: Callable[[Timeline, str], None]) -> Callable[[Timeline, str], None]:
        _register(kind, InPlace(perform=perform))
        return perform

    return register


def performs_at_target(
    kind: str,
    prepare: Callable[[Timeline, Target], Any],
    choose: Callable[[Timeline, list[Target]], list[Target]] = lambda line, targets: targets,
    *,
    leads: bool = False,
    clip_may_begin_inside: bool = False,
) -> Callable[[Callable[[Timeline, Any, bool], None]], Callable[[Timeline, Any, bool], None]]:
    """Registers a function as how a kind of action is done at a target; see `AtTarget`."""

    def register(perform: Callable[[Timeline, Any, bool], None]) -> Callable[[Timeline, Any, bool], None]:
        _register(
            kind,
            AtTarget(
                choose=choose, prepare=prepare, perform=perform, leads=leads,
                clip_may_begin_inside=clip_may_begin_inside,
            ),
        )  # fmt: skip
        return perform

    return register


def _register(kind: str, performance: Performance) -> None:
    if kind not in ACTIONS:
        raise ValueError(f"no action {kind!r} to perform; describe it in training/actions first")
    if kind in PERFORMANCES:
        raise ValueError(f"action {kind!r} is performed already")
    PERFORMANCES[kind] = performance
