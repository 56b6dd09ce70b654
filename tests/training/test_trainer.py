"""The loop's promises: resume equals an unbroken run to the bit, checkpoints fit their run, bad losses are skipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from egotwin_model.errors import ModelError
from egotwin_model.store import WEIGHTS, load_tensors
from training.draws import Draws
from training.trainer import Stage, TrainConfig, draw_indices, learning_rate_factor, train

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

    def batch(self, indices: Tensor, draws: Draws) -> dict[str, Tensor]:
        return {"x": self.inputs[indices] + 0.1 * draws.normal(self.inputs.shape[1])}

    def loss(self, model: nn.Module, batch: dict[str, Tensor], draws: Draws) -> dict[str, Tensor]:
        self.calls += 1
        noise = draws.uniform(1)
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

    def loss(self, model: nn.Module, batch: dict[str, Tensor], draws: Draws) -> dict[str, Tensor]:
        if self.calls == self.at:
            raise KeyboardInterrupt
        return super().loss(model, batch, draws)


def test_resume_equals_an_unbroken_run_to_the_bit(tmp_path: Path) -> None:
    train(Regression(), CONFIG, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(Interrupted(at=3), CONFIG, tmp_path / "broken")
    train(Regression(), CONFIG, tmp_path / "broken")
    for name in (WEIGHTS, "checkpoint/model.safetensors", "checkpoint/optimizer-0.safetensors"):
        whole, broken = (load_tensors(tmp_path / run / name) for run in ("whole", "broken"))
        assert whole.keys() == broken.keys()
        assert all(torch.equal(whole[key], broken[key]) for key in whole), name


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path: Path) -> None:
    train(Regression(), CONFIG, tmp_path)
    with pytest.raises(ModelError, match="another stage, configuration or seed"):
        train(Regression(size=5), CONFIG, tmp_path)
    with pytest.raises(ModelError, match="another stage, configuration or seed"):
        train(Regression(), replace(CONFIG, seed=1), tmp_path)


def test_losses_that_are_not_finite_are_skipped_then_stop_the_run(tmp_path: Path) -> None:
    stage = Regression(poison=2)
    with pytest.raises(ModelError, match="2 losses were not finite"):
        train(stage, CONFIG, tmp_path)
    assert all(parameter.isfinite().all() for parameter in stage.model.parameters())


def test_every_epoch_visits_every_clip_once() -> None:
    drawn = torch.cat([draw_indices(step, 3, 10, seed=5) for step in range(10)])
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
    indices = draw_indices(3, 3, 10, CONFIG.seed)
    expected = Regression().batch(indices, Draws(CONFIG.seed, 3, range(3)))["x"]
    assert torch.equal(load_tensors(kept)["x"], expected)


def test_micro_batches_give_the_weights_of_the_whole_batch(tmp_path: Path) -> None:
    """A share may be drawn and summed in any number of parts."""
    config = replace(CONFIG, batch_size=6, learning_rate=1e-3)
    train(Regression(), config, tmp_path / "whole")
    train(Regression(), replace(config, gradient_accumulation=3), tmp_path / "parts")
    whole, parts = (load_tensors(tmp_path / run / WEIGHTS) for run in ("whole", "parts"))
    for name, value in whole.items():
        torch.testing.assert_close(value, parts[name], rtol=0, atol=1e-6, msg=name)
    with pytest.raises(ModelError, match="batch_size=6 cannot be shared evenly"):
        train(Regression(), replace(config, gradient_accumulation=4), tmp_path / "uneven")


def test_a_tracker_receives_the_losses(tmp_path: Path) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
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

        def loss(self, model: nn.Module, batch: dict[str, Tensor], draws: Draws) -> dict[str, Tensor]:
            self.calls += 1
            if self.at is not None and self.calls > self.at:
                raise KeyboardInterrupt
            hidden = self.model.transformer_blocks[0](batch["x"]).tanh()
            return {"loss": (self.model[-1](hidden) - batch["x"][:, :2] * draws.uniform(1)).square().mean()}

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
