"""Whether data sets that should have nothing in common do: rooms, bodies, wall styles, objects and wordings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

from training.world.shards import Clips

SHARED_WORDS_ALLOWED = ("texts",)
"""What may overlap without harm is listed here; goals of few words ("sit down") are the same in every split's mouth."""


def contents(records: Iterable[Mapping[str, Any]]) -> dict[str, set[Any]]:
    """What a set of clips is made of: "rooms" and "bodies" by seed, "wall_styles", "objects" by name, "texts"."""
    found: dict[str, set[Any]] = {
        "rooms": set(),
        "bodies": set(),
        "wall_styles": set(),
        "objects": set(),
        "texts": set(),
    }
    for record in records:
        found["rooms"].add(record["room_seed"])
        found["bodies"].add(record["body_seed"])
        found["wall_styles"].add(record["wall_style"])
        found["objects"].update(record["things"])
        found["texts"].add(record["text"])
    return found


def leakage(splits: Mapping[str, Clips]) -> dict[str, dict[str, list[Any]]]:
    """What two splits share: {"train/test": {"rooms": [...], ...}}; empty lists everywhere where nothing leaks.

    Args:
        splits: {"train": clips, "val": clips, "test": clips} or any two of them.
    """
    held = {name: contents(clips.records) for name, clips in splits.items()}
    return {
        f"{a}/{b}": {what: sorted(held[a][what] & held[b][what]) for what in held[a]} for a, b in combinations(held, 2)
    }


def leaks(splits: Mapping[str, Clips]) -> list[str]:
    """One line for every kind of thing that two splits share, "texts" aside; empty where the splits are clean."""
    return [
        f"{pair}: {len(shared)} {what} in both, for instance {shared[0]!r}"
        for pair, found in leakage(splits).items()
        for what, shared in found.items()
        if shared and what not in SHARED_WORDS_ALLOWED
    ]
