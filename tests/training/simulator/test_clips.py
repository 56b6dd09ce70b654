"""Simulated clips on disk: independent of the workers, resumable, complete, without leaks between splits."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import training.simulator  # noqa: F401  before mujoco: chooses rendering without a screen

from ...shared_data import CMU, missing_extra, needs_shared, require_opengl

pytest.importorskip("mujoco", reason=missing_extra("world"))
pytest.importorskip("pybullet_data", reason=missing_extra("world"))

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.skeleton import HEAD, forward_kinematics
from egotwin_model.io.videos import Compression, VideoFile, write_video
from training.datasets.clips import card, dataset, facts
from training.datasets.clips.dataset import open_clips
from training.datasets.clips.priors import clip_prior
from training.datasets.clips.shards import PAST_KEYFRAMES, Manifest
from training.simulator import generate, show
from training.simulator.clip_maker import BODY_SEEDS, ClipOptions, fault_of, sample_camera
from training.simulator.rooms.collisions import penetration
from training.simulator.rooms.plan import RoomPlan, Solids
from training.simulator.rooms.scene import SPLIT_SEEDS
from training.simulator.synthesis import synthesise

from .furnished_room import empty_room

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module", autouse=True)
def _screenless() -> None:
    require_opengl()


def same_clips(a: Path, b: Path) -> None:
    ours, theirs = open_clips(a, verify=True), open_clips(b, verify=True)
    assert ours.records == theirs.records
    for k in range(len(ours)):
        first, second = ours[k], theirs[k]
        for name in (
            "positions",
            "rotations",
            "offsets",
            "step_phase",
            "fingers",
            "articulations",
            "objects",
            "frames",
        ):
            np.testing.assert_array_equal(first[name], second[name], err_msg=f"{name} of clip {k}")


def test_clips_are_the_same_with_one_worker_and_with_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "SHARD_CLIPS", 2)  # two shards, and each worker one of them
    one = generate.generate(tmp_path / "one", "train", 4, seed=4, size=16, workers=1)
    monkeypatch.setenv("PYTHONHASHSEED", "7")  # of the workers: no order of a set may matter
    two = generate.generate(tmp_path / "two", "train", 4, seed=4, size=16, workers=2)
    assert one.shards == two.shards
    same_clips(tmp_path / "one", tmp_path / "two")


def test_a_shard_resumes_and_holds_every_label(tmp_path: Path) -> None:
    options = ClipOptions(32, vary_camera=True, outside=True, hand_pixels=True, depth=True, segmentation=True)
    made = generate.generate(tmp_path / "a", "val", 3, seed=4, workers=1, options=options)
    digest = made.shards["clips-00000"]["sha256"]
    assert generate.make_shard(tmp_path, "val", 4, 0, 3, options)["sha256"] == digest
    (tmp_path / "a/clips-00000.safetensors").unlink()
    again = generate.generate(tmp_path / "a", "val", 3, seed=4, workers=1, options=options)
    assert again.shards["clips-00000"]["sha256"] == digest
    with pytest.raises(RecordingError, match="choose another folder"):
        generate.generate(tmp_path / "a", "val", 3, seed=5, workers=1, options=options)

    clips = open_clips(tmp_path / "a", verify=True)
    assert clips.manifest.options["depth"] is True
    for k in range(3):
        clip = clips[k]
        assert clip["frames"].shape == clip["outside_frames"].shape == (41, 32, 32, 3)
        assert clip["depth"].shape == clip["segmentation"].shape == (41, 32, 32)
        assert clip["hand_visible"].shape == clip["hand_pixels"].shape == (41, 2)
        assert (clip["hand_pixels"][clip["hand_visible"] == 0] < 3).all()  # a sliver may pass between the points
        rebuilt = forward_kinematics(clip["positions"][:, 0], clip["rotations"], clip["offsets"])
        np.testing.assert_allclose(rebuilt, clip["positions"], atol=1e-4)
        head = np.eye(4)
        head[:3, :3], head[:3, 3] = clip["rotations"][0, HEAD], clip["positions"][0, HEAD]
        np.testing.assert_allclose(head @ clip["mount"], clip["camera_pose"][0], atol=1e-5)
        assert (
            32 / 2 / np.tan(np.radians(120 / 2)) - 1e-3
            <= clip["intrinsics"][0]
            <= 32 / 2 / np.tan(np.radians(55 / 2)) + 1e-3
        )
        assert clip["contacts"].shape == clip["step_phase"].shape == clip["fingers"].shape == (81, 2)
        for row, _ in enumerate(clips.records[k]["objects"]):
            np.testing.assert_allclose(
                np.linalg.det(clip["objects"][..., row, :, :][0] if row else clip["objects"][0, 0]), 1, atol=1e-3
            )
        assert clip["text"]
        assert SPLIT_SEEDS["val"].start <= clip["room_seed"] < SPLIT_SEEDS["val"].stop
        assert clip["body_seed"] in BODY_SEEDS["val"]
    assert len({float(clips[k]["intrinsics"][0]) for k in range(3)}) == 3
    film = show.overlay(clips[1], 64)
    assert film.shape == (41, 64 + show.CAPTION_HEIGHT, 4 * 64, 3)  # the view, depth, things, from outside
    write_video(tmp_path / "film.mp4", iter(film), 8)
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 41
    assert show.contact_sheet(clips, [0, 2], columns=4, tile=32).shape == (2 * (32 + show.CAPTION_HEIGHT), 128, 3)
    assert show.contact_sheet(clips, [0], 2, 32, annotated=True).shape == (32 + show.CAPTION_HEIGHT, 2 * 128, 3)
    sheet = [str(tmp_path / "a"), "--out", str(tmp_path / "sheet.png"), "--labels", "--film", str(tmp_path / "b.mp4")]
    assert show.main([*sheet, "--clips", "2", "--tile", "32"]) == 0
    assert (tmp_path / "sheet.png").is_file()
    assert VideoFile(tmp_path / "b.mp4").count == 2 * 41
    assert show.main([*sheet, "--which", "1", "3"]) == 2
    assert show.main([str(tmp_path / "none")]) == 2


def test_leaks_between_splits_are_found(tmp_path: Path) -> None:
    arguments = ["--split", "train", "test", "--clips", "3", "--seed", "1", "--size", "16", "--workers", "1"]
    assert generate.main(["--out", str(tmp_path), *arguments]) == 0
    for split in ("train", "test"):
        made = Manifest.load(tmp_path / split)
        for record in open_clips(tmp_path / split).records:
            for key in ("room_seeds", "body_seeds"):
                first, end = made.drawn_from[key]
                assert first <= record[key[:-1]] < end
            assert record["wall_style"] in made.drawn_from["wall_styles"]
            assert set(record["things"]) <= set(made.drawn_from["objects"])
    assert card.main([str(tmp_path)]) == 0
    assert "wall styles, objects or motions" in (tmp_path / "card.html").read_text()
    clips = {split: open_clips(tmp_path / split) for split in ("train", "test")}
    clips["test"].records[0] = clips["train"].records[0]
    found = {leak.what for leak in facts.leaks({split: facts.measure(c) for split, c in clips.items()})}
    assert found >= {"rooms", "bodies", "wall styles", "objects"}


def test_compressed_clips_stream_and_differ_in_their_frames_alone(tmp_path: Path) -> None:
    options = ClipOptions(32, outside=True)
    generate.generate(tmp_path / "raw", "val", 2, seed=4, workers=1, options=options)
    made = generate.generate(
        tmp_path / "tar", "val", 2, seed=4, workers=1, options=options, compression=Compression(crf=4)
    )
    raw, tar = dataset.open_clips(tmp_path / "raw", verify=True), dataset.open_clips(tmp_path / "tar", verify=True)
    assert raw.records == tar.records
    assert (tmp_path / "tar/clips-00000.tar").stat().st_size < (tmp_path / "raw/clips-00000.safetensors").stat().st_size
    for k, streamed in enumerate(dataset.stream(tmp_path / "tar")):
        one, two = raw[k], tar[k]
        assert set(one) == set(two)
        for name in one:
            if name.endswith("frames"):
                assert 10 * np.log10(255**2 / np.mean((one[name].astype(float) - two[name]) ** 2)) > 38
                np.testing.assert_array_equal(two[name], streamed[name])
            else:
                np.testing.assert_array_equal(one[name], two[name])
    with pytest.raises(RecordingError, match="not WebDataset shards"):
        dataset.stream(tmp_path / "raw")
    (tmp_path / "tar/clips-00000.tar").unlink()
    again = generate.generate(
        tmp_path / "tar", "val", 2, seed=4, workers=1, options=options, compression=Compression(crf=4)
    )
    assert again.shards == made.shards
    with pytest.raises(RecordingError, match="choose another folder"):
        generate.generate(tmp_path / "tar", "val", 2, seed=4, workers=1, options=options)


GENERATE = "import sys; from training.simulator import generate as g; g.SHARD_CLIPS = 2; sys.exit(g.main(sys.argv[1:]))"
"""Shards of two clips, so that several are made quickly."""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_keeps_its_shards_and_is_resumed(
    how: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ["--out", str(tmp_path), "--split", "val", "--size", "16", "--clips", "24", "--workers", "1"]
    process = subprocess.Popen([sys.executable, "-c", GENERATE, *settings], cwd=ROOT, stderr=subprocess.DEVNULL)
    manifest, deadline = tmp_path / "manifest.json", time.monotonic() + 120
    while not manifest.is_file() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(how)
    assert process.wait(60) == (130 if how is signal.SIGTERM else -signal.SIGKILL)
    finished = open_clips(tmp_path, verify=True)
    assert 2 <= len(finished) < 24
    before = {name: (tmp_path / f"{name}.safetensors").stat().st_mtime_ns for name in finished.names}
    monkeypatch.setattr(generate, "SHARD_CLIPS", 2)
    made = generate.generate(tmp_path, "val", 24, size=16, workers=1)
    assert len(open_clips(tmp_path, verify=True)) == 24
    assert before == {name: (tmp_path / f"{name}.safetensors").stat().st_mtime_ns for name in before}
    assert not list(tmp_path.glob(".*"))
    whole = generate.generate(tmp_path / "whole", "val", 4, size=16, workers=1)
    assert whole.shards == {name: made.shards[name] for name in whole.shards}


def test_a_full_disk_leaves_finished_shards_and_is_reported(tmp_path: Path) -> None:
    """On a file system of 1.5 MB of its own, which only a name space of its own lets one mount."""
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=1536k none {disk}"
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "sh", "-c", mount], check=False).returncode:
        pytest.skip("no file system may be mounted here, not even in a name space")
    command = f'{mount} && "$0" -c "$1" --out {disk} --split val --size 16 --clips 12 --workers 1; code=$?; '
    script = command + f"cp -r {disk} {kept}; exit $code"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, sys.executable, GENERATE],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "No space left on device" in done.stderr
    assert "free some space, the same command then resumes" in done.stderr
    finished = open_clips(kept, verify=True)
    assert 0 < len(finished) < 12
    assert not [path for path in kept.iterdir() if path.name.startswith(".")]


def test_varied_cameras_are_those_that_people_wear() -> None:
    rng, options = np.random.default_rng(0), ClipOptions(32, vary_camera=True)
    mounts, cameras = zip(*(sample_camera(rng, options) for _ in range(400)), strict=True)
    axes = np.array([mount.rotation for mount in mounts])
    down, roll = np.degrees(np.arcsin(-axes[:, 2, 2])), np.degrees(np.arctan2(axes[:, 2, 0], -axes[:, 2, 1]))
    shift = np.array([mount.translation for mount in mounts]) - Mount().translation
    for values, low, high in (
        (np.degrees([camera.fov_x for camera in cameras]), 55, 120),
        (down, -10, 45),
        (roll, -5, 5),
        (shift[:, 0], -0.03, 0.03),
        (shift[:, 2], -0.03, 0.03),
    ):
        assert low - 1e-6 <= np.min(values) < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < np.max(values) <= high + 1e-6
    assert sample_camera(rng, ClipOptions(32))[0] == Mount()


def test_keyframes_of_the_past_are_the_same_in_both_forms(tmp_path: Path) -> None:
    options = ClipOptions(32, past_s=8.0, keyframe_depth=True)
    generate.generate(tmp_path / "plain", "val", 6, seed=4, workers=1, options=options)
    generate.generate(tmp_path / "tar", "val", 6, seed=4, workers=1, options=options, compression=Compression())
    plain, tar = open_clips(tmp_path / "plain", verify=True), open_clips(tmp_path / "tar", verify=True)
    names = ("past_frames", "past_depth", "past_body", "past_camera_pose", "past_time", "first_depth", "first_body")
    streamed = next(iter(dataset.stream(tmp_path / "tar", names)))
    counts = []
    for k in range(6):
        clip, other = plain[k], tar[k]
        for name in names:
            np.testing.assert_array_equal(clip[name], other[name], err_msg=name)
            np.testing.assert_array_equal(clip[name], tar.tensor(name, k))
            assert clip[name].dtype == other[name].dtype
            if k == 0:
                np.testing.assert_array_equal(clip[name], streamed[name])
        assert clip["first_depth"].shape == clip["first_body"].shape == (32, 32)
        assert clip["past_frames"].shape == (PAST_KEYFRAMES, 32, 32, 3)
        assert clip["past_depth"].shape == clip["past_body"].shape == (PAST_KEYFRAMES, 32, 32)
        assert clip["past_depth"].dtype == np.float16
        used = np.isfinite(clip["past_time"])
        counts.append(int(used.sum()))
        assert (np.diff(clip["past_time"][used]) > 0).all()
        assert (clip["past_time"][used] < 0).all()
        assert not used[counts[-1] :].any()
        for name in names[:4]:
            assert not clip[name][~used].any()
        assert not used.any() or (clip["past_depth"][used] > 0).mean() > 0.95
        assert (clip["past_frames"][used].std(axis=(1, 2, 3)) > 5).all()
    assert 0 in counts
    assert max(counts) > 1
    prior = clip_prior(plain[int(np.argmax(counts))])
    assert prior.visibility[0].min() == 1.0


def test_the_first_frames_depth_is_the_depth_label(tmp_path: Path) -> None:
    options = ClipOptions(32, depth=True, keyframe_depth=True)
    generate.generate(tmp_path, "val", 1, seed=4, workers=1, options=options)
    clip = open_clips(tmp_path)[0]
    assert "past_time" not in clip
    np.testing.assert_array_equal(clip["first_depth"], clip["depth"][0])


@pytest.mark.parametrize("seconds", ["0.2", "9"])
def test_a_past_that_cannot_be_is_refused(seconds: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        generate.main(["--out", str(tmp_path), "--past", seconds])
    assert f"--past {seconds}: wanted 0 for none, or 0.6 to 8 seconds" in capsys.readouterr().err


def test_a_failed_shard_is_recorded_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "SHARD_CLIPS", 1)
    (tmp_path / "clips-00001.safetensors").mkdir(parents=True)  # nothing can be written under that name
    arguments = ["--out", str(tmp_path), "--split", "val", "--size", "16", "--clips", "3", "--workers", "1"]
    assert generate.main(arguments) == 1
    manifest = Manifest.load(tmp_path)
    assert sorted(manifest.shards) == ["clips-00000", "clips-00002"]
    assert manifest.left_out["clips-00001"].startswith("shard failed: IsADirectoryError")
    assert manifest.skipped["shard failed"] == 1
    (tmp_path / "clips-00001.safetensors").rmdir()
    assert generate.main(arguments) == 0
    assert Manifest.load(tmp_path).left_out == {}
    assert len(open_clips(tmp_path, verify=True)) == 3


@needs_shared("data/cmu/02_01.amc")
def test_motion_capture_is_known_by_its_contents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mocap, out = tmp_path / "mocap", tmp_path / "clips"
    mocap.mkdir()
    for name in ("02.asf", "02_01.amc", "02_03.amc"):
        shutil.copy(CMU / name, mocap / name)
    (mocap / "02_04.amc").write_text("#!OML\n:DEGREES\n1\nroot 0 0\n")
    arguments = ["--split", "train", "--size", "16", "--clips", "2", "--workers", "1", "--out", str(out)]
    assert generate.main([*arguments, "--mocap", str(mocap)]) == 0
    assert "train: left out: 1 × motion capture not used" in capsys.readouterr().out
    manifest = Manifest.load(out)
    assert len(manifest.options["mocap"]) == 64
    assert "2 numbers for 'root'" in manifest.left_out["02_04.amc"]
    mocap.rename(tmp_path / "elsewhere")  # the same recordings
    assert generate.main([*arguments, "--mocap", str(tmp_path / "elsewhere")]) == 0
    (tmp_path / "elsewhere/02_03.amc").unlink()
    assert generate.main([*arguments, "--mocap", str(tmp_path / "elsewhere")]) == 2
    assert "choose another folder" in capsys.readouterr().err
    assert generate.main([*arguments, "--mocap", str(tmp_path / "nowhere")]) == 2
    assert "holds no .amc or .bvh files" in capsys.readouterr().err


def test_clips_made_before_an_option_existed_are_resumed(tmp_path: Path) -> None:
    made = generate.generate(tmp_path, "val", 1, seed=4, size=16, workers=1)
    value = json.loads((tmp_path / "manifest.json").read_text())
    for name in ("compression", "drawn_from", "left_out"):
        del value[name]
    del value["options"]["ambiguous"]
    (tmp_path / "manifest.json").write_text(json.dumps(value))
    assert generate.generate(tmp_path, "val", 1, seed=4, size=16, workers=1).shards == made.shards
    value["shards"]["pipe:touch x"] = {"clips": 1}
    (tmp_path / "manifest.json").write_text(json.dumps(value))
    with pytest.raises(RecordingError, match="make the clips again"):
        open_clips(tmp_path)


def test_leftovers_of_killed_workers_are_removed(tmp_path: Path) -> None:
    left = tmp_path / ".clips-00000-abcd.safetensors"
    left.write_bytes(b"half")
    generate.generate(tmp_path, "val", 1, seed=4, size=16, workers=1)
    assert not left.exists()
    assert len(open_clips(tmp_path)) == 1


def test_a_body_in_a_cupboard_is_noticed() -> None:
    clips = np.zeros((2, 23, 3))
    clips[:, :, 2] = np.linspace(0.1, 1.6, 23)
    turned = np.broadcast_to(np.eye(3), (2, 23, 3, 3))
    box = Solids(np.array([[0.5, 0.0, 1.0]]), np.array([[0.2, 0.2, 1.0]]), np.zeros(1), ("",))
    plan = RoomPlan(seed=0, size=(4.0, 4.0), free=[], targets=[], solids=box)
    assert penetration(plan, clips, turned) == 0
    assert 0.15 < penetration(plan, clips + np.array([0.4, 0.0, 0.0]), turned) < 0.4


def test_a_head_that_snaps_round_is_noticed() -> None:
    plan = empty_room()
    motion = synthesise(np.random.default_rng(1), plan, "stand_still")
    assert fault_of(motion, plan) == ""
    rotations = motion.rotations.copy()
    for degrees, fault in ((20, ""), (30, "snap")):  # within a sixteenth of a second
        turn = Rotation.from_euler("z", degrees, degrees=True).as_matrix()
        rotations[40:, HEAD] = turn @ motion.rotations[40:, HEAD]
        assert fault_of(replace(motion, rotations=rotations), plan) == fault
