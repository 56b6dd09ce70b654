"""The time line of one wearer, to which actions are added: path, posture, hands, gaze, and what is done when.

An action that turns out to be impossible raises `NoRoomError`, and the planner tries again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from training.simulator.motion.grasps import Grasp
from training.simulator.motion.room_state import RoomState
from training.simulator.people.easing import GRID_HZ, EasedChanges, ease, integrate
from training.simulator.people.hand_task import HandTask
from training.simulator.people.jumps import Jump
from training.simulator.people.motion_plan import CARRIAGE, POST_S, PRE_S, Gaze, MotionPlan, RoamingSegment
from training.simulator.people.person import Person
from training.simulator.people.posture import STANDING, ReachTable
from training.simulator.rooms.plan import NoRoomError, RoomPlan, Target
from training.simulator.rooms.routes import WalkableArea

Array = NDArray[np.float64]

_BRAKE_S = 0.8
_LOW_M = 0.1  # metres the pelvis is lower than in a stand from which a body counts as low


@dataclass(frozen=True)
class ActionSpan:
    """One action in time.

    Attributes:
        action: its name. side: to which it turns, or the hand that does it.
        target: what it is about. support: what the target is taken from or put on.
        target_place: (2,) m, where the target is when the body turns or walks to it; None for other actions.
        in_words: whether texts mention it. amount: what texts say of how far, see `wording.Clause`.
    """

    action: str
    start_s: float
    end_s: float
    side: str = ""
    target: Target | None = None
    support: str = ""
    target_place: Array | None = field(default=None, compare=False)
    in_words: bool = True
    amount: float = 0.0


@dataclass
class Timeline:
    """A time line under construction. Times are seconds; at its end the body is at ``here`` and faces ``heading``.

    Attributes:
        state: of the room at the end. posture: (5,) of `posture.POSTURE`, at the end.
        carriage_changes: start, end and change (4,) of `motion_plan.CARRIAGE`.
        held: objects in the "left" and "right" hand. grasps: how they are held.
        seat: what the body sits on at the end, seated_since: from when on. sittings: times of sitting that are over.
        shown_s: a clip must show what comes before this time.
        lead_s: seconds of path before time 0.
    """

    person: Person
    room: RoomPlan
    rng: np.random.Generator
    table: ReachTable
    state: RoomState
    heading_: list[Array] = field(default_factory=list)
    path_: list[Array] = field(default_factory=list)
    speed_: list[Array] = field(default_factory=list)
    now: float = -PRE_S
    posture: Array = field(default_factory=lambda: STANDING.copy())
    posture_changes: list[tuple[float, float, Array]] = field(default_factory=list)
    carriage_changes: list[tuple[float, float, Array]] = field(default_factory=list)
    tasks: list[HandTask] = field(default_factory=list)
    gazes: list[Gaze] = field(default_factory=list)
    jumps: list[Jump] = field(default_factory=list)
    held: dict[str, Target] = field(default_factory=dict)
    grasps: dict[str, Grasp] = field(default_factory=dict)
    spans: list[ActionSpan] = field(default_factory=list)
    seat: Target | None = None
    seated_since: float = -np.inf
    sittings: list[tuple[float, float]] = field(default_factory=list)
    shown_s: float = 0.0
    lead_s: float = PRE_S

    @classmethod
    def begin(
        cls, person: Person, room: RoomPlan, rng: np.random.Generator, table: ReachTable, here: Array, heading: float
    ) -> Timeline:
        """A body that stands still until time 0."""
        line = cls(person, room, rng, table, RoomState.of(room))
        line.heading_.append(np.array([heading]))
        line.path_.append(np.array(here, dtype=float)[None])
        line.speed_.append(np.zeros(1))
        line.wait(PRE_S)
        return line

    @classmethod
    def moving(
        cls,
        person: Person,
        room: RoomPlan,
        rng: np.random.Generator,
        table: ReachTable,
        segment: RoamingSegment,
        start: Array,
        heading: float,
    ) -> Timeline:
        """A body on its way: the segment includes `PRE_S` before time 0, when the body is at ``start``; ``heading`` is
        that of its first sample."""
        line = cls(person, room, rng, table, RoomState.of(room))
        angle = segment.heading - segment.heading[0] + heading
        path = integrate(angle, segment.speed)
        zero = round(PRE_S * GRID_HZ)
        line.heading_.append(angle)
        line.path_.append(path - path[zero] + start)
        line.speed_.append(segment.speed)
        line.now = (len(angle) - 1) / GRID_HZ - PRE_S
        return line

    def copy(self) -> Timeline:
        """A time line that can be continued without changing this one."""
        own = {
            f.name: getattr(self, f.name).copy()
            for f in fields(self)
            if isinstance(getattr(self, f.name), (list, dict, np.ndarray, RoomState))
        }
        return replace(self, **own)

    def relocate(self, here: Array, heading: float) -> None:
        """Moves the start of a body that has not moved yet."""
        self.heading_, self.path_ = [np.array([heading])], [np.array(here, dtype=float)[None]]
        self.speed_, self.now = [np.zeros(1)], -PRE_S
        self.wait(PRE_S)

    def course(self) -> tuple[Array, Array, Array]:
        """Headings (N,), path (N, 2) and speeds (N,) so far; the first row is of time ``-lead_s``."""
        return np.concatenate(self.heading_), np.concatenate(self.path_), np.concatenate(self.speed_)

    def precede(self, heading: Array, path: Array, speed: Array, until_s: float) -> None:
        """Replaces what comes before a time by n grid steps: heading (n,) rad, path (n, 2) m, speed (n,) m/s."""
        kept = round((until_s + self.lead_s) * GRID_HZ)
        own_heading, own_path, own_speed = (own[kept:] for own in self.course())
        self.heading_, self.path_, self.speed_ = [heading, own_heading], [path, own_path], [speed, own_speed]
        self.lead_s = len(heading) / GRID_HZ - until_s

    def brake(self) -> None:
        """Stops the body; raises `NoRoomError` where there is no space for that."""
        time = np.arange(1, round(_BRAKE_S * GRID_HZ) + 1) / GRID_HZ
        speed = self.speed * (1 - ease(time, 0, _BRAKE_S))
        heading = np.full(len(time), self.heading)
        path = self.here + integrate(np.append(self.heading, heading), np.append(self.speed, speed))[1:]
        if not self.walkable.clear(path[::8], slack=0.05).all():
            raise NoRoomError(f"room {self.room.seed}: no space to stop at {self.here.round(2)}")
        self.extend(heading, path, speed)

    @property
    def walkable(self) -> WalkableArea:
        """Where a body may walk at the end."""
        return self.state.walkable

    @property
    def here(self) -> Array:
        return np.asarray(self.path_[-1][-1])

    @property
    def heading(self) -> float:
        return float(self.heading_[-1][-1])

    @property
    def speed(self) -> float:
        return float(self.speed_[-1][-1])

    def extend(self, heading: Array, path: Array, speed: Array) -> None:
        """Adds n grid steps: heading (n,) rad, path (n, 2) m, speed along the heading (n,) m/s."""
        self.heading_.append(heading)
        self.path_.append(path)
        self.speed_.append(speed)
        self.now += len(heading) / GRID_HZ

    def wait(self, seconds: float) -> None:
        """Adds standing where the body is."""
        count = max(0, round(seconds * GRID_HZ))
        if count:
            self.extend(np.full(count, self.heading), np.repeat(self.here[None], count, axis=0), np.zeros(count))

    def wait_until(self, time: float) -> None:
        self.wait(time - self.now)

    def roam(self, segment: RoamingSegment) -> None:
        """Adds a segment that begins here (its first sample is the last one so far)."""
        angle = self.heading + segment.heading - segment.heading[0]
        path = self.here + integrate(angle, segment.speed)
        self.extend(angle[1:], path[1:], segment.speed[1:])

    def pose_to(self, posture: Array, start_s: float, end_s: float) -> None:
        """Changes to a posture (5,) between two times."""
        self.posture_changes.append((start_s, end_s, posture - self.posture))
        self.posture = posture

    def let_go(self, hand: str, at_s: float, back_s: float) -> None:
        """Ends the current task of a hand, if it has one."""
        for index in reversed(range(len(self.tasks))):
            task = self.tasks[index]
            if task.hand == hand:
                if not np.isfinite(task.back_s):
                    self.tasks[index] = replace(task, leave_s=at_s, back_s=back_s)
                return

    def where(self, time: float) -> tuple[Array, float]:
        """Place (2,) and heading of the body at a time."""
        index = round((time + self.lead_s) * GRID_HZ)
        for heading, path in zip(self.heading_, self.path_, strict=True):
            if index < len(heading):
                return path[max(index, 0)], float(heading[max(index, 0)])
            index -= len(heading)
        return self.here, self.heading

    def postures_at(self, time: Array) -> Array:
        """Postures (T, 5) at times (T,)."""
        return STANDING + EasedChanges.of(self.posture_changes, len(STANDING)).at(time)

    @property
    def is_low(self) -> bool:
        """Whether the body sits or crouches at the end."""
        return bool(self.posture[0] > _LOW_M)

    def sit_on(self, seat: Target, since_s: float) -> None:
        """Seats the body from a time on."""
        self.seat, self.seated_since = seat, since_s

    def leave_seat(self, at_s: float) -> None:
        """Ends sitting, if the body sits."""
        if self.seat is not None:
            self.sittings.append((self.seated_since, at_s))
        self.seat = None

    def is_seated_at(self, time: float) -> bool:
        """Whether the body sits at a time."""
        now = [(self.seated_since, np.inf)] if self.seat is not None else []
        return any(start <= time < end for start, end in (*self.sittings, *now))

    def looked_at(self, start_s: float, end_s: float) -> list[Target]:
        """Targets that are looked at for 0.4 s or more between two times, in order."""
        return [
            gaze.target for gaze in self.gazes
            if gaze.target is not None and min(gaze.end_s, end_s) - max(gaze.start_s + 0.2, start_s) > 0.4
        ]  # fmt: skip

    def free_hand(self) -> str:
        """A hand that holds nothing; raises `NoRoomError` if none is free."""
        free = [hand for hand in ("left", "right") if hand not in self.held]
        if not free:
            raise NoRoomError("both hands are full; put something down first")
        return free[int(self.rng.integers(len(free)))]

    def motion_plan(self) -> MotionPlan:
        """The whole plan, extended by `POST_S` of standing, or of walking where the body walks at the end."""
        post = round(POST_S * GRID_HZ)
        heading, path, speed = self.course()
        ahead = self.speed * np.array([np.cos(self.heading), np.sin(self.heading)]) / GRID_HZ
        onward = self.here + np.arange(1, post + 1)[:, None] * ahead
        time = np.arange(len(heading) + post) / GRID_HZ - self.lead_s
        return MotionPlan(
            time,
            np.append(heading, np.full(post, self.heading)),
            np.append(speed, np.full(post, self.speed)),
            np.concatenate([path, onward]),
            EasedChanges.of(self.posture_changes, len(STANDING)),
            EasedChanges.of(self.carriage_changes, len(CARRIAGE)),
            tuple(self.tasks),
            tuple(self.gazes),
            tuple(self.jumps),
        )
