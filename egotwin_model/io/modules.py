"""torch modules filled with weights from disk, checked while they are read, without memory for initial values."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from egotwin_model.errors import ModelError
from egotwin_model.io.weights import Weights

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)

Module = TypeVar("Module", bound=nn.Module)
Adapt = Mapping[str, Callable[[Tensor], Tensor]]


def fill(module: nn.Module, weights: Weights, names: Collection[str], adapt: Adapt | None = None) -> None:
    """Copy the named tensors into `module`, in its own dtypes; what is on the meta device gets memory on the CPU.

    All shapes are compared before anything is read; values are checked while they stream past.

    Args:
        names: parameters and persistent buffers of `module`; all must be in `weights`.
        adapt: for single names, what to take of the stored tensor. Their shapes are its business.

    Raises:
        ModelError: another shape, a quantised tensor, a NaN or infinite value; the message names the tensor.
    """
    targets, adapt = module.state_dict(keep_vars=True), adapt or {}
    for name in names:
        if name not in adapt and weights.shapes[name] != tuple(targets[name].shape):
            raise ModelError(
                f"{weights.where}: tensor {name} has shape {weights.shapes[name]}, wanted {tuple(targets[name].shape)}"
            )
    for name, stored in weights.stream(names):
        tensor = adapt[name](stored) if name in adapt else stored
        check_values(weights.where, name, tensor, targets[name])
        _place(module, name, tensor)


def check_values(where: str, name: str, tensor: Tensor, target: Tensor) -> None:
    """`ModelError` for NaN or infinite values, or for integers or 8-bit floats where `target` is floating point."""
    if (tensor.dtype in FLOATS) != target.is_floating_point():
        raise ModelError(
            f"{where}: tensor {name} holds {tensor.dtype}, wanted {target.dtype}; quantised weights cannot be read, "
            "use the bfloat16, float16 or float32 ones"
        )
    if tensor.dtype not in FLOATS or not tensor.numel():
        return
    if not all(math.isfinite(extreme) for extreme in torch.aminmax(tensor)):  # NaN is both; needs no memory
        raise ModelError(f"{where}: tensor {name} holds NaN or infinite values; copy or export it again")


def without_memory(build: Callable[[], Module], real: Callable[[Module], Collection[str]] | None = None) -> Module:
    """`build()` with its parameters on the meta device and real buffers: a network to fill with weights.

    Args:
        real: given the network on the meta device, names those parameters that are wanted in memory, with the initial
            values that `build` gives them.
    """
    registered: list[nn.Parameter] = []

    def to_meta(_: nn.Module, __: str, parameter: nn.Parameter | None) -> nn.Parameter | None:
        if parameter is None:
            return None
        registered.append(nn.Parameter(parameter.to("meta"), parameter.requires_grad))
        return registered[-1]

    with _registering(to_meta):
        module = build()
    if real is None:
        return module
    # Building again registers the same parameters in the same order, so the name of each is known.
    wanted, named = real(module), {id(parameter): name for name, parameter in module.named_parameters()}
    kept = iter([named.get(id(parameter)) in wanted for parameter in registered])

    def keep_wanted(_: nn.Module, __: str, parameter: nn.Parameter | None) -> nn.Parameter | None:
        if parameter is None or next(kept):
            return parameter
        return nn.Parameter(parameter.to("meta"), parameter.requires_grad)

    with _registering(keep_wanted):
        return build()


def _place(module: nn.Module, name: str, tensor: Tensor) -> None:
    prefix, _, leaf = name.rpartition(".")
    owner = module.get_submodule(prefix)
    target = getattr(owner, leaf)
    with torch.no_grad():
        if not target.is_meta:
            target.copy_(tensor)
            return
        value = torch.empty_like(target, device="cpu").copy_(tensor)  # keeps dtype and memory format
    setattr(owner, leaf, nn.Parameter(value, target.requires_grad) if isinstance(target, nn.Parameter) else value)


@contextmanager
def _registering(hook: Callable[..., nn.Parameter | None]) -> Iterator[None]:
    handle = register_module_parameter_registration_hook(hook)  # type: ignore[arg-type]
    try:
        yield
    finally:
        handle.remove()
