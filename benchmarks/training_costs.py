"""Costs of training: operations, counted without computing, and GPU-hours at a stated utilisation.

    python -m benchmarks.training_costs                       # every stage of `paper`, on H100s at 40 %
    python -m benchmarks.training_costs --config mini-128 --utilisation 0.3 --peak 312

A training step costs three times its forward pass, since the backward pass computes as much for the inputs and as much
for the weights. For frozen weights it costs twice. As usual, recomputation by gradient checkpointing is not counted;
nor is it in the utilisation that `benchmarks.training` measures.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.model_size import table
from egotwin_model.depth.network import DepthNetwork
from egotwin_model.egotwin.flops import evaluation_flops
from egotwin_model.motion.vae import MotionVAE
from egotwin_model.video.vae import CausalVideoVAE
from training.export.graphs import depth_inputs
from training.stages.compatibility import FRAMES, POSES
from training.stages.recipes import (
    RECIPES,
    DepthRecipe,
    DiffusionRecipe,
    MotionVAERecipe,
    Recipe,
    VideoCodecRecipe,
)

H100_TFLOPS = 989.0  # dense bfloat16, NVIDIA's data sheet of the H100 SXM; the H200's is the same
COGVIDEOX_RATIO = 8  # pixels per latent along a side
FROZEN = ("text and video projections", "text and video MLPs", "AdaLN", "text and patch embedding", "video out")
NYMERIA_CLIPS = 170_000  # by the paper


def training_flops(recipe: Recipe, size: int) -> int:
    """Operations of one clip, `size` pixels wide, in one training step: its forward and its backward pass."""
    match recipe:
        case VideoCodecRecipe():
            return 3 * codec_flops(recipe, size)
        case MotionVAERecipe():
            encoder, decoder = motion_vae_flops(recipe)
            return (1 if recipe.decoder_only else 3) * encoder + 3 * decoder
        case DepthRecipe():
            return 3 * depth_flops(recipe)
        case DiffusionRecipe():
            video, motion = recipe.kind != "text-to-motion", recipe.representation is not None
            frozen = FROZEN if recipe.freeze_text or recipe.adapter_rank else ()
            parts = evaluation_flops(recipe.model, video=video, motion=motion)
            return sum((2 if part in frozen else 3) * count for part, count in parts.items())


def frame_size(name: str) -> int:
    """Pixels along a side of a configuration's frames."""
    joint, codec = RECIPES[name]["joint"], RECIPES[name].get("video-codec")
    assert isinstance(joint, DiffusionRecipe)
    ratio = codec.model.spatial_compression_ratio if isinstance(codec, VideoCodecRecipe) else COGVIDEOX_RATIO
    return joint.model.latent_width * ratio


def codec_flops(recipe: VideoCodecRecipe, size: int) -> int:
    """The forward pass of one random crop in time of a clip `size` pixels wide."""
    c, frames = recipe.model, recipe.loss.crop_frames
    side, steps = size // c.spatial_compression_ratio, 1 + (frames - 1) // c.temporal_compression_ratio
    with torch.device("meta"):
        vae, video = CausalVideoVAE(c), torch.empty(1, 3, frames, size, size)
        noise = torch.empty(1, c.latent_channels, steps, side, side)
        known = (None, video, video[:, :1]) if c.prior_condition else ()
        return counted(lambda: vae(video, noise, *known))


def motion_vae_flops(recipe: MotionVAERecipe) -> tuple[int, int]:
    """The forward pass of one clip through the encoder, and through the decoder."""
    c = recipe.model
    with torch.device("meta"):
        vae, features = MotionVAE(c), torch.empty(1, POSES, c.feature_dim)
        latents = torch.empty(1, c.latent_dim, 1 + (POSES - 1) // c.temporal_compression_ratio)
        return counted(lambda: vae.encoder(features)), counted(lambda: vae.decoder(latents))


def depth_flops(recipe: DepthRecipe) -> int:
    """The forward pass of one view; the plane sweep before it is not counted."""
    with torch.device("meta"):
        network = DepthNetwork(recipe.model)
        inputs = [value[:1] for value in depth_inputs(recipe.model).values()]
        return counted(lambda: network(*inputs))


def encoding_flops(size: int) -> dict[str, int]:
    """Operations of encoding a clip once at the paper's size: video by CogVideoX's VAE, text by T5-XXL."""
    from diffusers import AutoencoderKLCogVideoX
    from transformers import T5Config, T5EncoderModel

    xxl = T5Config(
        vocab_size=32128, d_model=4096, d_kv=64, d_ff=10240, num_layers=24, num_heads=64,
        feed_forward_proj="gated-gelu",
    )  # fmt: skip
    with torch.device("meta"):  # diffusers' defaults are CogVideoX-5b-I2V's sizes
        vae, text = AutoencoderKLCogVideoX().eval(), T5EncoderModel(xxl).eval()
        video, ids = torch.empty(1, 3, FRAMES, size, size), torch.zeros(1, 226, dtype=torch.long)
        return {
            "video latents, once": counted(lambda: vae.encode(video)),
            "text states, once": counted(lambda: text(input_ids=ids)),
        }


def counted(call: Callable[[], object]) -> int:
    """Operations that torch counts in a call."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def costs(name: str, utilisation: float, peak_tflops: float, clips: int) -> list[tuple[str, int, float, float]]:
    """(stage, clips, TFLOP per clip, GPU-hours) of a configuration's stages and of the encoding before them."""
    seconds = 3600 * 1e12 * peak_tflops * utilisation
    rows, size = [], frame_size(name)
    for stage, recipe in RECIPES[name].items():
        seen, flops = recipe.train.steps * recipe.train.batch_size, training_flops(recipe, size)
        rows.append((stage, seen, flops / 1e12, seen * flops / seconds))
    if "video-codec" not in RECIPES[name]:
        for what, flops in encoding_flops(size).items():
            rows.append((what, clips, flops / 1e12, clips * flops / seconds))
    return rows


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", choices=sorted(RECIPES), default="paper", metavar="NAME")
    parser.add_argument("--utilisation", type=float, default=0.4, help="share of the peak that training reaches")
    parser.add_argument("--peak", type=float, default=H100_TFLOPS, help="of the device, TFLOP/s")
    parser.add_argument("--clips", type=int, default=NYMERIA_CLIPS, help="of the train split, for what is encoded once")
    arguments = parser.parse_args(words)
    rows = costs(arguments.config, arguments.utilisation, arguments.peak, arguments.clips)
    print(f"{arguments.config} at {arguments.utilisation:.0%} of {arguments.peak:g} TFLOP/s\n")
    table(["", "clips", "TFLOP a clip", "GPU-hours"], [
        (stage, f"{seen:,}", f"{flops:.4g}", f"{hours:.3g}") for stage, seen, flops, hours in rows
    ])  # fmt: skip
    print(f"GPU-hours in all: {sum(hours for *_, hours in rows):.3g}")


if __name__ == "__main__":
    main()
