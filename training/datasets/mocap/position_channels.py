"""Position channels of joints other than the root in .bvh text: removed, since pybvh has none, and returned."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import RecordingError

Array = NDArray[np.float64]

_SLACK = 0.05  # of the longest bone: how far a joint may move against its parent


def without_positions(text: str) -> tuple[str, dict[str, Array]]:
    """The text without its joints' position channels, and their values (T, 3) by joint; the root keeps its own.

    Text in which none is found, or which cannot be divided into joints and rows, is returned unchanged.
    """
    lines = text.splitlines()
    start = next((k for k, line in enumerate(lines) if line.split()[:2] == ["Frame", "Time:"]), len(lines)) + 1
    columns: dict[str, list[int]] = {}
    name, count, seen = "", 0, 0
    for k, line in enumerate(lines[:start]):
        words = line.split()
        if words[:1] in (["ROOT"], ["JOINT"]):
            name, seen = " ".join(words[1:]), seen + 1
        if words[:1] != ["CHANNELS"]:
            continue
        kinds = words[2:]
        places = {kind[0].upper(): count + i for i, kind in enumerate(kinds) if kind.lower().endswith("position")}
        count += len(kinds)
        if seen > 1 and len(places) == 3:
            columns[name] = [places[axis] for axis in "XYZ"]
            turns = [kind for kind in kinds if not kind.lower().endswith("position")]
            lines[k] = f"CHANNELS {len(turns)} {' '.join(turns)}"
    rows = [line.split() for line in lines[start:] if line.strip()]
    if not columns or any(len(row) != count for row in rows):
        return text, {}
    removed = {column for part in columns.values() for column in part}
    kept = [" ".join(value for k, value in enumerate(row) if k not in removed) for row in rows]
    table = np.array(rows, dtype=np.float64)
    return "\n".join([*lines[:start], *kept, ""]), {joint: table[:, part] for joint, part in columns.items()}


def steady_offsets(name: str, offsets: Mapping[str, Array], moved: Mapping[str, Array]) -> dict[str, Array]:
    """The offset of each joint with position channels.

    Most exporters write the whole offset into the channels, some what is to be added to it: whichever is nearer counts.

    Raises:
        RecordingError: a joint moves against its parent.
    """
    size = max(float(np.linalg.norm(offset)) for offset in offsets.values())
    middle = {joint: np.median(values, axis=0) for joint, values in moved.items()}
    whole = sum(float(np.linalg.norm(middle[joint] - offsets[joint])) for joint in middle)
    added = sum(float(np.linalg.norm(middle[joint])) for joint in middle)
    for joint, values in moved.items():
        most = float(np.linalg.norm(values - middle[joint], axis=1).max())
        if not most <= _SLACK * size:
            raise RecordingError(
                f"{name}: the joint {joint!r} moves by {most / size:.0%} of the longest bone against its parent; "
                "wanted bones of constant length, and translation in the root alone"
            )
    return {joint: middle[joint] + (offsets[joint] if whole > added else 0.0) for joint in middle}
