"""Simulated rooms: their contents, where a body may be in them, and that splits share nothing."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import training.simulator  # noqa: F401  before mujoco: chooses rendering without a screen

from ...shared_data import missing_extra

mujoco = pytest.importorskip("mujoco", reason=missing_extra("world"))

from training.simulator.rooms.free_space import maximal_rectangles  # noqa: E402
from training.simulator.rooms.layout import KINDS, OUTSIDE  # noqa: E402
from training.simulator.rooms.objects import COLOURS, split_of  # noqa: E402
from training.simulator.rooms.objects import KINDS as OBJECT_KINDS  # noqa: E402
from training.simulator.rooms.plan import TARGET_KINDS, Articulation, RoomPlan, Solids  # noqa: E402
from training.simulator.rooms.scene import SPLIT_SEEDS, build_room, wall_style  # noqa: E402

SEEDS = range(6)


@cache
def plan_of(kind: str, seed: int) -> RoomPlan:
    return build_room(seed, "train", kind)[1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_room_follows_from_its_seed(kind: str) -> None:
    spec, plan = build_room(11, "train", kind)
    again, same_plan = build_room(11, "train", kind)
    other, _ = build_room(12, "train", kind)
    models = [room.compile() for room in (spec, again, other)]
    for array in ("geom_pos", "geom_size", "geom_rgba", "tex_data", "light_diffuse"):
        np.testing.assert_array_equal(getattr(models[0], array), getattr(models[1], array))
    assert plan.targets == same_plan.targets
    assert plan.free == same_plan.free
    assert plan.articulations == same_plan.articulations
    assert not np.array_equal(models[0].geom_size[:30], models[2].geom_size[:30])


@pytest.mark.parametrize("kind", KINDS)
def test_a_room_of_each_kind_has_what_belongs_in_it(kind: str) -> None:
    plans = [plan_of(kind, seed) for seed in SEEDS]
    wanted = {
        "kitchen": {"counter", "fridge", "drawer", "kitchen cabinet"},
        "living room": {"sofa", "cabinet"},
        "bedroom": {"bed", "wardrobe"},
        "office": {"desk", "drawer"},
        "corridor": {"door"},
    }
    for plan in plans:
        assert plan.kind == kind
        assert len(plan.of_kind("object")) >= 1
        assert len({target.id for target in plan.targets}) == len(plan.targets)
        assert all(target.kind in TARGET_KINDS for target in plan.targets)
        assert len(plan.rooms) == (3 if kind == "corridor" else 1)
    names = [{target.name for target in plan.targets} for plan in plans]
    assert wanted[kind] <= set.union(*names)
    assert {"door", "cabinet", "drawer", "seat", "surface", "object"} <= {
        target.kind for kind in KINDS for seed in SEEDS for target in plan_of(kind, seed).targets
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_stands_clear_of_everything_wherever_the_plan_says(kind: str) -> None:
    for seed in SEEDS:
        plan = plan_of(kind, seed)
        points = plan.sample(np.random.default_rng(seed), 200)
        in_passage = np.zeros(len(points), dtype=bool)
        for door in plan.doorways:
            if door.passage:
                x0, y0, x1, y1 = door.passage
                in_passage |= ((points >= (x0, y0)) & (points <= (x1, y1))).all(axis=1)
        standing = [part for part, a in plan.articulations.items() if a.initial == 0]
        fixed = plan.solids.select(np.array([not p or p in standing for p in plan.solids.part]))
        column = points[:, None] + np.zeros((1, 3, 1))
        heights = np.broadcast_to(np.array([0.3, 0.9, 1.6])[:, None], (len(points), 3, 1))
        away = fixed.distance(np.concatenate([column, heights], axis=-1)).min(axis=1)
        objects = [t.position for t in plan.of_kind("object") if t.support == "floor"]
        assert away[~in_passage].min() > (0.15 if objects else 0.25)
        assert away.min() > 0.15


@pytest.mark.parametrize("kind", KINDS)
def test_what_opens_can_be_reached_and_its_handle_moves_with_it(kind: str) -> None:
    seen = 0
    for seed in SEEDS:
        plan = plan_of(kind, seed)
        for target in plan.of_kind("door", "cabinet", "drawer"):
            part = plan.articulations[target.articulation]
            assert part.limits[0] == 0 < part.limits[1]
            assert target.handle is not None
            near = [np.hypot(x - target.handle[0], y - target.handle[1]) for x, y, _ in target.stands]
            assert 0.3 < min(near) < 1.1
            opened = part.move(target.handle, 0.5 * part.limits[1])
            assert np.linalg.norm(opened - target.handle) > 0.1
            front = np.array([np.cos(target.yaw), np.sin(target.yaw), 0.0])
            forward = (opened - np.array(target.handle)) @ front
            assert forward < -0.05 if target.kind == "door" else forward > 0.05
            seen += 1
    assert seen > 6


def test_a_hinge_and_a_slide_move_points_as_they_should() -> None:
    hinge = Articulation("h", "hinge", (1.0, 2.0, 0.0), (0.0, 0.0, 1.0), (0.0, 2.0))
    np.testing.assert_allclose(
        hinge.move((2.0, 2.0, 1.0), np.array([0.0, np.pi / 2])), [[2, 2, 1], [1, 3, 1]], atol=1e-12
    )
    slide = Articulation("s", "slide", (0.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.4))
    np.testing.assert_allclose(slide.move((1.0, 1.0, 1.0), 0.3), [1, 1.3, 1])


def test_geoms_of_a_part_are_where_its_solids_are() -> None:
    spec, plan = build_room(4, "train", "kitchen")
    model = spec.compile()
    data = mujoco.MjData(model)
    for name, part in plan.articulations.items():
        matrix = part.transform(0.6 * part.limits[1])
        row = model.body(name).mocapid[0]
        quat = np.empty(4)
        mujoco.mju_mat2Quat(quat, matrix[:3, :3].ravel())
        data.mocap_pos[row], data.mocap_quat[row] = matrix[:3, 3], quat
    mujoco.mj_kinematics(model, data)
    for name, part in plan.articulations.items():
        boxes = plan.solids.select(np.array([p == name for p in plan.solids.part]))
        moved = part.move(boxes.centre[0], 0.6 * part.limits[1])
        geoms = np.flatnonzero(model.geom_bodyid == model.body(name).id)
        assert np.linalg.norm(data.geom_xpos[geoms] - moved, axis=1).min() < 1e-6


def test_a_corridor_is_connected_where_its_doors_are_open() -> None:
    passable = 0
    for seed in SEEDS:
        plan = plan_of("corridor", seed)
        for door in plan.doorways:
            is_open = not door.articulation or plan.articulations[door.articulation].initial > 1.3
            if door.rooms[1] == OUTSIDE or not is_open:
                continue
            passable += 1
            steps = np.linspace(-0.7, 0.82, 40)[:, None] * [np.cos(door.heading), np.sin(door.heading)]
            inside = plan.contains(np.array(door.position) + steps)
            assert inside[3:-3].all()
    assert passable >= 4


def test_qualifiers_distinguish_targets_of_one_name() -> None:
    plan = plan_of("kitchen", 3)
    doors = [t for t in plan.of_kind("cabinet") if t.name == "cupboard"]
    assert sorted(t.qualifier for t in doors) == ["left", "right"]
    left, right = sorted(doors, key=lambda t: t.qualifier)
    facing = np.array([np.cos(left.yaw + np.pi), np.sin(left.yaw + np.pi)])  # of who stands before it
    to_the_right = np.array([facing[1], -facing[0]])
    assert (np.array(right.position[:2]) - left.position[:2]) @ to_the_right > 0.2


def test_splits_share_no_rooms_styles_or_objects() -> None:
    seeds = [set(seeds) for seeds in ({r.start, r.stop - 1} for r in SPLIT_SEEDS.values())]
    assert not set.intersection(*seeds)
    with pytest.raises(ValueError, match="not of split"):
        build_room(SPLIT_SEEDS["test"].start, "train")
    pairs = {split: {(c, k) for c in COLOURS for k in OBJECT_KINDS if split_of(c, k) == split} for split in SPLIT_SEEDS}
    assert sum(len(p) for p in pairs.values()) == len(COLOURS) * len(OBJECT_KINDS)
    for words in (COLOURS, OBJECT_KINDS):
        assert {c for c, _ in pairs["train"]} | {k for _, k in pairs["train"]} >= set(words)
    styles = {split: {wall_style(s, split) for s in seeds[:40]} for split, seeds in SPLIT_SEEDS.items()}
    assert not styles["train"] & (styles["val"] | styles["test"])
    for split, room_seeds in SPLIT_SEEDS.items():
        objects = {t.name for i in range(4) for t in build_room(room_seeds[i], split)[1].of_kind("object")}
        assert objects <= {f"{colour} {kind}" for colour, kind in pairs[split]}


corner = st.floats(-3, 3).map(lambda v: round(v, 2))
box = st.tuples(corner, corner, st.floats(0.2, 2), st.floats(0.2, 2)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@settings(max_examples=40, deadline=None)
@given(st.lists(box, max_size=5), st.integers(0, 2**32 - 1))
def test_free_rectangles_cover_what_no_obstacle_covers(obstacles: list, seed: int) -> None:
    bounds = (-2.5, -2.5, 2.5, 2.5)
    free = maximal_rectangles(bounds, obstacles)
    for x0, y0, x1, y1 in free:
        assert all(x1 <= o[0] or x0 >= o[2] or y1 <= o[1] or y0 >= o[3] for o in obstacles)
    for x, y in np.random.default_rng(seed).uniform(-2.3, 2.3, (50, 2)):
        roomy = all(x + 0.18 < o[0] or x - 0.18 > o[2] or y + 0.18 < o[1] or y - 0.18 > o[3] for o in obstacles)
        if roomy:  # a square of 0.36 m fits here, so some rectangle of 0.35 m or more holds the point
            assert any(x0 <= x <= x1 and y0 <= y <= y1 for x0, y0, x1, y1 in free)


def test_distances_to_boxes_are_those_of_geometry() -> None:
    solids = Solids(np.array([[1.0, 0.0, 0.5]]), np.array([[0.5, 0.2, 0.5]]), np.array([np.pi / 2]), ("",))
    points = np.array([[1.0, 0.0, 0.5], [1.3, 0.0, 0.5], [1.0, 0.6, 0.5], [1.2 + 0.3, 0.5 + 0.4, 0.5], [1.0, 0.0, 2.0]])
    np.testing.assert_allclose(solids.distance(points), [-0.2, 0.1, 0.1, 0.5, 1.0], atol=1e-9)


def test_the_clearance_grid_agrees_with_the_boxes() -> None:
    plan = plan_of("office", 2)
    points = plan.sample(np.random.default_rng(0), 100)
    columns = np.concatenate(
        [np.broadcast_to(points[:, None], (100, 40, 2)), np.broadcast_to(np.arange(40)[:, None] / 20, (100, 40, 1))],
        axis=-1,
    )
    below_two = plan.solids.select(plan.solids.centre[:, 2] - plan.solids.half[:, 2] < 1.9)
    exact = below_two.distance(columns).min(axis=1)
    grid = plan.distance_to_solids(points)
    np.testing.assert_allclose(grid, exact, atol=0.09)  # cells are 5 cm
    assert plan.distance_to_solids(np.array([[50.0, 0.0]]))[0] == 0
