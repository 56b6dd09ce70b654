"""What moves the weights: AdamW or Muon, the learning rate over the steps, and the average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from training.stages.trainer import TrainConfig

Tensors = list[Tensor] | tuple[Tensor, ...]


def averaging(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """Exponential average whose memory grows with the steps taken, so that the random start is soon forgotten."""

    def update(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        memory = min(decay, (1 + float(count)) / (10 + float(count)))
        torch._foreach_lerp_(averaged, current, 1 - memory)

    return update


def make_optimizers(model: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """AdamW, and where the configuration says so Muon beside it, over what of `model` is trained."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    muon = {name for name, p in trained.items() if config.optimizer == "muon" and _is_block_matrix(name, p)}
    rest = [p for name, p in trained.items() if name not in muon]
    groups = [
        {"params": [p for p in rest if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.99), fused=True)
    ]
    if muon:
        matrices = [p for name, p in trained.items() if name in muon]
        optimizers.append(
            torch.optim.Muon(
                matrices, lr=config.learning_rate, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw"
            )
        )
    return optimizers


def _is_block_matrix(name: str, parameter: nn.Parameter) -> bool:
    """A projection inside a block (attention, MLP, convolution as a matrix): what Muon is made for.

    Embeddings, AdaLN and the heads stay with AdamW.
    """
    return parameter.ndim == 2 and any(part in name for part in ("_blocks.", "stages.")) and ".norm" not in name


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Share of the peak learning rate at `step`."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * progress))
