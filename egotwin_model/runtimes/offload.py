"""Where a pipeline's networks live: all of them on the compute device, or with offload only the one in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from egotwin_model.errors import ModelError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class RuntimeOptions:
    """How the torch runtime computes. The defaults are exact and need nothing but a CPU.

    Attributes:
        device: "cpu", "cuda", "cuda:1", …
        dtype: "float32", "bfloat16" or "float16" for the transformer, the video VAE and the text encoder. The motion
            VAE stays in float32: bfloat16 tells 1.000 m from 1.004 m and nothing between, and it is small.
        offload: only the network in use is on the device, the others wait in the CPU's memory. The paper's model then
            needs the transformer's 12 GB and its activations instead of 22 GB more for T5 and the VAEs.
        tiling: the video VAE of the paper's size works in overlapping tiles: less memory, and a result that differs,
            since each tile is normalised by itself. The mini model's has none.
        text_cache: folder where text states are kept between runs; None keeps them in memory only.
    """

    device: str = "cpu"
    dtype: str = "float32"
    offload: bool = False
    tiling: bool = False
    text_cache: str | None = None

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ModelError(f"dtype {self.dtype!r} is not one of {', '.join(DTYPES)}")
        try:
            device = torch.device(self.device)
        except RuntimeError:
            raise ModelError(
                f"device {self.device!r} is none that torch knows; wanted for instance cpu, cuda"
            ) from None
        if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
            raise ModelError(
                f"device {self.device!r} is not there: torch sees {torch.cuda.device_count()} CUDA devices; use "
                "device='cpu', or install a driver and a torch with CUDA"
            )

    @property
    def torch_dtype(self) -> torch.dtype:
        return DTYPES[self.dtype]

    @property
    def is_default(self) -> bool:
        """Nothing asked for that only the torch runtime can do."""
        return (self.device, self.dtype, self.offload, self.tiling) == ("cpu", "float32", False, False)


class Residence:
    """Brings networks to the device they compute on.

    With offload at most one network is there. Weights do not change while computing, so the CPU keeps its copy: leaving
    the device costs nothing, and coming costs one copy of the weights.

    Attributes:
        present: the networks that are on the device.
    """

    def __init__(self, device: str | torch.device = "cpu", offload: bool = False) -> None:
        self.device, self.offload = torch.device(device), offload
        self.present: list[nn.Module] = []
        self._waiting: list[tuple[nn.Module, str, Tensor]] = []

    def bring(self, module: Module) -> Module:
        """`module`, on the device; with offload the network that was there is away."""
        if any(module is present for present in self.present):
            return module
        if not self.offload:
            module.to(self.device)
        else:
            self.clear()
            self._waiting = [
                (owner, name, tensor)
                for owner in module.modules()
                for name, tensor in [*owner.named_parameters(recurse=False), *owner.named_buffers(recurse=False)]
            ]
            distinct = {id(tensor): tensor for _, _, tensor in self._waiting}  # tied weights stay tied
            arrived = {key: tensor.detach().to(self.device) for key, tensor in distinct.items()}
            for owner, name, tensor in self._waiting:
                _set(owner, name, arrived[id(tensor)])
        self.present.append(module)
        return module

    def clear(self) -> None:
        """With offload: nothing is on the device."""
        if self.offload:
            for owner, name, tensor in self._waiting:
                _set(owner, name, tensor)
            self.present, self._waiting = [], []


def _set(owner: nn.Module, name: str, tensor: Tensor) -> None:
    if isinstance(getattr(owner, name), nn.Parameter) and not isinstance(tensor, nn.Parameter):
        tensor = nn.Parameter(tensor, requires_grad=False)
    setattr(owner, name, tensor)
