"""What the wearer sees, and what a bystander sees, rendered by MuJoCo without a screen.

Rendering is bound by vertices, not pixels, on a software rasteriser, so pictures are drawn several times larger and
averaged down. One GL context serves a process; a room's own context (textures) takes a few milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import mujoco
import numpy as np
from numpy.typing import NDArray

from egotwin_model.camera import Mount, Pinhole
from egotwin_model.skeleton import HEAD, XSENS_JOINTS, reference_offsets
from training.world import body_geoms
from training.world.body_geoms import EGO_CAMERA, HAND_POINTS, HEAD_GROUP, Clothing

Matrix = NDArray[np.floating]
FOV = np.pi / 2
DEPTH_TOLERANCE = 0.05  # metres: a hand point counts as seen when nothing lies this much before it
HANGING_DEPTH = 0.17  # metres: geoms this near a wall that is left out go with it
_HANDS = (XSENS_JOINTS.index("L_Hand"), XSENS_JOINTS.index("R_Hand"))


@dataclass(frozen=True)
class EgoFrames:
    """One clip's images uint8 (F, H, W, 3), camera_pose float32 (F, 4, 4), hand_visible uint8 (F, 2) left, right."""

    images: NDArray[np.uint8]
    camera_pose: NDArray[np.float32]
    hand_visible: NDArray[np.uint8]


@lru_cache(maxsize=1)
def _gl_context() -> mujoco.GLContext:
    context = mujoco.GLContext(64, 64)  # pictures are drawn in framebuffers of their own
    context.make_current()
    return context


class _Canvas:
    """A compiled room with its GL objects: draws scenes into a square or oblong buffer."""

    def __init__(self, spec: mujoco.MjSpec, width: int, height: int) -> None:
        spec.visual.global_.offwidth, spec.visual.global_.offheight = width, height
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        _gl_context()
        self.context = mujoco.MjrContext(self.model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self.context)
        self.scene = mujoco.MjvScene(self.model, maxgeom=self.model.ngeom + 16)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self.scene.flags[flag] = False
        self.option = mujoco.MjvOption()
        mujoco.mjv_defaultOption(self.option)
        self.option.geomgroup[:] = 1
        self.view = mujoco.MjrRect(0, 0, width, height)
        self.colour = np.empty((height, width, 3), np.uint8)
        self.depth = np.empty((height, width), np.float32)

    def draw(self, camera: mujoco.MjvCamera, depth: bool = False) -> None:
        """Draw the data's current state into `colour` (and `depth`), rows from the bottom up."""
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(self.model, self.data, self.option, None, camera, everything, self.scene)
        mujoco.mjr_render(self.view, self.scene, self.context)
        mujoco.mjr_readPixels(self.colour, self.depth if depth else None, self.view, self.context)

    def close(self) -> None:
        self.context.free()


def _smooth(spec: mujoco.MjSpec) -> None:
    quality = spec.visual.quality
    quality.numslices, quality.numstacks, quality.numquads = 32, 20, 4


class EgoRenderer:
    """Renders one room through the wearer's head camera (square, 90 degrees, `Mount`).

    Args:
        spec: a room from `scene.build_room`, without a body; it is given one.
        size: side of the pictures, pixels.
        supersample: pictures are drawn this many times larger and averaged.
        smooth: round things finely, for pictures of 128 px and more.
    """

    def __init__(
        self,
        spec: mujoco.MjSpec,
        size: int = 64,
        supersample: int = 3,
        mount: Mount | None = None,
        smooth: bool = False,
    ) -> None:
        self.mount = mount or Mount()
        self.size = size
        body_geoms.add_body(spec, self.mount)
        if smooth:
            _smooth(spec)
        self._canvas = _Canvas(spec, size * supersample, size * supersample)
        self._canvas.option.geomgroup[HEAD_GROUP] = 0
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = self._canvas.model.camera(EGO_CAMERA).id
        self._pinhole = Pinhole.from_fov(size * supersample, size * supersample, FOV)
        self.wear(reference_offsets(), Clothing.draw(np.random.default_rng(0)))

    def wear(self, offsets: NDArray[np.floating], clothing: Clothing) -> None:
        """Change the wearer: joint offsets (23, 3) metres and colours."""
        body_geoms.fit(self._canvas.model, offsets, clothing)

    def render(self, positions: NDArray[np.floating], rotations: NDArray[np.floating]) -> EgoFrames:
        """Pictures of F poses: positions (F, 23, 3) metres, global rotations (F, 23, 3, 3), in the room's frame."""
        count = len(positions)
        images = np.empty((count, self.size, self.size, 3), np.uint8)
        seen = np.zeros((count, 2), np.uint8)
        camera_pose = self.mount.camera_pose(positions[:, HEAD], rotations[:, HEAD])
        for i in range(count):
            body_geoms.pose(self._canvas.data, positions[i], rotations[i])
            self._canvas.draw(self._camera, depth=True)
            image = np.ascontiguousarray(self._canvas.colour[::-1])
            cv2.resize(image, (self.size, self.size), dst=images[i], interpolation=cv2.INTER_AREA)
            seen[i] = self._hands_in_view(camera_pose[i], positions[i], rotations[i])
        return EgoFrames(images, camera_pose.astype(np.float32), seen)

    def _hands_in_view(self, camera: Matrix, positions: Matrix, rotations: Matrix) -> list[int]:
        """Whether any point of the left and of the right hand lies in the picture with nothing before it."""
        return [int(self._visible(camera, positions[j], rotations[j], s)) for j, s in zip(_HANDS, (1, -1), strict=True)]

    def _visible(self, camera: Matrix, wrist: Matrix, rotation: Matrix, side: int) -> bool:
        points = wrist + (HAND_POINTS * (1, side, 1)) @ rotation.T
        optical = (points - camera[:3, 3]) @ camera[:3, :3]
        pixels, inside = self._pinhole.project(optical)
        if not inside.any():
            return False
        columns, rows = np.rint(pixels[inside]).astype(int).T
        drawn = self._metres(self._canvas.depth[self._pinhole.height - 1 - rows, columns])
        return bool((optical[inside, 2] < drawn + DEPTH_TOLERANCE).any())

    def _metres(self, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Depth buffer values to distances along the optical axis."""
        model = self._canvas.model
        near, far = model.vis.map.znear * model.stat.extent, model.vis.map.zfar * model.stat.extent
        return near / (1 - depth * (1 - near / far))

    def close(self) -> None:
        """Free the room's textures and buffers."""
        self._canvas.close()


class RoomRenderer:
    """Renders a room and the wearer in it from outside; walls between the camera and the room are left out."""

    def __init__(self, spec: mujoco.MjSpec, width: int = 640, height: int = 480, supersample: int = 2) -> None:
        body_geoms.add_body(spec)
        _smooth(spec)
        spec.add_texture(
            name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
            rgb1=[0.97, 0.97, 0.98], rgb2=[0.97, 0.97, 0.98], width=8, height=48,
        )  # fmt: skip
        self.width, self.height = width, height
        self._canvas = _Canvas(spec, width * supersample, height * supersample)
        self.wear(reference_offsets(), Clothing.draw(np.random.default_rng(0)))

    def wear(self, offsets: NDArray[np.floating], clothing: Clothing) -> None:
        """Change the wearer: joint offsets (23, 3) metres and colours."""
        body_geoms.fit(self._canvas.model, offsets, clothing)

    def render(
        self,
        positions: Matrix,
        rotations: Matrix,
        *,
        azimuth: float = 50.0,
        elevation: float = -38.0,
        distance: float = 7.5,
        look_at: tuple[float, float, float] = (0.0, 0.0, 0.7),
    ) -> NDArray[np.uint8]:
        """Picture (H, W, 3) of one pose (23, 3), (23, 3, 3); angles in degrees as MuJoCo's free camera takes them."""
        camera = mujoco.MjvCamera()
        camera.type = mujoco.mjtCamera.mjCAMERA_FREE
        camera.azimuth, camera.elevation, camera.distance, camera.lookat[:] = azimuth, elevation, distance, look_at
        body_geoms.pose(self._canvas.data, positions, rotations)
        self._open_up(azimuth)
        self._canvas.draw(camera)
        image = np.ascontiguousarray(self._canvas.colour[::-1])
        return cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_AREA)

    def _open_up(self, azimuth: float) -> None:
        """Make the ceiling and the walls on the camera's side invisible, with what hangs on them."""
        model = self._canvas.model
        angle = np.radians(azimuth)
        toward_camera = -np.array([np.cos(angle), np.sin(angle)])
        model.geom_rgba[:, 3] = 1.0
        model.geom_rgba[model.geom("ceiling").id, 3] = 0.0
        for wall, normal in enumerate(np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])):
            if normal @ toward_camera > 0.2:
                reach = model.geom(f"wall_{wall}").pos[:2] @ normal
                hanging = (model.geom_pos[:, :2] @ normal > reach - HANGING_DEPTH) & (model.geom_bodyid == 0)
                model.geom_rgba[hanging, 3] = 0.0

    def close(self) -> None:
        """Free the room's textures and buffers."""
        self._canvas.close()
