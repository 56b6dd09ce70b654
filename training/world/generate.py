"""Make clips of our own world: rooms, people moving in them, and what they see; `python -m training.world.generate`.

Every shard follows from (seed, split, shard number) alone, so any number of workers makes the same clips, and an
interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from egotwin_model.errors import RecordingError
from training.world.canvas import screenless
from training.world.clips import Options, room_clips
from training.world.plan import NoRoomError
from training.world.scene import SPLIT_SEEDS
from training.world.shards import SHARD_CLIPS, Manifest, shard_name, write_shard

CLIPS_PER_ROOM = 8
ROOMS_PER_SHARD = 2 * SHARD_CLIPS // CLIPS_PER_ROOM
Made = dict[str, Any]
"""What the manifest says of one shard: clips, sha256, redrawn."""


def generate(
    out_dir: Path | str,
    split: str,
    num_clips: int,
    seed: int = 0,
    size: int = 64,
    workers: int = 2,
    options: Options | None = None,
) -> Manifest:
    """Write clips into `out_dir` as `shards` describes, skipping shards that are already finished.

    Args:
        split: "train", "val" or "test"; rooms, bodies, styles and wordings differ between them.
        num_clips: how many clips; the last shard may be short.
        size: side of the square pictures, pixels; `options` say more.
        workers: processes, 1 for this one alone; the result does not depend on it.

    Raises:
        RecordingError: `out_dir` already holds clips made with other settings.
    """
    folder, options = Path(out_dir), options or Options(size)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = Manifest(split=split, seed=seed, num_clips=num_clips, size=options.size, options=asdict(options))
    manifest = _resume(folder, wanted)
    counts = [min(SHARD_CLIPS, num_clips - start) for start in range(0, num_clips, SHARD_CLIPS)]
    todo = [i for i in range(len(counts)) if shard_name(i) not in manifest.shards]
    bar = tqdm(total=num_clips, initial=manifest.finished_clips, unit="clip", desc=f"{split} clips", smoothing=0.05)

    def note(index: int, made: Made) -> None:
        manifest.shards[shard_name(index)] = made
        manifest.save(folder)
        bar.update(counts[index])

    try:
        _make_all(partial(_shard, folder, split, seed, counts, options), todo, workers, note)
    finally:
        bar.close()
    manifest.save(folder)
    return manifest


def _make_all(make: Callable[[int], Made], todo: list[int], workers: int, note: Callable[[int, Made], None]) -> None:
    """Call `make` for every shard of `todo`, here or in several processes, and `note` what it returns."""
    if workers == 1 and screenless():
        for index in todo:
            note(index, make(index))
        return
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker)
    jobs = {pool.submit(make, index): index for index in todo}
    try:
        for job in as_completed(jobs):
            note(jobs[job], job.result())
    finally:
        pool.shutdown(cancel_futures=True)


def _shard(folder: Path, split: str, seed: int, counts: list[int], options: Options, index: int) -> Made:
    return make_shard(folder, split, seed, index, counts[index], options)


def make_shard(folder: Path, split: str, seed: int, index: int, count: int, options: Options) -> Made:
    """Make and write one shard of `count` clips; returns its entry in the manifest.

    The same in every process: sums of many numbers depend on how many threads share them, so one does.
    """
    with threadpool_limits(1):
        clips, redrawn = shard_clips(split, seed, index, count, options)
    records = [clip.pop("record") for clip in clips]
    arrays = {name: np.stack([clip[name] for clip in clips]) for name in clips[0]}
    return {"clips": count, "sha256": write_shard(folder, index, arrays, records), "redrawn": dict(redrawn)}


def shard_clips(
    split: str, seed: int, index: int, count: int, options: Options
) -> tuple[list[dict[str, Any]], Counter[str]]:
    """The clips of one shard and how many motions were redrawn, by reason; a room where nothing fits is passed over."""
    rooms = SPLIT_SEEDS[split]
    rng = np.random.default_rng([seed, list(SPLIT_SEEDS).index(split), index])
    clips: list[dict[str, Any]] = []
    redrawn: Counter[str] = Counter()
    # A spare room for every one allows for some where nothing fits; shards share no room.
    room = index * ROOMS_PER_SHARD
    while len(clips) < count:
        room_seed = rooms.start + (seed * 1_000_003 + room) % len(rooms)
        try:
            made, again = room_clips(split, room_seed, rng, min(CLIPS_PER_ROOM, count - len(clips)), options)
            clips += made
            redrawn += again
        except NoRoomError:
            redrawn["room"] += 1
        room += 1
    return clips, redrawn


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends a worker at once; its shard has no name yet
    cv2.setNumThreads(1)


def _resume(folder: Path, wanted: Manifest) -> Manifest:
    """The folder's manifest if it was made with the wanted settings, or the new one for an empty folder."""
    for leftover in folder.glob(".clips-*"):  # of workers that were killed while writing
        leftover.unlink()
    if not (folder / "manifest.json").exists():
        return wanted
    found = Manifest.load(folder)
    if found.settings() != wanted.settings():
        raise RecordingError(
            f"{folder} holds clips of {found.settings()}, asked for {wanted.settings()}: choose another folder"
        )
    there = {name: entry for name, entry in found.shards.items() if (folder / f"{name}.safetensors").exists()}
    found.shards = there
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="egotwin data world", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the shards; a split is one folder")
    parser.add_argument("--split", choices=list(SPLIT_SEEDS), default="train")
    parser.add_argument("--clips", type=int, default=1024, help="number of clips of 5 s (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--size", type=int, default=64, help="side of the pictures, pixels (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count(), help="default: all cores")
    parser.add_argument("--vary-camera", action="store_true", help="another field of view and mount for every clip")
    parser.add_argument("--outside", action="store_true", help="film every clip from a corner of the room too")
    parser.add_argument("--hand-pixels", action="store_true", help="label how many pixels each hand takes")
    parser.add_argument("--depth", action="store_true", help="label every pixel's depth")
    parser.add_argument("--mocap", default="", help="folder of .amc or .bvh motion capture to use as well")
    parser.add_argument("--segmentation", action="store_true", help="label the thing every pixel shows")
    options = parser.parse_args(argv)
    clip = Options(
        options.size, options.vary_camera, options.outside, options.hand_pixels, options.depth, options.segmentation,
        options.mocap,
    )  # fmt: skip
    try:
        made = generate(options.out, options.split, options.clips, options.seed, options.size, options.workers, clip)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    except RecordingError as error:
        print(f"egotwin data world: {error}", file=sys.stderr)
        return 1
    if made.redrawn:
        print("drawn anew: " + ", ".join(f"{count} ({reason})" for reason, count in sorted(made.redrawn.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
