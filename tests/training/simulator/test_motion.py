"""Simulated human motion: complete bodies, planted feet, hands on what they hold, true texts."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from egotwin_model.geometry.skeleton import HEAD, XSENS_JOINTS, forward_kinematics, local_rotations

from ...shared_data import missing_extra

pytest.importorskip("pybullet_data", reason=missing_extra("world"))

from egotwin_model.geometry.rotations import rotation_angle, rotation_y
from training.actions.scripts import clip_scripts
from training.actions.vocabulary import kind_of
from training.actions.wording import Clause, goal_text, wordings
from training.datasets.clips.shards import PAST_KEYFRAMES
from training.simulator.people.gaits import SAMPLES, walk_cycle
from training.simulator.people.hand_motion import finger_point, grip_point
from training.simulator.people.person import sample_person
from training.simulator.rooms.plan import NoRoomError, RoomPlan, Solids, Target
from training.simulator.synthesis import synthesise, synthesise_long_sequence, synthesise_sequence
from training.simulator.synthetic_motion import RATE_HZ, SyntheticMotion

from .furnished_room import ROOM, TABLE_SPOTS, empty_room, target_of

BEHAVIOURS = tuple(clip_scripts())
JOINT = {name: index for index, name in enumerate(XSENS_JOINTS)}
SEEDS = range(8)
HANDLING = ("pick_up", "walk_to+pick_up", "put_down", "walk_to+put_down")
OPERATING = ("open", "close", "walk_to+open", "walk_to+close")


@cache
def clips(behaviour: str) -> list[SyntheticMotion]:
    return [synthesise(np.random.default_rng(seed), ROOM, behaviour) for seed in SEEDS]


def soles(motion: SyntheticMotion) -> np.ndarray:
    """Heel and toe points of both feet: (T, 2 feet, 2 points, 3)."""
    ankle_height = -1.5 * motion.offsets[JOINT["L_Toe"], 2]
    points = []
    for side in "LR":
        foot = JOINT[f"{side}_Foot"]
        heel = motion.positions[:, foot] + motion.rotations[:, foot] @ np.array([-0.05, 0.0, -ankle_height])
        points.append(np.stack([heel, motion.positions[:, JOINT[f"{side}_Toe"]]], axis=1))
    return np.stack(points, axis=1)


def yaw_of(motion: SyntheticMotion, joint: int = HEAD) -> np.ndarray:
    return np.unwrap(np.arctan2(motion.rotations[:, joint, 1, 0], motion.rotations[:, joint, 0, 0]))


def first_bearing(motion: SyntheticMotion, target: Target) -> float:
    """Bearing of a target from the first pose's pelvis, degrees, left positive."""
    away = np.array(target.position[:2]) - motion.positions[0, 0, :2]
    bearing = np.arctan2(away[1], away[0]) - yaw_of(motion, 0)[0]
    return float(np.degrees(np.arctan2(np.sin(bearing), np.cos(bearing))))


def hand_point(motion: SyntheticMotion, hand: str, point: np.ndarray) -> np.ndarray:
    """World path (T, 3) of a point of a hand's frame, given for the reference body."""
    joint, scale = JOINT["L_Hand" if hand == "left" else "R_Hand"], size_of(motion)
    return motion.positions[:, joint].astype(float) + motion.rotations[:, joint].astype(float) @ (point * scale)


def size_of(motion: SyntheticMotion) -> float:
    shin = np.linalg.norm(motion.offsets[[JOINT["L_LowerLeg"], JOINT["L_Foot"]]], axis=1).sum()
    return float((motion.offsets[1:7, 2].sum() + shin) / (0.615 + 0.84))


def spans(motion: SyntheticMotion, action: str) -> list[dict]:
    return [entry for entry in motion.meta["actions"] if entry["action"] == action]


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_a_clip_is_a_whole_finite_body(behaviour: str) -> None:
    for motion in clips(behaviour):
        assert motion.positions.shape == (81, 23, 3)
        assert motion.rotations.shape == (81, 23, 3, 3)
        assert motion.positions.dtype == motion.rotations.dtype == np.float32
        assert motion.contacts.shape == motion.step_phase.shape == motion.fingers.shape == (81, 2)
        assert np.isfinite(motion.positions).all()
        assert np.isfinite(motion.rotations).all()
        rotations = motion.rotations.astype(float)
        assert np.abs(rotations @ np.swapaxes(rotations, -1, -2) - np.eye(3)).max() < 1e-5
        assert np.linalg.det(rotations).min() > 0.99
        again = forward_kinematics(motion.positions[:, 0], motion.rotations, motion.offsets)
        assert np.abs(again - motion.positions).max() < 1e-5


def test_planted_feet_neither_slide_nor_sink() -> None:
    slides, lowest = [], []
    for behaviour in BEHAVIOURS:
        for motion in clips(behaviour):
            points = soles(motion)
            speed = np.linalg.norm(np.diff(points, axis=0), axis=-1).min(axis=-1) * RATE_HZ
            slides.append(speed[motion.contacts[1:] & motion.contacts[:-1]])
            lowest.append(points[..., 2].min())
    slide = np.concatenate(slides)
    print(f"stance speed: median {np.median(slide):.4f}, p99 {np.percentile(slide, 99):.4f}, max {slide.max():.3f} m/s")
    assert slide.size > 10_000
    assert np.median(slide) < 0.005
    assert np.percentile(slide, 99) < 0.05
    assert min(lowest) > -0.02


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_motion_is_smooth_and_joints_bend_as_joints_do(behaviour: str) -> None:
    for motion in clips(behaviour):
        acceleration = np.diff(motion.positions.astype(float), n=2, axis=0) * RATE_HZ**2
        assert np.linalg.norm(acceleration, axis=-1).max() < 60
        assert np.linalg.norm(acceleration[:, HEAD], axis=-1).max() < 14
        local = local_rotations(motion.rotations.astype(float))
        for side, sign in (("L", 1.0), ("R", -1.0)):
            knee = local[:, JOINT[f"{side}_LowerLeg"]]
            bend = np.arctan2(knee[:, 0, 2], knee[:, 2, 2])
            assert bend.min() > -0.01
            assert bend.max() < np.radians(150)
            arm, forearm, hand = (
                motion.rotations[:, JOINT[f"{side}_{part}"]] for part in ("UpperArm", "Forearm", "Hand")
            )
            elbow = np.degrees(np.arccos(np.clip((arm[:, :, 1] * forearm[:, :, 1]).sum(-1), -1, 1)))
            wrist = np.degrees(np.arccos(np.clip((forearm[:, :, 1] * hand[:, :, 1]).sum(-1), -1, 1)))
            assert elbow.max() < 150
            assert wrist.max() < 85
            bone = np.einsum("tji,tj->ti", arm.astype(float), sign * forearm[:, :, 1])  # in the upper arm's frame
            bent = np.hypot(bone[:, 0], bone[:, 2]) > 0.35
            assert bone[bent, 0].min(initial=1.0) > 0.3  # an elbow is a hinge, and it bends to one side only
            assert np.abs(bone[bent, 2]).max(initial=0.0) < 0.2
        trunk = np.degrees(np.arccos(np.clip(motion.rotations[:, JOINT["T8"], 2, 2], -1, 1)))
        assert trunk.max() < 95


@pytest.mark.parametrize(
    "behaviour",
    [
        "turn_left",
        "turn_right",
        "turn_around_left",
        "turn_around_right",
        "walk_turn_left",
        "walk_turn_right",
        "turn_left_walk",
        "turn_right_walk",
    ],
)
def test_turns_go_to_the_side_they_name(behaviour: str) -> None:  # fmt: skip
    kind, side = kind_of(behaviour)
    for motion in clips(behaviour):
        turn = np.degrees(yaw_of(motion)[-1] - yaw_of(motion)[0]) * (1 if side == "left" else -1)
        low, high = (140, 215) if kind == "turn_around" else (35, 125)
        assert low < turn < high
        told = side in motion.text or {"left": "anticlockwise", "right": " clockwise"}[side] in motion.text
        assert told != (motion.meta["ambiguous"] == "side")
        assert {"left": "right", "right": "left"}[side] not in motion.text
        assert np.isclose(np.degrees(abs(motion.meta["head_turn_rad"])), turn)


def test_the_head_leads_a_turn() -> None:
    leads = []
    for motion in clips("turn_around_left"):
        head, pelvis = yaw_of(motion), yaw_of(motion, 0)
        half = np.radians(80)
        leads.append((np.argmax(pelvis - pelvis[0] > half) - np.argmax(head - head[0] > half)) / RATE_HZ)
    assert 0.05 < np.mean(leads) < 0.4


def test_walking_moves_and_standing_does_not() -> None:
    for motion in clips("walk_forward"):
        assert 2.0 < motion.meta["net_distance_m"] < 5.2
        assert abs(np.degrees(motion.meta["head_turn_rad"])) < 25
        step = motion.positions[-1, HEAD, :2] - motion.positions[0, HEAD, :2]
        assert step @ motion.rotations[0, 0, :2, 0] > 0.9 * np.linalg.norm(step)
    for motion in clips("walk_back"):
        step = motion.positions[-1, 0, :2] - motion.positions[0, 0, :2]
        assert step @ motion.rotations[40, 0, :2, 0] < -0.5
    for motion in clips("stand_still"):
        head = motion.positions[:, HEAD]
        assert np.linalg.norm(head - head[0], axis=-1).max() < 0.1
        assert np.ptp(motion.positions, axis=0).max() > 1e-3  # alive
    for motion in clips("walk_stop"):
        speed = np.linalg.norm(np.diff(motion.positions[:, 0, :2], axis=0), axis=-1) * RATE_HZ
        assert speed.max() > 0.4
        assert speed[-8:].max() < 0.15


def test_arms_swing_against_the_legs_and_steps_have_phases() -> None:
    for motion in clips("walk_forward"):
        facing = motion.rotations[:, 0, :, 0]
        forward = {
            name: np.einsum("ti,ti->t", motion.positions[:, JOINT[name]] - motion.positions[:, 0], facing)
            for name in ("L_Hand", "L_Foot", "R_Hand", "R_Foot")
        }
        for foot, side in enumerate("LR"):
            tail = slice(24, None)  # after a standing start
            assert np.corrcoef(forward[f"{side}_Hand"][tail], forward[f"{side}_Foot"][tail])[0, 1] < -0.5
            assert np.ptp(forward[f"{side}_Foot"][tail]) > 0.3
            lifted = np.flatnonzero(motion.contacts[:-1, foot] & ~motion.contacts[1:, foot]) + 1
            assert (motion.step_phase[lifted, foot] < 0.2).all()
            assert motion.step_phase[:, foot].max() > 0.8


@pytest.mark.parametrize("behaviour", ["reach", "walk_to+reach"])
def test_reaching_touches_and_looks_at_the_object(behaviour: str) -> None:
    for motion in clips(behaviour):
        target = next(t for t in ROOM.targets if t.name == motion.meta["target"])
        away = np.linalg.norm(
            hand_point(motion, motion.meta["hand"], finger_point(motion.meta["hand"])) - target.position, axis=-1
        )
        touch = int(np.argmin(away))
        assert away[touch] < max(target.size) / 2 + 0.02
        seen = np.array(target.position) - motion.positions[touch, HEAD]
        forward = motion.rotations[touch, HEAD] @ rotation_y(np.radians(15.0))[:, 0]
        assert np.degrees(np.arccos(seen @ forward / np.linalg.norm(seen))) < 40
        assert (motion.meta["hand"] in motion.text) != (motion.meta["ambiguous"] == "hand")
        assert target.name in motion.text  # fmt: skip


@pytest.mark.parametrize("behaviour", HANDLING)
def test_carried_objects_follow_the_hand_rigidly_and_stay_upright(behaviour: str) -> None:
    for motion in clips(behaviour):
        (name, path), *others = motion.objects.items()
        assert not others
        target = target_of(name)
        hand = "L_Hand" if motion.meta["hand"] == "left" else "R_Hand"
        world = np.tile(np.eye(4), (81, 1, 1))
        world[:, :3, :3], world[:, :3, 3] = motion.rotations[:, JOINT[hand]], motion.positions[:, JOINT[hand]]
        in_hand = np.linalg.inv(world) @ path
        moving = np.linalg.norm(np.diff(path[:, :3, 3], axis=0), axis=-1) > 2e-3
        assert moving.sum() > 8
        held = np.flatnonzero(moving)
        steady = in_hand[held[0] + 1 : held[-1]]
        assert np.ptp(steady[:, :3, 3], axis=0).max() < 5e-3
        assert np.linalg.norm(path[:, :3, 3][moving.argmax()] - world[moving.argmax(), :3, 3]) < 0.25
        assert np.linalg.norm(np.diff(path[:, :3, 3], axis=0), axis=-1).max() < 2.0 / RATE_HZ
        assert path[:, 2, 2].min() > 0.9
        closed = motion.fingers[held[1:-1], ["left", "right"].index("left" if hand[0] == "L" else "right")]
        assert closed.min() > 0.5
        if behaviour.endswith("put_down"):
            assert path[-1, 2, 3] == pytest.approx(0.75 + target.size[2] / 2, abs=0.01)
            assert np.linalg.norm(np.array(TABLE_SPOTS)[:, :2] - path[-1, :2, 3], axis=1).min() < 0.02


@pytest.mark.parametrize("behaviour", OPERATING)
def test_the_hand_is_on_the_handle_while_a_part_moves(behaviour: str) -> None:
    for motion in clips(behaviour):
        (name, values), *others = motion.articulations.items()
        assert not others
        part, target = ROOM.articulations[name], target_of(name)
        moving = np.gradient(values) != 0
        assert moving.sum() > 6
        path = part.move(np.array(target.handle), values)
        grip = hand_point(motion, motion.meta["hand"], grip_point(motion.meta["hand"], 0.011))
        assert np.linalg.norm(grip - path, axis=-1)[moving].max() < 0.02
        assert values.min() >= part.limits[0] - 1e-9
        assert values.max() <= part.limits[1] + 1e-9
        assert (values[-1] > values[0]) == ("open" in behaviour)


def test_hands_act_within_the_view() -> None:
    """The hand that acts is in the view of a 90 degree camera that looks 15 degrees down, most of the time."""
    share = []
    for behaviour in ("reach", "pick_up", "open"):
        for motion in clips(behaviour):
            camera = motion.rotations[:, HEAD].astype(float) @ rotation_y(np.radians(15.0))
            hand = hand_point(motion, motion.meta["hand"], np.array([0.0, 0.0, 0.0]))
            local = np.einsum("tji,tj->ti", camera, hand - motion.positions[:, HEAD])
            inside = (local[:, 0] > 0) & (np.abs(local[:, 1:]).max(axis=-1) < local[:, 0])
            share.append(inside.mean())
    print(f"acting hand's wrist in view: {np.mean(share):.2f} of frames")
    assert 0.3 < np.mean(share) < 0.75


def test_sitting_rests_on_the_seat_and_crouching_is_low() -> None:
    seat = target_of("chair")
    for motion in clips("sit"):
        hips, scale = motion.positions[-1, 0], size_of(motion)
        assert hips[2] - seat.height == pytest.approx(0.095 * scale, abs=0.03)
        assert np.linalg.norm(hips[:2] - seat.position[:2]) < 0.05
        assert motion.rotations[-1, 0, :2, 0] @ np.array([0.0, 1.0]) > 0.97
        thigh = motion.positions[-1, JOINT["L_LowerLeg"]] - motion.positions[-1, JOINT["L_UpperLeg"]]
        assert abs(thigh[2]) < 0.15
    for motion in clips("crouch"):
        assert motion.positions[-1, 0, 2] < 0.72 * motion.positions[0, 0, 2]
    for motion in clips("stand_up"):
        assert motion.positions[-1, 0, 2] > motion.positions[0, 0, 2] + 0.25


def test_the_pelvis_stays_in_the_free_area() -> None:
    boxes = np.array(ROOM.free)
    for behaviour in BEHAVIOURS:
        if "sit" in behaviour or "stand_up" in behaviour:
            continue
        for motion in clips(behaviour):
            path = motion.positions[:, None, 0, :2]
            outside = np.maximum(np.maximum(boxes[:, :2] - path, path - boxes[:, 2:]), 0)
            assert np.linalg.norm(outside, axis=-1).min(axis=1).max() < 0.25


@pytest.mark.parametrize("behaviour", ["walk_forward", "turn_left", "walk_to+pick_up", "put_down", "stand_up", "close"])
def test_a_past_leads_to_the_clips_first_pose(behaviour: str) -> None:
    pasts, walked, turned = [], [], []
    for seed in range(16):
        motion = synthesise(np.random.default_rng(seed), ROOM, behaviour, past_s=8.0)
        assert motion.positions.shape == (81, 23, 3)
        past = motion.past
        pasts.append(past is not None)
        if past is None:
            continue
        count = len(past.time)
        assert past.positions.shape == (count, 23, 3)
        assert 1 <= count <= PAST_KEYFRAMES
        assert -8.0 <= past.time[0] <= past.time[-1] <= -1 / RATE_HZ
        gaps = np.diff(past.time)
        assert gaps.min(initial=0.5) > 0.5 - 2 / RATE_HZ
        assert gaps.max(initial=0.5) < 1.0 + 2 / RATE_HZ
        seconds = np.diff(np.append(past.time, 0.0))
        heads = np.concatenate([past.positions[:, HEAD], motion.positions[:1, HEAD]])
        assert (np.linalg.norm(np.diff(heads, axis=0), axis=1) < 0.15 + 1.4 * seconds).all()
        walked.append(np.linalg.norm(heads[-1] - heads[0]))
        facing = past.rotations[:, HEAD, :, 0]
        turned.append(float((facing @ motion.rotations[0, HEAD, :, 0]).min()))
        again = forward_kinematics(past.positions[:, 0], past.rotations, motion.offsets)
        assert np.abs(again - past.positions).max() < 1e-5
        assert set(past.objects) == set(motion.objects)
        for name, path in past.objects.items():  # what the hand holds at the start it has held before
            if np.linalg.norm(motion.objects[name][0, :3, 3] - motion.positions[0, HEAD]) < 0.8:
                assert np.linalg.norm(path[:, :3, 3] - past.positions[:, HEAD], axis=1).max() < 1.6
    assert 4 < sum(pasts) < 12
    if behaviour != "stand_up":
        assert max(walked) > 0.8
    assert min(turned) < 0.7


def test_a_clip_may_begin_in_mid_movement_after_a_past() -> None:
    """Without a past a clip of handling begins at rest; after one, many begin while the body still steps or turns."""
    moving: dict[float, list[float]] = {0.0: [], 8.0: []}
    for past_s, speeds in moving.items():
        for seed in range(24):
            motion = synthesise(np.random.default_rng(seed), ROOM, "reach", past_s=past_s)
            if bool(past_s) == (motion.past is not None):
                steps = np.linalg.norm(np.diff(motion.positions[:3], axis=0), axis=-1)
                speeds.append(float(steps.max() * RATE_HZ))
    assert max(moving[0.0]) < 0.25
    assert np.mean(np.array(moving[8.0]) > 0.5) > 0.25


def start_angles(motions: list[SyntheticMotion]) -> tuple[np.ndarray, np.ndarray]:
    """How far the head looks down and is tilted in the first poses, degrees."""
    heads = np.stack([motion.rotations[0, HEAD] for motion in motions]).astype(float)
    return np.degrees(np.arcsin(-heads[:, 2, 0])), np.degrees(np.arctan2(heads[:, 2, 1], heads[:, 2, 2]))


def test_clips_begin_with_heads_held_as_people_do() -> None:
    motions = [synthesise(np.random.default_rng(seed), ROOM) for seed in range(160)]
    down, roll = start_angles(motions)
    shares = (1, 10, 25, 50, 75, 90, 99)
    print(
        f"percentiles {shares}: looking down {np.percentile(down, shares).round()}, roll {np.percentile(roll, shares)}"
    )
    assert 0.3 < (np.abs(roll) > 1).mean() < 0.6
    assert np.percentile(roll, 3) < -12
    assert np.percentile(roll, 97) > 12
    assert np.percentile(down, 5) < -8
    assert np.percentile(down, 95) > 30
    assert down.min() > -36
    assert down.max() < 61
    assert np.abs(roll).max() < 26
    lean = np.degrees(np.arccos([motion.rotations[0, JOINT["T8"], 2, 2] for motion in motions]))
    assert 0.05 < (lean > 12).mean() < 0.4
    snaps = 0
    for motion in motions:
        speed = rotation_angle(motion.rotations[:-1, HEAD], motion.rotations[1:, HEAD]) * RATE_HZ
        snaps += np.degrees(speed.max()) > 400
        neck = motion.rotations[:, JOINT["T8"]].swapaxes(-1, -2).astype(float) @ motion.rotations[:, HEAD].astype(float)
        assert np.degrees(np.arccos(np.clip((np.trace(neck, axis1=1, axis2=2) - 1) / 2, -1, 1))).max() < 95
    assert snaps < 0.02 * len(motions)  # the clip maker rejects these


def test_heads_tilt_now_and_then_in_long_sequences() -> None:
    head = synthesise_long_sequence(np.random.default_rng(1), ROOM, 40.0).rotations[:, HEAD].astype(float)
    roll = np.degrees(np.arctan2(head[:, 2, 1], head[:, 2, 2]))
    assert 0.2 < (np.abs(roll) > 2).mean() < 0.8
    assert roll.max() - roll.min() > 10
    assert np.abs(np.diff(roll)).max() * RATE_HZ < 90


def test_a_body_that_stands_still_keeps_its_head_still() -> None:
    motions = clips("stand_still")
    assert np.abs(start_angles(motions)[1]).max() > 5
    for motion in motions:
        turn = rotation_angle(motion.rotations[:1, HEAD], motion.rotations[:, HEAD])
        assert np.degrees(turn.max()) < 12


def test_the_same_seed_gives_the_same_clip() -> None:
    for seed in range(6):
        one, two = (synthesise(np.random.default_rng(seed), ROOM) for _ in range(2))
        assert one.text == two.text
        assert one.meta == two.meta
        np.testing.assert_array_equal(one.positions, two.positions)
        np.testing.assert_array_equal(one.rotations, two.rotations)
        for name, path in one.objects.items():
            np.testing.assert_array_equal(path, two.objects[name])
    other = synthesise(np.random.default_rng(99), ROOM, "walk_forward")
    assert not np.array_equal(other.positions, clips("walk_forward")[0].positions)


def test_clips_are_varied_and_have_texts_and_labels() -> None:
    motions = [synthesise(np.random.default_rng(1000 + seed), ROOM) for seed in range(120)]
    assert len({motion.behaviour for motion in motions}) > 30
    vague = np.mean([motion.meta["ambiguous"] != "" for motion in motions])
    print(f"ambiguous: {vague:.2f}")
    assert 0.02 < vague < 0.2
    wanted = [synthesise(np.random.default_rng(1000 + seed), ROOM, ambiguous=1.0) for seed in range(40)]
    assert np.mean([motion.meta["ambiguous"] != "" for motion in wanted]) > 0.5
    for motion in motions:
        assert set(motion.meta["texts"]) == {"action", "posture", "focus"}
        assert all("{" not in text and text for text in motion.meta["texts"].values())
        assert len(motion.labels) == 81
        assert motion.meta["actions"] or motion.behaviour == "stand_still"
        for entry in motion.meta["actions"]:
            assert 0 <= entry["start_s"] < entry["end_s"] <= 5
            middle = round((entry["start_s"] + entry["end_s"]) / 2 * RATE_HZ)
            assert entry["action"] in motion.labels[max(0, middle - 12) : middle + 13]


def test_texts_say_where_a_target_out_of_view_is() -> None:
    counts = {"beside": 0, "behind": 0, "seen": 0, "open": 0}
    for split, words in (("train", ("on your", "behind you, on your")), ("test", ("to your", "behind you"))):
        for seed in range(40):
            motion = synthesise(np.random.default_rng(seed), ROOM, "look_at", split=split, ambiguous=0.3)
            entry = motion.meta["actions"][0]
            target = next(target for target in ROOM.targets if target.id == entry["target_id"])
            if target.kind == "cabinet":  # of two, and which one may be open too
                continue
            bearing = first_bearing(motion, target)
            if min(abs(abs(bearing) - 45), abs(abs(bearing) - 120)) < 4:  # the body sways a little
                continue
            if motion.meta["ambiguous"] == "target":
                counts["open"] += 1
                assert not {"left", "right", "behind"} & set(motion.text.split())
            elif abs(bearing) < 45:
                counts["seen"] += 1
                assert words[0] not in motion.text
            else:
                counts["behind" if abs(bearing) > 120 else "beside"] += 1
                assert (words[1] in motion.text) == (abs(bearing) > 120)
                assert f"{words[0]} {'left' if bearing > 0 else 'right'}" in motion.text
    assert min(counts.values()) > 2, counts


def test_texts_say_where_an_object_was_before_it_was_carried_away() -> None:
    said = []
    for seed in range(16):
        script = ["walk_to+pick_up", "walk_to+put_down"]
        motion = synthesise_sequence(np.random.default_rng(seed), ROOM, script)
        entry = motion.meta["actions"][0]
        bearing = first_bearing(motion, next(target for target in ROOM.targets if target.id == entry["target_id"]))
        if motion.meta["ambiguous"] or abs(abs(bearing) - 45) < 4:
            continue
        said.append("on your" in entry["text"])
        assert said[-1] == (abs(bearing) > 45), (seed, bearing, entry["text"])
    assert len(said) > 8
    assert 0 < sum(said) < len(said)


def test_two_equal_cabinets_are_named_by_the_wearers_left_and_right() -> None:
    seen = set()
    for seed in range(24):
        motion = synthesise(np.random.default_rng(seed), ROOM, "open")
        if "cabinet" not in motion.text:
            continue
        said = [side for side in ("left cabinet", "right cabinet") if side in motion.text]
        seen.update(said)
        assert bool(said) != (motion.meta["ambiguous"] == "target")
        if said:
            name = motion.meta["actions"][0]["target_id"]
            other = {"cabinet_0": "cabinet_1", "cabinet_1": "cabinet_0"}[name]
            facing = yaw_of(motion, 0)[0]
            bearing = []
            for cabinet in (name, other):
                away = np.array(target_of(cabinet).position[:2]) - motion.positions[0, 0, :2]
                bearing.append((np.arctan2(away[1], away[0]) - facing + np.pi) % (2 * np.pi))
            assert (bearing[0] > bearing[1]) == (said[0] == "left cabinet")
    assert seen == {"left cabinet", "right cabinet"}


def test_a_sequence_is_continuous() -> None:
    wanted = ["walk_forward", "turn_around_left", "pick_up", "put_down", "stand_still"]
    motion = synthesise_sequence(np.random.default_rng(3), ROOM, wanted)
    done = [entry["action"] for entry in motion.meta["actions"] if entry["action"] not in ("walk_to", "step")]
    assert done == wanted
    acceleration = np.linalg.norm(np.diff(motion.positions.astype(float), n=2, axis=0), axis=-1) * RATE_HZ**2
    assert acceleration.max() < 60
    spins = np.linalg.norm(np.diff(motion.rotations.astype(float), axis=0), axis=(-2, -1))
    assert spins.max() < 0.9
    for one, two in pairwise(motion.meta["actions"]):
        assert one["start_s"] < two["start_s"]
    slotted = synthesise_sequence(np.random.default_rng(3), ROOM, ["stand_still", "turn_left", "walk_forward"], 3.0)
    assert slotted.positions.shape == (3 * 48 + 1, 23, 3)
    assert [entry["start_s"] for entry in slotted.meta["actions"]] == [0.0, 3.0, 6.0]


def test_a_long_sequence_lasts_as_long_as_asked() -> None:
    story, again = (synthesise_long_sequence(np.random.default_rng(4), ROOM, 24.0) for _ in range(2))
    np.testing.assert_array_equal(story.positions, again.positions)
    assert story.text == again.text
    assert story.positions.shape == (24 * 16 + 1, 23, 3)
    assert len(story.meta["actions"]) >= 5
    assert np.linalg.norm(np.diff(story.positions.astype(float), n=2, axis=0), axis=-1).max() * RATE_HZ**2 < 60
    for path in story.objects.values():
        assert np.linalg.norm(np.diff(path[:, :3, 3], axis=0), axis=-1).max() < 2.0 / RATE_HZ
    for name, values in story.articulations.items():
        assert np.abs(np.diff(values)).max() < (0.3 if ROOM.articulations[name].kind == "hinge" else 0.12)


def test_what_is_opened_can_be_closed_again() -> None:
    motion = synthesise_sequence(np.random.default_rng(5), ROOM, ["open", "close"])
    (values,) = motion.articulations.values()
    assert values[0] == 0.0
    assert values.max() > 0.2
    assert values[-1] == pytest.approx(0.0, abs=1e-9)
    assert [entry["action"] for entry in motion.meta["actions"] if entry["action"] != "walk_to"] == ["open", "close"]


def test_heads_stay_out_of_furniture() -> None:
    shelf = Solids(np.array([[0.3, 1.9, 1.45]]), np.array([[1.0, 0.35, 0.2]]), np.zeros(1), ("",))
    low = RoomPlan(ROOM.seed, ROOM.size, ROOM.free, ROOM.targets[:2], solids=shelf, clearance=shelf.distance)
    for seed in range(6):
        motion = synthesise(np.random.default_rng(seed), low, "reach")
        centre = motion.positions[:, HEAD] + motion.rotations[:, HEAD] @ np.array([0.02, 0.0, 0.095])
        assert shelf.distance(centre[::2]).min() > 0.1


def test_bodies_of_other_splits_are_not_seen_in_training() -> None:
    drawn = {split: [sample_person(np.random.default_rng(seed), split) for seed in range(150)]
             for split in ("train", "val", "test")}  # fmt: skip
    assert np.ptp([person.size for person in drawn["train"]]) > 0.18
    for split in ("val", "test"):
        for what in ("size", "leg_share", "pace"):
            value = {s: np.array([getattr(p.feet if what == "pace" else p, what) for p in drawn[s]]) for s in drawn}
            assert np.abs(value["train"][:, None] - value[split]).min() > 5e-4


def test_rooms_without_space_or_targets_are_refused_by_name() -> None:
    with pytest.raises(NoRoomError, match="has nothing for 'reach'"):
        synthesise(np.random.default_rng(0), empty_room(), "reach")
    closet = RoomPlan(seed=7, size=(1.5, 1.5), free=[(-0.2, -0.2, 0.2, 0.2)], targets=[])
    with pytest.raises(NoRoomError, match="walk_forward"):
        synthesise(np.random.default_rng(0), closet, "walk_forward")
    with pytest.raises(NoRoomError, match="rectangle"):
        synthesise(np.random.default_rng(0), RoomPlan(7, (1, 1), [], []), "stand_still")
    with pytest.raises(ValueError, match="moonwalk"):
        synthesise(np.random.default_rng(0), ROOM, "moonwalk")
    assert "walk_forward" not in synthesise(np.random.default_rng(0), closet).behaviour


def test_test_wordings_are_not_in_the_train_set() -> None:
    rng = np.random.default_rng(0)
    for action in {part for behaviour in BEHAVIOURS for part in behaviour.split("+")}:
        assert not set(wordings(action, "train")) & set(wordings(action, "test"))
        assert len(wordings(action, "train")) >= 5
        for split in ("train", "test"):
            text, _ = goal_text(rng, [Clause(action, "left", "red box", "table")], split)
            assert not set("{}[]()") & set(text)
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
