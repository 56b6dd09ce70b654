"""Obedience, camera paths, the evaluators' losses, the ImageNet extractor, the example of an outside model."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from ...shared_data import missing_extra, rendered_clips

pytest.importorskip("tyro", reason=missing_extra("train"))

from egotwin_model.errors import ModelError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from training.evaluation.benchmark.measurements import ToolsSpec
from training.evaluation.benchmark.run import score
from training.evaluation.benchmark.task_files import write_tasks
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.extractors.base import EfficientNetLite0
from training.evaluation.extractors.colmap import Colmap
from training.evaluation.extractors.extractor_networks import contrastive_margin, focal_loss, info_nce
from training.evaluation.metrics.frechet import Gaussian, frechet_distance
from training.evaluation.metrics.head_motion import view_consistency
from training.evaluation.metrics.obedience import KINDS, by_kind, judged, kinds_of, obeys_record, verify

from ..actions.stiff_body import MOTIONS, POSES, RATE, arms, body, early, t, zero
from ..evaluation_data import write_data
from .rendered_room import room_view, wall_patterns

ROOT = Path(__file__).parents[3]


def test_a_side_that_is_left_open_is_either_side() -> None:
    record = {"behaviour": "turn_left", "text": "turn", "ambiguous": "side"}
    assert obeys_record(record, MOTIONS["turn_right"], MOTIONS["turn_left"], RATE)
    assert not obeys_record(record | {"text": "turn left"}, MOTIONS["turn_right"], MOTIONS["turn_left"], RATE)


def test_actions_are_judged_in_their_time() -> None:
    first, then = MOTIONS["turn_left"], MOTIONS["walk_stop"]
    turn_then_walk = body(np.concatenate([1.5 * t, np.full(POSES, 1.5)]), np.concatenate([zero, 3 * early]))
    walk_then_turn = body(np.concatenate([zero, 1.5 * t]), np.concatenate([3 * early, np.full(POSES, 3.0)]))
    record = {
        "behaviour": "turn_left+walk_to",
        "actions": [
            {"action": "turn_left", "start_s": 0.0, "end_s": 5.0, "side": "left"},
            {"action": "walk_to", "start_s": 5.1, "end_s": 10.0, "side": ""},
        ],
    }
    assert obeys_record(record, turn_then_walk, turn_then_walk, RATE)
    assert not obeys_record(record, walk_then_turn, turn_then_walk, RATE)
    only_turned = body(np.concatenate([1.5 * t, np.full(POSES, 1.5)]), np.zeros(2 * POSES))
    assert not obeys_record(record, only_turned, turn_then_walk, RATE)
    other_way = [
        {**action, "start_s": start, "end_s": start + 5.0}
        for action, start in zip(record["actions"], (5.1, 0.0), strict=True)
    ]
    assert obeys_record(record | {"actions": other_way}, walk_then_turn, walk_then_turn, RATE)
    kinds = dict(zip(KINDS, by_kind(record, only_turned, turn_then_walk, RATE), strict=True))
    assert {kind: value for kind, value in kinds.items() if np.isfinite(value)} == {
        "turn": 1.0, "walk": 0.0, "sequences": 0.0,
    }  # fmt: skip
    assert kinds_of(record) == {"turn", "walk", "sequences"}
    assert obeys_record({"behaviour": "turn_left"}, first, first, RATE)
    assert obeys_record({"behaviour": "fly"}, first, first, RATE) is None
    assert not obeys_record({"behaviour": "turn_left"}, then, first, RATE)


def test_standing_still_among_other_actions_is_a_pause() -> None:
    """Braking takes time: who walks, stands and walks on need not be still for as long as the action is told."""
    forward = np.interp(t, [0, 0.3, 0.45, 0.6, 1], [0, 1.5, 1.7, 1.7, 0.5])
    truth = body(zero, forward, arms())
    record = {
        "behaviour": "walk_forward+stand_still+walk_back",
        "actions": [
            {"action": "walk_forward", "start_s": 0.0, "end_s": 1.6, "side": ""},
            {"action": "stand_still", "start_s": 1.6, "end_s": 3.0, "side": ""},
            {"action": "walk_back", "start_s": 3.0, "end_s": 5.0, "side": ""},
        ],
    }
    assert obeys_record(record, truth, truth, RATE)
    at_once = body(zero, np.interp(t, [0, 0.45, 1], [0, 1.7, 0.5]), arms())
    assert dict(judged(record, at_once, truth, RATE)) == {"walk_forward": True, "stand_still": False, "walk_back": True}


def test_rules_recognise_rendered_clips() -> None:
    """The rules on true clips: what each asks for, and what they take for it."""
    own, other = verify(rendered_clips("val").parent, "val")
    assert (np.nanmean(own, axis=0) >= 0.95).all()
    assert np.nanmean(other[:, KINDS.index("sequences")]) < 0.05


# Camera paths


def test_camera_paths_are_found_in_frames_of_a_room() -> None:
    camera = Pinhole.from_fov(128, 128, np.pi / 2)
    walls = wall_patterns()
    share = np.linspace(0, 1, 13)
    heads = Rotation.from_euler("z", 0.8 * share[:, None]).as_matrix()
    places = np.stack([1.2 * share, 0.5 * np.sin(3 * share), 0.1 * share], axis=-1)
    poses = Mount().camera_pose(places, heads)
    frames = np.stack([room_view(camera, pose, walls) for pose in poses])
    path = Colmap(stride=2)(frames, camera)
    assert path.frames.tolist() == [0, 2, 4, 6, 8, 10, 12]
    found = view_consistency(path.rotations, path.positions, poses[::2, :3, :3], poses[::2, :3, 3])
    assert found["RotErr"] < 0.03
    assert found["TransErr"] < 0.05
    assert len(Colmap()(np.full((9, 64, 64, 3), 90, np.uint8), camera.scaled(64, 64)).frames) == 0


def test_a_camera_path_is_found_again() -> None:
    """A camera that hardly moves leaves its path to chance, which has a seed."""
    camera, walls, share = Pinhole.from_fov(128, 128, np.pi / 2), wall_patterns(), np.linspace(0, 1, 5)
    heads = Rotation.from_euler("z", 0.8 * share[:, None]).as_matrix()
    places = np.stack([0.024 * share, 0.01 * np.sin(3 * share), 0.002 * share], axis=-1)
    frames = np.stack([room_view(camera, pose, walls) for pose in Mount().camera_pose(places, heads)])
    paths = [Colmap(stride=1)(frames, camera) for _ in range(4)]
    assert len(paths[0].frames) == 5
    for path in paths[1:]:
        np.testing.assert_array_equal(path.positions, paths[0].positions)


# Losses and extractors


def test_focal_loss_by_hand() -> None:
    logits, targets = torch.tensor([[0.0, np.log(3.0)]]), torch.tensor([[True, False]])
    alpha = torch.tensor([0.80, 0.75])
    right = -0.80 * 0.5**2 * np.log(0.5)
    wrong = -0.25 * 0.75**2 * np.log(0.25)  # p = 3/4 for a hand that is not there
    assert float(focal_loss(logits, targets, 2.0, alpha)) == pytest.approx((right + wrong) / 2, rel=1e-5)
    plain = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets.float())
    assert float(focal_loss(logits, targets, 0.0, torch.tensor([0.5, 0.5]))) == pytest.approx(
        float(plain) / 2, rel=1e-5
    )


def test_contrastive_losses_by_hand() -> None:
    text, motion = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[0.0, 1.0], [3.0, 4.0]])
    own = torch.eye(2, dtype=torch.bool)
    matched = (1.0 + 0.0) / 2
    far, near = np.hypot(3, 4), np.hypot(3, 3)
    loss = float(contrastive_margin(motion, text, own, 6.0))
    assert loss == pytest.approx(matched + ((6 - far) ** 2 + (6 - near) ** 2) / 2, rel=1e-4)
    assert float(contrastive_margin(motion, text, torch.ones(2, 2, dtype=torch.bool), 6.0)) == pytest.approx(matched)
    unit = torch.eye(2)
    assert float(info_nce(unit, unit, own, 1.0)) == pytest.approx(np.log(1 + np.exp(-1)), rel=1e-5)
    assert float(info_nce(unit, unit, torch.ones(2, 2, dtype=torch.bool), 1.0)) == pytest.approx(0.0, abs=1e-6)


def test_imagenet_features_notice_blur_and_refuse_other_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason=missing_extra("train"))
    rng = np.random.default_rng(0)
    sharp = np.stack(
        [cv2.GaussianBlur(rng.integers(0, 256, (32, 32, 3)).astype(np.uint8), (0, 0), 1.5) for _ in range(12)]
    )
    blurred = np.stack([cv2.GaussianBlur(picture, (0, 0), 3.0) for picture in sharp])
    extractor = EfficientNetLite0()
    features = extractor(np.concatenate([sharp, blurred]))
    assert features.shape == (24, 1280)
    np.testing.assert_allclose(extractor(sharp[:2]), features[:2], atol=1e-4)
    one, other, soft = (Gaussian.fit(features[rows]) for rows in (slice(0, 6), slice(6, 12), slice(12, 24)))
    with pytest.warns(UserWarning, match="biased upwards"):
        assert frechet_distance(one, soft) > 2 * frechet_distance(one, other)
    monkeypatch.setattr(EfficientNetLite0, "FILE_SHA256", "00")
    with pytest.raises(ModelError, match="was altered"):
        EfficientNetLite0()(sharp[:1])


def test_the_example_scores_a_model_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = Benchmark(write_data(tmp_path / "data", {"test": 3, "val": 2}), 3)
    write_tasks(benchmark, "T2M", tmp_path / "tasks", known_poses=2)
    monkeypatch.setattr(sys, "argv", ["example", str(tmp_path / "tasks"), str(tmp_path / "mine")])
    runpy.run_path(str(ROOT / "examples" / "score_own_predictions.py"), run_name="__main__")
    results = score(benchmark, [tmp_path / "mine"], ToolsSpec(images=False, cameras=False), tmp_path / "out")
    (subject,) = results["subjects"].values()
    assert subject["info"]["told"] == "the second pose"
    assert subject["metrics"]["head FDE@5s"]["value"] < 0.01  # people of this data glide along straight lines
