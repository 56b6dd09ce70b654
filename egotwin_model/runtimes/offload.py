"""Where a pipeline's networks live: all of them on the compute device, or with offload only the one in use."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


def torch_dtype(name: str) -> torch.dtype:
    """torch's dtype of a name in `base.DTYPES`."""
    return getattr(torch, name)


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
        """`module`, on the device; with offload the network that was there is moved away."""
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
