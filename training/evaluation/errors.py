"""What the evaluation refuses, by name."""

from __future__ import annotations

from egotwin_model.errors import EgoTwinError, RecordingError
from training.datasets.clips.dataset import ClipSet


class PredictionError(EgoTwinError):
    """Predictions to be scored, or features to be compared, are missing, too few, non-finite or do not match."""


def require(clips: ClipSet, name: str) -> None:
    """`RecordingError` unless clips have what an evaluator is trained on."""
    if len(clips) and name not in clips[0]:
        raise RecordingError(f"{clips.folder}: clips have no {name}, which this evaluator is trained on")
