"""Speed of the mini video codec: encode and decode per clip by runtime, training clips per second by batch size.

python -m benchmarks.video_vae --threads 1 2
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

from egotwin_model.video.pixels import to_video
from egotwin_model.video.vae import CausalVideoVAE
from training.stages.codec_loss import CodecLossConfig, codec_loss


def milliseconds(call: Callable[[], object], seconds: float = 2.0) -> float:
    """Best wall time of one call, after a warm-up, over about `seconds`."""
    call()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return 1e3 * best


def time_torch(vae: CausalVideoVAE, dtype: torch.dtype) -> tuple[float, float]:
    """Encode and decode of one 41-frame 64 px clip in ms, under autocast to `dtype`."""
    video = torch.rand(1, 3, 41, 64, 64) * 2 - 1
    with torch.inference_mode(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        latents = vae.encode(video).latent_dist.mode()
        return milliseconds(lambda: vae.encode(video)), milliseconds(lambda: vae.decode(latents))


def time_onnx(vae: CausalVideoVAE, threads: int) -> tuple[float, float]:
    """The same through ONNX Runtime."""
    video = torch.rand(1, 3, 41, 64, 64) * 2 - 1
    latents = torch.randn(1, vae.config.latent_channels, 11, 8, 8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    times = []
    for module, example in ((vae.encoder, video), (vae.decoder, latents)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "graph.onnx"
            torch.onnx.export(module, (example,), path, dynamo=True, verbose=False)
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            feed = {session.get_inputs()[0].name: example.numpy()}
            times.append(milliseconds(partial(session.run, None, feed)))
    return times[0], times[1]


def training_rate(batch_size: int) -> float:
    """Clips per second of loss, backward and AdamW in bfloat16 on random clips."""
    vae = CausalVideoVAE().train()
    optimizer = torch.optim.AdamW(vae.parameters(), fused=True)
    length = CodecLossConfig().crop_frames  # what a training step sees of a clip
    video = to_video(torch.randint(0, 256, (batch_size, length, 64, 64, 3), dtype=torch.uint8))
    noise = torch.randn(batch_size, vae.config.latent_channels, 1 + (length - 1) // 4, 8, 8)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = codec_loss(vae, video, noise)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return 1e3 * batch_size / milliseconds(step, 3.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[2, 4, 8, 16])
    arguments = parser.parse_args()
    vae = CausalVideoVAE().eval()
    print(f"{sum(p.numel() for p in vae.parameters()) / 1e6:.2f} M parameters; one clip of 41 frames at 64 px")
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        for name, (encode, decode) in {
            "torch fp32": time_torch(vae, torch.float32),
            "torch bf16": time_torch(vae, torch.bfloat16),
            "onnxruntime fp32": time_onnx(vae, threads),
        }.items():
            print(f"{threads} threads  {name:17} encode {encode:6.1f} ms  decode {decode:6.1f} ms")
        rates = ", ".join(f"{size}: {training_rate(size):.1f}" for size in arguments.batch_sizes)
        print(f"{threads} threads  training bf16, clips/s by batch size  {rates}")


if __name__ == "__main__":
    main()
