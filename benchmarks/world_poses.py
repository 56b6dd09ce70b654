"""Compares camera poses found by structure from motion in the simulator's frames with the true ones.

    python -m benchmarks.world_poses --clips 20

Makes clips in which the camera moves, estimates every clip's camera path from its 41 frames alone (pycolmap: SIFT,
exhaustive matching, global mapper; known intrinsics), aligns it to the truth by one similarity, and prints errors of
camera centres and directions: the median over the frames of each clip, then the median over clips. A clip of
which less than half of the frames are placed fails, with an infinite error.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pycolmap
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from egotwin_model.geometry.camera import Pinhole
from egotwin_model.io.images import write_png
from training.simulator.clip_maker import POSES_PER_FRAME, fault_of, room_motion_of
from training.simulator.render.clothes import Clothing
from training.simulator.render.ego_renderer import EgoRenderer, RenderedFrames
from training.simulator.rooms.plan import NoRoomError
from training.simulator.rooms.scene import SPLIT_SEEDS, build_room
from training.simulator.synthesis import synthesise

LEAST_WAY_M = 0.5  # structure from motion needs a camera that moves


def moving_clip(seed: int, size: int, split: str) -> RenderedFrames:
    """A clip of a train, val or test room in which the head room_motion half a metre or more."""
    rooms = SPLIT_SEEDS[split]
    for attempt in range(50):
        rng = np.random.default_rng([seed, attempt, 5])
        spec, plan = build_room(rooms.start + int(rng.integers(len(rooms))), split)
        try:
            motion = synthesise(rng, plan, split=split)
        except NoRoomError:
            continue
        if motion.meta["net_distance_m"] < LEAST_WAY_M or fault_of(motion, plan):
            continue
        renderer = EgoRenderer(spec, size, fine=True, articulations=plan.articulations)
        renderer.wear(motion.offsets, Clothing.sample(rng))
        poses = motion.positions[::POSES_PER_FRAME], motion.rotations[::POSES_PER_FRAME]
        seen = renderer.render(*poses, room_motion_of(motion))
        renderer.close()
        return seen
    raise NoRoomError(f"no clip with a moving camera for seed {seed}")


def estimate(images: NDArray[np.uint8], camera: Pinhole, folder: Path) -> dict[int, NDArray[np.float64]]:
    """T_world_camera (4, 4) of the frames that structure from motion places, in its own world frame."""
    frames = folder / "frames"
    frames.mkdir()
    for k, image in enumerate(images):
        write_png(frames / f"{k:03d}.png", image)
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = "PINHOLE"
    # COLMAP puts the first pixel's centre at 0.5.
    reader.camera_params = f"{camera.fx},{camera.fy},{camera.cx + 0.5},{camera.cy + 0.5}"
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.use_gpu, extraction.num_threads = False, 1
    extraction.sift.first_octave, extraction.sift.peak_threshold = -1, 0.004
    matching = pycolmap.FeatureMatchingOptions()
    matching.use_gpu, matching.num_threads = False, 1
    database, single = folder / "database.db", pycolmap.CameraMode.SINGLE
    pycolmap.extract_features(
        database, frames, camera_mode=single, reader_options=reader, extraction_options=extraction
    )
    pycolmap.match_exhaustive(database, matching_options=matching)
    options = pycolmap.GlobalPipelineOptions()
    options.num_threads = options.mapper.num_threads = 1
    options.random_seed = options.mapper.random_seed = 1
    options.mapper.bundle_adjustment.refine_focal_length = False
    options.mapper.bundle_adjustment.refine_extra_params = False
    options.mapper.bundle_adjustment.ceres.use_gpu = options.mapper.global_positioning.use_gpu = False
    models = pycolmap.global_mapping(database, frames, folder / "model", options)
    if not models:
        return {}
    best = max(models.values(), key=lambda model: model.num_reg_images())
    poses = {}
    for image in best.images.values():
        if not image.has_pose:
            continue
        pose = np.eye(4)
        pose[:3] = image.cam_from_world().inverse().matrix()
        poses[int(Path(image.name).stem)] = pose
    return poses


def errors(found: dict[int, NDArray[np.float64]], truth: NDArray[np.floating]) -> tuple[float, float]:
    """Median distance (m) of camera centres and angle (degrees) of directions after one similarity alignment."""
    if len(found) < len(truth) / 2:
        return np.inf, np.inf
    rows = sorted(found)
    a, b = np.array([found[k][:3, 3] for k in rows]), truth[rows, :3, 3].astype(float)
    # Rotations agree on the turn between the worlds; scale and shift then follow from the centres.
    turn = Rotation.from_matrix([truth[k, :3, :3] @ found[k][:3, :3].T for k in rows]).mean()
    turned = turn.apply(a - a.mean(axis=0))
    centred = b - b.mean(axis=0)
    scale = float((turned * centred).sum() / max((turned**2).sum(), 1e-12))
    off = np.linalg.norm(scale * turned - centred, axis=1)
    angle = [
        np.degrees(
            (Rotation.from_matrix(truth[k, :3, :3]).inv() * turn * Rotation.from_matrix(found[k][:3, :3])).magnitude()
        )
        for k in rows
    ]
    return float(np.median(off)), float(np.median(angle))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--split", default="test", choices=list(SPLIT_SEEDS))
    options = parser.parse_args()
    pycolmap.logging.minloglevel = 2
    results = []
    print("| clip | frames placed | centre, cm | direction, ° | s |\n|---|---|---|---|---|")
    for seed in range(options.clips):
        start = time.monotonic()
        seen = moving_clip(seed, options.size, options.split)
        with tempfile.TemporaryDirectory() as folder:
            found = estimate(seen.images, seen.intrinsics, Path(folder))
        results.append(errors(found, seen.camera_pose))
        centre, angle = results[-1]
        taken = time.monotonic() - start
        print(
            f"| {seed} | {len(found)}/{len(seen.images)} | {100 * centre:.2f} | {angle:.2f} | {taken:.0f} |", flush=True
        )
    centre, angle = np.median(results, axis=0)
    failed = int(np.isinf([c for c, _ in results]).sum())
    print(f"median of {len(results)} clips: {100 * centre:.2f} cm, {angle:.2f} degrees; {failed} failed")
    return 0 if centre <= 0.02 and angle <= 2.0 else 1


if __name__ == "__main__":
    sys.exit(main())
