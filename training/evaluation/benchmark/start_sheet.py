"""A sheet of what a model imagines for the first clips of the benchmark's order, without selection."""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from egotwin_model.egotwin.pipeline import EgoTwinPipeline
from training.evaluation.benchmark.imagining import check_cameras, imagined
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.metrics.predicted_clip import RealClip
from training.stages.sheets import Sample, clip_of, save_sheet

COUNT = 16


def write_start_sheet(pipeline: EgoTwinPipeline, benchmark: Benchmark, path: Path) -> None:
    """Write a PNG: a row for each clip, the truth above what is imagined from its first frame, pose and text."""
    check_cameras(pipeline, benchmark)
    clips = (benchmark.clip(number) for number in benchmark.numbers)
    rows = [_row(pipeline, clip) for clip in tqdm(clips, total=len(benchmark.numbers), desc="sheet", leave=False)]
    save_sheet(path, rows)


def _row(pipeline: EgoTwinPipeline, clip: RealClip) -> Sample:
    found = imagined(pipeline, clip, "joint")
    motion = None if found.motion is None else clip_of(found.motion, 0).relative_to_first_head()
    true = clip.motion.relative_to_first_head()
    return Sample(f"{clip.number}: {clip.text}", found.frames, clip.frames, motion, true)
