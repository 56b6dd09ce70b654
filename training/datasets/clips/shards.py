"""Clips on disk: shards of 64 clips as safetensors, a JSON list of their records each, and one manifest.

```
DIR/manifest.json             settings of the clips, what the split is sampled from, each finished shard's clip count,
                              SHA-256 and rejected motions, and what was left out and why
DIR/clips-00000.safetensors   frames uint8 (N,41,H,W,3) · positions float32 (N,81,23,3) m · rotations float32
                              (N,81,23,3,3) global · offsets float32 (N,23,3) m · camera_pose float32 (N,41,4,4)
                              T_world_camera, optical · hand_visible uint8 (N,41,2) left, right
                              intrinsics float32 (N,4) fx, fy, cx, cy px · mount float32 (N,4,4) T_head_camera
                              contacts uint8 (N,81,2) · step_phase float32 (N,81,2) · fingers float32 (N,81,2)
                              articulations float32 (N,81,4) · objects float32 (N,81,4,4,4) T_world_object: of the
                              parts and objects that the record names, else 0
  optional:                   hand_pixels float32 (N,41,2) · depth float16 (N,41,H,W) m · segmentation uint16
                              (N,41,H,W) · outside_frames, outside_pose, outside_intrinsics: another camera's
                              first_depth float16 (N,H,W) m, of frame 0 · first_body uint8 (N,H,W), 1 where it shows
                              the wearer · of keyframes before the clip (K = 8; unused rows are 0, their time NaN):
                              past_frames uint8 (N,K,H,W,3) · past_depth float16 (N,K,H,W) · past_body uint8
                              (N,K,H,W) · past_camera_pose float32 (N,K,4,4) · past_time float32 (N,K) s from frame 0
DIR/clips-00000.json          [{"text", "behaviour", "room_seed", "body_seed", "room_kind", "wall_style", "things",
                              "articulations", "objects", ...}, ...]
```

Everything is in the room's frame (z up, floor at 0); depth is along the optical axis, 0 where unknown. A file under its
final name is complete; a shard is finished once the manifest lists it, which may be while later shards are still being
made. Where frames are compressed, the same arrays are in WebDataset shards (`training.datasets.clips.clip_store`)
beside the same manifest.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from egotwin_model.errors import RecordingError
from egotwin_model.io.files import sha256, write_atomically, write_text

GENERATOR_VERSION = 3
SHARD_CLIPS = 64
PAST_KEYFRAMES = 8
_NAME = re.compile(r"clips-\d{5,}")


@dataclass
class Manifest:
    """The manifest of a folder of clips: its settings, its finished shards, and what was left out.

    Attributes:
        options: of the simulator; a folder of motion capture is replaced by its checksum.
        compression: of the frames, as `egotwin_model.io.videos.Compression`; empty where they are not compressed.
        drawn_from: the rooms, bodies, wall styles and objects that the split is sampled from; splits share none.
        left_out: by name, why a shard failed or a recording of motion capture was not used.
    """

    split: str
    seed: int
    num_clips: int
    size: int
    generator_version: int = GENERATOR_VERSION
    frame_rate: float = 8.0
    pose_rate: float = 16.0
    options: dict[str, Any] = field(default_factory=dict)
    compression: dict[str, Any] = field(default_factory=dict)
    drawn_from: dict[str, Any] = field(default_factory=dict)
    shards: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def skeleton(self) -> dict[str, Any]:
        """Empty: the simulator's people have the 23 joints of Xsens."""
        return {}

    def settings(self) -> dict[str, Any]:
        """The settings of the clips, without the state of the folder; equal settings give equal clips."""
        found = asdict(self)
        for name in ("shards", "left_out", "drawn_from", *(() if self.compression else ("compression",))):
            del found[name]
        return found

    @property
    def skipped(self) -> dict[str, int]:
        """Rejected motions, and shards and recordings in `left_out`, counted by reason."""
        counts = {f"motion rejected: {reason}": count for reason, count in self.redrawn.items()}
        for why in self.left_out.values():
            reason = why.partition(":")[0]
            counts[reason] = counts.get(reason, 0) + 1
        return counts

    @property
    def redrawn(self) -> dict[str, int]:
        """How many motions were rejected, and sampled again, in the finished shards, by reason."""
        total: dict[str, int] = {}
        for shard in self.shards.values():
            for reason, count in shard.get("redrawn", {}).items():
                total[reason] = total.get(reason, 0) + int(count)
        return total

    @property
    def finished_clips(self) -> int:
        return sum(int(shard["clips"]) for shard in self.shards.values())

    def save(self, folder: Path) -> None:
        """Writes `manifest.json`, replacing the old one at once."""
        ordered = asdict(self) | {"shards": dict(sorted(self.shards.items()))}
        write_text(folder / "manifest.json", json.dumps(ordered, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Reads a folder's manifest; `RecordingError` where it is missing or not one of ours."""
        path = folder / "manifest.json"
        try:
            manifest = cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise RecordingError(f"{path} is missing: make clips with `egotwin data world --out {folder}`") from error
        except (TypeError, ValueError) as error:
            raise RecordingError(f"{path} is no manifest of clips ({error}): make the clips again") from error
        if strange := [name for name in manifest.shards if not _NAME.fullmatch(name)]:
            raise RecordingError(f"{path} names shards {strange}, wanted clips-00000 and so on: make the clips again")
        return manifest


def shard_name(index: int) -> str:
    return f"clips-{index:05d}"


def write_shard(folder: Path, index: int, arrays: dict[str, NDArray[Any]], records: list[dict[str, Any]]) -> str:
    """Writes one shard's two files, each complete or not at all; returns the SHA-256 of the tensors.

    Raises:
        OSError: the disk is full.
    """
    path, digest = folder / f"{shard_name(index)}.safetensors", ""

    def write(temporary: Path) -> None:
        nonlocal digest
        try:
            save_file(arrays, temporary)
        except SafetensorError as error:  # the library reports every system error by this class
            if f"os error {errno.ENOSPC}" in str(error):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
            raise
        digest = sha256(temporary)

    write_text(path.with_suffix(".json"), json.dumps(records, separators=(",", ":")) + "\n")
    write_atomically(path, write)
    return digest


class TensorClips:
    """Index over the finished shards of a folder; tensors are read from the mapped files on demand.

    Attributes:
        manifest: the folder's manifest as of opening.
        records: one dictionary per clip (text, behaviour, seeds, ...), in the order of the clips.
    """

    def __init__(self, folder: Path | str, verify: bool = False) -> None:
        self.folder = Path(folder)
        self.manifest = Manifest.load(self.folder)
        self.names = sorted(self.manifest.shards)
        self.records: list[dict[str, Any]] = []
        self._where: list[tuple[str, int]] = []
        self._open: dict[str, Any] = {}
        for name in self.names:
            self._index(name, verify)

    def _index(self, name: str, verify: bool) -> None:
        path, entry = self.folder / f"{name}.safetensors", self.manifest.shards[name]
        try:
            for file, wanted in ((path, "sha256"), (path.with_suffix(".json"), "records_sha256")):
                if verify and wanted in entry and sha256(file) != entry[wanted]:
                    raise RecordingError(f"{file} differs from its checksum in the manifest: delete {path} and resume")
            self._open[name] = safe_open(path, framework="numpy")
            records = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        except (OSError, SafetensorError, json.JSONDecodeError) as error:
            raise RecordingError(f"{path} cannot be read ({error}): delete the shard and resume") from error
        if len(records) != entry["clips"]:
            raise RecordingError(f"{path}: {len(records)} records, {entry['clips']} clips: delete the shard and resume")
        self.records += records
        self._where += [(name, i) for i in range(len(records))]

    def __len__(self) -> int:
        return len(self._where)

    def tensor(self, name: str, clip: int) -> NDArray[Any]:
        """One clip's tensor, for instance ``tensor("frames", 5)`` (41, H, W, 3)."""
        shard, row = self._where[clip]
        return self._open[shard].get_slice(name)[row : row + 1][0]

    def __getitem__(self, clip: int) -> dict[str, Any]:
        """All tensors of one clip and its record's entries."""
        if not 0 <= clip < len(self):
            raise IndexError(f"clip {clip} of {len(self)}")
        names = self._open[self._where[clip][0]].keys()
        return {**self.records[clip], **{name: self.tensor(name, clip) for name in names}}

    def shards(self, *names: str) -> Iterator[dict[str, NDArray[Any]]]:
        """The named tensors of one whole shard after the other, the fastest way through all clips."""
        for shard in self.names:
            yield {name: self._open[shard].get_tensor(name) for name in names}

    def gather(self, name: str) -> NDArray[Any]:
        """One tensor of all clips, (len(self), ...), in memory."""
        return np.concatenate([shard[name] for shard in self.shards(name)])
