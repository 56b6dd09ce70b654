"""Model folders on disk: checksummed manifest, JSON configurations, safetensors weights. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from egotwin_model.errors import ModelError

MANIFEST = "manifest.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, then give it its name; a failure leaves nothing behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """`value` as indented JSON, atomically."""
    write_atomically(path, lambda temporary: _write_text(temporary, json.dumps(value, indent=2, ensure_ascii=False)))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Parsed JSON; `ModelError` naming the file where it is missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path} is missing; copy the whole model folder again") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not valid JSON ({error}); copy the model folder again") from error


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Tensors to a safetensors file, atomically."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, lambda temporary: save_file(contiguous, temporary, metadata=metadata))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file; `ModelError` naming the file where it is missing or truncated."""
    try:
        return load_file(path)
    except FileNotFoundError:
        raise ModelError(f"{path} is missing; copy the whole model folder again") from None
    except SafetensorError as error:
        raise ModelError(f"{path} is not a whole safetensors file ({error}); copy it again") from error


def load_weights(module: nn.Module, path: Path) -> nn.Module:
    """Load `path` into `module` in its dtype; refuses unknown or missing names, other shapes, and non-finite values."""
    tensors = load_tensors(path)
    wanted = module.state_dict()
    unknown, missing = sorted(tensors.keys() - wanted.keys()), sorted(wanted.keys() - tensors.keys())
    if unknown or missing:
        raise ModelError(f"{path} does not fit its configuration: unknown tensors {unknown[:5]}, missing {missing[:5]}")
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            raise ModelError(
                f"{path}: tensor {name} has shape {tuple(tensor.shape)}, wanted {tuple(wanted[name].shape)}"
            )
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ModelError(f"{path}: tensor {name} holds NaN or infinite values")
    module.load_state_dict(tensors)
    return module


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
