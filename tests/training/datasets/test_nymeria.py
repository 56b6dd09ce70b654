"""Nymeria's known defects, put into sequences and repaired; preparation that resumes; people and places kept apart."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.skeleton import HEAD
from training.datasets.clips.clip_store import ClipManifest
from training.datasets.clips.cutting import CutSettings, Cutter
from training.datasets.clips.dataset import open_clips
from training.datasets.clips.splits import SPLITS, UNKNOWN, Assignment, SplitSettings, Visit, assign, split_table
from training.datasets.nymeria.prepare import Preparation, PrepareSettings, main, write_statistics
from training.datasets.sequences.handeye import Path3, align
from training.datasets.sequences.head_camera import Lens, VrsRecording
from training.datasets.sequences.head_trajectory import read_path
from training.datasets.sequences.reasons import Reason, Unfit
from training.datasets.sequences.sequence_files import BODY, METADATA, TRAJECTORY
from training.datasets.sequences.sequence_reader import SequenceReader, ViewSettings
from training.datasets.sequences.sequence_writer import SequenceWriter
from training.datasets.sequences.xsens_body import write_body

from ...shared_data import ARIA, missing_extra, needs_shared
from .nymeria_metadata import write_dataset_metadata

real = needs_shared("data/aria")
VIEW = ViewSettings(size=32)


def rigid(rotation, translation):
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, translation
    return pose


def head_poses(wearer):
    poses = np.tile(np.eye(4), (len(wearer.times), 1, 1))
    poses[:, :3, :3], poses[:, :3, 3] = wearer.rotations[:, HEAD], wearer.positions[:, HEAD]
    return poses


def path3(times, poses):
    return Path3(times, poses[:, :3, 3], Rotation.from_matrix(poses[:, :3, :3]).as_quat())


def error_of(found, truth):
    """Degrees and metres between two poses."""
    off = np.linalg.inv(found) @ truth
    return float(np.degrees(Rotation.from_matrix(off[:3, :3]).magnitude())), float(np.linalg.norm(off[:3, 3]))


# --- hand–eye -------------------------------------------------------------------------------------------------------

T_DEVICE_HEAD = rigid(Rotation.from_euler("zyx", [0.3, -0.4, 1.5]).as_matrix(), [0.03, -0.06, -0.10])


def xsens_world(wearer, drift, rng):
    """The head as Xsens sees it: another world that drifts (m/s, rad/s) against the true one, and its noise."""
    poses = head_poses(wearer)
    yaw = Rotation.from_euler("z", (drift * wearer.times)[:, None] + 0.8).as_matrix()
    poses[:, :3, :3] = yaw @ poses[:, :3, :3]
    slide = np.stack([drift * wearer.times, -drift * wearer.times, 0 * wearer.times], axis=-1)
    poses[:, :3, 3] = (yaw @ poses[:, :3, 3, None])[..., 0] + slide + rng.normal(0, 1e-3, slide.shape)
    return poses


@pytest.mark.parametrize(
    ("drift", "slip", "degrees", "metres", "seconds"),
    [(0.0, False, 0.05, 0.002, 0.001), (0.002, False, 0.1, 0.005, 0.001), (0.002, True, 0.2, 0.006, 0.002)],
)
def test_the_head_is_found_on_the_device(drift, slip, degrees, metres, seconds, wearer):
    truth, rng = wearer(24.0, seed=3), np.random.default_rng(0)
    device = head_poses(truth) @ np.linalg.inv(T_DEVICE_HEAD)
    if slip:  # the glasses are pushed up for two seconds
        device[2000:2480] = device[2000:2480] @ rigid(Rotation.from_euler("x", 0.3).as_matrix(), [0, 0.02, 0])
    found = align(path3(truth.times, device), path3(truth.times - 0.137, xsens_world(truth, drift, rng)))
    off = error_of(found.T_device_head, T_DEVICE_HEAD)
    assert off[0] < degrees
    assert off[1] < metres
    assert abs(found.offset_s - 0.137) < seconds
    assert found.rotation_error_deg < 0.5
    assert found.translation_error_m < 0.005


def test_alignment_is_refused_where_the_head_moves_too_little(wearer):
    truth = wearer(12.0)
    still = head_poses(wearer(12.0, pace=0.0))
    with pytest.raises(Unfit, match="too few for an alignment"):
        align(path3(truth.times, still), path3(truth.times, still))
    nodding = np.tile(np.eye(4), (len(truth.times), 1, 1))
    nodding[:, :3, :3] = Rotation.from_euler("y", 0.5 * np.sin(3 * truth.times)[:, None]).as_matrix()
    with pytest.raises(Unfit, match="one axis only"):
        align(path3(truth.times, nodding), path3(truth.times, nodding))
    with pytest.raises(Unfit, match="in common"):
        align(path3(truth.times, still), path3(truth.times + 11.5, still))


# --- a sequence with all of Nymeria's defects -----------------------------------------------------------------------

FISHEYE = (0.05, -0.01, 0.0, 0.0)
STORED = 96
# stored rotated by 90 degrees, as Aria's frames are: the stored x axis points down in the upright frame
R_CAMERA_VIEW = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
T_DEVICE_CAMERA = rigid(Rotation.from_euler("xyz", [0.2, -0.1, 0.4]).as_matrix(), [-0.004, -0.012, -0.005])


def as_stored(wearer, count):
    """What a turned fisheye camera sees of a far wall of stripes: level above the horizon, upright below."""
    lens = np.array([[40.0, 0.0, (STORED - 1) / 2], [0.0, 40.0, (STORED - 1) / 2], [0.0, 0.0, 1.0]])
    pixels = np.stack(np.meshgrid(np.arange(STORED, dtype=np.float64), np.arange(STORED)), axis=-1)
    rays = cv2.fisheye.undistortPoints(pixels.reshape(-1, 1, 2), lens, np.array(FISHEYE))[:, 0]
    rays = np.concatenate([rays, np.ones((len(rays), 1))], axis=1) @ R_CAMERA_VIEW  # in the upright view
    return [wall(rays).reshape(STORED, STORED, 3)] * count, lens


def wall(rays):
    """Colours (N, 3) uint8 of rays (N, 3) in the upright view."""
    x, y = rays[:, 0] / rays[:, 2], rays[:, 1] / rays[:, 2]
    grey = np.where(y < 0, np.sin(6 * y), np.sin(6 * x))
    return (127.5 + 100 * np.stack([grey, np.sign(y) * 0.8, np.cos(3 * x)], axis=-1)).clip(0, 255).astype(np.uint8)


@pytest.fixture
def nymeria(tmp_path, synthetic, wearer):
    """A sequence that has to be repaired, and what was true."""
    truth = wearer(21.0, seed=5)
    count = 21 * 8 + 1
    frames, matrix = as_stored(truth, count)
    view = T_DEVICE_CAMERA[:3, :3] @ R_CAMERA_VIEW
    lens = Lens(STORED, STORED, matrix, T_DEVICE_CAMERA, "equidistant", FISHEYE, view)
    made = synthetic(truth, seed=5, frames=frames, lens=lens)
    folder = SequenceWriter(tmp_path / "sequences").write("nymeria", made)
    # The camera is where the mount has it: so is the device, which carries it.
    camera = Mount().camera_pose(truth.positions[:, HEAD], truth.rotations[:, HEAD])
    T_device_view = rigid(view, T_DEVICE_CAMERA[:3, 3])
    device = camera @ np.linalg.inv(T_device_view)
    T_device_head = np.linalg.inv(device[0]) @ head_poses(truth)[0]
    from training.datasets.sequences.head_trajectory import write_path

    stamps = np.rint(truth.times * 1e6).astype(np.int64)
    write_path(folder / "recording_head" / TRAJECTORY, stamps * 1000 + 1_000_000_000, device)
    # Xsens: its own drifting world, a clock 0.08 s off, a stutter, and rotations that are not there.
    yaw = Rotation.from_euler("z", (0.002 * truth.times)[:, None] - 2.0).as_matrix()
    slide = np.outer(truth.times, [0.002, 0.0, 0.0]) + np.array([3.0, -1.0, 0.0])
    positions = (yaw[:, None] @ truth.positions[..., None])[..., 0] + slide[:, None]
    rotations = yaw[:, None] @ truth.rotations
    timecodes = stamps + 5_000_000 - 80_000
    timecodes[500:505] = timecodes[499]
    timecodes[3000] += 2500
    write_body(folder / BODY, timecodes, positions, rotations)
    with np.load(folder / BODY) as file:
        arrays = dict(file)
    arrays["segment_qWXYZ"][2000:2006] = 0.0
    np.savez(folder / BODY, **arrays)
    metadata = json.loads((folder / METADATA).read_text())
    del metadata["T_device_head"]
    (folder / METADATA).write_text(json.dumps(metadata))
    return folder, truth, T_device_head


def test_all_known_defects_are_repaired(nymeria):
    folder, truth, T_device_head = nymeria
    reader = SequenceReader(folder, VIEW)
    degrees, metres = error_of(reader.T_device_head, T_device_head)
    assert degrees < 0.1
    assert metres < 0.005
    assert reader.alignment.offset_s == pytest.approx(0.08, abs=0.001)
    assert reader.body.repaired_times >= 4
    assert reader.body.filled.sum() == 6 * 23
    cutter = Cutter(reader, CutSettings())
    clips = list(cutter.clips())
    assert (len(clips), cutter.skipped) == (4, {})
    for number, clip in enumerate(clips):
        wanted = slice(1200 * number, 1200 * number + 1201, 15)
        off = np.linalg.norm(clip.arrays["positions"] - truth.positions[wanted], axis=-1)
        assert np.median(off) < 0.006
        assert off.max() < 0.03
        np.testing.assert_allclose(clip.arrays["positions"][:, HEAD], truth.positions[wanted, HEAD], atol=1e-5)
        np.testing.assert_allclose(clip.arrays["rotations"][:, HEAD], truth.rotations[wanted, HEAD], atol=1e-5)
        seen = Mount().camera_pose(*(clip.arrays[name][::2, HEAD] for name in ("positions", "rotations")))
        np.testing.assert_allclose(clip.arrays["camera_pose"], seen, atol=1e-5)


def test_frames_are_upright_and_without_distortion(nymeria):
    folder, *_ = nymeria
    view = ViewSettings(size=48, fov_deg=70.0)
    reader = SequenceReader(folder, view)
    (seen,) = reader.recording.frames(np.array([3]))
    camera = Pinhole.from_fov(48, 48, np.radians(70.0))
    u, v = np.meshgrid(np.arange(48), np.arange(48))
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)], axis=-1).reshape(-1, 3)
    wanted = wall(rays).reshape(48, 48, 3)
    inner = (slice(2, 46), slice(2, 46))
    error = np.abs(seen.astype(int) - wanted)[inner]
    assert np.median(error) < 8
    turned = np.abs(np.rot90(seen).astype(int) - wanted)[inner]
    assert error.mean() * 3 < turned.mean()


def test_a_body_of_somebody_else_is_refused(nymeria, wearer):
    folder, *_ = nymeria
    other = wearer(21.0, seed=11, pace=1.3)
    write_body(folder / BODY, np.rint(other.times * 1e6).astype(np.int64) + 5_000_000, other.positions, other.rotations)
    with pytest.raises(Unfit, match="not of one wearer") as error:
        SequenceReader(folder, VIEW)
    assert error.value.reason is Reason.NOT_ALIGNED


# --- the real recordings, as far as they go -------------------------------------------------------------------------


@real
def test_real_path_carries_a_body_that_is_aligned_to_it(wearer):
    """MPS's own 1 kHz path; a head on it by a known pose, seen in another world, is found again."""
    path = read_path(ARIA / "mps_sample" / "trajectory" / "closed_loop_trajectory.csv")
    assert (path.maps == 0).all()
    assert path.tracked(int(path.path.stamps_ns[0]), int(path.path.stamps_ns[-1]), 0.4, 50_000_000)
    device = np.tile(np.eye(4), (len(path.path.stamps_ns), 1, 1))
    device[:, :3, :3], device[:, :3, 3] = path.path.rotations, path.path.positions
    times = (path.path.stamps_ns - path.path.stamps_ns[0]) / 1e9
    head = (device @ T_DEVICE_HEAD)[::4]
    world = rigid(Rotation.from_euler("z", 1.0).as_matrix(), [2.0, 1.0, 0.0])
    found = align(path3(times[::4], device[::4]), path3(times[::4] + 0.05, world @ head))
    degrees, metres = error_of(found.T_device_head, T_DEVICE_HEAD)
    assert degrees < 0.2
    assert metres < 0.005
    assert found.offset_s == pytest.approx(-0.05, abs=0.002)


@real
def test_a_real_recording_gives_upright_frames_and_its_clock():
    pytest.importorskip("projectaria_tools", reason=missing_extra("aria"))
    camera = Pinhole.from_fov(64, 64, np.pi / 2)
    recording = VrsRecording(ARIA / "aria_digital_twin_test_data" / "video.vrs", camera, Mount())
    frames = list(recording.frames(np.arange(len(recording.stamps_ns))))
    assert [frame.shape for frame in frames] == [(64, 64, 3)] * 3
    timecodes = np.array([73852862298728, 73852895637783, 73852928957663])  # as projectaria-tools gives them
    np.testing.assert_allclose(recording.timecode_to_device_ns(timecodes), recording.stamps_ns, atol=1000)
    other = VrsRecording(ARIA / "aria_everyday_activities_test_data" / "recording.vrs", camera, Mount())
    with pytest.raises(Unfit, match="no timecode") as error:
        other.timecode_to_device_ns(timecodes)
    assert error.value.reason is Reason.NO_TIMECODE


@real
@pytest.mark.parametrize("share", [1.0, 0.7])
def test_real_recording_in_a_sequence(share, write_sequence):
    """A folder with a real VRS is read up to where the test body does not fit it; a truncated one is refused."""
    pytest.importorskip("projectaria_tools", reason=missing_extra("aria"))
    folder = write_sequence()
    target = folder / "recording_head/data/data.vrs"
    data = (ARIA / "aria_digital_twin_test_data" / "video.vrs").read_bytes()
    target.write_bytes(data[: int(share * len(data))])
    if share < 1.0:
        with pytest.raises(Unfit, match="truncated") as error:
            SequenceReader(folder, VIEW)
        assert error.value.reason is Reason.DAMAGED
        return
    reader = SequenceReader(folder, VIEW)
    assert isinstance(reader.recording, VrsRecording)
    cutter = Cutter(reader, CutSettings(at="regular"))
    assert list(cutter.clips()) == []


# --- splits ---------------------------------------------------------------------------------------------------------


def names_in_two_splits(visits, assignment):
    """People and places of whom sequences were kept in more than one split."""
    of: dict[tuple[str, str], set[str]] = {}
    for visit in visits.values():
        split = assignment.of(visit)
        for kind, name in (("person", visit.person), ("place", visit.place)):
            if split is not None and name != UNKNOWN:
                of.setdefault((kind, name), set()).add(split)
    return {name for name, splits in of.items() if len(splits) > 1}


visits_of_all_kinds = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=6),
    st.builds(
        Visit,
        st.sampled_from("PQRSTUVW"),
        st.sampled_from(["home", "office", "park", "cafe", "shop", "P", UNKNOWN]),
        st.integers(0, 30).map(float),
    ),
    max_size=30,
)


@given(visits_of_all_kinds, st.integers(0, 50), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_nobody_and_nowhere_is_in_two_splits(visits, seed, random):
    wanted = SplitSettings(0.3, 0.3, seed)
    found = assign(visits, wanted)
    assert names_in_two_splits(visits, found) == set()
    assert set(found.people) == {visit.person for visit in visits.values()}
    assert set(found.places) == {visit.place for visit in visits.values()} - {UNKNOWN}
    shuffled = list(visits.items())
    random.shuffle(shuffled)
    assert assign(dict(shuffled), wanted) == found
    fewer = assign(dict(shuffled[::2]), wanted)
    more = assign(visits, wanted, fewer)  # a resumed run with new sequences
    assert fewer.people.items() <= more.people.items()
    assert fewer.places.items() <= more.places.items()
    assert names_in_two_splits(visits, more) == set()


def shares(visits, assignment):
    """The share of the kept clips in each split, the sequences left out, and the people of each split."""
    clips, people, left_out = dict.fromkeys(SPLITS, 0.0), {split: set() for split in SPLITS}, 0
    for visit in visits.values():
        split = assignment.of(visit)
        left_out += split is None
        if split is not None:
            clips[split] += visit.clips
            people[split].add(visit.person)
    total = sum(clips.values())
    return {split: part / total for split, part in clips.items()}, left_out, people


@pytest.mark.parametrize("seed", [0, 1])
def test_the_real_shape_gives_the_wanted_shares(seed, tmp_path):
    path = write_dataset_metadata(tmp_path / "dataset_metadata.json", seed)
    records = json.loads(path.read_text())
    visits = {r["seq"]: Visit(r["fake_name"], r["location"], r["clips"]) for r in records}
    counts = (len(visits), len({v.person for v in visits.values()}), len({v.place for v in visits.values()}))
    assert counts == (867, 264, 50)
    found = assign(visits, SplitSettings())
    print(split_table(visits, found))
    assert names_in_two_splits(visits, found) == set()
    of, left_out, people = shares(visits, found)
    assert of["train"] == pytest.approx(0.8, abs=0.03)
    assert of["val"] == pytest.approx(0.1, abs=0.03)
    assert of["test"] == pytest.approx(0.1, abs=0.03)
    # The people of val and test make a fifth of the visits to the shared places, which are 17 % of all: 3.4 %.
    assert left_out < 0.06 * len(visits)
    assert min(len(people[split]) for split in SPLITS) >= 15
    assert assign(visits, SplitSettings()) == found
    assert assign(visits, SplitSettings(seed=7)) != found


def test_degenerate_data_sets_stay_whole():
    one_place = {f"s{k}": Visit(f"p{k}", "lab", 10.0) for k in range(20)}
    assert set(map(assign(one_place, SplitSettings()).of, one_place.values())) == {"train"}
    one_person = {f"s{k}": Visit("p", f"house {k}", 10.0) for k in range(20)}
    assert set(map(assign(one_person, SplitSettings()).of, one_person.values())) == {"train"}
    assert assign({}, SplitSettings()) == Assignment()
    nowhere = {f"s{k:03}": Visit(f"p{k}", UNKNOWN, 10.0) for k in range(40)}
    of, left_out, _ = shares(nowhere, assign(nowhere, SplitSettings()))
    assert left_out == 0
    assert of == {"train": 0.8, "val": 0.1, "test": 0.1}
    everything = assign(nowhere, SplitSettings(0.0, 0.0))
    assert set(map(everything.of, nowhere.values())) == {"train"}
    for val, test in ((0.5, 0.5), (-0.1, 0.1)):
        with pytest.raises(RecordingError, match="sum is below 1"):
            SplitSettings(val, test)


def test_a_sequences_own_split_takes_its_person_and_place_along():
    visits = {
        "a": Visit("p", "home", 5.0, "test"), "b": Visit("p", "home", 5.0), "c": Visit("q", "home", 5.0),
        **{f"s{k}": Visit(f"r{k}", f"house {k}", 5.0) for k in range(20)},
    }  # fmt: skip
    found = assign(visits, SplitSettings())
    assert (found.of(visits["a"]), found.of(visits["b"]), found.places["home"]) == ("test", "test", "test")
    assert found.of(visits["c"]) in ("test", None)


def test_places_may_be_named():
    named = SplitSettings(test_places=("Loc_04",), val_places=("Loc_05",))

    def splits_of(sequences):
        visits = {name: Visit(*value) for name, value in sequences.items()}
        found = assign(visits, named)
        return {name: found.of(visit) for name, visit in visits.items()}

    places = {f"s{k}": (f"p{k}", f"Loc_0{k}") for k in range(3, 7)}
    assert splits_of(places) == {"s3": "train", "s4": "test", "s5": "val", "s6": "train"}
    mixed = splits_of({"a": ("p", "Loc_04"), "b": ("p", "Loc_04"), "c": ("p", "Loc_03")})
    assert mixed == {"a": "test", "b": "test", "c": None}


# --- preparation ----------------------------------------------------------------------------------------------------


@pytest.fixture
def sequences(write_sequence, tmp_path):
    """Three sequences that can be used, in train and val, and three that cannot."""
    for seed, name in enumerate(["a", "b", "c"]):
        folder = write_sequence(name, seed=seed)
        if name == "c":
            metadata = json.loads((folder / METADATA).read_text())
            (folder / METADATA).write_text(json.dumps({**metadata, "split": "val"}))
    (write_sequence("d") / BODY).unlink()
    (write_sequence("e") / "narration/atomic_action.csv").write_text("start_time,end_time,Describe my atomic actions\n")
    (tmp_path / "sequences/e/narration/motion_narration.csv").unlink()
    (write_sequence("f") / METADATA).write_text("[]")
    (tmp_path / "sequences/notes").mkdir()
    return tmp_path / "sequences"


SMALL = PrepareSettings(view=VIEW)


def test_preparation_counts_what_it_leaves_out_and_goes_on(sequences, tmp_path, capsys):
    out = tmp_path / "clips"
    arguments = [str(sequences), "--out", str(out), "--size", "32", "--workers", "1", "--val-share", "0"]
    assert main([*arguments, "--test-share", "0"]) == 0
    said = capsys.readouterr().out
    assert "train: 4 clips of 2 sequences" in said
    assert "val: 2 clips of 1 sequences" in said
    train = ClipManifest.load(out / "train")
    assert train.skipped == {"empty narration": 1, "missing file": 1, "truncated or damaged file": 1}
    assert sorted(train.left_out) == ["d", "e", "f"]
    assert train.left_out["d"].startswith("missing file: ")
    assert train.sequences["a"]["clips"] == 2
    assert (out / "train/statistics.safetensors").is_file()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.tar")}
    assert main([*arguments, "--test-share", "0"]) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.tar")} == before
    assert ClipManifest.load(out / "train").skipped == train.skipped
    (out / "train/b.tar").unlink()
    manifest = ClipManifest.load(out / "train")
    assert main([*arguments, "--test-share", "0"]) == 0
    assert ClipManifest.load(out / "train").shards == manifest.shards
    assert main([*arguments, "--test-share", "0", "--crf", "30"]) == 2
    assert "other settings" in capsys.readouterr().err
    assert main([str(tmp_path / "clips/train"), "--out", str(out)]) == 2
    assert "holds no sequences" in capsys.readouterr().err


def test_left_out_sequences_are_tried_again_when_asked(sequences, tmp_path):
    shutil.rmtree(sequences / "b")
    out = tmp_path / "clips"
    Preparation(sequences, out, SMALL).run()
    shutil.copy(sequences / "a" / BODY, sequences / "d" / BODY)
    assert Preparation(sequences, out, SMALL).run()["train"].finished_clips == 2
    manifest = Preparation(sequences, out, SMALL, retry=True).run()["train"]
    assert manifest.finished_clips == 4
    assert sorted(manifest.left_out) == ["e", "f"]
    assert manifest.skipped == {"empty narration": 1, "truncated or damaged file": 1}


def test_added_sequences_keep_the_splits_of_people_and_places(write_sequence, tmp_path, capsys):
    def add(name, person, place):
        path = write_sequence(name) / METADATA
        metadata = {key: value for key, value in json.loads(path.read_text()).items() if key != "split"}
        path.write_text(json.dumps({**metadata, "fake_name": person, "location": place}))

    out = tmp_path / "clips"
    for k in range(3):
        add(f"s{k}", f"p{k}", f"house {k}")
    arguments = [str(tmp_path / "sequences"), "--out", str(out), "--size", "32", "--workers", "1"]
    arguments += ["--val-share", "0.34", "--test-share", "0"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "val         33.3%          1       1       1" in said
    assert "val: 2 clips of 1 sequences, 1 people, 1 places" in said
    stored = json.loads((out / "splits.json").read_text())
    assert sorted(stored["people"].values()) == ["train", "train", "val"]
    of_val = next(person for person, split in stored["people"].items() if split == "val")
    for k in range(3, 9):  # the whole search would put others into val
        add(f"s{k}", of_val, f"house {of_val[1:]}")
    assert main(arguments) == 0
    again = json.loads((out / "splits.json").read_text())
    assert (again["people"], again["places"]) == (stored["people"], stored["places"])
    assert ClipManifest.load(out / "val").finished_clips == 14
    assert main([*arguments, "--split-seed", "1"]) == 2
    assert "other settings of the splits" in capsys.readouterr().err
    (out / "splits.json").write_text('{"people": {"p0": "tset"}, "places": {}}')
    assert main(arguments) == 2
    assert "do not hold a split" in capsys.readouterr().err
    (out / "splits.json").unlink()
    assert main(arguments) == 2
    assert "no splits.json" in capsys.readouterr().err


def test_short_sequences_share_a_shard_and_statistics_are_of_train_alone(sequences, tmp_path):
    from egotwin_model.io.store import load_tensors
    from egotwin_model.motion.head_centric import HeadCentric
    from egotwin_model.motion.statistics import MotionStatistics

    out = tmp_path / "clips"
    manifests = Preparation(sequences, out, SMALL, sequences_per_shard=10).run()
    assert [path.name for path in sorted((out / "train").glob("*.tar"))] == ["a.tar"]
    assert manifests["train"].shards["a"]["clips"] == 4
    path = write_statistics(out)
    clips = open_clips(out / "train", verify=True)
    features = HeadCentric().encode(clips.gather("positions"), clips.gather("rotations"))
    wanted = MotionStatistics.fit(features, HeadCentric().slices)
    found = MotionStatistics.from_tensors(load_tensors(path))
    np.testing.assert_allclose(found.mean, wanted.mean, atol=1e-6)
    np.testing.assert_allclose(found.std, wanted.std, atol=1e-6)
    assert abs(clips.gather("positions")[..., 2].mean() - features.mean()) > 0  # not a constant data set


def test_a_retried_sequence_does_not_replace_the_shard_it_was_left_out_of(sequences, tmp_path):
    (sequences / "a" / BODY).rename(tmp_path / "kept.npz")
    out = tmp_path / "clips"
    manifest = Preparation(sequences, out, SMALL, sequences_per_shard=10).run()["train"]
    assert (manifest.finished_clips, sorted(manifest.left_out)) == (2, ["a", "d", "e", "f"])
    (tmp_path / "kept.npz").rename(sequences / "a" / BODY)
    manifest = Preparation(sequences, out, SMALL, sequences_per_shard=10, retry=True).run()["train"]
    assert sorted(record["sequence"] for record in open_clips(out / "train", verify=True).records) == [
        "a",
        "a",
        "b",
        "b",
    ]
    assert sorted(manifest.shards) == ["a", "a-2"]


def test_the_train_step_reads_prepared_clips(sequences, tmp_path):
    from training.stages.codec import frames_of
    from training.stages.motion import features_of

    Preparation(sequences, tmp_path / "clips", SMALL).run()
    clips = open_clips(tmp_path / "clips/train")
    assert features_of(clips).shape == (4, 81, 288)
    assert frames_of(clips, [0, 3]).shape == (2, 41, 32, 32, 3)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_preparation_is_resumed(how, write_sequence, tmp_path):
    for number in range(6):
        write_sequence(f"s{number}", seed=number % 2)
    out = tmp_path / "clips"
    command = [
        sys.executable, "-m", "training.datasets.nymeria.prepare", str(tmp_path / "sequences"), "--out", str(out),
        "--size", "32", "--workers", "1", "--val-share", "0", "--test-share", "0",
    ]  # fmt: skip
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen(command, cwd=root, start_new_session=True, stderr=subprocess.DEVNULL)
    manifest = out / "train/manifest.json"
    deadline = time.monotonic() + 120
    while not manifest.is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(how)
    assert process.wait(60) == (130 if how is signal.SIGTERM else -signal.SIGKILL)
    finished = len(ClipManifest.load(out / "train").shards)
    assert 1 <= finished < 6
    assert len(open_clips(out / "train", verify=True)) == 2 * finished
    kept = {path.name: path.stat().st_mtime_ns for path in (out / "train").glob("*.tar")}
    done = ClipManifest.load(out / "train").shards
    settings_made_with = replace(SMALL, splits=SplitSettings(0.0, 0.0))
    assert Preparation(tmp_path / "sequences", out, settings_made_with).run()["train"].finished_clips == 12
    assert len(open_clips(out / "train", verify=True)) == 12
    assert all((out / "train" / f"{name}.tar").stat().st_mtime_ns == kept[f"{name}.tar"] for name in done)
    assert not list((out / "train").glob(".*"))
