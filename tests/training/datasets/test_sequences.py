"""Sequences in Nymeria's form: what is written is read, cut at the right times, filtered by reason, stored whole."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from egotwin_model.errors import ModelError, RecordingError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.skeleton import HEAD, reference_offsets
from egotwin_model.io.videos import (
    Compression,
    VideoFile,
    write_video,
)
from training.datasets.clips import dataset
from training.datasets.clips import shards as world_shards
from training.datasets.clips.clip_store import ClipManifest, members, write_shard
from training.datasets.clips.cutting import CutSettings, Cutter
from training.datasets.sequences.head_camera import as_lens
from training.datasets.sequences.narrations import Narration, read_narrations, texts_between, write_narrations
from training.datasets.sequences.reasons import Reason, Unfit
from training.datasets.sequences.repair import repair_quaternions, repair_times
from training.datasets.sequences.sequence_files import BODY, LABELS, NARRATIONS, TRAJECTORY
from training.datasets.sequences.sequence_reader import SequenceReader, ViewSettings
from training.datasets.sequences.sequence_writer import resample
from training.datasets.sequences.xsens_body import bracket, interpolate_poses, read_body, write_body

VIEW = ViewSettings(size=32)
PATH = f"recording_head/{TRAJECTORY}"


def cut(folder, **settings):
    cutter = Cutter(SequenceReader(folder, VIEW), CutSettings(**settings))
    return list(cutter.clips()), cutter.skipped


def edit_lines(path, change):
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


# --- written and read -----------------------------------------------------------------------------------------------


def test_a_sequence_comes_back_as_it_was(write_sequence, wearer):
    truth = wearer(10.0)
    clips, skipped = cut(write_sequence())
    assert (len(clips), skipped) == (2, Counter())
    for number, clip in enumerate(clips):
        wanted = slice(1200 * number, 1200 * number + 1201, 15)  # 16 Hz of 240 Hz
        np.testing.assert_allclose(clip.arrays["positions"], truth.positions[wanted], atol=2e-6)
        np.testing.assert_allclose(clip.arrays["rotations"], truth.rotations[wanted], atol=2e-6)
        np.testing.assert_allclose(clip.arrays["offsets"], reference_offsets(), atol=1e-6)
        seen = slice(1200 * number, 1200 * number + 1201, 30)
        camera = Mount().camera_pose(truth.positions[seen, HEAD], truth.rotations[seen, HEAD])
        np.testing.assert_allclose(clip.arrays["camera_pose"], camera, atol=2e-6)
        np.testing.assert_allclose(clip.arrays["frame_times"], np.arange(41) / 8, atol=1e-6)
        assert clip.arrays["frames"].shape == (41, 32, 32, 3)
        assert clip.arrays["hand_visible"].shape == (41, 2)
        assert clip.record["text"] == f"C walks on, part {number}"
    assert clips[0].record["texts"]["posture"] == ["C stands upright"]
    assert "posture" not in clips[1].record["texts"]
    assert (clips[0].record["person"], clips[0].record["place"], clips[0].record["behaviour"]) == (
        "person_0", "Loc_0", "S1-Walk",
    )  # fmt: skip


def test_frames_are_read_in_their_order(write_sequence, synthetic, wearer):
    truth = np.stack(list(synthetic(wearer(10.0)).frames))
    clips, _ = cut(write_sequence())
    for first, clip in zip((0, 40), clips, strict=True):
        error = clip.arrays["frames"].astype(float) - truth[first : first + 41]
        assert 10 * np.log10(255**2 / np.mean(error**2)) > 35
        shifted = clip.arrays["frames"][:-4].astype(float) - truth[first + 4 : first + 41]
        assert np.mean(shifted**2) > 4 * np.mean(error**2)


def test_a_view_of_another_size_is_resampled_from_the_stored_lens(write_sequence):
    folder = write_sequence(lens=as_lens(Pinhole.from_fov(32, 32, np.radians(100))))
    clips, _ = cut(folder)
    assert clips[0].arrays["frames"].shape == (41, 32, 32, 3)
    np.testing.assert_allclose(clips[0].arrays["intrinsics"], [16.0, 16.0, 15.5, 15.5], atol=1e-4)


@pytest.mark.parametrize("rate", [16.0, 30.0, 240.0])
def test_resampling_keeps_what_it_was_given(rate, wearer):
    truth = wearer(2.0)
    kept = slice(None, None, round(240 / rate))
    times, positions, rotations = resample(truth.times[kept], truth.positions[kept], truth.rotations[kept])
    assert len(times) == 481
    np.testing.assert_allclose(positions[kept], truth.positions[kept], atol=1e-12)
    np.testing.assert_allclose(rotations[kept], truth.rotations[kept], atol=1e-12)
    np.testing.assert_allclose(positions, truth.positions, atol=0.01)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_poses_are_interpolated_as_scipy_does(seed):
    rng = np.random.default_rng(seed)
    stamps = np.cumsum(rng.integers(1, 9000, 12))
    turns, places = Rotation.random(12, rng=rng), rng.normal(size=(12, 1, 3))
    wanted = rng.uniform(stamps[0], stamps[-1], 30)
    before, weight = bracket(stamps, wanted)
    position, rotation = interpolate_poses(places, turns.as_quat()[:, None], before, weight)
    np.testing.assert_allclose(rotation[:, 0], Slerp(stamps, turns)(wanted).as_matrix(), atol=1e-9)
    linear = [np.interp(wanted, stamps, places[:, 0, axis]) for axis in range(3)]
    np.testing.assert_allclose(position[:, 0], np.stack(linear, axis=-1), atol=1e-9)


# --- repairs --------------------------------------------------------------------------------------------------------


def steady(count):
    return 7_000_000 + np.rint(np.arange(count) * 1e6 / 240).astype(np.int64)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_stuttering_times_are_restored(data):
    """Whatever single stamps, or stretches where the clock stood and then caught up, are wrong."""
    stamps = steady(200)
    spoilt = stamps.copy()
    for start in data.draw(st.lists(st.integers(1, 180), max_size=4, unique=True)):
        length = data.draw(st.integers(1, 8))
        wrong = data.draw(st.sampled_from(["late", "early", "stands"]))
        part = slice(start, start + length)
        spoilt[part] = spoilt[start - 1] if wrong == "stands" else stamps[part] + (2500 if wrong == "late" else -2500)
    repaired, count = repair_times(spoilt)
    assert (np.diff(repaired) > 0).all()
    np.testing.assert_allclose(repaired, stamps, atol=5)
    assert count == (np.abs(repaired - spoilt) > 500).sum() > 0 or (spoilt == stamps).all()


def test_small_jitter_and_slow_drift_are_left_alone():
    stamps = steady(500) + np.rint(np.linspace(0, 4000, 500)).astype(np.int64) + np.resize([0, 400, -300], 500)
    repaired, count = repair_times(stamps)
    assert count == 0
    np.testing.assert_array_equal(repaired, stamps)


def test_a_hole_stays_a_hole():
    stamps = steady(200)
    stamps[100:] += 300_000
    repaired, count = repair_times(stamps)
    assert count == 0
    np.testing.assert_array_equal(repaired, stamps)


@pytest.mark.parametrize("spoil", ["reversed", "back", "stands"])
def test_times_beyond_repair_are_refused(spoil):
    stamps = steady(200)
    if spoil == "reversed":
        stamps = stamps[::-1].copy()
    elif spoil == "back":
        stamps[100:] -= 50_000
    else:
        stamps[:] = stamps[0]
    with pytest.raises(Unfit, match="unsorted or duplicate") as error:
        repair_times(stamps)
    assert error.value.reason is Reason.BAD_TIMES


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_missing_quaternions_take_the_last_valid_one(seed):
    rng = np.random.default_rng(seed)
    truth = Rotation.random(40 * 3, rng=rng).as_quat().reshape(40, 3, 4)
    gone = rng.random((40, 3)) < 0.4
    gone[rng.integers(40), :] = False
    spoilt = truth * 2.0
    spoilt[gone] = rng.choice([0.0, np.nan])
    repaired, missing = repair_quaternions(spoilt)
    np.testing.assert_array_equal(missing, gone)
    for joint in range(3):
        last = truth[int(np.argmin(gone[:, joint])), joint]  # at the start: the first there is
        for t in range(40):
            last = last if gone[t, joint] else truth[t, joint]
            np.testing.assert_allclose(repaired[t, joint], last, atol=1e-12)


# --- texts ----------------------------------------------------------------------------------------------------------


def test_narrations_come_back_with_their_columns(tmp_path):
    rows = [
        Narration(1.25, 6.25, {"atomic_action": 'C says "hello, you", and sits'}, {"target": "chair"}),
        Narration(1.25, 3.0, {"posture": "C stands", "legs": "both knees bent", "focus": "the door"}),
        Narration(0.0, 30.0, {"activity": "C is at home"}),
    ]
    write_narrations(tmp_path, rows)
    found, empty = read_narrations(tmp_path)
    assert sorted(found, key=lambda r: (r.start_s, r.end_s)) == sorted(rows, key=lambda r: (r.start_s, r.end_s))
    assert empty == 0
    assert "Describe my legs/feet motion" in (tmp_path / NARRATIONS["motion"]).read_text()


def test_texts_go_by_shared_time():
    rows = [
        Narration(0.0, 4.0, {"atomic_action": "first"}),
        Narration(4.0, 9.0, {"atomic_action": "second"}),
        Narration(6.0, 6.5, {"atomic_action": "short"}),
        Narration(0.0, 60.0, {"activity": "all along"}),
    ]
    assert texts_between(rows, 2.0, 7.0, 0.5) == {
        "atomic_action": ["second", "first", "short"], "activity": ["all along"],
    }  # fmt: skip
    assert texts_between(rows, 2.0, 7.0, 0.55)["atomic_action"] == ["second", "short"]
    assert texts_between(rows, 100.0, 105.0, 0.5) == {}


def test_rows_without_text_are_counted(tmp_path):
    path = tmp_path / NARRATIONS["atomic_action"]
    path.parent.mkdir()
    head = "request_id,gaia_id,start_time,end_time,annotator,creation_time,Describe my atomic actions\n"
    path.write_text(
        head + '1,2,0.0,5.0,a,b,"C walks\nto the door"\n1,2,5,10,a,b,N/A\n1,2,ten,12,a,b,C sits\n1,2,9,8,a,b,x\n'
    )
    rows, empty = read_narrations(tmp_path)
    assert [(row.texts["atomic_action"], dict(row.extra)) for row in rows] == [("C walks to the door", {})]
    assert empty == 3


# --- cutting and filters --------------------------------------------------------------------------------------------


def test_clips_begin_where_texts_do_or_regularly(write_sequence, synthetic, wearer):
    rows = [Narration(start, start + 5.0, {"atomic_action": f"at {start}"}) for start in (0.7, 3.3)]
    frames = list(synthetic(wearer(11.0)).frames)
    sixteen = {
        "frames": [frame for frame in frames for _ in range(2)],
        "frame_times": np.arange(178) / 16,
        "labels": {},
    }
    folder = write_sequence(seconds=11.0, narrations=rows, **sixteen)
    by_text, _ = cut(folder)
    assert [clip.record["start_s"] - 1.0 for clip in by_text] == pytest.approx([0.7, 3.3])
    regular, skipped = cut(folder, at="regular", stride_s=2.5, least_overlap=0.1)
    assert [clip.record["start_s"] - 1.0 for clip in regular] == pytest.approx([0.0, 2.5, 5.0])
    assert not skipped
    late = by_text[0].arrays["frame_times"] - np.arange(41) / 8  # a frame every 1/16 s, from 0 on
    np.testing.assert_allclose(late, 0.6875 - 0.7, atol=1e-6)


def test_every_filter_has_its_reason(write_sequence):
    folder = write_sequence(seconds=10.0)

    def missing_frame(lines):
        return [line for number, line in enumerate(lines) if number != 60]

    edit_lines(folder / "recording_head/data/frames.csv", missing_frame)
    video = folder / "recording_head/data/data.mp4"
    frames = [f for k, f in enumerate(VideoFile(video).pick(np.arange(81))) if k != 59]
    write_video(video, iter(frames), 8, Compression())
    with np.load(folder / LABELS) as labels:
        kept = {name: np.delete(array, 59, axis=0) for name, array in labels.items()}
    np.savez(folder / LABELS, **kept)
    clips, skipped = cut(folder)
    assert (len(clips), skipped) == (1, {Reason.NO_FRAMES: 1})


def test_losing_track_leaves_out_the_clip(write_sequence):
    for spoil in ("quality", "map", "gap"):
        folder = write_sequence(spoil)

        def change(lines, spoil=spoil):
            name = lines[0].split(",")
            out = []
            for number, line in enumerate(lines):
                cells = line.split(",")
                if number == 1500 and spoil == "quality":
                    cells[name.index("quality_score")] = "0.01"
                if number >= 1500 and spoil == "map":
                    cells[0] = "another"
                if not (spoil == "gap" and 1500 <= number < 1530):
                    out.append(",".join(cells))
            return out

        edit_lines(folder / PATH, change)
        clips, skipped = cut(folder)
        assert ([clip.record["start_s"] for clip in clips], skipped) == ([1.0], {Reason.TRACKING_LOSS: 1}), spoil


def test_a_damaged_frame_loses_its_clip_alone(write_sequence):
    folder = write_sequence()
    video = folder / "recording_head/data/data.mp4"
    data = bytearray(video.read_bytes())
    data[len(data) * 3 // 4 : len(data) * 3 // 4 + 400] = bytes(400)
    video.write_bytes(data)
    clips, skipped = cut(folder)
    assert [clip.record["start_s"] for clip in clips] == [1.0]
    assert skipped == {Reason.DAMAGED: 1}


def test_a_leaping_head_is_left_out(write_sequence):
    folder = write_sequence()

    def leap(lines):
        cells = [line.split(",") for line in lines]
        column = cells[0].index("tx_world_device")
        for row in cells[1600:]:
            row[column] = str(float(row[column]) + 1.5)
        return [",".join(row) for row in cells]

    edit_lines(folder / PATH, leap)
    clips, skipped = cut(folder)
    assert ([clip.record["start_s"] for clip in clips], skipped) == ([1.0], {Reason.TOO_FAST: 1})


def spoil_body(folder, change):
    with np.load(folder / BODY) as file:
        arrays = dict(file)
    change(arrays)
    np.savez(folder / BODY, **arrays)


def test_bad_stretches_of_the_body_leave_out_their_clip(write_sequence):
    def not_finite(a):
        a["segment_tXYZ"][1700, 5] = np.nan

    def no_rotations(a):
        a["segment_qWXYZ"][1500:1700, :4] = 0.0

    def hole(a):
        a["timestamps_us"][1700:] += 200_000

    reasons = {not_finite: Reason.NOT_FINITE, no_rotations: Reason.NO_ROTATIONS, hole: Reason.BODY_HOLE}
    for change, reason in reasons.items():
        folder = write_sequence(change.__name__)
        spoil_body(folder, change)
        clips, skipped = cut(folder)
        assert clips[0].record["start_s"] == 1.0
        assert skipped == {reason: 1}


def test_standing_still_too_long_is_left_out(write_sequence):
    folder = write_sequence(pace=0.0)
    clips, skipped = cut(folder)
    assert (len(clips), skipped) == (0, {Reason.STILL: 2})
    clips, skipped = cut(folder, max_still_s=6.0)
    assert (len(clips), skipped) == (2, {})


def test_a_few_missing_rotations_are_filled(write_sequence):
    folder = write_sequence()
    truth, _ = cut(folder)

    def change(arrays):
        arrays["segment_qWXYZ"][300:310, 8:24] = 0.0

    spoil_body(folder, change)
    body = read_body(folder / BODY)
    assert body.filled.sum() == 40
    clips, skipped = cut(folder)
    assert (len(clips), skipped) == (2, {})
    np.testing.assert_allclose(clips[0].arrays["rotations"], truth[0].arrays["rotations"], atol=0.05)


# --- bad input ------------------------------------------------------------------------------------------------------


def truncate(path, share=0.6):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def rewrite_body(change):
    return lambda folder: spoil_body(folder, change)


def permute(arrays):
    order = np.arange(23)[::-1]
    arrays["segment_tXYZ"] = arrays["segment_tXYZ"].reshape(-1, 23, 3)[:, order].reshape(-1, 69)
    arrays["segment_qWXYZ"] = arrays["segment_qWXYZ"].reshape(-1, 23, 4)[:, order].reshape(-1, 92)


def turned_axes(arrays):
    turn = Rotation.from_euler("x", 90, degrees=True)
    q = Rotation.from_quat(arrays["segment_qWXYZ"].reshape(-1, 4), scalar_first=True) * turn
    arrays["segment_qWXYZ"] = q.as_quat(scalar_first=True).reshape(-1, 92)


def swap_rows(lines):
    return [*lines[:30], lines[31], lines[30], *lines[32:]]


def repeat_row(lines):
    return [*lines[:50], lines[49], *lines[50:]]


def nan_row(lines):
    cells = lines[50].split(",")
    cells[4] = "nan"
    return [*lines[:50], ",".join(cells), *lines[51:]]


def no_focal_length(folder):
    camera = json.loads((folder / CAMERA).read_text())
    camera["K"][0][0] = 0.0
    (folder / CAMERA).write_text(json.dumps(camera))


FRAMES, VIDEO, CAMERA = (f"recording_head/data/{name}" for name in ("frames.csv", "data.mp4", "camera.json"))
BAD = {
    "no metadata": (lambda f: (f / "metadata.json").unlink(), Reason.MISSING_FILE),
    "metadata no JSON": (lambda f: (f / "metadata.json").write_text("{"), Reason.DAMAGED),
    "no body": (lambda f: (f / BODY).unlink(), Reason.MISSING_FILE),
    "no frames": (lambda f: (f / VIDEO).unlink(), Reason.MISSING_FILE),
    "no camera": (lambda f: (f / CAMERA).unlink(), Reason.MISSING_FILE),
    "no frame times": (lambda f: (f / FRAMES).unlink(), Reason.MISSING_FILE),
    "no path": (lambda f: (f / PATH).unlink(), Reason.MISSING_FILE),
    "no narration": (lambda f: [p.unlink() for p in (f / "narration").iterdir()], Reason.MISSING_FILE),
    "truncated body": (lambda f: truncate(f / BODY), Reason.DAMAGED),
    "truncated video": (lambda f: truncate(f / VIDEO), Reason.DAMAGED),
    "truncated path": (lambda f: truncate(f / PATH), Reason.DAMAGED),
    "fewer frames than times": (lambda f: edit_lines(f / FRAMES, lambda lines: lines[:-1]), Reason.DAMAGED),
    "camera without focal length": (no_focal_length, Reason.DAMAGED),
    "labels of another length": (lambda f: np.savez(f / LABELS, a=np.zeros(3)), Reason.DAMAGED),
    "unsorted frames": (lambda f: edit_lines(f / FRAMES, swap_rows), Reason.BAD_TIMES),
    "duplicate frame": (
        lambda f: edit_lines(f / FRAMES, lambda lines: [*lines[:50], lines[49], *lines[51:]]), Reason.BAD_TIMES,
    ),
    "unsorted path": (lambda f: edit_lines(f / PATH, swap_rows), Reason.BAD_TIMES),
    "duplicate path": (lambda f: edit_lines(f / PATH, repeat_row), Reason.BAD_TIMES),
    "unsorted body": (rewrite_body(lambda a: a["timestamps_us"][::-1].sort()), Reason.BAD_TIMES),
    "path not finite": (lambda f: edit_lines(f / PATH, nan_row), Reason.NOT_FINITE),
    "body not finite": (rewrite_body(lambda a: a["segment_tXYZ"].fill(np.nan)), Reason.NOT_FINITE),
    "22 joints": (rewrite_body(lambda a: a.update(segment_tXYZ=a["segment_tXYZ"][:, 3:])), Reason.WRONG_SKELETON),
    "other order": (rewrite_body(permute), Reason.WRONG_SKELETON),
    "other axes": (rewrite_body(turned_axes), Reason.WRONG_SKELETON),
    "empty narration": (
        lambda f: [edit_lines(p, lambda lines: lines[:1]) for p in (f / "narration").iterdir()], Reason.NO_NARRATION,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_by_name(what, write_sequence):
    folder = write_sequence(seconds=6.0)
    spoil, reason = BAD[what]
    spoil(folder)
    with pytest.raises(Unfit) as error:
        SequenceReader(folder, VIEW).labels  # noqa: B018  read when asked for
    assert error.value.reason is reason, str(error.value)
    assert folder.name in str(error.value)


# --- stored ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(templates, tmp_path_factory):
    """Two shards of two clips each, and the clips."""
    folder = tmp_path_factory.mktemp("stored") / "train"
    manifest = ClipManifest("train", {"what": "a test"})
    clips = [cut(templates(10.0, seed, 1.0))[0] for seed in range(2)]
    for seed in range(2):
        manifest.shards[f"s{seed}"] = write_shard(folder, f"s{seed}", clips[seed])
    manifest.save(folder)
    return folder, clips


@pytest.fixture
def stored(store, tmp_path):
    """A copy of the shards that may be spoilt."""
    return Path(shutil.copytree(store[0], tmp_path / "store"))


def test_stored_clips_read_by_index_and_as_a_stream(stored, store):
    opened = dataset.open_clips(stored, verify=True)
    assert (len(opened), opened.names) == (4, ["s0", "s1"])
    truth = store[1][1]
    for name, array in truth[1].arrays.items():
        if name != "frames":
            np.testing.assert_array_equal(opened.tensor(name, 3), array)
    error = opened.tensor("frames", 3).astype(float) - truth[1].arrays["frames"]
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 35
    assert opened[3]["text"] == opened.records[3]["text"] == truth[1].record["text"]
    assert opened.gather("positions").shape == (4, 81, 23, 3)
    streamed = list(dataset.stream(stored))
    assert [clip["record"] for clip in streamed] == opened.records
    for number, clip in enumerate(streamed):
        np.testing.assert_array_equal(clip["frames"], opened.tensor("frames", number))
        np.testing.assert_array_equal(clip["rotations"], opened.tensor("rotations", number))
    with pytest.raises(IndexError):
        opened[4]


def test_a_stream_is_distributed_over_loader_workers(stored):
    from torch.utils.data import DataLoader

    clips = dataset.stream(stored, names=("positions",), shuffle=8, seed=1)
    loaded = list(DataLoader(clips, batch_size=None, num_workers=2))
    assert sorted(clip["record"]["sequence"] for clip in loaded) == ["10.0-0-1.0"] * 2 + ["10.0-1-1.0"] * 2
    assert len({clip["key"] for clip in loaded}) == 4
    assert all("frames" not in clip for clip in loaded)


def test_equal_clips_make_equal_shards(stored, store, tmp_path):
    again = write_shard(tmp_path / "again", "s0", store[1][0])
    assert again == ClipManifest.load(stored).shards["s0"]


def test_both_storage_forms_have_one_interface(stored, tmp_path):
    opened = dataset.open_clips(stored)
    folder = tmp_path / "world"
    arrays = {name: opened.gather(name) for name in ("frames", "positions", "rotations", "camera_pose", "offsets")}
    folder.mkdir()
    digest = world_shards.write_shard(folder, 0, arrays, opened.records)
    manifest = world_shards.Manifest(split="train", seed=0, num_clips=4, size=32)
    manifest.shards[world_shards.shard_name(0)] = {"clips": 4, "sha256": digest}
    manifest.save(folder)
    other = dataset.open_clips(folder, verify=True)
    assert isinstance(other, world_shards.TensorClips)
    assert (len(other), other.records) == (len(opened), opened.records)
    assert (other.manifest.frame_rate, other.manifest.pose_rate) == (
        opened.manifest.frame_rate,
        opened.manifest.pose_rate,
    )
    for name in arrays:
        np.testing.assert_array_equal(other.gather(name), opened.gather(name))
        np.testing.assert_array_equal(other.tensor(name, 2), opened.tensor(name, 2))
        ours, theirs = (np.concatenate([s[name] for s in clips.shards(name)]) for clips in (opened, other))
        np.testing.assert_array_equal(ours, theirs)
    assert set(other[1]) <= set(opened[1])


def test_altered_shards_are_refused(stored):
    path = stored / "s1.tar"
    data = path.read_bytes()
    path.write_bytes(data[:-20_000])
    with pytest.raises(RecordingError, match="checksum"):
        dataset.open_clips(stored)
    path.write_bytes(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
    dataset.open_clips(stored)
    with pytest.raises(RecordingError, match="checksum"):
        dataset.open_clips(stored, verify=True)
    path.unlink()
    with pytest.raises(RecordingError, match="cannot be read"):
        dataset.open_clips(stored)
    (stored / "manifest.json").unlink()
    with pytest.raises(RecordingError, match=r"manifest.json is missing"):
        dataset.open_clips(stored)


def test_a_manifest_cannot_name_a_path(stored):
    value = json.loads((stored / "manifest.json").read_text())
    value["shards"]["pipe:touch x"] = value["shards"]["s0"]
    (stored / "manifest.json").write_text(json.dumps(value))
    with pytest.raises(RecordingError, match="make the clips again"):
        dataset.open_clips(stored)


def test_a_failing_clip_leaves_no_shard(store, tmp_path):
    def failing():
        yield store[1][0][0]
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_shard(tmp_path / "store", "s0", failing())
    assert list((tmp_path / "store").iterdir()) == []


def test_members_of_a_cut_shard_are_refused(stored):
    assert len(members(stored / "s0.tar")) == 2
    truncate(stored / "s0.tar", 0.4)
    with pytest.raises(RecordingError, match=r"truncated|cannot be read"):
        members(stored / "s0.tar")


def test_body_written_and_read(tmp_path, wearer):
    truth = wearer(1.0)
    write_body(tmp_path / "x.npz", np.rint(truth.times * 1e6).astype(np.int64), truth.positions, truth.rotations)
    body = read_body(tmp_path / "x.npz")
    np.testing.assert_allclose(body.positions, truth.positions, atol=1e-12)
    turns = Rotation.from_quat(body.quaternions.reshape(-1, 4)).as_matrix().reshape(truth.rotations.shape)
    np.testing.assert_allclose(turns, truth.rotations, atol=1e-12)
    with np.load(tmp_path / "x.npz") as file:
        assert file["segment_tXYZ"].shape == (241, 69)
        assert file["segment_qWXYZ"].shape == (241, 92)


# --- outputs of networks for clips, and the data card ---------------------------------------------------------------


def test_latents_are_computed_once_a_shard(stored, tmp_path):
    import torch

    from training.datasets.latents.cache import cache_shards

    asked = []

    def encode(clips, rows):
        asked.append(rows)
        return {"mean": torch.tensor([clips.tensor("frames", row).mean() for row in rows], dtype=torch.float32)}

    clips = dataset.open_clips(stored)
    kept = cache_shards(clips, tmp_path / "latents", {"codec": "1"}, encode)
    assert asked == [range(2), range(2, 4)]
    wanted = [clips.tensor("frames", row).mean() for row in range(4)]
    np.testing.assert_allclose(kept.gather("mean"), wanted, rtol=1e-6)
    cache_shards(clips, tmp_path / "latents", {"codec": "1"}, encode)
    assert len(asked) == 2
    (tmp_path / "latents/s1.json").write_text("{")  # as if stopped between tensors and note
    cache_shards(clips, tmp_path / "latents", {"codec": "1"}, encode)
    assert asked[2:] == [range(2, 4)]
    cache_shards(clips, tmp_path / "latents", {"codec": "2"}, encode)
    assert asked[3:] == [range(2), range(2, 4)]
    with pytest.raises(ModelError, match="mean do not have 2 rows, one for each input"):
        cache_shards(clips, tmp_path / "more", {}, lambda clips, rows: {"mean": torch.zeros(3)})


def test_the_card_measures_and_finds_what_splits_share(store, tmp_path, capsys):
    from training.datasets.clips.card import main
    from training.datasets.clips.facts import find_splits, leaks, measure

    folder = tmp_path / "data"
    for split, clips in (("train", store[1][0]), ("val", store[1][1])):
        for clip in clips:
            clip.arrays["hand_visible"][:10, 0] = 1
        manifest = ClipManifest(split, {"what": "a test"}, skipped={"standing still": 3})
        manifest.shards["a"] = write_shard(folder / split, "a", clips)
        manifest.save(folder / split)
    facts = {name: measure(clips) for name, clips in find_splits(folder).items()}
    assert leaks(facts) == []
    train = facts["train"]
    assert (train.clips, train.frame_shape) == (2, (41, 32, 32, 3))
    assert train.hours == pytest.approx(10 / 3600)
    assert train.words["walks"] == 2
    assert train.hands["all"] == pytest.approx((10 / 41, 0.0, 10 / 41))
    positions = store[1][0][0].arrays["positions"][:, HEAD].astype(float)
    speed = np.linalg.norm(np.diff(positions, axis=0), axis=1) * 16
    np.testing.assert_allclose(train.speeds["head"][:80], speed, atol=1e-5)
    assert main([str(folder)]) == 0
    page = (folder / "card.html").read_text()
    assert "Splits share no " in page
    assert "standing still" in page
    assert "http" not in page.replace("data:image", "")
    assert page.count("data:image/svg+xml;base64,") == 3
    assert page.count("data:image/webp;base64,") == 4  # two clips a split
    capsys.readouterr()
    shutil.copytree(folder / "val", folder / "test")
    value = json.loads((folder / "test/manifest.json").read_text())
    (folder / "test/manifest.json").write_text(json.dumps({**value, "split": "test"}))
    assert main([str(folder), "--no-frames"]) == 1
    said = capsys.readouterr().err
    assert "val and test share 1 people: person_1" in said
    assert "val and test share 2 equal motions" in said
    assert main([str(tmp_path)]) == 2
