"""One training loop for every stage: Accelerate, AdamW with warm-up and cosine, EMA, exact resume.

A stage brings its model, its batches and its loss; the loop brings the rest. Every step draws its clips and its noise
from (seed, step) alone, so a run that was stopped and resumed sees exactly what an unbroken run would have seen.

    step      0 ─────── warm-up ─────── 1 ───────── cosine to 5 % ───────── steps
    weights   model (trained) → EMA (validated, shipped)
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from egotwin_model.errors import ModelError
from egotwin_model.files import write_json
from egotwin_model.store import WEIGHTS, load_tensors, load_weights, save_tensors

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainConfig:
    """What every stage shares.

    Attributes:
        steps: optimiser steps. batch_size: clips a step, over all processes.
        learning_rate: peak; reached after `warmup` steps, then a cosine down to a twentieth.
        ema_decay: of the averaged weights that are validated and shipped.
        precision: "bf16" trains in mixed precision (needs avx512_bf16 or a GPU to be fast), "no" in fp32.
        save_every, validate_every: steps. max_nonfinite: this many non-finite losses in all stop the run.
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup: int = 200
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    ema_decay: float = 0.999
    precision: str = "bf16"
    seed: int = 0
    save_every: int = 500
    validate_every: int = 500
    max_nonfinite: int = 20


class Stage(Protocol):
    """A stage of the pipeline: what is trained, on what, with which loss."""

    name: str
    model: nn.Module

    def __len__(self) -> int:
        """Number of training clips."""
        ...

    def batch(self, indices: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """The clips `indices` as model input."""
        ...

    def loss(self, model: nn.Module, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Loss terms; "loss" is what is minimised."""
        ...

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Metrics of the averaged weights on the validation split."""
        ...

    def resolved(self) -> dict[str, Any]:
        """Configuration saved as the weights' ``config.json``."""
        ...


def train(stage: Stage, config: TrainConfig, folder: Path) -> Path:
    """Train `stage`, or go on where `folder`'s checkpoint stopped.

    Args:
        folder: receives ``config.json``, the averaged weights, ``metrics.jsonl`` and ``checkpoint/``.

    Returns:
        `folder`.

    Raises:
        ModelError: the folder's checkpoint is of another stage or configuration, or too many losses were not finite.
    """
    parallel = DistributedDataParallelKwargs(find_unused_parameters=True)  # stage 2 leaves the video's side unused
    accelerator = Accelerator(
        mixed_precision=config.precision, step_scheduler_with_optimizer=False, kwargs_handlers=[parallel]
    )
    model, optimizer = accelerator.prepare(stage.model, _optimizer(stage.model, config))
    ema = AveragedModel(accelerator.unwrap_model(model), multi_avg_fn=_averaging(config.ema_decay), use_buffers=False)
    ema.requires_grad_(False)
    state = _Progress(folder, stage, config)
    if accelerator.is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "config.json", stage.resolved())
    start = state.load(accelerator.unwrap_model(model), ema, optimizer)
    nonfinite = 0
    hidden = not accelerator.is_main_process
    with (
        _stop_on_signal() as stop,
        tqdm(total=config.steps, initial=start, desc=stage.name, mininterval=2, disable=hidden) as bar,
    ):
        for step in range(start, config.steps):
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * learning_rate_factor(step, config)
            terms = _step(stage, model, optimizer, accelerator, config, step)
            if terms is None:
                nonfinite += 1
                log.warning("step %d: loss not finite, batch skipped (%d so far)", step, nonfinite)
                if nonfinite > config.max_nonfinite:
                    raise ModelError(f"{stage.name}: {nonfinite} losses were not finite; lower the learning rate")
            else:
                ema.update_parameters(accelerator.unwrap_model(model))
                if step % 10 == 0:
                    bar.set_postfix({name: f"{float(value):.4f}" for name, value in terms.items()}, refresh=False)
            bar.update()
            done = step + 1
            last = done == config.steps or stop.is_set
            if accelerator.is_main_process and (last or done % config.validate_every == 0):
                state.record(done, terms or {}, _validated(stage, ema.module, accelerator))
            if accelerator.is_main_process and (last or done % config.save_every == 0):
                state.save(done, accelerator.unwrap_model(model), ema, optimizer)
            if stop.is_set:
                log.warning("stopped at step %d; the same command goes on from there", done)
                break
    return folder


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Share of the peak learning rate at `step`."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * progress))


def draw_indices(step: int, batch_size: int, size: int, seed: int) -> Tensor:
    """The clips of one step: a seeded permutation per epoch, without replacement, (batch_size,)."""
    positions = torch.arange(step * batch_size, (step + 1) * batch_size)
    epochs, places = positions // size, positions % size
    indices = torch.empty_like(positions)
    for epoch in epochs.unique().tolist():
        order = torch.randperm(size, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
        indices[epochs == epoch] = order[places[epochs == epoch]]
    return indices


Tensors = list[Tensor] | tuple[Tensor, ...]


def _averaging(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """Exponential average whose memory grows with the steps taken, so that the random start is soon forgotten."""

    def update(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        memory = min(decay, (1 + float(count)) / (10 + float(count)))
        torch._foreach_lerp_(averaged, current, 1 - memory)

    return update


def _optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.99), fused=True)


def _step(
    stage: Stage, model: nn.Module, optimizer: Any, accelerator: Accelerator, config: TrainConfig, step: int
) -> dict[str, Tensor] | None:
    """One optimiser step; None where the loss was not finite and the weights were left alone."""
    share = config.batch_size // accelerator.num_processes
    indices = draw_indices(step, config.batch_size, len(stage), config.seed)
    indices = indices[accelerator.process_index * share : (accelerator.process_index + 1) * share]
    seed = (config.seed * 1_000_003 + step) * accelerator.num_processes + accelerator.process_index
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    batch = stage.batch(indices, generator)
    with accelerator.autocast():
        terms = stage.loss(model, {k: v.to(accelerator.device) for k, v in batch.items()}, generator)
    if not torch.isfinite(terms["loss"]):
        return None
    accelerator.backward(terms["loss"])
    accelerator.clip_grad_norm_(model.parameters(), config.gradient_clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {name: value.detach() for name, value in terms.items()}


def _validated(stage: Stage, model: nn.Module, accelerator: Accelerator) -> dict[str, float]:
    training = model.training
    model.eval()
    with torch.no_grad(), accelerator.autocast():
        metrics = stage.validate(model)
    model.train(training)
    return metrics


class _Progress:
    """A run's files: metrics so far, and the checkpoint that a stopped run goes on from."""

    def __init__(self, folder: Path, stage: Stage, config: TrainConfig) -> None:
        self.folder, self.stage, self.config = folder, stage, config
        identity = {"stage": stage.name, "model": stage.resolved(), "seed": config.seed}
        self.identity = json.dumps(identity, sort_keys=True)

    def record(self, step: int, terms: dict[str, Tensor], metrics: dict[str, float]) -> None:
        line = {"step": step, **{k: float(v) for k, v in terms.items()}, **metrics}
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        tqdm.write(f"{self.stage.name}: " + ", ".join(f"{name} {value:.4g}" for name, value in line.items()))

    def save(self, step: int, model: nn.Module, ema: AveragedModel, optimizer: Any) -> None:
        target, fresh = self.folder / "checkpoint", self.folder / ".checkpoint-new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        save_tensors(fresh / "model.safetensors", model.state_dict())
        save_tensors(fresh / "ema.safetensors", ema.module.state_dict())
        state = optimizer.state_dict()["state"]
        moments = {f"{index}.{key}": value for index, values in state.items() for key, value in values.items()}
        save_tensors(fresh / "optimizer.safetensors", moments)
        write_json(fresh / "state.json", {"step": step, "averaged": int(ema.n_averaged), "identity": self.identity})
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
        save_tensors(self.folder / WEIGHTS, ema.module.state_dict())

    def load(self, model: nn.Module, ema: AveragedModel, optimizer: Any) -> int:
        """Restore the checkpoint if there is one; returns the step to go on with."""
        source = self.folder / "checkpoint"
        if not source.is_dir():
            return 0
        state = json.loads((source / "state.json").read_text(encoding="utf-8"))
        if state["identity"] != self.identity:
            raise ModelError(
                f"{source} was written by another stage, configuration or seed; give another output folder, or repeat "
                f"the configuration in {self.folder / 'recipe.json'}"
            )
        load_weights(model, source / "model.safetensors")
        load_weights(ema.module, source / "ema.safetensors")
        ema.n_averaged.fill_(state["averaged"])
        packed = optimizer.state_dict()
        packed["state"] = {}
        for name, value in load_tensors(source / "optimizer.safetensors").items():
            index, key = name.split(".", 1)
            packed["state"].setdefault(int(index), {})[key] = value
        optimizer.load_state_dict(packed)
        return int(state["step"])


class _Flag:
    is_set = False


@contextlib.contextmanager
def _stop_on_signal() -> Iterator[_Flag]:
    """SIGTERM and SIGINT ask the loop to save and stop after the current step."""
    flag = _Flag()

    def handler(signum: int, frame: Any) -> None:
        flag.is_set = True

    previous = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield flag
    finally:
        for number, old in previous.items():
            signal.signal(number, old)
