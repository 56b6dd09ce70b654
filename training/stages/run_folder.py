"""Where a runs folder keeps each stage; stages that several rows of the paper's tables share are kept once.

::

    runs/mini/  depth/                                                      where `egotwin train depth` ran
                video-codec/  motion-vae/  motion-decoder/  text-to-motion/  joint/          EgoTwin
                motion-vae-root-centric/                                    stage 1 of the rows without reformulation
                variants/vidmld/  text-to-motion/  joint/                   every other row's stages 2 and 3
                latents/video/train/clips-00000.safetensors …               outputs of networks for clips, in pieces
                latents/{text,motion,features,prior,gravity,…}/{train,val}/
"""

from __future__ import annotations

import json
from pathlib import Path

from egotwin_model.egotwin.variants import VARIANTS
from egotwin_model.io.files import read_json

RECIPE, CLIPS = "recipe.json", "clips.json"  # beside every stage's weights: the recipe, and the clips it was trained on
REPRESENTATION = "representation.json"  # beside a motion VAE: kind and skeleton of the motion it was trained on
STATISTICS = "statistics.safetensors"  # beside a motion VAE: of the features it was trained on
METRICS = "metrics.jsonl"  # a line for each validation
SCALE = "latent_scale.safetensors"  # standard deviation of its latents, by which they are divided


def codec_folder(runs: Path) -> Path:
    """The video codec."""
    return runs / "video-codec"


def depth_folder(runs: Path) -> Path:
    """The depth network."""
    return runs / "depth"


def motion_vae_folder(runs: Path, representation: str) -> Path:
    """Stage 1 of a motion representation."""
    return runs / ("motion-vae" if representation == "head-centric" else f"motion-vae-{representation}")


def motion_decoder_folder(runs: Path) -> Path:
    """The head-centric motion VAE with its decoder trained further."""
    return runs / "motion-decoder"


def latents_folder(runs: Path, what: str, split: str, representation: str = "head-centric") -> Path:
    """The folder of one kind of cached rows of a split: "video" or "motion" latents, "features", "text" states."""
    return runs / "latents" / (what if representation == "head-centric" else f"{what}-{representation}") / split


def stage_folder(runs: Path, stage: str, *, variant: str = VARIANTS[0], representation: str = "head-centric") -> Path:
    """The folder of a stage by its name; stages of motion codecs and of transformers have several, by their kind."""
    match stage:
        case "depth":
            return depth_folder(runs)
        case "video-codec":
            return codec_folder(runs)
        case "motion-vae":
            return motion_vae_folder(runs, representation)
        case "motion-decoder":
            return motion_decoder_folder(runs)
        case _:
            return diffusion_folder(runs, variant, stage)


def diffusion_folder(runs: Path, variant: str, stage: str) -> Path:
    """Stage 2 or 3 of a row of the paper's tables."""
    return runs / stage if variant == VARIANTS[0] else runs / "variants" / variant / stage


def progress(stage: Path) -> tuple[int, int] | None:
    """Finished steps of a stage and those of its recipe; None without a record, as for CogVideoX's codec."""
    metrics, recipe = stage / METRICS, stage / RECIPE
    if not (metrics.is_file() and recipe.is_file()):
        return None
    lines = metrics.read_text(encoding="utf-8").splitlines()
    return (json.loads(lines[-1])["step"] if lines else 0), int(read_json(recipe)["train"]["steps"])
