"""Model folders on disk: checksummed manifest, JSON configurations, safetensors weights. Nothing is ever unpickled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from safetensors import SafetensorError

from egotwin_model.errors import ModelError
from egotwin_model.io.files import read_json, sha256, write_atomically, write_json
from egotwin_model.io.weights import WEIGHTS as WEIGHTS
from egotwin_model.io.weights import Weights

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

CONFIG = "config.json"
MANIFEST = "manifest.json"

Module = TypeVar("Module", bound="nn.Module")


def save_tensors(path: Path, tensors: Mapping[str, Any], metadata: dict[str, str] | None = None) -> None:
    """Tensors, or NumPy arrays, to a safetensors file, atomically."""
    import torch
    from safetensors.torch import save_file

    contiguous = {name: torch.as_tensor(tensor).detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, lambda temporary: save_file(contiguous, temporary, metadata=metadata))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file; `ModelError` naming the file where it is missing or truncated."""
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except FileNotFoundError:
        raise ModelError(f"{path} is missing; copy the whole model folder again") from None
    except SafetensorError as error:
        raise ModelError(f"{path} is not a whole safetensors file ({error}); copy it again") from error


def load_weights(module: Module, path: Path) -> Module:
    """Load `path` into `module` in its dtype; refuses unknown or missing names, other shapes, and non-finite values.

    Args:
        path: a safetensors file, or a folder with one or with shards and their index. Read tensor by tensor.
    """
    from egotwin_model.io.modules import fill

    weights, wanted = Weights(path), module.state_dict().keys()
    unknown, missing = sorted(weights.shapes.keys() - wanted), sorted(wanted - weights.shapes.keys())
    if unknown or missing:
        raise ModelError(f"{path} does not fit its configuration: unknown tensors {unknown[:5]}, missing {missing[:5]}")
    fill(module, weights, wanted)
    return module


def save_component(folder: Path, module: nn.Module, dtype: torch.dtype | None = None) -> None:
    """A network's weights in `dtype` (default float32), and its class and `config` dataclass as ``config.json``."""
    import torch

    config: Any = module.config
    weights = {name: tensor.to(dtype or torch.float32) for name, tensor in module.state_dict().items()}
    save_tensors(folder / WEIGHTS, weights)
    write_json(folder / CONFIG, {"_class_name": type(module).__name__, **asdict(config)})


def component_config(folder: Path) -> dict[str, Any]:
    """A component's ``config.json`` without its class name."""
    values = read_json(folder / CONFIG)
    if not isinstance(values, dict):
        raise ModelError(f"{folder / CONFIG} holds a {type(values).__name__}; wanted an object of settings")
    return {key: value for key, value in values.items() if key != "_class_name"}


def load_component(
    folder: Path, model: Callable[[Any], Module], config: Callable[..., Any], dtype: torch.dtype | None = None
) -> Module:
    """What `save_component` wrote: `model(config(**settings))` on the CPU, in eval mode.

    Its weights are in `dtype`, by default float32.

    The network never exists with other weights than the stored ones, so loading needs its memory once.
    """
    import torch

    from egotwin_model.io.modules import without_memory

    settings = component_config(folder)
    try:
        module = without_memory(lambda: model(config(**settings)))
    except TypeError as error:
        raise ModelError(f"{folder / CONFIG} does not describe a {model}: {error}") from error
    return load_weights(module.to(dtype or torch.float32), folder).eval()


def write_manifest(folder: Path, details: dict[str, Any]) -> None:
    """Checksums of every file below `folder`, beside `details` (training configuration, data seed, metrics)."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    sums = {path.relative_to(folder).as_posix(): sha256(path) for path in files}
    write_json(folder / MANIFEST, {**details, "files": sums})


def verify(folder: Path, only: Iterable[str] | None = None) -> dict[str, Any]:
    """The manifest, after every listed file's checksum was compared.

    Args:
        folder: model folder.
        only: name prefixes to check ("transformer/"); default all files.

    Raises:
        ModelError: no such folder, no manifest, a file missing or altered.
    """
    if not folder.is_dir():
        raise ModelError(f"model folder {folder} does not exist; give the path of a folder with {MANIFEST}")
    manifest = read_json(folder / MANIFEST)
    prefixes = None if only is None else tuple(only)
    for name, wanted in manifest.get("files", {}).items():
        if prefixes is not None and not name.startswith(prefixes):
            continue
        path = folder / name
        if not path.is_file():
            raise ModelError(f"model file {path} is missing; copy the whole model folder again")
        found = sha256(path)
        if found != wanted:
            raise ModelError(f"model file {path} was altered: SHA-256 {found[:12]}…, manifest says {wanted[:12]}…")
    return dict(manifest)
