"""The vocabulary of actions: each described once and completely, and open to new kinds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ...shared_data import missing_extra

pytest.importorskip("pybullet_data", reason=missing_extra("world"))

from training.actions.action import Action
from training.actions.capture_frame import CaptureFrame
from training.actions.measures import measure
from training.actions.rules import obeys
from training.actions.scripts import clip_scripts, long_sequence_shares
from training.actions.vocabulary import ACTIONS, action_of, find_action, kind_of, register, report_labels
from training.actions.wording import Clause, goal_text
from training.simulator.motion.performing import PERFORMANCES, performed_names, performs
from training.simulator.motion.timeline import ActionSpan, Timeline
from training.simulator.people.posture import STANDING, crouching
from training.simulator.synthesis import synthesise, synthesise_sequence

from ..simulator.furnished_room import ROOM

CURTSY = Action(
    name="curtsy",
    train=("curtsy", "make a curtsy"),
    test=("drop a curtsy",),
    label="curtsy",
    rule=lambda motion: motion.found.lowest < 0.9 and motion.found.last > 0.97 and motion.in_place,
    clips={"curtsy": 0.4, "curtsy+turn_left": 0.2},
    long_share=0.25,
)


def curtsy(line: Timeline) -> None:
    """Go down a little and come up again."""
    begin = line.now + 0.2
    line.pose_to(crouching(0.14 * line.person.scale, 0.1), begin, begin + 0.6)
    line.pose_to(STANDING, begin + 0.7, begin + 1.4)
    line.spans.append(ActionSpan("curtsy", begin, begin + 1.4))
    line.wait_until(begin + 1.4)


@pytest.fixture
def with_curtsy() -> Iterator[None]:
    """A kind of action that is described and performed here and nowhere else."""
    register(CURTSY)
    performs("curtsy")(curtsy)
    yield
    del PERFORMANCES["curtsy"], ACTIONS["curtsy"]


@pytest.mark.usefixtures("with_curtsy")
def test_a_new_kind_of_action_is_worded_performed_and_recognised() -> None:
    assert clip_scripts()["curtsy+turn_left"] == 0.2
    assert long_sequence_shares()["curtsy"] == 0.25
    assert report_labels()[-1] == "curtsy"
    standing = synthesise(np.random.default_rng(0), ROOM, "stand_still")
    truth = measure(standing.positions, standing.rotations, standing.rate_hz)
    for seed in range(4):
        motion = synthesise(np.random.default_rng(seed), ROOM, "curtsy", ambiguous=0.0)
        assert motion.text.removeprefix("please ").removeprefix("now ") in CURTSY.train
        assert set(motion.labels) == {"curtsy", "stand_still"}
        found = measure(motion.positions, motion.rotations, motion.rate_hz)
        assert obeys("curtsy", found, found)
        assert not obeys("crouch", found, found)
        assert not obeys("curtsy", truth, found)
    tested = synthesise(np.random.default_rng(0), ROOM, "curtsy", split="test")
    assert "drop a curtsy" in tested.text
    sequence = synthesise_sequence(np.random.default_rng(1), ROOM, ["crouch", "curtsy", "curtsy+turn_left"])
    done = [entry["action"] for entry in sequence.meta["actions"]]
    assert done == ["crouch", "stand_up", "curtsy", "curtsy", "turn_left"]  # it stands up first, which crouching needs


def test_an_unknown_kind_is_refused() -> None:
    assert find_action("curtsy") is None
    with pytest.raises(ValueError, match="no action 'curtsy'"):
        action_of("curtsy")
    with pytest.raises(ValueError, match="describe it in training/actions first"):
        performs("curtsy")(curtsy)
    with pytest.raises(ValueError, match="already"):
        register(ACTIONS["crouch"])
    with pytest.raises(ValueError, match="performed already"):
        performs("crouch")(curtsy)


def test_a_contradictory_description_is_refused() -> None:
    with pytest.raises(ValueError, match="none in both"):
        Action(name="hop", train=("hop",), test=("hop",))
    with pytest.raises(ValueError, match="rule or a label"):
        Action(name="hop", train=("hop",), test=("leap",), label="hop")
    with pytest.raises(ValueError, match=r"\['jump'\]"):
        Action(name="hop", train=("hop",), test=("leap",), clips={"jump": 1.0})


def test_what_is_simulated_is_performed_worded_and_judged() -> None:
    scripted = {name for script in clip_scripts() for name in script.split("+")} | set(long_sequence_shares())
    assert scripted == set(performed_names())
    for kind in PERFORMANCES:
        assert ACTIONS[kind].rule is not None
    for action in ACTIONS.values():
        assert all(kind_of(name)[0] == action.name for name in action.names)
        for name in action.names:
            clause = Clause(name, "left", "red box", "table")
            assert not set("{}[]()") & set(goal_text(np.random.default_rng(0), [clause], "test")[0])


speeds = st.floats(0, 3)


@given(speeds, st.floats(-1, 1), st.floats(-2, 2), st.booleans(), st.booleans())
def test_a_captured_frame_shows_one_action(speed: float, ahead: float, turning: float, low: bool, lean: bool) -> None:
    frame = CaptureFrame(speed, ahead * speed, turning, low, lean)
    shown = [action.name for action in ACTIONS.values() if action.in_capture and action.in_capture(frame)]
    assert len(shown) == 1
