"""The interface of a runtime, its options, and its entry in the registry."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from egotwin_model.diffusion.sampler import Denoiser
from egotwin_model.errors import ModelError

DTYPES = ("float32", "bfloat16", "float16")

Array = Any
"""A NumPy array or a torch tensor."""


@dataclass(frozen=True)
class RuntimeOptions:
    """How a runtime computes. The defaults are exact and need nothing but a CPU.

    Attributes:
        device: "cpu", or for the torch runtime "cuda", "cuda:1", …
        dtype: "float32", or for the torch runtime "bfloat16" or "float16", for the transformer, the video VAE and the
            text encoder. The motion VAE stays in float32: it is small, and bfloat16 cannot tell 1.000 m from 1.003 m.
        offload: only the network in use is on the device, the others wait in the CPU's memory. The paper's model then
            needs the transformer's 12 GB and its activations instead of 22 GB more for T5 and the VAEs.
        tiling: the video VAE of the paper's size works in overlapping tiles: less memory, and a result that differs,
            since each tile is normalised by itself. The mini model's has none.
        text_cache: folder where text states that transformers computed are kept between runs; None keeps them in
            memory only.
        threads: CPU threads; None or 0: all cores. torch has one number for the whole process.

    Raises:
        ModelError: an unknown dtype or a negative number of threads.
    """

    device: str = "cpu"
    dtype: str = "float32"
    offload: bool = False
    tiling: bool = False
    text_cache: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ModelError(f"dtype {self.dtype!r} is not one of {', '.join(DTYPES)}")
        if self.threads is not None and self.threads < 0:
            raise ModelError(f"threads is {self.threads}; wanted the number of CPU threads, or 0 for all cores")

    @property
    def cpu_threads(self) -> int:
        """The number of threads: `threads`, or the cores this process may use."""
        if self.threads:
            return self.threads
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


TextNetwork = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]
"""A text encoder's network: token numbers and attention mask (B, L) to last hidden states (B, L, text_dim)."""


class Runtime(Protocol):
    """The networks of a model folder as functions on float32 arrays; shapes beyond the batch are the configuration's.

    NumPy arrays and torch tensors are accepted; a result is of the kind of its input.
    """

    @property
    def name(self) -> str:
        """The registry's name of this runtime."""
        ...

    @property
    def description(self) -> str:
        """Name, version, device, dtype and threads in one line."""
        ...

    def text_network(self, name: str, folder: Path) -> TextNetwork | None:
        """The text encoder `name` with the weights in `folder`; None where this runtime leaves it to transformers."""
        ...

    @property
    def denoise(self) -> Denoiser:
        """One evaluation of the transformer."""
        ...

    def prepare(self) -> None:
        """Load what one imagination needs: the first one then takes no longer than those after it."""
        ...

    def encode_video(self, video: Array) -> Array:
        """(B, 3, F, H, W) in [−1, 1], the first F = 1 + 4k frames of a clip, to latent means (B, C, 1 + k, h, w)."""
        ...

    def decode_video(self, latents: Array, prior: Array | None = None, visibility: Array | None = None) -> Array:
        """(B, C, F', h, w) to (B, 3, F, H, W).

        Args:
            prior, visibility: (B, 3, F, H, W) in [−1, 1] and (B, 1, F, H, W) in [0, 1], what is known of the result,
                for a video VAE with `prior_condition`; None of either: nothing is visible.

        Raises:
            ModelError: a prior for a video VAE that takes none, or of another size.
        """
        ...

    def encode_motion(self, features: Array) -> Array:
        """Standardised features (B, T, D), the first T = 1 + 4k poses of a clip, to latent means (B, C_m, 1 + k)."""
        ...

    def decode_motion(self, latents: Array) -> Array:
        """(B, C_m, T') to standardised features (B, T, D)."""
        ...

    def estimate_depth(self, view: Array, matches: Array) -> Array:
        """The depth network's inputs, (B, 8, H, W) and (B, planes + 1, H/4, W/4), to logs of depth and of its error,
        (B, 2, H, W); see `egotwin_model.depth.network`."""
        ...


Networks = Mapping[str, Callable[[Path, RuntimeOptions], Any]]
"""A model family's torch networks: component name to what loads the component's folder, on the CPU."""


@dataclass(frozen=True)
class RuntimeEntry:
    """One runtime of the registry.

    Attributes:
        name: by which users choose it.
        description: one line for help texts.
        unavailable: (model folder, options) to why this runtime cannot run that, or None where it can.
        load: (model folder, options, the model family's networks) to the loaded runtime.
    """

    name: str
    description: str
    unavailable: Callable[[Path, RuntimeOptions], str | None]
    load: Callable[[Path, RuntimeOptions, Networks], Runtime]


def to_numpy(array: Array) -> NDArray[Any]:
    """`array` as a NumPy array."""
    return array if isinstance(array, np.ndarray) else np.asarray(array.detach().cpu())


def of_kind(result: NDArray[Any], like: Array) -> Array:
    """A NumPy result as the kind of array that `like` is, on its device."""
    if isinstance(like, np.ndarray):
        return result
    import torch

    return torch.from_numpy(result).to(like.device)
