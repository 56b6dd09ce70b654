"""A folder of motion capture: its recordings, retargeted and cut into actions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from egotwin_model.errors import RecordingError
from egotwin_model.io.files import sha256
from training.datasets.mocap.captured_motion import CapturedMotion
from training.datasets.mocap.formats import READERS, read
from training.datasets.mocap.retarget import retarget
from training.datasets.mocap.segments import Cut, cut

HELD_OUT_EVERY = 12


@dataclass(frozen=True, eq=False)
class CaptureFolder:
    """The recordings of a folder.

    Attributes:
        motions: the usable ones, by path. cuts: the actions of each, in order.
        skipped: {path inside the folder: why it cannot be used}.
    """

    motions: tuple[CapturedMotion, ...]
    cuts: tuple[tuple[Cut, ...], ...]
    skipped: dict[str, str]

    @classmethod
    def load(cls, folder: Path | str) -> CaptureFolder:
        """Reads every recording under a folder.

        Raises:
            RecordingError: the folder is missing, or nothing in it can be used.
        """
        folder = Path(folder)
        paths = _files(folder, READERS)
        if not paths:
            raise RecordingError(f"{folder} holds no {' or '.join(READERS)} files; give a folder of motion capture")
        motions, skipped = [], {}
        for path in paths:
            try:
                motions.append(retarget(read(path)))
            except RecordingError as error:
                skipped[str(path.relative_to(folder))] = str(error)
        if not motions:
            raise RecordingError(f"none of the {len(paths)} recordings in {folder} can be used: {skipped}")
        return cls(tuple(motions), tuple(tuple(cut(motion)) for motion in motions), skipped)


def training_and_held_out(folder: CaptureFolder) -> tuple[tuple[CapturedMotion, ...], tuple[CapturedMotion, ...]]:
    """The motions to train on, and for validation every twelfth by path: none where there are fewer."""
    held_out = folder.motions[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
    return tuple(motion for motion in folder.motions if motion not in held_out), held_out


def checksum(folder: Path | str) -> str:
    """Hex SHA-256 of the names and contents of every motion and skeleton under a folder."""
    digest = hashlib.sha256()
    for path in _files(Path(folder), (*READERS, ".asf")):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{sha256(path)}\n".encode())
    return digest.hexdigest()


def _files(folder: Path, endings: Iterable[str]) -> list[Path]:
    wanted = set(endings)
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in wanted and path.is_file())
