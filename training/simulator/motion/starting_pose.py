"""How people hold head and trunk as a clip begins: looking down at something, up, aside, tilted, or leaning.

Half of the clips begin so. The pose then passes, or lasts where nothing that the clip shows stands against it; gaze and
hands take over as an action needs them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.simulator.motion.performing import AtTarget, find_performance
from training.simulator.motion.timeline import Timeline
from training.simulator.people.posture import STANDING, crouching

Array = NDArray[np.float64]

_SHARE = 0.5  # of clips that begin with head or trunk held unlike at ease
_PITCHED, _TILTED, _LEANING, _ASIDE = 0.85, 0.8, 0.45, 0.15  # shares of these
_LASTING = 0.3
_DOWN_RAD, _UP_RAD, _ROLL_RAD = np.radians(52), np.radians(32), np.radians(21)
_LEAN_RAD, _SIDE_RAD, _TURN_RAD = np.radians(34), np.radians(12), np.radians(25)
_NECK_RAD = np.radians(52)  # by which a head is bent against the trunk, at most
_HELD_RAD = np.radians(10)  # of lean with something in the hands
_SPARE_S = 0.8  # a trunk that leans needs this long before it acts
_BEFORE = (-99.0, -98.0)
_LEVEL_S, _NOD_RAD = 4.0, np.radians(12)  # of `tilt_now_and_then`


def begin_at_ease_or_not(line: Timeline, script: list[str], begin_s: float, has_past: bool) -> bool:
    """Gives half of the clips a start with head and trunk held as people do; whether the body then leans.

    Args:
        line: of the whole clip. script: its actions. begin_s: when the clip begins.
        has_past: whether the pose is taken up shortly before the clip begins, or always was.
    """
    rng = line.rng
    if rng.random() >= _SHARE:
        return False
    acts = _first_act_s(line)
    rests, spare = not _moves(line, begin_s, begin_s + 0.2), acts - begin_s
    still = np.isinf(acts) and not _moves(line, begin_s, line.now)
    looks = any(action.startswith("look") for action in script)

    posture, carriage = STANDING.copy(), np.zeros(4)
    if rests and spare > _SPARE_S and rng.random() < _LEANING:
        posture, carriage[3] = _trunk(line)
    if not looks:
        carriage[1] = _pitch(rng, line.person.gaze_pitch, float(posture[1])) if rng.random() < _PITCHED else 0.0
        if rests and spare > 0.4 and only_at_targets(script) and rng.random() < _ASIDE:
            carriage[0] = rng.choice([-1, 1]) * np.radians(rng.uniform(40, 100))
            posture[2] = np.sign(carriage[0]) * abs(posture[2])
    if rng.random() < _TILTED:
        carriage[2] = rng.uniform(-_ROLL_RAD, _ROLL_RAD) + 0.3 * carriage[3]

    start = begin_s - float(rng.uniform(1.0, 2.5))
    taken = (start, min(start + float(rng.uniform(0.7, 1.2)), begin_s)) if has_past else _BEFORE
    line.carriage_changes.append((*taken, carriage))
    line.posture_changes.append((*taken, posture))
    aside = abs(carriage[0]) > 0
    if still or (np.isinf(acts) and not aside and rng.random() < _LASTING):
        return bool(posture.any())
    passes = begin_s + (float(rng.uniform(0, 0.3)) if aside else float(rng.uniform(0, 2.0)))
    passed = passes + float(rng.uniform(0.8, 1.8))
    line.carriage_changes.append((passes, passed, -carriage))
    upright = min(passed, max(acts + 0.4, begin_s + _SPARE_S))
    line.posture_changes.append((min(passes, upright - 0.7), upright, -posture))
    return bool(posture.any())


def tilt_now_and_then(line: Timeline, until_s: float) -> None:
    """Tilts the head for some seconds, again and again, so that what is cut from a long time line begins so too."""
    rng, start = line.rng, 0.0
    while (start := start + float(rng.exponential(_LEVEL_S))) < until_s:
        carriage, stay = np.zeros(4), float(rng.uniform(1.5, 6.0))
        carriage[1:3] = rng.uniform(-_NOD_RAD, _NOD_RAD), rng.uniform(-_ROLL_RAD, _ROLL_RAD)
        line.carriage_changes.append((start, start + float(rng.uniform(0.7, 1.2)), carriage))
        start += stay
        line.carriage_changes.append((start, start + float(rng.uniform(0.8, 1.8)), -carriage))
        start += 1.8


def only_at_targets(script: list[str]) -> bool:
    """Whether no action of a script is told by which way the head turns or goes."""
    return all(isinstance(find_performance(action), AtTarget) for action in script)


def _first_act_s(line: Timeline) -> float:
    """When the first task of a hand, gaze or change of posture begins; infinite for none."""
    starts = [task.start_s for task in line.tasks] + [gaze.start_s for gaze in line.gazes]
    starts += [change[0] for change in line.posture_changes]
    return min((start for start in starts if start > -90), default=np.inf)


def _moves(line: Timeline, start_s: float, end_s: float) -> bool:
    """Whether the body moves or turns between two times."""
    (place, heading), (later, turned) = line.where(start_s), line.where(end_s)
    return bool(np.linalg.norm(later - place) > 1e-3 or abs(turned - heading) > 1e-3)


def _trunk(line: Timeline) -> tuple[Array, float]:
    """A posture (5,) to add to that of the body, and how far the trunk leans to the right."""
    rng = line.rng
    lean = float(np.clip(rng.gamma(2.0, np.radians(9)) - np.radians(8), -np.radians(8), _LEAN_RAD))
    lean = min(lean, _HELD_RAD) if line.held else lean
    turn = float(rng.uniform(-_TURN_RAD, _TURN_RAD))
    side = float(rng.uniform(-_SIDE_RAD, _SIDE_RAD))
    posture = crouching(0.0, lean, turn)
    if line.postures_at(np.array([0.0]))[0, 0] > 0.1:
        posture[[0, 3]] = 0.0  # a body that is low bends its back alone
    return posture, side


def _pitch(rng: np.random.Generator, habit: float, lean: float) -> float:
    """How much further than by habit the head looks down, rad: evenly from far down to up, as far as the neck bends."""
    wanted = float(rng.uniform(-_UP_RAD, _DOWN_RAD))
    return float(np.clip(wanted, lean - _NECK_RAD, lean + _NECK_RAD)) - habit
