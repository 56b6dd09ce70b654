"""``trajectory.png``: imagined and recorded head: its path from above, its height and its heading over time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from egotwin_model.motion import head_path

Array = NDArray[np.float64]
IMAGINED, TRUE, OTHER = "#e8590c", "#495057", "#ffc9a3"


@dataclass(frozen=True)
class HeadPath:
    """A head over time: times (T,) s after the moment, positions (T, 3) m, rotations (T, 3, 3)."""

    times: Array
    positions: Array
    rotations: Array

    @property
    def yaw(self) -> Array:
        """Heading (T,) radians, continuous: about z, of the head's forward axis."""
        return head_path.heading(self.rotations)


def write_chart(path: Path, goal: str, samples: list[HeadPath], before: HeadPath, after: HeadPath) -> None:
    """Writes the chart; ``before`` and ``after`` are the recorded head (may be empty), in the samples' frame."""
    figure = Figure(figsize=(11, 5.5), dpi=130, layout="constrained")
    figure.suptitle(f"“{goal if len(goal) <= 90 else goal[:89] + '…'}”", fontsize=13, fontweight="bold")
    grid = figure.add_gridspec(2, 2, width_ratios=(1.25, 1))
    _top_view(figure.add_subplot(grid[:, 0]), samples, before, after)
    height, heading = figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 1])
    zero = samples[0].yaw[0]
    _over_time(height, samples, before, after, lambda p: p.positions[:, 2])
    _over_time(heading, samples, before, after, lambda p: np.degrees(_nearest_turn(p.yaw, zero) - zero))
    _at_least(height, 0.5)
    _at_least(heading, 60.0)
    height.set(ylabel="head height [m]", title="height")
    heading.set(ylabel="to the left of now [°]", xlabel="time after now [s]", title="heading")
    figure.savefig(path, format="png")


def _at_least(axes: Axes, span: float) -> None:
    """Widens the y axis to ``span``, so that small changes look small."""
    low, high = axes.get_ylim()
    if high - low < span:
        axes.set_ylim((low + high - span) / 2, (low + high + span) / 2)


def _nearest_turn(yaw: Array, zero: float) -> Array:
    return yaw - 2 * np.pi * np.round((yaw[0] - zero) / (2 * np.pi)) if len(yaw) else yaw


def _top_view(axes: Axes, samples: list[HeadPath], before: HeadPath, after: HeadPath) -> None:
    for recorded, style, label in ((before, ":", "before"), (after, "-", "what happened")):
        if len(recorded.times):
            axes.plot(*recorded.positions[:, :2].T, style, color=TRUE, lw=2, label=label)
    for number, path in enumerate(samples[:0:-1]):
        axes.plot(*path.positions[:, :2].T, color=OTHER, lw=1.5, label="other samples" if number == 0 else None)
    first = samples[0]
    axes.plot(*first.positions[:, :2].T, color=IMAGINED, lw=2.5, label="imagined")
    for recorded, colour in ((after, TRUE), (first, IMAGINED)):
        _arrows(axes, recorded, colour)
    axes.plot(*first.positions[0, :2], "o", color="black", ms=7, label="now", zorder=5)
    low = np.min([path.positions[:, :2].min(0) for path in (*samples, before, after) if len(path.times)], axis=0)
    high = np.max([path.positions[:, :2].max(0) for path in (*samples, before, after) if len(path.times)], axis=0)
    middle, reach = (low + high) / 2, max(0.75, float((high - low).max()) / 2 + 0.3)
    axes.set(
        xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach),
        xlabel="x [m]", ylabel="y [m]", title="the head from above, an arrow each second",
    )  # fmt: skip
    axes.set_aspect("equal")
    axes.grid(alpha=0.25)
    axes.legend(loc="best", fontsize=9)


def _arrows(axes: Axes, path: HeadPath, colour: str) -> None:
    """Draws the direction of the head each second."""
    if not len(path.times):
        return
    seconds = np.arange(0.0, path.times[-1] + 1e-6, 1.0)
    steps = np.unique(np.clip(np.searchsorted(path.times, seconds - 1e-6), 0, len(path.times) - 1))
    positions, yaw = path.positions[steps, :2], path.yaw[steps]
    axes.quiver(*positions.T, np.cos(yaw), np.sin(yaw), color=colour, angles="xy", scale=16, width=0.006, zorder=4)


def _over_time(axes: Axes, samples: list[HeadPath], before: HeadPath, after: HeadPath, value: object) -> None:
    assert callable(value)
    for recorded, style in ((before, ":"), (after, "-")):
        if len(recorded.times):
            axes.plot(recorded.times, value(recorded), style, color=TRUE, lw=2)
    for path in samples[:0:-1]:
        axes.plot(path.times, value(path), color=OTHER, lw=1.2)
    axes.plot(samples[0].times, value(samples[0]), color=IMAGINED, lw=2.5)
    axes.axvline(0.0, color="black", lw=1)
    axes.grid(alpha=0.25)
