"""The world's human motion: bodies that are whole, feet that stay where they are put, words that are true."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from egotwin_model.skeleton import HEAD, XSENS_JOINTS, forward_kinematics, local_rotations

pytest.importorskip("pybullet_data", reason="the captured gait comes with the pybullet package (extra: world)")

from training.world import ik
from training.world.behaviours import BEHAVIOURS, RATE_HZ, SynthMotion, synthesise, synthesise_sequence
from training.world.gaits import SAMPLES, walk_cycle
from training.world.narration import kind_of, narrate, phrases
from training.world.plan import NoRoomError, RoomPlan, Target
from training.world.reaching import WORST_LEAN

JOINT = {name: index for index, name in enumerate(XSENS_JOINTS)}
ROOM = RoomPlan(
    seed=1,
    size=(6.4, 6.0),
    free=[(-2.7, -2.5, 2.7, 1.5), (-2.7, -2.5, -1.8, 2.5)],
    targets=[
        Target("red box", (0.3, 1.97, 0.82), "table", 0.75),
        Target("blue mug", (-0.6, 1.93, 0.80), "table", 0.75),
        Target("green ball", (1.9, 2.0, 1.28), "shelf", 1.25),
    ],
)
SEEDS = range(12)


@cache
def clips(behaviour: str) -> list[SynthMotion]:
    return [synthesise(np.random.default_rng(seed), ROOM, behaviour) for seed in SEEDS]


def soles(motion: SynthMotion) -> np.ndarray:
    """Heel and toe points of both feet: (T, 2 feet, 2 points, 3)."""
    ankle_height = -1.5 * motion.offsets[JOINT["L_Toe"], 2]
    points = []
    for side in "LR":
        foot = JOINT[f"{side}_Foot"]
        heel = motion.positions[:, foot] + motion.rotations[:, foot] @ np.array([-0.05, 0.0, -ankle_height])
        points.append(np.stack([heel, motion.positions[:, JOINT[f"{side}_Toe"]]], axis=1))
    return np.stack(points, axis=1)


def head_yaw(motion: SynthMotion) -> np.ndarray:
    return np.unwrap(np.arctan2(motion.rotations[:, HEAD, 1, 0], motion.rotations[:, HEAD, 0, 0]))


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_a_clip_is_a_whole_finite_body(behaviour: str) -> None:
    for motion in clips(behaviour):
        assert motion.positions.shape == (81, 23, 3)
        assert motion.rotations.shape == (81, 23, 3, 3)
        assert motion.positions.dtype == motion.rotations.dtype == np.float32
        assert np.isfinite(motion.positions).all()
        assert np.isfinite(motion.rotations).all()
        rotations = motion.rotations.astype(float)
        assert np.abs(rotations @ np.swapaxes(rotations, -1, -2) - np.eye(3)).max() < 1e-5
        assert np.linalg.det(rotations).min() > 0.99
        again = forward_kinematics(motion.positions[:, 0], motion.rotations, motion.offsets)
        assert np.abs(again - motion.positions).max() < 1e-5


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_planted_feet_neither_slide_nor_sink(behaviour: str) -> None:
    slides, lowest = [], []
    for motion in clips(behaviour):
        points = soles(motion)
        speed = np.linalg.norm(np.diff(points, axis=0), axis=-1).min(axis=-1) * RATE_HZ
        slides.append(speed[motion.contacts[1:] & motion.contacts[:-1]])
        lowest.append(points[..., 2].min())
    slide = np.concatenate(slides)
    print(f"{behaviour}: stance speed p99 {np.percentile(slide, 99):.4f} m/s, lowest sole {min(lowest):.4f} m")
    assert slide.size > 100
    assert np.percentile(slide, 99) < 0.05
    assert min(lowest) > -0.02


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_motion_is_smooth_and_knees_bend_backwards(behaviour: str) -> None:
    for motion in clips(behaviour):
        acceleration = np.diff(motion.positions.astype(float), n=2, axis=0) * RATE_HZ**2
        assert np.linalg.norm(acceleration, axis=-1).max() < 60
        assert np.linalg.norm(acceleration[:, HEAD], axis=-1).max() < 12
        local = local_rotations(motion.rotations.astype(float))
        for side in "LR":
            knee = local[:, JOINT[f"{side}_LowerLeg"]]
            bend = np.arctan2(knee[:, 0, 2], knee[:, 2, 2])
            assert bend.min() > -0.01
            assert bend.max() < np.radians(120)


@pytest.mark.parametrize("behaviour", [name for name in BEHAVIOURS if "turn" in name])
def test_turns_go_to_the_side_they_name(behaviour: str) -> None:
    kind, side = kind_of(behaviour)
    for motion in clips(behaviour):
        turn = np.degrees(head_yaw(motion)[-1] - head_yaw(motion)[0]) * (1 if side == "left" else -1)
        low, high = (140, 215) if kind == "turn_around" else (35, 125)
        assert low < turn < high
        assert side in motion.text
        assert {"left": "right", "right": "left"}[side] not in motion.text
        assert np.isclose(np.degrees(abs(motion.meta["head_turn_rad"])), turn)


def test_the_head_leads_a_turn() -> None:
    leads = []
    for motion in clips("turn_around_left"):
        head = head_yaw(motion)
        pelvis = np.unwrap(np.arctan2(motion.rotations[:, 0, 1, 0], motion.rotations[:, 0, 0, 0]))
        half = np.radians(80)
        leads.append((np.argmax(pelvis - pelvis[0] > half) - np.argmax(head - head[0] > half)) / RATE_HZ)
    assert 0.05 < np.mean(leads) < 0.4


def test_walking_moves_and_standing_does_not() -> None:
    for motion in clips("walk_forward"):
        assert 2.0 < motion.meta["net_distance_m"] < 5.2
        assert abs(np.degrees(motion.meta["head_turn_rad"])) < 25
        step = motion.positions[-1, HEAD, :2] - motion.positions[0, HEAD, :2]
        facing = motion.rotations[0, 0, :2, 0]
        assert step @ facing > 0.9 * np.linalg.norm(step)
    for motion in clips("stand_still"):
        head = motion.positions[:, HEAD]
        assert np.linalg.norm(head - head[0], axis=-1).max() < 0.1
        assert np.ptp(motion.positions, axis=0).max() > 1e-3  # alive
    for motion in clips("walk_stop"):
        speed = np.linalg.norm(np.diff(motion.positions[:, 0, :2], axis=0), axis=-1) * RATE_HZ
        assert speed.max() > 0.4
        assert speed[-8:].max() < 0.15


def test_arms_swing_against_the_legs() -> None:
    for motion in clips("walk_forward"):
        facing = motion.rotations[:, 0, :, 0]
        forward = {
            name: np.einsum("ti,ti->t", motion.positions[:, JOINT[name]] - motion.positions[:, 0], facing)
            for name in ("L_Hand", "L_Foot", "R_Hand", "R_Foot")
        }
        for side in "LR":
            tail = slice(24, None)  # after a standing start
            assert np.corrcoef(forward[f"{side}_Hand"][tail], forward[f"{side}_Foot"][tail])[0, 1] < -0.5
            assert np.ptp(forward[f"{side}_Foot"][tail]) > 0.3


@pytest.mark.parametrize("behaviour", ["reach", "walk_reach"])
def test_reaching_touches_and_looks_at_the_object(behaviour: str) -> None:
    mount = ik.rotation_y(np.radians(15.0))
    for motion in clips(behaviour):
        target = next(t for t in ROOM.targets if t.name == motion.meta["target"])
        hand = motion.positions[:, JOINT["L_Hand" if motion.meta["hand"] == "left" else "R_Hand"]]
        other = motion.positions[:, JOINT["R_Hand" if motion.meta["hand"] == "left" else "L_Hand"]]
        distance = np.linalg.norm(hand - np.array(target.position), axis=-1)
        touch = int(np.argmin(distance))
        assert distance[touch] < 0.14
        assert np.linalg.norm(other[touch] - target.position) > 0.2
        away = np.array(target.position) - motion.positions[touch, HEAD]
        forward = motion.rotations[touch, HEAD] @ mount[:, 0]
        assert np.degrees(np.arccos(away @ forward / np.linalg.norm(away))) < 40
        assert motion.meta["hand"] in motion.text
        assert target.name in motion.text
        assert motion.rotations[:, JOINT["T8"], 2, 2].min() > np.cos(WORST_LEAN + 0.3)


def test_the_pelvis_stays_in_the_free_area() -> None:
    boxes = np.array(ROOM.free)
    for behaviour in BEHAVIOURS:
        for motion in clips(behaviour):
            path = motion.positions[:, None, 0, :2]
            outside = np.maximum(np.maximum(boxes[:, :2] - path, path - boxes[:, 2:]), 0)
            assert np.linalg.norm(outside, axis=-1).min(axis=1).max() < 0.15


def test_the_same_seed_gives_the_same_clip() -> None:
    for seed in range(4):
        one, two = (synthesise(np.random.default_rng(seed), ROOM) for _ in range(2))
        assert one.text == two.text
        np.testing.assert_array_equal(one.positions, two.positions)
        np.testing.assert_array_equal(one.rotations, two.rotations)
    other = synthesise(np.random.default_rng(99), ROOM, "walk_forward")
    assert not np.array_equal(other.positions, clips("walk_forward")[0].positions)


def test_every_behaviour_is_drawn_and_bodies_differ() -> None:
    motions = [synthesise(np.random.default_rng(seed), ROOM) for seed in range(160)]
    assert {motion.behaviour for motion in motions} == set(BEHAVIOURS)
    heights = np.array([motion.offsets[1:7, 2].sum() for motion in motions])
    assert np.ptp(heights) > 0.08


def test_a_sequence_is_continuous() -> None:
    wanted = ["walk_forward", "turn_around_left", "walk_reach", "stand_still"]
    motion = synthesise_sequence(np.random.default_rng(3), ROOM, wanted)
    assert motion.positions.shape == (4 * 80 + 1, 23, 3)
    assert [part[2] for part in motion.meta["parts"]] == wanted
    acceleration = np.linalg.norm(np.diff(motion.positions.astype(float), n=2, axis=0), axis=-1) * RATE_HZ**2
    for seam in (80, 160, 240):
        assert acceleration[seam - 2 : seam + 1].max() < 45
    spins = np.linalg.norm(np.diff(motion.rotations.astype(float), axis=0), axis=(-2, -1))
    assert spins.max() < 0.9
    part = head_yaw(motion)[80:161]
    assert 130 < np.degrees(part[-1] - part[0]) < 215


def test_rooms_without_space_or_targets_are_refused_by_name() -> None:
    with pytest.raises(NoRoomError, match="targets"):
        synthesise(np.random.default_rng(0), RoomPlan.empty(), "reach")
    closet = RoomPlan(seed=7, size=(1.5, 1.5), free=[(-0.2, -0.2, 0.2, 0.2)], targets=[])
    with pytest.raises(NoRoomError, match="walk_forward"):
        synthesise(np.random.default_rng(0), closet, "walk_forward")
    with pytest.raises(NoRoomError, match="rectangle"):
        synthesise(np.random.default_rng(0), RoomPlan(7, (1, 1), [], []), "stand_still")
    with pytest.raises(ValueError, match="moonwalk"):
        synthesise(np.random.default_rng(0), ROOM, "moonwalk")
    assert "walk" not in synthesise(np.random.default_rng(0), closet).behaviour


def test_test_wordings_are_not_in_the_training_set() -> None:
    rng = np.random.default_rng(0)
    for behaviour in BEHAVIOURS:
        assert not set(phrases(behaviour, "train")) & set(phrases(behaviour, "test"))
        assert len(phrases(behaviour, "train")) >= 5
        for split in ("train", "test"):
            text = narrate(rng, behaviour, hand="left", name="red box", support="table", split=split)
            assert "{" not in text
            assert len(text) < 100


def test_the_walk_cycle_is_periodic_symmetric_and_human() -> None:
    cycle = walk_cycle()
    jumps = np.abs(np.diff(np.concatenate([cycle.local_rotvecs, cycle.local_rotvecs[:1]]), axis=0)).max()
    assert jumps < 0.25
    left = np.roll(cycle.local_rotvecs[:, JOINT["L_Forearm"]], SAMPLES // 2, axis=0) * np.array([-1.0, 1.0, -1.0])
    np.testing.assert_allclose(left, cycle.local_rotvecs[:, JOINT["R_Forearm"]], atol=1e-9)
    assert 0.33 < cycle.swing_fraction < 0.45
    assert 1.0 < cycle.stride < 1.5
    assert np.degrees(cycle.foot_pitch.max()) > 40  # the heel comes up
    assert np.degrees(cycle.foot_pitch.min()) < -10  # and lands first


def test_two_bones_end_at_the_goal_and_bend_to_the_pole() -> None:
    rng = np.random.default_rng(0)
    root, pole = rng.normal(size=(200, 3)), rng.normal(size=(200, 3))
    direction = ik.unit(rng.normal(size=(200, 3)))
    goal = root + direction * rng.uniform(0.1, 0.75, (200, 1))
    upper, lower = ik.two_bone(root, goal, pole, 0.42, 0.40)
    np.testing.assert_allclose(root + 0.42 * upper + 0.40 * lower, goal, atol=1e-9)
    assert (np.einsum("ti,ti->t", upper - direction * np.einsum("ti,ti->t", upper, direction)[:, None], pole) > 0).all()
    turn = ik.shortest_arc(direction, upper)
    np.testing.assert_allclose(np.einsum("tij,tj->ti", turn, direction), upper, atol=1e-9)
    far, _ = ik.two_bone(root, root + 3 * direction, pole, 0.42, 0.40)
    np.testing.assert_allclose(far, direction, atol=2e-3)
