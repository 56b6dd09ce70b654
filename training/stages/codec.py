"""The video codec's stage: clips, and what is known of them beforehand, to codec; PSNR on the validation split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from egotwin_model.io.images import write_png
from egotwin_model.video.pixels import to_frames, to_video
from egotwin_model.video.vae import CausalVideoVAE
from training.datasets.clips.dataset import ClipSet
from training.datasets.latents.cache import MappedRows
from training.stages.codec_loss import (
    codec_loss,
    initialise_shortcuts,
    laplacian_variance,
    psnr,
    random_crop,
)
from training.stages.perceptual import PerceptualDistance
from training.stages.prior_pixels import prior_pixels, split_prior
from training.stages.random_streams import RandomStreams
from training.stages.recipes import VideoCodecRecipe
from training.stages.sheets import SHOWN_FRAMES, Sample, save_sheet
from training.stages.stage import Stage

VALIDATION_CLIPS = 64  # of 64 px; fewer of larger ones, but not below this:
LEAST_VALIDATION_CLIPS = 24
START_CLIPS = 64
START_FRAMES = 41, 9  # of each, up to 64 px and above
SHEET_CLIPS = 4
VISIBLE = 0.5  # visibility from which the metrics count a pixel as visible


class Decoded(NamedTuple):
    """A validation clip (1, 3, F, H, W): the truth, decoded without a prior and with it, the prior, its visibility."""

    video: Tensor
    alone: Tensor
    informed: Tensor | None = None
    prior: Tensor | None = None
    visibility: Tensor | None = None


def frames_of(clips: ClipSet, indices: Iterable[int]) -> Tensor:
    """Frames of the given clips, (N, F, H, W, 3) uint8."""
    return torch.from_numpy(np.stack([clips.tensor("frames", index) for index in indices]))


class VideoCodecStage(Stage):
    """Trains `CausalVideoVAE` on the frames of clips, and with `prior_condition` on their priors.

    Args:
        runs: folder that holds the stages; the priors are cached there.
    """

    name = "video-codec"

    def __init__(self, recipe: VideoCodecRecipe, train: ClipSet, validation: ClipSet, runs: Path) -> None:
        self.recipe, self.clips = recipe, train
        height, width = train.tensor("frames", 0).shape[1:3]
        large = height * width > 64 * 64
        wanted = max(LEAST_VALIDATION_CLIPS, VALIDATION_CLIPS * 64 * 64 // (height * width))
        self.validation = frames_of(validation, range(min(wanted, VALIDATION_CLIPS, len(validation))))
        self.priors: MappedRows | None = None
        if recipe.model.prior_condition:
            self.priors = prior_pixels(train, "train", runs, recipe.prior_error, len(self))
            count = len(self.validation)
            self.validation_priors = prior_pixels(validation, "val", runs, recipe.prior_error, count)[:count]
        torch.manual_seed(recipe.train.seed)
        vae = CausalVideoVAE(recipe.model)
        every = max(1, len(self) // START_CLIPS)
        length = START_FRAMES[large]
        some = [frames_of(self.clips, [index])[:, -length:] for index in range(0, len(self), every)]
        initialise_shortcuts(vae, to_video(torch.cat(some)))
        self.model: nn.Module = vae
        self.perceptual: PerceptualDistance | None = None
        if recipe.loss.perceptual_weight:
            self.perceptual = PerceptualDistance()

    def __len__(self) -> int:
        return min(len(self.clips), self.recipe.clips or len(self.clips))

    def batch(self, indices: Tensor, streams: RandomStreams) -> dict[str, Tensor]:
        frames = frames_of(self.clips, indices.tolist())
        mirrored = streams.uniform() < 0.5  # a mirrored room is a room
        if self.priors is not None:
            prior = self.priors[indices]
            prior[streams.uniform() >= self.recipe.prior_share] = 0
            frames = torch.cat([frames, prior], dim=-1)
        frames[mirrored] = frames[mirrored].flip(3)
        return {"frames": frames}

    def loss(self, model: nn.Module, batch: dict[str, Tensor], streams: RandomStreams) -> dict[str, Tensor]:
        recipe, c = self.recipe, self.recipe.model
        frames = random_crop(batch["frames"], recipe.loss.crop_frames, streams)
        steps = 1 + (frames.shape[1] - 1) // c.temporal_compression_ratio
        height, width = (side // c.spatial_compression_ratio for side in frames.shape[2:4])
        noise, offset = streams.normal(c.latent_channels, steps, height, width).to(frames.device), None
        if recipe.latent_offset:
            scale = recipe.latent_offset * streams.uniform()[:, None, None, None, None].to(frames.device)
            offset = scale * streams.normal(c.latent_channels, steps, height, width).to(frames.device)
        prior, visibility = split_prior(frames[..., 3:]) if c.prior_condition else (None, None)
        if self.perceptual is not None:
            self.perceptual.to(frames.device)
        video = to_video(frames[..., :3])
        return codec_loss(model, video, noise, recipe.loss, offset, prior, visibility, self.perceptual)

    def validate(self, model: nn.Module) -> dict[str, float]:
        """PSNR without and with a prior, on visible and on hidden pixels beside that of the prior itself; and
        sharpness, 1 for that of the truth. Each is a mean over clips, and all but PSNR leave out the first frame."""
        assert isinstance(model, CausalVideoVAE)
        scores: dict[str, list[float]] = {}
        for clip in self._decoded(model):
            for name, value in self._scores(clip).items():
                scores.setdefault(name, []).append(float(value))
        return {name: float(np.nanmean(values)) for name, values in scores.items()}

    def _scores(self, clip: Decoded) -> dict[str, Tensor]:
        """Metrics of one clip; NaN where it has no such pixels."""
        video, best = clip.video, clip.alone
        found = {"val_psnr_db": psnr(clip.alone - video)}
        if clip.informed is not None and clip.prior is not None and clip.visibility is not None:
            best = clip.informed
            error, raw = ((each - video)[:, :, 1:].square() for each in (best, clip.prior))
            seen = (clip.visibility[:, :, 1:] >= VISIBLE).expand_as(error)
            found["val_psnr_prior_db"] = psnr(best - video)
            found["val_psnr_visible_db"], found["val_psnr_hidden_db"] = _decibels(error[seen]), _decibels(error[~seen])
            found["val_prior_itself_db"] = _decibels(raw[seen])
        found["val_sharpness"] = laplacian_variance(best[:, :, 1:]) / laplacian_variance(video[:, :, 1:])
        if self.perceptual is not None:
            pair = (x[:, :, 4::8].transpose(1, 2).flatten(0, 1) for x in (best, video))
            found["val_perceptual"] = self.perceptual(*pair)
        return found

    def _decoded(self, model: CausalVideoVAE) -> Iterator[Decoded]:
        """The validation clips, one after the other."""
        device = next(model.parameters()).device
        for row in range(len(self.validation)):
            video = to_video(self.validation[row : row + 1].to(device))
            latents = model.encode(video).latent_dist.mode()
            alone = model.decode(latents).sample.float().clamp(-1, 1)
            if self.priors is None:
                yield Decoded(video, alone)
                continue
            prior, visibility = split_prior(self.validation_priors[row : row + 1].to(device))
            informed = model.decode(latents, prior, visibility).sample.float().clamp(-1, 1)
            yield Decoded(video, alone, informed, prior, visibility)

    def sheet(self, model: nn.Module, path: Path) -> None:
        """Validation clips: each above its reconstruction, with the prior between them where there is one."""
        assert isinstance(model, CausalVideoVAE)
        rows = torch.arange(0, len(self.validation), max(1, len(self.validation) // SHEET_CLIPS))[:SHEET_CLIPS]
        frames, device = self.validation[rows], next(model.parameters()).device
        latents = model.encode(to_video(frames.to(device))).latent_dist.mode()
        if self.priors is None:
            pairs = zip(frames.numpy(), to_frames(model.decode(latents).sample).cpu().numpy(), strict=True)
            save_sheet(path, [Sample("", coded, true, None, None) for true, coded in pairs])
            return
        pixels = self.validation_priors[rows]
        decoded = to_frames(model.decode(latents, *split_prior(pixels.to(device))).sample).cpu()
        shown = np.linspace(0, frames.shape[1] - 1, SHOWN_FRAMES).round().astype(int)
        prior = pixels[..., :3] * (pixels[..., 3:] >= 255 * VISIBLE)
        strips = torch.stack([frames, prior, decoded], dim=1)[:, :, shown]  # (clip, line, frame, H, W, 3)
        count, lines, columns, height, width, _ = strips.shape
        image = strips.permute(0, 1, 3, 2, 4, 5).reshape(count * lines * height, columns * width, 3)
        write_png(path, np.ascontiguousarray(image.numpy()))

    def resolved(self) -> dict[str, Any]:
        return {"_class_name": "CausalVideoVAE", **asdict(self.recipe.model)}


def _decibels(square: Tensor) -> Tensor:
    """PSNR of squared errors, pixels in [-1, 1]; NaN where there are none."""
    return 10.0 * torch.log10(4.0 / square.mean())
