"""One training loop for every stage: Accelerate, AdamW or Muon with warm-up and cosine, EMA, exact resume.

A stage brings its model, its batches and its loss; the loop brings the rest. Every step draws its clips and its noise
from (seed, step, place in the batch) alone: a run that was stopped and resumed sees what an unbroken run would have
seen, and so does one shared by another number of processes or split in micro-batches. For the same reason batches can
be made ready ahead, in a thread, while the ones before are computed on.

    step      0 ─────── warm-up ─────── 1 ───────── cosine to 5 % ───────── steps
    weights   model (trained) → EMA (validated, shipped)
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, DistributedType
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from egotwin_model.errors import ModelError
from egotwin_model.io.files import need_room, write_json
from egotwin_model.io.store import save_tensors
from training.stages.allocation import keep_freed_memory
from training.stages.checkpoints import Checkpoint
from training.stages.optimizers import averaging, learning_rate_factor, make_optimizers
from training.stages.random_streams import Draws
from training.stages.run_folder import METRICS
from training.workers.stopping import StopFlag, Stopped, flag_on_signal

log = logging.getLogger(__name__)
LOG_EVERY = 10


@dataclass(frozen=True)
class TrainConfig:
    """What every stage shares.

    Attributes:
        steps: optimiser steps. batch_size: clips a step, over all processes and micro-batches.
        learning_rate: peak; reached after `warmup` steps, then a cosine down to a twentieth.
        optimizer: "adamw", or "muon": the matrices of the transformer's blocks by orthogonalised momentum, the rest by
            AdamW, at one learning rate (torch.optim.Muon, "match_rms_adamw").
        gradient_accumulation: micro-batches a step. gradient_checkpointing: recompute activations in the backward pass.
        ema_decay: of the averaged weights that are validated and shipped; 0 keeps no average (FSDP needs that).
        precision: "bf16" trains in mixed precision (needs avx512_bf16 or a GPU to be fast), "no" in fp32.
        save_every, validate_every, sheet_every: steps; 0 makes no sample sheets.
        max_nonfinite: more non-finite losses or gradients than this stop the run; each one's batch is kept in
            ``nonfinite/``.
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


class Stage(Protocol):
    """A stage of the pipeline: what is trained, on what, with which loss. Stages derive from it."""

    name: str
    model: nn.Module

    def __len__(self) -> int:
        """Number of training clips."""
        ...

    def batch(self, indices: Tensor, draws: Draws) -> dict[str, Tensor]:
        """The clips `indices` as model input."""
        ...

    def loss(self, model: nn.Module, batch: dict[str, Tensor], draws: Draws) -> dict[str, Tensor]:
        """Loss terms, means over the clips; "loss" is what is minimised. `model` is called, whatever wraps it."""
        ...

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Metrics of the averaged weights on the validation split."""
        ...

    def shipped(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """What other stages and the export read, of the averaged weights or of the trained ones where none are kept."""
        return weights

    def sheet(self, model: nn.Module, path: Path) -> None:
        """A picture of what the averaged weights make of some validation clips; none where there is nothing to see."""
        return

    def resolved(self) -> dict[str, Any]:
        """Configuration saved as the weights' ``config.json``."""
        ...


def train(stage: Stage, config: TrainConfig, folder: Path, notes: Mapping[str, Any] | None = None) -> Path:
    """Train `stage`, or go on where `folder`'s checkpoint stopped.

    Args:
        folder: receives ``config.json``, the averaged weights, ``metrics.jsonl``, ``logs/``, ``sheets/`` and
            ``checkpoint/``.
        notes: JSON files to write there too, by name, once it is clear that the run goes on from what is there.

    Returns:
        `folder`.

    Raises:
        Stopped: SIGTERM or Ctrl-C came; the finished steps are saved.
        ModelError: the folder's checkpoint is of another stage or configuration, the batch cannot be shared out, or too
            many losses were not finite; the disk has no room for a checkpoint.
        OSError: the disk filled during the run. The last checkpoint is whole.
    """
    return Run(stage, config, folder).go(notes or {})


def draw_indices(step: int, batch_size: int, size: int, seed: int) -> Tensor:
    """The clips of one step: a seeded permutation per epoch, without replacement, (batch_size,)."""
    positions = torch.arange(step * batch_size, (step + 1) * batch_size)
    epochs, places = positions // size, positions % size
    indices = torch.empty_like(positions)
    for epoch in epochs.unique().tolist():
        order = torch.randperm(size, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
        indices[epochs == epoch] = order[places[epochs == epoch]]
    return indices


Terms = dict[str, Tensor]
Result = TypeVar("Result")


@dataclass(frozen=True)
class MicroBatch:
    """What one process computes on between two backward passes."""

    draws: Draws
    tensors: dict[str, Tensor]


@dataclass
class Pace:
    """How fast steps were since it was last told; validation and saving aside."""

    clips: int = 0
    seconds: float = 0.0
    waited: float = 0.0

    def told(self) -> dict[str, float]:
        """Clips a second, and the share of the time that was spent waiting for batches; starts again."""
        seconds = max(self.seconds, 1e-9)
        rates = {"clips_per_s": self.clips / seconds, "data_wait": self.waited / seconds}
        self.clips, self.seconds, self.waited = 0, 0.0, 0.0
        return rates


class Run:
    """One call of `train`: the prepared model, its average, its files."""

    def __init__(self, stage: Stage, config: TrainConfig, folder: Path) -> None:
        self.stage, self.config, self.folder = stage, config, folder
        AcceleratorState._reset_state()  # a process may train stages of different precision one after the other
        # stage 2 leaves the video's side unused
        parallel = DistributedDataParallelKwargs(find_unused_parameters=True)
        self.accelerator = Accelerator(
            mixed_precision=config.precision,
            step_scheduler_with_optimizer=False,
            kwargs_handlers=[parallel],
            log_with=None if config.tracker == "none" else config.tracker,
            project_dir=folder,
        )
        shares = self.accelerator.num_processes * config.gradient_accumulation
        if config.batch_size % shares:
            raise ModelError(
                f"batch_size={config.batch_size} cannot be shared evenly by {self.accelerator.num_processes} processes "
                f"with gradient_accumulation={config.gradient_accumulation}; take a multiple of {shares}"
            )
        if self.accelerator.device.type == "cpu":
            keep_freed_memory()
        self.spread = self.accelerator.distributed_type == DistributedType.FSDP
        if self.spread and config.ema_decay:
            raise ModelError(
                f"ema_decay={config.ema_decay} with FSDP: an average of spread parameters is not kept; pass "
                "--train.ema-decay 0, or train without FSDP"
            )
        if config.gradient_checkpointing:
            if not hasattr(stage.model, "enable_gradient_checkpointing"):
                raise ModelError(f"{stage.name} cannot recompute activations; leave out --train.gradient-checkpointing")
            stage.model.enable_gradient_checkpointing()  # type: ignore[operator]
        self.model, *self.optimizers = self.accelerator.prepare(stage.model, *make_optimizers(stage.model, config))
        self.average = self._average()
        self.checkpoint = Checkpoint(folder, self._identity(), is_main=self.accelerator.is_main_process)
        self.nonfinite, self.pace = 0, Pace()

    def go(self, notes: Mapping[str, Any]) -> Path:
        """Trains to the end, or until told to stop."""
        config, main = self.config, self.accelerator.is_main_process
        start, stopped = self._load(), False
        if main:  # what is there is only replaced by what goes on from it
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, note in {"config.json": self.stage.resolved(), **notes}.items():
                write_json(self.folder / name, note)
        if main and start < config.steps:
            need_room(self.folder, self._checkpoint_bytes(), "a checkpoint")
        if start < config.steps and config.tracker != "none":
            self.accelerator.init_trackers("logs", config=asdict(config))
        with (
            flag_on_signal() as stop,
            contextlib.closing(self.batches(start)) as batches,
            tqdm(
                total=config.steps * config.batch_size, initial=start * config.batch_size, desc=self.stage.name,
                unit="clip", mininterval=2, disable=not main,
            ) as bar,
        ):  # fmt: skip
            for step in range(start, config.steps):
                terms, stopped = self.step(step, batches, stop)
                bar.update(config.batch_size)
                if terms is not None and step % LOG_EVERY == 0:
                    values = {name: float(value) for name, value in terms.items()}
                    bar.set_postfix({name: f"{value:.4f}" for name, value in values.items()}, refresh=False)
                    self.accelerator.log(values, step=step)
                self._after(step + 1, terms or {}, last=stopped or step + 1 == config.steps)
                if stopped:
                    break
        self.accelerator.wait_for_everyone()  # nobody tears the group down while others still work through it
        self.accelerator.end_training()
        if stopped:
            raise Stopped(f"{self.folder} was stopped at step {step + 1} of {config.steps}; the same command goes on")
        return self.folder

    def _after(self, done: int, terms: Terms, *, last: bool) -> None:
        """What is due after `done` finished steps: metrics, a sample sheet, a checkpoint."""
        config, averaged = self.config, self.accelerator.unwrap_model(self.model)
        if self.average is not None:
            averaged = self.average.module
        main = self.accelerator.is_main_process
        takes_part = main or self.spread  # each holds a part of spread parameters, and is asked for it
        if takes_part and (last or done % config.validate_every == 0):
            metrics = self._evaluated(averaged, self.stage.validate)
            if main:
                self._record(done, terms, metrics)
        if takes_part and config.sheet_every and (last or done % config.sheet_every == 0):
            # the other processes' sheets are the same, and go
            name = f"step-{done:07d}.png" if main else f".process-{self.accelerator.process_index}.png"
            path = self.folder / "sheets" / name
            path.parent.mkdir(exist_ok=True)
            self._evaluated(averaged, lambda model: self.stage.sheet(model, path))
            if not main:
                path.unlink(missing_ok=True)
        if last or done % config.save_every == 0:
            average, count = (None, 0) if self.average is None else (averaged, int(self.average.n_averaged))
            self.checkpoint.save(done, self.model, self._bare_optimizers(), average, count, self.stage.shipped)

    def batches(self, start: int) -> Generator[MicroBatch, None, None]:
        """This process's micro-batches from step `start` on, each made ready while the caller works on the last."""
        count = self.config.gradient_accumulation
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
            ahead = None
            for number in range(start * count, self.config.steps * count):
                ready, ahead = ahead, pool.submit(self._micro_batch, number)
                if ready is not None:
                    yield ready.result()
            if ahead is not None:
                yield ahead.result()

    def _micro_batch(self, number: int) -> MicroBatch:
        config, accelerator = self.config, self.accelerator
        step, index = divmod(number, config.gradient_accumulation)
        micro = config.batch_size // (accelerator.num_processes * config.gradient_accumulation)
        first = (accelerator.process_index * config.gradient_accumulation + index) * micro
        draws = Draws(config.seed, step, range(first, first + micro), accelerator.device)
        indices = draw_indices(step, config.batch_size, len(self.stage), config.seed)
        batch = self.stage.batch(indices[first : first + micro], draws)
        return MicroBatch(draws, {name: value.to(accelerator.device) for name, value in batch.items()})

    def step(self, step: int, batches: Iterator[MicroBatch], stop: StopFlag | None = None) -> tuple[Terms | None, bool]:
        """One optimiser step on the next of `batches`: its loss terms, None where the weights were left alone; and
        whether to stop after it, because `stop` was set in any process."""
        config, accelerator, begun = self.config, self.accelerator, time.perf_counter()
        for group in itertools.chain.from_iterable(optimizer.param_groups for optimizer in self.optimizers):
            group["lr"] = config.learning_rate * learning_rate_factor(step, config)
        totals: Terms = {}
        for index in range(config.gradient_accumulation):
            asked = time.perf_counter()
            batch = next(batches)
            self.pace.waited += time.perf_counter() - asked
            whole = index + 1 == config.gradient_accumulation
            with contextlib.nullcontext() if whole else accelerator.no_sync(self.model):
                with accelerator.autocast():
                    terms = self.stage.loss(self.model, batch.tensors, batch.draws)
                accelerator.backward(terms["loss"] / config.gradient_accumulation)
            for name, value in terms.items():
                totals[name] = totals.get(name, 0.0) + value.detach() / config.gradient_accumulation
            if not torch.isfinite(terms["loss"]):
                self._keep_batch(step, index, batch.tensors)
        totals, bad, stopped = self._agreed(totals, stop or StopFlag())
        if not bad and not self._update():  # the gradient is every process's: so is this
            self._keep_batch(step, index, batch.tensors)
            bad = True
        if bad:
            self._skip(step)
        self.pace.clips += config.batch_size
        self.pace.seconds += time.perf_counter() - begun
        return None if bad else totals, stopped

    def _update(self) -> bool:
        """Move the weights, unless the gradient is not finite: it would make them so."""
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        if not torch.isfinite(norm):
            return False
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.accelerator.unwrap_model(self.model))
        return True

    def _agreed(self, terms: Terms, stop: StopFlag) -> tuple[Terms, bool, bool]:
        """Terms averaged over the processes; whether a loss was not finite in any; whether any was told to stop.

        All of them must skip a step, or stop after it, together.
        """
        flags = torch.stack([~torch.isfinite(terms["loss"]), torch.tensor(stop.is_set, device=terms["loss"].device)])
        mine = torch.cat([torch.stack([value.float() for value in terms.values()]), flags.float()])
        *values, bad, stopped = self.accelerator.reduce(mine, "sum")
        means = {name: value / self.accelerator.num_processes for name, value in zip(terms, values, strict=True)}
        return means, bool(bad), bool(stopped)

    def _skip(self, step: int) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        self.nonfinite += 1
        log.warning("step %d: loss or gradient not finite, batch skipped (%d so far)", step, self.nonfinite)
        if self.nonfinite > self.config.max_nonfinite:
            raise ModelError(
                f"{self.stage.name}: {self.nonfinite} losses or gradients were not finite; lower the learning rate, "
                f"and see {self.folder / 'nonfinite'} for the batches"
            )

    def _keep_batch(self, step: int, index: int, batch: dict[str, Tensor]) -> None:
        folder = self.folder / "nonfinite"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"step-{step:07d}-process-{self.accelerator.process_index}-{index}.safetensors"
        save_tensors(folder / name, {key: value.cpu().contiguous() for key, value in batch.items()})

    def _average(self) -> AveragedModel | None:
        if self.config.ema_decay == 0:
            return None
        model = self.accelerator.unwrap_model(self.model)
        average = AveragedModel(model, multi_avg_fn=averaging(self.config.ema_decay), use_buffers=False)
        return average.requires_grad_(False)

    def _checkpoint_bytes(self) -> int:
        """Of a whole checkpoint and what is shipped, at most: two optimiser states for each trained weight."""
        model = self.accelerator.unwrap_model(self.model)
        weights = sum(tensor.nbytes for tensor in model.state_dict().values())
        trained = sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
        return weights * (2 + (self.average is not None)) + 2 * trained

    def _identity(self) -> dict[str, Any]:
        config = self.config
        return {
            "stage": self.stage.name, "model": self.stage.resolved(), "seed": config.seed,
            "optimizer": config.optimizer, "averaged": config.ema_decay > 0,
        }  # fmt: skip

    def _bare_optimizers(self) -> list[torch.optim.Optimizer]:
        return [optimizer.optimizer for optimizer in self.optimizers]

    def _load(self) -> int:
        average = None if self.average is None else self.average.module
        step, count = self.checkpoint.load(self.model, self._bare_optimizers(), average)
        if self.average is not None:
            self.average.n_averaged.fill_(count)
        return step

    def _record(self, step: int, terms: Terms, metrics: dict[str, float]) -> None:
        metrics = {**metrics, **self.pace.told()}
        line = {"step": step, **{name: float(value) for name, value in terms.items()}, **metrics}
        with (self.folder / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.accelerator.log(metrics, step=step)
        tqdm.write(f"{self.stage.name}: " + ", ".join(f"{name} {value:.4g}" for name, value in line.items()))

    def _evaluated(self, model: nn.Module, function: Callable[[nn.Module], Result]) -> Result:
        training = model.training
        model.eval()
        with torch.no_grad(), self.accelerator.autocast():
            result = function(model)
        model.train(training)
        return result
