"""The settings that every stage's training has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TrainConfig:
    """Length, batch, optimiser and bookkeeping of a training run.

    Attributes:
        steps: optimiser steps. batch_size: clips a step, over all processes and micro-batches.
        learning_rate: peak; reached after `warmup` steps, then a cosine down to a twentieth.
        optimizer: "adamw", or "muon": the matrices of the transformer's blocks by orthogonalised momentum, the rest by
            AdamW, at one learning rate (torch.optim.Muon, "match_rms_adamw").
        gradient_accumulation: micro-batches a step. gradient_checkpointing: recompute activations in the backward pass.
        ema_decay: of the averaged weights that are validated and shipped; 0 keeps no average (FSDP needs that).
        precision: "bf16" trains in mixed precision (needs avx512_bf16 or a GPU to be fast), "no" in fp32.
        save_every, validate_every, sheet_every: steps; 0 makes no sample sheets.
        max_nonfinite: the run stops after more losses or gradients than this were not finite; the batch of each is kept
            in ``nonfinite/``.
        tracker: one of Accelerate's ("tensorboard", "wandb", "mlflow", ...), or "none".
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup: int = 200
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    optimizer: Literal["adamw", "muon"] = "adamw"
    gradient_accumulation: int = 1
    gradient_checkpointing: bool = False
    ema_decay: float = 0.999
    precision: str = "bf16"
    seed: int = 0
    save_every: int = 500
    validate_every: int = 500
    sheet_every: int = 0
    max_nonfinite: int = 20
    tracker: str = "tensorboard"
