"""Goals as users type them (`training.evaluation.user_goals`): how many a model does, warns of, does wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tqdm import tqdm

from egotwin_model.egotwin.pipeline import BodyState, EgoTwinPipeline
from egotwin_model.errors import GoalError
from egotwin_model.motion.representation import BodyMotion
from egotwin_model.text.goal_confidence import WARN_BELOW
from training.actions.vocabulary import kind_of
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.metrics.intervals import share_figure
from training.evaluation.metrics.predicted_clip import RealClip
from training.evaluation.quick import beginning_with
from training.evaluation.user_goals import UserGoal, load_user_goals, measure_quantities, misses

TURNS = ("heading_deg", "abs_heading_deg")


class Start(NamedTuple):
    """A test clip to begin with; for goals about a thing, its name and place (x, y) in the clip's world, metres."""

    clip: RealClip
    thing: str = ""
    place: tuple[float, ...] | None = None


class Answer(NamedTuple):
    """What a model did with one goal from one start: "done", "warned" or "wrong", and the quantities out of range."""

    goal: str
    answer: str
    misses: dict[str, float]


def typed_goals(
    pipeline: EgoTwinPipeline, benchmark: Benchmark, starts: int
) -> tuple[dict[str, dict[str, float]], list[Answer]]:
    """Shares over all goals and starts and over some of them, and each answer that was wrong.

    A goal that must be refused is right if it is warned of. One that can be done is right if it is done or warned of.

    Args:
        starts: standing clips of each goal; goals about a thing begin where it is in view, and are left out where no
            clip does.
    """
    standing, beside = _standing(benchmark, starts), _beside_things(benchmark, starts)
    answered: list[tuple[UserGoal, Answer]] = []
    for goal in tqdm(load_user_goals(), desc="typed goals", leave=False):
        chosen = beside if goal.about_target else standing
        answered += [(goal, _answer(pipeline, goal, start)) for start in chosen]
    known = [pair for pair in answered if not pair[0].unknown]
    shares = {
        "done, warned of or refused": _share(answered),
        "done": _share(known, ("done",)),
        "turns done": _share([pair for pair in known if pair[0].wanted.keys() & set(TURNS)], ("done",)),
        "unknown warned of or refused": _share([pair for pair in answered if pair[0].unknown]),
    }
    return shares, [answer for _, answer in answered if answer.answer == "wrong"]


def _share(
    answered: Sequence[tuple[UserGoal, Answer]], right: tuple[str, ...] = ("done", "warned")
) -> dict[str, float]:
    return share_figure([answer.answer in right for _, answer in answered])


def _answer(pipeline: EgoTwinPipeline, goal: UserGoal, start: Start) -> Answer:
    clip, text = start.clip, goal.text(start.thing)
    state = BodyState(clip.positions[0], clip.rotations[0])
    try:
        found = pipeline(text, clip.frames[0], state, mode="motion", seed=clip.number)
    except GoalError:
        return Answer(text, "warned", {})
    if found.goal_confidence is not None and found.goal_confidence < WARN_BELOW:
        return Answer(text, "warned", {})
    if goal.unknown:
        return Answer(text, "wrong", {})
    motion = BodyMotion(*(part[0] for part in vars(found.motion).values()))
    out_of_range = misses(goal, measure_quantities(motion, pipeline.info.pose_rate, start.place))
    return Answer(text, "wrong" if out_of_range else "done", out_of_range)


def _standing(benchmark: Benchmark, count: int) -> list[Start]:
    numbers = beginning_with(benchmark, ("stand_still",))
    return [Start(benchmark.clip(number)) for number in numbers[:count]]


def _beside_things(benchmark: Benchmark, count: int) -> list[Start]:
    """Clips that look at or walk to a thing whose name is clear, with its place."""
    found: list[Start] = []
    for number in benchmark.numbers:
        record = benchmark.record(number)
        first: dict[str, Any] = next(iter(record.get("actions", [])), {})
        named = not record.get("ambiguous") and kind_of(str(first.get("action")))[0] in ("look_at", "walk_to")
        if len(found) < count and named and first.get("target_place"):
            found.append(Start(benchmark.clip(number), str(first["target"]), tuple(first["target_place"])))
    return found
