"""The benchmark's run: folders of predictions in, one results.json and a report out.

```
OUT/parts/<subject>/clip-00012.safetensors   what was measured of one clip; kept, so a stopped run goes on
OUT/results.json · report.html, .md · media/    written last: while they are there, they are whole
```

A kept part is used again while data, prediction, extractors and measuring code are what they were.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from tqdm import tqdm

from egotwin_model.io.files import sha256, write_atomically, write_json
from training.evaluation.benchmark.measurements import ToolsSpec, features_only, load_tools, measure
from training.evaluation.benchmark.measuring_code import measuring_digest
from training.evaluation.benchmark.pooling import pool, real_against_real
from training.evaluation.benchmark.predictions import Predictions, clip_name, read_info
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.errors import PredictionError
from training.evaluation.metrics import catalogue
from training.evaluation.metrics.intervals import Interval
from training.evaluation.metrics.metric_family import Parts
from training.evaluation.metrics.predicted_clip import as_prediction
from training.evaluation.metrics.psnr import psnr
from training.workers.fanout import run_shards

RESULTS, REPORT, TABLES = "results.json", "report.html", "report.md"
VERSION = 1
CHUNK = 4
Kind = Literal["truth", "others", "predictions"]
TRUTH, OTHERS = "true clips", "other real clips"


@dataclass(frozen=True)
class Job:
    """What a worker must know to measure some clips of one subject.

    Attributes:
        kind: "truth" and "others" measure real clips, "predictions" those of `folder`. parts: where parts are kept.
        identity: of data, extractors and code; it is in every part.
    """

    data: Path
    clips: int
    kind: Kind
    folder: Path
    tools: ToolsSpec
    parts: Path
    identity: str


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
        paired: whether predictions are also held against what really followed.
        workers: processes. cluster: address of a Ray cluster that measures, instead of this machine.

    Raises:
        PredictionError: predictions that are missing, of other rates or sizes, or not finite; nothing is then written
            that looks like a result.
    """
    for name in (RESULTS, REPORT, TABLES):
        (out / name).unlink(missing_ok=True)
    checked = [Predictions(folder, benchmark) for folder in folders]
    names = [TRUTH, OTHERS, *(predictions.info.name for predictions in checked)]
    if len({slug(name) for name in names}) < len(names):
        raise PredictionError(f"two subjects have one name: {names}; change predictions.json")
    loaded = load_tools(tools)
    identities = {role: asdict(identity) for role, identity in loaded.identities().items()}
    measures = [f"{take.__module__}.{take.__qualname__}" for take in catalogue.measures(catalogue.FAMILIES)]
    code = {"digest": measuring_digest(), "measures": measures}
    made_of = {"code": code, "data": benchmark.identity()["data"], "extractors": identities}
    identity = _digest(made_of)  # of a part: it does not depend on how many clips there are
    started = time.perf_counter()

    def job(kind: Kind, folder: Path, name: str) -> Job:
        return Job(benchmark.data, len(benchmark.numbers), kind, folder, tools, out / "parts" / slug(name), identity)

    jobs = {TRUTH: job("truth", out, TRUTH), OTHERS: job("others", out, OTHERS)}
    jobs |= {each.info.name: job("predictions", each.folder, each.info.name) for each in checked}
    _measure_all(list(jobs.values()), benchmark, workers, cluster)
    pooled = {
        name: _stacked([_load(_path(each, key)) for key in _keys(each, benchmark)], name) for name, each in jobs.items()
    }
    truth, others = pooled[TRUTH], pooled[OTHERS]
    rates = benchmark.frame_rate, benchmark.pose_rate
    subjects = {}
    for predictions in checked:
        parts = pooled[predictions.info.name]
        numbers, notes = pool(parts, truth, rates, paired=paired)
        subjects[predictions.info.name] = {
            "info": asdict(predictions.info), "folder": str(predictions.folder), "metrics": _plain(numbers),
            "notes": notes, "samples": _samples(parts), "curves": _curves(parts, rates),
        }  # fmt: skip
    numbers, notes = pool(truth, truth, rates)
    real, unmeasured = real_against_real(truth, others) if others else ({}, [])
    results = {
        "version": VERSION,
        "protocol": {
            "data": str(benchmark.data), "paired": paired, "clips": len(benchmark.numbers),
            "others": len(benchmark.others),
            "identity": _digest({**made_of, **benchmark.identity()}), **benchmark.identity()["data"],
        },
        "extractors": identities,
        "true clips": {"metrics": _plain(numbers), "notes": notes + unmeasured},
        "real against real": _plain(real),
        "subjects": subjects,
        "metrics": [asdict(metric) for metric in catalogue.metrics().values()],
        "seconds": time.perf_counter() - started,
    }  # fmt: skip
    write_json(out / RESULTS, without_nan(results))
    return results


def real_clips(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What real clips get, by metric: against other real clips where that is compared, else the true ones' own."""
    return {**results["true clips"]["metrics"], **results["real against real"]}


def slug(name: str) -> str:
    """A name as a folder's."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _keys(job: Job, benchmark: Benchmark) -> list[tuple[str, int]]:
    return benchmark.others if job.kind == "others" else [("test", number) for number in benchmark.numbers]


def _measure_all(jobs: list[Job], benchmark: Benchmark, workers: int, cluster: str | None) -> None:
    """Measure what is not there yet of all subjects, a few clips at a time."""
    wanted = [(job, key) for job in jobs for key in _keys(job, benchmark)]
    todo = [
        (job, [key for key in _keys(job, benchmark) if not _is_there(job, key, _wanted(job, key, benchmark))])
        for job in jobs
    ]
    chunks = [(job, tuple(keys[i : i + CHUNK])) for job, keys in todo for i in range(0, len(keys), CHUNK)]
    left = sum(len(keys) for _, keys in chunks)
    with tqdm(total=len(wanted), initial=len(wanted) - left, desc="measuring", unit="clip", mininterval=1) as bar:
        if workers == 1 and cluster is None:
            for chunk in chunks:
                bar.update(measure_chunk(chunk))
            return
        done = run_shards(
            measure_chunk, chunks, workers=workers, address=cluster, on_done=lambda _, count: bar.update(count)
        )
        if done.broken:
            raise PredictionError(f"{len(done.broken)} groups of clips were not measured; first: {done.broken[0][1]}")


@lru_cache(maxsize=1)
def _benchmark(data: Path, clips: int) -> Benchmark:
    return Benchmark(data, clips)


def measure_chunk(chunk: tuple[Job, tuple[tuple[str, int], ...]]) -> int:
    """Measure some clips of one subject and write their parts; returns how many."""
    job, keys = chunk
    benchmark = _benchmark(job.data, job.clips)
    tools = load_tools(job.tools)
    predictions = Predictions(job.folder, benchmark) if job.kind == "predictions" else None
    for split, number in keys:
        clip = benchmark.clip(number, split)
        if job.kind == "others":
            parts = features_only(clip, benchmark, tools)
        elif predictions is None:
            parts = measure(clip, as_prediction(clip), "joint", benchmark, tools)
        else:
            parts = measure(clip, predictions.read(clip), predictions.info.mode, benchmark, tools)
        note = {"identity": _wanted(job, (split, number), benchmark)}
        arrays = {name: np.ascontiguousarray(array) for name, array in parts.items()}
        path = _path(job, (split, number))
        write_atomically(path, lambda temporary, a=arrays, n=note: save_file(a, temporary, metadata=n))  # type: ignore[misc]
    return len(keys)


def _path(job: Job, key: tuple[str, int]) -> Path:
    return job.parts / f"{key[0]}-{clip_name(key[1])}.safetensors"


def _wanted(job: Job, key: tuple[str, int], benchmark: Benchmark) -> str:
    """Identity of a part: the run's, the clip's record (its goal too), and for a prediction the bytes it is made of."""
    files: list[str] = []
    if job.kind == "predictions":
        base = job.folder / clip_name(key[1])
        found = [base.with_suffix(suffix) for suffix in (".safetensors", ".npz", ".mp4")]
        found += sorted(base.glob("*.png")) if base.is_dir() else []
        files = [sha256(path) for path in found if path.is_file()]
        files.append(_digest(asdict(read_info(job.folder))))
    record = benchmark.split(key[0]).records[key[1]]
    return _digest({"run": job.identity, "kind": job.kind, "key": list(key), "files": files, "record": record})


def _is_there(job: Job, key: tuple[str, int], wanted: str) -> bool:
    try:
        with safe_open(_path(job, key), framework="numpy") as file:
            return bool((file.metadata() or {}).get("identity") == wanted)
    except (OSError, SafetensorError):
        return False


def _load(path: Path) -> Parts:
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dictionary


def _stacked(clips: list[Parts], name: str) -> Parts:
    if not clips:
        return {}
    odd = next((index for index, parts in enumerate(clips) if _shapes(parts) != _shapes(clips[0])), None)
    if odd is not None:
        raise PredictionError(
            f"{name}: predictions differ from clip to clip (some have other numbers of samples, or no body): "
            f"{_shapes(clips[odd])} and {_shapes(clips[0])}"
        )
    return {key: np.stack([parts[key] for parts in clips]) for key in clips[0]}


def _shapes(parts: Parts) -> dict[str, tuple[int, ...]]:
    return {key: array.shape for key, array in sorted(parts.items())}


def _samples(parts: Parts) -> int:
    return int(parts["head_error"].shape[1]) if "head_error" in parts else 1


def _curves(parts: Parts, rates: tuple[float, float]) -> dict[str, dict[str, list[float]]]:
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


def parts_of(out: Path, name: str, benchmark: Benchmark) -> Parts:
    """What `score` has kept of one subject, or of `TRUTH`: every array with the clips first."""
    return _stacked(
        [_load(out / "parts" / slug(name) / f"test-{clip_name(n)}.safetensors") for n in benchmark.numbers], name
    )


def ranking(out: Path, name: str, benchmark: Benchmark) -> tuple[str, list[int]]:
    """How the films of the report are chosen: the criterion in words, and the clips from best to worst."""
    parts = [
        _load(out / "parts" / slug(name) / f"test-{clip_name(number)}.safetensors") for number in benchmark.numbers
    ]
    if "head_error" in parts[0]:
        criterion, values = "mean distance of the head from the true path", [p["head_error"].mean() for p in parts]
    else:
        criterion, values = "mean squared error of the pictures", [p["frame_mse"].mean() for p in parts]
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


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
