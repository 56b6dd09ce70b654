"""The true clips as predictions of a model that knows the future, or near ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from egotwin_model.geometry.skeleton import HEAD
from egotwin_model.motion.representation import BodyMotion
from training.evaluation.benchmark.predictions import (
    PredictionInfo,
    write_info,
    write_prediction,
)
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.metrics.predicted_clip import Prediction


def write_truth(benchmark: Benchmark, folder: Path, samples: int = 1, noise: float = 0.0) -> Path:
    """The true clips as predictions, or near ones."""
    rng = np.random.default_rng(0)
    write_info(folder, PredictionInfo("oracle", "joint", benchmark.frame_rate, benchmark.pose_rate))
    for number in benchmark.numbers:
        clip = benchmark.clip(number)
        positions = np.repeat(clip.positions[None], samples, axis=0)
        positions[:, 1:] += noise * rng.normal(size=(samples, 1, 1, 3)).astype(np.float32)
        rotations = np.repeat(clip.rotations[None], samples, axis=0)
        motion = BodyMotion(positions, rotations, positions[:, :, HEAD], rotations[:, :, HEAD])
        write_prediction(folder, number, Prediction(clip.frames, motion))
    return folder
