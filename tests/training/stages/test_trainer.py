"""The training loop: resumed runs equal unbroken ones to the bit, checkpoints fit their run, bad losses are skipped."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from egotwin_model.errors import ModelError
from egotwin_model.io.store import WEIGHTS, load_tensors
from training.stages.batches import batch_indices
from training.stages.optimizers import learning_rate_factor
from training.stages.random_streams import RandomStreams
from training.stages.stage import Stage
from training.stages.train_config import TrainConfig
from training.stages.trainer import train
from training.workers.stopping import Stopped

from ...shared_data import missing_extra

CONFIG = TrainConfig(
    steps=4,
    batch_size=3,
    learning_rate=1e-2,
    warmup=2,
    save_every=2,
    validate_every=2,
    precision="no",
    max_nonfinite=1,
    tracker="none",
)


class Regression(Stage):
    """A small real stage: a linear layer learns a random map from noisy inputs."""

    name = "regression"

    def __init__(self, size: int = 4, poison: int | None = None) -> None:
        torch.manual_seed(0)
        self.model: nn.Module = nn.Linear(size, 2)
        self.model.register_buffer("mask", torch.ones(2, dtype=torch.bool))  # as the transformer's: no mean of it
        self.inputs = torch.randn(10, size)
        self.poison = poison
        self.calls = 0

    def __len__(self) -> int:
        return len(self.inputs)

    def batch(self, indices: Tensor, streams: RandomStreams) -> dict[str, Tensor]:
        return {"x": self.inputs[indices] + 0.1 * streams.normal(self.inputs.shape[1])}

    def loss(self, model: nn.Module, batch: dict[str, Tensor], streams: RandomStreams) -> dict[str, Tensor]:
        self.calls += 1
        noise = streams.uniform(1)
        loss = (model(batch["x"]) - batch["x"][:, :2] * noise).square().mean()
        return {"loss": loss * float("nan") if self.poison is not None and self.calls > self.poison else loss}

    def validate(self, model: nn.Module) -> dict[str, float]:
        return {"val": float(model(self.inputs).square().mean())}

    def resolved(self) -> dict[str, Any]:
        return {"size": self.inputs.shape[1]}


class Interrupted(Regression):
    """Loses power in the middle of step `at`."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def loss(self, model: nn.Module, batch: dict[str, Tensor], streams: RandomStreams) -> dict[str, Tensor]:
        if self.calls == self.at:
            raise KeyboardInterrupt
        return super().loss(model, batch, streams)


def test_resume_equals_an_unbroken_run_to_the_bit(tmp_path: Path) -> None:
    train(Regression(), CONFIG, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(Interrupted(at=3), CONFIG, tmp_path / "broken")
    train(Regression(), CONFIG, tmp_path / "broken")
    for name in (WEIGHTS, "checkpoint/model.safetensors", "checkpoint/optimizer-0.safetensors"):
        whole, broken = (load_tensors(tmp_path / run / name) for run in ("whole", "broken"))
        assert whole.keys() == broken.keys()
        assert all(torch.equal(whole[key], broken[key]) for key in whole), name


def equal_weights(one: Path, other: Path) -> bool:
    first, second = load_tensors(one / WEIGHTS), load_tensors(other / WEIGHTS)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_stops_and_the_run_resumes_to_the_bit(tmp_path: Path, number: signal.Signals) -> None:
    class Signalled(Regression):
        def loss(self, model: nn.Module, batch: dict[str, Tensor], streams: RandomStreams) -> dict[str, Tensor]:
            if self.calls == 2:
                os.kill(os.getpid(), number)
            return super().loss(model, batch, streams)

    config = replace(CONFIG, save_every=100)
    train(Regression(), config, tmp_path / "whole")
    handlers = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(Stopped, match="stopped was stopped at step 3 of 4; the same command resumes"):
        train(Signalled(), config, tmp_path / "stopped")
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == handlers
    assert json.loads((tmp_path / "stopped/checkpoint/state.json").read_text())["step"] == 3  # its step
    train(Regression(), config, tmp_path / "stopped")
    assert equal_weights(tmp_path / "whole", tmp_path / "stopped")


@pytest.mark.parametrize("left", [".checkpoint-new", ".checkpoint-old"])
def test_a_kill_between_two_checkpoints_leaves_a_whole_one(tmp_path: Path, left: str) -> None:
    """As if stopped after the old one was moved away, with the new one whole or not."""
    train(Regression(), replace(CONFIG, steps=2), tmp_path / "killed")
    (tmp_path / "killed/checkpoint").rename(tmp_path / "killed" / left)
    if left == ".checkpoint-old":
        (tmp_path / "killed/.checkpoint-new").mkdir()
        (tmp_path / "killed/.checkpoint-new/model.safetensors").write_bytes(b"half")
    stage = Regression()
    train(stage, CONFIG, tmp_path / "killed")
    assert stage.calls == 2  # not from the start
    assert sorted(path.name for path in (tmp_path / "killed").glob("*checkpoint*")) == ["checkpoint"]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes: what a disk that fills looks like to a program."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    class Large(Regression):
        def __init__(self, fills_at: int | None = None) -> None:
            super().__init__()
            self.fills_at, self.full = fills_at, largest_file(20_000)
            self.model = nn.Sequential(nn.Linear(4, 4000), nn.Linear(4000, 2))

        def loss(self, model: nn.Module, batch: dict[str, Tensor], streams: RandomStreams) -> dict[str, Tensor]:
            if self.calls == self.fills_at:
                self.full.__enter__()
            return super().loss(model, batch, streams)

    stage = Large(fills_at=3)
    try:
        with pytest.raises(OSError, match="File too large"):
            train(stage, CONFIG, tmp_path)
    finally:
        stage.full.__exit__(None, None, None)
    assert json.loads((tmp_path / "checkpoint/state.json").read_text())["step"] == 2
    assert not (tmp_path / ".checkpoint-new").exists()  # it gave its room back
    train(Large(), CONFIG, tmp_path)
    assert json.loads((tmp_path / "checkpoint/state.json").read_text())["step"] == 4


def test_a_disk_without_room_for_a_checkpoint_is_named_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, free = Regression(), shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free._replace(free=100))
    with pytest.raises(ModelError, match="a checkpoint needs"):
        train(stage, CONFIG, tmp_path)
    assert stage.calls == 0


def test_metrics_have_the_speed_and_the_waiting_time(tmp_path: Path) -> None:
    train(Regression(), CONFIG, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    assert all(line["clips_per_s"] > 0 and 0 <= line["data_wait"] <= 1 for line in lines)


def test_an_error_in_a_batch_is_raised(tmp_path: Path) -> None:
    """Batches are made in a thread; its errors are the run's."""

    class Broken(Regression):
        def batch(self, indices: Tensor, streams: RandomStreams) -> dict[str, Tensor]:
            raise ModelError("clip 7 is damaged")

    with pytest.raises(ModelError, match="clip 7 is damaged"):
        train(Broken(), CONFIG, tmp_path)


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path: Path) -> None:
    train(Regression(), CONFIG, tmp_path)
    with pytest.raises(ModelError, match=r"another stage, configuration or seed: model\.size is 5, was 4\. Give"):
        train(Regression(size=5), CONFIG, tmp_path)
    with pytest.raises(ModelError, match="another stage, configuration or seed: seed is 1, was 0"):
        train(Regression(), replace(CONFIG, seed=1), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text()) == {"size": 4}  # what the weights are stays written
    other = Regression()
    other.name = "classification"
    with pytest.raises(ModelError, match="stage is classification, was regression"):
        train(other, CONFIG, tmp_path)


def test_losses_that_are_not_finite_are_skipped_then_stop_the_run(tmp_path: Path) -> None:
    stage = Regression(poison=2)
    with pytest.raises(ModelError, match="2 losses or gradients were not finite"):
        train(stage, CONFIG, tmp_path)
    assert all(parameter.isfinite().all() for parameter in stage.model.parameters())


def test_every_epoch_visits_every_clip_once() -> None:
    drawn = torch.cat([batch_indices(step, 3, 10, seed=5) for step in range(10)])
    for epoch in drawn.split(10):
        assert sorted(epoch.tolist()) == list(range(10))
    assert not torch.equal(drawn[:10], drawn[10:20])


def test_learning_rate_warms_up_then_falls_to_a_twentieth() -> None:
    config = replace(CONFIG, steps=100, warmup=10)
    factors = [learning_rate_factor(step, config) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[9] == pytest.approx(1.0)
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[-1] == pytest.approx(0.05, abs=1e-3)


def test_the_batches_that_broke_are_kept(tmp_path: Path) -> None:
    train(Regression(poison=3), CONFIG, tmp_path)
    (kept,) = (tmp_path / "nonfinite").iterdir()
    assert kept.name == "step-0000003-process-0-0.safetensors"
    indices = batch_indices(3, 3, 10, CONFIG.seed)
    expected = Regression().batch(indices, RandomStreams(CONFIG.seed, 3, range(3)))["x"]
    assert torch.equal(load_tensors(kept)["x"], expected)


def test_one_process_trains_in_one_precision_after_the_other(tmp_path: Path) -> None:
    found = []
    for precision in ("no", "bf16", "no"):
        train(Regression(), replace(CONFIG, precision=precision), tmp_path / str(len(found)))
        found.append(load_tensors(tmp_path / str(len(found)) / WEIGHTS)["weight"])
    assert torch.equal(found[0], found[2])
    assert 0 < (found[0] - found[1]).abs().max() < 0.05


def test_a_gradient_that_is_not_finite_moves_nothing(tmp_path: Path) -> None:
    class Steep(Regression):
        def loss(self, model: nn.Module, batch: dict[str, Tensor], streams: RandomStreams) -> dict[str, Tensor]:
            self.calls += 1
            flat = 0.0 if self.calls == 2 else 1.0  # a finite loss, but the root has no slope at zero
            return {"loss": (flat * model(batch["x"]).square()).sqrt().mean()}

    stage = Steep()
    train(stage, CONFIG, tmp_path)
    assert all(parameter.isfinite().all() for parameter in stage.model.parameters())
    assert [path.name for path in (tmp_path / "nonfinite").iterdir()] == ["step-0000001-process-0-0.safetensors"]


def test_micro_batches_give_the_weights_of_the_whole_batch(tmp_path: Path) -> None:
    """A process may compute its share in any number of micro-batches."""
    config = replace(CONFIG, batch_size=6, learning_rate=1e-3)
    train(Regression(), config, tmp_path / "whole")
    train(Regression(), replace(config, gradient_accumulation=3), tmp_path / "parts")
    whole, parts = (load_tensors(tmp_path / run / WEIGHTS) for run in ("whole", "parts"))
    for name, value in whole.items():
        torch.testing.assert_close(value, parts[name], rtol=0, atol=1e-6, msg=name)
    with pytest.raises(ModelError, match="batch_size=6 cannot be shared evenly"):
        train(Regression(), replace(config, gradient_accumulation=4), tmp_path / "uneven")


def test_a_tracker_receives_the_losses(tmp_path: Path) -> None:
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason=missing_extra("train")
    )
    train(Regression(), replace(CONFIG, tracker="tensorboard"), tmp_path)
    logged: set[str] = set()
    for file in (tmp_path / "logs").rglob("events*"):
        logged |= set(event_accumulator.EventAccumulator(str(file)).Reload().Tags()["scalars"])
    assert {"loss", "val"} <= logged


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_each_optimizer_resumes_to_the_bit(tmp_path: Path, optimizer: str) -> None:
    """On blocks named as the transformer's, where Muon takes the matrices."""

    class Blocks(Regression):
        def __init__(self, at: int | None = None) -> None:
            super().__init__()
            self.at = at
            self.model = nn.Sequential()
            self.model.transformer_blocks = nn.ModuleList([nn.Linear(4, 4)])
            self.model.append(nn.Linear(4, 2))

        def loss(self, model: nn.Module, batch: dict[str, Tensor], streams: RandomStreams) -> dict[str, Tensor]:
            self.calls += 1
            if self.at is not None and self.calls > self.at:
                raise KeyboardInterrupt
            hidden = self.model.transformer_blocks[0](batch["x"]).tanh()
            return {"loss": (self.model[-1](hidden) - batch["x"][:, :2] * streams.uniform(1)).square().mean()}

        def validate(self, model: nn.Module) -> dict[str, float]:
            return {}

    config = replace(CONFIG, optimizer=optimizer)
    train(Blocks(), config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(Blocks(at=3), config, tmp_path / "broken")
    train(Blocks(), config, tmp_path / "broken")
    whole, broken = (load_tensors(tmp_path / run / WEIGHTS) for run in ("whole", "broken"))
    assert all(torch.equal(whole[key], broken[key]) for key in whole)
    assert (tmp_path / "whole/checkpoint/optimizer-1.safetensors").is_file() == (optimizer == "muon")
