"""Cache of network outputs for clips (latents, text states): computed once, kept in pieces, read from mapped files.

```
FOLDER/NAME.safetensors   tensors of the piece NAME, (rows, ...) each
FOLDER/NAME.json          a note of their inputs, size and SHA-256; written last: tensors without it are incomplete
```

A stopped run resumes with the pieces that have no note yet. Several processes share the pieces. Nothing is held in
memory: a tensor's pages are read when its rows are accessed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from tqdm import tqdm

from egotwin_model.errors import ModelError
from egotwin_model.io.files import need_room, read_json, sha256, write_json
from egotwin_model.io.store import save_tensors
from training.datasets.clips.dataset import ClipSet

POLL_S = 0.5  # between two checks for pieces of other processes


@dataclass(frozen=True)
class Piece:
    """Rows that are computed, cached and checked together; `made_of` (JSON) identifies their inputs."""

    name: str
    rows: range
    made_of: Any


class Team(Protocol):
    """The processes of a run (`accelerate.PartialState`)."""

    @property
    def process_index(self) -> int: ...

    @property
    def num_processes(self) -> int: ...


@dataclass(frozen=True)
class Alone:
    """A run of one process."""

    process_index: int = 0
    num_processes: int = 1


class MappedRows:
    """One tensor (N, ...) over several mapped files; indexing copies the rows asked for.

    Args:
        parts: its consecutive parts, (n, ...) each.
        divisor: rows come divided by it, in float32.
    """

    def __init__(self, parts: Sequence[Tensor], divisor: float | None = None) -> None:
        self.parts, self.divisor = list(parts), divisor
        self._ends = torch.tensor([len(part) for part in self.parts]).cumsum(0)

    @property
    def shape(self) -> torch.Size:
        return torch.Size([len(self), *self.parts[0].shape[1:]])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        """The rows of a slice or of indices (n,), none of them negative: (n, ...)."""
        numbers = torch.arange(len(self))[rows] if isinstance(rows, slice) else rows
        parts = torch.searchsorted(self._ends, numbers, right=True)
        places = (numbers - (self._ends[parts] - torch.tensor([len(part) for part in self.parts])[parts])).tolist()
        # filled, not stacked: under autocast a CPU stacks no float16
        found = self.parts[0].new_empty(len(places), *self.shape[1:])
        for row, part, place in zip(found, parts.tolist(), places, strict=True):
            row.copy_(self.parts[part][place])
        return found if self.divisor is None else found.float() / self.divisor


@dataclass(frozen=True)
class CachedShards:
    """Cached tensors by piece, in the order of their rows."""

    folder: Path
    names: list[str]

    @cached_property
    def _files(self) -> list[Any]:
        return [_opened(self.folder / f"{name}.safetensors") for name in self.names]

    def shards(self) -> Iterator[dict[str, Tensor]]:
        """The mapped tensors of one piece after the other."""
        return ({name: file.get_tensor(name) for name in file.keys()} for file in self._files)  # noqa: SIM118

    def rows(self, name: str, divisor: float | None = None) -> MappedRows:
        """One tensor of all pieces, memory-mapped."""
        return MappedRows([file.get_tensor(name) for file in self._files], divisor)

    def gather(self, name: str) -> Tensor:
        """One tensor of all pieces, (N, ...), in memory."""
        return torch.cat([file.get_tensor(name) for file in self._files])


def cache_shards(
    clips: ClipSet,
    folder: Path,
    made_by: Mapping[str, Any],
    encode: Callable[[ClipSet, range], Mapping[str, Tensor]],
    team: Team | None = None,
) -> CachedShards:
    """`cache_pieces` with a piece for each shard of clips; rows are clips."""
    return cache_pieces(pieces_of(clips), folder, made_by, lambda rows: encode(clips, rows), team)


def pieces_of(clips: ClipSet) -> list[Piece]:
    """A piece for each shard of clips, identified by the shard's checksum."""
    pieces, first = [], 0
    for name in clips.names:
        entry = clips.manifest.shards[name]
        pieces.append(Piece(name, range(first, first + int(entry["clips"])), entry["sha256"]))
        first += int(entry["clips"])
    return pieces


def cache_pieces(
    pieces: Sequence[Piece],
    folder: Path,
    made_by: Mapping[str, Any],
    encode: Callable[[range], Mapping[str, Tensor]],
    team: Team | None = None,
) -> CachedShards:
    """Checks cached pieces, and computes those that are missing or were made from other inputs or by other networks.

    Args:
        made_by: identifies the computation, for instance ``{"codec": sha256(weights)}``; JSON.
        encode: tensors (len(range), ...) of these rows; called once a piece.
        team: the processes that share the work; each returns when all pieces are there.

    Raises:
        ModelError: a cached piece is missing, altered or damaged; the disk has no room for the rest; `encode` gave
            a wrong number of rows.
    """
    team = Alone() if team is None else team
    pieces_on_disk = [_CachedPiece(folder, piece, dict(made_by)) for piece in pieces]
    mine = pieces_on_disk[team.process_index :: team.num_processes]
    roomy = False
    for number, piece in enumerate(
        tqdm(mine, desc="/".join(folder.parts[-2:]), unit="piece", mininterval=2, disable=None)
    ):
        if piece.is_current:
            piece.check()
            continue
        size = piece.make(encode)
        if not roomy:  # the size of the first piece predicts that of the others
            rest = sum(not other.is_current for other in mine[number + 1 :])
            need_room(folder, team.num_processes * size * rest, f"the rest of {folder}")
            roomy = True
    for piece in pieces_on_disk:
        while not piece.is_current:  # another process computes it
            time.sleep(POLL_S)
    return CachedShards(folder, [piece.name for piece in pieces])


class _CachedPiece:
    """The two files of one piece."""

    def __init__(self, folder: Path, piece: Piece, made_by: dict[str, Any]) -> None:
        self.piece = piece
        self.path, self.note = folder / f"{piece.name}.safetensors", folder / f"{piece.name}.json"
        identity = {"made_by": made_by, "made_of": piece.made_of, "rows": len(piece.rows)}
        self.identity = json.loads(json.dumps(identity))  # as it is read back

    @property
    def is_current(self) -> bool:
        """Whether there is a note of the same inputs and networks."""
        note = self._note()
        return note is not None and {key: note.get(key) for key in self.identity} == self.identity

    def check(self) -> None:
        note, path = self._note() or {}, self.path
        remedy = f"delete {self.note} to have it computed again"
        if not path.is_file():
            raise ModelError(f"{path} is missing, though there is a note of it; {remedy}")
        if path.stat().st_size != note.get("bytes") or sha256(path) != note.get("sha256"):
            raise ModelError(f"{path} is damaged or altered: it differs from its checksum; {remedy}")

    def make(self, encode: Callable[[range], Mapping[str, Tensor]]) -> int:
        """Computes and writes it; returns its size in bytes."""
        tensors, count = dict(encode(self.piece.rows)), len(self.piece.rows)
        if wrong := [key for key, tensor in tensors.items() if len(tensor) != count]:
            raise ModelError(f"{self.piece.name}: {', '.join(wrong)} do not have {count} rows, one for each input")
        self.note.unlink(missing_ok=True)
        save_tensors(self.path, tensors)
        size = self.path.stat().st_size
        write_json(self.note, {**self.identity, "bytes": size, "sha256": sha256(self.path)})
        return size

    def _note(self) -> dict[str, Any] | None:
        try:
            note = read_json(self.note)
        except ModelError:
            return None  # a damaged note counts as none
        return note if isinstance(note, dict) else None


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read ({error}); delete its note to have it computed again") from error
