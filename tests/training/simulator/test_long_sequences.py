"""Long simulated sequences in Nymeria's form through the whole chain: read, cut, stored, streamed, trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import training.simulator  # noqa: F401  before mujoco: chooses rendering without a screen

from ...shared_data import missing_extra, require_opengl

pytest.importorskip("mujoco", reason=missing_extra("world"))
pytest.importorskip("pybullet_data", reason=missing_extra("world"))

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.skeleton import HEAD, forward_kinematics
from training.datasets.clips import card, dataset
from training.datasets.clips.clip_store import ClipManifest
from training.datasets.clips.cutting import CutSettings, Cutter
from training.datasets.nymeria import prepare
from training.datasets.sequences.sequence_reader import SequenceReader, ViewSettings
from training.datasets.sequences.sequence_writer import SequenceWriter
from training.simulator import long_sequences as recordings
from training.simulator.clip_maker import ClipOptions
from training.simulator.rooms.scene import SPLIT_SEEDS

SIZE = 32
VIEW = ViewSettings(size=SIZE)


@pytest.fixture(scope="module")
def sequences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sequences of train and one of test, 16 s each."""
    require_opengl()
    folder = tmp_path_factory.mktemp("sequences")
    for split, count in (("train", 2), ("test", 1)):
        made = recordings.record_sequences(folder, split, count, 16.0, options=ClipOptions(SIZE, depth=True), workers=1)
        assert made.done == count
    return folder


def test_a_sequence_is_read_as_it_was_written(sequences: Path, tmp_path: Path) -> None:
    name, again = "world-train-00000", tmp_path / "again"
    seeds = json.loads((sequences / name / "metadata.json").read_text())["record"]
    options = ClipOptions(SIZE, depth=True)
    truth = recordings.sequence_of("train", seeds["room_seed"], seeds["body_seed"], 16.0, options)
    SequenceWriter(again).write(name, truth)
    for part in ("metadata.json", "narration/atomic_action.csv", "narration/motion_narration.csv"):
        assert (again / name / part).read_bytes() == (sequences / name / part).read_bytes()
    with np.load(again / name / "body/xdata.npz") as one, np.load(sequences / name / "body/xdata.npz") as two:
        assert all(np.array_equal(one[array], two[array]) for array in one)

    reader = SequenceReader(sequences / name, VIEW)
    assert reader.alignment is None  # it says itself where the head is on the device
    cutter = Cutter(reader, CutSettings(at="regular", stride_s=5.0, max_still_s=6.0))
    clips = list(cutter.clips())
    assert (len(clips), cutter.skipped) == (3, {})
    for number, clip in enumerate(clips):
        poses, frames = slice(80 * number, 80 * number + 81), slice(40 * number, 40 * number + 41)
        arrays = clip.arrays
        np.testing.assert_allclose(arrays["positions"], truth.positions[poses], atol=1e-5)
        np.testing.assert_allclose(arrays["rotations"], truth.rotations[poses], atol=1e-5)
        rebuilt = forward_kinematics(arrays["positions"][:, 0], arrays["rotations"], arrays["offsets"])
        np.testing.assert_allclose(rebuilt, arrays["positions"], atol=2e-4)
        seen = Mount().camera_pose(arrays["positions"][::2, HEAD], arrays["rotations"][::2, HEAD])
        np.testing.assert_allclose(arrays["camera_pose"], seen, atol=1e-5)
        for label in truth.labels:
            np.testing.assert_array_equal(arrays[label], truth.labels[label][frames])
        error = arrays["frames"].astype(float) - np.stack(list(truth.frames))[frames]
        assert 10 * np.log10(255**2 / np.mean(error**2)) > 33
        assert clip.record["person"] == f"body_{clip.record['body_seed']}"
        assert clip.record["room_seed"] in SPLIT_SEEDS["train"]


def test_sequences_become_shards_that_stream_and_are_trained_on(sequences: Path, tmp_path: Path) -> None:
    from training.stages.codec import frames_of
    from training.stages.motion import features_of

    out = tmp_path / "clips"
    assert prepare.main([str(sequences), "--out", str(out), "--size", str(SIZE), "--workers", "1"]) == 0
    counts = {split: ClipManifest.load(out / split).finished_clips for split in ("train", "test")}
    assert counts["train"] >= 2
    assert counts["test"] >= 1
    assert "missing frames" not in ClipManifest.load(out / "train").skipped  # every row begins with a frame
    clips = dataset.open_clips(out / "train", verify=True)
    rows = "\n".join(path.read_text() for path in sequences.glob("world-train-*/narration/atomic_action.csv"))
    for record, streamed in zip(clips.records, dataset.stream(out / "train"), strict=True):
        assert record["text"] in rows
        assert set(record["texts"]) >= {"atomic_action", "posture", "focus"}
        assert record == streamed["record"]
        assert streamed["frames"].shape == (41, SIZE, SIZE, 3)
        assert streamed["depth"].shape == (41, SIZE, SIZE)
    assert features_of(clips).shape == (counts["train"], 81, 288)
    assert frames_of(clips, [0]).shape == (1, 41, SIZE, SIZE, 3)
    assert (out / "train/statistics.safetensors").is_file()
    assert card.main([str(out), "--no-frames"]) == 0


def test_existing_sequences_are_not_made_again(sequences: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in sequences.iterdir()}
    (sequences / ".world-test-00000-killed").mkdir()
    arguments = ["--out", str(sequences), "--seconds", "16", "--size", str(SIZE), "--workers", "1"]
    assert recordings.main([*arguments, "--depth", "--split", "test", "--count", "1"]) == 0
    assert {path: path.stat().st_mtime_ns for path in sequences.iterdir()} == before
    assert recordings.main([*arguments, "--split", "test", "--count", "1"]) == 2
    assert "choose another folder" in capsys.readouterr().err
    with pytest.raises(RecordingError, match="choose another folder"):
        recordings.record_sequences(sequences, "test", 1, 20.0, options=ClipOptions(SIZE, depth=True))
