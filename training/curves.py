"""``egotwin curves``: the training of a runs folder as one picture, a panel for every stage and kind of metric."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from egotwin_model.errors import EgoTwinError, RecordingError
from egotwin_model.files import write_atomically

Curve = list[tuple[int, float]]


def read_curves(runs: Path) -> dict[str, dict[str, Curve]]:
    """Validation metrics by stage folder and name, [(step, value)], of all stages in a runs folder.

    Raises:
        RecordingError: no stage has written ``metrics.jsonl``.
    """
    found: dict[str, dict[str, Curve]] = {}
    for path in sorted(runs.rglob("metrics.jsonl")):
        curves = found.setdefault(str(path.parent.relative_to(runs)), {})
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            for name, value in record.items():
                if name.startswith("val_"):
                    curves.setdefault(name.removeprefix("val_"), []).append((record["step"], value))
    if not found:
        raise RecordingError(f"{runs} holds no metrics.jsonl; train a stage first")
    return found


def draw_curves(runs: Path, path: Path) -> None:
    """Write the picture (PNG)."""
    stages = {stage: curves for stage, curves in read_curves(runs).items() if curves}
    figure = Figure(figsize=(4.2 * len(stages), 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(stages), squeeze=False)[0]
    for axes, (stage, curves) in zip(panels, stages.items(), strict=True):
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
    arguments = parser.parse_args(argv)
    try:
        draw_curves(arguments.runs, arguments.out)
    except EgoTwinError as error:
        print(f"egotwin curves: {error}")
        return 1
    print(arguments.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
