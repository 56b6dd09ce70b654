"""The splits of a folder of sequences, stored in ``splits.json`` beside the clips, so that a resumed run keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from egotwin_model.errors import ModelError, RecordingError
from egotwin_model.io.files import read_json, write_json
from training.datasets.clips.splits import SPLITS, UNKNOWN, Assignment, SplitSettings, Visit, assign
from training.datasets.sequences.narrations import read_narrations
from training.datasets.sequences.reasons import Unfit
from training.datasets.sequences.sequence_files import METADATA

STORED = "splits.json"


def read_visits(folders: Sequence[Path]) -> dict[str, Visit]:
    """The person and the place of each sequence, its own split, and its expected number of clips.

    Clips begin at atomic actions, so those are counted. A sequence without readable metadata or narration counts
    nothing: it is refused later, with its reason.
    """
    return {folder.name: _visit(folder) for folder in folders}


def _visit(folder: Path) -> Visit:
    metadata: Any = {}
    if (folder / METADATA).is_file():
        try:
            metadata = read_json(folder / METADATA)
        except ModelError:
            metadata = None
    if not isinstance(metadata, dict):
        return Visit(folder.name, UNKNOWN, 0.0)
    person = str(metadata.get("fake_name") or metadata.get("participant") or folder.name)
    split = metadata.get("split")
    place = str(metadata.get("location") or UNKNOWN)
    return Visit(person, place, _expected_clips(folder), split if split in SPLITS else None)


def _expected_clips(folder: Path) -> float:
    try:
        rows, _ = read_narrations(folder)
    except Unfit:
        return 0.0
    return float(sum("atomic_action" in row.texts for row in rows) or len(rows))


def stored_assignment(out: Path, visits: dict[str, Visit], settings: SplitSettings) -> Assignment:
    """The splits of all people and places: those stored in `out`, and new ones for people and places that are new.

    Raises:
        RecordingError: `out` holds clips without their splits, or its splits are damaged or of other settings.
    """
    path = out / STORED
    wanted = {
        "shares": settings.shares, "seed": settings.seed,
        "val_places": list(settings.val_places), "test_places": list(settings.test_places),
    }  # fmt: skip
    known = Assignment()
    if path.is_file():
        known = _loaded(path, wanted)
    elif any((out / split / "manifest.json").is_file() for split in SPLITS):
        raise RecordingError(
            f"{out} holds clips but no {STORED}, which says the split of each person: choose another --out"
        )
    found = assign(visits, settings, known)
    people, places = (dict(sorted(part.items())) for part in (found.people, found.places))
    write_json(path, {"settings": wanted, "people": people, "places": places})
    return found


def _loaded(path: Path, wanted: dict[str, Any]) -> Assignment:
    try:
        stored = read_json(path)
    except ModelError as error:
        raise RecordingError(f"{path} cannot be read ({error}); choose another --out") from error
    people, places = (_labels(stored.get(key) if isinstance(stored, dict) else None) for key in ("people", "places"))
    if people is None or places is None:
        raise RecordingError(f"{path}: 'people' and 'places' do not hold a split for each name; choose another --out")
    if stored.get("settings") != wanted:
        raise RecordingError(f"{path} was made with other settings of the splits: choose another --out")
    return Assignment(people, places)


def _labels(part: Any) -> dict[str, str] | None:
    """`part` where it is a dictionary of splits."""
    return part if isinstance(part, dict) and all(split in SPLITS for split in part.values()) else None
