"""Latents of a data folder, computed once and kept: what stages 2 and 3 train on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from egotwin_model.camera import Pinhole
from egotwin_model.errors import ModelError
from egotwin_model.files import read_json, sha256, write_json
from egotwin_model.motion import MotionStatistics, read_representation
from egotwin_model.runtime import load_motion_vae
from egotwin_model.store import WEIGHTS, load_tensors, save_tensors
from egotwin_model.text import TextEncoder
from egotwin_model.video_vae import encode_video, load_video_vae
from training.codec import to_video
from training.configs import DiffusionRecipe
from training.runs import codec_folder, motion_latents_path, motion_vae_folder
from training.sequences.dataset import ClipSet, open_clips
from training.stage_codec import frames_of
from training.stage_motion import features_of


@dataclass(frozen=True)
class LatentClips:
    """Latents of N clips, standardised to unit scale; what a recipe has no use for is None.

    Attributes:
        video: (N, F, C, h, w) float16. motion: (N, C_m, 21) means, float16.
        texts: (U, L, text_dim) float16, states of the U different texts; row 0 is the empty goal.
        text_index: (N,) row of each clip's text.
        camera_poses: (N, P, 4, 4) float32 T_world_camera of every picture. camera: their intrinsics.
    """

    texts: Tensor
    text_index: Tensor
    video: Tensor | None = None
    motion: Tensor | None = None
    camera_poses: Tensor | None = None
    camera: Pinhole | None = None

    def __len__(self) -> int:
        return len(self.text_index)


def motion_scale(latents: Tensor) -> Tensor:
    """One number for all motion latent channels, so that collapsed channels stay small: scalar tensor."""
    return latents.float().square().mean().sqrt().reshape(1)


@torch.no_grad()
def encode_videos(vae: torch.nn.Module, clips: ClipSet, batch_size: int = 16) -> Tensor:
    """Latent means of every clip, (N, F, C, h, w) float16, in the codec's scale, about unit."""
    parts = []
    for start in tqdm(range(0, len(clips), batch_size), desc="video latents", mininterval=2):
        frames = frames_of(clips, range(start, min(start + batch_size, len(clips))))
        with torch.autocast("cpu", torch.bfloat16):
            mean = encode_video(vae, to_video(frames))
        parts.append(mean.transpose(1, 2).half())
    return torch.cat(parts)


def encode_texts(encoder: TextEncoder, texts: list[str]) -> tuple[Tensor, Tensor]:
    """States of the different texts (row 0: the empty goal) and each text's row."""
    unique = ["", *sorted(set(texts) - {""})]
    rows = {text: row for row, text in enumerate(unique)}
    states = torch.cat([encoder(unique[i : i + 64]).half() for i in range(0, len(unique), 64)])
    return states, torch.tensor([rows[text] for text in texts])


def _kept(path: Path, identity: dict[str, Any], make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Tensors from `path` where they were made of the same things, else made anew and kept there."""
    note = path.with_suffix(".json")
    if path.is_file() and note.is_file() and read_json(note) == identity:
        return load_tensors(path)
    tensors = make()
    save_tensors(path, tensors)
    write_json(note, identity)
    return tensors


@torch.no_grad()
def video_latents(clips: ClipSet, split: str, runs: Path) -> Tensor:
    """Video latents of one split by the codec in ``runs/video-codec``; computed once."""
    folder = codec_folder(runs)
    identity = {"codec": sha256(folder / WEIGHTS), "clips": _clips_identity(clips)}
    path = runs / f"video-latents-{split}.safetensors"
    return _kept(path, identity, lambda: {"video": encode_videos(load_video_vae(folder), clips)})["video"]


@torch.no_grad()
def motion_latents(clips: ClipSet, split: str, runs: Path, representation: str) -> Tensor:
    """Motion latents (N, C_m, 21) of one split at unit scale; the train split's scale is kept beside the VAE."""
    folder = motion_vae_folder(runs, representation)
    scale_path = folder / "latent_scale.safetensors"
    if split != "train" and not scale_path.is_file():
        raise ModelError(f"{scale_path} is missing; encode the train split first")

    def make() -> dict[str, Tensor]:
        vae = load_motion_vae(folder)
        statistics = MotionStatistics.from_tensors(load_tensors(folder / "statistics.safetensors"))
        features = features_of(clips, read_representation({"kind": representation}))
        latents = torch.cat([vae.encode(part).mean for part in statistics.normalise(features).split(512)])
        if split == "train":
            save_tensors(scale_path, {"motion_latent.scale": motion_scale(latents)})
        return {"motion": (latents / load_tensors(scale_path)["motion_latent.scale"]).half()}

    identity = {"motion_vae": sha256(folder / WEIGHTS), "clips": _clips_identity(clips)}
    return _kept(motion_latents_path(runs, representation, split), identity, make)["motion"]


def encode_split(data: Path, split: str, runs: Path, recipe: DiffusionRecipe, encoder: TextEncoder) -> LatentClips:
    """What a recipe needs of one split; latents are computed once, texts every time."""
    clips = open_clips(data / split)
    texts, rows = encode_texts(encoder, [str(record["text"]) for record in clips.records])
    posed = recipe.model.camera_condition
    return LatentClips(
        texts=texts,
        text_index=rows,
        video=None if recipe.kind == "text-to-motion" else video_latents(clips, split, runs),
        motion=None if recipe.representation is None else motion_latents(clips, split, runs, recipe.representation),
        camera_poses=torch.from_numpy(clips.gather("camera_pose")) if posed else None,
        camera=camera_of(clips) if posed else None,
    )


def camera_of(clips: ClipSet) -> Pinhole:
    """The pinhole all clips were made with: square, 90° wide, where the clips' folder does not say otherwise."""
    height, width = clips.tensor("frames", 0).shape[1:3]
    return Pinhole.from_fov(width, height, fov_x=torch.pi / 2)


def _clips_identity(clips: ClipSet) -> dict[str, Any]:
    return {**clips.manifest.settings(), "finished": len(clips)}
