"""Random numbers of a training step, one stream for each clip: the same however many processes share the step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

SHARED = 2**32 - 1  # stands for a clip's place in the stream that all clips of a step share


class RandomStreams:
    """Random numbers for some clips of one step. Each clip's depend on (seed, step, its place in the batch) alone.

    Args:
        places: of the clips in the whole batch.
        device: of the noise. A GPU generates other noise than a CPU, and much faster.
    """

    def __init__(self, seed: int, step: int, places: Sequence[int], device: torch.device | str = "cpu") -> None:
        self._clips = [np.random.default_rng((seed, step, place)) for place in places]
        self._shared = np.random.default_rng((seed, step, SHARED))
        self._keys, self._device = [(seed, step, place) for place in places], device

    def __len__(self) -> int:
        return len(self._clips)

    def uniform(self, *shape: int) -> Tensor:
        """In [0, 1): (clips, *shape) float32, on the CPU."""
        return torch.from_numpy(np.stack([rng.random(shape, dtype=np.float32) for rng in self._clips]))

    def normal(self, *shape: int) -> Tensor:
        """Unit normal: (clips, *shape) float32, on the device."""
        noise = torch.empty(len(self), *shape, device=self._device)
        for row, generator in zip(noise, self._generators, strict=True):
            row.normal_(generator=generator)
        return noise

    @cached_property
    def _generators(self) -> list[torch.Generator]:
        seeds = (np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1 for key in self._keys)
        return [torch.Generator(self._device).manual_seed(int(seed)) for seed in seeds]

    def shared_integer(self, high: int) -> int:
        """One number in [0, high), the same for all clips of the step."""
        return int(self._shared.integers(high))
