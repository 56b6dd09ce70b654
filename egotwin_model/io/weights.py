"""Weights on disk read one tensor at a time: one safetensors file, a sharded folder as the hub keeps it, or a dict.

Names and shapes come from the files' headers, so everything is compared before a number is read, and what a network
needs beyond its own memory is some hundred MB of the files' pages, mapped and given back again and again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from egotwin_model.errors import ModelError
from egotwin_model.io.files import read_json

WEIGHTS = "diffusion_pytorch_model.safetensors"  # diffusers' name, so either library reads the other's folders
INDEX_SUFFIX = ".safetensors.index.json"
FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
NUMBERS_AT_ONCE = 2**27  # read through one mapping of a file: 256 MB in bfloat16, whatever the file's size
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")

Module = TypeVar("Module", bound=nn.Module)
Adapt = Mapping[str, Callable[[Tensor], Tensor]]


class Weights:
    """Named tensors whose shapes are known and whose numbers are read when asked for.

    Args:
        source: a safetensors file, an ``….safetensors.index.json`` or the folder that holds either, or a state dict.

    Attributes:
        where: the source, for messages.
        shapes: name to shape, in the order of the files.

    Raises:
        ModelError: nothing there, a missing or incomplete shard, a truncated file, a pickle.
    """

    def __init__(self, source: str | Path | Mapping[str, Tensor]) -> None:
        self.shapes: dict[str, torch.Size] = {}
        self._tensors: Mapping[str, Tensor] = {}
        self._files: dict[str, Path] = {}
        if isinstance(source, Mapping):
            self.where, self._tensors = "the state dict", source
            self.shapes = {name: tensor.shape for name, tensor in source.items()}
            return
        self.where = str(source)
        for path, promised in _shards(Path(source)).items():
            with _opened(path) as file:
                found = {name: torch.Size(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            if promised is not None and promised != found.keys():
                raise ModelError(
                    f"{path} differs from its index: it lacks {sorted(promised - found.keys())[:5]} and holds "
                    f"{sorted(found.keys() - promised)[:5]} that the index does not list; copy all shards again"
                )
            self.shapes |= found
            self._files |= dict.fromkeys(found, path)

    def stream(self, names: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        """The named tensors, file by file; each is only valid until the next is asked for."""
        for name in names & self._tensors.keys():
            yield name, self._tensors[name]
        for path in dict.fromkeys(self._files.values()):
            inside = [name for name, place in self._files.items() if place == path and name in names]
            for batch in self._batches(inside):
                with _opened(path) as file:
                    for name in batch:
                        yield name, file.get_tensor(name)

    def _batches(self, names: list[str]) -> Iterator[list[str]]:
        """Names to read before the file is opened anew, which gives its pages back."""
        batch: list[str] = []
        size = 0
        for name in names:
            batch.append(name)
            size += self.shapes[name].numel()
            if size >= NUMBERS_AT_ONCE:
                yield batch
                batch, size = [], 0
        yield batch


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
        if name not in adapt and weights.shapes[name] != targets[name].shape:
            raise ModelError(
                f"{weights.where}: tensor {name} has shape {tuple(weights.shapes[name])}, "
                f"wanted {tuple(targets[name].shape)}"
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
    """`build()` with its parameters on the meta device, and its buffers real: a network to be filled with weights.

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
    # A second building registers the same parameters in the same order, so each one's name is known as it comes.
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


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except FileNotFoundError:
        raise ModelError(f"{path} is missing; copy the whole model folder again") from None
    except SafetensorError as error:
        raise ModelError(f"{path} is not a whole safetensors file ({error}); copy it again") from error


def _shards(path: Path) -> dict[Path, set[str] | None]:
    """The files of a source, each with the names its index promises (None: there is no index)."""
    if path.is_dir():
        path = _in_folder(path)
    if path.suffix in PICKLES:
        raise ModelError(
            f"{path} is a pickle, which runs code when it is read; wanted safetensors. Download that version, or "
            "save it anew with safetensors.torch.save_file"
        )
    if not path.name.endswith(INDEX_SUFFIX):
        return {path: None}
    index = read_json(path)
    places = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(places, dict) or not places:
        raise ModelError(f"{path} has no weight_map from tensor names to files; copy it again")
    shards: dict[Path, set[str] | None] = {}
    for shard in sorted(set(places.values())):
        if Path(shard).name != shard:
            raise ModelError(f"{path} names a file outside its folder: {shard}")
        if not (path.parent / shard).is_file():
            raise ModelError(f"shard {path.parent / shard} is missing, which {path.name} lists; copy all shards again")
        shards[path.parent / shard] = {name for name, place in places.items() if place == shard}
    return shards


def _in_folder(folder: Path) -> Path:
    """The index or the one weights file of a folder."""
    for exact in (folder / (WEIGHTS.removesuffix(".safetensors") + INDEX_SUFFIX), folder / WEIGHTS):
        if exact.is_file():
            return exact
    for pattern in ("*" + INDEX_SUFFIX, "*.safetensors"):
        found = sorted(folder.glob(pattern))
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(file.name for file in found[:5])
            raise ModelError(f"{folder} holds several weights ({names}) and no index; give the path of one file")
    pickles = sorted(file for file in folder.iterdir() if file.suffix in PICKLES)
    return pickles[0] if pickles else folder / WEIGHTS
