"""A small data folder in the form of rendered clips: people who glide and turn, before a wall of coloured boxes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.rotations import rotation_z
from egotwin_model.geometry.skeleton import HEAD, forward_kinematics, reference_offsets
from training.datasets.clips.shards import Manifest, shard_name, write_shard

FRAMES, POSES, SIZE = 41, 81, 32
BEHAVIOURS = ("walk_forward", "turn_left", "turn_right", "stand_still")
TEXTS = {"walk_forward": "walk", "turn_left": "turn left", "turn_right": "turn right", "stand_still": "stand still"}


def write_data(
    folder: Path, counts: dict[str, int], size: int = SIZE, without: str = "", vary_camera: bool = False
) -> Path:
    """One shard for each split; `without` names a tensor that clips lack; `vary_camera`: each has its own camera."""
    for split, count in counts.items():
        clips = [make_clip(1000 * len(split) + number, size, vary_camera) for number in range(count)]
        records = [clip.pop("record") for clip in clips]
        arrays = {name: np.stack([clip[name] for clip in clips]) for name in clips[0] if name != without}
        (folder / split).mkdir(parents=True)
        digest = write_shard(folder / split, 0, arrays, records)
        manifest = Manifest(split, 0, count, size)
        manifest.shards[shard_name(0)] = {"clips": count, "sha256": digest}
        manifest.save(folder / split)
    return folder


def camera_of_clip(seed: int, size: int, vary_camera: bool) -> tuple[Pinhole, Mount]:
    """What the clip of a seed is seen through."""
    if not vary_camera:
        return Pinhole.from_fov(size, size, np.pi / 2), Mount()
    rng = np.random.default_rng(seed)
    mount = Mount.looking_forward((0.09, 0.0, rng.uniform(0.0, 0.2)), np.radians(rng.uniform(0, 60)))
    return Pinhole.from_fov(size, size, np.radians(rng.uniform(60, 110))), mount


def make_clip(seed: int, size: int = SIZE, vary_camera: bool = False) -> dict:
    """Tensors and record of one clip."""
    rng = np.random.default_rng(seed)
    behaviour = BEHAVIOURS[seed % len(BEHAVIOURS)]
    time = np.linspace(0.0, 1.0, POSES)
    yaw = {"turn_left": 1.2, "turn_right": -1.2}.get(behaviour, 0.0) * time + rng.uniform(-3, 3)
    rotations = np.repeat(rotation_z(yaw)[:, None], 23, axis=1)
    speed = rng.uniform(1.5, 3.0) if behaviour == "walk_forward" else 0.0
    pelvis = rng.uniform(-1, 1, 3) + speed * time[:, None] * np.array([np.cos(yaw[0]), np.sin(yaw[0]), 0.0])
    pelvis[:, 2] = 0.93
    positions = forward_kinematics(pelvis, rotations, reference_offsets())
    camera, mount = camera_of_clip(seed, size, vary_camera)
    poses = mount.camera_pose(positions[::2, HEAD], rotations[::2, HEAD])
    frames = np.stack([_view(seed % 3, turn * 2 * camera.fx / size, size) for turn in yaw[::2] - yaw[0]])
    return {
        "offsets": reference_offsets().astype(np.float32), "frames": frames,
        "positions": positions.astype(np.float32), "rotations": rotations.astype(np.float32),
        "camera_pose": poses.astype(np.float32),
        "intrinsics": np.array([camera.fx, camera.fy, camera.cx, camera.cy], np.float32),
        "hand_visible": rng.integers(0, 2, (FRAMES, 2)).astype(np.uint8),
        "record": {"text": TEXTS[behaviour], "behaviour": behaviour, "hand": ""},
    }  # fmt: skip


def _view(wall: int, turn: float, size: int) -> np.ndarray:
    rng = np.random.default_rng(wall)
    image = np.full((size, 12 * size, 3), 90, np.uint8)
    for x in range(0, image.shape[1], 7):
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        corner = int(rng.integers(size - 8))
        cv2.rectangle(image, (x, corner), (x + int(rng.integers(4, 12)), corner + int(rng.integers(6, 20))), colour, -1)
    left = 5.5 * size - turn * size / 1.6
    return cv2.getRectSubPix(cv2.GaussianBlur(image, (0, 0), 0.8), (size, size), (left + size / 2, (size - 1) / 2))
