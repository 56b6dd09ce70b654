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
from training.trainer import TrainConfig, draw_indices, learning_rate_factor, train

CONFIG = TrainConfig(
    steps=4, batch_size=3, learning_rate=1e-2, warmup=2, save_every=2, validate_every=2, precision="no", max_nonfinite=1
)


class Regression:
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

    def batch(self, indices: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        return {"x": self.inputs[indices] + 0.1 * torch.randn(len(indices), self.inputs.shape[1], generator=generator)}

    def loss(self, model: nn.Module, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        self.calls += 1
        noise = torch.rand(())  # the global generator must resume too
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

    def loss(self, model: nn.Module, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        if self.calls == self.at:
            raise KeyboardInterrupt
        return super().loss(model, batch, generator)


def test_resume_equals_an_unbroken_run_to_the_bit(tmp_path: Path) -> None:
    train(Regression(), CONFIG, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(Interrupted(at=3), CONFIG, tmp_path / "broken")
    train(Regression(), CONFIG, tmp_path / "broken")
    for name in (WEIGHTS, "checkpoint/model.safetensors", "checkpoint/optimizer.safetensors"):
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
