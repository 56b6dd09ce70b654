"""Stage 1: the motion VAE on standardised motion features, and the further training of its decoder.

Validation metrics are errors of joints and of the head. Training the decoder alone leaves the latents unchanged.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from egotwin_model.io.store import load_tensors, save_tensors
from egotwin_model.latents.distribution import LatentDistribution
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.representation import BodyMotion
from egotwin_model.motion.root_centric import RootCentric
from egotwin_model.motion.statistics import MotionStatistics
from egotwin_model.motion.vae import (
    MotionVAE,
    group_errors,
    initialise_linear_path,
    load_motion_vae,
    motion_vae_loss,
)
from training.datasets.clips.dataset import ClipSet, skeleton_of
from training.datasets.latents.cache import CachedShards
from training.datasets.mocap.capture_folder import CaptureFolder
from training.stages.captures import Captures
from training.stages.encoding import motion_features
from training.stages.motion_augmentation import varied
from training.stages.random_streams import RandomStreams
from training.stages.recipes import MotionVAERecipe
from training.stages.representations import clips_representation, save_representation
from training.stages.run_folder import STATISTICS, motion_vae_folder
from training.stages.sheets import Sample, clip_of, save_sheet
from training.stages.stage import Stage

VALIDATION_CLIPS = 256
START_CLIPS = 4000
LEAST_CHANGE = 1e-3  # of a standardised feature from pose to pose; smaller changes get no larger weight
SHEET_CLIPS = 4


def features_of(clips: ClipSet, representation: HeadCentric | RootCentric | None = None) -> Tensor:
    """Features (N, T, D) float32 of all clips; head-centric, D = 288, unless another representation is given."""
    representation = representation or HeadCentric()
    shards = (
        representation.encode(shard["positions"], shard["rotations"])
        for shard in clips.shards("positions", "rotations")
    )
    return torch.from_numpy(np.concatenate(list(shards)).astype(np.float32, copy=False))


class MotionVAEStage(Stage):
    """Trains `MotionVAE`; the statistics of the training features are written beside its weights."""

    name = "motion-vae"

    def __init__(
        self,
        recipe: MotionVAERecipe,
        train: ClipSet,
        validation: ClipSet,
        runs: Path,
        folder: Path,
        captures: CaptureFolder | None = None,
    ) -> None:
        self.recipe = recipe
        self.representation = kind = clips_representation(train, recipe.representation)
        self.feet = skeleton_of(train).foot_indices
        cached, held_out = motion_features(train, "train", runs, kind), motion_features(validation, "val", runs, kind)
        self.captures = None if captures is None else Captures(captures, kind, train.manifest.pose_rate)
        self.statistics = self._statistics(cached, runs)
        save_tensors(folder / STATISTICS, self.statistics.to_tensors())
        save_representation(folder, kind)
        self.features = cached.rows("features")
        rows = torch.linspace(0, len(self.features) - 1, min(START_CLIPS, len(self.features))).long().unique()
        sample = self.batch(rows, RandomStreams(recipe.train.seed, 0, range(len(rows))))["features"]
        self.change = sample.diff(dim=1).flatten(0, 1).std(0).clamp_min(LEAST_CHANGE)
        self.validation = self.statistics.normalise(held_out.rows("features")[:VALIDATION_CLIPS])
        self.model: nn.Module = self._start(sample, runs)

    def _statistics(self, features: CachedShards, runs: Path) -> MotionStatistics:
        """Of the clips alone, since later stages know no others."""
        return MotionStatistics.fit((part["features"] for part in features.shards()), self.representation.slices)

    def _start(self, sample: Tensor, runs: Path) -> MotionVAE:
        torch.manual_seed(self.recipe.train.seed)
        vae = MotionVAE(self.recipe.model)
        if self.recipe.model.linear_path:
            initialise_linear_path(vae, sample, self.representation.groups)
        return vae

    def __len__(self) -> int:
        return len(self.features)

    def batch(self, indices: Tensor, streams: RandomStreams) -> dict[str, Tensor]:
        features = self.features[indices]
        if self.captures is not None:
            features = self.captures.mixed_in(features, self.recipe.mocap_share, streams)
        if self.recipe.variety:
            features = varied(features, self.representation, self.recipe.variety, streams)
        return {"features": self.statistics.normalise(features)}

    def loss(self, model: nn.Module, batch: dict[str, Tensor], streams: RandomStreams) -> dict[str, Tensor]:
        features, c = batch["features"], self.recipe.model
        steps = 1 + (features.shape[1] - 1) // c.temporal_compression_ratio
        noise, offset = streams.normal(c.latent_dim, steps).to(features.device), None
        if self.recipe.latent_offset:
            scale = self.recipe.latent_offset * streams.uniform()[:, None, None].to(features.device)
            offset = scale * streams.normal(c.latent_dim, steps).to(features.device)
        decoded, moments = model(features, noise, offset)
        decoded, groups = decoded.float(), self.representation.groups
        terms = motion_vae_loss(features, decoded, LatentDistribution(moments), groups, self.recipe.kl_weight)
        if self.recipe.change_weight:
            changes = (decoded - features).diff(dim=1) / self.change.to(features.device)
            terms["change"] = torch.stack(list(group_errors(changes, groups).values())).mean()
            terms["loss"] = terms["loss"] + self.recipe.change_weight * terms["change"]
        if self.recipe.place_weight:
            truth, found = self._motion(features), self._motion(decoded)
            off = 100.0 * (found.positions - truth.positions)
            turned = 100.0 * (found.head_rotations - truth.head_rotations).transpose(-1, -2)  # of 1 m along each axis
            steps = off.diff(dim=1).norm(dim=-1)
            places = {
                "off_cm": off.norm(dim=-1).mean(),
                "step_cm": steps.mean(),
                **({"foot_cm": steps[..., self.feet].mean()} if self.feet else {}),
                "gaze_cm": turned.norm(dim=-1).mean() + turned.diff(dim=1).norm(dim=-1).mean(),
            }
            terms["loss"] = terms["loss"] + self.recipe.place_weight * torch.stack(list(places.values())).sum()
            terms.update(places)
        return terms

    def validate(self, model: nn.Module) -> dict[str, float]:
        assert isinstance(model, MotionVAE)
        real = [self.statistics.normalise(part) for part in self.captures.held_out] if self.captures else []
        parts = [self._errors(model, part, "val_real") for part in real]
        poses = [part.shape[1] for part in real]
        return self._errors(model, self.validation, "val") | {
            name: float(np.average([part[name] for part in parts], weights=poses)) for name in (parts or [{}])[0]
        }

    def _errors(self, model: MotionVAE, features: Tensor, prefix: str) -> dict[str, float]:
        """Mean errors of standardised features (N, T, D) that went through the VAE."""
        decoded = _reconstructed(model, features)
        truth, found = self._motion(features), self._motion(decoded)
        cosine = ((truth.head_rotations * found.head_rotations).sum((-1, -2)) - 1) / 2
        steps = (truth.head_positions - found.head_positions).diff(dim=1)
        foot_steps = (truth.positions - found.positions)[..., self.feet, :].diff(dim=1).norm(dim=-1)
        feet = {f"{prefix}_foot_step_error_cm": float(foot_steps.mean()) * 100} if self.feet else {}
        return {
            f"{prefix}_joint_error_cm": float((truth.positions - found.positions).norm(dim=-1).mean()) * 100,
            f"{prefix}_head_error_cm": float((truth.head_positions - found.head_positions).norm(dim=-1).mean()) * 100,
            f"{prefix}_head_step_error_cm": float(steps.norm(dim=-1).mean()) * 100,
            **feet,
            f"{prefix}_head_error_deg": float(torch.rad2deg(cosine.clamp(-1, 1).arccos()).mean()),
        }

    def sheet(self, model: nn.Module, path: Path) -> None:
        """Bodies and head paths of validation clips beside their reconstructions."""
        assert isinstance(model, MotionVAE)
        features = self.validation[:: max(1, len(self.validation) // SHEET_CLIPS)][:SHEET_CLIPS]
        decoded = _reconstructed(model, features)
        truth, found = self._motion(features), self._motion(decoded)
        rows = range(len(features))
        save_sheet(path, [self._sample(found, truth, row) for row in rows])

    def _sample(self, found: BodyMotion, truth: BodyMotion, row: int) -> Sample:
        return Sample("", None, None, clip_of(found, row), clip_of(truth, row), self.representation.skeleton)

    def _motion(self, features: Tensor) -> BodyMotion:
        """The motion of standardised features (B, T, D), in the clip's frame of reference."""
        return self.representation.decode_in_clip_frame(self.statistics.denormalise(features))

    def resolved(self) -> dict[str, Any]:
        return {"_class_name": "MotionVAE", **asdict(self.recipe.model)}


class MotionDecoderStage(MotionVAEStage):
    """Trains the decoder of stage 1's `MotionVAE` further; encoder and statistics stay stage 1's to the bit."""

    name = "motion-decoder"

    def _statistics(self, features: CachedShards, runs: Path) -> MotionStatistics:
        return MotionStatistics.from_tensors(load_tensors(self._whole(runs) / STATISTICS))

    def _start(self, sample: Tensor, runs: Path) -> MotionVAE:
        vae = load_motion_vae(self._whole(runs)).train()
        vae.encoder.requires_grad_(False)
        return vae

    def _whole(self, runs: Path) -> Path:
        return motion_vae_folder(runs, self.recipe.representation)


def _reconstructed(vae: MotionVAE, features: Tensor) -> Tensor:
    """Features after encoding and decoding; computed on the VAE's device, returned on the features'."""
    device = next(vae.parameters()).device
    return vae.decode(vae.encode(features.to(device)).mode()).float().to(features.device)
