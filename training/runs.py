"""Where a runs folder keeps each stage: what several rows of the paper's tables share lies there once.

::

    runs/mini/  video-codec/  motion-vae/  text-to-motion/  joint/          EgoTwin
                motion-vae-root-centric/                                    stage 1 of the rows without reformulation
                variants/vidmld/  text-to-motion/  joint/                   every other row's stages 2 and 3
                video-latents-train.safetensors  motion-latents-….safetensors
"""

from __future__ import annotations

from pathlib import Path

from egotwin_model.ablations import VARIANTS


def codec_folder(runs: Path) -> Path:
    """The video codec."""
    return runs / "video-codec"


def motion_vae_folder(runs: Path, representation: str) -> Path:
    """Stage 1 of a motion representation."""
    return runs / ("motion-vae" if representation == "head-centric" else f"motion-vae-{representation}")


def motion_latents_path(runs: Path, representation: str, split: str) -> Path:
    """Motion latents of a split."""
    middle = "" if representation == "head-centric" else f"{representation}-"
    return runs / f"motion-latents-{middle}{split}.safetensors"


def diffusion_folder(runs: Path, variant: str, stage: str) -> Path:
    """Stage 2 or 3 of a row of the paper's tables."""
    return runs / stage if variant == VARIANTS[0] else runs / "variants" / variant / stage
