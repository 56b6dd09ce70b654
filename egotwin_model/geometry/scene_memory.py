"""The scene memory: keeps views with depth and renders from them what is known along a camera path."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egotwin_model.errors import CalibrationError, ImageError, PoseError
from egotwin_model.geometry.camera import Pinhole, check_poses
from egotwin_model.geometry.prior import Prior
from egotwin_model.geometry.scene_memory_kernel import render
from egotwin_model.geometry.scene_memory_keyframe import PLACE_BITS, Keyframe
from egotwin_model.geometry.scene_memory_revision import revised
from egotwin_model.geometry.scene_memory_selection import choose, points_in_view

_LEAST_OWN = 1 / 256  # share of its pixels that a keyframe must show alone to be kept


class SceneMemory:
    """Keyframes (image, depth, pose) of a mostly static world, rendered from any camera path.

    The newest observation of a surface wins. A point that is seen through is dropped, the rest of what moved fades, and
    what is hidden stays. All poses are in one fixed frame. `copy` shares the keyframes, so it costs next to nothing.
    One thread may add while others render; the compiled part runs without Python's lock.

    Args:
        max_bytes: upper bound of `nbytes`; the keyframe with the fewest surfaces of its own is dropped first.
        max_age_s: keyframes older than the newest by more are dropped.
        range_m: depth beyond this is treated as unknown, and keyframes taken further than this from the newest are
            dropped.
        depth_tolerance: depth error, as a share of depth, within which two views show the same surface. Raise it for
            estimated depth.

    Raises:
        ValueError: a bound that is not positive, or a tolerance outside 0 … 0.5.
    """

    def __init__(
        self,
        max_bytes: int = 100_000_000,
        max_age_s: float = 60.0,
        range_m: float = 20.0,
        depth_tolerance: float = 0.05,
    ) -> None:
        for name, value in (("max_bytes", max_bytes), ("max_age_s", max_age_s), ("range_m", range_m)):
            if not value > 0:
                raise ValueError(f"{name} = {value}: must be above zero")
        if not 0.0 < depth_tolerance < 0.5:
            raise ValueError(f"depth_tolerance = {depth_tolerance}: must be a share between 0 and 0.5")
        self.max_bytes, self.max_age_s, self.range_m = max_bytes, max_age_s, range_m
        self.depth_tolerance = depth_tolerance
        self._keyframes: tuple[Keyframe, ...] = ()

    def __len__(self) -> int:
        """Keyframes held."""
        return len(self._keyframes)

    @property
    def nbytes(self) -> int:
        """Bytes that the keyframes take."""
        return sum(keyframe.nbytes for keyframe in self._keyframes)

    def copy(self) -> SceneMemory:
        """A memory of the same content that changes by itself."""
        other = SceneMemory(self.max_bytes, self.max_age_s, self.range_m, self.depth_tolerance)
        other._keyframes = self._keyframes
        return other

    def clear(self) -> None:
        """Forget everything."""
        self._keyframes = ()

    def add(
        self,
        image: NDArray[np.uint8],
        depth: NDArray[np.floating],
        camera: Pinhole,
        T_world_camera: ArrayLike,
        stamp_s: float | None = None,
        ignore: NDArray[np.bool_] | None = None,
    ) -> None:
        """Remember a view.

        Args:
            image: uint8 (H, W, 3) RGB.
            depth: floating (H, W), metres along the optical axis; 0 or NaN where unknown. Unknown depth is filled from
                the memory where it has some. Pixels left without depth serve views from the same place.
            camera: of both.
            T_world_camera: (4, 4) of the optical frame.
            stamp_s: seconds; by default that of the previous view.
            ignore: bool (H, W), True where the image shows what is no part of the scene, such as the wearer's hands.
                Its edge pixels mix with the scene: a mask that is one pixel too wide leaves no specks.

        Raises:
            ImageError: image, depth or mask of a wrong shape or dtype; negative or infinite depth; a view larger than
                `max_bytes`.
            CalibrationError: a camera of another size than the image.
            PoseError: a pose that is not rigid or not finite, or a stamp before that of the previous view.
        """
        camera = _check_camera(camera)
        pose = check_poses(np.asarray(T_world_camera)[None])[0]
        known = _check_view(image, depth, ignore, camera)
        stamp = self._check_stamp(stamp_s)
        depth = np.where(known & (depth <= self.range_m), depth, 0.0).astype(np.float32)
        unknown = depth == 0.0
        if len(self) and unknown.any():
            remembered = self.render(camera, pose[None])
            assert remembered.depth is not None
            np.copyto(depth, remembered.depth[0], where=unknown & (remembered.visibility[0] > 0.0))
        new = Keyframe.make(image, depth, ignore, camera, pose, stamp)
        if new.nbytes > self.max_bytes:
            raise ImageError(
                f"a view of {camera.width}x{camera.height} takes {new.nbytes} bytes, more than the whole memory "
                f"(max_bytes = {self.max_bytes}): make images smaller or the memory larger"
            )
        in_view = points_in_view(self._keyframes, camera, pose[None])[0] > 0
        kept = [
            revised(old, new, self.depth_tolerance) if seen else old
            for old, seen in zip(self._keyframes, in_view, strict=True)
        ]
        self._keyframes = self._bounded(kept, new)

    def _check_stamp(self, stamp_s: float | None) -> float:
        newest = self._keyframes[-1].stamp_s if self._keyframes else None
        stamp = (newest or 0.0) if stamp_s is None else float(stamp_s)
        if not np.isfinite(stamp) or (newest is not None and stamp < newest):
            raise PoseError(
                f"view at {stamp} s after one at {newest} s: add views in order, or clear() the memory first"
            )
        return stamp

    def _bounded(self, kept: list[Keyframe], new: Keyframe) -> tuple[Keyframe, ...]:
        """The keyframes worth keeping: with surfaces of their own, not too old nor too far, in `max_bytes` at most."""
        kept = [
            old for old in kept
            if len(old.leaders) > _LEAST_OWN * old.leading.size and new.stamp_s - old.stamp_s <= self.max_age_s
            and np.linalg.norm(old.centre - new.centre) <= self.range_m
        ]  # fmt: skip
        total = new.nbytes + sum(old.nbytes for old in kept)
        while total > self.max_bytes:
            least = min(kept, key=lambda old: len(old.leaders))
            kept.remove(least)
            total -= least.nbytes
        return (*kept, new)

    def render(self, camera: Pinhole, T_world_camera: ArrayLike) -> Prior:
        """What the memory knows of coming views.

        Args:
            camera: of the wanted views. T_world_camera: (F, 4, 4) of its optical frame.

        Returns:
            `Prior`, with depth. Visibility is 0 where nothing is known and the frame is grey there; it is below 1 where
            an observation is doubtful. A pure rotation is exact, with and without depth.

        Raises:
            CalibrationError: not a `Pinhole`. PoseError: poses that are not rigid or not finite.
        """
        camera = _check_camera(camera)
        poses = check_poses(T_world_camera)
        keyframes = self._keyframes  # of this moment: another thread may be adding
        chosen = choose(keyframes, camera, poses)
        used = np.flatnonzero(chosen.any(axis=0))
        return render([keyframes[k] for k in used], camera, poses, chosen[:, used])

    def points(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """The scene as a cloud: xyz float32 (N, 3) metres in the fixed frame, rgb uint8 (N, 3)."""
        xyz, rgb = [np.zeros((0, 3), np.float32)], [np.zeros((0, 3), np.uint8)]
        for keyframe in self._keyframes:
            pixels = np.flatnonzero(keyframe.leading & (keyframe.surface[:, 0] > 0.0))
            points = keyframe.points(pixels)
            xyz.append((keyframe.centre[:, None] + points[:3] / points[3]).T.astype(np.float32))
            rgb.append(keyframe.colour.reshape(-1, 4)[pixels, :3])
        return np.concatenate(xyz), np.concatenate(rgb)


def _check_camera(camera: Pinhole) -> Pinhole:
    if not isinstance(camera, Pinhole):
        raise CalibrationError(f"camera is {type(camera).__name__}: wanted a Pinhole; rectify images of other cameras")
    return camera


def _check_view(
    image: NDArray[np.uint8], depth: NDArray[np.floating], ignore: NDArray[np.bool_] | None, camera: Pinhole
) -> NDArray[np.bool_]:
    """Where depth is known, (H, W)."""
    size = camera.height, camera.width
    if max(size) > 1 << PLACE_BITS:
        raise CalibrationError(f"camera of {size[1]}x{size[0]}: a memory takes at most {1 << PLACE_BITS} pixels a side")
    for name, array, wanted, kind in (
        ("image", image, "uint8 (height, width, 3)", np.uint8),
        ("depth", depth, "floating (height, width) in metres", np.floating),
        ("ignore", ignore, "bool (height, width)", np.bool_),
    ):
        if array is None and name == "ignore":
            continue
        if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, kind):
            came = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise ImageError(f"{name} is {came}: wanted {wanted}")
        if name == "image" and (array.ndim != 3 or array.shape[2] != 3):
            raise ImageError(f"image has shape {array.shape}: wanted {wanted}")
        if name == "image" and array.shape[:2] != size:
            raise CalibrationError(
                f"image is {array.shape[1]}x{array.shape[0]}, its camera {size[1]}x{size[0]}: "
                "use Pinhole.scaled for another resolution of the same view"
            )
        if name != "image" and array.shape != size:
            raise ImageError(f"{name} has shape {array.shape}, the image {size}: register it to the image")
    if (depth < 0.0).any() or np.isinf(depth).any():
        raise ImageError("depth holds negative or infinite values: mark unknown places by 0 or NaN")
    return depth > 0.0
