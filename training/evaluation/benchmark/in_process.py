"""Clips predicted and measured one after another, in this process and without extractors: for `quick` and `tune`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from tqdm import tqdm

from training.evaluation.benchmark.measurements import measure
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.metrics.metric_family import Parts
from training.evaluation.metrics.predicted_clip import Mode, Prediction, RealClip
from training.evaluation.metrics.tools import Tools


def measure_in_process(
    benchmark: Benchmark,
    numbers: Sequence[int],
    predict: Callable[[RealClip], Prediction],
    name: str,
    mode: Mode = "joint",
) -> Parts:
    """All measurements that need no extractor, clips first.

    Args:
        numbers: clips, at least one. predict: makes the prediction of a clip. name: beside the progress bar.
    """
    clips = (benchmark.clip(number) for number in tqdm(numbers, desc=name, leave=False))
    parts = [measure(clip, predict(clip), mode, benchmark, Tools()) for clip in clips]
    return {key: np.stack([part[key] for part in parts]) for key in parts[0]}
