"""The three narrations of a sequence: atomic actions, motion with focus of attention, and activity."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from egotwin_model.io.files import write_text
from training.datasets.sequences.reasons import Reason, Unfit
from training.datasets.sequences.sequence_files import NARRATIONS, TEXT_COLUMNS, TEXT_KINDS

NOTHING = {"", "n/a", "na", "nan", "none", "null", "-"}  # entries of annotators that stand for no text
_TIMES = ("start_time", "end_time")
_BOOKKEEPING = {"request_id", "gaia_id", "annotator", "creation_time", "original_index", *_TIMES}


@dataclass(frozen=True)
class Narration:
    """One row: its interval (seconds, DEVICE time), its texts by kind, and unknown columns unchanged.

    `texts` has keys of `TEXT_KINDS`; a row of motion_narration.csv has up to four.
    """

    start_s: float
    end_s: float
    texts: Mapping[str, str]
    extra: Mapping[str, str] = field(default_factory=dict)

    def overlap(self, start_s: float, end_s: float) -> float:
        """Seconds this row shares with an interval."""
        return max(0.0, min(self.end_s, end_s) - max(self.start_s, start_s))


def read_narrations(folder: Path) -> tuple[list[Narration], int]:
    """All rows with a text in a sequence's narration files, by start, and the number of rows without.

    Raises:
        Unfit: there is no narration file, or one lacks its columns, or no row has a text.
    """
    found = [(kind, folder / name) for kind, name in NARRATIONS.items() if (folder / name).is_file()]
    if not found:
        raise Unfit(Reason.MISSING_FILE, f"{folder} has none of {', '.join(NARRATIONS.values())}")
    rows: list[Narration] = []
    empty = 0
    for kind, path in found:
        sound, broken = _read(path, TEXT_COLUMNS[kind])
        rows += sound
        empty += broken
    if not rows:
        raise Unfit(Reason.NO_NARRATION, f"{folder / 'narration'}: none of {empty} rows has a text and times")
    return sorted(rows, key=lambda row: (row.start_s, row.end_s)), empty


def _read(path: Path, columns: Mapping[str, str]) -> tuple[list[Narration], int]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Unfit(Reason.DAMAGED, f"{path} is unreadable: {error}") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    names = reader.fieldnames
    if names is None:  # an empty file
        return [], 0
    if not set(_TIMES) <= set(names) or not set(columns.values()) & set(names):
        raise Unfit(Reason.DAMAGED, f"{path} has columns {names}: wanted {[*_TIMES, *columns.values()]}")
    known = _BOOKKEEPING | set(columns.values())
    rows, empty = [], 0
    for row in reader:
        texts = {kind: said for kind, name in columns.items() if (said := _said(row.get(name)))}
        start_s, end_s = (_number(row.get(name)) for name in _TIMES)
        if not texts or not end_s > start_s:
            empty += 1
            continue
        extra = {name: value for name, value in row.items() if name and name not in known and value}
        rows.append(Narration(start_s, end_s, texts, extra))
    return rows, empty


def _said(value: str | None) -> str:
    said = " ".join((value or "").split())
    return "" if said.lower() in NOTHING else said


def _number(value: str | None) -> float:
    try:
        number = float(value or "nan")
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def texts_between(rows: Iterable[Narration], start_s: float, end_s: float, least: float) -> dict[str, list[str]]:
    """Texts by kind of the rows that cover an interval, those with the larger overlap first.

    Args:
        least: smallest overlap, as a share of the interval or of the row if that is shorter.
    """
    found: dict[str, list[tuple[float, str]]] = {}
    for row in rows:
        shared = row.overlap(start_s, end_s)
        if shared > 0.0 and shared >= least * min(end_s - start_s, row.end_s - row.start_s) - 1e-6:
            for kind, text in row.texts.items():
                found.setdefault(kind, []).append((-shared, text))
    ordered = {kind: [text for _, text in sorted(texts, key=lambda pair: pair[0])] for kind, texts in found.items()}
    return {kind: ordered[kind] for kind in TEXT_KINDS if kind in ordered}


def extras_between(rows: Iterable[Narration], start_s: float, end_s: float) -> dict[str, str]:
    """Further columns of the row with the largest overlap with an interval."""
    best = max(rows, key=lambda row: row.overlap(start_s, end_s), default=None)
    return dict(best.extra) if best is not None and best.overlap(start_s, end_s) > 0 else {}


def write_narrations(folder: Path, rows: Iterable[Narration]) -> None:
    """Writes a file for each kind of narration that occurs, with Nymeria's columns."""
    rows = list(rows)
    for kind, columns in TEXT_COLUMNS.items():
        mine = [row for row in rows if set(row.texts) & set(columns)]
        if not mine:
            continue
        extra = sorted({name for row in mine for name in row.extra})
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, [*_TIMES, *columns.values(), *extra], lineterminator="\n")
        writer.writeheader()
        for row in mine:
            said = {name: row.texts.get(key, "") for key, name in columns.items()}
            writer.writerow({"start_time": repr(row.start_s), "end_time": repr(row.end_s), **said, **row.extra})
        write_text(folder / NARRATIONS[kind], out.getvalue())
