"""A compiled building with its GL objects: sets poses, culls what the camera cannot see, draws, reads back.

One GL context serves a process; a building's own context (textures, meshes) is made once and serves all its clips.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import mujoco
import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.camera import Pinhole
from training.simulator.render import body_geoms
from training.simulator.render.body_geoms import HEAD_GROUP
from training.simulator.render.clothes import Clothing
from training.simulator.rooms.plan import Articulation
from training.simulator.rooms.site import INSIDE, STATIC_GROUP

Array = NDArray[np.floating]
_HIDDEN_GROUP = 5
_NOTHING: dict[str, Array] = {}


@lru_cache(maxsize=1)
def gl_context() -> mujoco.GLContext:
    """This process's GL context; images are drawn in framebuffers of their own."""
    context = mujoco.GLContext(64, 64)
    context.make_current()
    return context


def screenless() -> bool:
    """Whether this process can draw: MuJoCo chooses at its import, and another module may have imported it first."""
    return getattr(mujoco, "GLContext", object).__module__ in ("mujoco.egl", "mujoco.osmesa")


@dataclass(frozen=True)
class RoomMotion:
    """What moves in the room besides the wearer, one row per pose (F rows).

    Attributes:
        articulations: {id: (F,) value}. objects: {id: (F, 4, 4) T_world_object}. All others keep their initial state.
        fingers: (F, 2) left and right, 0 relaxed … 1 closed; empty for relaxed.
    """

    articulations: Mapping[str, Array] = field(default_factory=lambda: _NOTHING)
    objects: Mapping[str, Array] = field(default_factory=lambda: _NOTHING)
    fingers: Array = field(default_factory=lambda: np.zeros((0, 2)))


class Canvas:
    """Draws a building into a buffer of fixed size.

    Args:
        spec: a building with a body in it (`body_geoms.add_body`).
        articulations: the plan's, by id.
    """

    def __init__(self, spec: mujoco.MjSpec, width: int, height: int, articulations: Mapping[str, Articulation]) -> None:
        spec.visual.global_.offwidth, spec.visual.global_.offheight = width, height
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        gl_context()
        self.context = mujoco.MjrContext(self.model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self.context)
        self.scene = mujoco.MjvScene(self.model, maxgeom=self.model.ngeom + 16)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self.scene.flags[flag] = False
        self.option = mujoco.MjvOption()
        mujoco.mjv_defaultOption(self.option)
        self.option.geomgroup[:] = 1
        self.option.geomgroup[_HIDDEN_GROUP] = 0
        self.view = mujoco.MjrRect(0, 0, width, height)
        self.colour = np.empty((height, width, 3), np.uint8)
        self.depth = np.empty((height, width), np.float32)
        self._articulations = articulations
        self._joints = body_geoms.joint_bodies(self.model)
        self._hands = body_geoms.hand_geoms(self.model)
        self._resting = (self.data.mocap_pos.copy(), self.data.mocap_quat.copy())
        self._groups = self.model.geom_group.copy()
        self._reach = self._bounds()
        self._mesh = (self.model.mesh_vert.copy(), self.model.geom_pos[self._hands].copy())
        self._camera = mujoco.MjvCamera()
        self._insides = self._find_insides()
        bodies = (self.model.body(i) for i in range(self.model.nbody))
        self._rows = {body.name: int(body.mocapid[0]) for body in bodies}
        self._quat = np.empty(4)
        self.of_wearer = self._find_wearer()

    def _find_insides(self) -> dict[tuple[str, ...], list[int]]:
        """Geoms that only open doors and drawers reveal, by the articulations of which one must be open."""
        found: dict[tuple[str, ...], list[int]] = {}
        for geom in range(self.model.ngeom):
            name = self.model.geom(geom).name
            if name.startswith(INSIDE):
                found.setdefault(tuple(name.split("/")[1].split(",")), []).append(geom)
        return found

    def _find_wearer(self) -> NDArray[np.bool_]:
        """Which geoms are the wearer's; one more row, for pixels that show none (-1)."""
        wearer = np.isin(self.model.body_mocapid, self._joints)
        return np.append(wearer[self.model.geom_bodyid], False)

    def _bounds(self) -> NDArray[np.float64]:
        """Radius of the sphere around each geom as it is now: also of planes, which MuJoCo regards as infinite, and of
        the body's parts, whose sizes change with the wearer."""
        model = self.model
        size, kind = model.geom_size, model.geom_type
        reach = np.where(kind == mujoco.mjtGeom.mjGEOM_PLANE, np.hypot(size[:, 0], size[:, 1]), model.geom_rbound)
        capsule = kind == mujoco.mjtGeom.mjGEOM_CAPSULE
        reach = np.where(capsule, size[:, 0] + size[:, 1], reach)
        reach = np.where(kind == mujoco.mjtGeom.mjGEOM_ELLIPSOID, size.max(axis=1), reach)
        return np.where(kind == mujoco.mjtGeom.mjGEOM_MESH, 1.25 * reach, reach)

    def wear(self, offsets: Array, clothing: Clothing) -> None:
        """Changes the wearer: joint offsets (23, 3) metres and colours."""
        scale = body_geoms.fit(self.model, offsets, clothing)
        self.model.mesh_vert[:] = self._mesh[0] * scale
        self.model.geom_pos[self._hands] = self._mesh[1] * scale
        for mesh in self.model.geom_dataid[self._hands].ravel():
            mujoco.mjr_uploadMesh(self.model, self.context, int(mesh))
        self._reach = self._bounds()

    def pose(self, positions: Array, rotations: Array, room_motion: RoomMotion | None = None, row: int = 0) -> None:
        """Sets the wearer's pose, (23, 3) metres and (23, 3, 3) or quaternions (23, 4), and a row of `room_motion`."""
        data = self.data
        data.mocap_pos[:], data.mocap_quat[:] = self._resting
        room_motion = room_motion or RoomMotion()
        opened = set()
        for name, articulation in self._articulations.items():
            values = room_motion.articulations.get(name)
            value = articulation.initial if values is None else float(values[row])
            if value:
                opened.add(name)
                self._place(name, articulation.transform(value))
        for names, geoms in self._insides.items():
            self._groups[geoms] = _HIDDEN_GROUP if opened.isdisjoint(names) else STATIC_GROUP
        for name, poses in room_motion.objects.items():
            self._place(name, poses[row])
        data.mocap_pos[self._joints] = positions
        turns = rotations if rotations.shape[-1] == 4 else body_geoms.quaternions(rotations)
        data.mocap_quat[self._joints] = turns
        for hand in range(2):
            drawn = body_geoms.finger_pose(float(room_motion.fingers[row, hand])) if len(room_motion.fingers) else 0
            self._groups[self._hands[hand]] = _HIDDEN_GROUP
            self._groups[self._hands[hand, drawn]] = body_geoms.BODY_GROUP
        mujoco.mj_kinematics(self.model, data)
        mujoco.mj_camlight(self.model, data)

    def _place(self, name: str, pose: Array) -> None:
        row = self._rows[name]
        self.data.mocap_pos[row] = pose[:3, 3]
        mujoco.mju_mat2Quat(self._quat, np.ascontiguousarray(pose[:3, :3], dtype=np.float64).ravel())
        self.data.mocap_quat[row] = self._quat

    def draw(self, camera: Pinhole, camera_pose: Array, own_head: bool = False, segmentation: bool = False) -> None:
        """Draws the present state into `colour`, rows from the bottom up.

        Args:
            camera: intrinsics at the size of this canvas; square pixels.
            camera_pose: T_world_camera (4, 4) of the optical frame.
            own_head: draw the wearer's head too, as an outside camera sees it.
            segmentation: draw flat colours that number the geoms, see `geom_ids`.
        """
        self.option.geomgroup[HEAD_GROUP] = own_head
        groups = self.model.geom_group
        groups[:] = self._groups
        groups[self._unseen(camera, camera_pose)] = _HIDDEN_GROUP
        scene, everything = self.scene, mujoco.mjtCatBit.mjCAT_ALL
        for flag in (mujoco.mjtRndFlag.mjRND_SEGMENT, mujoco.mjtRndFlag.mjRND_IDCOLOR):
            scene.flags[flag] = segmentation
        mujoco.mjv_updateScene(self.model, self.data, self.option, None, self._camera, everything, scene)
        for gl in scene.camera:
            _look(gl, camera, camera_pose, self.near, self.far)
        mujoco.mjr_render(self.view, scene, self.context)
        mujoco.mjr_readPixels(self.colour, None, self.view, self.context)

    def read_depth(self) -> NDArray[np.float32]:
        """Depth of what was drawn last along the optical axis, metres (H, W), rows from the bottom up."""
        self._fetch_depth()
        return self._metres(self.depth)

    def depth_at(self, columns: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The same at some pixels only; rows count from the top."""
        self._fetch_depth()
        return self._metres(self.depth[self.view.height - 1 - rows, columns])

    def _fetch_depth(self) -> None:
        mujoco.mjr_readPixels(None, self.depth, self.view, self.context)

    def _metres(self, buffer: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.near / (1 - buffer * (1 - self.near / self.far))

    def geom_ids(self) -> NDArray[np.int32]:
        """After drawing a segmentation: which geom each pixel shows (H, W), -1 for none, rows from the bottom up."""
        code = self.colour.astype(np.int32) @ np.array([1, 256, 65536], np.int32)
        known = np.full(self.scene.ngeom + 1, -1, np.int32)
        known[1:] = [geom.objid for geom in self.scene.geoms[: self.scene.ngeom]]
        return known[code]

    @property
    def hands(self) -> NDArray[np.int64]:
        """Geom ids of the left and the right hand, (2, poses)."""
        return self._hands

    @property
    def near(self) -> float:
        """Distance of the near plane, metres."""
        return float(self.model.vis.map.znear * self.model.stat.extent)

    @property
    def far(self) -> float:
        """Distance of the far plane, metres."""
        return float(self.model.vis.map.zfar * self.model.stat.extent)

    def _unseen(self, camera: Pinhole, pose: Array) -> NDArray[np.bool_]:
        """Which geoms' bounding spheres are wholly outside of the image."""
        local = (self.data.geom_xpos - pose[:3, 3]) @ pose[:3, :3]
        outside = local[:, 2] < -self._reach
        for axis, focal, low, high in (
            (0, camera.fx, camera.cx + 0.5, camera.width - 0.5 - camera.cx),
            (1, camera.fy, camera.cy + 0.5, camera.height - 0.5 - camera.cy),
        ):
            for sign, edge in ((-1.0, low), (1.0, high)):
                normal = np.array([sign * focal, -edge]) / np.hypot(focal, edge)
                outside |= local[:, axis] * normal[0] + local[:, 2] * normal[1] > self._reach
        return outside

    def close(self) -> None:
        """Frees the building's textures and buffers."""
        self.context.free()


def _look(gl: mujoco.MjvGLCamera, camera: Pinhole, pose: Array, near: float, far: float) -> None:
    """Points MuJoCo's camera: any pose and any pinhole of square pixels."""
    gl.pos, gl.forward, gl.up = pose[:3, 3], pose[:3, 2], -pose[:3, 1]
    gl.frustum_near, gl.frustum_far = near, far
    gl.frustum_top = near * (camera.cy + 0.5) / camera.fy
    gl.frustum_bottom = -near * (camera.height - 0.5 - camera.cy) / camera.fy
    left, right = -near * (camera.cx + 0.5) / camera.fx, near * (camera.width - 0.5 - camera.cx) / camera.fx
    gl.frustum_center, gl.frustum_width = (left + right) / 2, (right - left) / 2
    gl.orthographic = 0
