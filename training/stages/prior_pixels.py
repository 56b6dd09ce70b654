"""Priors of clips as pixels, rendered once and cached: what the video codec's decoder is trained to use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from egotwin_model.video.pixels import to_video
from training.datasets.clips.dataset import ClipSet
from training.datasets.clips.priors import clip_prior, prior_arrays
from training.datasets.latents.cache import MappedRows, cache_pieces, pieces_of
from training.stages.frame_latents import processes
from training.stages.run_folder import latents_folder


def prior_pixels(clips: ClipSet, split: str, runs: Path, most_error: float, count: int) -> MappedRows:
    """RGB and visibility (0 to 255) of the priors of the first `count` clips or more: uint8 (N, F, H, W, 4).

    Args:
        most_error: each clip's depth error is drawn between 0 and this (`clip_prior`).

    Raises:
        RecordingError: the clips hold no depth.
        ModelError: a cached piece is damaged, or the disk is full.
    """
    names = prior_arrays(clips[0])

    def render(rows: range) -> dict[str, Tensor]:
        found = []
        for row in rows:
            rng = np.random.default_rng((row, 0))
            prior = clip_prior({name: clips.tensor(name, row) for name in names}, rng.uniform(0.0, most_error), rng)
            visibility = np.round(255.0 * prior.visibility).astype(np.uint8)
            found.append(np.concatenate([prior.frames, visibility[..., None]], axis=-1))
        return {"prior": torch.from_numpy(np.stack(found))}

    pieces = [piece for piece in pieces_of(clips) if piece.rows.start < count]
    folder = latents_folder(runs, "prior-pixels", split)
    return cache_pieces(pieces, folder, {"most_error": most_error}, render, processes()).rows("prior")


def split_prior(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of `prior_pixels` as the decoder takes them: RGB (B, 3, F, H, W) in [-1, 1], visibility (B, 1, F, H, W)."""
    return to_video(pixels[..., :3]), pixels[..., 3].unsqueeze(1).float() / 255.0
