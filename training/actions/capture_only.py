"""Actions that occur in motion capture alone: worded, but neither performed by the simulator nor judged by a rule."""

from __future__ import annotations

from training.actions.action import Action

RUN = Action(
    name="run",
    train=(
        "run", "run ahead", "run forward", "start running", "move at a run",
    ),
    test=(
        "keep running", "go ahead at a run",
    ),
    in_capture=lambda frame: frame.running,
)  # fmt: skip

BEND = Action(
    name="bend",
    train=(
        "bend over", "bend down", "lean forward", "bow down", "bend your back",
    ),
    test=(
        "bend your upper body", "bend forwards",
    ),
    in_capture=lambda frame: frame.standing and not frame.low and frame.leaning,
)  # fmt: skip

# Steps in the simulator only get a body into place for another action; its texts leave them out.
STEP = Action(
    name="step",
    train=(
        "take a step", "make a step aside", "shift your feet", "step aside", "change your stance",
    ),
    test=(
        "take a little step", "move your feet a bit",
    ),
    in_capture=lambda frame: frame.walking and not (frame.backward or frame.side or frame.forward),
)  # fmt: skip

ACTIONS = (RUN, BEND, STEP)
