"""A run of the benchmark: folders of predictions in, one results.json out.

```
OUT/parts/                                    what was measured of each clip (`kept_parts`)
OUT/results.json · report.html, .md · media/    written last: while they are there, they are complete
```
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from egotwin_model.io.files import write_json
from training.evaluation.benchmark.kept_parts import (
    Kind,
    MeasuringJob,
    digest,
    measure_all,
    parts_by_clip,
    parts_of_job,
    slug,
)
from training.evaluation.benchmark.measurements import ToolsSpec, load_tools
from training.evaluation.benchmark.measuring_code import measuring_digest
from training.evaluation.benchmark.pooling import pool, real_against_real
from training.evaluation.benchmark.predictions import Predictions
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.errors import PredictionError
from training.evaluation.metrics import catalogue
from training.evaluation.metrics.intervals import Interval
from training.evaluation.metrics.metric_family import Parts, Rates
from training.evaluation.metrics.psnr import psnr

RESULTS, REPORT, TABLES = "results.json", "report.html", "report.md"
VERSION = 1
TRUTH, OTHERS = "true clips", "other real clips"


def score(
    benchmark: Benchmark,
    folders: Sequence[Path],
    tools: ToolsSpec,
    out: Path,
    *,
    paired: bool = True,
    workers: int = 1,
    cluster: str | None = None,
) -> dict[str, Any]:
    """Measure every folder of predictions, and the true clips, and write ``results.json`` into `out`.

    Args:
        paired: whether predictions are also compared with what really followed.
        workers: processes. cluster: address of a Ray cluster that measures, instead of this machine.

    Raises:
        PredictionError: predictions that are missing, of other rates or sizes, or not finite; nothing is then written
            that looks like a result.
    """
    for name in (RESULTS, REPORT, TABLES):
        (out / name).unlink(missing_ok=True)
    started = time.perf_counter()
    opened = {predictions.info.name: predictions for predictions in _opened(folders, benchmark)}
    identities = {role: asdict(identity) for role, identity in load_tools(tools).identities().items()}
    made_of = {"code": _code(), "data": benchmark.identity()["data"], "extractors": identities}

    def job(kind: Kind, folder: Path, name: str) -> MeasuringJob:
        parts, identity = out / "parts" / slug(name), digest(made_of)  # which does not depend on the number of clips
        return MeasuringJob(benchmark.data, len(benchmark.numbers), kind, folder, tools, parts, identity)

    jobs = {TRUTH: job("truth", out, TRUTH), OTHERS: job("others", out, OTHERS)}
    jobs |= {name: job("predictions", predictions.folder, name) for name, predictions in opened.items()}
    measure_all(list(jobs.values()), benchmark, workers, cluster)
    parts = {name: parts_of_job(each, benchmark, name) for name, each in jobs.items()}
    results = {
        "version": VERSION,
        "protocol": {
            "data": str(benchmark.data), "paired": paired, "clips": len(benchmark.numbers),
            "others": len(benchmark.others),
            "identity": digest({**made_of, **benchmark.identity()}), **benchmark.identity()["data"],
        },
        "extractors": identities,
        **_real(parts[TRUTH], parts[OTHERS], benchmark),
        "subjects": {
            name: _subject(predictions, parts[name], parts[TRUTH], paired) for name, predictions in opened.items()
        },
        "metrics": [asdict(metric) for metric in catalogue.metrics().values()],
        "seconds": time.perf_counter() - started,
    }  # fmt: skip
    write_json(out / RESULTS, without_nan(results))
    return results


def _opened(folders: Sequence[Path], benchmark: Benchmark) -> list[Predictions]:
    """The folders' predictions; `PredictionError` where two would be one subject of the report."""
    opened = [Predictions(folder, benchmark) for folder in folders]
    names = [TRUTH, OTHERS, *(predictions.info.name for predictions in opened)]
    if len({slug(name) for name in names}) < len(names):
        raise PredictionError(f"two subjects have one name: {names}; change predictions.json")
    return opened


def _code() -> dict[str, Any]:
    """What decides how clips are measured: the source files, and the measures that the catalogue lists."""
    measures = [f"{measure.__module__}.{measure.__qualname__}" for measure in catalogue.measures(catalogue.FAMILIES)]
    return {"digest": measuring_digest(), "measures": measures}


def _real(truth: Parts, others: Parts, benchmark: Benchmark) -> dict[str, Any]:
    """What the results hold of real clips."""
    numbers, notes = pool(truth, truth, benchmark.rates)
    between, not_measured = real_against_real(truth, others) if others else ({}, [])
    return {
        "true clips": {"metrics": _plain(numbers), "notes": notes + not_measured},
        "real against real": _plain(between),
    }


def _subject(predictions: Predictions, parts: Parts, truth: Parts, paired: bool) -> dict[str, Any]:
    """What the results hold of one folder of predictions."""
    rates = predictions.benchmark.rates
    numbers, notes = pool(parts, truth, rates, paired=paired)
    return {
        "info": asdict(predictions.info), "folder": str(predictions.folder), "metrics": _plain(numbers),
        "notes": notes, "samples": _samples(parts), "curves": _curves(parts, rates),
    }  # fmt: skip


def real_clips(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What real clips get, by metric: against other real clips where that is compared, else the true ones' own."""
    return {**results["true clips"]["metrics"], **results["real against real"]}


def _samples(parts: Parts) -> int:
    return int(parts["head_error"].shape[1]) if "head_error" in parts else 1


def _curves(parts: Parts, rates: Rates) -> dict[str, dict[str, list[float]]]:
    """Errors over time, mean over clips: {"head error [m]": {"t": ..., "y": ...}, ...}."""
    curves = {}
    for title, key in (("head error [m]", "head_error"), ("body error [m]", "joint_error")):
        if key in parts:
            mean = parts[key].mean(axis=(0, 1))
            curves[title] = {"t": (np.arange(len(mean)) / rates[1]).tolist(), "y": mean.tolist()}
    if "frame_mse" in parts:
        mean = psnr(parts["frame_mse"]).mean(axis=0)
        curves["PSNR [dB]"] = {"t": (np.arange(1, len(mean) + 1) / rates[0]).tolist(), "y": mean.tolist()}
    return curves


def ranking(out: Path, name: str, benchmark: Benchmark) -> tuple[str, list[int]]:
    """How the report's videos are chosen: the criterion in words, and the clips from best to worst."""
    parts = parts_by_clip(out, name, benchmark)
    if "head_error" in parts[0]:
        criterion, values = "mean distance of the head from the true path", [p["head_error"].mean() for p in parts]
    else:
        criterion, values = "mean squared error of the frames", [p["frame_mse"].mean() for p in parts]
    return criterion, [benchmark.numbers[index] for index in np.argsort(values, kind="stable")]


def _plain(numbers: dict[str, Interval]) -> dict[str, dict[str, float]]:
    return {name: interval._asdict() for name, interval in numbers.items()}


def without_nan(value: Any) -> Any:
    """JSON has no NaN: null stands for it."""
    if isinstance(value, dict):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
