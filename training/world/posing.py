"""From a track to a whole body in motion: captured gait for trunk and arms, planted feet, gaze, reaching."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from egotwin_model.skeleton import HEAD, XSENS_JOINTS, XSENS_PARENTS, forward_kinematics, reference_offsets
from training.world.footsteps import FootStyle, foot_motion, gait_phase, plan_steps
from training.world.gaits import sample_cycle, walk_cycle
from training.world.ik import hinge_frames, rotation_y, rotation_z, shortest_arc, two_bone, unit
from training.world.tracks import Reach, Track, ease

Array = NDArray[np.float64]

_J = {name: index for index, name in enumerate(XSENS_JOINTS)}
_SPINE = [_J[name] for name in ("L5", "L3", "T12", "T8")]
_ARMS = [_J[f"{side}_{part}"] for side in "LR" for part in ("UpperArm", "Forearm", "Hand")]
_UPPER_BODY = [j for j in range(1, 15)]
_HAND_LENGTH = 0.09  # from the wrist to the middle of the palm
_ARM_FILL = 0.97  # how straight an arm may be when reaching
_REACH_TURN = 0.4  # radians the trunk turns its reaching shoulder forward
_LEANS = np.radians(np.linspace(0, 75, 16))


@dataclass(frozen=True)
class Person:
    """One body and its habits.

    Attributes:
        offsets: (23, 3) metres, joint offsets from their parents.
        feet: how this person steps.
        arm_swing: factor on the captured arm motion.
        abduction: (2,) radians, how far the hanging left and right upper arm is from the body.
        elbow: (2,) radians, bend of the hanging left and right elbow.
        slouch: radians the trunk leans forward.
        gaze_pitch: radians the head looks down when it looks at nothing.
        gaze_lead_s: how early the head turns.
        sway: (4, 6) amplitudes-frequencies-phases of the small motions of standing (see `_sway`).
    """

    offsets: Array
    feet: FootStyle
    arm_swing: float
    abduction: Array
    elbow: Array
    slouch: float
    gaze_pitch: float
    gaze_lead_s: float
    sway: Array


def draw_person(rng: np.random.Generator) -> Person:
    """A random body, 0.9 to 1.1 of the reference's size with other proportions, and its habits."""
    part = {"leg": rng.normal(1, 0.015), "arm": rng.normal(1, 0.015), "trunk": rng.normal(1, 0.015)}
    offsets = reference_offsets() * rng.uniform(0.9, 1.1)
    for name, index in _J.items():
        if "LowerLeg" in name or "Foot" in name:
            offsets[index] *= part["leg"]
        elif "Forearm" in name or "Hand" in name:
            offsets[index] *= part["arm"]
        elif "UpperArm" in name:
            offsets[index] *= part["trunk"] * part["arm"]
        elif index < 7:
            offsets[index] *= part["trunk"]
    feet = FootStyle(
        pace=float(rng.uniform(0.93, 1.07)),
        standing_width=float(rng.uniform(0.085, 0.135)),
        walking_width=float(rng.uniform(0.06, 0.085)),
        toe_out=float(np.radians(rng.uniform(2, 11))),
        lift=float(rng.uniform(0.8, 1.3)),
    )
    return Person(
        offsets=offsets,
        feet=feet,
        arm_swing=float(rng.uniform(0.75, 1.2)),
        abduction=np.radians(rng.uniform(5, 13, 2)),
        elbow=np.radians(rng.uniform(8, 28, 2)),
        slouch=float(np.radians(rng.uniform(-1, 5))),
        gaze_pitch=float(np.radians(rng.uniform(-2, 10))),
        gaze_lead_s=float(rng.uniform(0.14, 0.28)),
        sway=np.stack([rng.uniform(0.3, 1.0, 6), rng.uniform(0.5, 2.6, 6), rng.uniform(0, 2 * np.pi, 6)]),
    )


def _sway(person: Person, time: Array) -> Array:
    """Slow oscillations (T, 6) of about unit size: pelvis x, y, trunk pitch, roll, head yaw, head pitch."""
    amplitude, frequency, phase = person.sway
    return amplitude * (np.sin(np.outer(time, frequency) + phase) + 0.4 * np.sin(np.outer(time, 2.3 * frequency) - phase))


def _idle_rotvecs(person: Person) -> Array:
    """Local rotation vectors (23, 3) of standing with hanging arms."""
    idle = np.zeros((23, 3))
    for k, (side, sign) in enumerate((("L", -1.0), ("R", 1.0))):
        hang = Rotation.from_rotvec([sign * (np.pi / 2 - person.abduction[k]), 0, 0])
        idle[_J[f"{side}_UpperArm"]] = (Rotation.from_rotvec([0, 0.04, 0]) * hang).as_rotvec()
        idle[_J[f"{side}_Forearm"]] = hang.inv().apply([0, -person.elbow[k], 0])
    idle[_SPINE, 1] = person.slouch / 4
    return idle


@dataclass
class _Frames:
    """Quantities shared by the layers, one row per frame."""

    time: Array
    path: Array
    heading: Array
    look: Array  # heading the head aims at
    walk: Array  # 0 standing … 1 walking
    phase: Array
    sway: Array


def _layers(person: Person, f: _Frames) -> Array:
    """Local rotations (T, 23, 3, 3) of trunk and arms: standing, blended with the captured walk, twisted into turns."""
    cycle = sample_cycle(walk_cycle().local_rotvecs, f.phase)
    idle = _idle_rotvecs(person)
    weight = np.repeat(f.walk[:, None], 23, axis=1)
    weight[:, 7:15] = np.minimum(weight[:, 7:15] * person.arm_swing, 1.25)
    blended = idle + weight[..., None] * (cycle - idle)
    blended[:, 5:7] = 0
    twist = 0.35 * (f.look - f.heading)
    still = (1 - f.walk)[:, None]
    blended[:, _SPINE, 2] += (twist / 4)[:, None]
    blended[:, _SPINE, 1] += still * 0.004 * f.sway[:, 2:3]
    blended[:, _SPINE, 0] += still * 0.003 * f.sway[:, 3:4]
    return Rotation.from_rotvec(blended.reshape(-1, 3)).as_matrix().reshape(-1, 23, 3, 3)


def _chain(local: Array, rotations: Array, joints: list[int]) -> None:
    """Fill the global rotations of ``joints`` from their local ones, parents first."""
    for joint in joints:
        rotations[:, joint] = rotations[:, XSENS_PARENTS[joint]] @ local[:, joint]


def _lean(local: Array, angle: Array, yaw: Array) -> None:
    """Bend the trunk forward by ``angle`` (T,) rad and turn it by ``yaw`` (T,), shared by pelvis and spine."""
    local[:, 0] = local[:, 0] @ rotation_y(0.4 * angle)
    bend = rotation_z(yaw / 4) @ rotation_y(0.6 * angle / 4)
    local[:, _SPINE] = bend[:, None] @ local[:, _SPINE]


def _reach_weight(reach: Reach, time: Array) -> Array:
    return ease(time, reach.start_s, reach.arrive_s) * (1 - ease(time, reach.leave_s, reach.back_s))


def _side(hand: str) -> tuple[str, float]:
    return ("L", 1.0) if hand == "left" else ("R", -1.0)


def lean_to_reach(person: Person, position: Array, heading: float, reach: Reach, drop: float) -> float | None:
    """The smallest forward lean (rad) that brings a palm to the target from a stand, or None if it is out of reach.

    Args:
        person: the body. position: (2,) where its pelvis stands. heading: where it faces, rad.
        reach: the target and hand. drop: metres the pelvis is lowered per radian of lean.
    """
    count = len(_LEANS)
    local = np.repeat(Rotation.from_rotvec(_idle_rotvecs(person)).as_matrix()[None], count, axis=0)
    side, sign = _side(reach.hand)
    _lean(local, _LEANS, np.full(count, -sign * _REACH_TURN))
    rotations = local.copy()
    rotations[:, 0] = rotation_z(np.full(count, heading)) @ local[:, 0]
    _chain(local, rotations, _UPPER_BODY)
    back = -0.12 * _LEANS[:, None] * np.array([np.cos(heading), np.sin(heading)])
    pelvis = np.column_stack([position + back, standing_height(person) - drop * _LEANS])
    shoulder = forward_kinematics(pelvis, rotations, person.offsets)[:, _J[f"{side}_UpperArm"]]
    arm = sum(float(np.linalg.norm(person.offsets[_J[f"{side}_{part}"]])) for part in ("Forearm", "Hand"))
    close = np.linalg.norm(shoulder - reach.position, axis=1) - _HAND_LENGTH <= arm * _ARM_FILL
    return float(_LEANS[int(np.argmax(close))]) if close.any() else None


def standing_height(person: Person) -> float:
    """Height of the pelvis of a relaxed stand, metres."""
    leg = -person.offsets[_J["L_LowerLeg"], 2] - person.offsets[_J["L_Foot"], 2]
    return float(leg * 0.992 + ankle_height(person))


def ankle_height(person: Person) -> float:
    """Height of the ankle joint over the floor, metres."""
    return float(-person.offsets[_J["L_Toe"], 2] * 1.5)


_DROP = 0.10


def animate(
    person: Person, track: Track, time: Array, first_foot: int, step_offset: float
) -> tuple[Array, Array]:
    """Pose a body along a track.

    Args:
        person: the body and its habits.
        track: where it goes, in the world.
        time: (T,) seconds of the poses.
        first_foot: 0 left, 1 right. step_offset: 0 … 1, see `plan_steps`.

    Returns:
        Joint positions (T, 23, 3) metres and global rotations (T, 23, 3, 3), world frame.
    """
    left, right = plan_steps(track, person.feet, first_foot, step_offset)
    frames = _sample(person, track, time, gait_phase(left, right, time))
    local = _layers(person, frames)
    weights = [_reach_weight(reach, time) for reach in track.reaches]
    leans = [_planned_lean(person, track, reach) for reach in track.reaches]
    lean = sum((w * a for w, a in zip(weights, leans, strict=True)), np.zeros_like(time))
    turn = sum((w * _side(r.hand)[1] * -_REACH_TURN for w, r in zip(weights, track.reaches, strict=True)), np.zeros_like(time))
    _lean(local, lean, turn)

    rotations = local.copy()
    facing = rotation_z(frames.heading)
    rotations[:, 0] = facing @ local[:, 0]
    _chain(local, rotations, _UPPER_BODY)
    hang = facing @ rotation_y(-0.8 * lean) @ np.swapaxes(facing, -1, -2)
    rotations[:, _ARMS] = hang[:, None] @ rotations[:, _ARMS]

    pelvis = _pelvis(person, frames, lean)
    up = ankle_height(person)
    feet = [
        foot_motion(steps, person.feet, time, up, person.offsets[_J[f"{side}_Toe"]])
        for steps, side in ((left, "L"), (right, "R"))
    ]
    pelvis[:, 2] = _supported_height(person, pelvis, rotations[:, 0], [ankle for ankle, _, _ in feet])
    for (ankle, foot, _), side in zip(feet, "LR", strict=True):
        _place_leg(person, rotations, pelvis, ankle, foot, side)
    positions = forward_kinematics(pelvis, rotations, person.offsets)
    for reach, weight in zip(track.reaches, weights, strict=True):
        _place_arm(person, rotations, positions, reach, weight)
        positions = forward_kinematics(pelvis, rotations, person.offsets)
    _gaze(person, frames, track.reaches, positions, rotations)
    return forward_kinematics(pelvis, rotations, person.offsets), rotations


def _sample(person: Person, track: Track, time: Array, phase: Array) -> _Frames:
    def at(values: Array, when: Array) -> Array:
        return np.interp(when, track.time, values)

    turning = np.abs(np.gradient(track.heading, track.time))
    effort = np.maximum(np.minimum(track.speed / 1.0, 1.15), np.minimum(turning / 2.0, 0.3))
    return _Frames(
        time=time,
        path=np.stack([at(track.path[:, 0], time), at(track.path[:, 1], time)], axis=-1),
        heading=at(track.heading, time),
        look=at(gaussian_filter1d(track.heading, 6, mode="nearest"), time + person.gaze_lead_s),
        walk=at(gaussian_filter1d(effort, 10, mode="nearest"), time),
        phase=phase,
        sway=_sway(person, time),
    )


def _planned_lean(person: Person, track: Track, reach: Reach) -> float:
    x, y, heading = (
        float(np.interp(reach.arrive_s, track.time, values))
        for values in (track.path[:, 0], track.path[:, 1], track.heading)
    )
    lean = lean_to_reach(person, np.array([x, y]), heading, reach, _DROP)
    return float(_LEANS[-1]) if lean is None else lean


def _pelvis(person: Person, f: _Frames, lean: Array) -> Array:
    """Wanted pelvis positions (T, 3): the path, the captured sway, the sway of standing, and back when leaning."""
    captured = sample_cycle(walk_cycle().sway, f.phase) * np.minimum(f.walk, 1.0)[:, None]
    still = 1 - np.minimum(f.walk, 1.0)
    x = captured[:, 0] + 0.006 * still * f.sway[:, 0] - 0.12 * lean
    y = captured[:, 1] + 0.006 * still * f.sway[:, 1]
    c, s = np.cos(f.heading), np.sin(f.heading)
    height = standing_height(person) - 0.012 * np.minimum(f.walk, 1) + captured[:, 2] - _DROP * lean
    return np.column_stack([f.path[:, 0] + c * x - s * y, f.path[:, 1] + s * x + c * y, height])


def _leg_lengths(person: Person, side: str) -> tuple[float, float]:
    upper, lower = (float(np.linalg.norm(person.offsets[_J[f"{side}_{p}"]])) for p in ("LowerLeg", "Foot"))
    return upper, lower


def _supported_height(person: Person, pelvis: Array, rotation: Array, ankles: list[Array]) -> Array:
    """Pelvis heights (T,) lowered where a leg would not reach its foot; smooth."""
    height = pelvis[:, 2]
    for ankle, side in zip(ankles, "LR", strict=True):
        hip = pelvis + rotation @ person.offsets[_J[f"{side}_UpperLeg"]]
        away = ((ankle - hip)[:, :2] ** 2).sum(axis=1)
        longest = sum(_leg_lengths(person, side)) * 0.997
        limit = ankle[:, 2] + np.sqrt(np.maximum(longest**2 - away, 0.2)) - (hip - pelvis)[:, 2]
        excess = height - limit
        height = height - 0.004 * np.logaddexp(0, excess / 0.004)
    return height


def _place_leg(person: Person, rotations: Array, pelvis: Array, ankle: Array, foot: Array, side: str) -> None:
    hip = pelvis + rotations[:, 0] @ person.offsets[_J[f"{side}_UpperLeg"]]
    forward = unit(rotations[:, 0, :, 0] * 0.5 + np.cross(foot[:, :, 1], np.array([0.0, 0.0, 1.0])))
    upper, lower = two_bone(hip, ankle, forward, *_leg_lengths(person, side))
    lateral = np.cross(np.array([0.0, 0.0, 1.0]), forward)
    rotations[:, _J[f"{side}_UpperLeg"]] = hinge_frames(upper, lateral)
    rotations[:, _J[f"{side}_LowerLeg"]] = hinge_frames(lower, lateral)
    rotations[:, _J[f"{side}_Foot"]] = foot
    rotations[:, _J[f"{side}_Toe"]] = foot


def _place_arm(person: Person, rotations: Array, positions: Array, reach: Reach, weight: Array) -> None:
    """Bring a palm from where it is to the target by ``weight`` (T,), turning the arm's bones as little as needed."""
    side, sign = _side(reach.hand)
    arm, forearm, hand = (_J[f"{side}_{part}"] for part in ("UpperArm", "Forearm", "Hand"))
    shoulder, elbow, wrist = positions[:, arm], positions[:, forearm], positions[:, hand]
    palm = unit(reach.position - shoulder)
    goal = reach.position - _HAND_LENGTH * palm
    w = weight[:, None]
    arc = 4 * w * (1 - w) * np.array([0.0, 0.0, 0.12])
    target = wrist + w * (goal - wrist) + arc
    lengths = [float(np.linalg.norm(person.offsets[j])) for j in (forearm, hand)]
    outward = sign * rotations[:, 4, :, 1] * 0.6 + np.array([0.0, 0.0, -1.0])
    pole = (1 - w) * unit(elbow - (shoulder + wrist) / 2) + w * unit(outward)
    upper, lower = two_bone(shoulder, target, pole, *lengths)
    turn_upper = shortest_arc(unit(elbow - shoulder), upper)
    rotations[:, arm] = turn_upper @ rotations[:, arm]
    carried = unit(np.einsum("tij,tj->ti", turn_upper, wrist - elbow))
    turn_lower = shortest_arc(carried, lower) @ turn_upper
    rotations[:, forearm] = turn_lower @ rotations[:, forearm]
    rotations[:, hand] = turn_lower @ rotations[:, hand]


def _gaze(person: Person, f: _Frames, reaches: tuple[Reach, ...], positions: Array, rotations: Array) -> None:
    """Aim the head: ahead of turns, level while walking, at the object and a little at the hand when reaching."""
    yaw = f.look + 0.025 * f.sway[:, 4]
    pitch = person.gaze_pitch + 0.02 * f.sway[:, 5] + 0.01 * np.minimum(f.walk, 1) * np.cos(4 * np.pi * f.phase)
    for reach in reaches:
        begin, end = reach.look_s, reach.leave_s
        weight = ease(f.time, begin, begin + 0.6) * (1 - ease(f.time, end + 0.2, end + 1.0))
        hand = positions[:, _J[f"{_side(reach.hand)[0]}_Hand"]]
        follow = 0.25 * _reach_weight(reach, f.time)[:, None]
        away = (reach.position + follow * (hand - reach.position)) - positions[:, HEAD]
        aim_yaw = np.arctan2(away[:, 1], away[:, 0])
        aim_pitch = np.arctan2(-away[:, 2], np.hypot(away[:, 0], away[:, 1])) - np.radians(12)
        yaw = yaw + weight * np.arctan2(np.sin(aim_yaw - yaw), np.cos(aim_yaw - yaw))
        pitch = pitch + weight * (aim_pitch - pitch)
    body_yaw = np.unwrap(np.arctan2(rotations[:, 4, 1, 0], rotations[:, 4, 0, 0]))
    body_yaw += np.round((f.heading - body_yaw) / (2 * np.pi)) * 2 * np.pi
    yaw = body_yaw + np.radians(65) * np.tanh((yaw - body_yaw) / np.radians(65))
    pitch = np.clip(pitch, np.radians(-35), np.radians(60))
    head = rotation_z(yaw) @ rotation_y(pitch)
    trunk = Rotation.from_matrix(rotations[:, 4])
    relative = (trunk.inv() * Rotation.from_matrix(head)).as_rotvec()
    rotations[:, 5] = (trunk * Rotation.from_rotvec(0.45 * relative)).as_matrix()
    rotations[:, HEAD] = head
