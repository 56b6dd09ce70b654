"""Measures how fast the simulator makes clips, and whether frames and labels agree; prints a table.

    python -m benchmarks.world                       speed at 128 and 256 px, CPU seconds of every step
    python -m benchmarks.world --past 8              the same of clips with pasts and depth of keyframes
    python -m benchmarks.world --starts 40           how heads are held as clips of 40 rooms begin, motions rejected
    python -m benchmarks.world --agreement 40        skeleton against frames of 40 clips

CPU seconds of one process do not depend on what else the machine does, as clips per second do; both are printed.
Video encoding (H.264, 4:2:0, crf 18, one thread) is included.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.skeleton import HEAD, XSENS_JOINTS
from egotwin_model.io.videos import PLAYABLE, encode_clip
from training.actions.vocabulary import action_of
from training.simulator.clip_maker import (
    POSES_PER_FRAME,
    SUPERSAMPLE,
    ClipOptions,
    keyframe_arrays,
    render_view,
    room_motion_of,
    sample_motion,
)
from training.simulator.generate import CLIPS_PER_ROOM
from training.simulator.render.clothes import Clothing
from training.simulator.render.ego_renderer import EgoRenderer, LabelOptions
from training.simulator.rooms.plan import NoRoomError
from training.simulator.rooms.scene import build_room

TARGETS = {128: 10.0, 256: 4.0}  # clips a second on two idle cores
SKIN_M = 0.03  # metres from the wrist's middle to its skin; what is nearer to the camera by more hides it
STEPS = ("room", "motion", "render", "past", "video")
SHARES = (1, 5, 10, 25, 50, 75, 90, 95, 99)


def make(first_room: int, rooms: int, size: int, past_s: float) -> tuple[int, dict[str, float], int]:
    """Clips of some rooms: their number, CPU seconds of every step, bytes of video."""
    cv2.setNumThreads(1)
    spent, made, written = dict.fromkeys(STEPS, 0.0), 0, 0
    options = ClipOptions(size, past_s=past_s, keyframe_depth=past_s > 0)
    for seed in range(first_room, first_room + rooms):
        start = time.process_time()
        spec, plan = build_room(seed, "train")
        fine = size >= 256
        renderer = EgoRenderer(spec, size, SUPERSAMPLE, fine=fine, articulations=plan.articulations)
        spent["room"] += time.process_time() - start
        for clip in range(CLIPS_PER_ROOM):
            rng = np.random.default_rng([seed, clip])
            start = time.process_time()
            try:
                motion = sample_motion(rng, plan, "train", Counter(), past_s=past_s)
            except NoRoomError:
                continue
            spent["motion"] += time.process_time() - start
            start = time.process_time()
            seen = render_view(renderer, motion, rng, options)
            spent["render"] += time.process_time() - start
            start = time.process_time()
            keyframe_arrays(renderer, motion, options)
            spent["past"] += time.process_time() - start
            start = time.process_time()
            written += len(encode_clip(seen.images, 8, PLAYABLE))
            spent["video"] += time.process_time() - start
            made += 1
        renderer.close()
    return made, spent, written


def starts(rooms: int, past_s: float) -> None:
    """Prints how heads are held as clips begin, how many begin after a past, and how often motions are rejected."""
    redrawn: Counter[str] = Counter()
    heads, pasts, speeds = [], 0, []
    for seed in range(1, rooms + 1):
        _, plan = build_room(seed, "train")
        rng = np.random.default_rng([seed, 3])
        for _ in range(CLIPS_PER_ROOM):
            try:
                motion = sample_motion(rng, plan, "train", redrawn, past_s=past_s)
            except NoRoomError:
                redrawn["no space"] += 1
                continue
            heads.append(motion.rotations[0, HEAD])
            speeds.append(float(np.linalg.norm(motion.positions[1, 0] - motion.positions[0, 0])) * motion.rate_hz)
            pasts += motion.past is not None
    axes = np.stack(heads).astype(float)
    down, roll = np.degrees(np.arcsin(-axes[:, 2, 0])), np.degrees(np.arctan2(axes[:, 2, 1], axes[:, 2, 2]))
    print(f"{len(heads)} clips; share after a past {pasts / len(heads):.2f}; rejected motions {dict(redrawn)}")
    rows = [("percentile", list(SHARES))]
    for name, values in (("looking down, °", down), ("roll, °", roll), ("speed of the pelvis, m/s", speeds)):
        rows.append((name, np.percentile(values, SHARES).round(2).tolist()))
    for name, values in rows:
        print(f"| {name} | " + " | ".join(f"{value:g}" for value in values) + " |")


def speed(size: int, rooms: int, workers: int, past_s: float) -> None:
    """Prints one row: CPU milliseconds a clip of every step, and clips a second."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        list(
            pool.map(make, [0] * workers, [1] * workers, [size] * workers, [past_s] * workers)
        )  # imports and compilation of shaders
        start = time.monotonic()
        jobs = [pool.submit(make, 1 + k * rooms, rooms, size, past_s) for k in range(workers)]
        results = [job.result() for job in jobs]
        wall = time.monotonic() - start
    made = sum(count for count, _, _ in results)
    spent = {step: sum(times[step] for _, times, _ in results) for step in STEPS}
    total = sum(spent.values()) / made
    columns = " | ".join(f"{1000 * spent[step] / made:.0f}" for step in STEPS)
    kilobytes = sum(size_ for _, _, size_ in results) / made / 1000
    print(
        f"| {size} | {made} | {columns} | {1000 * total:.0f} | {2 / total:.1f} | {TARGETS.get(size, 0):g} | "
        f"{made / wall:.1f} | {kilobytes:.0f} |",
        flush=True,
    )


def agreement(count: int, size: int) -> None:
    """Prints how often hands are seen while they act, and how often the projected wrist is on its hand's pixels."""
    on_hand = visible = seen_frames = reach_frames = 0
    seed, done = 0, 0
    while done < count:
        seed += 1
        spec, plan = build_room(seed, "train")
        rng = np.random.default_rng([seed, 77])
        try:
            motion = sample_motion(rng, plan, "train", Counter())
        except NoRoomError:
            continue
        if not any(action_of(name).with_hand for name in motion.behaviour.split("+")):
            continue
        renderer = EgoRenderer(spec, size, articulations=plan.articulations)
        renderer.wear(motion.offsets, Clothing.sample(rng))
        poses = motion.positions[::POSES_PER_FRAME], motion.rotations[::POSES_PER_FRAME]
        labels = LabelOptions(hand_pixels=True, depth=True, segmentation=True)
        frames = renderer.render(*poses, room_motion_of(motion), labels)
        rows = [1 + renderer.things.index(f"body_{side}_Hand") for side in "LR"]
        renderer.close()
        assert frames.hand_pixels is not None
        assert frames.segmentation is not None
        assert frames.depth is not None
        seen_frames += int((frames.hand_pixels > 0).any(axis=1).sum())
        reach_frames += len(frames.images)
        for hand, side in enumerate("LR"):
            joint = XSENS_JOINTS.index(f"{side}_Hand")
            palm = poses[0][:, joint] + poses[1][:, joint] @ np.array([0.0, 0.03 if hand == 0 else -0.03, 0.0])
            hits, views = _on(
                frames.intrinsics, frames.camera_pose, palm, frames.segmentation, frames.depth, rows[hand]
            )
            on_hand, visible = on_hand + hits, visible + views
        done += 1
    seen, agrees = 100 * seen_frames / reach_frames, 100 * on_hand / max(visible, 1)
    print(f"{done} clips with reaching actions, {size} px: a hand is seen in {seen:.0f} % of their frames")
    print(f"the projected wrist is on (or a pixel beside) its hand in {agrees:.2f} % of {visible} views")


def _on(
    camera: Pinhole,
    poses: NDArray[np.float32],
    points: NDArray[np.floating],
    segmentation: NDArray[np.uint16],
    depth: NDArray[np.float16],
    row: int,
) -> tuple[int, int]:
    """Of the points (F, 3) that are visible: how many are on pixels of a segmented thing, and their number."""
    hits = views = 0
    for k, point in enumerate(points):
        optical = (point - poses[k, :3, 3]) @ poses[k, :3, :3].astype(float)
        pixel, inside = camera.project(optical)
        x, y = np.rint(pixel).astype(int)
        if not inside or float(depth[k, y, x]) < optical[2] - SKIN_M:
            continue
        views += 1
        hits += bool((segmentation[k, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] == row).any())
    return hits, views


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rooms", type=int, default=6, help="rooms a worker (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--past", type=float, default=0.0, metavar="SECONDS", help="of clips (default: none)")
    parser.add_argument("--starts", type=int, default=0, metavar="ROOMS")
    parser.add_argument("--agreement", type=int, default=0, metavar="CLIPS")
    options = parser.parse_args()
    if options.starts:
        starts(options.starts, options.past)
        return 0
    if options.agreement:
        agreement(options.agreement, options.sizes[-1] if len(options.sizes) == 1 else 128)
        return 0
    print("CPU milliseconds a clip of 5 s; clips a second of two cores by CPU time, wanted, and as measured now")
    print("| px | clips | room | motion | render | past | video | all | 2 cores | wanted | measured | kB |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for size in options.sizes:
        speed(size, options.rooms, options.workers, options.past)
    return 0


if __name__ == "__main__":
    sys.exit(main())
