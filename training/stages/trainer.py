"""One training loop for every stage: Accelerate, AdamW or Muon with warm-up and cosine, EMA, exact resume.

A stage brings its model, its batches and its loss; the loop brings the rest. A run that was stopped and resumed ends in
the weights of an unbroken one, since clips and noise depend on the step alone (`training.stages.batches`).

    step      0 ─────── warm-up ─────── 1 ───────── cosine to 5 % ───────── steps
    weights   model (trained) → EMA (validated, shipped)
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, DistributedType
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from egotwin_model.errors import ModelError
from egotwin_model.io.files import need_room, write_json
from egotwin_model.io.store import save_tensors
from training.stages.allocation import freed_memory_kept
from training.stages.batches import BatchLoader, MicroBatch
from training.stages.checkpoints import Checkpoint
from training.stages.optimizers import averaging, learning_rate_factor, make_optimizers
from training.stages.run_folder import METRICS
from training.stages.stage import Stage
from training.stages.train_config import TrainConfig
from training.workers.stopping import StopFlag, Stopped, flag_on_signal

log = logging.getLogger(__name__)
LOG_EVERY = 10


Terms = dict[str, Tensor]
Result = TypeVar("Result")


def train(stage: Stage, config: TrainConfig, folder: Path, notes: Mapping[str, Any] | None = None) -> Path:
    """Train `stage`, from the start or from `folder`'s checkpoint.

    Args:
        folder: receives ``config.json``, the averaged weights, ``metrics.jsonl``, ``logs/``, ``sheets/`` and
            ``checkpoint/``.
        notes: JSON files to write there too, by name, after the checkpoint there was found to be of this run.

    Returns:
        `folder`.

    Raises:
        Stopped: SIGTERM or Ctrl-C came; the finished steps are saved.
        ModelError: the folder's checkpoint is of another stage or configuration, the batch cannot be shared evenly, too
            many losses were not finite, or the disk has no room for a checkpoint.
        OSError: the disk filled during the run. The last checkpoint is whole.
    """
    run = Run(stage, config, folder)
    with freed_memory_kept() if run.accelerator.device.type == "cpu" else contextlib.nullcontext():
        return run.train(notes or {})


@dataclass
class Throughput:
    """Speed of the steps since the last report, without validation and saving."""

    clips: int = 0
    seconds: float = 0.0
    waited: float = 0.0

    def report(self) -> dict[str, float]:
        """Clips per second and the share of time spent waiting for batches; the count then restarts."""
        seconds = max(self.seconds, 1e-9)
        rates = {"clips_per_s": self.clips / seconds, "data_wait": self.waited / seconds}
        self.clips, self.seconds, self.waited = 0, 0.0, 0.0
        return rates


class Run:
    """One call of `train`: the prepared model, the average of its weights, its files."""

    def __init__(self, stage: Stage, config: TrainConfig, folder: Path) -> None:
        self.stage, self.config, self.folder = stage, config, folder
        AcceleratorState._reset_state()  # a process may train stages of different precision one after the other
        self.accelerator = Accelerator(
            mixed_precision=config.precision,
            step_scheduler_with_optimizer=False,
            # stage 2 gives the video's parameters no gradient
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
            log_with=None if config.tracker == "none" else config.tracker,
            project_dir=folder,
        )
        self.sharded = self.accelerator.distributed_type == DistributedType.FSDP
        accelerator = self.accelerator
        self.loader = BatchLoader(
            stage, config, accelerator.process_index, accelerator.num_processes, accelerator.device
        )
        self._check_config()
        if config.gradient_checkpointing:
            stage.model.enable_gradient_checkpointing()  # type: ignore[operator]
        self.model, *self.optimizers = accelerator.prepare(stage.model, *make_optimizers(stage.model, config))
        self.average = self._average()
        self.checkpoint = Checkpoint(folder, self._identity(), is_main=accelerator.is_main_process)
        self.nonfinite, self.throughput = 0, Throughput()

    def _check_config(self) -> None:
        config = self.config
        if self.sharded and config.ema_decay:
            raise ModelError(
                f"ema_decay={config.ema_decay} with FSDP: no average is kept of sharded parameters; pass "
                "--train.ema-decay 0, or train without FSDP"
            )
        if config.gradient_checkpointing and not hasattr(self.stage.model, "enable_gradient_checkpointing"):
            raise ModelError(
                f"{self.stage.name} cannot recompute activations; leave out --train.gradient-checkpointing"
            )

    def train(self, notes: Mapping[str, Any]) -> Path:
        """Trains to the end, or until a signal asks to stop."""
        config, main = self.config, self.accelerator.is_main_process
        start, stopped = self._load(), False
        self._prepare_folder(start, notes)
        with (
            flag_on_signal() as stop,
            contextlib.closing(self.loader.batches(start)) as batches,
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
        self.accelerator.wait_for_everyone()  # no process ends the group while others still use it
        self.accelerator.end_training()
        if stopped:
            raise Stopped(
                f"{self.folder} was stopped at step {step + 1} of {config.steps}; the same command resumes it"
            )
        return self.folder

    def _prepare_folder(self, start: int, notes: Mapping[str, Any]) -> None:
        """Configuration and notes are written once the checkpoint was found to be of this run, never before."""
        if self.accelerator.is_main_process:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, note in {"config.json": self.stage.resolved(), **notes}.items():
                write_json(self.folder / name, note)
            if start < self.config.steps:
                need_room(self.folder, self._checkpoint_bytes(), "a checkpoint")
        if start < self.config.steps and self.config.tracker != "none":
            self.accelerator.init_trackers("logs", config=asdict(self.config))

    def _after(self, done: int, terms: Terms, *, last: bool) -> None:
        """What is due after `done` finished steps: metrics, a sample sheet, a checkpoint."""
        config, averaged = self.config, self.accelerator.unwrap_model(self.model)
        if self.average is not None:
            averaged = self.average.module
        main = self.accelerator.is_main_process
        takes_part = main or self.sharded  # every process holds a part of sharded parameters
        if takes_part and (last or done % config.validate_every == 0):
            metrics = self._evaluated(averaged, self.stage.validate)
            if main:
                self._record(done, terms, metrics)
        if takes_part and config.sheet_every and (last or done % config.sheet_every == 0):
            # the sheets of the other processes are equal to it and are removed
            name = f"step-{done:07d}.png" if main else f".process-{self.accelerator.process_index}.png"
            path = self.folder / "sheets" / name
            path.parent.mkdir(exist_ok=True)
            self._evaluated(averaged, lambda model: self.stage.sheet(model, path))
            if not main:
                path.unlink(missing_ok=True)
        if last or done % config.save_every == 0:
            average, count = (None, 0) if self.average is None else (averaged, int(self.average.n_averaged))
            self.checkpoint.save(done, self.model, self._bare_optimizers(), average, count, self.stage.shipped)

    def step(self, step: int, batches: Iterator[MicroBatch], stop: StopFlag | None = None) -> tuple[Terms | None, bool]:
        """One optimiser step on the next of `batches`.

        Returns:
            Loss terms, None where the step was skipped; and whether to stop, because `stop` is set in any process.
        """
        config, accelerator, begun = self.config, self.accelerator, time.perf_counter()
        for group in itertools.chain.from_iterable(optimizer.param_groups for optimizer in self.optimizers):
            group["lr"] = config.learning_rate * learning_rate_factor(step, config)
        totals: Terms = {}
        for index in range(config.gradient_accumulation):
            asked = time.perf_counter()
            batch = next(batches)
            self.throughput.waited += time.perf_counter() - asked
            whole = index + 1 == config.gradient_accumulation
            with contextlib.nullcontext() if whole else accelerator.no_sync(self.model):
                with accelerator.autocast():
                    terms = self.stage.loss(self.model, batch.tensors, batch.streams)
                accelerator.backward(terms["loss"] / config.gradient_accumulation)
            for name, value in terms.items():
                totals[name] = totals.get(name, 0.0) + value.detach() / config.gradient_accumulation
            if not torch.isfinite(terms["loss"]):
                self._keep_batch(step, index, batch.tensors)
        totals, bad, stopped = self._agreed(totals, stop or StopFlag())
        if not bad and not self._update():  # all processes have the same gradient, so they agree
            self._keep_batch(step, index, batch.tensors)
            bad = True
        if bad:
            self._skip(step)
        self.throughput.clips += config.batch_size
        self.throughput.seconds += time.perf_counter() - begun
        return None if bad else totals, stopped

    def _update(self) -> bool:
        """Updates the weights and their average; False where the gradient is not finite, and nothing is updated."""
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
        """Terms averaged over the processes; whether any had a loss that is not finite; whether any is to stop.

        All processes must skip a step, or stop after it, together.
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
        """Size of a checkpoint and the shipped weights, at most: two optimiser states for each trained weight."""
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
        metrics = {**metrics, **self.throughput.report()}
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
