"""``egotwin curves``: the validation metrics of a runs folder as one figure, a panel for every stage."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from egotwin_model.errors import EgoTwinError, RecordingError
from egotwin_model.io.files import write_atomically
from training.stages.recipes import STAGES
from training.stages.run_folder import METRICS

COLUMNS = 3
Curve = list[tuple[int, float]]


def read_curves(runs: Path, *, every: bool = False) -> dict[str, dict[str, Curve]]:
    """Validation metrics by stage folder and name, [(step, value)], of a runs folder.

    Args:
        every: also the stages of other rows of the paper's tables; by default EgoTwin's own.

    Raises:
        RecordingError: no stage has written ``metrics.jsonl``.
    """
    found: dict[str, dict[str, Curve]] = {}
    own = [path for stage in STAGES if (path := runs / stage / METRICS).is_file()]
    for path in sorted(runs.rglob(METRICS)) if every else own:
        curves = found.setdefault(str(path.parent.relative_to(runs)), {})
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            for name, value in record.items():
                if name.startswith("val_"):
                    curves.setdefault(name.removeprefix("val_"), []).append((record["step"], value))
    if not found:
        raise RecordingError(f"{runs} holds no {METRICS}; train a stage first")
    return found


def draw_curves(runs: Path, path: Path, *, every: bool = False) -> None:
    """Writes the figure as PNG."""
    stages = {stage: curves for stage, curves in read_curves(runs, every=every).items() if curves}
    columns = min(COLUMNS, len(stages))
    rows = math.ceil(len(stages) / columns)
    figure = Figure(figsize=(4.2 * columns, 3.2 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes in panels[len(stages) :]:
        axes.remove()
    for axes, (stage, curves) in zip(panels[: len(stages)], stages.items(), strict=True):
        for name, curve in curves.items():
            axes.plot(*zip(*sorted(dict(curve).items()), strict=True), marker=".", label=name.replace("_", " "))
        axes.set(title=stage, xlabel="step")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=110, format="png"))


def main(argv: list[str] | None = None) -> int:
    """Command line of ``egotwin curves``."""
    parser = argparse.ArgumentParser(prog="egotwin curves", description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/mini"))
    parser.add_argument("--out", type=Path, default=Path("out/training.png"))
    parser.add_argument("--all", action="store_true", help="also the stages of other rows of the paper's tables")
    arguments = parser.parse_args(argv)
    try:
        draw_curves(arguments.runs, arguments.out, every=arguments.all)
    except EgoTwinError as error:
        print(f"egotwin curves: {error}")
        return 1
    print(arguments.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
