"""The path of the glasses in a sequence with its tracking quality: read, and written for synthetic sequences."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from egotwin_model.errors import RecordingError
from egotwin_model.io.files import write_text
from training.datasets.aria.glasses_path import DevicePath, read_trajectory
from training.datasets.sequences.reasons import Reason, Unfit
from training.datasets.sequences.sequence_files import NOT_CONVERTED

Array = NDArray[np.float64]
Stamps = NDArray[np.int64]

WORLD = "00000000-0000-0000-0000-000000000000"
_COLUMNS = (
    "graph_uid,tracking_timestamp_us,utc_timestamp_ns,tx_world_device,ty_world_device,tz_world_device,"
    "qx_world_device,qy_world_device,qz_world_device,qw_world_device,"
    "gravity_x_world,gravity_y_world,gravity_z_world,quality_score"
)


@dataclass(frozen=True)
class TrackedPath:
    """The path, with each sample's quality 0 … 1 and the number of its map; each map is a world of its own."""

    path: DevicePath
    quality: Array
    maps: NDArray[np.intp]

    def tracked(self, start_ns: int, end_ns: int, least: float, longest_gap_ns: int) -> bool:
        """Whether the samples cover an interval in one map, without gaps, all of at least this quality."""
        stamps = self.path.stamps_ns
        first = int(np.searchsorted(stamps, start_ns, side="right")) - 1
        last = int(np.searchsorted(stamps, end_ns, side="left"))
        if first < 0 or last >= len(stamps):
            return False
        inside = slice(first, last + 1)
        return bool(
            (np.diff(stamps[inside]) <= longest_gap_ns).all()
            and (self.maps[inside] == self.maps[first]).all()
            and (self.quality[inside] >= least).all()
        )


def read_path(file: Path) -> TrackedPath:
    """Reads ``closed_loop_trajectory.csv``.

    Raises:
        Unfit: missing, cut short, or not a path: times that do not grow, NaN, quaternions not of unit length.
    """
    if not file.is_file():
        raise Unfit(Reason.MISSING_FILE, f"{file} is missing. {NOT_CONVERTED}")
    try:
        names = file.open(encoding="utf-8").readline().strip().split(",")
        stamps = np.loadtxt(file, delimiter=",", skiprows=1, usecols=names.index("tracking_timestamp_us"), ndmin=1)
        scored, mapped = "quality_score" in names, "graph_uid" in names
        quality = np.ones(len(stamps))
        if scored:
            quality = np.loadtxt(file, delimiter=",", skiprows=1, usecols=names.index("quality_score"), ndmin=1)
        maps = np.zeros(len(stamps), np.intp)
        if mapped:
            uids = np.loadtxt(file, str, delimiter=",", skiprows=1, usecols=names.index("graph_uid"), ndmin=1)
            maps = np.unique(uids, return_inverse=True)[1]
        if (np.diff(stamps) <= 0).any():
            row = int(np.argmax(np.diff(stamps) <= 0)) + 3
            raise Unfit(Reason.BAD_TIMES, f"{file}: tracking_timestamp_us is unsorted or duplicate in row {row}")
        return TrackedPath(read_trajectory(file), quality, maps)
    except Unfit:
        raise
    except RecordingError as error:
        finite = "NaN" not in str(error)
        raise Unfit(Reason.DAMAGED if finite else Reason.NOT_FINITE, str(error)) from error
    except (OSError, ValueError) as error:
        raise Unfit(Reason.DAMAGED, f"{file} is unreadable or cut short: {error}") from error


def write_path(file: Path, stamps_ns: Stamps, poses: Array, quality: Array | None = None) -> None:
    """Writes a path in a world with z up.

    Args:
        stamps_ns: (T,) DEVICE time, kept to microseconds. poses: (T, 4, 4) T_world_device. quality: (T,) 0 … 1.
    """
    quality = np.ones(len(stamps_ns)) if quality is None else quality
    quaternions = Rotation.from_matrix(poses[:, :3, :3]).as_quat()
    rows = [
        f"{WORLD},{round(stamp / 1000)},-1,"
        + ",".join(f"{number:.9g}" for number in (*pose[:3, 3], *quaternion))
        + f",0,0,-9.81,{score:.4g}"
        for stamp, pose, quaternion, score in zip(stamps_ns.tolist(), poses, quaternions, quality, strict=True)
    ]
    write_text(file, "\n".join([_COLUMNS, *rows]) + "\n")
