"""What networks make of clips (latents, text states), computed once a shard and kept; goes on where it was stopped.

```
FOLDER/NAME.safetensors   tensors of the shard NAME, (clips, ...) each
FOLDER/NAME.json          what they were made of: the shard's checksum and the networks'
```
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from egotwin_model.errors import ModelError
from egotwin_model.files import read_json, write_json
from egotwin_model.store import load_tensors, save_tensors
from training.sequences.dataset import ClipSet


@dataclass(frozen=True)
class CachedShards:
    """Kept tensors of a data folder, by shard, in the order of its clips."""

    folder: Path
    names: list[str]

    def shards(self) -> Iterator[dict[str, Tensor]]:
        """One shard's tensors after the other."""
        return (load_tensors(self.folder / f"{name}.safetensors") for name in self.names)

    def gather(self, name: str) -> Tensor:
        """One tensor of all clips, (clips, ...), in memory."""
        return torch.cat([shard[name] for shard in self.shards()])


def cache_shards(
    clips: ClipSet,
    folder: Path,
    made_by: Mapping[str, Any],
    encode: Callable[[ClipSet, range], Mapping[str, Tensor]],
) -> CachedShards:
    """Computes what is not kept yet, or was made of other clips or by other networks.

    Args:
        made_by: what identifies the computation, for instance ``{"codec": sha256(weights)}``; JSON.
        encode: tensors (len(range), ...) of these clips; called once a shard.

    Raises:
        ModelError: `encode` gave another number of rows than there are clips.
    """
    first = 0
    for name in tqdm(clips.names, desc=folder.name, unit="shard", disable=None):
        entry = clips.manifest.shards[name]
        rows = range(first, first + int(entry["clips"]))
        first = rows.stop
        identity = {"made_by": dict(made_by), "shard": entry["sha256"], "clips": len(rows)}
        path, note = folder / f"{name}.safetensors", folder / f"{name}.json"
        if path.is_file() and note.is_file() and _read(note) == identity:
            continue
        tensors = dict(encode(clips, rows))
        if wrong := [key for key, tensor in tensors.items() if len(tensor) != len(rows)]:
            raise ModelError(f"{name}: {', '.join(wrong)} have not one row for each of {len(rows)} clips")
        note.unlink(missing_ok=True)  # the note comes last: it vouches for the tensors
        save_tensors(path, tensors)
        write_json(note, identity)
    return CachedShards(folder, list(clips.names))


def _read(note: Path) -> Any:
    try:
        return read_json(note)
    except ModelError:
        return None  # a note that does not read vouches for nothing
