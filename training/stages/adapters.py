"""Weights that a diffusion stage starts from, which of them it trains, and low-rank adapters (LoRA) for the others."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from egotwin_model.egotwin.pretrained import load_cogvideox
from egotwin_model.egotwin.transformer import EgoTwinTransformer
from egotwin_model.io.store import WEIGHTS, load_weights

SHARED = r"transformer_blocks\.\d+\.(attn1\.to_(q|k|v|out\.0)|ff\.net\.(0\.proj|2))"  # text and video's matrices


def load_start(model: EgoTwinTransformer, source: Path) -> None:
    """Loads the weights of a stage, or of a CogVideoX pipeline folder into the text and video branch."""
    if (source / "transformer").is_dir() and (source / "vae").is_dir():
        load_cogvideox(model, source, strict=True)
    else:
        load_weights(model, source / WEIGHTS)


def freeze_text(model: EgoTwinTransformer) -> None:
    """Freezes the text and video branch; parameters that CogVideoX does not have are still trained."""
    own = set(model.new_parameter_names())
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in own)


def add_adapters(model: EgoTwinTransformer, rank: int) -> None:
    """Adds LoRA layers of `rank` to the matrices of the text and video branch, in place; they start without effect."""
    from peft import LoraConfig, inject_adapter_in_model  # slow to import, and only this needs it

    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=SHARED), model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained or "lora_" in name)


def merged(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights under the model's own names, W + B·A where there is an adapter (its alpha is its rank: scale one).

    It works on the state dict, not by peft on the model, so that weights gathered from an FSDP run are merged alike.
    """
    own = {}
    for name, value in weights.items():
        if ".lora_" in name:
            continue
        layer, adapted, rest = name.partition(".base_layer.")
        if adapted and rest == "weight":
            down, up = (weights[f"{layer}.lora_{side}.default.weight"] for side in "AB")
            value = value + up @ down
        own[f"{layer}.{rest}" if adapted else name] = value
    return own
