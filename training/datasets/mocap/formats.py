"""The motion-capture formats that can be read, by file ending; a new format is a module and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from egotwin_model.errors import RecordingError
from training.datasets.mocap import acclaim, biovision
from training.datasets.mocap.captured_recording import Recording

READERS: Mapping[str, Callable[[Path], Recording]] = {".amc": acclaim.read, ".bvh": biovision.read}


def read(path: Path) -> Recording:
    """Reads one motion: .amc (with the .asf of its subject beside it) or .bvh.

    Raises:
        RecordingError: the file is missing, of another kind, or damaged.
    """
    if not path.is_file():
        raise RecordingError(f"{path} is missing")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise RecordingError(f"{path} is neither {' nor '.join(READERS)} motion capture")
    return reader(path)
