"""The video codec's stage: clips to codec, PSNR on the validation split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from egotwin_model.video_vae import CausalVideoVAE
from training.codec import codec_loss, initialise_shortcuts, psnr, to_video
from training.configs import VideoCodecRecipe
from training.world.shards import Clips, open_clips

VALIDATION_CLIPS = 64
START_CLIPS = 64


def frames_of(clips: Clips, indices: Iterable[int]) -> Tensor:
    """Frames of the given clips, (N, F, H, W, 3) uint8."""
    return torch.from_numpy(np.stack([clips.tensor("frames", index) for index in indices]))


class VideoCodecStage:
    """Trains `CausalVideoVAE` on the frames of a data folder with ``train`` and ``val`` splits."""

    name = "video-codec"

    def __init__(self, recipe: VideoCodecRecipe, data: Path) -> None:
        self.recipe = recipe
        self.clips = open_clips(data / "train")
        validation = open_clips(data / "val")
        self.validation = frames_of(validation, range(min(VALIDATION_CLIPS, len(validation))))
        torch.manual_seed(recipe.train.seed)
        vae = CausalVideoVAE(recipe.model)
        every = max(1, len(self.clips) // START_CLIPS)
        initialise_shortcuts(vae, to_video(frames_of(self.clips, range(0, len(self.clips), every))))
        self.model: nn.Module = vae

    def __len__(self) -> int:
        return len(self.clips)

    def batch(self, indices: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        frames = frames_of(self.clips, indices.tolist())
        mirrored = torch.rand(len(frames), generator=generator) < 0.5  # a mirrored room is a room
        frames[mirrored] = frames[mirrored].flip(3)
        return {"frames": frames}

    def loss(self, model: nn.Module, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        assert isinstance(model, CausalVideoVAE)
        return codec_loss(model, batch["frames"], config=self.recipe.loss)

    def validate(self, model: nn.Module) -> dict[str, float]:
        assert isinstance(model, CausalVideoVAE)
        scores = []
        for frames in self.validation.split(8):
            video = to_video(frames)
            error = model.decode(model.encode(video).latent_dist.mode()).sample.float().clamp(-1, 1) - video
            scores.append(psnr(error))
        return {"val_psnr_db": float(torch.cat(scores).mean())}

    def resolved(self) -> dict[str, Any]:
        return {"_class_name": "CausalVideoVAE", **asdict(self.recipe.model)}
