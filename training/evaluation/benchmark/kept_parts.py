"""What was measured of each clip: measured by one process or many, kept in files, read back for pooling.

```
OUT/parts/<subject>/test-clip-00012.safetensors   the arrays of one clip; a stopped run resumes with what is there
```

A kept part is used again while data, prediction, extractors and measuring code are what they were.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from tqdm import tqdm

from egotwin_model.io.files import sha256, write_atomically
from training.evaluation.benchmark.measurements import ToolsSpec, features_only, load_tools, measure
from training.evaluation.benchmark.predictions import Predictions, clip_name, read_info
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.errors import PredictionError
from training.evaluation.metrics.metric_family import Parts
from training.evaluation.metrics.predicted_clip import as_prediction
from training.workers.fanout import run_shards

CHUNK = 4
Kind = Literal["truth", "others", "predictions"]


@dataclass(frozen=True)
class MeasuringJob:
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


def measure_all(jobs: list[MeasuringJob], benchmark: Benchmark, workers: int, cluster: str | None) -> None:
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


def measure_chunk(chunk: tuple[MeasuringJob, tuple[tuple[str, int], ...]]) -> int:
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


def parts_of_job(job: MeasuringJob, benchmark: Benchmark, name: str) -> Parts:
    """What a finished job has kept: every array with the clips first; `name` is the subject's, for messages."""
    return _stacked([_load(_path(job, key)) for key in _keys(job, benchmark)], name)


def parts_of(out: Path, name: str, benchmark: Benchmark) -> Parts:
    """What `score` has kept of one subject, or of `TRUTH`: every array with the clips first."""
    return _stacked(parts_by_clip(out, name, benchmark), name)


def parts_by_clip(out: Path, name: str, benchmark: Benchmark) -> list[Parts]:
    """What `score` has kept of each clip of one subject."""
    folder = out / "parts" / slug(name)
    return [_load(folder / f"test-{clip_name(number)}.safetensors") for number in benchmark.numbers]


def _keys(job: MeasuringJob, benchmark: Benchmark) -> list[tuple[str, int]]:
    return benchmark.others if job.kind == "others" else [("test", number) for number in benchmark.numbers]


def _path(job: MeasuringJob, key: tuple[str, int]) -> Path:
    return job.parts / f"{key[0]}-{clip_name(key[1])}.safetensors"


def _wanted(job: MeasuringJob, key: tuple[str, int], benchmark: Benchmark) -> str:
    """Identity of a part: the run's, the clip's record (its goal too), and for a prediction the bytes it is made of."""
    files: list[str] = []
    if job.kind == "predictions":
        base = job.folder / clip_name(key[1])
        found = [base.with_suffix(suffix) for suffix in (".safetensors", ".npz", ".mp4")]
        found += sorted(base.glob("*.png")) if base.is_dir() else []
        files = [sha256(path) for path in found if path.is_file()]
        files.append(digest(asdict(read_info(job.folder))))
    record = benchmark.split(key[0]).records[key[1]]
    return digest({"run": job.identity, "kind": job.kind, "key": list(key), "files": files, "record": record})


def _is_there(job: MeasuringJob, key: tuple[str, int], wanted: str) -> bool:
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
    differing = next((index for index, parts in enumerate(clips) if _shapes(parts) != _shapes(clips[0])), None)
    if differing is not None:
        raise PredictionError(
            f"{name}: predictions differ from clip to clip (some have other numbers of samples, or no body): "
            f"{_shapes(clips[differing])} and {_shapes(clips[0])}"
        )
    return {key: np.stack([parts[key] for parts in clips]) for key in clips[0]}


def _shapes(parts: Parts) -> dict[str, tuple[int, ...]]:
    return {key: array.shape for key, array in sorted(parts.items())}


def slug(name: str) -> str:
    """A name as a folder's."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def digest(value: Any) -> str:
    """SHA-256 of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
