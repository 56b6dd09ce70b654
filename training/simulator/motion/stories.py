"""Long sequences: one person, who does what can be done next where the body is, again and again."""

from __future__ import annotations

import numpy as np

from training.simulator.motion.planner import act
from training.simulator.motion.timeline import Timeline
from training.simulator.people.person import Person
from training.simulator.people.posture import ReachTable
from training.simulator.rooms.plan import NoRoomError, RoomPlan

# What may come next in a story, by what it needs: nothing, free hands, something held, a body that stands or not.
_NEXT: dict[str, float] = {
    **dict.fromkeys(("turn_left", "turn_right", "walk_forward", "walk_to", "look_at"), 0.6),
    **dict.fromkeys(("stand_still", "walk_back", "turn_around_left", "turn_around_right", "crouch"), 0.25),
    "reach": 0.7, "pick_up": 1.6, "put_down": 2.2, "open": 1.2, "close": 1.0, "sit": 0.6, "stand_up": 1.5,
}  # fmt: skip
_STORY_TRIES = 60


def compose_story(
    rng: np.random.Generator, room: RoomPlan, person: Person, duration_s: float
) -> tuple[Timeline, list[str]]:
    """A long sequence: what fits next where the body is, again and again; returns it and its script.

    Raises:
        NoRoomError: nothing fits any more before ``duration_s``.
    """
    line = Timeline.begin(person, room, rng, ReachTable(person), room.sample(rng, 1)[0], float(rng.uniform(-3.1, 3.1)))
    names, shares = list(_NEXT), np.array(list(_NEXT.values()))
    script: list[str] = []
    for _ in range(_STORY_TRIES + int(4 * duration_s)):
        if line.now >= duration_s:
            return line, script
        action = str(rng.choice(names, p=shares / shares.sum()))
        if (action == "stand_up") != (line.posture[0] > 0.1) or (script and script[-1] == action):
            continue
        if action == "close" and "close" not in line.meant:
            continue
        attempt = line.copy()
        try:
            act(attempt, action, None, last=False)
        except NoRoomError:
            continue
        line = attempt
        script.append(action)
    raise NoRoomError(f"room {room.seed}: a story of {duration_s:.0f} s does not come about in it")
