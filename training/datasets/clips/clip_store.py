"""Clips on disk for training: WebDataset shards and a manifest; a file under its final name is complete.

```
DIR/manifest.json    settings of the clips; each finished shard's clips, bytes and SHA-256; what was left out and why
DIR/NAME.tar         for each clip: KEY.mp4 (H.264) · KEY.safetensors (all other arrays) · KEY.json (its record); and
                     KEY.outside.mp4 of an outside camera; KEY.first_depth.png, KEY.past_frames.png, ... of `PICTURES`
DIR/NAME.json        the shard's records in order, so that texts are read without the tar
```

Arrays of a clip: frames uint8 (41, H, W, 3) · frame_times float32 (41,) s · positions float32 (81, 23, 3) m · rotations
float32 (81, 23, 3, 3) global · offsets float32 (23, 3) m · camera_pose float32 (41, 4, 4) T_world_camera, optical ·
intrinsics float32 (4,) fx fy cx cy pixels · and labels, for instance hand_visible uint8 (41, 2). World: z up, metres.
Pictures are lossless: rows below each other in one image, half-precision depth as the bits of its numbers.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from egotwin_model.errors import RecordingError
from egotwin_model.io.files import sha256, write_atomically, write_text
from egotwin_model.io.videos import Compression, decode_clip, encode_clip
from training.datasets.clips.cutting import Clip
from training.datasets.clips.shards import PAST_KEYFRAMES

FORMAT = "egotwin-clips/2"
ARRAYS, RECORD = "safetensors", "json"
VIDEOS = {"frames": "mp4", "outside_frames": "outside.mp4"}
"""Arrays that are kept as video, and their extensions."""
PICTURES = {
    name: f"{name}.png" for name in ("first_depth", "first_body", "past_frames", "past_depth", "past_body")
}  # fmt: skip
"""Arrays that are kept as one image each, and their extensions."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")


@dataclass
class ClipManifest:
    """The manifest of a folder of clips.

    Attributes:
        split: "train", "val" or "test". made_with: the settings that made it; equal ones may be resumed.
        shards: by name, of every finished one: clips, bytes, sha256 (none where no clip was kept).
        skipped: clips and sequences left out, counted by reason.
        left_out: by sequence, why all of it is left out.
        sequences: by sequence, its person and place, repairs, alignment and skipped clips.
        skeleton: of the clips' bodies, as `egotwin_model.geometry.skeleton.Skeleton.describe`; empty for Xsens.
    """

    split: str
    made_with: dict[str, Any]
    frame_rate: float = 8.0
    pose_rate: float = 16.0
    shards: dict[str, dict[str, Any]] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    sequences: dict[str, dict[str, Any]] = field(default_factory=dict)
    skeleton: dict[str, Any] = field(default_factory=dict)
    format: str = FORMAT

    def settings(self) -> dict[str, Any]:
        """The settings of the clips, without the state of the folder; equal settings give equal clips."""
        return {
            "format": self.format, "split": self.split, "frame_rate": self.frame_rate, "pose_rate": self.pose_rate,
            **self.made_with, **({"skeleton": self.skeleton} if self.skeleton else {}),
        }  # fmt: skip

    @property
    def finished_clips(self) -> int:
        return sum(int(shard["clips"]) for shard in self.shards.values())

    def count(self, reasons: Mapping[str, int]) -> None:
        """Adds to `skipped`; negative numbers for sequences that are prepared again."""
        total = Counter(self.skipped)
        total.update({str(reason): number for reason, number in reasons.items()})
        self.skipped = {reason: number for reason, number in sorted(total.items()) if number > 0}

    def save(self, folder: Path) -> None:
        """Writes ``manifest.json``, replacing the old one at once."""
        ordered = asdict(self) | {"shards": dict(sorted(self.shards.items()))}
        write_text(folder / "manifest.json", json.dumps(ordered, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> ClipManifest:
        """Reads a folder's manifest; `RecordingError` where it is missing or not one of these."""
        path = folder / "manifest.json"
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            manifest = cls(**value)
        except FileNotFoundError as error:
            raise RecordingError(f"{path} is missing: make clips with `egotwin data nymeria`") from error
        except (TypeError, ValueError) as error:
            raise RecordingError(f"{path} is no manifest of clips ({error}): make the clips again") from error
        if manifest.format != FORMAT or not all(map(_NAME.fullmatch, manifest.shards)):
            raise RecordingError(f"{path} is of format {manifest.format!r}, wanted {FORMAT!r}: make the clips again")
        return manifest


def shard_name(name: str) -> str:
    """A shard's name for a sequence's: letters, digits, - and _."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:80].lstrip("_-")
    return plain or "clips"


def write_shard(
    folder: Path, name: str, clips: Iterable[Clip], frame_rate: float = 8.0, compression: Compression | None = None
) -> dict[str, Any]:
    """Writes one shard, whole or not at all, clip by clip; returns its entry in the manifest.

    Args:
        clips: with distinct keys; a generator keeps one clip at a time in memory.
    """
    compression = compression or Compression()
    path, records = folder / f"{name}.tar", []
    entry: dict[str, Any] = {"clips": 0}

    def write(temporary: Path) -> None:
        with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
            for clip in clips:
                kept_apart = VIDEOS.keys() | PICTURES.keys()
                arrays = {k: np.ascontiguousarray(v) for k, v in clip.arrays.items() if k not in kept_apart}
                files = {
                    extension: encode_clip(clip.arrays[name], frame_rate, compression)
                    for name, extension in VIDEOS.items()
                    if name in clip.arrays
                }
                files |= {
                    extension: encode_picture(clip.arrays[name])
                    for name, extension in PICTURES.items()
                    if name in clip.arrays
                }
                files |= {ARRAYS: save(arrays), RECORD: json.dumps(clip.record, ensure_ascii=False).encode()}
                for extension, data in files.items():
                    member = tarfile.TarInfo(f"{clip.key}.{extension}")  # no time, no owner: equal clips, equal bytes
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
                records.append(clip.record)
        entry.update(clips=len(records), bytes=temporary.stat().st_size, sha256=sha256(temporary))

    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, write)
    if not records:
        path.unlink()
        return {"clips": 0}
    write_text(path.with_suffix(".json"), json.dumps(records, ensure_ascii=False) + "\n")
    return entry


def decode_sample(sample: Mapping[str, Any], names: Iterable[str] | None = None) -> dict[str, Any]:
    """Arrays and ``record`` of a clip's files as WebDataset gives them (bytes by extension).

    Args:
        names: only these arrays; videos are decoded only if they are among them.
    """
    wanted = None if names is None else set(names)
    result: dict[str, Any] = {"key": sample.get("__key__"), "record": json.loads(sample[RECORD])}
    try:
        arrays: dict[str, NDArray[Any]] = load(sample[ARRAYS])
    except SafetensorError as error:
        raise RecordingError(f"clip {result['key']}: its arrays are damaged ({error}): prepare it again") from error
    result |= {name: array for name, array in arrays.items() if wanted is None or name in wanted}
    for name, extension in VIDEOS.items():
        if extension in sample and (wanted is None or name in wanted):
            result[name] = decode_clip(sample[extension])
    for name, extension in PICTURES.items():
        if extension in sample and (wanted is None or name in wanted):
            result[name] = decode_picture(name, sample[extension])
    return result


def encode_picture(rows: NDArray[Any]) -> bytes:
    """An array of `PICTURES` as one PNG: uint8 (..., H, W, 3) or (..., H, W), or float16 (..., H, W)."""
    colour = rows.ndim > 3 and rows.shape[-1] == 3
    stacked = rows.reshape(-1, *rows.shape[-2:] if colour else rows.shape[-1:])
    if rows.dtype == np.float16:
        stacked = stacked.view(np.uint16)
    elif colour:
        stacked = cv2.cvtColor(stacked, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".png", stacked)
    return encoded.tobytes()


def decode_picture(name: str, data: bytes) -> NDArray[Any]:
    """The array that `encode_picture` was given.

    Raises:
        RecordingError: the image is damaged.
    """
    stacked = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if stacked is None:
        raise RecordingError(f"{PICTURES[name]} of a clip is damaged: make or prepare the clip again")
    found: NDArray[Any] = cv2.cvtColor(stacked, cv2.COLOR_BGR2RGB) if stacked.ndim == 3 else np.asarray(stacked)
    if name.endswith("depth"):
        found = found.view(np.float16)
    return found.reshape(PAST_KEYFRAMES, -1, *found.shape[1:]) if name.startswith("past") else found


def members(path: Path) -> dict[str, dict[str, tuple[int, int]]]:
    """Offset and size of each file of a shard, by key and extension; `RecordingError` where the shard is truncated."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                key, _, extension = member.name.partition(".")
                found.setdefault(key, {})[extension] = (member.offset_data, member.size)
        size = path.stat().st_size
    except (OSError, tarfile.TarError) as error:
        raise RecordingError(f"{path} cannot be read ({error}): delete the shard and resume") from error
    if any(offset + length > size for files in found.values() for offset, length in files.values()):
        raise RecordingError(f"{path} is truncated: delete the shard and resume")
    return found
