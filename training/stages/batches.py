"""Batches of a training run: which clips each step sees, and the micro-batches of one process, prepared ahead.

A step's clips and random numbers follow from (seed, step, place in the batch) alone. So a run that was stopped and
resumed, or is shared by another number of processes, or is split in micro-batches, sees the same clips and noise.
"""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from egotwin_model.errors import ModelError
from training.stages.random_streams import RandomStreams
from training.stages.stage import Stage
from training.stages.train_config import TrainConfig


@dataclass(frozen=True)
class MicroBatch:
    """The input of one forward and backward pass of one process."""

    streams: RandomStreams
    tensors: dict[str, Tensor]


def batch_indices(step: int, batch_size: int, size: int, seed: int) -> Tensor:
    """The clips of one step, (batch_size,): a seeded permutation per epoch, without replacement."""
    positions = torch.arange(step * batch_size, (step + 1) * batch_size)
    epochs, places = positions // size, positions % size
    indices = torch.empty_like(positions)
    for epoch in epochs.unique().tolist():
        order = torch.randperm(size, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
        indices[epochs == epoch] = order[places[epochs == epoch]]
    return indices


@dataclass(frozen=True)
class BatchLoader:
    """One process's share of every batch, as micro-batches on its device.

    Raises:
        ModelError: the batch cannot be shared evenly by processes and micro-batches.
    """

    stage: Stage
    config: TrainConfig
    process_index: int
    num_processes: int
    device: torch.device

    def __post_init__(self) -> None:
        shares = self.num_processes * self.config.gradient_accumulation
        if self.config.batch_size % shares:
            raise ModelError(
                f"batch_size={self.config.batch_size} cannot be shared evenly by {self.num_processes} processes "
                f"with gradient_accumulation={self.config.gradient_accumulation}; take a multiple of {shares}"
            )

    def batches(self, start: int) -> Generator[MicroBatch, None, None]:
        """Micro-batches from step `start` on; a thread prepares the next one while the caller works on the last."""
        count = self.config.gradient_accumulation
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
            ahead = None
            for number in range(start * count, self.config.steps * count):
                ready, ahead = ahead, pool.submit(self._micro_batch, number)
                if ready is not None:
                    yield ready.result()
            if ahead is not None:
                yield ahead.result()

    def _micro_batch(self, number: int) -> MicroBatch:
        config, accumulation = self.config, self.config.gradient_accumulation
        step, index = divmod(number, accumulation)
        size = config.batch_size // (self.num_processes * accumulation)
        first = (self.process_index * accumulation + index) * size
        streams = RandomStreams(config.seed, step, range(first, first + size), self.device)
        indices = batch_indices(step, config.batch_size, len(self.stage), config.seed)
        batch = self.stage.batch(indices[first : first + size], streams)
        return MicroBatch(streams, {name: value.to(self.device) for name, value in batch.items()})
