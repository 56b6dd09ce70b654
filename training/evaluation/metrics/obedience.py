"""Whether a motion does what a text asks for: each action of a clip is judged in its time by the rules of actions.

`python -m training.evaluation.metrics.obedience --data data/world` prints, for every kind of action, how often the
rules recognise true clips (what a perfect model would get), and how often they accept a clip that was made for
something else.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import EgoTwinError
from egotwin_model.geometry.skeleton import HEAD
from training.actions.measures import measure
from training.actions.rules import obeys
from training.actions.vocabulary import find_action, kind_of, report_labels
from training.datasets.clips.dataset import ClipSet, open_clips
from training.evaluation.metrics.placing import levelled, placed_at

Motion = tuple[NDArray[Any], NDArray[Any]]
"""Positions (T, 23, 3) metres and rotations (T, 23, 3, 3)."""
MARGIN_S = 0.5
"""One action of several is judged from this long before it begins in the true clip until this long after its end."""
SEQUENCES = "sequences"
KINDS: tuple[str, ...] = (*report_labels(), SEQUENCES)
"""What obedience is reported for: kinds of actions, and clips of several actions, all of which must be obeyed."""
OTHERS = 8  # clips of other kinds that are tried on each clip's rules


def judged(record: Mapping[str, Any], found: Motion, truth: Motion, rate_hz: float) -> list[tuple[str, bool | None]]:
    """Each action that a clip's record asks for, with whether a motion does it; None where no rule knows it.

    One action alone has the whole clip; of several, each has its own time (`MARGIN_S`).

    Args:
        record: with "actions" ({"action", "start_s", "end_s", "side"}, ...), or a "behaviour" and "hand" alone; "text"
            and "ambiguous" say which side or hand is left open. found, truth: from the same start, in one world.
    """
    actions = record.get("actions") or [
        {"action": record.get("behaviour", ""), "side": record.get("hand", ""), "start_s": 0.0, "end_s": np.inf}
    ]
    answers: list[tuple[str, bool | None]] = []
    for action in actions:
        window = slice(0, len(truth[0])) if len(actions) == 1 else _window(action, rate_hz)
        readings = [measure(positions[window], rotations[window], rate_hz) for positions, rotations in (found, truth)]
        name, side = str(action["action"]), str(action.get("side") or "")
        answers.append((name, obeys(name, readings[0], readings[1], side, _left_open(record, name, side))))
    return answers


def _window(action: Mapping[str, Any], rate_hz: float) -> slice:
    begin = max(0, round((action["start_s"] - MARGIN_S) * rate_hz))
    return slice(begin, max(begin + 2, round((action["end_s"] + MARGIN_S) * rate_hz) + 1))


def _left_open(record: Mapping[str, Any], action: str, side: str) -> str:
    """What a text leaves open of one action; a side or hand that it names is not."""
    doubt = str(record.get("ambiguous") or "")
    named = (kind_of(action)[1] or side) in str(record.get("text", "")).split()
    return "" if doubt in ("side", "hand") and named else doubt


def obeys_record(record: Mapping[str, Any], found: Motion, truth: Motion, rate_hz: float) -> bool | None:
    """Whether a motion does everything that a clip's record asks (arguments as in `judged`); None: no rule knows it."""
    known = [answer for _, answer in judged(record, found, truth, rate_hz) if answer is not None]
    return all(known) if known else None


def by_kind(record: Mapping[str, Any], found: Motion, truth: Motion, rate_hz: float) -> NDArray[np.float64]:
    """1 or 0 for each of `KINDS` that a clip asks for, NaN for the others: (len(KINDS),). Arguments as in `judged`."""
    answers = [(_label(name), answer) for name, answer in judged(record, found, truth, rate_hz)]
    known = [(kind, answer) for kind, answer in answers if answer is not None]
    row = np.full(len(KINDS), np.nan)
    for column, kind in enumerate(KINDS):
        own = [answer for each, answer in known if each == kind or (kind == SEQUENCES and len(answers) > 1)]
        if own:
            row[column] = float(all(own))
    return row


def _label(name: str) -> str:
    action = find_action(name)
    return action.label if action else ""


def kinds_of(record: Mapping[str, Any]) -> set[str]:
    """The `KINDS` that a clip asks for."""
    names = [str(action["action"]) for action in record.get("actions") or []] or [str(record.get("behaviour", ""))]
    found = {label for name in names if (label := _label(name))}
    return found | {SEQUENCES} if len(names) > 1 else found


def verify(data: Path, split: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How well the rules separate true clips: (N, len(KINDS)) of 1, 0 and NaN for each clip's own motion, and
    (N · OTHERS, len(KINDS)) for motions of clips that ask for none of that kind, moved to where the clip begins."""
    clips = open_clips(data / split)
    rate, rng = clips.manifest.pose_rate, np.random.default_rng(0)
    own, other = [], []
    for number, record in enumerate(clips.records):
        truth = _motion(clips, number)
        own.append(by_kind(record, truth, truth, rate))
        for another in _clips_of_other_behaviours(clips, number, rng):
            found = placed_at(*levelled(*_motion(clips, another)), truth[0][0, HEAD], truth[1][0, HEAD])
            row = by_kind(record, found, truth, rate)
            shared = kinds_of(clips.records[another])
            row[[kind in shared and kind != SEQUENCES for kind in KINDS]] = np.nan
            other.append(row)
    return np.stack(own), np.stack(other)


def _motion(clips: ClipSet, number: int) -> Motion:
    return clips.tensor("positions", number), clips.tensor("rotations", number)


def _clips_of_other_behaviours(clips: ClipSet, number: int, rng: np.random.Generator) -> Iterator[int]:
    """Numbers of `OTHERS` random clips of other behaviours than a clip's."""
    own = clips.records[number].get("behaviour")
    others = [index for index, record in enumerate(clips.records) if record.get("behaviour") != own]
    yield from rng.permutation(others)[:OTHERS].tolist()


def main(argv: list[str] | None = None) -> int:
    """Prints how well the rules separate true clips."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluation.metrics.obedience", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with one folder of clips per split")
    parser.add_argument("--split", default="test")
    arguments = parser.parse_args(argv)
    try:
        own, other = verify(arguments.data, arguments.split)
    except EgoTwinError as error:
        print(f"{parser.prog}: {error}")
        return 1
    width = max(map(len, KINDS))
    print(f"{'kind':<{width}}  clips  own motion  other clips' motion")
    for column, kind in enumerate(KINDS):
        rows, others = (x[np.isfinite(x[:, column]), column] for x in (own, other))
        if len(rows):
            print(
                f"{kind:<{width}}  {len(rows):5}  {rows.mean():10.1%}  {others.mean() if len(others) else np.nan:19.1%}"
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
