"""Goals as users type them: read, checked, unseen by training, and judged by what true motions of the simulator do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ...shared_data import missing_extra

pytest.importorskip("pybullet_data", reason=missing_extra("world"))
pytest.importorskip("tyro", reason=missing_extra("train"))

from egotwin_model.geometry.skeleton import HEAD
from egotwin_model.motion.representation import BodyMotion
from training.actions.grammar import METRES, QUANTITIES, expand
from training.actions.vocabulary import ACTIONS
from training.evaluation.errors import PredictionError
from training.evaluation.user_goals import UserGoal, load_user_goals, measure_quantities, misses
from training.simulator.synthesis import synthesise
from training.simulator.synthetic_motion import SyntheticMotion

from ..simulator.furnished_room import ROOM, target_of

TRAINING = Path(__file__).parents[3] / "training"
GOALS = {goal.goal: goal for goal in load_user_goals()}
COMMON = {
    "left!", "wait", "freeze!", "don't move", "face 3 o'clock", "turn 30 degrees to the left", "two steps back",
    "take two steps forward", "turn left", "turn right", "walk forward", "stand still", "crouch down", "squat",
    "step back", "walk backwards", "turn around", "keep going", "bend over", "lean forward", "run",
    "walk", "jump", "kneel", "look up", "look around", "look at the {thing}", "walk to the {thing}",
}  # fmt: skip
"""Goals that any list of wordings has, and ours may have too."""
AMOUNTS = {"degrees": range(15, 361, 5), "oclock": range(1, 12), "steps": range(1, 5), "metres": METRES}


def body(motion: SyntheticMotion) -> BodyMotion:
    return BodyMotion(
        motion.positions, motion.rotations, motion.positions[:, HEAD], motion.rotations[:, HEAD]
    )  # fmt: skip


def done(goal: str, behaviour: str, seeds: Iterable[int] = range(4)) -> list[bool]:
    """Whether clips of a behaviour do a goal; where it is about a thing, the clip's own target."""
    answers = []
    for seed in seeds:
        motion = synthesise(np.random.default_rng(seed), ROOM, behaviour)
        place = None
        if GOALS[goal].about_target:
            place = target_of(motion.meta["actions"][0]["target_id"]).position
        answers.append(not misses(GOALS[goal], measure_quantities(body(motion), motion.rate_hz, place)))
    return answers


@pytest.mark.parametrize(
    ("goal", "does", "does_not"),
    [
        ("face left", "turn_left", "turn_right"),
        ("turn right", "turn_right", "stand_still"),
        ("do a 180", "turn_around_left", "turn_left"),
        ("move ahead", "walk_forward", "stand_still"),
        ("walk backwards", "walk_back", "walk_forward"),
        ("stay", "stand_still", "crouch"),
        ("walk forward, then stop", "walk_stop", "walk_forward"),
        ("turn left and walk", "turn_left_walk", "turn_left"),
        ("squat", "crouch", "stand_still"),
        ("go over to that {thing}", "walk_to", "look_at"),
        ("look at the {thing}", "look_at", None),
    ],
)
def test_true_motions_do_what_users_ask(goal: str, does: str, does_not: str | None) -> None:
    assert all(done(goal, does)), goal
    assert does_not is None or not any(done(goal, does_not)), goal


def test_quantities_do_not_depend_on_the_world() -> None:
    motion = body(synthesise(np.random.default_rng(0), ROOM, "walk_turn_left"))
    c, s = np.cos(2.0), np.sin(2.0)
    turned = motion.transformed(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]), np.array([3.0, -5.0, 0.7]))
    there = np.array([[c, -s], [s, c]]) @ [1.0, 2.0] + [3.0, -5.0]
    one, two = measure_quantities(motion, 16.0, (1.0, 2.0)), measure_quantities(turned, 16.0, there)
    for name, value in one.items():
        assert two[name] == pytest.approx(value, abs=1e-3), name


def test_a_full_turn_a_jump_and_a_walk_around_are_measured() -> None:
    motion = body(synthesise(np.random.default_rng(0), ROOM, "stand_still"))
    angle = np.linspace(0, 2 * np.pi, len(motion.positions))
    zero, one = np.zeros_like(angle), np.ones_like(angle)
    c, s = np.cos(angle), np.sin(angle)
    spin = np.stack([np.stack([c, -s, zero], -1), np.stack([s, c, zero], -1), np.stack([zero, zero, one], -1)], 1)
    centre = motion.positions[0, 0] * [1, 1, 0] + [0.0, 1.0, 0.0]
    around = (motion.positions - centre) @ np.swapaxes(spin, -1, -2) + centre
    around[40:44, :, 2] += 0.2
    turned = spin[:, None] @ motion.rotations
    measured = measure_quantities(BodyMotion(around, turned, None, None), 16.0, centre)
    assert measured["heading_deg"] == pytest.approx(360, abs=8)
    assert measured["round_target_deg"] == pytest.approx(360, abs=8)
    assert measured["travel_m"] == pytest.approx(2.0, abs=0.1)
    assert measured["feet_rise_m"] == pytest.approx(0.2, abs=0.02)
    assert abs(measured["forward_m"]) < 0.1


def test_no_training_reads_the_goals() -> None:
    assert len(GOALS) >= 100
    for room in ("actions", "simulator", "datasets", "stages", "workers"):
        for module in (TRAINING / room).rglob("*.py"):
            assert "user_goals" not in module.read_text(), module


def plain(text: str) -> str:
    return re.sub("[.!?]", "", text.lower())


def texts_of(wording: str) -> Iterator[str]:
    """Every text of a wording, whatever amount it tells, to the left."""
    names = {"name": "cup", "it": "the cup", "hand": "your left hand", "support": "table", "there": "the table"}
    for text in expand(re.sub(r"[\[\]]", "", re.sub(r"\(.*?\)", "", wording))):
        told = {name: [*chain(*map(QUANTITIES[name], options))] for name, options in AMOUNTS.items() if name in text}
        for amounts in product(*told.values()):
            amount = dict(zip(told, amounts, strict=True))
            for side, turnwise in (("left", "anticlockwise"), ("right", "clockwise")):
                yield plain(text.format(**amount, **names, side=side, turnwise=turnwise))


def test_wordings_are_not_the_goals() -> None:
    goals = {plain(goal.text("cup")) for goal in GOALS.values()}
    found = set()
    for action in ACTIONS.values():
        train, test = (set(chain(*map(texts_of, wordings))) for wordings in (action.train, action.test))
        assert not train & test, action.name
        found |= train | test
    assert len(found) > 10_000
    assert found & goals <= {plain(text.replace("{thing}", "cup")) for text in COMMON}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda goals: goals.append({"goal": "nod"}), "'nod' wants ranges under 'wanted', or a reason"),
        (lambda goals: goals.append({"goal": "nod", "wanted": {"nods": [1, 2]}}), "'nods', which is not measured"),
        (lambda goals: goals.append({"goal": "nod", "wanted": {"left_m": [2, 1]}}), "low < high"),
        (lambda goals: goals.append({"goal": "go", "wanted": {"round_target_deg": [1, 2]}}), "not measured"),
        (lambda goals: goals.append(goals[0]), r"\['walk'\] are given twice"),
        (lambda goals: goals.append("nod"), "wanted {'goals'"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path: Path, change: Callable[[list[Any]], None], message: str) -> None:
    goals: list[Any] = [{"goal": "walk", "wanted": {"forward_m": [1, 2]}}]
    change(goals)
    path = tmp_path / "goals.json"
    path.write_text(json.dumps({"goals": goals}))
    with pytest.raises(PredictionError, match=message):
        load_user_goals(path)
    with pytest.raises(PredictionError, match=r"missing\.json"):
        load_user_goals(tmp_path / "missing.json")


def test_what_cannot_be_judged_is_refused_by_name() -> None:
    motion = body(synthesise(np.random.default_rng(0), ROOM, "stand_still"))
    measured = measure_quantities(motion, 16.0)
    with pytest.raises(PredictionError, match="target's place"):
        misses(GOALS["walk to the {thing}"], measured)
    with pytest.raises(PredictionError, match="must be refused"):
        misses(UserGoal("fly", {}, "no wings"), measured)
    with pytest.raises(PredictionError, match="wanted one motion"):
        measure_quantities(BodyMotion(motion.positions[None], motion.rotations[None], None, None), 16.0)
    bad = motion.positions.copy()
    bad[3, 2] = np.nan
    with pytest.raises(PredictionError, match="not finite"):
        measure_quantities(BodyMotion(bad, motion.rotations, None, None), 16.0)
