"""One limit for a goal's length, in the library and in the node's parameter."""

from __future__ import annotations

import pytest

from egotwin_model.errors import GoalError
from egotwin_model.text.goals import MAX_GOAL_CHARACTERS, check_goal


def test_a_goal_may_have_as_many_characters_as_the_limit_says() -> None:
    assert check_goal(f"  {'x' * MAX_GOAL_CHARACTERS} ") == "x" * MAX_GOAL_CHARACTERS
    with pytest.raises(GoalError, match=f"{MAX_GOAL_CHARACTERS + 1} characters, at most {MAX_GOAL_CHARACTERS}"):
        check_goal("x" * (MAX_GOAL_CHARACTERS + 1))
    with pytest.raises(GoalError, match="goal is empty"):
        check_goal(" \n")


def test_the_nodes_parameter_has_the_same_limit() -> None:
    parameters = pytest.importorskip("egotwin_ros.parameters", reason="needs ROS 2's Python packages (make setup)")
    field = next(f for f in parameters.dataclasses.fields(parameters.ImagineParameters) if f.name == "max_goal_length")
    assert field.default == MAX_GOAL_CHARACTERS
    assert field.metadata["range"] == (1, MAX_GOAL_CHARACTERS)
