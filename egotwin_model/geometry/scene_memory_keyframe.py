"""One remembered view: an image whose every pixel is a small plane in the world (a surfel)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.camera import Pinhole

Array = NDArray[np.float32]

PLACE_BITS = 12
"""A pixel's place is v << PLACE_BITS | u, so an image may be 4096 pixels wide and high."""
AXIS = 1 << (2 * PLACE_BITS)

_STEEPEST = 0.3  # share of its inverse depth by which one surface may change from pixel to pixel
_BEND = 0.02  # share of its inverse depth by which a pixel may lie off the plane of its neighbours
_EDGE = 1.1  # ratio of inverse depths of neighbours from which one may hide what is behind the other
_SAME_PLANE = 0.05  # share of its inverse depth by which a neighbour may lie off a pixel's plane
_BLOCKS = 16  # along each side of the image: what is in view is found by blocks first


@lru_cache(maxsize=16)
def _rays(camera: Pinhole) -> Array:
    """Rays (3, H·W) of the pixel centres in the optical frame, with z = 1; read-only."""
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)])
    rays = np.ascontiguousarray(rays.reshape(3, -1), dtype=np.float32)
    rays.setflags(write=False)
    return rays


@dataclass(frozen=True, eq=False)
class Keyframe:
    """An image with depth at a camera pose. Never changed after it is made, so copies of a memory share it.

    Attributes:
        colour: uint8 (H, W, 4), RGB and weight: how far a pixel is trusted, 0 (ignored) to 255.
        surface: (H·W, 3), inverse depth 1/metres along the optical axis and its change from pixel to pixel along both
            axes, which together make a plane; zeros where depth is unknown.
        leading: bool (H·W,), whether no newer keyframe shows the pixel's surface.
        leaders: int32, the places of those pixels.
        edges: int32, places of pixels beyond whose right side another surface is nearer or farther, and, with `AXIS`
            added, beyond whose lower side.
        rotation, centre: R_world_camera (3, 3) and its place (3,) in metres.
    """

    colour: NDArray[np.uint8]
    surface: Array
    leading: NDArray[np.bool_]
    leaders: NDArray[np.int32]
    edges: NDArray[np.int32]
    camera: Pinhole
    rotation: NDArray[np.float64]
    centre: NDArray[np.float64]
    stamp_s: float

    @classmethod
    def make(
        cls,
        image: NDArray[np.uint8],
        depth: Array,
        ignore: NDArray[np.bool_] | None,
        camera: Pinhole,
        pose: NDArray[np.float64],
        stamp_s: float,
    ) -> Keyframe:
        """From a checked image, depth (H, W) with 0 for unknown, and T_world_camera."""
        colour = np.empty((*depth.shape, 4), np.uint8)
        colour[..., :3], colour[..., 3] = image, 255
        if ignore is not None:
            colour[..., 3][ignore] = 0
        inverse = np.zeros(depth.shape, np.float32)
        np.divide(1.0, depth, out=inverse, where=depth > 0.0)
        surface = np.stack([inverse, _slope(inverse, 1), _slope(inverse, 0)], axis=-1)
        edges = np.concatenate([_edges(surface, 1), _edges(surface, 0) + AXIS])
        leading = colour[..., 3].reshape(-1) > 0
        leaders = _places(leading, camera.width)
        return cls(
            colour,
            surface.reshape(-1, 3),
            leading,
            leaders,
            edges,
            camera,
            pose[:3, :3].copy(),
            pose[:3, 3].copy(),
            stamp_s,
        )

    @property
    def weight(self) -> NDArray[np.uint8]:
        """uint8 (H·W,)."""
        return self.colour[..., 3].reshape(-1)

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in (self.colour, self.surface, self.leading, self.leaders, self.edges))

    def reweighted(self, weight: NDArray[np.uint8], leading: NDArray[np.bool_]) -> Keyframe:
        """The same view with other weights (H·W,) and leading pixels (H·W,)."""
        colour, leaders = self.colour, _places(leading, self.camera.width)
        if not np.array_equal(weight, self.weight):
            colour = colour.copy()
            colour[..., 3] = weight.reshape(colour.shape[:2])
        return replace(self, colour=colour, leading=leading, leaders=leaders)

    def points(self, pixels: NDArray[np.integer]) -> Array:
        """Homogeneous points (4, n): (X − centre) / depth and 1 / depth; directions and 0 where depth is unknown."""
        points = np.empty((4, len(pixels)), np.float32)
        np.matmul(self.rotation.astype(np.float32), _rays(self.camera).take(pixels, axis=1), out=points[:3])
        points[3] = self.surface[pixels, 0]
        return points

    @property
    def block(self) -> int:
        """Side of the `probes`' blocks, pixels."""
        return max(2, -(-max(self.camera.height, self.camera.width) // _BLOCKS))

    @cached_property
    def probes(self) -> tuple[Array, NDArray[np.intp]]:
        """`points` (4, n), one leading pixel of every block of the image that has any; and how many the blocks have."""
        height, width = self.camera.height, self.camera.width
        side = self.block
        rows, columns = -(-height // side), -(-width // side)
        padded = np.zeros((rows * side, columns * side), bool)
        padded[:height, :width] = self.leading.reshape(height, width)
        blocks = padded.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side * side)
        counts = blocks.sum(axis=1)
        chosen = np.flatnonzero(counts)
        down, across = np.divmod(blocks[chosen].argmax(axis=1), side)
        pixels = (chosen // columns * side + down) * width + chosen % columns * side + across
        return self.points(pixels), counts[chosen]


def _places(chosen: NDArray[np.bool_], width: int) -> NDArray[np.int32]:
    """Places of the chosen pixels of an image, given row by row."""
    down, across = np.divmod(np.flatnonzero(chosen), width)
    return (down << PLACE_BITS | across).astype(np.int32)


def _edges(surface: Array, axis: int) -> NDArray[np.int32]:
    """Places of the pixels whose next neighbour along an axis is on another surface; `surface` as (H, W, 3)."""
    one, other = (np.delete(surface, end, axis) for end in (-1, 0))
    slope = 2 - axis
    off = np.abs(one[..., 0] + one[..., slope] - other[..., 0]) >= _SAME_PLANE * other[..., 0]
    off &= np.abs(other[..., 0] - other[..., slope] - one[..., 0]) >= _SAME_PLANE * one[..., 0]
    near, far = np.maximum(one[..., 0], other[..., 0]), np.minimum(one[..., 0], other[..., 0])
    off &= (far > 0.0) & (near >= _EDGE * far)
    return _places(off.ravel(), off.shape[1])


def _slope(inverse: Array, axis: int) -> Array:
    """Change per pixel along an axis where three pixels in a row are on a plane: at best those around, else beside."""
    inverse = inverse.swapaxes(axis, -1)
    step = np.full((inverse.shape[0], inverse.shape[1] + 3), np.nan, np.float32)  # step k leads to pixel k - 1
    known = inverse > 0.0
    np.subtract(inverse[:, 1:], inverse[:, :-1], out=step[:, 2:-2], where=known[:, 1:] & known[:, :-1])
    bend = np.abs(np.diff(step, axis=1))
    bend[np.isnan(bend)] = np.inf
    before, around, after = bend[:, :-2], bend[:, 1:-1], bend[:, 2:]
    slope = np.where(before < after, step[:, 1:-2], step[:, 2:-1])
    slope = np.where(around <= np.minimum(before, after), 0.5 * (step[:, 1:-2] + step[:, 2:-1]), slope)
    flat = np.minimum(np.minimum(before, after), around) <= _BEND * inverse
    flat &= np.abs(slope) <= _STEEPEST * inverse
    return np.where(flat, slope, np.float32(0.0)).swapaxes(axis, -1)
