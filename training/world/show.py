"""A contact sheet of clips: their goals and every few frames; `python -m training.world.show data/world64/val`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import RecordingError
from training.world.shards import Clips, open_clips

CAPTION_HEIGHT = 20


def contact_sheet(clips: Clips, indices: Sequence[int], columns: int = 9, tile: int = 128) -> NDArray[np.uint8]:
    """One row per clip: a caption over `columns` frames spread evenly over its five seconds; (H, W, 3) RGB."""
    rows = []
    for index in indices:
        frames = clips.tensor("frames", index)
        picked = frames[np.linspace(0, len(frames) - 1, columns).round().astype(int)]
        rows.append(_caption(f"{index}: {clips.records[index]['text']}", columns * tile))
        rows.append(np.hstack([cv2.resize(f, (tile, tile), interpolation=cv2.INTER_CUBIC) for f in picked]))
    return np.vstack(rows)


def _caption(text: str, width: int) -> NDArray[np.uint8]:
    strip = np.full((CAPTION_HEIGHT, width, 3), 255, np.uint8)
    cv2.putText(strip, text, (6, CAPTION_HEIGHT - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (30, 30, 30), 1, cv2.LINE_AA)
    return strip


def write_png(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an RGB picture as PNG, complete or not at all."""
    _, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(encoded.tobytes())
    temporary.replace(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of clips, as written by training.world.generate")
    parser.add_argument("--out", type=Path, default=Path("out/clips.png"), help="default: %(default)s")
    parser.add_argument("--clips", type=int, default=12, help="how many, spread over the folder (default: %(default)s)")
    options = parser.parse_args(argv)
    try:
        clips = open_clips(options.folder)
    except RecordingError as error:
        print(f"show: {error}", file=sys.stderr)
        return 1
    indices = np.unique(np.linspace(0, len(clips) - 1, options.clips).round().astype(int)).tolist()
    write_png(options.out, contact_sheet(clips, indices))
    print(f"{len(indices)} of {len(clips)} clips: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
