"""Choice of an action's target among the things in a room."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from training.simulator.motion.timeline import Timeline
from training.simulator.rooms.plan import Target

_CARRIED_M = (0.2, 0.45)  # widths that two hands carry


def pick(line: Timeline, targets: list[Target]) -> Target:
    """One of the targets, each as likely as another."""
    return targets[int(line.rng.integers(len(targets)))]


def shuffled(rng: np.random.Generator, targets: list[Target]) -> NDArray[np.intp]:
    """Indices in random order, every kind as likely to come first as another: rooms have few doors, many drawers."""
    count = Counter(target.kind for target in targets)
    shares = np.array([1 / count[target.kind] for target in targets])
    return np.asarray(rng.choice(len(targets), size=len(targets), replace=False, p=shares / shares.sum()))


def is_portable(target: Target) -> bool:
    """Whether one hand or two can carry an object."""
    return target.graspable or _CARRIED_M[0] < max(target.size[:2]) < _CARRIED_M[1]


def within_reach(line: Timeline, objects: list[Target]) -> list[Target]:
    """Objects that are not in the hands and not behind something closed."""
    held = {target.id for target in line.held.values()}
    return [target for target in objects if target.id not in held and not _shut_in(line, target)]


def _shut_in(line: Timeline, target: Target) -> bool:
    if not target.within:
        return False
    part = line.room.articulations[target.within]
    return line.state.value(part.id) <= 0.6 * part.limits[1]
