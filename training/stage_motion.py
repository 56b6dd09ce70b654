"""Stage 1: the motion VAE on standardised head-centric features; joint and head errors on the validation split."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from egotwin_model.motion import HeadCentric, MotionStatistics
from egotwin_model.motion_vae import MotionVAE, initialise_linear_path, motion_vae_loss
from egotwin_model.store import save_tensors
from training.configs import MotionVAERecipe
from training.world.shards import Clips, open_clips

VALIDATION_CLIPS = 256
START_CLIPS = 4000


def features_of(clips: Clips) -> Tensor:
    """Head-centric features (N, T, 288) float32 of all clips."""
    representation = HeadCentric()
    shards = (
        representation.encode(shard["positions"], shard["rotations"])
        for shard in clips.shards("positions", "rotations")
    )
    return torch.from_numpy(np.concatenate(list(shards)).astype(np.float32, copy=False))


class MotionVAEStage:
    """Trains `MotionVAE`; the statistics of the training features are written beside its weights."""

    name = "motion-vae"

    def __init__(self, recipe: MotionVAERecipe, data: Path, folder: Path) -> None:
        self.recipe = recipe
        train, validation = open_clips(data / "train"), open_clips(data / "val")
        features = features_of(train)
        self.representation = HeadCentric()
        self.statistics = MotionStatistics.fit(features, self.representation.slices)
        save_tensors(folder / "statistics.safetensors", self.statistics.to_tensors())
        self.features = self.statistics.normalise(features)
        self.validation = self.statistics.normalise(features_of(validation)[:VALIDATION_CLIPS])
        torch.manual_seed(recipe.train.seed)
        vae = MotionVAE(recipe.model)
        if recipe.model.linear_path:
            initialise_linear_path(vae, self.features[:START_CLIPS], self.representation.groups)
        self.model: nn.Module = vae

    def __len__(self) -> int:
        return len(self.features)

    def batch(self, indices: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        return {"features": self.features[indices]}

    def loss(self, model: nn.Module, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        assert isinstance(model, MotionVAE)
        distribution = model.encode(batch["features"])
        decoded = model.decode(distribution.sample(generator))
        return motion_vae_loss(
            batch["features"], decoded.float(), distribution, self.representation.groups, self.recipe.kl_weight
        )

    def validate(self, model: nn.Module) -> dict[str, float]:
        assert isinstance(model, MotionVAE)
        decoded = model.decode(model.encode(self.validation).mode()).float()
        truth = self.representation.decode(self.statistics.denormalise(self.validation))
        found = self.representation.decode(self.statistics.denormalise(decoded))
        cosine = ((truth.head_rotations * found.head_rotations).sum((-1, -2)) - 1) / 2
        return {
            "val_joint_error_cm": float((truth.positions - found.positions).norm(dim=-1).mean()) * 100,
            "val_head_error_cm": float((truth.head_positions - found.head_positions).norm(dim=-1).mean()) * 100,
            "val_head_error_deg": float(torch.rad2deg(cosine.clamp(-1, 1).arccos()).mean()),
        }

    def resolved(self) -> dict[str, Any]:
        return {"_class_name": "MotionVAE", **asdict(self.recipe.model)}
