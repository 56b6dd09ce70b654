"""The split of each sequence: people and places of val and test do not occur in train."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from egotwin_model.errors import RecordingError
from training.datasets.clips.split_search import SplitSearch

SPLITS = ("train", "val", "test")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class SplitSettings:
    """The shares of val and test, as shares of clips, or the places of val and test by name.

    Named places take precedence over the shares: all other places are then train.

    Raises:
        RecordingError: a share is negative, or both leave nothing for train.
    """

    val_share: float = 0.1
    test_share: float = 0.1
    seed: int = 0
    val_places: tuple[str, ...] = ()
    test_places: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if min(self.val_share, self.test_share) < 0 or self.val_share + self.test_share >= 1:
            raise RecordingError(
                f"val share {self.val_share} and test share {self.test_share}: "
                "wanted numbers from 0 whose sum is below 1"
            )

    @property
    def shares(self) -> dict[str, float]:
        """The wanted share of clips of each split."""
        return {"train": 1 - self.val_share - self.test_share, "val": self.val_share, "test": self.test_share}

    @property
    def names_places(self) -> bool:
        return bool(self.val_places or self.test_places)

    def of_named_place(self, name: str) -> str:
        """The split of a place where places are named."""
        return "test" if name in self.test_places else "val" if name in self.val_places else "train"


@dataclass(frozen=True)
class Visit:
    """The person and the place of a sequence, and how many clips it is expected to give.

    `place` is `UNKNOWN` where it is not given. `split` is the sequence's own, None where it has none.
    """

    person: str
    place: str
    clips: float = 1.0
    split: str | None = None


@dataclass(frozen=True)
class Assignment:
    """The splits of people and of places, by name."""

    people: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)

    def of(self, visit: Visit) -> str | None:
        """The split of a sequence; None where its person and its place belong to different splits."""
        if visit.split is not None:
            return visit.split
        person = self.people[visit.person]
        return person if visit.place == UNKNOWN or self.places[visit.place] == person else None


def assign(visits: Mapping[str, Visit], settings: SplitSettings, known: Assignment | None = None) -> Assignment:
    """The splits of all people and places that occur.

    The splits of `known` are kept, then those of sequences with their own split. The rest is searched for the wanted
    shares of clips with as few sequences left out as possible, or follows from the named places. The result does not
    depend on the order of `visits`.
    """
    known = known or Assignment()
    people, places = dict(known.people), dict(known.places)
    for _, visit in sorted(visits.items()):
        if visit.split is not None:
            people.setdefault(visit.person, visit.split)
            if visit.place != UNKNOWN:
                places.setdefault(visit.place, visit.split)
    found = _named if settings.names_places else _searched
    return found(visits, settings, Assignment(people, places))


def _named(visits: Mapping[str, Visit], settings: SplitSettings, fixed: Assignment) -> Assignment:
    """Places by name; a person belongs to the split of the place where most of their sequences were recorded."""
    people, places = dict(fixed.people), dict(fixed.places)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for visit in visits.values():
        if visit.place != UNKNOWN:
            places.setdefault(visit.place, settings.of_named_place(visit.place))
            counts[visit.person][visit.place] += 1
    for visit in visits.values():
        most = counts[visit.person]
        home = min(most, key=lambda place: (-most[place], place)) if most else visit.person
        people.setdefault(visit.person, places[home] if most else settings.of_named_place(home))
    return Assignment(people, places)


def _searched(visits: Mapping[str, Visit], settings: SplitSettings, fixed: Assignment) -> Assignment:
    """Places and people by search."""
    edges: dict[tuple[str, str], float] = defaultdict(float)
    for visit in visits.values():
        person = f"person {visit.person}"
        edges[person, person if visit.place == UNKNOWN else f"place {visit.place}"] += visit.clips
    pinned = {f"person {name}": split for name, split in fixed.people.items()}
    pinned |= {f"place {name}": split for name, split in fixed.places.items()}
    labels = SplitSearch(edges, settings.shares, pinned).run(settings.seed)
    kinds: dict[str, dict[str, str]] = {"person": {}, "place": {}}
    for name, split in labels.items():
        kind, _, plain = name.partition(" ")
        kinds[kind][plain] = split
    return Assignment(kinds["person"], kinds["place"])


def split_table(visits: Mapping[str, Visit], assignment: Assignment) -> str:
    """A table of each split: expected share of clips, sequences, people and places; and the number left out."""
    of_split: dict[str | None, list[Visit]] = defaultdict(list)
    for visit in visits.values():
        of_split[assignment.of(visit)].append(visit)
    total = sum(visit.clips for split in SPLITS for visit in of_split[split]) or 1.0
    lines = [f"{'split':<9}{'clips':>8}{'sequences':>11}{'people':>8}{'places':>8}"]
    for split in SPLITS:
        mine = of_split[split]
        people, places = {visit.person for visit in mine}, {visit.place for visit in mine} - {UNKNOWN}
        share = f"{sum(visit.clips for visit in mine) / total:.1%}"
        lines.append(f"{split:<9}{share:>8}{len(mine):>11}{len(people):>8}{len(places):>8}")
    return "\n".join([*lines, f"left out {len(of_split[None]):>18}"])
