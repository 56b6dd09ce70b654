"""Renders the wearer's view, and views of the wearer from outside, without a screen.

On a software rasteriser, vertices and not pixels cost the time, so images are drawn several times larger and averaged
down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import mujoco
import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.camera import Pinhole, looking_at
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.skeleton import HEAD, XSENS_JOINTS, reference_offsets
from training.simulator.render import body_geoms
from training.simulator.render.canvas import Canvas, RoomMotion
from training.simulator.render.clothes import Clothing
from training.simulator.render.hand_asset import FINGER_POSES
from training.simulator.render.photometry import Photometry
from training.simulator.rooms.plan import Articulation, RoomPlan

Matrix = NDArray[np.floating]
FOV = np.pi / 2
DEPTH_TOLERANCE = 0.03  # metres: a hand point is visible unless something is this much nearer
_NOTHING = 0.999  # of the far plane's distance, from which on nothing is drawn
_HANDS = (XSENS_JOINTS.index("L_Hand"), XSENS_JOINTS.index("R_Hand"))


@dataclass(frozen=True)
class LabelOptions:
    """Which labels to render besides the images; each costs time.

    Attributes:
        hand_pixels: number of pixels of each hand. depth: metres for every pixel. segmentation: the thing that every
            pixel shows. body: where the image shows the wearer.
    """

    hand_pixels: bool = False
    depth: bool = False
    segmentation: bool = False
    body: bool = False

    @property
    def of_things(self) -> bool:
        """Whether any label tells what a pixel shows."""
        return self.hand_pixels or self.segmentation or self.body


@dataclass(frozen=True)
class RenderedFrames:
    """One camera's view of a clip of F frames.

    Attributes:
        images: uint8 (F, H, W, 3) RGB. camera_pose: float32 (F, 4, 4) T_world_camera of the optical frame.
        intrinsics: the images' pinhole.
        hand_visible: uint8 (F, 2), whether any of the left and right hand is seen.
        hand_pixels: float32 (F, 2), pixels of each hand, with fractions; None unless asked for.
        depth: float16 (F, H, W) metres along the optical axis, at the pixels' centres, 0 where nothing is drawn; None
            unless asked for.
        segmentation: uint16 (F, H, W) 0 background, else 1 + the row of `EgoRenderer.things`, at the pixels' centres;
            None unless asked for.
        body: uint8 (F, H, W), 1 where a pixel shows any of the wearer; None unless asked for.
    """

    images: NDArray[np.uint8]
    camera_pose: NDArray[np.float32]
    intrinsics: Pinhole
    hand_visible: NDArray[np.uint8]
    hand_pixels: NDArray[np.float32] | None = None
    depth: NDArray[np.float16] | None = None
    segmentation: NDArray[np.uint16] | None = None
    body: NDArray[np.uint8] | None = None


def smooth(spec: mujoco.MjSpec) -> None:
    """Gives round things more facets, for large images."""
    quality = spec.visual.quality
    quality.numslices, quality.numstacks = 24, 12


class EgoRenderer:
    """Renders one building as the wearer's head camera and outside cameras see it.

    Args:
        spec: from `scene.build_room`, without a body; it is given one.
        size: side of the images, pixels.
        supersample: images are drawn this many times larger and averaged.
        fine: give round things more facets, for images of 128 px and more.
        articulations: of the room's plan.

    Attributes:
        mount: where the camera sits on the head. camera: its intrinsics at `size`. Both may be set; at first they are
            the mini model's: 90 degrees, centred.
        photometry: how the head camera records what is rendered; None for as it is rendered. May be set.
    """

    def __init__(
        self,
        spec: mujoco.MjSpec,
        size: int = 64,
        supersample: int = 2,
        fine: bool = False,
        articulations: Mapping[str, Articulation] | None = None,
    ) -> None:
        self.mount, self.camera = Mount(), Pinhole.from_fov(size, size, FOV)
        self.photometry: Photometry | None = None
        self.size, self._supersample = size, supersample
        body_geoms.add_body(spec)
        if fine:
            smooth(spec)
        self._canvas = Canvas(spec, size * supersample, size * supersample, articulations or {})
        self.wear(reference_offsets(), Clothing.sample(np.random.default_rng(0)))

    def wear(self, offsets: Matrix, clothing: Clothing) -> None:
        """Changes the wearer: joint offsets (23, 3) metres and colours."""
        self._canvas.wear(offsets, clothing)

    @property
    def things(self) -> list[str]:
        """Names of what segmentations number: bodies of the model; row 0 is the building itself with its furniture."""
        model = self._canvas.model
        return [model.body(i).name for i in range(model.nbody)]

    def render(
        self,
        positions: Matrix,
        rotations: Matrix,
        room_motion: RoomMotion | None = None,
        labels: LabelOptions | None = None,
    ) -> RenderedFrames:
        """The wearer's view of F poses.

        Args:
            positions: (F, 23, 3) metres, rotations: (F, 23, 3, 3) global, in the building's frame.
            room_motion: what else moves, F rows. labels: what to render besides images.
        """
        camera_pose = self.mount.camera_pose(positions[:, HEAD], rotations[:, HEAD])
        labels = labels or LabelOptions()
        seen = self._render(self.camera, camera_pose, positions, rotations, room_motion, labels, own_head=False)
        return seen if self.photometry is None else replace(seen, images=self.photometry(seen.images))

    def render_outside(
        self,
        camera_pose: Matrix,
        positions: Matrix,
        rotations: Matrix,
        room_motion: RoomMotion | None = None,
        labels: LabelOptions | None = None,
    ) -> RenderedFrames:
        """The same clip from outside cameras: T_world_camera (F, 4, 4) or one (4, 4); the wearer's head is drawn."""
        poses = np.broadcast_to(camera_pose, (len(positions), 4, 4))
        camera = Pinhole.from_fov(self.size, self.size, np.radians(70))
        labels = labels or LabelOptions()
        return self._render(camera, poses, positions, rotations, room_motion, labels, own_head=True)

    def _render(
        self, camera: Pinhole, poses: Matrix, positions: Matrix, rotations: Matrix, room_motion: RoomMotion | None,
        labels: LabelOptions, own_head: bool,
    ) -> RenderedFrames:  # fmt: skip
        count, side, canvas = len(positions), self.size, self._canvas
        fine = camera.scaled(side * self._supersample, side * self._supersample)
        images, seen = np.empty((count, side, side, 3), np.uint8), np.zeros((count, 2), np.uint8)
        pixels = np.zeros((count, 2), np.float32) if labels.hand_pixels else None
        depth = np.empty((count, side, side), np.float16) if labels.depth else None
        things = np.empty((count, side, side), np.uint16) if labels.segmentation else None
        body = np.empty((count, side, side), np.uint8) if labels.body else None
        centred = self._centred(fine)
        quaternions = body_geoms.quaternions(rotations)
        at, distance, inside = self._hand_points(fine, poses, positions, rotations, room_motion)
        for i in range(count):
            canvas.pose(positions[i], quaternions[i], room_motion, i)
            canvas.draw(fine, poses[i], own_head)
            self._shrink(canvas.colour[::-1], images[i])
            if inside[i].any():  # a hand is visible where nothing is in front of any of its points
                drawn = canvas.depth_at(at[i, ..., 0], at[i, ..., 1])
                seen[i] = (inside[i] & (distance[i] < drawn + DEPTH_TOLERANCE)).any(axis=-1)
            if labels.depth or labels.of_things:
                canvas.draw(centred, poses[i], own_head, segmentation=labels.of_things)
            if depth is not None:
                metres = canvas.read_depth()[::-1]
                depth[i] = self._middle(np.where(metres < _NOTHING * canvas.far, metres, 0))
            if labels.of_things:
                ids = canvas.geom_ids()[::-1]
                if pixels is not None:
                    pixels[i] = [np.isin(ids, hand).sum() / self._supersample**2 for hand in canvas.hands]
                if things is not None:
                    bodies = np.append(canvas.model.geom_bodyid, -1)
                    things[i] = self._middle(bodies[ids] + 1)
                if body is not None:
                    body[i] = self._any(canvas.of_wearer[ids])
        return RenderedFrames(images, np.asarray(poses, dtype=np.float32), camera, seen, pixels, depth, things, body)

    def _centred(self, fine: Pinhole) -> Pinhole:
        """The camera of labels: of an even number of samples a pixel, one would lie beside its centre."""
        shift = 0.5 * (1 - self._supersample % 2)
        return replace(fine, cx=fine.cx + shift, cy=fine.cy + shift)

    def _shrink(self, drawn: NDArray[np.uint8], into: NDArray[np.uint8]) -> None:
        if self._supersample == 1:
            into[:] = drawn
        else:
            cv2.resize(np.ascontiguousarray(drawn), (self.size, self.size), dst=into, interpolation=cv2.INTER_AREA)

    def _middle(self, drawn: NDArray[np.generic]) -> NDArray[np.generic]:
        """One sample per pixel: labels are not averaged."""
        start, step = self._supersample // 2, self._supersample
        return drawn[start::step, start::step]

    def _any(self, drawn: NDArray[np.bool_]) -> NDArray[np.generic]:
        """Whether any sample of a pixel is set, those on its edge included."""
        window = np.ones((2 * (self._supersample // 2) + 1,) * 2, np.uint8)
        return self._middle(cv2.dilate(drawn.astype(np.uint8), window))

    def _hand_points(
        self, camera: Pinhole, poses: Matrix, positions: Matrix, rotations: Matrix, room_motion: RoomMotion | None
    ) -> tuple[NDArray[np.int64], Matrix, NDArray[np.bool_]]:
        """Points of the left and right hand in F images: pixels (F, 2, P, 2), distances, and whether inside."""
        count = len(positions)
        fingers = room_motion.fingers if room_motion is not None and len(room_motion.fingers) else np.zeros((count, 2))
        drawn = np.array([[body_geoms.finger_pose(float(v)) for v in row] for row in fingers]).reshape(count, 2)
        meshes = np.stack([body_geoms.hand_points(k) for k in range(len(FINGER_POSES))])
        points = meshes[drawn] * np.array([(1, 1, 1), (1, -1, 1)])[:, None]
        joints = list(_HANDS)
        world = positions[:, joints, None] + np.einsum("fhij,fhpj->fhpi", rotations[:, joints], points)
        optical = np.einsum("fij,fhpi->fhpj", poses[:, :3, :3], world - poses[:, None, None, :3, 3])
        at, inside = camera.project(optical)
        return np.rint(np.where(inside[..., None], at, 0)).astype(np.int64), optical[..., 2], inside

    def close(self) -> None:
        """Frees the building's textures and buffers."""
        self._canvas.close()


def outside_camera(rng: np.random.Generator, plan: RoomPlan, path: Matrix) -> Matrix:
    """T_world_camera (4, 4) of a camera high in a corner of the room, looking at where the wearer goes.

    Args:
        path: (F, 3) positions of the wearer; the room they begin in is the camera's.
    """
    half = (plan.size[0] / 2, plan.size[1] / 2)
    floors = [room.floor for room in plan.rooms] or [(-half[0], -half[1], half[0], half[1])]
    inside = [b for b in floors if b[0] <= path[0, 0] <= b[2] and b[1] <= path[0, 1] <= b[3]] or floors
    x0, y0, x1, y1 = inside[0]
    height = min(plan.height - 0.15, rng.uniform(2.0, 2.5))
    shifts = rng.uniform(0.15, 0.6, (4, 2))
    corners = np.array([(x, y, height) for x in (x0, x1) for y in (y0, y1)])
    corners[:, :2] += shifts * np.sign(np.array([(x0 + x1) / 2, (y0 + y1) / 2]) - corners[:, :2])
    middle = np.array([*path.mean(axis=0)[:2], rng.uniform(0.8, 1.1)])
    # The line of sight to the head should be free: take the corner with the widest tightest place along it.
    head = np.array([*middle[:2], float(path[:, 2].mean())])
    lines = corners[:, None] + np.linspace(0, 0.85, 24)[:, None] * (head - corners)[:, None]
    gap = np.minimum(plan.solids.distance(lines).min(axis=1), 0.3)
    far = np.linalg.norm(corners - middle, axis=1)
    return looking_at(corners[int(np.argmax(10 * gap + 0.1 * far))], middle)
