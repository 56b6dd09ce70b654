"""Stages 2 and 3: the diffusion transformer on latents, motion alone, then both with their own timesteps."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from egotwin_model.sampler import NUM_TRAIN_TIMESTEPS, PURE_NOISE
from egotwin_model.store import WEIGHTS, load_weights
from egotwin_model.transformer import EgoTwinTransformer
from training.configs import DiffusionRecipe
from training.latents import LatentClips

VALIDATION_CLIPS = 128


class DiffusionStage:
    """v-prediction losses ‖v − v̂‖² of both modalities, t_v and t_m drawn independently (Section 3.3)."""

    def __init__(
        self, recipe: DiffusionRecipe, train: LatentClips, validation: LatentClips, start_from: Path | None = None
    ) -> None:
        self.recipe, self.name = recipe, str(recipe.kind)
        self.train, self.validation = train, validation
        torch.manual_seed(recipe.train.seed)
        self.model: nn.Module = EgoTwinTransformer(recipe.model)
        if start_from is not None:
            load_weights(self.model, start_from / WEIGHTS)
        if recipe.freeze_text:
            for name, parameter in self.model.named_parameters():
                parameter.requires_grad_("motion" in name)

    def __len__(self) -> int:
        return len(self.train)

    def batch(self, indices: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        rows = self.train.text_index[indices].clone()
        rows[torch.rand(len(rows), generator=generator) < self.recipe.text_dropout] = 0
        return _gather(self.train, indices, rows)

    def loss(self, model: nn.Module, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        device = batch["motion"].device
        t_video, t_motion = (t.to(device) for t in draw_timesteps(self.recipe, len(batch["motion"]), generator))
        video_error, motion_error = self._errors(model, batch, t_video, t_motion, generator)
        if video_error is None:
            return {"loss": motion_error.mean(), "motion": motion_error.mean()}
        # a modality given clean or absent is an input of that clip, not a target
        video, motion = _mean_where(video_error, t_video), _mean_where(motion_error, t_motion)
        return {"loss": video + motion, "video": video, "motion": motion}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Losses at fixed timesteps and noise: both at t, and video at t with the motion clean."""
        generator = torch.Generator().manual_seed(7)
        count = min(VALIDATION_CLIPS, len(self.validation))
        indices = torch.arange(count)
        batch = _gather(self.validation, indices, self.validation.text_index[indices])
        t = torch.linspace(0, PURE_NOISE, count).long()
        video, motion = self._errors(model, batch, t, t, generator)
        metrics = {"val_motion": float(motion.mean())}
        if video is not None:
            given, _ = self._errors(model, batch, t, torch.zeros_like(t), torch.Generator().manual_seed(7))
            assert given is not None
            metrics |= {"val_video": float(video.mean()), "val_video_given_motion": float(given.mean())}
        return metrics

    def resolved(self) -> dict[str, Any]:
        return {"_class_name": "EgoTwinTransformer", **asdict(self.recipe.model)}

    def _errors(
        self, model: nn.Module, batch: dict[str, Tensor], t_video: Tensor, t_motion: Tensor, generator: torch.Generator
    ) -> tuple[Tensor | None, Tensor]:
        """Squared errors per clip, (B,) each; None for the video in stage 2."""
        schedule = self.recipe.schedule
        motion, video = batch["motion"], batch["video"] if self.name == "joint" else None
        motion_noise = torch.randn(motion.shape, generator=generator).to(motion.device)
        noisy_motion = schedule.add_noise(motion, motion_noise, t_motion)
        noisy_video = video_noise = None
        if video is not None:
            video_noise = torch.randn(video.shape, generator=generator).to(video.device)
            noisy_video = schedule.add_noise(video, video_noise, t_video)
        v_video, v_motion = model(
            batch["text"], noisy_video, noisy_motion, t_video, t_motion,
            None if video is None else video[:, 0], motion[..., 0],
        )  # fmt: skip
        motion_error = _per_clip(v_motion, schedule.velocity(motion, motion_noise, t_motion))
        if video is None or video_noise is None:
            return None, motion_error
        return _per_clip(v_video, schedule.velocity(video, video_noise, t_video)), motion_error


def draw_timesteps(recipe: DiffusionRecipe, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """t_v and t_m of `count` clips, (count,) each: independent; for the recipe's shares one is clean or absent."""
    uniform = torch.rand(count, generator=generator)
    t_video = (NUM_TRAIN_TIMESTEPS * (1 - uniform**recipe.video_noise_bias)).long().clamp(max=PURE_NOISE)
    if not recipe.model.asynchronous:
        return t_video, t_video
    t_motion = torch.randint(NUM_TRAIN_TIMESTEPS, (count,), generator=generator)
    shares = torch.tensor([recipe.motion_clean, recipe.video_clean, recipe.motion_absent, recipe.video_absent])
    kind = torch.bucketize(torch.rand(count, generator=generator), shares.cumsum(0), right=True)  # 4: both noisy
    t_motion[kind == 0] = 0
    t_video[kind == 1] = 0
    t_motion[kind == 2] = PURE_NOISE
    t_video[kind == 3] = PURE_NOISE
    return t_video, t_motion


def _gather(clips: LatentClips, indices: Tensor, rows: Tensor) -> dict[str, Tensor]:
    return {
        "text": clips.texts[rows].float(),
        "video": clips.video[indices].float(),
        "motion": clips.motion[indices].float(),
    }


def _per_clip(predicted: Tensor, target: Tensor) -> Tensor:
    return F.mse_loss(predicted.float(), target, reduction="none").flatten(1).mean(1)


def _mean_where(error: Tensor, timestep: Tensor) -> Tensor:
    """Mean over the clips whose modality is neither given clean nor absent."""
    counted = ((timestep > 0) & (timestep < PURE_NOISE)).to(error.dtype)
    return (error * counted).sum() / counted.sum().clamp(min=1)
