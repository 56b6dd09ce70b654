"""Furnished rooms from a seed: walls, furniture, objects, light, and the plan for motion."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np

from training.simulator.rooms.free_space import clearance, maximal_rectangles
from training.simulator.rooms.furnishing import Furnisher, grown
from training.simulator.rooms.grains import add_grains
from training.simulator.rooms.layout import OUTSIDE, Layout, sample_layout
from training.simulator.rooms.lighting import RoomLight
from training.simulator.rooms.objects import place_object, sample_objects
from training.simulator.rooms.plan import Doorway, Rectangle, RoomArea, RoomPlan, Target, Vector
from training.simulator.rooms.shell import Appearance, build_doors, build_shell
from training.simulator.rooms.site import GLOW, Site, Spot
from training.simulator.rooms.textures import WALL_STYLES

SPLIT_SEEDS: dict[str, range] = {
    "train": range(10_000_000),
    "val": range(10_000_000, 11_000_000),
    "test": range(11_000_000, 12_000_000),
}
"""Room seeds of each split; disjoint, so no room is in two splits."""

WALL_CLEARANCE = 0.5  # a reach or stride brings the head about this far ahead of the standing pelvis
FURNITURE_CLEARANCE = 0.36
_KIND_SHARES = {"kitchen": 0.2, "living room": 0.2, "bedroom": 0.2, "office": 0.2, "corridor": 0.2}
_MOST_OBJECTS = 9


def build_room(seed: int, split: str, kind: str | None = None) -> tuple[mujoco.MjSpec, RoomPlan]:
    """One furnished building, the same for the same seed and split.

    Args:
        seed: room seed, one of `SPLIT_SEEDS[split]`.
        split: "train", "val" or "test"; each has wall styles and colour-object pairs of its own.
        kind: one of `layout.KINDS`; None for the seed's.

    Returns:
        The MuJoCo specification (no body in it yet) and the plan: size, free area, targets, what can be moved.
    """
    if seed not in SPLIT_SEEDS[split]:
        raise ValueError(f"room seed {seed} is not of split {split!r} ({SPLIT_SEEDS[split]})")
    rng = np.random.default_rng([seed, 21])
    sampled = str(rng.choice(list(_KIND_SHARES), p=list(_KIND_SHARES.values())))
    layout = sample_layout(rng, kind or sampled)
    site = Site(empty_spec(), split=split, looks=np.random.default_rng([seed, 23]))
    site.grains = add_grains(site.spec, site.looks, split)
    appearance = _sample_appearance(rng, layout, wall_style(seed, split))
    site.lights = [
        RoomLight.sample(site.looks, np.array([*lamp, appearance.height - 0.2]), floor)
        for lamp, (_, floor) in zip(appearance.lamps, layout.rooms, strict=True)
    ]
    furnishers = []
    for index in range(len(layout.rooms)):
        site.room = index
        furnishers.append(Furnisher(site, rng, layout, index))
        furnishers[-1].furnish()
    doorways = build_doors(site, rng, layout)
    build_shell(site, layout, appearance)
    _light(site.spec, site.looks)
    rooms = tuple(_area(site, layout, doorways, furnisher) for furnisher in furnishers)
    _place_objects(site, rng, split, rooms)
    site.finish()
    return site.spec, _plan(seed, site, layout, appearance, rooms, doorways)


def wall_style(seed: int, split: str) -> str:
    """The pattern of a room's walls."""
    return str(np.random.default_rng([seed, 22]).choice(WALL_STYLES[split]))


def empty_spec() -> mujoco.MjSpec:
    """Rendering settings: few facets, no shadows, near plane at 2 cm; plain materials."""
    spec = mujoco.MjSpec()
    quality = spec.visual.quality
    quality.offsamples, quality.shadowsize = 0, 0
    quality.numslices, quality.numstacks, quality.numquads = 12, 6, 1
    spec.visual.global_.offwidth = spec.visual.global_.offheight = 16
    spec.stat.extent, spec.stat.center = 5.0, np.zeros(3)
    spec.visual.map.znear, spec.visual.map.zfar = 0.02 / 5.0, 6.0
    spec.add_material(name="matte", specular=0.05, shininess=0.1)
    spec.add_material(name=GLOW, emission=0.75, specular=0.0)
    return spec


def _sample_appearance(rng: np.random.Generator, layout: Layout, style: str) -> Appearance:
    lamps = []
    for _, (x0, y0, x1, y1) in layout.rooms:
        x, y = rng.uniform(0.35, 0.65, 2)
        lamps.append((float(x0 + x * (x1 - x0)), float(y0 + y * (y1 - y0))))
    return Appearance(float(rng.uniform(2.45, 2.9)), style, tuple(lamps))


def _light(spec: mujoco.MjSpec, rng: np.random.Generator) -> None:
    """Adds ambient light and two directional lights of random strength and colour, which shade the sides of things.

    The lamps' own light is baked into walls and floors: point lights would cost time per vertex.
    """
    strength, warmth = rng.uniform(0.66, 1.06), rng.uniform(-0.05, 0.05)
    tint = np.array([1 + warmth, 1.0, 1 - warmth]) * strength
    head = spec.visual.headlight
    head.ambient, head.diffuse, head.specular = tint * 0.7, np.zeros(3), np.zeros(3)
    angle = rng.uniform(0, 2 * np.pi)
    for turn, share in ((0.0, rng.uniform(0.24, 0.32)), (rng.uniform(1.8, 2.8), rng.uniform(0.1, 0.16))):
        way = [np.cos(angle + turn), np.sin(angle + turn), -rng.uniform(0.6, 0.9)]
        spec.worldbody.add_light(
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, pos=[0, 0, 2.4], dir=way, diffuse=tint * share,
            castshadow=False, specular=[0.05] * 3,
        )  # fmt: skip


def _open(site: Site, door: Doorway) -> bool:
    """Whether a doorway can be walked through initially."""
    return not door.articulation or site.articulations[door.articulation].initial > 1.3


def _area(site: Site, layout: Layout, doorways: list[Doorway], furnisher: Furnisher) -> RoomArea:
    """The free rectangles of one room: away from walls, furniture and open doors."""
    kind, floor = layout.rooms[furnisher.index]
    obstacles = [grown(box, FURNITURE_CLEARANCE) for box in furnisher.blocked]
    for door in doorways:
        if door.articulation and door.rooms[1] == furnisher.index:
            leaf = site.articulations[door.articulation]
            if leaf.initial > 0.2:  # it is in this room, at a right angle to the wall
                obstacles.append(grown(_leaf_box(site, door), 0.26))
    margin = min(WALL_CLEARANCE, 0.5 * (min(floor[2] - floor[0], floor[3] - floor[1]) - 0.9))
    return RoomArea(kind, floor, tuple(maximal_rectangles(grown(floor, -margin), obstacles)))


def _leaf_box(site: Site, door: Doorway) -> Rectangle:
    leaf = site.articulations[door.articulation]
    target = next(t for t in site.targets if t.id == leaf.id)
    assert target.handle is not None
    tip = leaf.move(target.handle, leaf.initial)
    corners = np.array([leaf.origin[:2], tip[:2]])
    low, high = corners.min(axis=0), corners.max(axis=0)
    return (float(low[0]), float(low[1]), float(high[0]), float(high[1]))


def _place_objects(site: Site, rng: np.random.Generator, split: str, rooms: tuple[RoomArea, ...]) -> None:
    """Places up to nine objects on surfaces and on the floor; free places become the surfaces' spots."""
    by_surface: dict[str, list[Spot]] = {}
    for spot in site.spots:
        by_surface.setdefault(spot.support_id, []).append(spot)
    wanted: list[Spot] = []
    left: dict[str, list[Spot]] = {}
    for support, places in by_surface.items():
        places = [places[i] for i in rng.permutation(len(places))]
        count = min(int(rng.integers(1, 4)), len(places) - 1) if len(places) > 1 else int(rng.integers(2))
        wanted += places[:count]
        left[support] = places[count:]
    chosen = [wanted[i] for i in rng.permutation(len(wanted))[: _MOST_OBJECTS - 1]]
    for index, room in enumerate(rooms):
        if room.free and rng.random() < 0.5:
            chosen.append(Spot(_floor_place(rng, room), "floor", "floor", index))
    pairs = sample_objects(rng, split, min(len(chosen), _MOST_OBJECTS))
    for spot, pair in zip(chosen[-len(pairs) :], pairs, strict=True):
        site.targets.append(place_object(site, spot, *pair, rng))
    taken = {id(spot) for spot in chosen[-len(pairs) :]}
    free = {k: [s for s in v if id(s) not in taken] for k, v in by_surface.items()}
    site.targets = [
        replace(t, spots=tuple(_point(s) for s in free[t.id])) if t.kind == "surface" else t for t in site.targets
    ]


def _point(spot: Spot) -> Vector:
    x, y, z = (float(v) for v in spot.point)
    return (x, y, z)


def _floor_place(rng: np.random.Generator, room: RoomArea) -> np.ndarray:
    """A random place at the rim of the free area."""
    box = room.free[int(rng.integers(len(room.free)))]
    along, rim = rng.uniform(0.1, 0.9), rng.uniform(-0.15, 0.08)
    x, y = box[0] + along * (box[2] - box[0]), box[1] + along * (box[3] - box[1])
    side = int(rng.integers(4))
    place = [(box[0] + rim, y), (box[2] - rim, y), (x, box[1] + rim), (x, box[3] - rim)][side]
    return np.array([*place, 0.0])


def _plan(
    seed: int, site: Site, layout: Layout, appearance: Appearance, rooms: tuple[RoomArea, ...], doorways: list[Doorway]
) -> RoomPlan:
    floor_objects = [t for t in site.targets if t.kind == "object" and t.support == "floor"]
    rooms = tuple(_without(room, floor_objects) for room in rooms)
    free = [box for room in rooms for box in room.free]
    free += [door.passage for door in doorways if door.passage and _open(site, door)]
    solids = site.solids()
    floors = [floor for _, floor in layout.rooms]
    floors += [d.passage for d in doorways if d.rooms[1] != OUTSIDE and d.passage]
    plan = RoomPlan(
        seed, layout.size, free, _spots(site, rooms), layout.kind, rooms, tuple(doorways), site.articulations,
        solids, clearance(layout.size, floors, solids), appearance.height,
    )  # fmt: skip
    targets = [t for t in plan.targets if t.kind not in ("door", "cabinet", "drawer") or _reachable(plan, t)]
    return replace(plan, targets=_qualified(targets))


def _without(room: RoomArea, objects: list[Target]) -> RoomArea:
    """A room's free area without objects on the floor."""
    free: list[Rectangle] = []
    for box in room.free:
        near = [
            (t.position[0] - 0.22, t.position[1] - 0.22, t.position[0] + 0.22, t.position[1] + 0.22) for t in objects
        ]
        free += maximal_rectangles(box, near)
    return replace(room, free=tuple(dict.fromkeys(free)))


def _reachable(plan: RoomPlan, target: Target) -> bool:
    """Whether one of its stands is in the free area, or nearly so."""
    stands = np.array(target.stands)[:, :2]
    near = np.array([[0, 0], [0.1, 0], [-0.1, 0], [0, 0.1], [0, -0.1]])
    return bool(plan.contains(stands[:, None] + near).any())


def _spots(site: Site, rooms: tuple[RoomArea, ...]) -> list[Target]:
    """All targets, and in a building of several rooms each room's middle as a place to walk to."""
    targets = list(site.targets)
    if len(rooms) > 1:
        for index, room in enumerate(rooms):
            if not room.free:
                continue
            box = max(room.free, key=lambda b: min(b[2] - b[0], b[3] - b[1]))
            x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            targets.append(
                Target(
                    room.kind, (x, y, 0.0), "floor", 0.0, "spot", site.name("room"), room=index, stands=((x, y, 0.0),)
                )
            )
    return targets


def _qualified(targets: list[Target]) -> list[Target]:
    """Targets with qualifiers that distinguish those of one name: a side of a piece of furniture, or what is near."""
    result = []
    for target in targets:
        same = [t for t in targets if (t.kind, t.name) == (target.kind, target.name) and t is not target]
        words = ""
        if same:
            words = _on_its_piece(target, same) or _beside(targets, target, same)
        result.append(replace(target, qualifier=words))
    return result


def _on_its_piece(target: Target, same: list[Target]) -> str:
    """ "left", "right", "middle", "top" or "bottom" among neighbours that face the same way, or ""."""
    along = np.array([-np.sin(target.yaw), np.cos(target.yaw), 0.0])  # the piece's left, a viewer's right
    away = [np.array(t.position) - target.position for t in same]
    near = [d for d, t in zip(away, same, strict=True) if np.hypot(d[0], d[1]) < 2.0 and abs(t.yaw - target.yaw) < 0.1]
    if not near or len(near) < len(same):
        return ""
    side, up = np.array([d @ along for d in near]), np.array([d[2] for d in near])
    if np.abs(up).max() > 0.1:
        return "top" if (up < 0.02).all() else "bottom" if (up > -0.02).all() else "middle"
    return "right" if (side < 0).all() else "left" if (side > 0).all() else "middle"


def _beside(targets: list[Target], target: Target, same: list[Target]) -> str:
    """The nearest piece with a unique name that is nearer to this target than to its namesakes, as "by the ..."."""
    places = np.array([t.position[:2] for t in same])
    best, found = 1.6, ""
    for other in targets:
        if (
            other.kind not in ("surface", "seat", "spot", "door")
            or other.name == target.name
            or other.room != target.room
        ):
            continue
        if sum(t.name == other.name for t in targets) > 1:
            continue
        distance = float(np.hypot(*(np.array(other.position[:2]) - target.position[:2])))
        if distance < best and distance < np.hypot(*(places - other.position[:2]).T).min():
            best, found = distance, f"by the {other.name}"
    return found
