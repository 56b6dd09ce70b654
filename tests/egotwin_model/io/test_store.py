"""Model folders: what is written is whole or absent, and what was altered is refused by name."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from egotwin_model.errors import ModelError
from egotwin_model.io.files import read_json, write_atomically, write_json
from egotwin_model.io.store import (
    load_tensors,
    load_weights,
    save_tensors,
    verify,
    write_manifest,
)
from egotwin_model.io.weights import read_arrays


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_tensors(tmp_path / "part" / "a.safetensors", {"x": torch.arange(3.0)})
    write_manifest(tmp_path, {"name": "small"})
    return tmp_path


def test_a_whole_folder_is_verified(folder: Path) -> None:
    manifest = verify(folder)
    assert manifest["name"] == "small"
    assert list(manifest["files"]) == ["part/a.safetensors"]


def test_an_altered_a_missing_and_an_absent_file_are_named(folder: Path) -> None:
    path = folder / "part" / "a.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ModelError, match=r"a\.safetensors was altered"):
        verify(folder)
    path.unlink()
    with pytest.raises(ModelError, match=r"a\.safetensors is missing"):
        verify(folder)
    with pytest.raises(ModelError, match="does not exist"):
        verify(folder / "nowhere")
    (folder / "manifest.json").write_text("{")
    with pytest.raises(ModelError, match="not valid JSON"):
        verify(folder)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    write_json(path, [1])

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert read_json(path) == [1]
    assert list(tmp_path.iterdir()) == [path]


def test_a_truncated_weights_file_is_refused(folder: Path) -> None:
    path = folder / "part" / "a.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        load_tensors(path)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"weight": torch.zeros(2, 3)}, r"missing \['bias'\]"),
        (
            {"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "extra": torch.zeros(1)},
            r"unknown tensors \['extra'\]",
        ),
        ({"weight": torch.zeros(3, 2), "bias": torch.zeros(2)}, r"weight has shape \(3, 2\), wanted \(2, 3\)"),
        ({"weight": torch.full((2, 3), torch.nan), "bias": torch.zeros(2)}, "weight holds NaN"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(
    tmp_path: Path, tensors: dict[str, torch.Tensor], message: str
) -> None:
    save_tensors(tmp_path / "w.safetensors", tensors)
    with pytest.raises(ModelError, match=message):
        load_weights(nn.Linear(3, 2), tmp_path / "w.safetensors")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64])
def test_arrays_are_the_tensors_of_a_file(tmp_path: Path, dtype: torch.dtype) -> None:
    """bfloat16 comes as float32, exactly; an odd shape before it must not shift it."""
    g = torch.Generator().manual_seed(0)
    tensors = {"a": torch.randn(3, generator=g), "b": (100 * torch.randn(5, 7, generator=g)).to(dtype)}
    save_tensors(tmp_path / "x.safetensors", tensors | {"scalar": torch.tensor(2.0).to(dtype)})
    found = read_arrays(tmp_path / "x.safetensors")
    for name, wanted in load_tensors(tmp_path / "x.safetensors").items():
        wide = wanted.float() if wanted.dtype == torch.bfloat16 else wanted
        assert found[name].shape == tuple(wide.shape)
        assert np.array_equal(found[name], wide.numpy())
        assert found[name].dtype == wide.numpy().dtype


def test_arrays_of_a_damaged_or_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"x\.safetensors is missing"):
        read_arrays(tmp_path / "x.safetensors")
    save_tensors(tmp_path / "x.safetensors", {"a": torch.ones(100)})
    (tmp_path / "x.safetensors").write_bytes((tmp_path / "x.safetensors").read_bytes()[:-8])
    with pytest.raises(ModelError, match=r"x\.safetensors is not a whole safetensors file"):
        read_arrays(tmp_path / "x.safetensors")
