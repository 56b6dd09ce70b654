"""Latents of a data folder, computed once and kept: what stages 2 and 3 train on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from egotwin_model.errors import ModelError
from egotwin_model.motion_vae import MotionVAE
from egotwin_model.store import load_tensors, save_tensors, sha256
from egotwin_model.text import TextEncoder
from training.codec import to_video
from training.stage_codec import frames_of
from training.stage_motion import features_of
from training.world.shards import Clips, open_clips


@dataclass(frozen=True)
class LatentClips:
    """Latents of N clips, standardised to unit scale.

    Attributes:
        video: (N, F, C, h, w) float16. motion: (N, C_m, 21) means, float16.
        texts: (U, L, text_dim) float16, states of the U different texts; row 0 is the empty goal.
        text_index: (N,) row of each clip's text.
    """

    video: Tensor
    motion: Tensor
    texts: Tensor
    text_index: Tensor

    def __len__(self) -> int:
        return len(self.video)


def motion_scale(latents: Tensor) -> Tensor:
    """One number for all motion latent channels, so that collapsed channels stay small: scalar tensor."""
    return latents.float().square().mean().sqrt().reshape(1)


@torch.no_grad()
def encode_videos(vae: torch.nn.Module, clips: Clips, batch_size: int = 16) -> Tensor:
    """Latent means of every clip, (N, F, C, h, w) float16, in the codec's own scale."""
    parts = []
    for start in tqdm(range(0, len(clips), batch_size), desc="video latents", mininterval=2):
        frames = frames_of(clips, range(start, min(start + batch_size, len(clips))))
        with torch.autocast("cpu", torch.bfloat16):
            mean = vae.encode(to_video(frames)).latent_dist.mode()  # type: ignore[operator]
        parts.append(mean.transpose(1, 2).half())
    return torch.cat(parts)


def encode_texts(encoder: TextEncoder, texts: list[str]) -> tuple[Tensor, Tensor]:
    """States of the different texts (row 0: the empty goal) and each text's row."""
    unique = ["", *sorted(set(texts) - {""})]
    rows = {text: row for row, text in enumerate(unique)}
    states = torch.cat([encoder(unique[i : i + 64]).half() for i in range(0, len(unique), 64)])
    return states, torch.tensor([rows[text] for text in texts])


@torch.no_grad()
def encode_split(
    data: Path, split: str, runs: Path, video_vae: torch.nn.Module, motion_vae: MotionVAE, encoder: TextEncoder
) -> LatentClips:
    """Latents of one split, from ``runs/latents-SPLIT.safetensors`` where that was made by the same models and clips."""
    from egotwin_model.motion import MotionStatistics

    clips = open_clips(data / split)
    folder = runs / "motion-vae"
    path = runs / f"latents-{split}.safetensors"
    sources = {
        name: sha256(runs / name / "diffusion_pytorch_model.safetensors") for name in ("video-codec", "motion-vae")
    }
    identity = json.dumps({**sources, "clips": len(clips)}, sort_keys=True)
    if path.is_file() and (runs / f"latents-{split}.json").read_text() == identity:
        return LatentClips(**load_tensors(path))
    statistics = MotionStatistics.from_tensors(load_tensors(folder / "statistics.safetensors"))
    features = statistics.normalise(features_of(clips))
    motion = torch.cat([motion_vae.encode(part).mean for part in features.split(512)])
    scale_path = folder / "latent_scale.safetensors"
    if split == "train":
        save_tensors(scale_path, {"motion_latent.scale": motion_scale(motion)})
    elif not scale_path.is_file():
        raise ModelError(f"{scale_path} is missing; encode the train split first")
    scale = load_tensors(scale_path)["motion_latent.scale"]
    texts, rows = encode_texts(encoder, [str(record["text"]) for record in clips.records])
    latents = LatentClips(encode_videos(video_vae, clips), (motion / scale).half(), texts, rows)
    save_tensors(path, vars(latents))
    (runs / f"latents-{split}.json").write_text(identity)
    return latents
