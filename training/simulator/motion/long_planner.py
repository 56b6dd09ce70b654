"""Plans long sequences: random actions of one person, each possible where the one before it ends."""

from __future__ import annotations

import numpy as np

from training.actions.action import Condition
from training.actions.scripts import long_sequence_shares
from training.actions.vocabulary import action_of
from training.simulator.motion.script_planner import act
from training.simulator.motion.timeline import Timeline
from training.simulator.people.person import Person
from training.simulator.people.posture import ReachTable
from training.simulator.rooms.plan import NoRoomError, RoomPlan

_TRIES = 60


def compose_long_sequence(
    rng: np.random.Generator, room: RoomPlan, person: Person, duration_s: float
) -> tuple[Timeline, list[str]]:
    """A time line of at least ``duration_s`` of random actions, and its script.

    Raises:
        NoRoomError: the room has not enough to do.
    """
    line = Timeline.begin(person, room, rng, ReachTable(person), room.sample(rng, 1)[0], float(rng.uniform(-3.1, 3.1)))
    shares = long_sequence_shares()
    names, weights = list(shares), np.array(list(shares.values()))
    script: list[str] = []
    for _ in range(_TRIES + int(4 * duration_s)):
        if line.now >= duration_s:
            return line, script
        action = str(rng.choice(names, p=weights / weights.sum()))
        if (script and script[-1] == action) or not _is_possible(line, action):
            continue
        attempt = line.copy()
        try:
            act(attempt, action, None, last=False)
        except NoRoomError:
            continue
        line = attempt
        script.append(action)
    raise NoRoomError(f"room {room.seed} has not enough to do for {duration_s:.0f} s; ask for less time")


def _is_possible(line: Timeline, action: str) -> bool:
    """Whether an action's conditions on posture and open parts hold; its other needs are checked when it is tried."""
    needs = action_of(action).needs
    if Condition.OPEN in needs and line.state.opened is None:
        return False
    return (Condition.LOW in needs) == line.is_low  # a body that is low stands up next
