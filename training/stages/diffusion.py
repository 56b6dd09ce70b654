"""Stages 2 and 3: the diffusion transformer, on motion latents alone, then on both with their own timesteps."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from egotwin_model.diffusion.sampler import NUM_TRAIN_TIMESTEPS, PURE_NOISE
from egotwin_model.egotwin.transformer import EgoTwinTransformer
from egotwin_model.geometry.plucker import plucker_maps
from training.stages.adapters import add_adapters, freeze_text, load_start, merged
from training.stages.encoding import LatentClips
from training.stages.preview import Preview
from training.stages.random_streams import RandomStreams
from training.stages.recipes import DiffusionRecipe
from training.stages.sheets import save_sheet
from training.stages.stage import Stage

VALIDATION_CLIPS = 128
VALIDATION_SEED = 7
CONDITIONS = ("camera", "gravity", "prior", "visibility", "depth")  # by `EgoTwinTransformer.forward`'s names
MODALITIES = {"text-to-motion": ("motion",), "joint": ("video", "motion"), "text-to-video": ("video",)}


class DiffusionStage(Stage):
    """v-prediction losses ‖v − v̂‖² of both modalities, t_v and t_m sampled independently (Section 3.3)."""

    def __init__(
        self,
        recipe: DiffusionRecipe,
        train: LatentClips,
        validation: LatentClips,
        start_from: Path | None = None,  # weights of the same model, or CogVideoX's
        preview: Preview | None = None,
    ) -> None:
        self.recipe, self.name, self.modalities = recipe, str(recipe.kind), MODALITIES[recipe.kind]
        self.train, self.validation, self.preview = train, validation, preview
        torch.manual_seed(recipe.train.seed)
        transformer = EgoTwinTransformer(recipe.model)
        if start_from is not None:
            load_start(transformer, start_from)
        if recipe.freeze_text or recipe.adapter_rank:
            freeze_text(transformer)
        if recipe.adapter_rank:
            add_adapters(transformer, recipe.adapter_rank)
        self.model: nn.Module = transformer

    def __len__(self) -> int:
        return len(self.train)

    def batch(self, indices: Tensor, streams: RandomStreams) -> dict[str, Tensor]:
        rows = self.train.text_index[indices].clone()
        rows[streams.uniform() < self.recipe.text_dropout] = 0
        return _gather(self.train, indices, rows)

    def loss(self, model: nn.Module, batch: dict[str, Tensor], streams: RandomStreams) -> dict[str, Tensor]:
        batch, device = _in_float(batch), batch["text"].device
        t_video, t_motion = (t.to(device) for t in draw_timesteps(self.recipe, streams))
        batch = as_known(self.recipe, batch, t_motion, streams)
        noise = {name: streams.normal(*batch[name].shape[1:]).to(device) for name in self.modalities}
        errors = self._errors(model, batch, noise, t_video, t_motion)
        if len(self.modalities) == 1:
            (term,) = errors.values()
            return {"loss": term.mean(), **{name: error.mean() for name, error in errors.items()}}
        shares, times = target_shares(self.recipe), {"video": t_video, "motion": t_motion}
        means = {name: _mean_of_targets(error, times[name], shares[name]) for name, error in errors.items()}
        return {"loss": means["video"] + means["motion"], **means}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Losses at fixed timesteps and noise: all modalities at t, video at t with the motion clean, also with its
        prior."""
        count = min(VALIDATION_CLIPS, len(self.validation))
        device = next(model.parameters()).device
        indices = torch.arange(count)
        batch = _gather(self.validation, indices, self.validation.text_index[indices])
        batch = _in_float({name: value.to(device) for name, value in batch.items()})
        streams = RandomStreams(VALIDATION_SEED, 0, range(count))
        noise = {name: streams.normal(*batch[name].shape[1:]).to(device) for name in self.modalities}
        t = torch.linspace(0, PURE_NOISE, count).long().to(device)
        unseen = without_prior(batch)
        metrics = {f"val_{name}": float(e.mean()) for name, e in self._errors(model, unseen, noise, t, t).items()}
        if len(self.modalities) == 2 and self.recipe.model.asynchronous:
            given = {"val_video_given_motion": unseen} | ({"val_video_given_prior": batch} if "prior" in batch else {})
            for name, known in given.items():
                metrics[name] = float(self._errors(model, known, noise, t, torch.zeros_like(t))["video"].mean())
        return metrics

    def shipped(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights under the model's own names, adapters merged."""
        return merged(weights)

    def sheet(self, model: nn.Module, path: Path) -> None:
        """First frame, goal, sampled frames, body and head path beside the truth."""
        if self.preview is not None:
            save_sheet(path, self.preview.samples(model))

    def resolved(self) -> dict[str, Any]:
        return {"_class_name": "EgoTwinTransformer", **asdict(self.recipe.model)}

    def _errors(
        self, model: nn.Module, batch: dict[str, Tensor], noise: dict[str, Tensor], t_video: Tensor, t_motion: Tensor
    ) -> dict[str, Tensor]:
        """Squared errors per clip of the recipe's modalities, (B,) each."""
        schedule, times = self.recipe.schedule, {"video": t_video, "motion": t_motion}
        clean = {name: batch[name] for name in self.modalities}
        noisy = {name: schedule.add_noise(clean[name], noise[name], times[name]) for name in self.modalities}
        video, motion = clean.get("video"), clean.get("motion")
        predicted = model(
            batch["text"], noisy.get("video"), noisy.get("motion"), t_video, t_motion,
            None if video is None else video[:, 0], None if motion is None else motion[..., 0],
            **{name: batch[name] for name in CONDITIONS if name in batch},
        )  # fmt: skip
        return {
            name: _per_clip(v, schedule.target(clean[name], noise[name], times[name]))
            for name, v in zip(("video", "motion"), predicted, strict=True)
            if name in self.modalities
        }


def draw_timesteps(recipe: DiffusionRecipe, streams: RandomStreams) -> tuple[Tensor, Tensor]:
    """t_v and t_m of each clip, (B,) each: independent; one is clean or absent in the recipe's shares of clips."""
    uniform = streams.uniform(3).T.contiguous()
    t_video = (NUM_TRAIN_TIMESTEPS * (1 - uniform[0] ** recipe.video_noise_bias)).long().clamp(max=PURE_NOISE)
    if not recipe.model.asynchronous:
        return t_video, t_video
    t_motion = (NUM_TRAIN_TIMESTEPS * uniform[1]).long()
    shares = torch.tensor([recipe.motion_clean, recipe.video_clean, recipe.motion_absent, recipe.video_absent])
    kind = torch.bucketize(uniform[2], shares.cumsum(0), right=True)  # 4: both noisy
    t_motion[kind == 0] = 0
    t_video[kind == 1] = 0
    t_motion[kind == 2] = PURE_NOISE
    t_video[kind == 3] = PURE_NOISE
    return t_video, t_motion


def as_known(
    recipe: DiffusionRecipe, batch: dict[str, Tensor], t_motion: Tensor, streams: RandomStreams
) -> dict[str, Tensor]:
    """The batch with prior and depth hidden in those clips that are trained without them.

    A prior is rendered along the true head path, so motion that is still noisy would read its answer from it: it is
    known only where the motion is, up to `prior_until`, as when sampling.
    """
    if "prior" not in batch and "depth" not in batch:
        return batch
    u_prior, u_depth = streams.uniform(2).T.to(t_motion.device)
    if "prior" in batch:
        known = (t_motion <= recipe.prior_until) & (u_prior < recipe.prior_given)
        batch = {**batch, "visibility": batch["visibility"] * known[:, None, None, None, None]}
    if "depth" in batch:
        batch = {**batch, "depth": batch["depth"] * (u_depth < recipe.depth_given)[:, None, None, None]}
    return batch


def without_prior(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The batch with no prior in any clip."""
    return {name: value for name, value in batch.items() if name not in ("prior", "visibility")}


def target_shares(recipe: DiffusionRecipe) -> dict[str, float]:
    """Share of the clips in which a modality is a target; in the others it is clean or absent."""
    if not recipe.model.asynchronous:
        return {"video": 1.0, "motion": 1.0}
    return {
        "video": 1.0 - recipe.video_clean - recipe.video_absent,
        "motion": 1.0 - recipe.motion_clean - recipe.motion_absent,
    }


def _gather(clips: LatentClips, indices: Tensor, rows: Tensor) -> dict[str, Tensor]:
    batch = {"text": clips.texts[rows]}
    for name in ("video", "motion", "gravity", "prior", "visibility", "depth"):
        if (rows_of := getattr(clips, name)) is not None:
            batch[name] = rows_of[indices]
    if clips.camera_poses is not None and clips.camera is not None:
        batch["camera"] = plucker_maps(clips.camera, clips.camera_poses[indices], *batch["video"].shape[-2:])
    return batch


def _in_float(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Cached float16 values as float32, converted on the device since that halves the transfer."""
    return {name: value.float() for name, value in batch.items()}


def _per_clip(predicted: Tensor, target: Tensor) -> Tensor:
    return F.mse_loss(predicted.float(), target, reduction="none").flatten(1).mean(1)


def _mean_of_targets(error: Tensor, timestep: Tensor, share: float) -> Tensor:
    """Mean error of the clips whose modality is a target.

    The divisor is the recipe's share of such clips, not their count in the batch: the mean over processes then equals
    the mean over their common batch.
    """
    target = ((timestep > 0) & (timestep < PURE_NOISE)).to(error.dtype)
    return (error * target).mean() / share
