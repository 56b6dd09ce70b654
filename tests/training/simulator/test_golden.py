"""The output of a seed does not change: motions, texts and labels against kept ones.

Data sets are identified by their seed, and shards made later must fit those made before. A change that is meant to
alter them raises `GENERATOR_VERSION`; then `python -m tests.training.simulator.test_golden` writes the new output.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from ...shared_data import missing_extra

pytest.importorskip("pybullet_data", reason=missing_extra("world"))

from training.simulator.synthesis import synthesise, synthesise_long_sequence, synthesise_sequence
from training.simulator.synthetic_motion import SyntheticMotion

from .furnished_room import ROOM

FOLDER = Path(__file__).parent / "golden"
CLIPS = [(split, seed) for split in ("train", "val", "test") for seed in range(12)]
POSES = slice(None, None, 16)  # one a second
SEQUENCE = ["stand_up", "walk_to+open", "close", "pick_up", "turn_around_left", "put_down", "crouch", "look_at"]


def made() -> dict[str, SyntheticMotion]:
    """Clips of every split, a sequence of wanted actions, and a long sequence."""
    clips = {f"{split} {seed}": synthesise(np.random.default_rng(seed), ROOM, split=split) for split, seed in CLIPS}
    return {
        **clips,
        "sequence": synthesise_sequence(np.random.default_rng(2), ROOM, SEQUENCE),
        "long": synthesise_long_sequence(np.random.default_rng(1), ROOM, 40.0, split="test"),
    }


def words(motion: SyntheticMotion) -> dict[str, object]:
    """Texts, labels and times of a record."""
    keys = ("action", "text", "posture", "focus", "side", "target_id", "support", "start_s", "end_s")
    return {
        "behaviour": motion.behaviour, "text": motion.text, "ambiguous": motion.meta["ambiguous"],
        "texts": motion.meta["texts"], "actions": [[entry[key] for key in keys] for entry in motion.meta["actions"]],
        "labels": list(motion.labels[POSES]), "moved": [*motion.articulations, *motion.objects],
    }  # fmt: skip


def poses(motion: SyntheticMotion) -> NDArray[np.float32]:
    """Joint positions (T, 23, 3), one row a second."""
    return np.ascontiguousarray(motion.positions[POSES])


def test_a_seed_makes_the_kept_motions_and_texts() -> None:
    motions = made()
    kept = json.loads((FOLDER / "words.json").read_text())
    assert {name: words(motion) for name, motion in motions.items()} == kept
    tensors = load_file(FOLDER / "positions.safetensors")
    for name, motion in motions.items():
        np.testing.assert_allclose(poses(motion), tensors[name], atol=1e-4, err_msg=name)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    motions = made()
    text = json.dumps({name: words(motion) for name, motion in motions.items()}, indent=1)
    (FOLDER / "words.json").write_text(text + "\n")
    save_file({name: poses(motion) for name, motion in motions.items()}, FOLDER / "positions.safetensors")
