"""A building under construction: adds geoms to a MuJoCo specification and collects targets and solids for the plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.rotations import rotate_2d
from training.simulator.rooms.lighting import RoomLight
from training.simulator.rooms.palette import STEEL as STEEL
from training.simulator.rooms.palette import Colour, finish_of
from training.simulator.rooms.plan import Articulation, Solids, Stand, Target, Vector

BOX, CYLINDER = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER
ELLIPSOID, CAPSULE = mujoco.mjtGeom.mjGEOM_ELLIPSOID, mujoco.mjtGeom.mjGEOM_CAPSULE
PLANE, MESH = mujoco.mjtGeom.mjGEOM_PLANE, mujoco.mjtGeom.mjGEOM_MESH
GLOW = "glow"
_GEOM_LIGHT = (0.5, 1.25)  # least and largest factor of the light at a geom's middle
STATIC_GROUP = 0
SHELL = "shell"
INSIDE = "inside/"  # prefix of geoms that only open doors and drawers reveal
Size2 = tuple[float, float]


@dataclass(frozen=True)
class Spot:
    """A place for an object: world point (3,) on the support's surface, the support's target id and name."""

    point: NDArray[np.float64]
    support_id: str
    support: str
    room: int


@dataclass
class Site:
    """A building under construction.

    Attributes:
        spec: the MuJoCo specification that is added to.
        grains: materials of each finish (`palette.FINISHES`) in use; empty leaves surfaces plain.
        room: index of the room that is being furnished.
        split: whose photographs and patterns are used. looks: random numbers of all that does not move anything.
        lights: of each room; empty leaves everything evenly lit.
    """

    spec: mujoco.MjSpec
    grains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    room: int = 0
    split: str = "train"
    looks: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    lights: list[RoomLight] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    spots: list[Spot] = field(default_factory=list)
    articulations: dict[str, Articulation] = field(default_factory=dict)
    _solids: list[tuple[NDArray[np.float64], NDArray[np.float64], float, str]] = field(default_factory=list)
    _bodies: dict[str, tuple[mujoco.MjsBody, NDArray[np.float64], float]] = field(default_factory=dict)
    _names: dict[str, int] = field(default_factory=dict)
    _drawn: int = 0
    _lit: list[tuple[mujoco.MjsGeom, NDArray[np.float64], int]] = field(default_factory=list)
    _panels: list[dict[str, Any]] = field(default_factory=list)

    def name(self, kind: str) -> str:
        """A new id: "cabinet_0", "cabinet_1", ..."""
        number = self._names.get(kind, 0)
        self._names[kind] = number + 1
        return f"{kind}_{number}"

    def material(self, finish: str) -> str:
        """The next surface structure of a finish, in turn, so that neighbours differ."""
        grains = self.grains.get(finish, ())
        if not grains:
            return "matte"
        self._drawn += 1
        return grains[self._drawn % len(grains)]

    def body(self, name: str, origin: NDArray[np.floating] | None = None, yaw: float = 0.0) -> str:
        """A new body that is moved by setting its pose, at first at `origin` (3,) and `yaw`; returns its name."""
        where = np.zeros(3) if origin is None else np.asarray(origin, dtype=np.float64)
        quat = [np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]
        self._bodies[name] = (self.spec.worldbody.add_body(name=name, mocap=True, pos=where, quat=quat), where, yaw)
        return name

    def add(
        self,
        kind: mujoco.mjtGeom,
        centre: NDArray[np.floating],
        yaw: float,
        size: tuple[float, ...],
        colour: Colour,
        material: str | None = None,
        part: str = "",
        solid: bool = True,
        inside: tuple[str, ...] = (),
    ) -> None:
        """One upright geom at a world place; with `part` it belongs to that body.

        With `inside` it is rendered only while one of these articulations is open.
        """
        body, local, angle = self.spec.worldbody, np.asarray(centre, dtype=np.float64), yaw
        if part:
            body, origin, turn = self._bodies[part]
            away, angle = local - origin, yaw - turn
            local = np.array([*rotate_2d(away[:2], -turn), away[2]])
        material = material or self.material(finish_of(colour))
        name = self.name(f"{INSIDE}{','.join(inside)}/") if inside else ""
        geom = body.add_geom(
            name=name, type=kind, pos=local, quat=[np.cos(angle / 2), 0, 0, np.sin(angle / 2)], rgba=[*colour, 1.0],
            size=[*size, *[0.0] * (3 - len(size))], material=material, group=STATIC_GROUP,
            contype=0, conaffinity=0,
        )  # fmt: skip
        self._lit.append((geom, np.asarray(centre, dtype=np.float64), self.room))
        if solid:
            self._solids.append((np.asarray(centre, dtype=np.float64), _half(kind, size), yaw, part))

    def add_panel(
        self, name: str, centre: NDArray[np.floating], quat: NDArray[np.floating], half: Size2, material: str
    ) -> None:
        """A flat textured rectangle, such as a wall; it is added by `finish`."""
        self._panels.append(
            {"name": name, "pos": list(centre), "quat": quat, "size": [half[0], half[1], 0.5], "material": material}
        )

    def finish(self) -> None:
        """Puts the light on all geoms, and adds the panels last: they cost nothing where furniture hides them."""
        for index, light in enumerate(self.lights):
            here = [(geom, centre) for geom, centre, room in self._lit if room == index]
            if here:
                factors = light.factors(np.array([centre for _, centre in here]), None)
                for (geom, _), factor in zip(here, np.clip(factors, *_GEOM_LIGHT), strict=True):
                    geom.rgba[:3] = np.clip(geom.rgba[:3] * factor, 0, 1)
        body = self.spec.worldbody.add_body(name=SHELL)
        for geom in self._panels:
            body.add_geom(type=PLANE, contype=0, conaffinity=0, group=STATIC_GROUP, **geom)

    def obstruct(self, centre: NDArray[np.floating], half: Vector, yaw: float) -> None:
        """Adds a solid without a geom, such as a wall that is rendered as flat panels."""
        self._solids.append((np.asarray(centre, dtype=np.float64), np.array(half), yaw, ""))

    def solids(self) -> Solids:
        """All solids so far."""
        centre, half, yaw, part = zip(*self._solids, strict=True) if self._solids else ((), (), (), ())
        return Solids(np.reshape(centre, (-1, 3)), np.reshape(half, (-1, 3)), np.array(yaw, dtype=float), tuple(part))


def _half(kind: mujoco.mjtGeom, size: tuple[float, ...]) -> NDArray[np.float64]:
    """Half extents of the box around an upright geom."""
    if kind == CYLINDER:
        return np.array([size[0], size[0], size[1]])
    if kind == CAPSULE:
        return np.array([size[0], size[0], size[1] + size[0]])
    return np.array(size, dtype=float)


@dataclass(frozen=True)
class Frame:
    """A local frame in the building: origin (3,) metres and yaw radians; what is built in it may belong to a part."""

    site: Site
    origin: NDArray[np.float64]
    yaw: float
    part: str = ""
    within: tuple[str, ...] = ()

    def point(self, x: float, y: float, z: float) -> NDArray[np.float64]:
        """World coordinates of a local point."""
        return self.origin + np.array([*rotate_2d(np.array([x, y]), self.yaw), z])

    def at(self, x: float, y: float, z: float = 0.0, turn: float = 0.0) -> Frame:
        """A frame within this one."""
        return Frame(self.site, self.point(x, y, z), self.yaw + turn, self.part, self.within)

    def on(self, part: str) -> Frame:
        """The same frame, for geoms that move with a part."""
        return Frame(self.site, self.origin, self.yaw, part, self.within)

    def inside(self, *articulations: str) -> Frame:
        """The same frame, for geoms that are rendered only while one of these is open."""
        return Frame(self.site, self.origin, self.yaw, self.part, articulations)

    def stand(self, x: float, y: float, turn: float) -> Stand:
        """A stand at local (x, y), facing the local +y direction turned by `turn`."""
        place = self.point(x, y, 0.0)
        heading = self.yaw + np.pi / 2 + turn
        return (float(place[0]), float(place[1]), float(np.arctan2(np.sin(heading), np.cos(heading))))

    def geom(
        self,
        kind: mujoco.mjtGeom,
        centre: Vector,
        size: tuple[float, ...],
        colour: Colour,
        material: str | None = None,
        solid: bool = True,
    ) -> None:
        """One geom upright in this frame; `size` as MuJoCo takes it (half extents, radii)."""
        self.site.add(kind, self.point(*centre), self.yaw, size, colour, material, self.part, solid, self.within)

    def box(self, low: Vector, high: Vector, colour: Colour, material: str | None = None, solid: bool = True) -> None:
        """A box from its low to its high corner in local coordinates."""
        low_, high_ = np.array(low, float), np.array(high, float)
        self.geom(BOX, vector((low_ + high_) / 2), tuple(np.abs(high_ - low_) / 2), colour, material, solid)


def vector(values: NDArray[np.floating]) -> Vector:
    """A vector as three floats."""
    x, y, z = (float(v) for v in values)
    return (x, y, z)
