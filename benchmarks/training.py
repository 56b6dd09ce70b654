"""Training speed of each stage: clips per second, time spent waiting for data, utilisation, scaling to two processes.

    python -m benchmarks.training                                   # mini here: every stage, then one and two processes
    python -m benchmarks.training --config mini-128 --device cuda   # every stage on one GPU
    python -m benchmarks.training --config paper --stages joint --batch 2 --device cuda  # 95 GB of weights and states

Each line is a run of the trainer itself (`training.stages.trainer.Run`) in a process of its own, on random clips that
are read from mapped files as in training. Utilisation is the rate of operations of the forward and backward pass
(`benchmarks.training_costs`) relative to that of a large matrix product in the same run, precision and threads. On a
CPU the last stage is also trained with the default settings of the C library's allocator, which gives large blocks back
to the system at once. Other work on the machine lowers all figures; its load is printed with them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.model import roofline
from benchmarks.model_size import table
from benchmarks.training_costs import frame_size, training_flops
from egotwin_model.egotwin.config import DEPTH_CHANNELS
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.io.files import write_json
from egotwin_model.io.store import save_component
from egotwin_model.motion.vae import MotionVAE
from training.datasets.clips.dataset import ClipSet, open_clips
from training.datasets.clips.shards import Manifest, shard_name, write_shard
from training.datasets.latents.cache import MappedRows, Piece, cache_pieces
from training.stages.allocation import freed_memory_kept
from training.stages.codec import VideoCodecStage
from training.stages.compatibility import FRAMES, POSES
from training.stages.diffusion import DiffusionStage
from training.stages.encoding import LatentClips
from training.stages.motion import MotionDecoderStage, MotionVAEStage
from training.stages.recipes import (
    RECIPES,
    DiffusionRecipe,
    MotionVAERecipe,
    Recipe,
    VideoCodecRecipe,
)
from training.stages.run_folder import motion_vae_folder
from training.stages.stage import Stage
from training.stages.trainer import Run, Throughput

ROOT = Path(__file__).resolve().parents[1]
CLIPS, CLIPS_A_PIECE = 96, 16


def random_clips(folder: Path, size: int) -> ClipSet:
    """Clips of noise in the form of the simulator's."""
    manifest, rng = Manifest("train", seed=0, num_clips=CLIPS, size=size), np.random.default_rng(0)
    for index in range(CLIPS // CLIPS_A_PIECE):
        turns = np.linalg.qr(rng.standard_normal((CLIPS_A_PIECE, POSES, 23, 3, 3)))[0].astype(np.float32)
        arrays = {
            "frames": rng.integers(0, 256, (CLIPS_A_PIECE, FRAMES, size, size, 3), dtype=np.uint8),
            "positions": rng.standard_normal((CLIPS_A_PIECE, POSES, 23, 3)).astype(np.float32),
            "rotations": turns * np.linalg.det(turns)[..., None, None],
            "camera_pose": np.tile(np.eye(4, dtype=np.float32), (CLIPS_A_PIECE, FRAMES, 1, 1)),
            "first_depth": rng.uniform(1.0, 5.0, (CLIPS_A_PIECE, size, size)).astype(np.float16),
            "intrinsics": np.tile(np.float32([size / 2, size / 2, (size - 1) / 2, (size - 1) / 2]), (CLIPS_A_PIECE, 1)),
        }
        digest = write_shard(folder, index, arrays, [{"text": "walk on"}] * CLIPS_A_PIECE)
        manifest.shards[shard_name(index)] = {"clips": CLIPS_A_PIECE, "sha256": digest}
    manifest.save(folder)
    return open_clips(folder)


def random_latents(recipe: DiffusionRecipe, folder: Path) -> LatentClips:
    """Latents and text states of noise, cached and mapped as those of a split."""
    c = recipe.model
    shapes: dict[str, tuple[int, ...]] = {"text": (c.text_length, c.text_dim)}
    if recipe.kind != "text-to-motion":
        shapes["video"] = (c.latent_frames, c.latent_channels, c.latent_height, c.latent_width)
        if c.prior_condition:
            shapes |= {"prior": shapes["video"], "visibility": (c.latent_frames, 1, c.latent_height, c.latent_width)}
        if c.depth_condition:
            shapes["depth"] = (DEPTH_CHANNELS, c.latent_height, c.latent_width)
    if recipe.representation is not None:
        shapes["motion"] = (c.motion_channels, c.motion_length)
        if c.gravity_condition:
            shapes["gravity"] = (3,)
    pieces = [
        Piece(f"piece-{first:05d}", range(first, first + CLIPS_A_PIECE), first)
        for first in range(0, CLIPS, CLIPS_A_PIECE)
    ]

    def noise(rows: range) -> Mapping[str, Tensor]:
        generator = torch.Generator().manual_seed(rows.start)
        return {name: torch.randn(len(rows), *shape, generator=generator).half() for name, shape in shapes.items()}

    cached = cache_pieces(pieces, folder, {}, noise)
    rows: dict[str, MappedRows] = {name: cached.rows(name) for name in shapes}
    posed = c.camera_condition
    return LatentClips(
        texts=rows["text"],
        text_index=torch.arange(CLIPS),
        **{name: rows.get(name) for name in ("video", "motion", "prior", "visibility", "depth", "gravity")},
        camera_poses=torch.eye(4).repeat(CLIPS, FRAMES, 1, 1) if posed else None,
        camera=Pinhole.from_fov(8 * c.latent_width, 8 * c.latent_height, fov_x=np.pi / 2) if posed else None,
    )


def random_stage(recipe: Recipe, size: int, folder: Path) -> Stage:
    """The real stage on random clips."""
    match recipe:
        case VideoCodecRecipe():
            clips = random_clips(folder / "clips", size)
            return VideoCodecStage(recipe, clips, clips, folder)
        case MotionVAERecipe():
            clips, whole = random_clips(folder / "clips", 8), motion_vae_folder(folder, recipe.representation)
            stage = MotionVAEStage(recipe, clips, clips, folder, whole)
            if not recipe.decoder_only:
                return stage
            assert isinstance(stage.model, MotionVAE)
            save_component(whole, stage.model)
            return MotionDecoderStage(recipe, clips, clips, folder, folder)
        case DiffusionRecipe():
            latents = random_latents(recipe, folder / "latents")
            return DiffusionStage(recipe, latents, latents)


def work(arguments: argparse.Namespace) -> None:
    """One worker's part of a measurement; the main one prints the figures as its last line."""
    recipe, size = RECIPES[arguments.config][arguments.work], frame_size(arguments.config)
    steps, batch = arguments.warmup + arguments.steps, arguments.batch or recipe.train.batch_size
    config = replace(recipe.train, steps=steps, batch_size=batch, tracker="none")
    with contextlib.ExitStack() as held:
        folder = held.enter_context(tempfile.TemporaryDirectory())  # each process has its own
        stage = random_stage(recipe, size, Path(folder))
        run = Run(stage, config, Path(folder) / "run")
        device = run.accelerator.device.type
        if device == "cpu" and not arguments.plain_allocator:  # as `trainer.train` does
            held.enter_context(freed_memory_kept())
        dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
        before = roofline(dtype, 5, time.perf_counter, device)
        with contextlib.closing(run.loader.batches(0)) as batches:
            for step in range(arguments.warmup):
                run.step(step, batches)
            run.accelerator.wait_for_everyone()
            run.throughput, begun = Throughput(), time.perf_counter()
            for step in range(arguments.warmup, steps):
                run.step(step, batches)
            if device == "cuda":
                torch.cuda.synchronize()
            seconds = time.perf_counter() - begun
        peak = max(before, roofline(dtype, 5, time.perf_counter, device))
        rate = batch * arguments.steps / seconds
        flops = training_flops(recipe, size)
        share = flops * rate / run.accelerator.num_processes / peak
        found = {
            "batch": batch, "clips_per_s": rate, "data_wait": run.throughput.report()["data_wait"],
            "flops_per_clip": flops, "peak_flops": peak, "utilisation": share, "precision": config.precision,
            "parameters": sum(parameter.numel() for parameter in stage.model.parameters()),
            "peak_bytes": torch.cuda.max_memory_allocated() if device == "cuda" else None,
        }  # fmt: skip
        if run.accelerator.is_main_process:
            print(json.dumps(found))
        run.accelerator.end_training()


def measure(arguments: argparse.Namespace, stage: str, processes: int, threads: int, *extra: str) -> dict[str, Any]:
    """Figures of one stage, trained by `processes` workers of `threads` threads."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    options = ["--config", arguments.config, "--steps", str(arguments.steps), "--warmup", str(arguments.warmup)]
    options += [*(["--batch", str(arguments.batch)] if arguments.batch else []), *extra]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    if arguments.device == "cpu":
        environment["ACCELERATE_USE_CPU"] = "true"
    command = [*(launcher if processes > 1 else []), "-m", "benchmarks.training", "--work", stage, *options]
    done = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{stage} with {processes} processes failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main(words: Sequence[str] | None = None) -> dict[str, Any]:
    arguments = parse(words)
    if arguments.work:
        work(arguments)
        return {}
    here = torch.cuda.get_device_name() if arguments.device == "cuda" else f"CPU, {arguments.threads} threads"
    load = f"; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before the start"
    print(f"{arguments.config}, {here}, {arguments.steps} steps after {arguments.warmup}{load}\n")
    stages = arguments.stages or list(RECIPES[arguments.config])
    found: dict[str, Any] = {"config": arguments.config, "device": here, "stages": {}, "scaling": {}}
    for stage in stages:
        found["stages"][stage] = measure(arguments, stage, 1, arguments.threads)
    table(["stage", "million parameters", "clips a step", "clips/s", "data wait", "GFLOP a clip", "utilisation"], [
        (stage, f"{f['parameters'] / 1e6:.1f}", f["batch"], f"{f['clips_per_s']:.4g}", f"{f['data_wait']:.1%}",
         f"{f['flops_per_clip'] / 1e9:.4g}", f"{f['utilisation']:.0%} of {f['peak_flops'] / 1e12:.3g} TFLOP/s")
        for stage, f in found["stages"].items()
    ])  # fmt: skip
    if arguments.device == "cpu":
        last = stages[-1]
        one, two = (measure(arguments, last, processes, 1) for processes in (1, 2))
        plain = measure(arguments, last, 1, 1, "--plain-allocator")
        found["scaling"] = {"stage": last, "one": one, "two": two, "plain_allocator": plain}
        rows = (("one process", one), ("two processes, gloo", two), ("one, the allocator as it comes", plain))
        table([f"{last}, one thread a process", "clips/s", "of one's", "data wait"], [
            (name, f"{f['clips_per_s']:.4g}", f"{f['clips_per_s'] / one['clips_per_s']:.2f}", f"{f['data_wait']:.1%}")
            for name, f in rows
        ])  # fmt: skip
    if arguments.json:
        write_json(arguments.json, found)
    return found


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", choices=sorted(RECIPES), default="mini", metavar="NAME")
    parser.add_argument("--stages", nargs="+", metavar="STAGE", help="default: all of the configuration's")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, help="clips a step; default: the configuration's, over all processes")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of the runs with one process")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    parser.add_argument("--work", help=argparse.SUPPRESS)  # this process is one of the workers
    parser.add_argument("--plain-allocator", action="store_true", help=argparse.SUPPRESS)  # without `freed_memory_kept`
    arguments = parser.parse_args(words)
    arguments.stages = [arguments.work] if arguments.work else arguments.stages
    if unknown := set(arguments.stages or []) - RECIPES[arguments.config].keys():
        parser.error(f"{arguments.config} has no stage {', '.join(sorted(unknown))}")
    return arguments


if __name__ == "__main__":
    main()
