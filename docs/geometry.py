"""The pictures in docs/geometry.md, drawn from clips of the simulator.

    python -m docs.geometry

writes docs/geometry.png: of some test clips what was seen before (past keyframes and first frame), what the scene
memory shows of the coming views along the true head path, and what really comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.prior import Prior
from egotwin_model.io.files import write_atomically
from training.datasets.clips.priors import clip_prior
from training.evaluation.metrics.psnr import psnr
from training.simulator.clip_maker import ClipOptions
from training.simulator.generate import shard_clips

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

DOCS = Path(__file__).resolve().parent
PICTURE = DOCS / "geometry.png"
SEED, SHARD, CLIPS, SIZE = 14, 0, 24, 128
SHOWN = 3
SECONDS = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0)
RATE_HZ = 8.0
PAST_SHOWN = 3
UNSEEN = (214, 222, 232)  # colour of places that the memory knows nothing of


def clips() -> list[dict[str, Any]]:
    """Test clips that have a past, the first of a fixed shard whose head moves."""
    options = ClipOptions(size=SIZE, past_s=8.0, keyframe_depth=True)
    made, _ = shard_clips("test", SEED, SHARD, CLIPS, options)
    moving = [clip for clip in made if np.isfinite(clip["past_time"]).sum() >= PAST_SHOWN and _moves(clip)]
    return moving[:SHOWN]


def _moves(clip: dict[str, Any]) -> bool:
    pose = clip["camera_pose"]
    turned = np.degrees(np.arccos(np.clip(pose[0, :3, 2] @ pose[:, :3, 2].T, -1, 1))).max()
    return bool(turned > 40.0 or np.linalg.norm(pose[-1, :3, 3] - pose[0, :3, 3]) > 1.0)


def seen(prior: Prior, frame: int) -> NDArray[np.uint8]:
    """A prior view with what the memory does not know in one colour."""
    visibility = np.asarray(prior.visibility[frame], np.float32)[..., None]
    mixed = visibility * prior.frames[frame] + (1.0 - visibility) * np.array(UNSEEN, np.float32)
    return np.rint(mixed).astype(np.uint8)


def quality(prior: Prior, frames: NDArray[np.uint8], frame: int) -> str:
    """Share of a view that is known, and PSNR there."""
    known = np.asarray(prior.visibility[frame]) > 0.5
    if not known.any():
        return "0 % known"
    error = np.square(prior.frames[frame][known].astype(np.float64) - frames[frame][known]).mean()
    return f"{known.mean():.0%} known, {float(psnr(error)):.0f} dB"


def draw(found: Sequence[dict[str, Any]], path: Path = PICTURE) -> None:
    """Two rows for each clip: what comes, and what the memory shows of it."""
    columns = PAST_SHOWN + len(SECONDS)
    figure, axes = plt.subplots(2 * len(found), columns, figsize=(1.4 * columns, 3.1 * len(found)), squeeze=False)
    for row, clip in enumerate(found):
        prior, frames = clip_prior(clip), clip["frames"]
        used = np.flatnonzero(np.isfinite(clip["past_time"]))
        for column, keyframe in enumerate(used[np.linspace(0, len(used) - 1, PAST_SHOWN).astype(int)]):
            label = f"{clip['past_time'][keyframe]:.1f} s"
            _show(axes[2 * row, column], clip["past_frames"][keyframe], label)
            axes[2 * row + 1, column].axis("off")
        axes[2 * row + 1, 0].text(0, 0.9, fill(f"“{clip['record']['text']}”", 38), fontsize=9, va="top")
        for column, second in enumerate(SECONDS, PAST_SHOWN):
            frame = round(second * RATE_HZ)
            _show(axes[2 * row, column], frames[frame], f"{second:g} s")
            _show(axes[2 * row + 1, column], seen(prior, frame), quality(prior, frames, frame) if frame else "given")
    figure.subplots_adjust(left=0.005, right=0.995, top=0.975, bottom=0.005, wspace=0.04, hspace=0.14)
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png", dpi=90))
    plt.close(figure)


def _show(axes: Axes, image: NDArray[np.uint8], label: str) -> None:
    axes.imshow(image, interpolation="nearest")
    axes.set_title(label, fontsize=8, pad=2)
    axes.set_xticks([])
    axes.set_yticks([])


def main() -> None:
    draw(clips())


if __name__ == "__main__":
    main()
