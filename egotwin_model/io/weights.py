"""Weights on disk read one tensor at a time: one safetensors file, a sharded folder as the hub keeps it, or a dict.

Names and shapes come from the files' headers, so everything is compared before a number is read, and a network
needs, beyond its own memory, some hundred MB of mapped pages at a time.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from egotwin_model.errors import ModelError
from egotwin_model.io.files import read_json

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "diffusion_pytorch_model.safetensors"  # diffusers' name, so either library reads the other's folders
INDEX_SUFFIX = ".safetensors.index.json"
NUMBERS_AT_ONCE = 2**27  # read through one mapping of a file: 256 MB in bfloat16, whatever the file's size
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


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
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._tensors: Mapping[str, Tensor] = {}
        self._files: dict[str, Path] = {}
        if isinstance(source, Mapping):
            self.where, self._tensors = "the state dict", source
            self.shapes = {name: tuple(tensor.shape) for name, tensor in source.items()}
            return
        self.where = str(source)
        for path, promised in _shards(Path(source)).items():
            with opened(path) as file:
                found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
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
                with opened(path, "pt") as file:
                    for name in batch:
                        yield name, file.get_tensor(name)

    def _batches(self, names: list[str]) -> Iterator[list[str]]:
        """Names to read before the file is opened again, which gives its pages back."""
        batch: list[str] = []
        size = 0
        for name in names:
            batch.append(name)
            size += math.prod(self.shapes[name])
            if size >= NUMBERS_AT_ONCE:
                yield batch
                batch, size = [], 0
        yield batch


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All tensors of a safetensors file as NumPy arrays; bfloat16, which NumPy lacks, comes as float32.

    Raises:
        ModelError: the file is missing or truncated.
    """
    with opened(path) as file:
        names = list(file.keys())
        halves = [name for name in names if file.get_slice(name).get_dtype() == "BF16"]
        arrays = {name: file.get_tensor(name) for name in names if name not in halves}
    return arrays | _read_bfloat16(path, halves)


def _read_bfloat16(path: Path, names: list[str]) -> dict[str, NDArray[np.float32]]:
    """The named tensors: a bfloat16 is the upper half of a float32. The caller has checked the file."""
    if not names:
        return {}
    data = np.memmap(path, dtype=np.uint8, mode="r")
    start = 8 + int(data[:8].view("<u8")[0])  # the header's length, then the header
    header = json.loads(data[8:start].tobytes())
    arrays = {}
    for name in names:
        first, last = (start + offset for offset in header[name]["data_offsets"])
        upper = data[first:last].view("<u2").astype(np.uint32) << 16
        arrays[name] = upper.view(np.float32).reshape(header[name]["shape"])
    return arrays


@contextmanager
def opened(path: Path, framework: str = "np") -> Iterator[Any]:
    """safetensors' reader of a file; `ModelError` naming it where it is missing or truncated."""
    try:
        with safe_open(path, framework=framework) as file:
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
            "save it again with safetensors.torch.save_file"
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
