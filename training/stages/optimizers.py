"""Optimisers (AdamW, Muon), the learning rate over the steps, and the average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from training.stages.train_config import TrainConfig

Tensors = list[Tensor] | tuple[Tensor, ...]


def averaging(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """Exponential average with a decay that grows over the first steps: it soon forgets the random initialisation."""

    def update(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        memory = min(decay, (1 + float(count)) / (10 + float(count)))
        torch._foreach_lerp_(averaged, current, 1 - memory)

    return update


def make_optimizers(model: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """AdamW over the parameters of `model` that require gradients, and Muon where the configuration asks for it."""
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
    """Whether a parameter is a projection inside a block (attention, MLP, convolution as a matrix), for Muon.

    AdamW trains embeddings, AdaLN and output heads.
    """
    return parameter.ndim == 2 and any(part in name for part in ("_blocks.", "stages.")) and ".norm" not in name


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Share of the peak learning rate at `step`."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * progress))
