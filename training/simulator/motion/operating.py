"""Opening and closing doors, cupboards and drawers: the hand stays on the handle, the body follows or makes room."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.rotations import rotation_z
from training.simulator.motion.approaching import go_to
from training.simulator.motion.choosing import shuffled
from training.simulator.motion.grasps import scaled
from training.simulator.motion.operation_planning import OperationPlan, handle_grasp, leaf, plan_operation
from training.simulator.motion.performing import performs_at_target
from training.simulator.motion.timeline import ActionSpan, Timeline
from training.simulator.people.easing import GRID_HZ, ease
from training.simulator.people.hand_task import HandTask
from training.simulator.people.motion_plan import Gaze
from training.simulator.people.posture import STANDING
from training.simulator.rooms.plan import MissingTargetError, Target

Array = NDArray[np.float64]

_PASSABLE = 1.05  # rad from which a door can be walked through


def _prepare_open(line: Timeline, target: Target) -> OperationPlan:
    return plan_operation(line, target, "open")


def _prepare_close(line: Timeline, target: Target) -> OperationPlan:
    return plan_operation(line, target, "close")


def _movable(line: Timeline, targets: list[Target]) -> list[Target]:
    return [target for target in targets if target.articulation]


def _opened(line: Timeline, targets: list[Target]) -> list[Target]:
    """The part that was opened last; any, where none was."""
    return [line.state.opened] if line.state.opened else _movable(line, targets)


@performs_at_target("open", _prepare_open, _movable)
def open_part(line: Timeline, plan: OperationPlan, last: bool) -> None:
    """Opens a door, cupboard or drawer."""
    operate(line, plan)
    line.state.opened = plan.target


@performs_at_target("close", _prepare_close, _opened)
def close_part(line: Timeline, plan: OperationPlan, last: bool) -> None:
    """Closes a door, cupboard or drawer."""
    operate(line, plan)
    line.state.opened = None


def begin_opened(line: Timeline) -> None:
    """Lets a time line start with something open.

    Raises:
        MissingTargetError: nothing opens.
    """
    parts = _movable(line, line.room.of_kind("door", "cabinet", "drawer"))
    if not parts:
        raise MissingTargetError(f"room {line.room.seed} has nothing to close")
    target = parts[int(shuffled(line.rng, parts)[0])]
    part = line.room.articulations[target.articulation]
    line.state.start_value(part.id, part.limits[1] * float(line.rng.uniform(0.7, 0.95)))
    line.walkable.leaves[part.id] = leaf(target, part, line.state.value(part.id))
    line.state.opened = target


def operate(line: Timeline, plan: OperationPlan) -> None:
    """Goes to the stand, takes the handle, moves the part and lets go."""
    handle = plan.part.move(plan.grip, line.state.value(plan.part.id))
    go_to(line, plan.stand, plan.target, handle)
    start = max(line.now - 0.25, 0.0 if not line.spans else line.spans[-1].end_s - 0.25)
    arrive = start + float(line.rng.uniform(0.8, 1.1)) + float(plan.posture[0])
    move = arrive + float(line.rng.uniform(0.15, 0.3))
    length = float(np.linalg.norm(np.diff(plan.wrist, axis=0), axis=1).sum())
    moved = move + max(0.8, length / float(line.rng.uniform(0.42, 0.62)))
    leave = moved + float(line.rng.uniform(0.08, 0.25))
    back = leave + 0.9
    line.wait_until(move)

    time = np.arange(1, round((moved - line.now) * GRID_HZ) + 2) / GRID_HZ + line.now
    share = ease(time, move, moved)
    part, before = plan.part, line.state.value(plan.part.id)
    line.state.move_value(part.id, plan.goal, move, moved)
    way = np.stack([np.interp(share, plan.share, plan.way[:, k]) for k in (0, 1)], axis=-1)
    velocity = np.gradient(way, axis=0) * GRID_HZ
    facing = np.array([np.cos(line.heading), np.sin(line.heading)])
    size = np.linalg.norm(velocity, axis=1) * np.where(velocity @ facing < 0, -1, 1)
    heading = line.heading
    line.extend(np.full(len(time), heading), way, size)

    handles = part.move(plan.grip, before + share * (plan.goal - before))
    line.tasks.append(_follow(line, plan, time, share, handles, start, arrive, leave, back))
    line.pose_to(plan.posture, start + 0.05, arrive)
    line.pose_to(STANDING, leave + 0.1, back + 0.1)
    line.gazes.append(Gaze(handles[::8], time[::8], start - 0.35, leave - 0.15, plan.hand, plan.target))
    line.spans.append(ActionSpan(plan.action, start, back, plan.hand, plan.target))
    line.shown_s = leave
    _afterwards(line, plan)
    line.wait_until(back - 0.2)


def _follow(
    line: Timeline,
    plan: OperationPlan,
    time: Array,
    share: Array,
    handles: Array,
    start: float,
    arrive: float,
    leave: float,
    back: float,
) -> HandTask:
    """The hand's task: its attitude turns along the path, its grip stays at the handle exactly."""
    yaw = np.unwrap(np.arctan2(plan.rotation[:, 1, :], plan.rotation[:, 0, :])[:, 1])
    turn = rotation_z(np.interp(share, plan.share, yaw - yaw[0]))
    rotation = turn @ plan.rotation[0]
    point = scaled(handle_grasp(plan.target, plan.hand), line.person.scale).point[plan.hand]
    return HandTask(
        plan.hand, handles - rotation @ point, rotation, time, start, arrive, leave, back, grip=1.0, up_first=False,
        swing=0.03,
    )  # fmt: skip


def _afterwards(line: Timeline, plan: OperationPlan) -> None:
    """Updates where a body may walk after a part was moved."""
    part, value = plan.part, line.state.value(plan.part.id)
    line.walkable.leaves.pop(part.id, None)
    if value > 0.05:
        line.walkable.leaves[part.id] = leaf(plan.target, part, value)
    for doorway in line.room.doorways:
        if doorway.articulation == part.id and doorway.passage is not None and value > _PASSABLE:
            line.walkable.open_passage(doorway.passage)
