"""Makes simulated clips: rooms, people moving in them, and what they see; `egotwin data world`.

Every shard depends on (seed, split, shard number) alone, so any number of workers makes the same clips, and an
interrupted run can be resumed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from egotwin_model.errors import RecordingError
from egotwin_model.io.files import sha256
from egotwin_model.io.videos import Compression
from training.actions.wording import AMBIGUOUS_SHARE
from training.datasets.clips import clip_store
from training.datasets.clips.cutting import Clip
from training.datasets.clips.shards import SHARD_CLIPS, Manifest, shard_name, write_shard
from training.datasets.mocap.capture_folder import checksum
from training.simulator.clip_maker import BODY_SEEDS, MOST_PAST_S, ClipOptions, library_of, room_clips
from training.simulator.render.canvas import screenless
from training.simulator.rooms.objects import pairs_of
from training.simulator.rooms.plan import NoRoomError
from training.simulator.rooms.scene import SPLIT_SEEDS
from training.simulator.rooms.textures import WALL_STYLES
from training.simulator.synthetic_motion import LEAST_PAST_S
from training.workers.fanout import run_command, run_shards

CLIPS_PER_ROOM = 8
ROOMS_PER_SHARD = 2 * SHARD_CLIPS // CLIPS_PER_ROOM
FAILED, UNUSED = "shard failed", "motion capture not used"  # reasons in a manifest's `left_out`
Made = dict[str, Any]
"""What the manifest says of one shard: clips, checksums, redrawn."""


def generate(
    out_dir: Path | str,
    split: str,
    num_clips: int,
    seed: int = 0,
    size: int = 64,
    workers: int = 2,
    options: ClipOptions | None = None,
    compression: Compression | None = None,
    address: str | None = None,
) -> Manifest:
    """Writes clips into `out_dir` as `shards` describes, skipping finished shards.

    Args:
        split: "train", "val" or "test"; rooms, bodies, styles and wordings differ between them.
        num_clips: how many clips; the last shard may be short.
        size: side of the square frames, pixels; ignored where `options` are given.
        workers: processes at a time (1: this one, where it can render); the result does not depend on it.
        compression: of frames, in WebDataset shards; None stores them uncompressed, in safetensors.
        address: of a Ray cluster, as for `fanout.run_shards`; its workers see `out_dir` under the same name.

    Returns:
        The manifest; shards that failed are in its `left_out`, and are tried again by the next call.

    Raises:
        RecordingError: `out_dir` already holds clips made with other settings, or there is no motion capture in the
            folder named.
        OSError: the disk is full.
    """
    folder, options = Path(out_dir), options or ClipOptions(size)
    folder.mkdir(parents=True, exist_ok=True)
    library = library_of(options.mocap)
    manifest = _resume(folder, _wanted(split, num_clips, seed, options, compression))
    manifest.left_out = {name: f"{UNUSED}: {why}" for name, why in (library.folder.skipped if library else {}).items()}
    counts = [min(SHARD_CLIPS, num_clips - start) for start in range(0, num_clips, SHARD_CLIPS)]
    todo = [i for i in range(len(counts)) if shard_name(i) not in manifest.shards]
    with tqdm(
        total=num_clips, initial=manifest.finished_clips, unit="clip", desc=f"{split} clips", smoothing=0.05
    ) as bar:

        def done(index: int, made: Made) -> None:
            manifest.shards[shard_name(index)] = made
            manifest.save(folder)
            bar.update(counts[index])

        def broken(index: int, reason: str) -> None:
            manifest.left_out[shard_name(index)] = f"{FAILED}: {reason}"
            manifest.save(folder)

        make = partial(_shard, folder, split, seed, counts, options, compression)
        here = workers == 1 and address is None and screenless()
        run_shards(make, todo, workers=workers, address=address, here=here, on_done=done, on_broken=broken)
    manifest.save(folder)
    return manifest


def _wanted(split: str, num_clips: int, seed: int, options: ClipOptions, compression: Compression | None) -> Manifest:
    """The manifest of clips with these settings, before any is made."""
    rooms, bodies = SPLIT_SEEDS[split], BODY_SEEDS[split]
    return Manifest(
        split=split,
        seed=seed,
        num_clips=num_clips,
        size=options.size,
        options=asdict(options) | {"mocap": checksum(options.mocap) if options.mocap else ""},
        compression=asdict(compression) if compression else {},
        drawn_from={
            "room_seeds": [rooms.start, rooms.stop],
            "body_seeds": [bodies.start, bodies.stop],
            "wall_styles": list(WALL_STYLES[split]),
            "objects": [f"{colour} {kind}" for colour, kind in pairs_of(split)],
        },
    )


def _shard(
    folder: Path,
    split: str,
    seed: int,
    counts: list[int],
    options: ClipOptions,
    compression: Compression | None,
    index: int,
) -> Made:
    return make_shard(folder, split, seed, index, counts[index], options, compression)


def make_shard(
    folder: Path,
    split: str,
    seed: int,
    index: int,
    count: int,
    options: ClipOptions,
    compression: Compression | None = None,
) -> Made:
    """Makes and writes one shard of `count` clips; returns its entry in the manifest.

    One thread computes it, because sums depend on how threads share them; so the result is the same everywhere.
    """
    cv2.setNumThreads(1)
    with threadpool_limits(1):
        clips, redrawn = shard_clips(split, seed, index, count, options)
    records = [clip.pop("record") for clip in clips]
    name = shard_name(index)
    if compression:
        keyed = [
            Clip(f"{name}-{row:02d}", arrays, record)
            for row, (arrays, record) in enumerate(zip(clips, records, strict=True))
        ]
        entry = clip_store.write_shard(folder, name, keyed, compression=compression)
    else:
        arrays = {array: np.stack([clip[array] for clip in clips]) for array in clips[0]}
        digest = write_shard(folder, index, arrays, records)
        entry = {"clips": count, "sha256": digest, "records_sha256": sha256(folder / f"{name}.json")}
    return {**entry, "redrawn": dict(redrawn)}


def shard_clips(
    split: str, seed: int, index: int, count: int, options: ClipOptions
) -> tuple[list[dict[str, Any]], Counter[str]]:
    """The clips of one shard, and counts of rejected motions by reason; rooms without space for motions are skipped."""
    rooms = SPLIT_SEEDS[split]
    rng = np.random.default_rng([seed, list(SPLIT_SEEDS).index(split), index])
    clips: list[dict[str, Any]] = []
    redrawn: Counter[str] = Counter()
    # Each shard has twice the rooms it needs, for those without space; shards share no room.
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


def _resume(folder: Path, wanted: Manifest) -> Manifest:
    """The folder's manifest if it was made with the wanted settings, or the new one for an empty folder."""
    for leftover in folder.glob(".clips-*"):  # of killed workers
        leftover.unlink()
    if not (folder / "manifest.json").exists():
        return wanted
    found = Manifest.load(folder)
    found.options = asdict(ClipOptions()) | found.options  # settings added later have their defaults
    if found.settings() != wanted.settings():
        raise RecordingError(
            f"{folder} holds clips of {found.settings()}, asked for {wanted.settings()}: choose another folder"
        )
    ending = "tar" if wanted.compression else "safetensors"
    wanted.shards = {name: entry for name, entry in found.shards.items() if (folder / f"{name}.{ending}").exists()}
    return wanted


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options for frames, labels and workers."""
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--size", type=int, default=64, help="side of the frames, pixels (default: %(default)s)")
    parser.add_argument("--vary-camera", action="store_true", help="another field of view and mount for every wearer")
    parser.add_argument(
        "--vary-look", action="store_true", help="another exposure, white balance, blur, noise and JPEG for every clip"
    )
    parser.add_argument("--hand-pixels", action="store_true", help="label how many pixels each hand takes")
    parser.add_argument("--depth", action="store_true", help="label every pixel's depth")
    parser.add_argument("--segmentation", action="store_true", help="label the thing every pixel shows")
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count(), help="default: all cores")
    parser.add_argument("--ray", metavar="ADDRESS", help="of a Ray cluster whose workers see --out (auto: this one's)")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="egotwin data world", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the shards; of several splits, for theirs")
    parser.add_argument("--split", nargs="+", choices=list(SPLIT_SEEDS), default=["train"], help="default: train")
    parser.add_argument("--clips", nargs="+", type=int, default=[1024], help="of 5 s, of each split (default: 1024)")
    add_options(parser)
    parser.add_argument("--outside", action="store_true", help="film every clip from a corner of the room too")
    parser.add_argument(
        "--past", type=float, default=0.0, metavar="SECONDS",
        help=f"half of the clips also have keyframes of up to this long before them, at most {MOST_PAST_S:g}",
    )  # fmt: skip
    parser.add_argument(
        "--keyframe-depth", action="store_true", help="label the first frame's depth, and where keyframes show the body"
    )
    parser.add_argument("--mocap", default="", help="folder of .amc or .bvh motion capture to use as well")
    parser.add_argument(
        "--ambiguous", type=float, default=AMBIGUOUS_SHARE,
        help="share of texts to leave something open on purpose, besides those that do anyway (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--crf", type=int,
        help="store frames as H.264 of this quality (0 lossless to 51, 14 is good) in WebDataset shards, instead of"
        " as they are in safetensors",
    )  # fmt: skip
    options = parser.parse_args(argv)
    if len(options.clips) not in (1, len(options.split)):
        parser.error(f"--clips has {len(options.clips)} numbers for {len(options.split)} splits: one, or one for each")
    if options.past and not LEAST_PAST_S <= options.past <= MOST_PAST_S:
        parser.error(f"--past {options.past:g}: wanted 0 for none, or {LEAST_PAST_S:g} to {MOST_PAST_S:g} seconds")
    return run_command("egotwin data world", lambda: max([_make(options, *part) for part in _parts(options)]))


def _parts(options: argparse.Namespace) -> list[tuple[Path, str, int]]:
    """Folder, split and number of clips of each requested split."""
    counts = options.clips * (len(options.split) if len(options.clips) == 1 else 1)
    several = len(options.split) > 1
    return [
        (options.out / split if several else options.out, split, count)
        for split, count in zip(options.split, counts, strict=True)
    ]


def _make(options: argparse.Namespace, folder: Path, split: str, count: int) -> int:
    clip = ClipOptions(
        options.size, options.vary_camera, options.outside, options.hand_pixels, options.depth, options.segmentation,
        options.mocap, options.ambiguous, options.past, options.keyframe_depth,
        vary_look=options.vary_look,
    )  # fmt: skip
    compression = None if options.crf is None else Compression(crf=options.crf)
    made = generate(folder, split, count, options.seed, options.size, options.workers, clip, compression, options.ray)
    for reason, number in sorted(made.skipped.items()):
        print(f"{split}: left out: {number} × {reason}")
    failed = [name for name, why in made.left_out.items() if why.startswith(FAILED)]
    if failed:
        print(f"egotwin data world: {len(failed)} shards failed, see {folder / 'manifest.json'}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
