"""The paper's Tables 2 and 3 beside the same rows trained here: never in one table, because the extractors differ.

The paper's numbers: Xiu et al., "EgoTwin", arXiv 2508.13013, Tables 2 and 3 (Nymeria, 480 px, CogVideoX-5B).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from training.evaluation.metrics import catalogue
from training.evaluation.metrics.intervals import Interval

TITLES: dict[str, str] = {
    "egotwin": "EgoTwin", "vidmld": "VidMLD", "without-reformulation": "w/o motion reformulation",
    "without-interaction": "w/o interaction mechanism", "without-asynchronous": "w/o asynchronous diffusion",
    "video-only": "CogVideoX (video only)", "camera": "CameraCtrl (given the camera)",
    "motion-only": "MLD (motion only)", "geometry": "EgoTwin with geometry",
}  # fmt: skip
NINE: dict[str, str] = {
    "I-FID": "I-FID", "FVD": "FVD", "CLIP-SIM": "CLIP-SIM", "M-FID": "M-FID", "R-Precision top-3": "R-Prec",
    "MM-Dist": "MM-Dist", "TransErr": "TransErr", "RotErr": "RotErr", "HandScore": "HandScore",
}  # fmt: skip
"""Our name of each of the paper's metrics, and its own."""
MORE = (
    "camera paths found", "TransErr, learned", "RotErr, learned", "obeys the text", "view turns with the head",
    "head FDE@5s", "MPJPE", "stance sliding", "PSNR 2–5 s",
)  # fmt: skip
"""Metrics that the paper does not have."""
_NONE = (None,) * 3
PAPER: dict[str, tuple[float | None, ...]] = {
    "vidmld": (157.86, 1547.28, 25.58, 45.09, 0.47, 19.12, 1.28, 1.53, 0.36),
    "without-reformulation": (134.27, 1356.81, 26.36, 43.65, 0.56, 17.31, 0.96, 1.22, 0.44),
    "without-interaction": (117.54, 1237.58, 27.10, 44.01, 0.59, 15.87, 0.85, 0.89, 0.57),
    "without-asynchronous": (109.73, 1124.19, 26.91, 42.58, 0.53, 16.48, 0.74, 0.62, 0.73),
    "egotwin": (98.17, 1033.52, 27.34, 41.80, 0.62, 15.05, 0.67, 0.46, 0.81),
    "video-only": (182.97, 1793.79, 24.90, *_NONE, *_NONE),
    "camera": (120.48, 1263.90, 27.01, *_NONE, *_NONE),
    "motion-only": (*_NONE, 47.25, 0.39, 21.47, *_NONE),
    "geometry": (*_NONE, *_NONE, *_NONE),
}
"""In the order of `NINE`; our own row has none."""
ARROWS = {metric.name: metric.arrow for metric in catalogue.metrics().values()}


def verdict(paper: float | None, gain: Interval) -> str:
    """Whether EgoTwin's gain here has the paper's direction. `paper`, `gain`: by how much EgoTwin is better."""
    if paper is None or not np.isfinite([gain.low, gain.high]).all():
        return ""
    if gain.low <= 0.0 <= gain.high:
        return "no clear difference"
    return "same direction" if (gain.value > 0) == (paper > 0) else "opposite"


def paper_gain(row: str, metric: str) -> float | None:
    """By how much the paper's EgoTwin is better than a row; None where the paper has no number."""
    column = list(NINE).index(metric)
    own, other = PAPER["egotwin"][column], PAPER[row][column]
    if own is None or other is None:
        return None
    return other - own if ARROWS[metric] == "↓" else own - other


def table(
    metrics: dict[str, dict[str, Interval]],
    gains: dict[str, dict[str, Interval]],
    about: dict[str, Any],
    real: dict[str, Interval],
) -> tuple[str, dict[str, Any]]:
    """The page (Markdown) and the same as JSON.

    Args:
        metrics: of each row, by our names. gains: of EgoTwin over each other row. about: lines of text under the title
            ("lines"), extractors by role ("extractors"). real: of real clips against real clips, by our names.
    """
    shown = [name for name in (*NINE, *MORE) if any(name in found for found in metrics.values())]
    verdicts = {
        row: {name: verdict(paper_gain(row, name), gain) for name, gain in found.items() if name in NINE}
        for row, found in gains.items()
    }
    page = ["# The paper's rows, trained here", "", *about["lines"], ""]
    cells = {TITLES[row]: _cells(found, shown) for row, found in metrics.items()}
    page += ["## Measured here", "", *_grid(shown, {"real against real": _cells(real, shown), **cells})]
    page += [
        "",
        "## The paper's Tables 2 and 3",
        "",
        "Other data, other extractors: compare down a column, never across.",
    ]
    known = {TITLES[row]: [_plain(value) for value in PAPER[row]] for row in TITLES if row in metrics}
    page += ["", *_grid(list(NINE), known, list(NINE.values()))]
    if gains:
        page += ["", "## Does each design help?", "", ABOUT_GAINS, ""]
        page += _grid(shown, {TITLES[row]: _gain_cells(gains[row], verdicts[row], shown) for row in gains})
    values = {
        row: {
            "title": TITLES[row], "paper": dict(zip(NINE, PAPER[row], strict=True)),
            "metrics": _json(metrics[row]), "gains of EgoTwin": _json(gains.get(row, {})),
            "verdicts": verdicts.get(row, {}),
        }
        for row in metrics
    }  # fmt: skip
    return "\n".join(page) + "\n", {**about, "real against real": _json(real), "rows": values}


ABOUT_GAINS = (
    "By how much EgoTwin is better than each row (positive: better), with the 95 % interval of the difference over the "
    "same clips, and whether that is the paper's direction. TransErr and RotErr compare the clips in which both paths "
    "were found."
)


def _grid(columns: list[str], rows: dict[str, list[str]], names: list[str] | None = None) -> list[str]:
    head = [f"{name} {ARROWS[column]}" for column, name in zip(columns, names or columns, strict=True)]
    lines = ["| | " + " | ".join(head) + " |", "|---" * (len(head) + 1) + "|"]
    return lines + [f"| {row} | " + " | ".join(cells) + " |" for row, cells in rows.items()]


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _cells(found: dict[str, Interval], shown: list[str]) -> list[str]:
    return [_cell(name, found[name]) if name in found else "" for name in shown]


def _cell(name: str, interval: Interval, sign: str = "") -> str:
    digits = catalogue.metrics()[name].digits
    if not np.isfinite(interval.value):
        return "–"
    text = f"{interval.value:{sign}.{digits}f}"
    if np.isfinite([interval.low, interval.high]).all():
        text += f" [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"
    return text


def _gain_cells(found: dict[str, Interval], verdicts: dict[str, str], shown: list[str]) -> list[str]:
    cells = []
    for name in shown:
        words = verdicts.get(name, "")
        cells.append(f"{_cell(name, found[name], '+')}{f': {words}' if words else ''}" if name in found else "")
    return cells


def _json(found: dict[str, Interval]) -> dict[str, dict[str, float]]:
    return {name: interval._asdict() for name, interval in found.items()}
