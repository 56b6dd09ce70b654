"""The checkpoint that a stopped run resumes from, and the averaged weights beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from egotwin_model.errors import ModelError
from egotwin_model.io.files import read_json, write_json
from egotwin_model.io.store import WEIGHTS, load_tensors, save_tensors

CURRENT, FRESH, OLD, STATE = "checkpoint", ".checkpoint-new", ".checkpoint-old", "state.json"
WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
SEPARATOR = "|"  # between a parameter's name and the name of its optimiser state


class Checkpoint:
    """``checkpoint/`` of a run's folder: replaced as a whole, so that a kill leaves the old one or the new one.

    Names are the parameters' own, however the model is wrapped (DDP, FSDP), so a run may resume with another number of
    processes. All processes call `save` and `load`; the main one writes.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], *, is_main: bool) -> None:
        self.folder, self.is_main = folder, is_main
        self.identity = identity

    def save(
        self,
        step: int,
        model: nn.Module,
        optimizers: list[torch.optim.Optimizer],
        average: nn.Module | None,
        count: int,
        shipped: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    ) -> None:
        """Writes weights, averaged weights and optimiser states of `step` finished steps.

        Args:
            average: averaged weights, of `count` steps, if there are any.
            shipped: turns the averaged weights, or the trained ones where none are kept, into those that others read.
        """
        weights: dict[str, Any] = get_model_state_dict(model, options=WHOLE)
        states: list[dict[str, Any]] = [get_optimizer_state_dict(model, o, options=WHOLE) for o in optimizers]  # type: ignore[misc]
        if not self.is_main:  # the whole state is gathered on the main process alone
            return
        kept = weights if average is None else average.state_dict()
        self._recover()
        target, fresh, old = (self.folder / name for name in (CURRENT, FRESH, OLD))
        fresh.mkdir(parents=True)
        try:
            save_tensors(fresh / "model.safetensors", weights)
            if average is not None:
                save_tensors(fresh / "ema.safetensors", kept)
            for index, state in enumerate(states):
                save_tensors(fresh / _optimizer_file(index), _flat(state["state"]))
            save_tensors(self.folder / WEIGHTS, shipped(kept))
            # last: a checkpoint with this file is whole
            write_json(fresh / STATE, {"step": step, "averaged": count, "identity": json.dumps(self.identity)})
        except OSError:
            shutil.rmtree(fresh, ignore_errors=True)  # a full disk gets its space back
            raise
        if target.is_dir():
            target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old, ignore_errors=True)

    def load(
        self, model: nn.Module, optimizers: list[torch.optim.Optimizer], average: nn.Module | None
    ) -> tuple[int, int]:
        """Restores the checkpoint if there is one; returns the finished steps and the number of averaged weights.

        Raises:
            ModelError: it was written by another stage, configuration or seed.
        """
        source = self.folder / CURRENT
        if self.is_main:
            self._recover()
        if torch.distributed.is_initialized():
            torch.distributed.barrier()
        if not source.is_dir():
            return 0, 0
        state = read_json(source / STATE)
        if differ := differences(json.loads(state["identity"]), self.identity):
            raise ModelError(
                f"{source} was written by another stage, configuration or seed: {'; '.join(differ)}. Give another "
                f"output folder, or repeat the configuration in {self.folder / 'recipe.json'}"
            )
        weights: dict[str, Any] = {**load_tensors(source / "model.safetensors")}
        set_model_state_dict(model, weights, options=WHOLE)
        names: dict[Tensor, str] = {p: name.removeprefix("module.") for name, p in model.named_parameters()}
        for index, optimizer in enumerate(optimizers):
            packed: dict[str, Any] = get_optimizer_state_dict(model, optimizer)
            packed["state"] = saved = _nested(load_tensors(source / _optimizer_file(index)))
            set_optimizer_state_dict(model, optimizer, packed, options=replace(WHOLE, strict=False))
            for parameter in [parameter for parameter in optimizer.state if names[parameter] not in saved]:
                del optimizer.state[parameter]  # it had no gradient yet: stage 2 leaves the video's side unused
        if average is not None:
            average.load_state_dict(load_tensors(source / "ema.safetensors"))
        return int(state["step"]), int(state["averaged"])

    def _recover(self) -> None:
        """After a kill in the middle of `save`: gives the newest whole checkpoint its name and removes the rest."""
        target, fresh, old = (self.folder / name for name in (CURRENT, FRESH, OLD))
        if not target.is_dir():
            for whole in (fresh, old):
                if (whole / STATE).is_file():
                    whole.rename(target)
                    break
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)


def differences(before: Any, now: Any, name: str = "") -> list[str]:
    """Differences of two JSON values, "model.width is 4, was 5"; keys that only one of them has are ignored."""
    before, now = (json.loads(json.dumps(value)) for value in (before, now))
    if isinstance(before, dict) and isinstance(now, dict):
        names = [key for key in before if key in now]
        return [line for key in names for line in differences(before[key], now[key], f"{name}.{key}".lstrip("."))]
    return [] if before == now else [f"{name} is {now}, was {before}"]


def _optimizer_file(index: int) -> str:
    return f"optimizer-{index}.safetensors"


def _flat(state: dict[str, Any]) -> dict[str, Tensor]:
    return {
        f"{name}{SEPARATOR}{key}": torch.as_tensor(value)
        for name, values in state.items()
        for key, value in values.items()
    }


def _nested(tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    state: dict[str, dict[str, Tensor]] = {}
    for joined, value in tensors.items():
        name, key = joined.split(SEPARATOR)
        state.setdefault(name, {})[key] = value
    return state
