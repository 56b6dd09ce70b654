"""Sample sheets: what a stage's weights make of some validation clips, as one picture to look at while it trains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from egotwin_model.geometry.skeleton import XSENS_PARENTS
from egotwin_model.io.files import write_atomically
from egotwin_model.motion.head_centric import BodyMotion

SHOWN_FRAMES = 6
CELL = 1.3  # inches


@dataclass(frozen=True)
class Sample:
    """One row of a sheet: a goal, what was imagined for it and what was true; either side may lack pictures.

    Attributes:
        frames, true_frames: (F, H, W, 3) uint8, or None.
        motion, true_motion: (T, 23, ...) in the clip's frame, or None.
    """

    text: str
    frames: NDArray[np.uint8] | None
    true_frames: NDArray[np.uint8] | None
    motion: BodyMotion | None
    true_motion: BodyMotion | None


def to_frames(video: Tensor) -> NDArray[np.uint8]:
    """Video (B, 3, F, H, W) in [-1, 1] to frames (B, F, H, W, 3) uint8."""
    return ((video.float() + 1) * 127.5).clamp(0, 255).byte().permute(0, 2, 3, 4, 1).cpu().numpy()


def clip_of(motion: BodyMotion, index: int) -> BodyMotion:
    """One clip of a batch of motions."""
    return BodyMotion(*(np.asarray(part)[index] for part in vars(motion).values()))


def save_sheet(path: Path, samples: list[Sample]) -> None:
    """One row a sample: true frames above imagined ones, the imagined body, and the head's path from above."""
    figure = Figure(figsize=(CELL * (SHOWN_FRAMES + 4), 2.1 * CELL * len(samples)), layout="constrained")
    FigureCanvasAgg(figure)
    for sample, row in zip(samples, figure.subfigures(len(samples), 1, squeeze=False)[:, 0], strict=True):
        row.suptitle(sample.text, fontsize=8)
        grid = row.add_gridspec(2, SHOWN_FRAMES + 4)
        for line, (name, frames) in enumerate((("true", sample.true_frames), ("imagined", sample.frames))):
            for column in range(SHOWN_FRAMES):
                _draw_frame(row.add_subplot(grid[line, column]), frames, column, name)
        if sample.motion is not None and sample.true_motion is not None:
            _draw_body(row.add_subplot(grid[:, SHOWN_FRAMES : SHOWN_FRAMES + 2], projection="3d"), sample.motion)
            _draw_paths(row.add_subplot(grid[:, SHOWN_FRAMES + 2 :]), sample.motion, sample.true_motion)
    write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=100, format="png"))


def _draw_frame(axes: Axes, frames: NDArray[np.uint8] | None, column: int, name: str) -> None:
    axes.axis("off")
    if frames is not None:
        index = round(column * (len(frames) - 1) / (SHOWN_FRAMES - 1))
        axes.imshow(frames[index])
        axes.set_title(f"{name} {index}", fontsize=6, pad=1)


def _draw_body(axes: Axes, motion: BodyMotion) -> None:
    """Four poses of the imagined body, darker as time goes on."""
    positions = np.asarray(motion.positions)
    bones = [(joint, parent) for joint, parent in enumerate(XSENS_PARENTS) if parent >= 0]
    for index in np.linspace(0, len(positions) - 1, 4).astype(int):
        for joint, parent in bones:
            axes.plot(
                *positions[index, [joint, parent]].T, color="tab:blue", alpha=0.25 + 0.75 * index / len(positions)
            )
    axes.set_aspect("equal")
    axes.set_axis_off()


def _draw_paths(axes: Axes, motion: BodyMotion, truth: BodyMotion) -> None:
    for name, path, style in (("true", truth, "k--"), ("imagined", motion, "tab:blue")):
        head = np.asarray(path.head_positions)
        axes.plot(-head[:, 1], head[:, 0], style, label=name, linewidth=1)
    axes.set_aspect("equal", adjustable="datalim")
    axes.tick_params(labelsize=6)
    axes.set_xlabel("right, m", fontsize=6)
    axes.set_ylabel("forward, m", fontsize=6)
    axes.legend(fontsize=6)
