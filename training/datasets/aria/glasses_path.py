"""The path of the glasses, from a trajectory file of Aria's services or from the IMU alone.

The `map` frame is the trajectory's world turned so that gravity points along −z; its origin is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.rotations import rotation_z, shortest_arc

if TYPE_CHECKING:  # paths are read without projectaria-tools
    from training.datasets.aria.vrs import ImuSamples

Array = NDArray[np.float64]
Stamps = NDArray[np.int64]
UP = np.array([0.0, 0.0, 1.0])

EDGE_NS = 50_000_000  # a path is held this far beyond its first and last sample
GAP_NS = 200_000_000  # samples farther apart enclose a hole, across which nothing is interpolated
TILT_WINDOW_NS = 10_000_000_000

_POSITION = ("tx_world_device", "ty_world_device", "tz_world_device")
_QUATERNION = ("qx_world_device", "qy_world_device", "qz_world_device", "qw_world_device")
_GRAVITY = ("gravity_x_world", "gravity_y_world", "gravity_z_world")
_TIME = "tracking_timestamp_us"


@dataclass(frozen=True)
class DevicePath:
    """Poses of the device frame in `map`.

    Attributes:
        stamps_ns: (N,) int64, device time, strictly growing.
        positions: (N, 3) m.
        rotations: (N, 3, 3) R_map_device.
        R_map_world: (3, 3) from the trajectory file's world to `map`.
    """

    stamps_ns: Stamps
    positions: Array
    rotations: Array
    R_map_world: Array

    def at(self, stamps_ns: Stamps) -> tuple[Array, Array]:
        """Positions (T, 3) linearly and rotations (T, 3, 3) by slerp at these times.

        Raises:
            RecordingError: the path does not cover them.
        """
        inside = covered(self.stamps_ns, stamps_ns, "the head trajectory")
        positions = interpolate(self.stamps_ns, self.positions, inside)
        if len(self.stamps_ns) == 1:
            return positions, np.repeat(self.rotations, len(inside), axis=0)
        times = (self.stamps_ns - self.stamps_ns[0]) / 1e9  # floats hold nanoseconds only when they start near zero
        slerp = Slerp(times, Rotation.from_matrix(self.rotations))
        return positions, slerp((inside - self.stamps_ns[0]) / 1e9).as_matrix()


def covered(stamps_ns: Stamps, wanted_ns: Stamps, what: str) -> Stamps:
    """The wanted times, moved by at most `EDGE_NS` into the range of the samples.

    Raises:
        RecordingError: some are farther outside, or in a hole; the message names ``what``.
    """
    inside = np.clip(wanted_ns, stamps_ns[0], stamps_ns[-1])
    after = np.clip(np.searchsorted(stamps_ns, inside), 1, max(1, len(stamps_ns) - 1))
    gaps = stamps_ns[np.minimum(after, len(stamps_ns) - 1)] - stamps_ns[after - 1]
    missed = (np.abs(inside - wanted_ns) > EDGE_NS) | ((gaps > GAP_NS) & ~np.isin(inside, stamps_ns))
    if missed.any():
        first = wanted_ns[int(np.argmax(missed))] / 1e9
        raise RecordingError(
            f"{what} does not cover {missed.sum()} of {len(wanted_ns)} images, the first at {first:.3f} s; it has "
            f"{len(stamps_ns)} samples from {stamps_ns[0] / 1e9:.3f} to {stamps_ns[-1] / 1e9:.3f} s. "
            "Give the file that belongs to this recording"
        )
    return inside


def interpolate(stamps_ns: Stamps, values: Array, wanted_ns: Stamps) -> Array:
    """Values (N, …) at stamps (N,) linearly interpolated at times (T,) inside their range: (T, …)."""
    if len(stamps_ns) == 1:
        return np.repeat(values, len(wanted_ns), axis=0)
    after = np.clip(np.searchsorted(stamps_ns, wanted_ns), 1, len(stamps_ns) - 1)
    weight = (wanted_ns - stamps_ns[after - 1]) / (stamps_ns[after] - stamps_ns[after - 1])
    weight = weight.reshape(-1, *[1] * (values.ndim - 1))
    return values[after - 1] * (1.0 - weight) + values[after] * weight


def read_trajectory(path: Path | str) -> DevicePath:
    """Reads ``aria_trajectory.csv`` (Aria Digital Twin) or ``closed_loop_trajectory.csv`` (MPS).

    Both have the same column names; their gravity columns give the direction down (−z where there are none).

    Raises:
        RecordingError: missing, lacks columns, or is not a path: text, NaN, quaternions not of unit length, times that
            do not increase.
    """
    path = Path(path)
    try:
        names = path.open(encoding="utf-8").readline().strip().split(",")
        wanted = [_TIME, *_POSITION, *_QUATERNION]
        if absent := [name for name in wanted if name not in names]:
            raise RecordingError(f"trajectory {path} lacks the columns {', '.join(absent)}")
        wanted += _GRAVITY if set(_GRAVITY) <= set(names) else ()
        columns = [names.index(name) for name in wanted]
        table = np.loadtxt(path, delimiter=",", skiprows=1, usecols=columns, ndmin=2)
    except (OSError, ValueError) as error:
        if isinstance(error, RecordingError):
            raise
        raise RecordingError(f"trajectory {path} is unreadable or truncated: {error}") from error
    if len(table) == 0:
        raise RecordingError(f"trajectory {path} has no poses")
    stamps = _checked(path, table)
    gravity = table[:, 8:11].mean(axis=0) if table.shape[1] > 8 else -UP
    R_map_world = upright(-gravity)
    rotations = R_map_world @ Rotation.from_quat(table[:, 4:8]).as_matrix()
    return DevicePath(stamps, table[:, 1:4] @ R_map_world.T, rotations, R_map_world)


def _checked(path: Path, table: Array) -> Stamps:
    """Times (N,) ns of a table that is finite, in order and has unit quaternions."""
    bad = ~np.isfinite(table).all(axis=1)
    if bad.any():
        raise RecordingError(f"trajectory {path}: row {int(np.argmax(bad)) + 2} holds NaN or infinity")
    lengths = np.linalg.norm(table[:, 4:8], axis=1)
    if (off := np.abs(lengths - 1.0) > 1e-2).any():
        row = int(np.argmax(off))
        raise RecordingError(f"trajectory {path}: the quaternion in row {row + 2} has length {lengths[row]:.3f}, not 1")
    stamps = (table[:, 0] * 1000.0).round().astype(np.int64)
    if (np.diff(stamps) <= 0).any():
        raise RecordingError(f"trajectory {path}: {_TIME} does not increase from row to row")
    return stamps


def upright(up: Array) -> Array:
    """The smallest rotations (..., 3, 3) that take ``up`` (..., 3) to +z.

    Raises:
        RecordingError: a direction is zero or not finite.
    """
    length = np.linalg.norm(up, axis=-1, keepdims=True)
    if not np.isfinite(up).all() or (length < 1e-6).any():
        raise RecordingError("gravity is zero or not finite: the recording's gravity or IMU data are damaged")
    return shortest_arc(up / length, UP)


def attitude_from_imu(imu: ImuSamples, R_device_head: Array, stamps_ns: Stamps, height_m: float) -> DevicePath:
    """Rotations from the IMU, position held: gyroscope integrated, kept upright by the acceleration.

    Over `TILT_WINDOW_NS` the wearer's accelerations average out and gravity remains. The heading is 0 at the first
    image and drifts with the remaining bias of the gyroscope; the device stays at (0, 0, ``height_m``).

    Args:
        stamps_ns: (T,) the images' times.
    """
    seconds = np.diff(imu.stamps_ns, prepend=imu.stamps_ns[:1]) / 1e9
    steps = Rotation.from_rotvec(imu.angular_velocity * seconds[:, None])
    turned = [steps[0]]
    for step in steps[1:]:
        turned.append(turned[-1] * step)
    R_first_device = Rotation.concatenate(turned).as_matrix()
    up = _windowed_mean(imu.stamps_ns, (R_first_device @ imu.acceleration[:, :, None])[..., 0])
    level = upright(up) @ R_first_device
    path = DevicePath(imu.stamps_ns, np.tile([0.0, 0.0, height_m], (len(level), 1)), level, np.eye(3))
    forward = path.at(stamps_ns[:1])[1][0] @ R_device_head[:, 0]
    turn = rotation_z(-np.arctan2(forward[1], forward[0]))
    return DevicePath(path.stamps_ns, path.positions, turn @ level, np.eye(3))


def still_path(stamps_ns: Stamps, R_map_device: Array, height_m: float) -> DevicePath:
    """A device that stays at (0, 0, ``height_m``) in a constant rotation, at these times (T,)."""
    count = len(stamps_ns)
    return DevicePath(
        stamps_ns, np.tile([0.0, 0.0, height_m], (count, 1)), np.tile(R_map_device, (count, 1, 1)), np.eye(3)
    )


def _windowed_mean(stamps_ns: Stamps, values: Array) -> Array:
    """Mean (N, 3) of the values within half a `TILT_WINDOW_NS` of each sample."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    first = np.searchsorted(stamps_ns, stamps_ns - TILT_WINDOW_NS // 2, side="left")
    last = np.searchsorted(stamps_ns, stamps_ns + TILT_WINDOW_NS // 2, side="right")
    return (sums[last] - sums[first]) / (last - first)[:, None]
