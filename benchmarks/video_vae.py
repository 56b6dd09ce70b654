"""Speed of a size's video codec: encode and decode per clip by runtime, training clips per second by batch size.

python -m benchmarks.video_vae --config mini --threads 1 2
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from egotwin_model.video.vae import CausalVideoVAE
from training.stages.codec_loss import codec_loss
from training.stages.recipes import RECIPES, DiffusionRecipe, VideoCodecRecipe


def milliseconds(call: Callable[[], object], seconds: float = 2.0) -> float:
    """Best wall time of one call, after a warm-up, over about `seconds`."""
    call()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return 1e3 * best


def inputs(recipe: VideoCodecRecipe, size: int, frames: int, batch: int = 1) -> tuple[Tensor, ...]:
    """A video, its latents' shape of noise, and where the codec takes one, a prior with its visibility."""
    c = recipe.model
    video = torch.rand(batch, 3, frames, size, size) * 2 - 1
    side, steps = size // c.spatial_compression_ratio, 1 + (frames - 1) // c.temporal_compression_ratio
    latents = torch.randn(batch, c.latent_channels, steps, side, side)
    known = (torch.rand_like(video) * 2 - 1, torch.rand_like(video[:, :1])) if c.prior_condition else ()
    return video, latents, *known


def time_torch(vae: CausalVideoVAE, given: tuple[Tensor, ...], dtype: torch.dtype) -> tuple[float, float]:
    """Encode and decode of one clip in ms, under autocast to `dtype`."""
    video, latents, *known = given
    with torch.inference_mode(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        return milliseconds(lambda: vae.encode(video)), milliseconds(lambda: vae.decode(latents, *known))


def time_onnx(vae: CausalVideoVAE, given: tuple[Tensor, ...], threads: int) -> tuple[float, float]:
    """The same through ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    times = []
    for module, examples in ((vae.encoder, given[:1]), (vae.decoder, given[1:])):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "graph.onnx"
            torch.onnx.export(module, tuple(examples), path, dynamo=True, verbose=False)
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            names = [node.name for node in session.get_inputs()]
            feed = {name: example.numpy() for name, example in zip(names, examples, strict=True)}
            times.append(milliseconds(partial(session.run, None, feed)))
    return times[0], times[1]


def training_rate(recipe: VideoCodecRecipe, size: int, batch_size: int) -> float:
    """Clips per second of loss, backward and AdamW in bfloat16 on random clips."""
    vae = CausalVideoVAE(recipe.model).train()
    optimizer = torch.optim.AdamW(vae.parameters(), fused=True)
    # what a training step sees of a clip
    video, noise, *known = inputs(recipe, size, recipe.loss.crop_frames, batch_size)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = codec_loss(vae, video, noise, recipe.loss, None, *known)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return 1e3 * batch_size / milliseconds(step, 3.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="mini", choices=["mini", "mini-64", "mini-128"])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch-sizes", type=int, nargs="*", default=[2, 4, 8, 16])
    arguments = parser.parse_args()
    recipes = RECIPES[arguments.config]
    recipe, joint = recipes["video-codec"], recipes["joint"]
    assert isinstance(recipe, VideoCodecRecipe)
    assert isinstance(joint, DiffusionRecipe)
    size = recipe.model.spatial_compression_ratio * joint.model.latent_height
    vae = CausalVideoVAE(recipe.model).eval()
    given = inputs(recipe, size, 41)
    print(f"{sum(p.numel() for p in vae.parameters()) / 1e6:.2f} M parameters; one clip of 41 frames at {size} px")
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        for name, (encode, decode) in {
            "torch fp32": time_torch(vae, given, torch.float32),
            "torch bf16": time_torch(vae, given, torch.bfloat16),
            "onnxruntime fp32": time_onnx(vae, given, threads),
        }.items():
            print(f"{threads} threads  {name:17} encode {encode:6.1f} ms  decode {decode:6.1f} ms")
        if arguments.batch_sizes:
            rates = (f"{batch}: {training_rate(recipe, size, batch):.1f}" for batch in arguments.batch_sizes)
            print(f"{threads} threads  training bf16, clips/s by batch size  {', '.join(rates)}")


if __name__ == "__main__":
    main()
