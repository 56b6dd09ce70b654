"""Encodes clips before training: latents, text states and motion features, computed once and cached.

They are cached shard by shard (`training.datasets.latents.cache`) and read from memory-mapped files, so a split may be
larger than memory. Under `torchrun` the processes share the work, each on its own GPU where there is one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from egotwin_model.errors import ModelError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.io.files import sha256
from egotwin_model.io.store import CONFIG, WEIGHTS, load_tensors, save_tensors
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.root_centric import RootCentric
from egotwin_model.motion.statistics import MotionStatistics
from egotwin_model.motion.vae import load_motion_vae
from egotwin_model.text.encoders import TextEncoder
from egotwin_model.video.vae import load_video_vae
from training.datasets.clips.cameras import ClipCameras
from training.datasets.clips.dataset import ClipSet
from training.datasets.latents.cache import (
    CachedShards,
    MappedRows,
    Piece,
    cache_pieces,
    cache_shards,
    pieces_of,
)
from training.stages.codec import frames_of
from training.stages.compatibility import FRAMES, check_statistics
from training.stages.frame_latents import clips_at_once, frame_latents, processes
from training.stages.known_views import gravity, known_views
from training.stages.recipes import DiffusionRecipe
from training.stages.representations import check_representation, clips_representation
from training.stages.run_folder import (
    SCALE,
    STATISTICS,
    codec_folder,
    latents_folder,
    motion_vae_folder,
)

TEXTS_AT_ONCE, TEXTS_A_PIECE = 64, 128

Rows = Tensor | MappedRows


@dataclass(frozen=True)
class LatentClips:
    """Latents of N clips, standardised to unit scale; None where a recipe does not use them.

    `Rows` are indexed like a tensor's first dimension and give tensors.

    Attributes:
        video: (N, F, C, h, w) float16. motion: (N, C_m, 21) means.
        texts: (U, L, text_dim) float16, states of the U distinct texts; row 0 is the empty goal.
        text_index: (N,) row of each clip's text.
        camera_poses: (N, P, 4, 4) float32 T_world_camera of every frame. camera: their intrinsics.
        gravity: (N, 3) float32 in the first head frame.
        prior, visibility, depth: as `known_views` has them.
    """

    texts: Rows
    text_index: Tensor
    video: Rows | None = None
    motion: Rows | None = None
    camera_poses: Tensor | None = None
    camera: Pinhole | None = None
    gravity: Rows | None = None
    prior: Rows | None = None
    visibility: Rows | None = None
    depth: Rows | None = None

    def __len__(self) -> int:
        return len(self.text_index)


def encode_split(clips: ClipSet, split: str, runs: Path, recipe: DiffusionRecipe, encoder: TextEncoder) -> LatentClips:
    """Latents and text states of one split for a recipe, from the cache or computed; "train" comes before "val".

    Raises:
        ModelError: the cache is damaged, or the clips' motion is unlike that the motion VAE was trained on.
        RecordingError: the recipe wants the camera's rays, and the clips' cameras differ; or it wants a prior or depth,
            and the clips hold no depth.
    """
    states, rows = text_states(encoder, [str(record["text"]) for record in clips.records], split, runs)
    posed = recipe.model.camera_condition
    views = _known_views(clips, split, runs, recipe)
    return LatentClips(
        texts=states,
        text_index=rows,
        video=None if recipe.kind == "text-to-motion" else video_latents(clips, split, runs),
        motion=None if recipe.representation is None else motion_latents(clips, split, runs, recipe.representation),
        camera_poses=torch.from_numpy(clips.gather("camera_pose")) if posed else None,
        camera=ClipCameras(clips).shared().intrinsics if posed else None,
        gravity=gravity(clips, split, runs) if recipe.model.gravity_condition else None,
        **views,
    )


def _known_views(clips: ClipSet, split: str, runs: Path, recipe: DiffusionRecipe) -> dict[str, MappedRows]:
    """Those of `known_views` that a recipe's model takes; none where it has no video tokens."""
    c = recipe.model
    wanted = [*(["prior", "visibility"] if c.prior_condition else []), *(["depth"] if c.depth_condition else [])]
    if recipe.kind == "text-to-motion" or not wanted:
        return {}
    views = known_views(clips, split, runs)
    return {name: views[name] for name in wanted}


def video_latents(clips: ClipSet, split: str, runs: Path) -> MappedRows:
    """Video latents (N, F, C, h, w) float16 of one split by the codec in ``runs/video-codec``."""
    folder, team = codec_folder(runs), processes()
    vae = load_video_vae(folder).to(team.device)
    height, width = clips.tensor("frames", 0).shape[1:3]
    at_once = clips_at_once(FRAMES, height, width)

    def encode(clips: ClipSet, rows: range) -> dict[str, Tensor]:
        parts = (range(first, min(first + at_once, rows.stop)) for first in range(rows.start, rows.stop, at_once))
        return {"video": torch.cat([frame_latents(vae, frames_of(clips, part)) for part in parts])}

    made_by = {"codec": sha256(folder / WEIGHTS), "config": sha256(folder / CONFIG)}
    return cache_shards(clips, latents_folder(runs, "video", split), made_by, encode, team).rows("video")


def motion_features(clips: ClipSet, split: str, runs: Path, representation: HeadCentric | RootCentric) -> CachedShards:
    """Motion features (N, T, D) float32 of one split, not standardised."""

    def encode(clips: ClipSet, rows: range) -> dict[str, Tensor]:
        positions, rotations = (
            np.stack([clips.tensor(name, row) for row in rows]) for name in ("positions", "rotations")
        )
        features = representation.encode(positions, rotations).astype(np.float32, copy=False)
        return {"features": torch.from_numpy(features)}

    folder = latents_folder(runs, "features", split, representation.kind)
    return cache_shards(clips, folder, representation.describe(), encode, processes())


@torch.no_grad()
def motion_latents(clips: ClipSet, split: str, runs: Path, representation: str) -> MappedRows:
    """Motion latents (N, C_m, 21) of one split, at unit scale."""
    folder, team = motion_vae_folder(runs, representation), processes()
    check_representation(clips, runs, representation)
    kind = clips_representation(clips, representation)
    statistics = MotionStatistics.from_tensors(load_tensors(folder / STATISTICS))
    features = motion_features(clips, split, runs, kind).rows("features")
    if split == "train":
        check_statistics(features, statistics, kind, clips.folder, folder)
    vae = load_motion_vae(folder).to(team.device)

    def encode(rows: range) -> dict[str, Tensor]:
        part = statistics.normalise(features[rows.start : rows.stop])
        return {"motion": vae.encode(part.to(team.device)).mean.half().cpu()}

    made_by = {"motion_vae": sha256(folder / WEIGHTS), "statistics": sha256(folder / STATISTICS)}
    kept = latents_folder(runs, "motion", split, representation)
    cached = cache_pieces(pieces_of(clips), kept, made_by, encode, team)
    return cached.rows("motion", divisor=_scale(folder, made_by["motion_vae"], cached if split == "train" else None))


def _scale(folder: Path, vae: str, train: CachedShards | None) -> float:
    """Standard deviation of a motion VAE's latents, one for all channels, so that collapsed channels stay small.

    It is measured once, on the clips that stage 2 is first trained on, and kept beside the VAE's weights.

    Args:
        vae: checksum of the VAE's weights. train: latents of the train split; None: the scale must be there.
    """
    path, name = folder / SCALE, "motion_latent.scale"
    if path.is_file() and _metadata(path).get("motion_vae") == vae:
        return float(load_tensors(path)[name])
    if train is None:
        raise ModelError(f"{path} is missing or of another motion VAE; encode the train split first")
    scale = torch.cat([shard["motion"].float().square().mean(dim=(1, 2)) for shard in train.shards()]).mean().sqrt()
    if processes().is_main_process:
        save_tensors(path, {name: scale.reshape(1)}, {"motion_vae": vae})
    processes().wait_for_everyone()
    return float(scale)


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def text_states(encoder: TextEncoder, texts: list[str], split: str, runs: Path) -> tuple[MappedRows, Tensor]:
    """States (U, L, dim) float16 of the distinct texts of one split (row 0: the empty goal); each text's row."""
    unique, rows = distinct(texts)
    pieces: list[Piece] = []
    for first in range(0, len(unique), TEXTS_A_PIECE):
        part = unique[first : first + TEXTS_A_PIECE]
        digest = hashlib.sha256(json.dumps(part).encode()).hexdigest()
        pieces.append(Piece(f"texts-{len(pieces):05d}", range(first, first + len(part)), digest))

    def encode(rows: range) -> dict[str, Tensor]:
        return {"states": _states(encoder, unique[rows.start : rows.stop])}

    folder, made_by = latents_folder(runs, "text", split), {"encoder": encoder.fingerprint}
    return cache_pieces(pieces, folder, made_by, encode, processes()).rows("states"), rows


def encode_texts(encoder: TextEncoder, texts: list[str]) -> tuple[Tensor, Tensor]:
    """`text_states` of any texts, in memory and not cached."""
    unique, rows = distinct(texts)
    return _states(encoder, unique), rows


def distinct(texts: list[str]) -> tuple[list[str], Tensor]:
    """The distinct texts, the empty goal first, and the row of each text among them."""
    unique = ["", *sorted(set(texts) - {""})]
    rows = {text: row for row, text in enumerate(unique)}
    return unique, torch.tensor([rows[text] for text in texts])


def _states(encoder: TextEncoder, texts: list[str]) -> Tensor:
    return torch.cat([encoder(texts[i : i + TEXTS_AT_ONCE]).half() for i in range(0, len(texts), TEXTS_AT_ONCE)])
