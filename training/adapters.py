"""Which weights a diffusion stage starts from, which of them it trains, and low-rank adapters (LoRA) for the others."""

from __future__ import annotations

import copy
import re
from pathlib import Path

from torch import Tensor, nn

from egotwin_model.pretrained import load_cogvideox
from egotwin_model.store import WEIGHTS, load_weights
from egotwin_model.transformer import EgoTwinTransformer

SHARED = r"transformer_blocks\.\d+\.(attn1\.to_(q|k|v|out\.0)|ff\.net\.(0\.proj|2))"  # text and video's matrices


def load_start(model: EgoTwinTransformer, source: Path) -> None:
    """A stage's or a converted model's own weights; from a CogVideoX pipeline folder, the text and video branch."""
    if (source / "model_index.json").is_file() and (source / "vae").is_dir():
        load_cogvideox(model, source, strict=True)
    else:
        load_weights(model, source / WEIGHTS)


def freeze_text(model: EgoTwinTransformer) -> None:
    """Leave the text and video branch as it is; what CogVideoX does not have goes on learning."""
    own = set(model.new_parameter_names())
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in own)


def add_adapters(model: EgoTwinTransformer, rank: int) -> None:
    """Put LoRA layers of `rank` around the matrices of the text and video branch, in place; they start at no effect."""
    from peft import LoraConfig, inject_adapter_in_model  # slow to import, and only this needs it

    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=SHARED), model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained or "lora_" in name)


def merged(model: nn.Module) -> dict[str, Tensor]:
    """The weights of a model with adapters, under its own names, adapters added in; `model` keeps its own."""
    from peft.tuners.lora import LoraLayer

    model = copy.deepcopy(model)
    for name, module in list(model.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge(safe_merge=True)  # type: ignore[attr-defined]
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, module.get_base_layer())
    return {re.sub(r"\.base_layer", "", name): tensor for name, tensor in model.state_dict().items()}
