"""The rows of the paper's tables as a figure: one panel a metric, every row with its interval, EgoTwin's as a band."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from egotwin_model.io.files import write_atomically
from training.evaluation.benchmark.paper_table import ARROWS, MORE, NINE, TITLES

COLUMNS = 6
OWN = "egotwin"


def draw_table(rows: dict[str, dict[str, Any]], path: Path) -> None:
    """Write a PNG of the ``rows`` of ``ablations.json``; metrics that no row has are left out."""
    found = {row: values["metrics"] for row, values in rows.items()}
    shown = [name for name in (*NINE, *MORE) if any(_finite(metrics.get(name)) for metrics in found.values())]
    lines = max(1, -(-len(shown) // COLUMNS))
    figure = Figure(figsize=(2.1 * COLUMNS + 1.6, lines * (0.28 * len(rows) + 0.9)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(lines, COLUMNS, sharey=True, squeeze=False).ravel()
    for axes, name in zip(panels, shown, strict=False):
        for height, (row, metrics) in enumerate(found.items()):
            if _finite(interval := metrics.get(name)):
                _point(axes, interval, height, "C3" if row == OWN else "C0")
                if row == OWN and interval["low"] is not None:
                    axes.axvspan(interval["low"], interval["high"], color="C3", alpha=0.12, lw=0)
        axes.set_title(f"{name} {ARROWS[name]}", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(range(len(rows)), [TITLES[row] for row in rows])
    panels[0].invert_yaxis()
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=110, format="png"))


def _finite(interval: dict[str, float | None] | None) -> bool:
    return interval is not None and interval["value"] is not None and bool(np.isfinite(interval["value"]))


def _point(axes: Any, interval: dict[str, float], height: int, color: str) -> None:
    axes.plot(interval["value"], height, "o", color=color, markersize=4)
    if interval["low"] is not None and np.isfinite([interval["low"], interval["high"]]).all():
        axes.plot([interval["low"], interval["high"]], [height, height], color=color, lw=1.5)
