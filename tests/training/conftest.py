"""A wearer who walks and looks about, and the writing of sequences of it in Nymeria's form."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import training.simulator  # noqa: F401  names the way to render before any test imports mujoco
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.skeleton import (
    NUM_JOINTS,
    XSENS_JOINTS,
    forward_kinematics,
    reference_offsets,
)
from training.datasets.sequences.head_camera import as_lens
from training.datasets.sequences.narrations import Narration
from training.datasets.sequences.sequence_writer import SequenceWriter, SyntheticSequence

RATE_HZ = 240


@dataclass(frozen=True)
class Wearer:
    """A body over time: times (T,) s, positions (T, 23, 3) m, rotations (T, 23, 3, 3)."""

    times: np.ndarray
    positions: np.ndarray
    rotations: np.ndarray


def walk(seconds: float, seed: int = 0, pace: float = 1.0) -> Wearer:
    """Walks a circle, swings the arms and turns the head about all three axes; `pace` 0 stands still."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE_HZ) + 1) / RATE_HZ
    phase = rng.uniform(0, 2 * np.pi, 8)
    heading = 0.5 * t * pace
    rotations = np.tile(np.eye(3), (len(t), NUM_JOINTS, 1, 1))
    trunk = Rotation.from_euler("z", heading[:, None]).as_matrix()
    rotations[:] = trunk[:, None]
    nod = [
        a * pace * np.sin(w * t + p) for a, w, p in ((0.5, 1.9, phase[0]), (0.35, 2.7, phase[1]), (0.2, 1.3, phase[2]))
    ]
    head = Rotation.from_euler("zyx", np.stack(nod, axis=-1)).as_matrix()
    rotations[:, XSENS_JOINTS.index("Head")] = trunk @ head
    for side, sign in (("L", -1.0), ("R", 1.0)):
        angles = np.stack([np.full_like(t, sign * 1.2), 0.4 * sign * pace * np.sin(4 * t + phase[3])], axis=-1)
        arm = Rotation.from_euler("xy", angles).as_matrix()
        for part in ("UpperArm", "Forearm", "Hand"):
            rotations[:, XSENS_JOINTS.index(f"{side}_{part}")] = trunk @ arm
    path = np.stack([np.sin(heading) / 0.5, -np.cos(heading) / 0.5, 0.93 + 0.02 * pace * np.sin(8 * t)], axis=-1)
    positions = forward_kinematics(path * [pace or 1.0, pace or 1.0, 1.0], rotations, reference_offsets())
    return Wearer(t, positions, rotations)


def smooth_frames(count: int, size: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Smooth frames that change a little from one to the next, (size, size, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    waves = rng.uniform(1.0, 3.0, (3, 2))
    for k in range(count):
        rgb = [np.sin(2 * np.pi * (a * x + b * y) + 0.05 * k) for a, b in waves]
        yield (127.5 + 100 * np.stack(rgb, axis=-1)).astype(np.uint8)


def sequence_of(wearer: Wearer, size: int = 32, seed: int = 0, **more: Any) -> SyntheticSequence:
    """A synthetic sequence with a frame every 1/8 s and one text every five seconds."""
    seconds = float(wearer.times[-1])
    count = int(seconds * 8) + 1
    rows = [
        Narration(5.0 * k, 5.0 * k + 5.0, {"atomic_action": f"C walks on, part {k}"}) for k in range(int(seconds // 5))
    ]
    rows += [
        Narration(5.0 * k, 5.0 * k + 5.0, {"posture": "C stands upright", "focus": "C looks about"}) for k in range(1)
    ]
    made = SyntheticSequence(
        frames=smooth_frames(count, size, seed),
        frame_times=np.arange(count) / 8.0,
        lens=as_lens(Pinhole.from_fov(size, size, np.pi / 2)),
        pose_times=wearer.times,
        positions=wearer.positions,
        rotations=wearer.rotations,
        narrations=rows,
        metadata={"fake_name": f"person_{seed}", "location": f"Loc_{seed}", "script": "S1-Walk", "split": "train"},
        labels={"hand_visible": np.zeros((count, 2), np.uint8)},
    )
    return replace(made, **more)


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Callable[[float, int, float], Path]:
    """Sequences as they are without anything special, written once."""
    folder = tmp_path_factory.mktemp("templates")

    def template(seconds: float, seed: int, pace: float) -> Path:
        path = folder / f"{seconds}-{seed}-{pace}"
        if not path.is_dir():
            SequenceWriter(folder).write(path.name, sequence_of(walk(seconds, seed, pace), seed=seed))
        return path

    return template


@pytest.fixture
def write_sequence(tmp_path: Path, templates: Callable[[float, int, float], Path]) -> Callable[..., Path]:
    """Writes a sequence below `tmp_path` / "sequences" and returns its folder."""

    def write(name: str = "s0", seconds: float = 10.0, seed: int = 0, pace: float = 1.0, **more: Any) -> Path:
        folder = tmp_path / "sequences"
        if not more:
            return Path(shutil.copytree(templates(seconds, seed, pace), folder / name))
        return SequenceWriter(folder).write(name, sequence_of(walk(seconds, seed, pace), seed=seed, **more))

    return write


@pytest.fixture
def wearer() -> Callable[..., Wearer]:
    return walk


@pytest.fixture
def synthetic() -> Callable[..., SyntheticSequence]:
    return sequence_of
