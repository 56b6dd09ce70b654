"""Sample sheets: the output of a stage's weights for a few validation clips beside the truth, as one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from egotwin_model.drawing.skeleton_view import Body, SkeletonView
from egotwin_model.geometry.rotations import shortest_arc, unit
from egotwin_model.geometry.skeleton import XSENS, Skeleton
from egotwin_model.io.images import write_png
from egotwin_model.motion.representation import BodyMotion

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

SHOWN_FRAMES = 6
SHOWN_POSES = 4
BODY_SIDE = 240  # pixels
CELL, LABEL, TITLE = 1.05, 0.16, 0.25  # inches: an image with the gap after it, the line below it, a row's title
GAP = 0.04  # between two images, in widths of one
ROW, WIDTH = TITLE + 2 * (CELL + LABEL) + 0.05, 11.8  # inches


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
    # Every stage imports this module; few commands draw.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, ROW * len(samples)))
    canvas = FigureCanvasAgg(figure)
    for sample, row in zip(samples, figure.subfigures(len(samples), 1, squeeze=False)[:, 0], strict=True):
        row.text(0.5, 1 - 0.5 * TITLE / ROW, sample.text, fontsize=8, ha="center", va="center")
        for line, (name, frames) in enumerate((("true", sample.true_frames), ("imagined", sample.frames))):
            if frames is not None:
                shown = np.linspace(0, len(frames) - 1, SHOWN_FRAMES).round().astype(int)
                _draw_images(row, 0, line, {f"{name} {index}": frames[index] for index in shown})
        if sample.motion is not None and sample.true_motion is not None:
            bodies = body_images(sample.motion, sample.true_motion, sample.skeleton)
            titled = [(f"pose {pose}", image) for pose, image in bodies.items()]
            for line in range(2):
                _draw_images(row, SHOWN_FRAMES, line, dict(titled[2 * line : 2 * line + 2]))
            left = (SHOWN_FRAMES + 2) * CELL + 0.75
            axes = row.add_axes(_place(left, TITLE, WIDTH - left - 0.1, ROW - TITLE - 0.4))
            _draw_paths(axes, sample.motion, sample.true_motion)
    canvas.draw()
    write_png(path, np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3]))


def _place(left: float, top: float, width: float, height: float) -> tuple[float, float, float, float]:
    """A rectangle in inches from a row's upper left corner, as matplotlib takes it: from the lower left, in shares."""
    return left / WIDTH, 1 - (top + height) / ROW, width / WIDTH, height / ROW


def _draw_images(row: SubFigure, column: int, line: int, images: Mapping[str, NDArray[np.uint8]]) -> None:
    """Images of one size side by side, each above its title: as one image, since axes for each draw much slower."""
    height, width = next(iter(images.values())).shape[:2]
    gap = np.full((height, round(GAP * width), 3), 255, np.uint8)
    strip = np.hstack([part for image in images.values() for part in (image, gap)])[:, : -gap.shape[1] or None]
    left = column * CELL + (0.15 if column else 0.1)
    place = _place(left, TITLE + line * (CELL + LABEL), len(images) * CELL, CELL / (1 + GAP))
    axes = row.add_axes(place, anchor="W")
    axes.imshow(strip)
    axes.set_frame_on(False)
    axes.set_yticks([])
    axes.set_xticks((width + gap.shape[1]) * np.arange(len(images)) + 0.5 * (width - 1), list(images))
    axes.tick_params(labelsize=6, length=0, pad=1)


def body_images(motion: BodyMotion, truth: BodyMotion, skeleton: Skeleton = XSENS) -> dict[int, NDArray[np.uint8]]:
    """Images (side, side, 3) by number of a pose, first to last: the imagined body, and the true one in grey."""
    level = _levelling(truth, skeleton)
    body, true_body = (_body(each, level, skeleton) for each in (motion, truth))
    view = SkeletonView(BODY_SIDE, body, [replace(true_body, ghost=True)])
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
