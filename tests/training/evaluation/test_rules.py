"""What reads pictures and motions: obedience rules, camera paths, hand and text losses, the ImageNet extractor."""

from __future__ import annotations

import runpy
import sys
from dataclasses import replace
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
from egotwin_model.geometry.skeleton import HEAD, XSENS_JOINTS, forward_kinematics, reference_offsets
from training.actions.measures import measure
from training.actions.rules import obeys
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

from ..evaluation_data import write_data
from .rendered_room import room_view, wall_patterns

ROOT = Path(__file__).parents[3]
POSES, RATE = 81, 16.0


def body(yaw: np.ndarray, forward: np.ndarray, turns: dict[str, np.ndarray] | None = None, pelvis_z: float = 0.93):
    """A stiff body that faces `yaw` (T,) rad and has gone `forward` (T,) m; `turns` of joints against it."""
    base = Rotation.from_euler("z", yaw[:, None]).as_matrix()
    rotations = np.repeat(base[:, None], 23, axis=1)
    for name, turn in (turns or {}).items():
        index = XSENS_JOINTS.index(name)
        rotations[:, index] = base @ turn
        if "UpperArm" in name:
            rotations[:, index + 1 : index + 3] = (base @ turn)[:, None]
    steps = np.diff(forward, prepend=0.0)
    path = np.cumsum(steps[:, None] * np.stack([np.cos(yaw), np.sin(yaw)], axis=-1), axis=0)
    pelvis = np.concatenate([path, np.full((len(yaw), 1), pelvis_z)], axis=-1)
    return forward_kinematics(pelvis, rotations, reference_offsets()), rotations


def arms(left: float = 1.4, right: float = 1.4) -> dict[str, np.ndarray]:
    """Arms from T-pose: 1.4 hang down, negative swings ahead (radians)."""
    found = {}
    for side, angle, sign in (("L", left, 1), ("R", right, -1)):
        axis = np.array([sign * angle, 0.0, 0.0]) if angle > 0 else np.array([0.0, 0.0, sign * angle])
        found[f"{side}_UpperArm"] = np.repeat(
            Rotation.from_rotvec(-axis if angle > 0 else axis).as_matrix()[None], POSES, 0
        )
    return found


t = np.linspace(0.0, 1.0, POSES)
zero = np.zeros(POSES)
early, late = np.clip(3 * t, 0, 1), np.clip(3 * t - 2, 0, 1)
MOTIONS = {
    "stand_still": body(zero, zero, arms()),
    "turn_left": body(1.5 * t, zero, arms()),
    "turn_right": body(-1.5 * t, zero, arms()),
    "turn_around_left": body(np.pi * t, zero, arms()),
    "walk_forward": body(zero, 3 * t, arms()),
    "walk_stop": body(zero, 3 * early, arms()),
    "turn_left_walk": body(1.5 * early, 3 * np.clip(1.5 * t - 0.5, 0, 1), arms()),
    "walk_turn_left": body(1.5 * late, 3 * t, arms()),
    "walk_back": body(zero, -2 * t, arms()),
    "reach": body(zero, zero, arms(left=-1.5)),
}


@pytest.mark.parametrize("asked", MOTIONS)
def test_rules_tell_actions_apart(asked: str) -> None:
    truth = measure(*MOTIONS[asked], RATE)
    obeying = {name for name, motion in MOTIONS.items() if obeys(asked, measure(*motion, RATE), truth, "left")}
    also = {"walk_forward": {"walk_stop"}}  # who stops has walked, too
    assert obeying == {asked} | also.get(asked, set())


def test_a_turn_counts_within_forty_percent() -> None:
    truth = measure(*MOTIONS["turn_left"], RATE)
    for share, answer in ((0.55, False), (0.65, True), (1.35, True), (1.45, False), (-1.0, False)):
        assert obeys("turn_left", measure(*body(share * 1.5 * t, zero, arms()), RATE), truth) is answer


def test_reaching_is_with_the_hand_that_was_asked_at_the_height_of_the_thing() -> None:
    reading = measure(*MOTIONS["reach"], RATE)
    assert obeys("reach", reading, reading, "left")
    assert not obeys("reach", reading, reading, "right")
    assert not obeys("reach", reading, reading, "both")
    assert obeys("reach", reading, reading, "")
    assert obeys("reach", reading, reading, "right", left_open="hand")
    assert obeys("open", reading, reading, "left")
    for rise, answer in ((0.25, True), (0.35, False)):
        higher = replace(reading, reach_height=(reading.reach_height[0] + rise, reading.reach_height[1]))
        assert obeys("open", higher, reading, "left") is answer
        assert obeys("open", higher, reading, "left", left_open="target")
    both = measure(*body(zero, zero, arms(left=-1.5, right=-1.5)), RATE)
    assert obeys("reach", both, both, "both")


def swing(*angles: float) -> np.ndarray:
    """How far the left arm is raised over time, in equal parts: 0 hangs down, π / 2 is straight ahead."""
    raised = np.interp(np.linspace(0, len(angles) - 1, POSES), range(len(angles)), angles)
    down = Rotation.from_euler("x", -np.pi / 2)
    return (Rotation.from_euler("y", -raised[:, None]) * down).as_matrix()


def test_what_is_picked_up_is_held_and_what_is_put_down_was() -> None:
    turns = {
        name: arms() | {"L_UpperArm": swing(*angles)}
        for name, angles in {"pick_up": (0, 1.6, 0.6), "put_down": (0.6, 1.6, 0), "reach": (0, 1.6, 0)}.items()
    }
    readings = {name: measure(*body(zero, zero, turn), RATE) for name, turn in turns.items()}
    for asked in readings:
        obeying = {name for name, found in readings.items() if obeys(asked, found, readings[asked], "left")}
        assert obeying == (set(readings) if asked == "reach" else {asked})


def test_walking_to_something_gets_there() -> None:
    truth = measure(*body(zero, 2 * t, arms()), RATE)
    for yaw, way, answer in ((0.0, 1.3, True), (0.0, 1.1, False), (0.3, 2.0, True), (0.6, 2.0, False), (0, 2.9, False)):
        found = measure(*body(np.full(POSES, yaw), way * t, arms()), RATE)
        assert obeys("walk_to", found, truth) is answer, (yaw, way)
        assert obeys("walk_to", found, truth, left_open="target")


def test_a_side_that_is_left_open_is_either_side() -> None:
    left, right = measure(*MOTIONS["turn_left"], RATE), measure(*MOTIONS["turn_right"], RATE)
    assert not obeys("turn_left", right, left)
    assert obeys("turn_left", right, left, left_open="side")
    record = {"behaviour": "turn_left", "text": "turn", "ambiguous": "side"}
    assert obeys_record(record, MOTIONS["turn_right"], MOTIONS["turn_left"], RATE)
    assert not obeys_record(record | {"text": "turn left"}, MOTIONS["turn_right"], MOTIONS["turn_left"], RATE)


def test_sitting_crouching_looking() -> None:
    standing, rotations = MOTIONS["stand_still"]
    low, half, dip = standing.copy(), standing.copy(), standing.copy()
    low[20:, :, 2] *= 0.6
    dip[20:, :, 2] *= 0.9
    half[20:, :, 2] *= 0.55
    for side in "LR":
        thigh = [XSENS_JOINTS.index(f"{side}_{part}") for part in ("UpperLeg", "LowerLeg", "Foot", "Toe")]
        half[20:, thigh[1:]] += [0.4, 0, 0]
        half[20:, thigh[1], 2] = half[20:, thigh[0], 2]
    truth = measure(standing, rotations, RATE)
    readings = {name: measure(x, rotations, RATE) for name, x in {"crouch": low, "sit": half, "": dip}.items()}
    for asked in ("crouch", "sit"):
        assert {name for name, found in readings.items() if obeys(asked, found, truth)} == {asked}
        assert not obeys(asked, truth, truth)
    assert not obeys("stand_up", measure(dip[::-1], rotations, RATE), truth)
    assert obeys("stand_up", measure(half[::-1], rotations, RATE), truth)
    turned = rotations.copy()
    turned[30:, HEAD] = Rotation.from_rotvec([0, 0, 1.0]).as_matrix()
    found = measure(standing, turned, RATE)
    assert obeys("look_at", found, found)
    assert not obeys("look_at", truth, found)
    assert not obeys("stand_still", found, truth)
    assert obeys("fly", truth, truth) is None


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


def test_camera_paths_are_found_in_pictures_of_a_room() -> None:
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
