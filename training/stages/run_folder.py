"""Where a runs folder keeps each stage: what several rows of the paper's tables share lies there once.

::

    runs/mini/  video-codec/  motion-vae/  motion-decoder/  text-to-motion/  joint/          EgoTwin
                motion-vae-root-centric/                                    stage 1 of the rows without reformulation
                variants/vidmld/  text-to-motion/  joint/                   every other row's stages 2 and 3
                latents/video/train/clips-00000.safetensors …               what networks make of clips, piece by piece
                latents/{text,motion,features,motion-root-centric,…}/{train,val}/
"""

from __future__ import annotations

import json
from pathlib import Path

from egotwin_model.egotwin.variants import VARIANTS
from egotwin_model.io.files import read_json

RECIPE, CLIPS = "recipe.json", "clips.json"  # beside every stage's weights: the whole recipe, and what clips they saw
REPRESENTATION = "representation.json"  # beside a motion VAE: kind and skeleton of the motion it was trained on
STATISTICS = "statistics.safetensors"  # beside a motion VAE: of the features it was trained on
METRICS = "metrics.jsonl"  # a line each time it is validated, and at its end
SCALE = "latent_scale.safetensors"  # and the deviation of its latents, which the transformer sees as 1


def codec_folder(runs: Path) -> Path:
    """The video codec."""
    return runs / "video-codec"


def motion_vae_folder(runs: Path, representation: str) -> Path:
    """Stage 1 of a motion representation."""
    return runs / ("motion-vae" if representation == "head-centric" else f"motion-vae-{representation}")


def motion_decoder_folder(runs: Path) -> Path:
    """The head-centric motion VAE with its decoder trained further."""
    return runs / "motion-decoder"


def latents_folder(runs: Path, what: str, split: str, representation: str = "head-centric") -> Path:
    """What is kept of a split: "video" or "motion" latents, motion "features", "text" states."""
    return runs / "latents" / (what if representation == "head-centric" else f"{what}-{representation}") / split


def diffusion_folder(runs: Path, variant: str, stage: str) -> Path:
    """Stage 2 or 3 of a row of the paper's tables."""
    return runs / stage if variant == VARIANTS[0] else runs / "variants" / variant / stage


def progress(stage: Path) -> tuple[int, int] | None:
    """Finished steps of a stage's folder, and how many its recipe wants; None without a record, as of a given codec."""
    metrics, recipe = stage / METRICS, stage / RECIPE
    if not (metrics.is_file() and recipe.is_file()):
        return None
    lines = metrics.read_text(encoding="utf-8").splitlines()
    return (json.loads(lines[-1])["step"] if lines else 0), int(read_json(recipe)["train"]["steps"])
