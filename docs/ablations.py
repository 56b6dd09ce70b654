"""docs/ablations.md and docs/ablations.png, from the numbers in docs/ablations.json.

    python -m docs.ablations

`egotwin ablations` writes all three when it has measured; this writes them again from the numbers alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from egotwin_model.io.files import read_json, write_json, write_text
from training.evaluation.benchmark.paper_figure import draw_table
from training.evaluation.benchmark.paper_table import table
from training.evaluation.benchmark.run import without_nan
from training.evaluation.metrics.intervals import Interval

FOLDER = Path(__file__).resolve().parent
KEPT = FOLDER / "ablations.json"
ABOUT = ("lines", "extractors", "notes", "protocol")


def rendered(kept: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The page, and the content of ablations.json with today's titles and verdicts."""
    metrics = {row: _intervals(values["metrics"]) for row, values in kept["rows"].items()}
    gains = {row: _intervals(values["gains of EgoTwin"]) for row, values in kept["rows"].items()}
    gains = {row: found for row, found in gains.items() if found}
    about = {name: kept[name] for name in ABOUT}
    page, values = table(metrics, gains, about, _intervals(kept["real against real"]))
    return page, without_nan(values)


def _intervals(found: dict[str, dict[str, float | None]]) -> dict[str, Interval]:
    return {
        name: Interval(*(float("nan") if number[key] is None else number[key] for key in Interval._fields))  # type: ignore[arg-type]
        for name, number in found.items()
    }


def main() -> None:
    page, values = rendered(read_json(KEPT))
    write_text(FOLDER / "ablations.md", page)
    write_json(KEPT, values)
    draw_table(values["rows"], FOLDER / "ablations.png")


if __name__ == "__main__":
    main()
