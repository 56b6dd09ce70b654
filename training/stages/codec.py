"""The video codec's stage: clips to codec, PSNR on the validation split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from egotwin_model.video.pixels import to_frames, to_video
from egotwin_model.video.vae import CausalVideoVAE
from training.datasets.clips.dataset import ClipSet
from training.stages.codec_loss import (
    codec_loss,
    initialise_shortcuts,
    psnr,
    random_crop,
)
from training.stages.random_streams import RandomStreams
from training.stages.recipes import VideoCodecRecipe
from training.stages.sheets import Sample, save_sheet
from training.stages.stage import Stage

VALIDATION_CLIPS = 64
START_CLIPS = 64
SHEET_CLIPS = 4


def frames_of(clips: ClipSet, indices: Iterable[int]) -> Tensor:
    """Frames of the given clips, (N, F, H, W, 3) uint8."""
    return torch.from_numpy(np.stack([clips.tensor("frames", index) for index in indices]))


class VideoCodecStage(Stage):
    """Trains `CausalVideoVAE` on the frames of clips."""

    name = "video-codec"

    def __init__(self, recipe: VideoCodecRecipe, train: ClipSet, validation: ClipSet) -> None:
        self.recipe, self.clips = recipe, train
        self.validation = frames_of(validation, range(min(VALIDATION_CLIPS, len(validation))))
        torch.manual_seed(recipe.train.seed)
        vae = CausalVideoVAE(recipe.model)
        every = max(1, len(self.clips) // START_CLIPS)
        initialise_shortcuts(vae, to_video(frames_of(self.clips, range(0, len(self.clips), every))))
        self.model: nn.Module = vae

    def __len__(self) -> int:
        return len(self.clips)

    def batch(self, indices: Tensor, streams: RandomStreams) -> dict[str, Tensor]:
        frames = frames_of(self.clips, indices.tolist())
        mirrored = streams.uniform() < 0.5  # a mirrored room is a room
        frames[mirrored] = frames[mirrored].flip(3)
        return {"frames": frames}

    def loss(self, model: nn.Module, batch: dict[str, Tensor], streams: RandomStreams) -> dict[str, Tensor]:
        frames = random_crop(batch["frames"], self.recipe.loss.crop_frames, streams)
        c = self.recipe.model
        steps = 1 + (frames.shape[1] - 1) // c.temporal_compression_ratio
        height, width = (side // c.spatial_compression_ratio for side in frames.shape[2:4])
        noise = streams.normal(c.latent_channels, steps, height, width).to(frames.device)
        return codec_loss(model, to_video(frames), noise, self.recipe.loss)

    def validate(self, model: nn.Module) -> dict[str, float]:
        assert isinstance(model, CausalVideoVAE)
        scores, device = [], next(model.parameters()).device
        for frames in self.validation.split(8):
            video = to_video(frames.to(device))
            error = model.decode(model.encode(video).latent_dist.mode()).sample.float().clamp(-1, 1) - video
            scores.append(psnr(error))
        return {"val_psnr_db": float(torch.cat(scores).mean())}

    def sheet(self, model: nn.Module, path: Path) -> None:
        """Validation clips, each above its reconstruction."""
        assert isinstance(model, CausalVideoVAE)
        frames = self.validation[:: max(1, len(self.validation) // SHEET_CLIPS)][:SHEET_CLIPS]
        video = to_video(frames.to(next(model.parameters()).device))
        decoded = model.decode(model.encode(video).latent_dist.mode()).sample
        pairs = zip(frames.numpy(), to_frames(decoded).cpu().numpy(), strict=True)
        save_sheet(path, [Sample("", coded, true, None, None) for true, coded in pairs])

    def resolved(self) -> dict[str, Any]:
        return {"_class_name": "CausalVideoVAE", **asdict(self.recipe.model)}
