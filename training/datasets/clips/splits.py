"""The split of each sequence: people and places of val and test do not occur in train."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

SPLITS = ("train", "val", "test")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class SplitSettings:
    """The places of val and test: shares of all, chosen by the hashes of their names, or named.

    The choice depends on a place's name and the seed alone, so it does not change when sequences are added.
    """

    val_share: float = 0.05
    test_share: float = 0.05
    seed: int = 0
    val_places: tuple[str, ...] = ()
    test_places: tuple[str, ...] = ()

    def of_place(self, name: str) -> str:
        """The split of a place, or of a person whose place is unknown."""
        if self.test_places or self.val_places:
            return "test" if name in self.test_places else "val" if name in self.val_places else "train"
        digest = hashlib.sha256(f"{self.seed}:{name}".encode()).digest()
        draw = int.from_bytes(digest[:8], "big") / 2**64
        return "test" if draw < self.test_share else "val" if draw < self.test_share + self.val_share else "train"


def assign(sequences: Mapping[str, tuple[str, str]], settings: SplitSettings) -> dict[str, str | None]:
    """The split of each sequence; None where its person and its place belong to different splits.

    A person belongs to the split of the place where most of their sequences were recorded.

    Args:
        sequences: person and place by sequence; place `UNKNOWN` where it is not given.
    """
    visits: dict[str, Counter[str]] = defaultdict(Counter)
    for person, place in sequences.values():
        if place != UNKNOWN:
            visits[person][place] += 1
    home = {person: min(places, key=lambda place: (-places[place], place)) for person, places in visits.items()}
    result: dict[str, str | None] = {}
    for name, (person, place) in sequences.items():
        of_person = settings.of_place(home.get(person, person))
        of_place = of_person if place == UNKNOWN else settings.of_place(place)
        result[name] = of_person if of_person == of_place else None
    return result
