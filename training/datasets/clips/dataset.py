"""Clips opened for training: one interface over both storage forms, by index or as a stream.

`open_clips` reads from a folder's manifest whether it holds shards of tensors (`training.datasets.clips.shards`) or
WebDataset shards (`training.datasets.clips.clip_store`), and gives the same interface for both:
``records``, ``len``, ``tensor(name, clip)``, ``[clip]``, ``shards(*names)``, ``gather(name)``, ``manifest.settings()``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from egotwin_model.errors import PoseError, RecordingError
from egotwin_model.geometry.skeleton import Skeleton
from egotwin_model.io.files import sha256
from egotwin_model.io.videos import decode_clip
from training.datasets.clips.clip_store import (
    ARRAYS,
    FORMAT,
    PICTURES,
    VIDEOS,
    ClipManifest,
    decode_picture,
    decode_sample,
    members,
)
from training.datasets.clips.shards import Manifest, TensorClips


class ManifestLike(Protocol):
    """What both manifests have; `skeleton` is empty where bodies have the 23 joints of Xsens."""

    shards: dict[str, dict[str, Any]]
    split: str
    frame_rate: float
    pose_rate: float

    @property
    def skeleton(self) -> Mapping[str, Any]: ...

    def settings(self) -> dict[str, Any]: ...


class ClipSet(Protocol):
    """Finished clips of a folder, read on demand; the interface of both storage forms."""

    folder: Path
    names: list[str]
    records: list[dict[str, Any]]

    @property
    def manifest(self) -> ManifestLike: ...

    def __len__(self) -> int: ...

    def __getitem__(self, clip: int) -> dict[str, Any]: ...

    def tensor(self, name: str, clip: int) -> NDArray[Any]: ...

    def shards(self, *names: str) -> Iterator[dict[str, NDArray[Any]]]: ...

    def gather(self, name: str) -> NDArray[Any]: ...


class TarClips:
    """Index over the finished WebDataset shards of a folder.

    Reads are by position in the file (`os.pread`), so an opened set may be shared by forked loader processes.

    Args:
        manifest: of the folder, where it is not a `ClipManifest` but the simulator's.

    Attributes:
        manifest: as of opening. records: one dictionary a clip, in the order of the clips.
    """

    def __init__(self, folder: Path | str, verify: bool = False, manifest: ManifestLike | None = None) -> None:
        self.folder = Path(folder)
        self.manifest: ManifestLike = manifest or ClipManifest.load(self.folder)
        self.names = sorted(name for name, entry in self.manifest.shards.items() if entry["clips"])
        self.records: list[dict[str, Any]] = []
        self._where: list[tuple[str, int]] = []
        self._files: dict[str, tuple[int, list[dict[str, tuple[int, int]]]]] = {}
        for name in self.names:
            self._index(name, verify)

    def _index(self, name: str, verify: bool) -> None:
        path, entry = self.folder / f"{name}.tar", self.manifest.shards[name]
        try:
            if path.stat().st_size != entry["bytes"] or (verify and sha256(path) != entry["sha256"]):
                raise RecordingError(f"{path} differs from its size or checksum in the manifest: delete it and resume")
            records = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            if isinstance(error, RecordingError):
                raise
            raise RecordingError(f"{path} cannot be read ({error}): delete the shard and resume") from error
        if len(records) != entry["clips"]:
            raise RecordingError(f"{path}: {len(records)} records, {entry['clips']} clips: delete the shard and resume")
        self.records += records
        self._where += [(name, row) for row in range(len(records))]

    def __len__(self) -> int:
        return len(self._where)

    def _read(self, clip: int, extension: str) -> bytes:
        descriptor, files = self._of(clip)
        offset, size = files[extension]
        return os.pread(descriptor, size, offset)

    def _extensions(self, clip: int) -> list[str]:
        return list(self._of(clip)[1])

    def _of(self, clip: int) -> tuple[int, dict[str, tuple[int, int]]]:
        """A clip's shard, open, and the places of its files in it."""
        shard, row = self._where[clip]
        if shard not in self._files:
            path = self.folder / f"{shard}.tar"
            rows = list(members(path).values())  # before the file stays open
            self._files[shard] = (os.open(path, os.O_RDONLY), rows)
        descriptor, rows = self._files[shard]
        return descriptor, rows[row]

    def close(self) -> None:
        """Closes the shards; they open again on demand."""
        for descriptor, _ in self._files.values():
            os.close(descriptor)
        self._files.clear()

    def __del__(self) -> None:
        if hasattr(self, "_files"):
            self.close()

    def tensor(self, name: str, clip: int) -> NDArray[Any]:
        """One clip's array, for instance ``tensor("frames", 5)`` (41, H, W, 3)."""
        if name in VIDEOS:
            return decode_clip(self._read(clip, VIDEOS[name]))
        if name in PICTURES:
            return decode_picture(name, self._read(clip, PICTURES[name]))
        return load(self._read(clip, ARRAYS))[name]

    def _arrays(self, clip: int, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The named arrays of one clip, each file read once."""
        apart = VIDEOS.keys() | PICTURES.keys()
        arrays = load(self._read(clip, ARRAYS)) if set(names) - apart else {}
        return {name: self.tensor(name, clip) if name in apart else arrays[name] for name in names}

    def __getitem__(self, clip: int) -> dict[str, Any]:
        """All arrays of one clip and its record's entries."""
        if not 0 <= clip < len(self):
            raise IndexError(f"clip {clip} of {len(self)}")
        decoded = decode_sample({extension: self._read(clip, extension) for extension in self._extensions(clip)})
        return {**decoded.pop("record"), **{name: value for name, value in decoded.items() if name != "key"}}

    def shards(self, *names: str) -> Iterator[dict[str, NDArray[Any]]]:
        """The named arrays of one shard after the other, (clips, ...) each."""
        first = 0
        for name in self.names:
            count = int(self.manifest.shards[name]["clips"])
            clips = range(first, first + count)
            rows = [self._arrays(clip, names) for clip in clips]
            yield {array: np.stack([row[array] for row in rows]) for array in names}
            first += count

    def gather(self, name: str) -> NDArray[Any]:
        """One array of all clips, (len(self), ...), in memory."""
        return np.concatenate([shard[name] for shard in self.shards(name)])


def open_clips(folder: Path | str, verify: bool = False) -> ClipSet:
    """Opens a folder of clips of either storage form; `verify` also checks every shard against its SHA-256.

    Raises:
        RecordingError: the folder has no manifest, or a listed shard is missing, cut short or altered.
    """
    path = Path(folder) / "manifest.json"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        of_sequences, compressed = value.get("format") == FORMAT, bool(value.get("compression"))
    except (OSError, ValueError, AttributeError):
        of_sequences = compressed = False  # `TensorClips` raises the error
    if of_sequences:
        return TarClips(folder, verify)
    if compressed:
        return TarClips(folder, verify, Manifest.load(Path(folder)))
    return TensorClips(folder, verify)


def skeleton_of(clips: ClipSet) -> Skeleton:
    """The skeleton of the clips' bodies.

    Raises:
        RecordingError: the manifest describes none.
    """
    try:
        return Skeleton.read(clips.manifest.skeleton)
    except PoseError as error:
        raise RecordingError(f"{clips.folder / 'manifest.json'}: {error}") from error


def goals_checksum(clips: ClipSet) -> str:
    """SHA-256 over the clips' goals, in their order: equal frames and motion may have other goals."""
    goals = json.dumps([str(record["text"]) for record in clips.records])
    return hashlib.sha256(goals.encode()).hexdigest()


def stream(
    folder: Path | str,
    names: tuple[str, ...] | None = None,
    shuffle: int = 0,
    seed: int = 0,
    prepare: Callable[[dict[str, Any]], Any] | None = None,
) -> Any:
    """The clips of WebDataset shards as an iterable data set for `torch.utils.data.DataLoader`.

    Shards are distributed over nodes (torch.distributed) and loader workers; none is held in memory.

    Args:
        names: only these arrays. shuffle: clips in the shuffling buffer; 0 keeps shards and clips in order.
        prepare: applied to each clip's dictionary (arrays, ``record``, ``key``), in the loader's worker.

    Raises:
        RecordingError: as `open_clips`, or the folder holds tensors, which are read by index.
    """
    import webdataset

    opened = open_clips(folder)
    if not isinstance(opened, TarClips):
        raise RecordingError(f"{folder} holds tensors, not WebDataset shards: make clips with --crf, or use open_clips")
    urls = [str((opened.folder / f"{name}.tar").resolve()) for name in opened.names]
    data = webdataset.WebDataset(
        urls,
        shardshuffle=len(urls) if shuffle else False,
        nodesplitter=webdataset.split_by_node,
        seed=seed,
        empty_check=False,
    )
    if shuffle:
        data = data.shuffle(shuffle, seed=seed)

    def decode(sample: Mapping[str, Any]) -> Any:
        clip = decode_sample(sample, names)
        return prepare(clip) if prepare is not None else clip

    return data.map(decode)
