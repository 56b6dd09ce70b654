"""results.json as a static page: one table, curves over time, and videos side by side; the table also as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from egotwin_model.io.files import write_atomically, write_text
from egotwin_model.io.videos import write_video
from training.evaluation.benchmark.kept_parts import slug
from training.evaluation.benchmark.predictions import Predictions
from training.evaluation.benchmark.run import REPORT, TABLES, ranking, real_clips
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.metrics import catalogue
from training.evaluation.metrics.metric_family import Metric

VIDEO_SIDE = 192


def write_report(results: dict[str, Any], benchmark: Benchmark, out: Path) -> Path:
    """``report.html``, ``report.md`` and ``media/`` beside results.json; the page is written last."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    media = out / "media"
    media.mkdir(parents=True, exist_ok=True)
    subjects = results["subjects"]
    chosen = next(iter(subjects), None)
    criterion, videos = _videos(results, benchmark, out, chosen) if chosen else ("", [])
    environment = Environment(
        loader=PackageLoader("training.evaluation.benchmark"), undefined=StrictUndefined, trim_blocks=True,
        autoescape=lambda name: name == f"{REPORT}.j2",
    )  # fmt: skip
    stand_ins = list(dict.fromkeys(each["name"] for each in results["extractors"].values() if not each["official"]))
    by_role = [metric.name for metric in catalogue.metrics().values() if metric.role]
    measured = {name for subject in subjects.values() for name in subject["metrics"]}
    values = {
        "clips": results["protocol"]["clips"], "protocol": results["protocol"], "subjects": subjects,
        "surrogates": stand_ins, "groups": _groups(results), "notes": _notes(results),
        "curves": _curves(subjects, media), "criterion": criterion, "chosen_by": chosen, "videos": videos,
        "extractors": results["extractors"], "seconds": round(results["seconds"]),
        "absent": [name for name in by_role if name not in measured],
    }  # fmt: skip
    for name in (TABLES, REPORT):
        write_text(out / name, environment.get_template(f"{name}.j2").render(values))
    return out / REPORT


def print_results(results: dict[str, Any]) -> None:
    """The table on the terminal."""
    for group, rows in _groups(results):
        print(f"{group}  [real against real | {' | '.join(results['subjects'])}]")
        for row in rows:
            cells = " | ".join(f"{cell['value']} {cell['interval']}".strip() for cell in row["cells"])
            by = f", {row['extractor']}" if row["extractor"] else ""
            print(f"  {row['name']} {row['arrow']} {row['unit']}{by}: {row['real']} | {cells}")
    for note in _notes(results):
        print(f"warning: {note}")


def _groups(results: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Table rows by heading; a metric that nobody has is left out."""
    subjects, real = results["subjects"], real_clips(results)
    groups: dict[str, list[dict[str, Any]]] = {}
    for metric in catalogue.metrics().values():
        cells = [subject["metrics"].get(metric.name) for subject in subjects.values()]
        if not any(cells):
            continue
        best = _best(metric, subjects)
        row = {
            "name": metric.name, "unit": metric.unit, "arrow": metric.arrow,
            "extractor": results["extractors"].get(metric.role, {}).get("name", ""),
            "real": _number(real.get(metric.name), metric),
            "cells": [
                {"value": _number(cell, metric), "interval": _interval(cell, metric), "best": name == best}
                for name, cell in zip(subjects, cells, strict=True)
            ],
        }  # fmt: skip
        groups.setdefault(metric.group, []).append(row)
    return list(groups.items())


def _best(metric: Metric, subjects: dict[str, Any]) -> str | None:
    """The best of several that were given nothing more; None for a metric where nearest to the truth is best."""
    fair = {
        name: subject["metrics"][metric.name]["value"]
        for name, subject in subjects.items()
        if not subject["info"]["told"] and subject["metrics"].get(metric.name, {}).get("value") is not None
    }
    if len(fair) < 2 or metric.better == "true":
        return None
    return (min if metric.better == "lower" else max)(fair, key=lambda name: fair[name])


def _number(cell: dict[str, float] | None, metric: Metric) -> str:
    value = None if cell is None else cell["value"]
    return "–" if value is None or not np.isfinite(value) else f"{value:.{metric.digits}f}"


def _interval(cell: dict[str, float] | None, metric: Metric) -> str:
    if cell is None or any(cell[key] is None or not np.isfinite(cell[key]) for key in ("low", "high")):
        return ""
    return f"[{cell['low']:.{metric.digits}f}, {cell['high']:.{metric.digits}f}]"


def _notes(results: dict[str, Any]) -> list[str]:
    own = [f"true clips: {note}" for note in results["true clips"]["notes"]]
    return own + [f"{name}: {note}" for name, subject in results["subjects"].items() for note in subject["notes"]]


def _curves(subjects: dict[str, Any], media: Path) -> list[str]:
    """One figure for each quantity that has a curve, with all subjects; paths relative to the page."""
    from matplotlib.figure import Figure

    titles = dict.fromkeys(title for subject in subjects.values() for title in subject["curves"])
    files = []
    for title in titles:
        figure = Figure(figsize=(5.2, 3.4), layout="constrained")
        axes = figure.subplots()
        for name, subject in subjects.items():
            if title in subject["curves"]:
                axes.plot(subject["curves"][title]["t"], subject["curves"][title]["y"], label=name)
        axes.set(xlabel="time [s]", ylabel=title)
        axes.legend(fontsize=7)
        path = media / f"{slug(title)}.svg"
        write_atomically(path, lambda temporary, f=figure: f.savefig(temporary, format="svg"))  # type: ignore[misc]
        files.append(f"media/{path.name}")
    return files


def _videos(results: dict[str, Any], benchmark: Benchmark, out: Path, chosen: str) -> tuple[str, list[dict[str, Any]]]:
    criterion, order = ranking(out, chosen, benchmark)
    picks = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    picks["random"] = int(np.random.default_rng(len(order)).choice(order))
    opened = {name: Predictions(Path(s["folder"]), benchmark) for name, s in results["subjects"].items()}
    videos = []
    for which, number in picks.items():
        clip = benchmark.clip(number)
        found = {name: predictions.read(clip) for name, predictions in opened.items()}
        shown = [("true clip", clip.frames)] + [(name, p.frames) for name, p in found.items() if p.frames is not None]
        entries = []
        for name, frames in shown:
            file = out / "media" / f"{slug(which)}-{slug(name)}.mp4"
            write_video(file, map(_enlarged, frames), benchmark.frame_rate)
            entries.append({"name": name, "file": f"media/{file.name}"})
        paths = {"true clip": clip.motion.head_positions} | {
            name: p.motion.head_positions[0] for name, p in found.items() if p.motion is not None
        }
        videos.append(
            {"which": which, "number": number, "text": clip.text, "shown": entries, "path": _path(paths, which, out)}
        )
    return criterion, videos


def _path(paths: dict[str, NDArray[np.floating]], which: str, out: Path) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.4, 3.4), layout="constrained")
    axes = figure.subplots()
    for name, path in paths.items():
        axes.plot(path[:, 0], path[:, 1], label=name, color="black" if name == "true clip" else None)
    axes.set(aspect="equal", xlabel="x [m]", ylabel="y [m]")
    axes.legend(fontsize=6)
    file = out / "media" / f"{slug(which)}-path.svg"
    write_atomically(file, lambda temporary: figure.savefig(temporary, format="svg"))
    return f"media/{file.name}"


def _enlarged(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A small frame (H, W, 3) several times as large, so that a browser shows its pixels; always of even size."""
    scale = max(1, VIDEO_SIDE // frame.shape[0])
    height, width = (max(2, side * scale // 2 * 2) for side in frame.shape[:2])
    return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
