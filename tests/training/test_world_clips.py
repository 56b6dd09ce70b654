"""Clips of our own world on disk: the same whoever makes them, resumable, whole, free of leaks between splits."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

import training.world  # noqa: F401  before mujoco: chooses rendering without a screen

pytest.importorskip("mujoco", reason="needs the `world` extra")
pytest.importorskip("pybullet_data", reason="the captured gait comes with the pybullet package (extra: world)")

from egotwin_model.errors import RecordingError
from egotwin_model.skeleton import HEAD, forward_kinematics
from training.world import generate, leakage, show
from training.world.canvas import gl_context
from training.world.clips import BODY_SEEDS, Options
from training.world.collisions import penetration
from training.world.plan import RoomPlan, Solids
from training.world.scene import SPLIT_SEEDS
from training.world.shards import open_clips


@pytest.fixture(scope="module", autouse=True)
def _screenless() -> None:
    try:
        gl_context()
    except Exception as error:
        pytest.skip(f"no OpenGL without a screen here: {error}")


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
    options = Options(32, vary_camera=True, outside=True, hand_pixels=True, depth=True, segmentation=True)
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
            32 / 2 / np.tan(np.radians(105 / 2)) - 1e-3
            <= clip["intrinsics"][0]
            <= 32 / 2 / np.tan(np.radians(75 / 2)) + 1e-3
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
    assert film.shape == (41, 64 + show.CAPTION_HEIGHT, 128, 3)
    show.write_film(tmp_path / "film.mp4", [film])
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 41
    assert show.contact_sheet(clips, [0, 2], columns=4, tile=32).shape == (2 * (32 + show.CAPTION_HEIGHT), 128, 3)


def test_leaks_between_splits_are_found(tmp_path: Path) -> None:
    for split in ("train", "test"):
        generate.generate(tmp_path / split, split, 3, seed=1, size=16, workers=1)
    clips = {split: open_clips(tmp_path / split) for split in ("train", "test")}
    assert leakage.leaks(clips) == []
    clips["test"].records[0] = clips["train"].records[0]
    found = "\n".join(leakage.leaks(clips))
    for what in ("rooms", "bodies", "wall_styles"):
        assert f"train/test: 1 {what} in both" in found


def test_what_a_killed_worker_left_is_cleared(tmp_path: Path) -> None:
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
