"""Sample sheets: the output of a stage's weights for a few validation clips beside the truth, as one image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from egotwin_model.drawing.skeleton_view import Body, SkeletonView
from egotwin_model.geometry.rotations import shortest_arc, unit
from egotwin_model.geometry.skeleton import ANKLES
from egotwin_model.io.files import write_atomically
from egotwin_model.motion.representation import BodyMotion

SHOWN_FRAMES = 6
SHOWN_POSES = 4
CELL = 1.3  # inches
BODY_SIDE = 240  # pixels


@dataclass(frozen=True)
class Sample:
    """One row of a sheet: a goal, the clip imagined for it and the true one; either may lack frames or motion.

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
    """Writes a PNG of one row per sample: true frames above imagined ones, bodies, and head paths from above."""
    figure = Figure(figsize=(CELL * (SHOWN_FRAMES + 4), 2.1 * CELL * len(samples)), layout="constrained")
    FigureCanvasAgg(figure)
    for sample, row in zip(samples, figure.subfigures(len(samples), 1, squeeze=False)[:, 0], strict=True):
        row.suptitle(sample.text, fontsize=8)
        grid = row.add_gridspec(2, SHOWN_FRAMES + 4)
        for line, (name, frames) in enumerate((("true", sample.true_frames), ("imagined", sample.frames))):
            for column in range(SHOWN_FRAMES):
                _draw_frame(row.add_subplot(grid[line, column]), frames, column, name)
        if sample.motion is not None and sample.true_motion is not None:
            for cell, (pose, image) in enumerate(body_images(sample.motion, sample.true_motion).items()):
                _show(row.add_subplot(grid[cell // 2, SHOWN_FRAMES + cell % 2]), image, f"pose {pose}")
            _draw_paths(row.add_subplot(grid[:, SHOWN_FRAMES + 2 :]), sample.motion, sample.true_motion)
    write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=100, format="png"))


def _draw_frame(axes: Axes, frames: NDArray[np.uint8] | None, column: int, name: str) -> None:
    axes.axis("off")
    if frames is not None:
        index = round(column * (len(frames) - 1) / (SHOWN_FRAMES - 1))
        _show(axes, frames[index], f"{name} {index}")


def _show(axes: Axes, image: NDArray[np.uint8], title: str) -> None:
    axes.axis("off")
    axes.imshow(image)
    axes.set_title(title, fontsize=6, pad=1)


def body_images(motion: BodyMotion, truth: BodyMotion) -> dict[int, NDArray[np.uint8]]:
    """Images (side, side, 3) by number of a pose, first to last: the imagined body, and the true one in grey."""
    level = _levelling(truth)
    body, true_body = (_body(each, level) for each in (motion, truth))
    view = SkeletonView(BODY_SIDE, body, [replace(true_body, ghost=True)], distance_m=3.1)
    poses = np.linspace(0, len(body.positions) - 1, SHOWN_POSES).round().astype(int).tolist()
    return {pose: view.draw(pose) for pose in poses}


def _body(motion: BodyMotion, level: NDArray[np.float64]) -> Body:
    return Body(np.asarray(motion.positions, np.float64) @ level.T, level @ np.asarray(motion.rotations, np.float64))


def _levelling(motion: BodyMotion) -> NDArray[np.float64]:
    """The rotation (3, 3) that makes z up: a clip's frame is tilted with its first head, but its feet stand level."""
    up = np.asarray(motion.rotations, np.float64)[:, ANKLES, :, 2].mean(axis=(0, 1))
    return shortest_arc(unit(up), np.array([0.0, 0.0, 1.0]))


def _draw_paths(axes: Axes, motion: BodyMotion, truth: BodyMotion) -> None:
    for name, path, style in (("true", truth, "k--"), ("imagined", motion, "tab:blue")):
        head = np.asarray(path.head_positions)
        axes.plot(-head[:, 1], head[:, 0], style, label=name, linewidth=1)
    axes.set_aspect("equal", adjustable="datalim")
    axes.tick_params(labelsize=6)
    axes.set_xlabel("right, m", fontsize=6)
    axes.set_ylabel("forward, m", fontsize=6)
    axes.legend(fontsize=6)
