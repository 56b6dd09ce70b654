"""Actions that occur in motion capture alone: worded, but neither performed by the simulator nor judged by a rule."""

from __future__ import annotations

from training.actions.action import Action

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

ACTIONS = (STEP,)
