"""Poses a whole body along a motion plan: captured gait for trunk and arms, planted feet, postures, hands, gaze."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from egotwin_model.geometry.inverse_kinematics import hinge_frames, supported_height, two_bone
from egotwin_model.geometry.rotations import cross, partway, rotation_x, rotation_y, rotation_z, unit
from egotwin_model.geometry.skeleton import HEAD, XSENS_PARENTS, forward_kinematics
from egotwin_model.motion.head_path import heading
from training.simulator.people import hand_motion as hands
from training.simulator.people import posture
from training.simulator.people.easing import GRID_HZ, ease
from training.simulator.people.footsteps import foot_motion, gait_phase, plan_steps, step_phase
from training.simulator.people.gaits import sample_cycle
from training.simulator.people.motion_plan import Gaze, MotionPlan
from training.simulator.people.person import ARMS, JOINT, SPINE, UPPER_BODY, Person, idle_rotvecs, sway
from training.simulator.people.posture import PREFIX, chain

Array = NDArray[np.float64]

CAMERA_PITCH = float(np.radians(12))  # the head camera looks down about this much more than the head
_UP = np.array([0.0, 0.0, 1.0])
_NECK_SHARE = 0.45  # of the head's turn against the trunk
_BEHIND = np.radians(150)
_MOST_NECK = np.radians(65)


@dataclass(frozen=True)
class Pose:
    """A body over time.

    Attributes:
        positions: (T, 23, 3) m. rotations: (T, 23, 3, 3) global.
        contacts: (T, 2) bool, whether the left and right foot is planted. step_phase: (T, 2), of their steps.
        fingers: (T, 2), how closed the left and right hand is, 0 … 1.
    """

    positions: Array
    rotations: Array
    contacts: NDArray[np.bool_]
    step_phase: Array
    fingers: Array

    def __getitem__(self, rows: slice | NDArray[np.intp]) -> Pose:
        return Pose(
            self.positions[rows], self.rotations[rows], self.contacts[rows], self.step_phase[rows], self.fingers[rows]
        )


@dataclass(frozen=True)
class _PoseInputs:
    """What the layers of a pose have in common, one row per pose.

    Attributes:
        look: heading the head aims at. walk: 0 standing … 1 walking. shift: weight, -1 on the right … 1 on the left
            foot. phase: of the walk cycle. sway: see `person.sway`.
        drop, lean, turn, forward: see `posture.POSTURE`. carriage: (T, 4), see `motion_plan.CARRIAGE`.
    """

    time: Array
    path: Array
    heading: Array
    look: Array
    walk: Array
    shift: Array
    phase: Array
    sway: Array
    drop: Array
    lean: Array
    turn: Array
    forward: Array
    carriage: Array

    @property
    def still(self) -> Array:
        return np.asarray(1 - np.minimum(self.walk, 1))


def animate(person: Person, plan: MotionPlan, time: Array, first_foot: int, step_offset: float) -> Pose:
    """Poses a body along a motion plan.

    Args:
        person: the body and its habits.
        plan: where it goes, in the world, and what hands and eyes do.
        time: (T,) seconds of the poses, evenly spaced.
        first_foot: 0 left, 1 right. step_offset: 0 … 1, see `plan_steps`.
    """
    left, right = plan_steps(plan, person.feet, first_foot, step_offset)
    phase = gait_phase(left, right, time)
    held = posture.STANDING + plan.posture.at(time)
    rise = np.sum([jump.rise(time) for jump in plan.jumps], axis=0) + np.zeros_like(time)
    held[:, 4] += np.sum([jump.tiptoe(time) for jump in plan.jumps], axis=0)
    feet = [
        foot_motion(steps, person.feet, time, person.ankle_height, person.offsets[JOINT[f"{side}_Toe"]], held[:, 4])
        for steps, side in ((left, "L"), (right, "R"))
    ]
    flying = np.stack([foot.flying for foot in feet], axis=-1)
    flying |= np.any([jump.flies(time) for jump in plan.jumps] or [np.zeros(len(time), bool)], axis=0)[:, None]
    frames = _pose_inputs(person, plan, time, phase, flying, held)
    local = _layers(person, frames)
    posture.bend_trunk(local, frames.lean, frames.turn)

    facing = rotation_z(frames.heading)
    rotations = local.copy()
    rotations[:, 0] = facing @ local[:, 0]
    chain(local, rotations, UPPER_BODY)
    hang = facing @ rotation_y(-0.8 * frames.lean) @ np.swapaxes(facing, -1, -2)
    rotations[:, ARMS] = hang[:, None] @ rotations[:, ARMS]

    pelvis = _pelvis(person, frames)
    half = max(1, round(0.0625 / float(time[1] - time[0])))
    hips = [rotations[:, 0] @ person.offsets[JOINT[f"{side}_UpperLeg"]] for side in "LR"]
    pelvis[:, 2] = supported_height(pelvis, hips, [foot.ankle for foot in feet], sum(person.leg) * 0.997, half)
    pelvis[:, 2] += rise
    for foot in feet:
        foot.ankle[:, 2] += np.maximum(rise, 0)
    for foot, side in zip(feet, "LR", strict=True):
        _place_leg(person, rotations, pelvis, foot.ankle, foot.rotation, side)
    positions = _positions(person, pelvis, rotations)
    for side in PREFIX:
        tasks = [task for task in plan.hands if task.hand == side]
        if tasks:
            hands.place_arm(person, rotations, positions, tasks, time, frames.heading)
            _move_along(person, positions, rotations, [JOINT[f"{PREFIX[side]}_{p}"] for p in ("Forearm", "Hand")])
    _gaze(person, frames, plan.gazes, positions, rotations)
    _move_along(person, positions, rotations, [HEAD])
    phases = np.stack([step_phase(steps, time) for steps in (left, right)], axis=-1)
    return Pose(positions, rotations, ~flying, phases, hands.grips(plan.hands, time))


def _positions(person: Person, pelvis: Array, rotations: Array) -> Array:
    return np.asarray(forward_kinematics(pelvis, rotations, person.offsets), dtype=np.float64)


def _move_along(person: Person, positions: Array, rotations: Array, joints: list[int]) -> None:
    """Recomputes positions of joints whose parents have turned, in place; parents come first."""
    for joint in joints:
        parent = XSENS_PARENTS[joint]
        positions[:, joint] = positions[:, parent] + rotations[:, parent] @ person.offsets[joint]


def _pose_inputs(
    person: Person, plan: MotionPlan, time: Array, phase: Array, flying: NDArray[np.bool_], held: Array
) -> _PoseInputs:
    def at(values: Array, when: Array) -> Array:
        return np.interp(when, plan.time, values)

    turning = np.abs(np.gradient(plan.heading)) * GRID_HZ
    effort = np.maximum(np.minimum(np.abs(plan.speed), 1.15), np.minimum(turning / 2.0, 0.3))
    unloaded = flying[:, 1].astype(float) - flying[:, 0]
    backward = at(gaussian_filter1d(plan.speed, 6, mode="nearest"), time) < -0.02
    return _PoseInputs(
        time=time,
        path=np.stack([at(plan.path[:, 0], time), at(plan.path[:, 1], time)], axis=-1),
        heading=at(plan.heading, time),
        look=at(gaussian_filter1d(plan.heading, 6, mode="nearest"), time + person.gaze_lead_s),
        walk=at(gaussian_filter1d(effort, 10, mode="nearest"), time),
        shift=gaussian_filter1d(unloaded, 0.12 / float(time[1] - time[0]), mode="nearest"),
        phase=np.where(backward, person.feet.cycle.swing_fraction - phase, phase),  # time runs backward
        sway=sway(person, time) * (1 - 0.7 * np.clip(held[:, :1] / 0.3, 0, 1)),
        drop=held[:, 0],
        lean=held[:, 1],
        turn=held[:, 2],
        forward=held[:, 3],
        carriage=plan.carriage.at(time),
    )


def _layers(person: Person, f: _PoseInputs) -> Array:
    """Local rotations (T, 23, 3, 3) of trunk and arms: standing, blended with the captured walk, twisted into turns."""
    cycle = sample_cycle(person.feet.cycle.local_rotvecs, f.phase)
    idle = idle_rotvecs(person)
    amount = np.repeat(f.walk[:, None], 23, axis=1)
    amount[:, 7:15] = np.minimum(amount[:, 7:15] * person.arm_swing, 1.25)
    blended = idle + amount[..., None] * (cycle - idle)
    blended[:, 5:7] = 0
    twist = 0.35 * (f.look - f.heading)
    still = f.still[:, None]
    blended[:, SPINE, 2] += (twist / 4)[:, None]
    blended[:, SPINE, 1] += still * f.sway[:, 2:3] / 2
    blended[:, SPINE, 0] += still * f.sway[:, 3:4] / 2 + f.carriage[:, 3:] / 4
    return Rotation.from_rotvec(blended.reshape(-1, 3)).as_matrix().reshape(-1, 23, 3, 3)


def _pelvis(person: Person, f: _PoseInputs) -> Array:
    """Wanted pelvis positions (T, 3): the path, the captured sway, the sway of standing, and the posture."""
    walk = np.minimum(f.walk, 1.0)
    upright = 1 - np.clip(f.drop / 0.2, 0, 1)
    captured = sample_cycle(person.feet.cycle.sway, f.phase) * walk[:, None]
    x = captured[:, 0] + f.still * f.sway[:, 0] + f.forward
    y = captured[:, 1] + f.still * (f.sway[:, 1] + 0.035 * f.shift * upright)
    c, s = np.cos(f.heading), np.sin(f.heading)
    height = person.standing_height - 0.012 * walk + captured[:, 2] - f.drop
    return np.column_stack([f.path[:, 0] + c * x - s * y, f.path[:, 1] + s * x + c * y, height])


def _place_leg(person: Person, rotations: Array, pelvis: Array, ankle: Array, foot: Array, side: str) -> None:
    """Sets a leg's rotations so that its ankle meets the foot; the knee points between pelvis and toes."""
    hip = pelvis + rotations[:, 0] @ person.offsets[JOINT[f"{side}_UpperLeg"]]
    forward = unit(rotations[:, 0, :, 0] * 0.5 + cross(foot[:, :, 1], _UP))
    upper, lower = two_bone(hip, ankle, forward, *person.leg)
    lateral = cross(_UP, forward)
    rotations[:, JOINT[f"{side}_UpperLeg"]] = hinge_frames(upper, lateral)
    rotations[:, JOINT[f"{side}_LowerLeg"]] = hinge_frames(lower, lateral)
    rotations[:, JOINT[f"{side}_Foot"]] = foot
    rotations[:, JOINT[f"{side}_Toe"]] = foot


def _gaze(person: Person, f: _PoseInputs, gazes: tuple[Gaze, ...], positions: Array, rotations: Array) -> None:
    """Aims the head: ahead of turns, level while walking, at gaze targets and a little at the hand that acts."""
    held_yaw, held_pitch, roll, _ = f.carriage.T
    yaw = f.look + f.sway[:, 4] + held_yaw
    pitch = person.gaze_pitch + held_pitch + f.sway[:, 5] + 0.01 * np.minimum(f.walk, 1) * np.cos(4 * np.pi * f.phase)
    trunk_yaw = heading(rotations[:, JOINT["T8"]])
    trunk_yaw += np.round((f.heading - trunk_yaw) / (2 * np.pi)) * 2 * np.pi
    for gaze in gazes:
        weight = ease(f.time, gaze.start_s, gaze.start_s + 0.55)
        if np.isfinite(gaze.end_s):
            weight = weight * (1 - ease(f.time, gaze.end_s, gaze.end_s + 0.7))
        if not weight.any():
            continue
        point = np.stack([np.interp(f.time, gaze.times, gaze.points[:, k]) for k in range(3)], axis=-1)
        if gaze.hand:
            point = point + 0.3 * (positions[:, JOINT[f"{PREFIX[gaze.hand]}_Hand"]] - point)
        away = point - positions[:, HEAD]
        aim_yaw = np.arctan2(away[:, 1], away[:, 0])
        aside = np.abs(np.arctan2(np.sin(aim_yaw - trunk_yaw), np.cos(aim_yaw - trunk_yaw)))
        weight = weight * np.clip((_BEHIND - aside) / np.radians(50), 0, 1)  # the head does not turn to what is behind
        aim_pitch = np.arctan2(-away[:, 2], np.hypot(away[:, 0], away[:, 1])) - CAMERA_PITCH
        yaw = yaw + weight * np.arctan2(np.sin(aim_yaw - yaw), np.cos(aim_yaw - yaw))
        pitch = pitch + weight * (aim_pitch - pitch)
        roll = roll * (1 - 0.7 * weight)
    yaw = trunk_yaw + _MOST_NECK * np.tanh((yaw - trunk_yaw) / _MOST_NECK)
    head = rotation_z(yaw) @ rotation_y(np.clip(pitch, np.radians(-35), np.radians(60))) @ rotation_x(roll)
    rotations[:, JOINT["Neck"]] = partway(rotations[:, JOINT["T8"]], head, _NECK_SHARE)
    rotations[:, HEAD] = head
