"""Touching, taking, carrying and putting down things."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.rotations import rotation_z
from training.simulator.motion.approaching import go_to, look
from training.simulator.motion.choosing import is_portable, pick, within_reach
from training.simulator.motion.grasps import Grasp, grasp_of, scaled, touching_grasp
from training.simulator.motion.performing import performs_at_target
from training.simulator.motion.room_state import Grip
from training.simulator.motion.stands import HandlingPlan, find_stand
from training.simulator.motion.timeline import ActionSpan, Timeline
from training.simulator.people.hand_task import HandTask
from training.simulator.people.posture import SIDES, STANDING
from training.simulator.rooms.plan import MissingTargetError, NoRoomError, Target

Array = NDArray[np.float64]

_BOTH_HANDS_M = 0.2  # things this wide need both hands
_STAY_SHARE = 0.6  # of reaches that end a clip: the hand stays there


def prepare_reach(line: Timeline, target: Target) -> HandlingPlan:
    """Plans touching something with a free hand."""
    grasp = scaled(touching_grasp(line.free_hand()), line.person.scale)
    centre = line.state.place_of(target)[:3, 3]
    radius = 0.4 * min(s for s in (*target.size, 0.2) if s > 0)
    return find_stand(line, "reach", target, centre + np.array([0.0, 0.0, 0.3 * radius]), grasp)


def prepare_take(line: Timeline, target: Target) -> HandlingPlan:
    """Plans taking an object with one hand, or with both if it is wide."""
    wide = max(target.size[:2]) > _BOTH_HANDS_M
    if wide and line.held:
        raise NoRoomError(f"{target.name} needs both hands")
    hands = ("right", "left") if wide else (line.free_hand(),)
    pose = line.state.place_of(target)
    grasp = scaled(grasp_of(target, hands, pose[2, 3] < 0.45), line.person.scale)
    return find_stand(line, "pick_up", target, pose[:3, 3], grasp)


def prepare_put(line: Timeline, surface: Target) -> HandlingPlan:
    """Plans putting what is held on one of a surface's free spots."""
    if not line.held:
        raise NoRoomError("the hands hold nothing to put down")
    hand = sorted(line.held)[int(line.rng.integers(len(line.held)))]
    held = line.held[hand]
    spots = np.array(surface.spots or [surface.position], dtype=float)
    taken = np.array([place[:2, 3] for place in line.state.places.values()]).reshape(-1, 2)
    free = [s for s in spots if not len(taken) or np.linalg.norm(taken - s[:2], axis=1).min() > 0.2]
    if not free:
        raise NoRoomError(f"no free spot on the {surface.name}")
    spot = free[int(line.rng.integers(len(free)))]
    goal = spot + np.array([0.0, 0.0, held.size[2] / 2 + 0.002])
    plan = find_stand(line, "put_down", held, goal, line.grasps[hand])
    return HandlingPlan(
        plan.action, held, plan.grasp, plan.stand, plan.yaw, plan.posture, plan.wrist, plan.goal, place=surface
    )  # fmt: skip


def _approach(line: Timeline, plan: HandlingPlan, low: float) -> tuple[float, float]:
    """Goes to the stand, then bends; returns when the hands start and arrive."""
    go_to(line, plan.stand, plan.place or plan.target, plan.goal)
    start = max(line.now - 0.25, 0.0 if not line.spans else line.spans[-1].end_s - 0.25)
    arrive = start + float(line.rng.uniform(0.9, 1.25)) + low
    line.pose_to(plan.posture, start + 0.05, arrive)
    return start, arrive


def _low(plan: HandlingPlan) -> float:
    return 1.1 * float(plan.posture[0])


@performs_at_target("reach", prepare_reach, within_reach)
def reach(line: Timeline, plan: HandlingPlan, last: bool) -> None:
    """Touches something and looks at it; the hand comes back unless the clip ends there."""
    stay = last and line.rng.random() < _STAY_SHARE
    hand = plan.hand
    start, arrive = _approach(line, plan, _low(plan))
    leave = arrive + float(line.rng.uniform(0.5, 1.1))
    back = leave + 1.0
    line.tasks.append(
        plan.task(hand, start, arrive) if stay else plan.task(hand, start, arrive, leave_s=leave, back_s=back)
    )
    line.gazes.append(look(plan.goal, start - 0.35, leave + (0.2 if stay else -0.2), hand, plan.target))
    line.spans.append(ActionSpan("reach", start, leave if stay else back, hand, plan.target))
    line.shown_s = arrive + 0.3
    if not stay:
        line.pose_to(STANDING, leave + 0.1, back + 0.1)
    line.wait_until(leave if stay else back)


def _higher(line: Timeline, plan: HandlingPlan) -> bool:
    """Whether a goal is above where things are carried: a hand leaves a shelf backward before it goes down."""
    return bool(plan.goal[2] > line.person.standing_height + 0.05)


def carrying(
    line: Timeline, grasp: Grasp, start_s: float, arrive_s: float, wide: float, up_first: bool = True
) -> list[HandTask]:
    """Tasks of hands that carry something in front of the body."""
    scale = line.person.scale
    tasks = []
    for hand in grasp.hands:
        lateral = 0.0 if len(grasp.hands) > 1 else SIDES[hand] * 0.17
        held = np.array([0.30 + 0.5 * wide, lateral, 0.05]) * scale
        inward = -SIDES[hand] * (0.0 if len(grasp.hands) > 1 else 0.12)
        turned = rotation_z(np.array(inward)) @ grasp.attitude[hand]
        wrist = held - turned @ grasp.point[hand]
        tasks.append(
            HandTask(
                hand, wrist[None], turned, np.zeros(1), start_s, arrive_s, carried=True, grip=1.0, up_first=up_first
            )
        )
    return tasks


def _portable_within_reach(line: Timeline, objects: list[Target]) -> list[Target]:
    return [target for target in within_reach(line, objects) if is_portable(target)]


@performs_at_target("pick_up", prepare_take, _portable_within_reach)
def take(line: Timeline, plan: HandlingPlan, last: bool) -> None:
    """Takes an object and holds it in front of the body."""
    start, arrive = _approach(line, plan, _low(plan))
    lift = arrive + float(line.rng.uniform(0.28, 0.4))
    up = lift + 0.85 + _low(plan)
    for hand in plan.grasp.hands:
        line.tasks.append(plan.task(hand, start, arrive, leave_s=up + 0.5, back_s=up + 0.6, grip=1.0))
    line.tasks += carrying(line, plan.grasp, lift, up, max(plan.target.size[:2]) / 2, not _higher(line, plan))
    line.pose_to(STANDING, lift + 0.05, up + 0.1)
    line.gazes.append(look(plan.goal, start - 0.35, lift, plan.grasp.hands[0], plan.target))
    in_hand = _in_hand(line, plan)
    line.state.grips.append(Grip(plan.target, plan.grasp.hands[0], lift - 0.1, in_hand=in_hand))
    for hand in plan.grasp.hands:
        line.held[hand], line.grasps[hand] = plan.target, plan.grasp
    support = line.state.support_of(plan.target)
    line.spans.append(ActionSpan("pick_up", start, up, plan.hand, plan.target, support=support))
    line.shown_s = up - 0.2
    line.wait_until(up - 0.1)


def _in_hand(line: Timeline, plan: HandlingPlan) -> Array:
    """T_hand_object (4, 4) of a planned grasp."""
    hand = plan.grasp.hands[0]
    grasp = np.eye(4)
    grasp[:3, :3] = rotation_z(np.array(plan.yaw)) @ plan.grasp.attitude[hand]
    grasp[:3, 3] = plan.wrist[hand]
    return np.asarray(np.linalg.inv(grasp) @ line.state.place_of(plan.target))


def _with_free_spots(line: Timeline, surfaces: list[Target]) -> list[Target]:
    return [surface for surface in surfaces if surface.spots]


@performs_at_target("put_down", prepare_put, _with_free_spots)
def put(line: Timeline, plan: HandlingPlan, last: bool) -> None:
    """Puts down what is held."""
    start, arrive = _approach(line, plan, _low(plan))
    release = arrive + float(line.rng.uniform(0.15, 0.3))
    away = release + 0.2
    back = away + 0.9 + 0.5 * _low(plan)
    for hand in plan.grasp.hands:
        line.let_go(hand, arrive + 0.02, arrive + 0.04)  # the next task covers the end of carrying
        line.tasks.append(
            plan.task(hand, start, arrive, leave_s=away, back_s=back, grip=1.0, up_first=_higher(line, plan), apart=0.3)
        )
    line.pose_to(STANDING, away + 0.1, back + 0.1)
    line.gazes.append(look(plan.goal, start - 0.35, away, plan.grasp.hands[0], plan.place))
    grip = next(g for g in reversed(line.state.grips) if g.target.id == plan.target.id and g.placed is None)
    placed = np.eye(4)
    placed[:3, :3] = rotation_z(np.array(plan.yaw)) @ plan.grasp.attitude[grip.hand]
    placed[:3, 3] = plan.wrist[grip.hand]
    line.state.put_down(grip, away, placed @ grip.in_hand, plan.place)
    for hand in plan.grasp.hands:
        del line.held[hand], line.grasps[hand]
    line.shown_s = away + 0.3
    support = plan.place.name if plan.place else ""
    line.spans.append(ActionSpan("put_down", start, back, plan.hand, plan.target, support=support))
    line.wait_until(back)


def begin_holding(line: Timeline) -> None:
    """Lets a time line start with an object in the hands.

    Raises:
        MissingTargetError: there is none that can be carried.
    """
    portable = [target for target in line.room.of_kind("object") if is_portable(target)]
    if not portable:
        raise MissingTargetError(f"room {line.room.seed} has nothing to carry")
    target = pick(line, portable)
    hands = ("right", "left") if max(target.size[:2]) > _BOTH_HANDS_M else (line.free_hand(),)
    grasp = scaled(grasp_of(target, hands, low=False), line.person.scale)
    line.tasks += carrying(line, grasp, -99.0, -98.0, max(target.size[:2]) / 2)
    in_hand = np.eye(4)
    in_hand[:3, :3] = grasp.attitude[hands[0]].T
    in_hand[:3, 3] = grasp.point[hands[0]]
    line.state.grips.append(Grip(target, hands[0], -99.0, in_hand=in_hand))
    for hand in hands:
        line.held[hand], line.grasps[hand] = target, grasp
