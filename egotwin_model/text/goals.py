"""The text of a goal: its one limit of length, for the library and everything that passes goals on to it."""

from __future__ import annotations

from egotwin_model.errors import GoalError

MAX_GOAL_CHARACTERS = 500


def check_goal(goal: str) -> str:
    """The goal without outer white space; `GoalError` for an empty one or one above `MAX_GOAL_CHARACTERS`."""
    text = goal.strip()
    if not text:
        raise GoalError('goal is empty; say what the wearer will do, for instance "turn left and walk forward"')
    if len(text) > MAX_GOAL_CHARACTERS:
        raise GoalError(f"goal has {len(text)} characters, at most {MAX_GOAL_CHARACTERS} are accepted; shorten it")
    return text
