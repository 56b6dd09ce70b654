"""What the trainer asks of a stage: a model, batches, a loss and validation metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from training.stages.random_streams import RandomStreams


class Stage(Protocol):
    """A stage of the pipeline: what is trained, on which clips, with which loss. Stages derive from it."""

    name: str
    model: nn.Module

    def __len__(self) -> int:
        """Number of training clips."""
        ...

    def batch(self, indices: Tensor, streams: RandomStreams) -> dict[str, Tensor]:
        """The clips `indices` as model input."""
        ...

    def loss(self, model: nn.Module, batch: dict[str, Tensor], streams: RandomStreams) -> dict[str, Tensor]:
        """Loss terms, each a mean over the clips; "loss" is minimised.

        `model` is `self.model`, possibly wrapped for distributed training; call it instead.
        """
        ...

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Metrics of the averaged weights on the validation split."""
        ...

    def shipped(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """The tensors that later stages and the export read, from the weights that are validated."""
        return weights

    def sheet(self, model: nn.Module, path: Path) -> None:
        """Writes a sample sheet of some validation clips, where the stage has something to show."""
        return

    def resolved(self) -> dict[str, Any]:
        """The configuration saved beside the weights as ``config.json``."""
        ...
