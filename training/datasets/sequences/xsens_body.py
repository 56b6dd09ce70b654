"""The Xsens body of a sequence, ``body/xdata.npz``: read, checked, repaired and interpolated; or written."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from egotwin_model.geometry.skeleton import NUM_JOINTS, XSENS_JOINTS, XSENS_PARENTS, reference_offsets
from egotwin_model.io.files import write_atomically
from training.datasets.sequences.reasons import Reason, Unfit
from training.datasets.sequences.repair import repair_quaternions, repair_times
from training.datasets.sequences.sequence_files import NOT_CONVERTED, POSES_PER_SECOND

Array = NDArray[np.float64]
Stamps = NDArray[np.int64]

RIGID = 0.03  # m: largest movement of a joint in its parent's frame, if the skeleton is right
LONG_BONE = 0.1  # m: the directions of shorter bones are not checked
SAMPLES = 256
_KEYS = ("timestamps_us", "segment_tXYZ", "segment_qWXYZ")


@dataclass(frozen=True)
class XsensBody:
    """Poses of the 23 segments in the Xsens world, which drifts against the glasses' world.

    Attributes:
        stamps_us: (T,) int64 TIMECODE, strictly growing.
        positions: (T, 23, 3) m.
        quaternions: (T, 23, 4) unit, x y z w, of the segment frames (identity in T-pose facing +x).
        valid: (T,) False where a position is not finite.
        filled: (T, 23) True where a rotation was missing and was replaced by the last valid one.
        offsets: (23, 3) m, each joint in its parent's frame: the wearer's skeleton.
        repaired_times: number of stuttering time stamps.
    """

    stamps_us: Stamps
    positions: Array
    quaternions: Array
    valid: NDArray[np.bool_]
    filled: NDArray[np.bool_]
    offsets: Array
    repaired_times: int

    def at(self, stamps_us: Array) -> tuple[Array, Array]:
        """Positions (N, 23, 3) linearly and rotations (N, 23, 3, 3) by slerp at times (N,) within their range."""
        before, weight = bracket(self.stamps_us, stamps_us)
        return interpolate_poses(self.positions, self.quaternions, before, weight)


def bracket(stamps: Stamps, wanted: Array) -> tuple[NDArray[np.intp], Array]:
    """Index of the sample before each wanted time (N,), and the weight 0 … 1 of the one after it."""
    before = np.clip(np.searchsorted(stamps, wanted, side="right") - 1, 0, len(stamps) - 2)
    span = stamps[before + 1] - stamps[before]
    return before, np.clip((wanted - stamps[before]) / span, 0.0, 1.0)


def interpolate_poses(
    positions: Array, quaternions: Array, before: NDArray[np.intp], weight: Array
) -> tuple[Array, Array]:
    """Poses between samples `before` and the next ones: (N, …, 3) and (N, …, 3, 3), from x y z w quaternions."""
    w = weight.reshape(-1, *[1] * (positions.ndim - 1))
    place = positions[before] * (1.0 - w) + positions[before + 1] * w
    start = Rotation.from_quat(quaternions[before].reshape(-1, 4))
    turn = (start.inv() * Rotation.from_quat(quaternions[before + 1].reshape(-1, 4))).as_rotvec()
    part = np.broadcast_to(w, (*place.shape[:-1], 1)).reshape(-1, 1)
    turned = start * Rotation.from_rotvec(turn * part)
    return place, turned.as_matrix().reshape(*place.shape, 3)


def read_body(path: Path) -> XsensBody:
    """Reads ``xdata.npz``.

    Raises:
        Unfit: missing, truncated, without a needed array, of another skeleton, or beyond repair.
    """
    stamps, positions, quaternions, identity, rate = _arrays(path)
    try:
        stamps, repaired = repair_times(stamps, rate)
        quaternions, filled = repair_quaternions(quaternions)
    except Unfit as error:
        raise Unfit(error.reason, f"{path}: {error}") from error
    valid: NDArray[np.bool_] = np.asarray(np.isfinite(positions).all(axis=(1, 2)))
    if valid.sum() < 2:
        raise Unfit(Reason.NOT_FINITE, f"{path}: positions are NaN or infinite in {np.sum(~valid)} samples")
    if identity is not None:
        quaternions = _from_t_pose(quaternions, identity)
    offsets = _skeleton(path, positions, quaternions, valid & ~filled.any(axis=1))
    return XsensBody(stamps, positions, quaternions, valid, filled, offsets, repaired)


def _arrays(path: Path) -> tuple[Stamps, Array, Array, Array | None, float]:
    """Times, positions (T, 23, 3), quaternions (T, 23, 4) x y z w, those of the identity pose or None, and the rate."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if absent := [key for key in _KEYS if key not in file]:
                raise Unfit(Reason.DAMAGED, f"{path} lacks {', '.join(absent)}. {NOT_CONVERTED}")
            stamps = np.asarray(file["timestamps_us"], np.int64).reshape(-1)
            positions = np.asarray(file["segment_tXYZ"], np.float64)
            quaternions = np.asarray(file["segment_qWXYZ"], np.float64)
            identity = file.get("identity_segment_qWXYZ")
            rate = float(np.ravel(file["frameRate"])[0]) if "frameRate" in file else float(POSES_PER_SECOND)
    except FileNotFoundError:
        raise Unfit(Reason.MISSING_FILE, f"{path} is missing. {NOT_CONVERTED}") from None
    except Unfit:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise Unfit(Reason.DAMAGED, f"{path} is unreadable or cut short ({error}). {NOT_CONVERTED}") from error
    count, joints = len(stamps), NUM_JOINTS
    if count < 2:
        raise Unfit(Reason.DAMAGED, f"{path} has {count} samples: at least 2 are needed")
    for name, array, size in (("segment_tXYZ", positions, 3), ("segment_qWXYZ", quaternions, 4)):
        if array.size != count * joints * size:
            raise Unfit(
                Reason.WRONG_SKELETON,
                f"{path}: wrong skeleton: {name} has shape {array.shape}, wanted ({count}, {joints * size}), the "
                f"{joints} Xsens segments",
            )
    wxyz = quaternions.reshape(count, joints, 4)
    if identity is not None and identity.size == 4 * joints:
        identity = np.asarray(identity, np.float64).reshape(joints, 4)[:, [1, 2, 3, 0]]
    else:
        identity = None
    return stamps, positions.reshape(count, joints, 3), wxyz[..., [1, 2, 3, 0]], identity, rate


def _from_t_pose(quaternions: Array, identity: Array) -> Array:
    """Rotations relative to the file's identity pose, where it has one; no change in the published files."""
    if (np.linalg.norm(identity, axis=-1) < 0.5).any() or np.allclose(np.abs(identity[:, 3]), 1.0, atol=1e-6):
        return quaternions
    turn = Rotation.from_quat(identity).inv()
    return np.stack([(Rotation.from_quat(quaternions[:, j]) * turn[j]).as_quat() for j in range(NUM_JOINTS)], axis=1)


def _skeleton(path: Path, positions: Array, quaternions: Array, sound: NDArray[np.bool_]) -> Array:
    """The joints' offsets in their parents' frames (23, 3); `Unfit` where they are not those of this skeleton."""
    usable = np.flatnonzero(sound if sound.any() else np.isfinite(positions).all(axis=(1, 2)))
    chosen = usable[np.linspace(0, len(usable) - 1, min(SAMPLES, len(usable))).astype(int)]
    parents = np.array(XSENS_PARENTS)[1:]
    R = Rotation.from_quat(quaternions[chosen][:, parents].reshape(-1, 4)).as_matrix().reshape(-1, NUM_JOINTS - 1, 3, 3)
    bones = (positions[chosen, 1:] - positions[chosen][:, parents])[..., None, :] @ R
    bones = bones[..., 0, :]
    offsets = np.median(bones, axis=0)
    spread = np.median(np.linalg.norm(bones - offsets, axis=-1), axis=0)
    if (spread > RIGID).any():
        worst = int(np.argmax(spread))
        raise Unfit(
            Reason.WRONG_SKELETON,
            f"{path}: wrong skeleton: {XSENS_JOINTS[worst + 1]} moves {spread[worst]:.2f} m on "
            f"{XSENS_JOINTS[parents[worst]]}; the segments are not the 23 of Xsens in their order",
        )
    usual = reference_offsets()[1:]
    lengths = np.linalg.norm(offsets, axis=1) * np.linalg.norm(usual, axis=1)
    along = (offsets * usual).sum(axis=1) / np.maximum(lengths, 1e-9)
    odd = (np.linalg.norm(usual, axis=1) > LONG_BONE) & (along < 0.3)
    if odd.any():
        names = ", ".join(XSENS_JOINTS[i + 1] for i in np.flatnonzero(odd))
        raise Unfit(
            Reason.WRONG_SKELETON,
            f"{path}: wrong skeleton: {names} do not point where they do in Xsens's T-pose; wanted segment frames "
            "with x forward, y left, z up",
        )
    return np.concatenate([np.zeros((1, 3)), offsets])


def write_body(path: Path, stamps_us: Stamps, positions: Array, rotations: Array, rate_hz: float = 240.0) -> None:
    """Writes ``xdata.npz`` as Nymeria has it (without Xsens's sensors).

    Args:
        stamps_us: (T,) TIMECODE microseconds.
        positions: (T, 23, 3) m. rotations: (T, 23, 3, 3) global.
    """
    count = len(stamps_us)
    wxyz = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_quat(scalar_first=True)
    upright = np.tile([1.0, 0.0, 0.0, 0.0], NUM_JOINTS)
    arrays = {
        "timestamps_us": stamps_us.astype(np.int64),
        "frameCount": np.int64(count),
        "frameRate": np.float64(rate_hz),
        "segment_tXYZ": positions.reshape(count, -1).astype(np.float64),
        "segment_qWXYZ": wxyz.reshape(count, -1),
        "identity_segment_qWXYZ": upright,
        "tpose_segment_qWXYZ": upright,
    }

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    write_atomically(path, write)
