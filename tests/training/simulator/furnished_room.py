"""Room plans for tests of motion: a room with something for every action, and an empty one."""

from __future__ import annotations

import numpy as np

from training.simulator.rooms.plan import Articulation, RoomPlan, Target

TABLE_SPOTS = ((-0.9, 1.9, 0.75), (0.9, 1.9, 0.75))


def _object(name: str, place: tuple[float, float, float], support: str, size: tuple[float, float, float]) -> Target:
    height = place[2] - size[2] / 2
    identity = name.replace(" ", "_")
    return Target(name, place, support, height, id=identity, size=size, graspable=size[0] < 0.2)


ROOM = RoomPlan(
    seed=1,
    size=(6.4, 6.0),
    free=[(-2.7, -2.5, 2.7, 1.5), (-2.7, -2.5, -1.8, 2.5)],
    targets=[
        _object("red box", (0.3, 1.97, 0.82), "table", (0.14, 0.14, 0.14)),
        _object("blue mug", (-0.6, 1.93, 0.81), "table", (0.09, 0.09, 0.12)),
        _object("green ball", (1.9, 2.0, 1.33), "shelf", (0.16, 0.16, 0.16)),
        _object("black bottle", (0.5, -0.4, 0.12), "floor", (0.08, 0.08, 0.24)),
        _object("white crate", (-0.2, 1.85, 0.87), "table", (0.30, 0.24, 0.24)),
        Target("table", (0.0, 2.0, 0.75), "floor", 0.75, "surface", "table", size=(2.2, 0.7, 0.0), spots=TABLE_SPOTS),
        Target("chair", (2.0, -1.5, 0.46), "floor", 0.46, "seat", "chair", size=(0.44, 0.44, 0.0), yaw=np.pi / 2),
        Target("drawer", (-1.0, -2.9, 0.6), "desk", 0.6, "drawer", "drawer", yaw=np.pi / 2, size=(0.4, 0.5, 0.2),
               handle=(-1.0, -2.86, 0.6), articulation="drawer"),
        Target("cabinet", (1.0, -2.9, 1.1), "cabinet", 1.1, "cabinet", "cabinet_0", yaw=np.pi / 2,
               size=(0.45, 0.02, 0.6), handle=(1.18, -2.84, 1.1), articulation="cabinet_0"),
        Target("cabinet", (1.6, -2.9, 1.1), "cabinet", 1.1, "cabinet", "cabinet_1", yaw=np.pi / 2,
               size=(0.45, 0.02, 0.6), handle=(1.42, -2.84, 1.1), articulation="cabinet_1"),
    ],
    articulations={
        "drawer": Articulation("drawer", "slide", (-1.0, -2.9, 0.6), (0.0, 1.0, 0.0), (0.0, 0.35)),
        "cabinet_0": Articulation("cabinet_0", "hinge", (0.78, -2.9, 0.0), (0.0, 0.0, 1.0), (0.0, 1.8)),
        "cabinet_1": Articulation("cabinet_1", "hinge", (1.82, -2.9, 0.0), (0.0, 0.0, -1.0), (0.0, 1.8)),
    },
)  # fmt: skip


def target_of(identity: str) -> Target:
    """The target of `ROOM` with that id."""
    return next(target for target in ROOM.targets if target.id == identity)


def empty_room(side_m: float = 6.0) -> RoomPlan:
    """A square room without furniture and without targets."""
    half = side_m / 2 - 0.5
    return RoomPlan(seed=0, size=(side_m, side_m), free=[(-half, -half, half, half)], targets=[])
