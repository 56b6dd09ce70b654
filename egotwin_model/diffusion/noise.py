"""Standard normal noise that a seed gives, the same for sample i whatever the number of samples, runtime or device."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from egotwin_model.errors import GoalError


class SampleNoise:
    """One stream of random numbers for each sample.

    NumPy generates them, on the CPU: sample i's depend on the seed, on i and on `purpose` alone.

    Args:
        seed: from 0 up.
        samples: S.
        purpose: numbers that keep streams of one seed apart, for instance a window's and a modality's.

    Raises:
        GoalError: a negative seed.
    """

    def __init__(self, seed: int, samples: int, *purpose: int) -> None:
        if seed < 0:
            raise GoalError(f"seed is {seed}; wanted a whole number from 0 up, or none for one chosen at random")
        self._streams = [np.random.default_rng([seed, sample, *purpose]) for sample in range(samples)]

    def normal(self, *shape: int) -> NDArray[np.float32]:
        """The next numbers of every stream, float32 (S, *shape)."""
        return np.stack([stream.standard_normal(shape, dtype=np.float32) for stream in self._streams])

    def like(self, latents: Any) -> Any:
        """The next numbers in the shape, kind, dtype and place of `latents` (S, ...)."""
        xp = array_namespace(latents)
        return xp.asarray(self.normal(*latents.shape[1:]), dtype=latents.dtype, device=device(latents))
