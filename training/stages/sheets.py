"""Sample sheets: the output of a stage's weights for a few validation clips beside the truth, as one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from egotwin_model.drawing.skeleton_view import Body, SkeletonView
from egotwin_model.geometry.rotations import shortest_arc, unit
from egotwin_model.geometry.skeleton import XSENS, Skeleton
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
        motion, true_motion: (T, J, ...) in the clip's frame, or None. skeleton: of their J joints.
    """

    text: str
    frames: NDArray[np.uint8] | None
    true_frames: NDArray[np.uint8] | None
    motion: BodyMotion | None
    true_motion: BodyMotion | None
    skeleton: Skeleton = XSENS


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
            _draw_frames(row.add_subplot(grid[line, :SHOWN_FRAMES]), frames, name)
        if sample.motion is not None and sample.true_motion is not None:
            bodies = body_images(sample.motion, sample.true_motion, sample.skeleton)
            titled = [(f"pose {pose}", image) for pose, image in bodies.items()]
            for line in range(2):
                axes = row.add_subplot(grid[line, SHOWN_FRAMES : SHOWN_FRAMES + 2])
                _show_row(axes, dict(titled[2 * line : 2 * line + 2]))
            _draw_paths(row.add_subplot(grid[:, SHOWN_FRAMES + 2 :]), sample.motion, sample.true_motion)
    write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=100, format="png"))


def _draw_frames(axes: Axes, frames: NDArray[np.uint8] | None, name: str) -> None:
    """Some frames side by side as one image, which draws much faster than an image in axes of its own for each."""
    if frames is None:
        axes.axis("off")
        return
    shown = np.linspace(0, len(frames) - 1, SHOWN_FRAMES).round().astype(int)
    _show_row(axes, {f"{name} {index}": frames[index] for index in shown})


def _show_row(axes: Axes, images: Mapping[str, NDArray[np.uint8]]) -> None:
    """Images of one size side by side, each above its title."""
    axes.imshow(np.hstack(list(images.values())))
    width = next(iter(images.values())).shape[1]
    axes.set_frame_on(False)
    axes.set_yticks([])
    axes.set_xticks(width * (np.arange(len(images)) + 0.5) - 0.5, list(images))
    axes.tick_params(labelsize=6, length=0, pad=1)


def body_images(motion: BodyMotion, truth: BodyMotion, skeleton: Skeleton = XSENS) -> dict[int, NDArray[np.uint8]]:
    """Images (side, side, 3) by number of a pose, first to last: the imagined body, and the true one in grey."""
    level = _levelling(truth, skeleton)
    body, true_body = (_body(each, level, skeleton) for each in (motion, truth))
    view = SkeletonView(BODY_SIDE, body, [replace(true_body, ghost=True)], distance_m=3.1)
    poses = np.linspace(0, len(body.positions) - 1, SHOWN_POSES).round().astype(int).tolist()
    return {pose: view.draw(pose) for pose in poses}


def _body(motion: BodyMotion, level: NDArray[np.float64], skeleton: Skeleton) -> Body:
    positions, rotations = np.asarray(motion.positions, np.float64), np.asarray(motion.rotations, np.float64)
    return Body(positions @ level.T, level @ rotations, skeleton=skeleton)


def _levelling(motion: BodyMotion, skeleton: Skeleton) -> NDArray[np.float64]:
    """The rotation (3, 3) that makes z up: a clip's frame is tilted with its first head, but its feet stand level."""
    level = skeleton.foot_indices or [skeleton.root_index]
    up = np.asarray(motion.rotations, np.float64)[:, level, :, 2].mean(axis=(0, 1))
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
