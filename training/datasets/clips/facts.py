"""Statistics of a folder of clips: counts, words, actions, hands, speeds, and what splits share."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.rotations import rotation_angle
from egotwin_model.geometry.skeleton import Skeleton
from training.datasets.clips.dataset import ClipSet, open_clips, skeleton_of
from training.datasets.clips.splits import SPLITS

Array = NDArray[np.float64]

IDENTITIES = {
    "sequence": "sequences", "person": "people", "place": "places", "room_seed": "rooms", "body_seed": "bodies",
    "wall_style": "wall styles", "things": "objects", "recording": "recordings of motion capture",
}  # fmt: skip
"""Entries of a clip's record whose values no two splits may share."""

_HANDS = {"left hand": "L_Hand", "right hand": "R_Hand"}
_WORD = re.compile(r"[a-z']+")


@dataclass
class SplitFacts:
    """Statistics of one split.

    Attributes:
        words: how often each occurs in the clips' texts. actions: clips by `behaviour`.
        hands: share of frames in which the left, the right or any hand is visible, by action and for "all"; empty
            where clips have no such label.
        speeds: by body part, values (N,) of all clips and times: m/s; of "turning of the head" degrees/s.
        identities: values of each of `IDENTITIES` in the records. motions: hashes of the clips' motions.
        ambiguous: number of clips by what their text leaves open on purpose ("target", "side", "hand").
    """

    name: str
    settings: dict[str, Any]
    clips: int
    hours: float
    shards: int
    megabytes: float
    frame_shape: tuple[int, ...]
    texts: Counter[str]
    words: Counter[str]
    actions: Counter[str]
    hands: dict[str, tuple[float, float, float]]
    speeds: dict[str, Array]
    identities: dict[str, set[str]]
    motions: Counter[str]
    ambiguous: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Leak:
    """Values that two splits share but must not: their number, and some of them."""

    splits: tuple[str, str]
    what: str
    count: int
    examples: list[str]


def find_splits(folder: Path) -> dict[str, ClipSet]:
    """The clips in DIR/train, DIR/val, DIR/test, or in DIR itself.

    Raises:
        RecordingError: there are none.
    """
    names = [name for name in SPLITS if (folder / name / "manifest.json").is_file()]
    if names:
        return {name: open_clips(folder / name) for name in names}
    if not (folder / "manifest.json").is_file():
        raise RecordingError(f"{folder} holds no clips: no manifest.json there, nor in {', '.join(SPLITS)}")
    clips = open_clips(folder)
    return {clips.manifest.split: clips}


def measure(clips: ClipSet) -> SplitFacts:
    """Measures a split in one pass over its motions and labels, without reading its frames."""
    records, manifest, skeleton = clips.records, clips.manifest, skeleton_of(clips)
    actions = [str(record.get("behaviour") or "unknown") for record in records]
    texts = [str(record["text"]) for record in records]
    labelled = bool(len(clips)) and "hand_visible" in clips[0]
    speeds: dict[str, list[Array]] = {}
    motions: Counter[str] = Counter()
    seen: list[NDArray[Any]] = []
    names = ("positions", "rotations", "hand_visible") if labelled else ("positions", "rotations")
    for shard in tqdm(clips.shards(*names), total=len(clips.names), desc=manifest.split, disable=None):
        for what, values in _speeds(shard["positions"], shard["rotations"], manifest.pose_rate, skeleton).items():
            speeds.setdefault(what, []).append(values)
        motions.update(hashlib.sha1(positions.tobytes()).hexdigest() for positions in shard["positions"])
        if labelled:
            seen.append(shard["hand_visible"].astype(bool))
    files = [path for name in clips.names for path in clips.folder.glob(f"{name}.*")]
    poses = clips.tensor("positions", 0).shape[0] if len(clips) else 1
    return SplitFacts(
        name=manifest.split,
        settings=manifest.settings(),
        clips=len(clips),
        hours=len(clips) * (poses - 1) / manifest.pose_rate / 3600,
        shards=len(clips.names),
        megabytes=sum(path.stat().st_size for path in files) / 1e6,
        frame_shape=clips.tensor("frames", 0).shape if len(clips) else (),
        texts=Counter(texts),
        words=Counter(word for text in texts for word in _WORD.findall(text.lower())),
        actions=Counter(actions),
        hands=_hands(seen, actions),
        speeds={what: np.concatenate(values) for what, values in speeds.items()},
        identities={key: named for key in IDENTITIES if (named := _values(records, key))},
        motions=motions,
        ambiguous=Counter(str(record["ambiguous"]) for record in records if record.get("ambiguous")),
        skipped=dict(getattr(manifest, "skipped", {})),
        left_out=dict(getattr(manifest, "left_out", {})),
    )


def _values(records: list[dict[str, Any]], key: str) -> set[str]:
    values = [record[key] for record in records if record.get(key) not in (None, "")]
    return {str(one) for value in values for one in (value if isinstance(value, list) else [value])}


def _speeds(positions: NDArray[Any], rotations: NDArray[Any], rate: float, skeleton: Skeleton) -> dict[str, Array]:
    """Speeds (N,) of head and hands, m/s, and of the head's turning, degrees/s, of clips (B, T, J, …)."""
    names = skeleton.joint_names
    moved = {"head": skeleton.head_index, **{w: names.index(name) for w, name in _HANDS.items() if name in names}}
    speeds = {
        what: np.linalg.norm(np.diff(positions[:, :, joint].astype(np.float64), axis=1), axis=-1).ravel() * rate
        for what, joint in moved.items()
    }
    R = rotations[:, :, skeleton.head_index]
    speeds["turning of the head"] = np.degrees(rotation_angle(R[:, :-1], R[:, 1:])).ravel() * rate
    return speeds


def _hands(seen: list[NDArray[Any]], actions: list[str]) -> dict[str, tuple[float, float, float]]:
    """Share of frames with the left, the right and any hand: for "all", then by action, the most frequent first."""
    if not seen:
        return {}
    visible, names = np.concatenate(seen), np.array(actions)
    shares = {"all": _shares(visible)}
    return shares | {name: _shares(visible[names == name]) for name, _ in Counter(actions).most_common()}


def _shares(visible: NDArray[Any]) -> tuple[float, float, float]:
    return float(visible[..., 0].mean()), float(visible[..., 1].mean()), float(visible.any(axis=-1).mean())


def leaks(facts: Mapping[str, SplitFacts]) -> list[Leak]:
    """Values of `IDENTITIES` that two splits share, and motions that are equal to the bit."""
    found = []
    for one, other in combinations(facts.values(), 2):
        for key, what in IDENTITIES.items():
            common = one.identities.get(key, set()) & other.identities.get(key, set()) - {"unknown"}
            if common:
                found.append(Leak((one.name, other.name), what, len(common), sorted(common)[:5]))
        if equal := set(one.motions) & set(other.motions):
            found.append(Leak((one.name, other.name), "equal motions", len(equal), sorted(equal)[:2]))
    return found


def seen_texts(facts: Mapping[str, SplitFacts]) -> dict[str, float]:
    """Share of the clips of val and test whose exact text also occurs in train, which is not a leak."""
    if "train" not in facts:
        return {}
    known = facts["train"].texts
    others = {name: split for name, split in facts.items() if name != "train" and split.clips}
    return {
        name: sum(count for text, count in split.texts.items() if text in known) / split.clips
        for name, split in others.items()
    }
