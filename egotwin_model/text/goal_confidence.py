"""How sure it is that a model does what a goal asks: by how much the goal is like those the model was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import ModelError
from egotwin_model.io.weights import read_arrays
from egotwin_model.runtimes.base import to_numpy
from egotwin_model.text.language import foreign_language

FILE = "goals.safetensors"
"""In a model folder: `known`, `similarity` and `confidence`."""
NEAREST = 5
WARN_BELOW = 0.5
"""A goal of less confidence is warned of."""


@dataclass(frozen=True)
class GoalConfidence:
    """Maps a goal's text states to a confidence in [0, 1].

    Confidence is calibrated: of goals with this similarity to trained ones, the share that the model obeyed
    (`egotwin tune goals`). It says nothing of whether a thing that the goal names is in view.

    Attributes:
        known: (M, D) unit embeddings of goals the model was trained on.
        similarity: (G,) rising cosine similarities, and confidence: (G,) in [0, 1], rising, the share obeyed there.
    """

    known: NDArray[np.float32]
    similarity: NDArray[np.float32]
    confidence: NDArray[np.float32]

    def __post_init__(self) -> None:
        points = self.similarity, self.confidence
        fits = self.known.ndim == 2 and len(self.known) and points[0].shape == points[1].shape
        if not fits or points[0].ndim != 1 or any((np.diff(values) < 0).any() for values in points):
            raise ModelError(
                f"goal confidence of known {self.known.shape}, similarity {points[0].shape} and confidence "
                f"{points[1].shape}: wanted (M, D), M > 0, and two rising (G,); run `egotwin tune goals` again"
            )

    @classmethod
    def load(cls, folder: Path) -> GoalConfidence | None:
        """That of a model folder; None for a folder without one. Raises `ModelError` for a damaged one."""
        path = folder / FILE
        if not path.is_file():
            return None
        tensors = {name: np.asarray(values, np.float32) for name, values in read_arrays(path).items()}
        if missing := {"known", "similarity", "confidence"} - tensors.keys():
            raise ModelError(f"{path} lacks {', '.join(sorted(missing))}; run `egotwin tune goals` again")
        return cls(**tensors)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What `load` reads; embeddings in half precision."""
        return {
            "known": self.known.astype(np.float16), "similarity": self.similarity, "confidence": self.confidence,
        }  # fmt: skip

    def similar(self, states: Any) -> NDArray[np.float32]:
        """Similarity in [−1, 1] of goals to known ones: text states (B, L, D) to (B,)."""
        return nearness(embedding(states), self.known)

    def __call__(self, states: Any) -> float:
        """Confidence of the goal with text states (1, L, D)."""
        return float(np.interp(self.similar(states)[0], self.similarity, self.confidence))


def embedding(states: Any) -> NDArray[np.float32]:
    """Unit mean (B, D) of text states (B, L, D), NumPy or torch; states of padding are zero and do not count."""
    numbers = np.asarray(to_numpy(states), np.float32)
    mean = numbers.sum(axis=1) / np.maximum(np.abs(numbers).sum(axis=-1).astype(bool).sum(axis=1), 1)[:, None]
    return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)


def nearness(goals: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean cosine similarity of each goal (B, D) to the `NEAREST` of the known ones (M, D), all unit vectors: (B,)."""
    similarities, count = goals @ known.T, min(NEAREST, len(known))
    return np.partition(similarities, -count, axis=1)[:, -count:].mean(axis=1)


def doubt(goal: str, confidence: float) -> str:
    """Why a goal of that confidence may not be done, in words; "" where nothing speaks against it."""
    if confidence >= WARN_BELOW:
        return ""
    if code := foreign_language(goal):
        return f"it seems to be in another language ({code}); this model reads English"
    return 'it is unlike the goals this model was trained on; say what the body should do, as in "walk to the table"'
