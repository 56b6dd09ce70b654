"""What is known of clips beside their frames and motion, cached: priors of their views, depth and gravity.

A camera's depth is exact only in a simulator, so clips get the depth an estimate might give: of some it is the clip's
own, of some it has a smooth error, and of some it is unknown. The choice depends on split and clip alone.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from egotwin_model.geometry.depth_condition import inverse_depth_condition
from egotwin_model.io.files import sha256
from egotwin_model.io.store import CONFIG, WEIGHTS
from egotwin_model.latents.cells import latent_visibility
from egotwin_model.motion.gravity import gravity_in_head
from egotwin_model.video.vae import load_video_vae
from training.datasets.clips.dataset import ClipSet, skeleton_of
from training.datasets.clips.priors import clip_prior, prior_arrays
from training.datasets.latents.cache import MappedRows, cache_shards
from training.stages.frame_latents import clips_at_once, frame_latents, processes
from training.stages.run_folder import codec_folder, latents_folder

EXACT, UNKNOWN = 0.4, 0.1
"""Shares of clips whose depth is their own, and unknown; that of the others has an error."""
LARGEST_ERROR = 0.15
"""Standard deviation of the log of a depth error, at most; a clip's is uniform up to it."""


def known_views(clips: ClipSet, split: str, runs: Path) -> dict[str, MappedRows]:
    """The conditions "prior" (N, F', C, h, w), "visibility" (N, F', 1, h, w) and "depth" (N, 16, h, w) of one split,
    float16, by the codec in ``runs/video-codec``.

    Raises:
        RecordingError: the clips hold no depth.
    """
    folder, team = codec_folder(runs), processes()
    vae = load_video_vae(folder).to(team.device)
    names = prior_arrays(clips[0])
    at_once = clips_at_once(*clips.tensor("frames", 0).shape[:3])

    def encode(clips: ClipSet, rows: range) -> dict[str, Tensor]:
        parts: dict[str, list[Tensor]] = {"prior": [], "visibility": [], "depth": []}
        for first in range(rows.start, rows.stop, at_once):
            some = range(first, min(first + at_once, rows.stop))
            known = [_known_of({name: clips.tensor(name, row) for name in names}, split, row) for row in some]
            frames, visibility, depth = (np.stack(column) for column in zip(*known, strict=True))
            latents = frame_latents(vae, torch.from_numpy(frames))
            size = latents.shape[-2:]
            parts["prior"].append(latents)
            parts["visibility"].append(torch.from_numpy(latent_visibility(visibility, *size)).half())
            parts["depth"].append(torch.from_numpy(inverse_depth_condition(depth, *size)).half())
        return {name: torch.cat(part) for name, part in parts.items()}

    made_by = {
        "codec": sha256(folder / WEIGHTS), "config": sha256(folder / CONFIG),
        "depth": [EXACT, UNKNOWN, LARGEST_ERROR], "split": split,
    }  # fmt: skip
    cached = cache_shards(clips, latents_folder(runs, "prior", split), made_by, encode, team)
    return {name: cached.rows(name) for name in ("prior", "visibility", "depth")}


def gravity(clips: ClipSet, split: str, runs: Path) -> MappedRows:
    """Gravity in the first head frame (N, 3) float32 of one split."""
    head = skeleton_of(clips).head_index

    def encode(clips: ClipSet, rows: range) -> dict[str, Tensor]:
        heads = np.stack([clips.tensor("rotations", row)[0, head] for row in rows])
        return {"gravity": torch.from_numpy(gravity_in_head(heads).astype(np.float32))}

    folder = latents_folder(runs, "gravity", split)
    return cache_shards(clips, folder, {"head": head}, encode, processes()).rows("gravity")


def _known_of(clip: dict[str, Any], split: str, row: int) -> tuple[Any, Any, Any]:
    """Prior frames (F, H, W, 3), their visibility (F, H, W), and the first frame's depth (H, W)."""
    rng = np.random.default_rng([zlib.crc32(split.encode()), row])
    kind, error = rng.random(2) * (1.0, LARGEST_ERROR)
    if kind >= 1.0 - UNKNOWN:
        unknown = (name for name in ("first_depth", "depth", "past_depth") if name in clip)
        clip = clip | {name: np.zeros_like(clip[name]) for name in unknown}
    if kind < EXACT or kind >= 1.0 - UNKNOWN:
        error = 0.0
    prior = clip_prior(clip, error, rng)
    assert prior.depth is not None
    return prior.frames, prior.visibility, prior.depth[0]
