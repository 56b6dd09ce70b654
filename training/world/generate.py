"""Make clips of our own world: rooms, people moving in them, and what they see; `python -m training.world.generate`.

Every shard follows from (seed, split, shard number) alone, so any number of workers makes the same clips, and an
interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from egotwin_model.errors import RecordingError
from training.world.behaviours import SynthMotion, synthesise
from training.world.body_geoms import Clothing
from training.world.plan import NoRoomError, RoomPlan
from training.world.render import EgoRenderer
from training.world.scene import SPLIT_SEEDS, build_room
from training.world.shards import SHARD_CLIPS, Manifest, shard_name, write_shard

CLIPS_PER_ROOM = 4
POSES_PER_FRAME = 2  # motion at 16 Hz, video at 8 Hz
MAX_TRIES = 40


def generate(
    out_dir: Path | str, split: str, num_clips: int, seed: int = 0, size: int = 64, workers: int = 2
) -> Manifest:
    """Write clips into `out_dir` as `shards` describes, skipping shards that are already finished.

    Args:
        split: "train", "val" or "test"; rooms, styles and wordings differ between them.
        num_clips: how many clips; the last shard may be short.
        size: side of the square pictures, pixels.
        workers: processes; the result does not depend on it.

    Raises:
        RecordingError: `out_dir` already holds clips made with other settings.
    """
    folder = Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    manifest = _resume(folder, Manifest(split=split, seed=seed, num_clips=num_clips, size=size))
    counts = [min(SHARD_CLIPS, num_clips - start) for start in range(0, num_clips, SHARD_CLIPS)]
    todo = [i for i in range(len(counts)) if shard_name(i) not in manifest.shards]
    bar = tqdm(total=num_clips, initial=manifest.finished_clips, unit="clip", desc=f"{split} clips", smoothing=0.05)
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker)
    jobs = {pool.submit(make_shard, folder, split, seed, i, counts[i], size): i for i in todo}
    try:
        for job in as_completed(jobs):
            _record(manifest, folder, jobs[job], counts, job)
            bar.update(counts[jobs[job]])
    finally:
        pool.shutdown(cancel_futures=True)
        bar.close()
    manifest.save(folder)
    return manifest


def make_shard(folder: Path, split: str, seed: int, index: int, count: int, size: int) -> str:
    """Make and write one shard of `count` clips; returns its SHA-256."""
    rooms = SPLIT_SEEDS[split]
    rng = np.random.default_rng([seed, list(SPLIT_SEEDS).index(split), index])
    clips: list[dict[str, Any]] = []
    room = index * -(-SHARD_CLIPS // CLIPS_PER_ROOM)  # rooms follow on from the shard before
    while len(clips) < count:
        room_seed = rooms.start + (seed * 1_000_003 + room) % len(rooms)
        wanted = min(CLIPS_PER_ROOM, count - len(clips))
        clips += room_clips(split, room_seed, rng, wanted, size)
        room += 1
    records = [clip.pop("record") for clip in clips]
    arrays = {name: np.stack([clip[name] for clip in clips]) for name in clips[0]}
    return write_shard(folder, index, arrays, records)


def room_clips(split: str, room_seed: int, rng: np.random.Generator, count: int, size: int) -> list[dict[str, Any]]:
    """`count` clips in one room, each of another person: tensors of one clip and its "record"."""
    spec, plan = build_room(room_seed, split)
    renderer = EgoRenderer(spec, size)
    try:
        return [_clip(renderer, plan, split, int(rng.integers(2**31))) for _ in range(count)]
    finally:
        renderer.close()


def _clip(renderer: EgoRenderer, plan: RoomPlan, split: str, body_seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(body_seed)
    motion = draw_motion(rng, plan, split)
    renderer.wear(motion.offsets, Clothing.draw(rng))
    seen = renderer.render(motion.positions[::POSES_PER_FRAME], motion.rotations[::POSES_PER_FRAME])
    record = {
        "text": motion.text, "behaviour": motion.behaviour, "room_seed": plan.seed, "body_seed": body_seed,
        **motion.meta,
    }  # fmt: skip
    return {
        "frames": seen.images, "positions": motion.positions, "rotations": motion.rotations,
        "offsets": motion.offsets.astype(np.float32), "camera_pose": seen.camera_pose,
        "hand_visible": seen.hand_visible, "record": record,
    }  # fmt: skip


def draw_motion(rng: np.random.Generator, plan: RoomPlan, split: str) -> SynthMotion:
    """A motion during which the head stays inside the room."""
    wording = "test" if split == "test" else "train"
    for _ in range(MAX_TRIES):
        motion = synthesise(rng, plan, split=wording)
        if _inside(motion.positions, plan):
            return motion
    raise NoRoomError(f"room {plan.seed}: no motion stays inside its walls in {MAX_TRIES} tries")


def _inside(positions: NDArray[np.floating], plan: RoomPlan) -> bool:
    """Whether all joints stay within the walls, the head a hand's length from them."""
    reach = np.abs(positions[..., :2]).reshape(-1, 2).max(axis=0)
    head = np.abs(positions[:, 6, :2]).max(axis=0)
    half = np.array(plan.size) / 2
    return bool((reach < half - 0.03).all() and (head < half - 0.3).all())


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


def _record(manifest: Manifest, folder: Path, index: int, counts: list[int], job: Future[str]) -> None:
    manifest.shards[shard_name(index)] = {"clips": counts[index], "sha256": job.result()}
    manifest.save(folder)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="egotwin data world", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the shards; a split is one folder")
    parser.add_argument("--split", choices=list(SPLIT_SEEDS), default="train")
    parser.add_argument("--clips", type=int, default=1024, help="number of clips of 5 s (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--size", type=int, default=64, help="side of the pictures, pixels (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count(), help="default: all cores")
    options = parser.parse_args(argv)
    try:
        generate(options.out, options.split, options.clips, options.seed, options.size, options.workers)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    except RecordingError as error:
        print(f"egotwin data world: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
