"""The depth network's stage: its loss and measures, the views it takes as a past, and that it learns a room."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ...shared_data import missing_extra

pytest.importorskip("accelerate", reason=missing_extra("train"))

from benchmarks.scene_memory import furnished, pose_at
from egotwin_model.errors import ModelError, RecordingError
from egotwin_model.geometry.camera import Pinhole
from training.datasets.clips.dataset import ClipSet, open_clips
from training.datasets.clips.depth_views import FURTHER_EVERY, DepthClips
from training.datasets.clips.shards import Manifest, write_shard
from training.stages.depth import DepthStage, past_of, recoloured
from training.stages.depth_loss import DepthLossConfig, depth_loss, depth_measures
from training.stages.random_streams import RandomStreams
from training.stages.recipes import RECIPES, DepthRecipe

CAMERA = Pinhole.from_fov(64, 64, np.pi / 2)
FRAMES, PAST = 1 + 2 * FURTHER_EVERY, 3
RECIPE = RECIPES["smoke"]["depth"]
assert isinstance(RECIPE, DepthRecipe)


def walked(seed: int) -> dict[str, np.ndarray]:
    """A clip of a walk through a room of boxes, with depth of its first frame and of three keyframes before it."""
    room, rng = furnished(seed), np.random.default_rng(seed)
    start, heading = rng.uniform(-0.5, 0.5, 2), rng.uniform(0, 2 * np.pi)
    poses = [
        pose_at((*(start + 0.05 * step * rng.uniform(0.5, 1, 2)), 1.5), heading + 0.05 * step, 0.4)
        for step in range(PAST + FRAMES)
    ]
    images, depths, seen = (np.stack(part) for part in zip(*(room.view(CAMERA, pose) for pose in poses), strict=True))
    keyframes, time = 8, np.full(8, np.nan, np.float32)
    time[:PAST] = np.arange(-PAST, 0) * 0.75

    def padded(part: np.ndarray) -> np.ndarray:
        return np.concatenate([part[:PAST], np.zeros((keyframes - PAST, *part.shape[1:]), part.dtype)])

    depths, bodies, poses = depths.astype(np.float16), (seen == 1).astype(np.uint8), np.stack(poses).astype(np.float32)
    return {
        "frames": images[PAST:], "camera_pose": poses[PAST:], "first_depth": depths[PAST], "first_body": bodies[PAST],
        "intrinsics": np.array([CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy], np.float32),
        "past_frames": padded(images), "past_depth": padded(depths), "past_body": padded(bodies),
        "past_camera_pose": padded(poses), "past_time": time,
    }  # fmt: skip


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipSet:
    folder, made = tmp_path_factory.mktemp("clips"), [walked(seed) for seed in range(4)]
    write_shard(folder, 0, {name: np.stack([clip[name] for clip in made]) for name in made[0]}, [{}] * len(made))
    Manifest("train", 0, len(made), 64, shards={"clips-00000": {"clips": len(made)}}).save(folder)
    return open_clips(folder)


def test_views_are_the_past_and_the_frames_in_order(clips: ClipSet) -> None:
    views = DepthClips(clips)[1]
    assert len(views.images) == len(views.poses) == len(views.times) == PAST + 3
    assert (np.diff(views.times) > 0).all()
    assert views.times[PAST] == 0.0
    assert views.labelled == PAST + 1
    assert (views.images[PAST:] == clips.tensor("frames", 1)[::FURTHER_EVERY]).all()
    assert views.times[-1] == pytest.approx((FRAMES - 1) / 8)
    body = clips.tensor("first_body", 1).astype(bool)
    assert (views.depth(PAST)[body] == 0).all()
    assert (views.depth(PAST)[~body] == clips.tensor("first_depth", 1)[~body]).all()


def test_a_past_is_the_last_views_that_are_apart(clips: ClipSet) -> None:
    views = DepthClips(clips)[0]
    assert past_of(views, PAST, 5, 0.75) == [0, 1, 2]
    assert past_of(views, PAST, 5, 1.0) == [1]
    assert past_of(views, PAST, 1, 0.75) == [2]
    assert past_of(views, 0, 3, 0.6, backwards=True) == [3, 2, 1]
    assert past_of(views, 0, 3, 0.75) == []
    assert past_of(views, PAST, 0, 0.75) == []


def test_the_loss_ignores_what_is_unknown_and_far() -> None:
    depth = torch.full((2, 16, 16), 2.0)
    predicted = torch.zeros(2, 2, 16, 16)
    predicted[:, 0] = depth.log()
    depth[0, 3:6, 3:6], depth[1, 2, 2] = 0.0, 30.0
    predicted[0, 0, 3:6, 3:6], predicted[1, 0, 2, 2] = 7.0, -3.0
    terms = depth_loss(predicted, depth, 20.0, DepthLossConfig())
    assert float(terms["log_error"]) == float(terms["gradient"]) == 0.0
    predicted[:, 0] += 0.1
    terms = depth_loss(predicted, depth, 20.0, DepthLossConfig(gradient_weight=0.5, error_weight=0.0))
    assert float(terms["log_error"]) == pytest.approx(0.1, rel=1e-4)
    assert float(terms["gradient"]) == pytest.approx(0.0, abs=1e-6), "another scale is no other edge"
    assert float(terms["loss"]) == pytest.approx(0.1, rel=1e-4)


def test_the_predicted_error_becomes_the_true_one() -> None:
    predicted = torch.zeros(1, 2, 8, 8, requires_grad=True)
    optimiser = torch.optim.Adam([predicted], 0.1)
    for _ in range(100):
        optimiser.zero_grad()
        frozen = torch.cat([torch.full((1, 1, 8, 8), 0.25), predicted[:, 1:]], dim=1)
        depth_loss(frozen, torch.ones(1, 8, 8), 20.0, DepthLossConfig())["loss"].backward()
        optimiser.step()
    assert predicted[:, 1].exp().mean().item() == pytest.approx(0.25, rel=0.05)


def test_measures_of_a_known_error() -> None:
    depth = torch.full((2, 4, 4), 2.0)
    depth[:, :2] = 0.0
    found = depth_measures(torch.stack([depth[0] + 1.0, torch.full((4, 4), 2.2)]), depth, 20.0)
    assert found["abs_rel"].tolist() == pytest.approx([0.5, 0.1], rel=1e-5)
    assert found["delta_1"].tolist() == [0.0, 1.0]
    assert found["squared_log"][1].sqrt().item() == pytest.approx(np.log(1.1), rel=1e-4)


def test_recolouring_keeps_grey_grey_and_is_off_at_zero() -> None:
    image = np.full((4, 4, 3), 90, np.uint8)
    jitter, rng = np.full((6, 3), 0.5, np.float32), np.random.default_rng(0)
    assert recoloured(image, jitter, 0.0, rng) is image
    assert np.ptp(recoloured(image, jitter, 0.5, rng).astype(int), axis=-1).max() <= 1
    jitter[1] = (0.1, 0.5, 0.9)
    assert np.ptp(recoloured(image, jitter, 0.5, rng).astype(int), axis=-1).min() > 10


def test_training_lowers_the_error_of_unseen_noise(clips: ClipSet) -> None:
    stage = DepthStage(replace(RECIPE, recolour=0.1), clips, clips)
    assert set(stage.validation) == {0, 1}, "no clip has five earlier views"
    with torch.no_grad():
        before = stage.validate(stage.model)
    optimiser = torch.optim.AdamW(stage.model.parameters(), 3e-3)
    for step in range(60):
        streams = RandomStreams(0, step, range(4))
        batch = stage.batch(torch.arange(4), streams)
        assert batch["view"].shape == (4, 8, 64, 64)
        optimiser.zero_grad()
        stage.loss(stage.model, batch, streams)["loss"].backward()
        optimiser.step()
    with torch.no_grad():
        after = stage.validate(stage.model)
    assert after.keys() == before.keys() >= {"val_abs_rel", "val_abs_rel_past_1", "val_delta_1", "val_rmse_log"}
    assert after["val_abs_rel"] < 0.5 * before["val_abs_rel"]


def test_a_sample_has_a_past_where_one_is_asked_for(clips: ClipSet) -> None:
    """The first view of a clip has views on one side only, whichever way time is to run."""
    stage = DepthStage(RECIPE, clips, clips)
    jitter = np.full((6, 3), 0.4, np.float32)
    for backwards in (0.1, 0.9):
        chance = np.array([0.0, 0.9, 0.5, 0.0, backwards, 0.5, 0.9, 0.5], np.float32)
        assert stage._sample(stage.clips[0], chance, jitter)[1].any()
        chance[1] = 0.1
        assert not stage._sample(stage.clips[0], chance, jitter)[1].any()


def test_a_mirrored_view_has_mirrored_depth(clips: ClipSet) -> None:
    """Both come from the same numbers but the one that decides to mirror."""
    stage = DepthStage(RECIPE, clips, clips)
    chance, jitter = np.full(8, 0.5, np.float32), np.full((6, 3), 0.4, np.float32)
    plain, mirrored = (
        stage._sample(stage.clips[0], np.concatenate([chance[:6], [flip], chance[7:]]), jitter) for flip in (0.9, 0.1)
    )
    np.testing.assert_array_equal(plain[2], mirrored[2][..., ::-1])
    np.testing.assert_array_equal(plain[1], mirrored[1][..., ::-1])
    np.testing.assert_array_equal(plain[0][:5], mirrored[0][:5, :, ::-1])
    np.testing.assert_array_equal(plain[0][5], -mirrored[0][5, :, ::-1])


def test_clips_without_depth_or_of_another_size_are_refused(clips: ClipSet, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has frames of 64x64, this configuration's network takes 128x128"):
        DepthStage(replace(RECIPE, model=replace(RECIPE.model, size=128)), clips, clips)
    write_shard(tmp_path, 0, {"frames": np.zeros((1, 4, 64, 64, 3), np.uint8)}, [{}])
    Manifest("train", 0, 1, 64, shards={"clips-00000": {"clips": 1}}).save(tmp_path)
    bare: Any = open_clips(tmp_path)
    with pytest.raises(RecordingError, match=r"has no depth; make the clips with .* --keyframe-depth"):
        DepthStage(RECIPE, bare, bare)
