"""Records long simulated sequences in Nymeria's form; `egotwin data sequences`.

One wearer in one building does random actions for half a minute or more. Frames, body motion and narrations are written
as the files of a real sequence (`training.datasets.sequences.sequence_files`), so the reader and the preparation of
real sequences read both. Sequence k depends on (seed, split, k) alone.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from egotwin_model.errors import ModelError, RecordingError
from egotwin_model.io.files import read_json, write_json
from training.datasets.clips.shards import GENERATOR_VERSION
from training.datasets.sequences.head_camera import as_lens
from training.datasets.sequences.narrations import Narration
from training.datasets.sequences.sequence_writer import SequenceWriter, SyntheticSequence
from training.simulator.clip_maker import (
    BODY_SEEDS,
    POSES_PER_FRAME,
    SUPERSAMPLE,
    ClipOptions,
    moved_states,
    optional_labels,
    origin_of,
    render_view,
    sample_motion,
)
from training.simulator.generate import add_options
from training.simulator.render.canvas import screenless
from training.simulator.render.ego_renderer import EgoRenderer, RenderedFrames
from training.simulator.rooms.plan import NoRoomError, RoomPlan
from training.simulator.rooms.scene import SPLIT_SEEDS, build_room
from training.simulator.synthetic_motion import RATE_HZ, SyntheticMotion
from training.workers.fanout import Report, run_command, run_shards

SETTINGS = "made_with.json"
MOST_MOVED = 12  # most articulations and objects in a sequence's labels
ROOMS_EACH = 8  # rooms that are tried for a sequence before those of the next


def record_sequences(
    out_dir: Path | str,
    split: str,
    count: int,
    seconds: float = 30.0,
    seed: int = 0,
    options: ClipOptions | None = None,
    workers: int = 2,
    address: str | None = None,
) -> Report[int]:
    """Writes `count` sequences as folders of `out_dir`, skipping those that exist; each is complete or absent.

    Args:
        split: "train", "val" or "test"; the three may share `out_dir`. seconds: of each sequence.
        options: of frames and labels; sequences have no outside camera and no motion capture.
        workers, address: as for `fanout.run_shards`; the result does not depend on them.

    Raises:
        RecordingError: `out_dir` holds sequences made with other settings. OSError: the disk is full.
    """
    folder, options = Path(out_dir), options or ClipOptions()
    folder.mkdir(parents=True, exist_ok=True)
    _same_settings(folder, {"seed": seed, "seconds": seconds, "version": GENERATOR_VERSION, "options": asdict(options)})
    for leftover in folder.glob(f".{sequence_name(split)}-*"):  # of killed workers
        shutil.rmtree(leftover)
    todo = [index for index in range(count) if not (folder / sequence_name(split, index)).is_dir()]
    make = partial(record_sequence, folder, split, seed, seconds, options)
    here = workers == 1 and address is None and screenless()
    with tqdm(total=count, initial=count - len(todo), unit="sequence", desc=f"{split} sequences") as bar:
        return run_shards(
            make, todo, workers=workers, address=address, here=here, on_done=lambda index, name: bar.update()
        )


def sequence_name(split: str, index: int | None = None) -> str:
    """Name of a sequence's folder; without an index, the beginning of all names of a split."""
    return f"world-{split}" if index is None else f"world-{split}-{index:05d}"


def record_sequence(folder: Path, split: str, seed: int, seconds: float, options: ClipOptions, index: int) -> str:
    """Makes and writes one sequence; returns its name. The result is the same in every process."""
    cv2.setNumThreads(1)
    rooms, bodies = SPLIT_SEEDS[split], BODY_SEEDS[split]
    rng = np.random.default_rng([seed, list(SPLIT_SEEDS).index(split), index, 1])
    name = sequence_name(split, index)
    with threadpool_limits(1):
        for attempt in range(ROOMS_EACH):
            room_seed = rooms.start + (seed * 1_000_003 + index * ROOMS_EACH + attempt) % len(rooms)
            body_seed = bodies[int(rng.integers(len(bodies)))]
            try:
                sequence = sequence_of(split, room_seed, body_seed, seconds, options)
            except NoRoomError:
                continue
            SequenceWriter(folder).write(name, sequence)
            return name
    raise NoRoomError(f"{name}: nothing that takes {seconds:g} s fits into any of {ROOMS_EACH} rooms; ask for less")


def sequence_of(split: str, room_seed: int, body_seed: int, seconds: float, options: ClipOptions) -> SyntheticSequence:
    """Long sequence of one body in one room, with frames, narrations and labels.

    Raises:
        NoRoomError: the room has not enough to do.
    """
    rng = np.random.default_rng(body_seed)
    spec, plan = build_room(room_seed, split)
    motion = sample_motion(rng, plan, split, Counter(), long_s=seconds)
    renderer = EgoRenderer(spec, options.size, SUPERSAMPLE, fine=options.size >= 256, articulations=plan.articulations)
    try:
        seen = render_view(renderer, motion, rng, options)
    finally:
        renderer.close()
    times = np.arange(len(motion.positions)) / RATE_HZ
    return SyntheticSequence(
        frames=seen.images,
        frame_times=times[::POSES_PER_FRAME],
        lens=as_lens(seen.intrinsics),
        pose_times=times,
        positions=motion.positions.astype(np.float64),
        rotations=motion.rotations.astype(np.float64),
        narrations=narrations_of(motion),
        mount=renderer.mount,
        metadata=_metadata(motion, plan, split, body_seed),
        labels=_labels(motion, seen),
    )


def narrations_of(motion: SyntheticMotion) -> list[Narration]:
    """A row for each action, as annotators write it: the action, the posture and the focus of attention.

    Rows begin and end with a frame, so that a clip that begins with a row has a frame for each of its times.
    """
    rate_hz = RATE_HZ / POSES_PER_FRAME
    return [
        Narration(
            float(np.floor(action["start_s"] * rate_hz) / rate_hz),
            float(np.ceil(action["end_s"] * rate_hz) / rate_hz),
            {"atomic_action": action["text"], "posture": action["posture"], "focus": action["focus"]},
            {"behaviour": action["action"], "hand": action["side"], "target": action["target"]},
        )
        for action in motion.meta["actions"]
    ]


def _metadata(motion: SyntheticMotion, plan: RoomPlan, split: str, body_seed: int) -> dict[str, Any]:
    return {
        "fake_name": f"body_{body_seed}", "location": f"room_{plan.seed}", "script": motion.behaviour, "split": split,
        "record": origin_of(motion, plan, split, body_seed, MOST_MOVED), "person": motion.meta["person"],
    }  # fmt: skip


def _labels(motion: SyntheticMotion, seen: RenderedFrames) -> dict[str, NDArray[Any]]:
    """All labels of a clip, one row per frame."""
    step = slice(None, None, POSES_PER_FRAME)
    moved = {name: values[step] for name, values in moved_states(motion, MOST_MOVED).items()}
    return {
        "hand_visible": seen.hand_visible, "contacts": motion.contacts[step].astype(np.uint8),
        "step_phase": motion.step_phase[step].astype(np.float32), "fingers": motion.fingers[step].astype(np.float32),
        **moved, **optional_labels(seen),
    }  # fmt: skip


def _same_settings(folder: Path, wanted: dict[str, Any]) -> None:
    path = folder / SETTINGS
    if not path.exists():
        write_json(path, wanted)
        return
    try:
        found = read_json(path)
    except ModelError as error:
        raise RecordingError(f"{path} cannot be read ({error}): choose another folder") from error
    if found != wanted:
        raise RecordingError(f"{folder} holds sequences of {found}, asked for {wanted}: choose another folder")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="egotwin data sequences", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the sequences' folders, of all splits")
    parser.add_argument("--split", choices=list(SPLIT_SEEDS), default="train")
    parser.add_argument("--count", type=int, default=16, help="how many sequences (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each (default: %(default)s)")
    add_options(parser)
    return run_command("egotwin data sequences", lambda: _make(parser.parse_args(argv)))


def _make(given: argparse.Namespace) -> int:
    options = ClipOptions(
        given.size, given.vary_camera, hand_pixels=given.hand_pixels, depth=given.depth,
        segmentation=given.segmentation, vary_look=given.vary_look,
    )  # fmt: skip
    made = record_sequences(
        given.out, given.split, given.count, given.seconds, given.seed, options, given.workers, given.ray
    )
    for index, why in made.broken:
        print(f"{sequence_name(given.split, index)} failed: {why}", file=sys.stderr)
    print(f"{given.out}: {given.count - len(made.broken)} {given.split} sequences of {given.seconds:g} s")
    return 1 if made.broken else 0


if __name__ == "__main__":
    sys.exit(main())
