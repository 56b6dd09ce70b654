"""BERT-like text encoders (MiniLM) on torch's own transformer layers, loaded from Hugging Face's files.

The same numbers as transformers' ``BertModel`` without importing it, which takes longer than all else at start-up.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from egotwin_model.errors import ModelError
from egotwin_model.files import read_json
from egotwin_model.weights import Weights, fill, without_memory

EMBEDDINGS = {"word_embeddings": "word", "position_embeddings": "position", "token_type_embeddings": "kind"}
LAYER = {
    "attention.output.dense": "self_attn.out_proj", "attention.output.LayerNorm": "norm1",
    "intermediate.dense": "linear1", "output.dense": "linear2", "output.LayerNorm": "norm2",
}  # fmt: skip
SUPPORTED = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}


class BertEncoder(nn.Module):
    """Post-norm transformer encoder over word, position and segment embeddings.

    Args:
        settings: BERT's ``config.json``.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        width, eps = settings["hidden_size"], settings["layer_norm_eps"]
        self.word = nn.Embedding(settings["vocab_size"], width)
        self.position = nn.Embedding(settings["max_position_embeddings"], width)
        self.kind = nn.Embedding(settings["type_vocab_size"], width)
        self.norm = nn.LayerNorm(width, eps)
        layer = nn.TransformerEncoderLayer(
            width, settings["num_attention_heads"], settings["intermediate_size"], 0.0, "gelu", eps, batch_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, settings["num_hidden_layers"], enable_nested_tensor=False)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids and 0/1 mask, (B, L) each, to last hidden states (B, L, width)."""
        embedded = self.word(ids) + self.position.weight[: ids.shape[1]] + self.kind.weight[0]
        return self.blocks(self.norm(embedded), src_key_padding_mask=mask == 0)


def supports(settings: Mapping[str, Any]) -> bool:
    """Whether a ``config.json`` describes what `BertEncoder` computes."""
    return all(settings.get(name, wanted) == wanted for name, wanted in SUPPORTED.items())


def load_bert(folder: Path, dtype: torch.dtype = torch.float32) -> BertEncoder:
    """The encoder of a Hugging Face folder, on the CPU, in eval mode, frozen.

    Raises:
        ModelError: a tensor missing, of another shape, or with NaN; the message names it.
    """
    settings, stored = read_json(folder / "config.json"), Weights(folder)
    model = without_memory(lambda: BertEncoder(settings)).to(dtype)
    wanted = _stored_names(settings["num_hidden_layers"])
    needed = {name for names in wanted.values() for name in names}
    if missing := sorted(needed - stored.shapes.keys()):
        raise ModelError(f"{stored.where} lacks tensors {missing[:5]} of a BERT encoder")
    tensors = {name: tensor.clone() for name, tensor in stored.stream(needed)}
    renamed = Weights({name: torch.cat([tensors[part] for part in parts]) for name, parts in wanted.items()})
    renamed.where = stored.where
    fill(model, renamed, wanted.keys())
    return model.eval().requires_grad_(False)


def _stored_names(num_layers: int) -> dict[str, list[str]]:
    """Parameter of `BertEncoder` to the stored tensors it is made of, to be joined."""
    names = {f"{ours}.weight": [f"embeddings.{theirs}.weight"] for theirs, ours in EMBEDDINGS.items()}
    for part in ("weight", "bias"):
        names[f"norm.{part}"] = [f"embeddings.LayerNorm.{part}"]
        for layer in range(num_layers):
            theirs, ours = f"encoder.layer.{layer}", f"blocks.layers.{layer}"
            names[f"{ours}.self_attn.in_proj_{part}"] = [
                f"{theirs}.attention.self.{role}.{part}" for role in ("query", "key", "value")
            ]
            names |= {f"{ours}.{new}.{part}": [f"{theirs}.{old}.{part}"] for old, new in LAYER.items()}
    return names
