"""A folder of motion capture as a source of motion: its walks become gaits, its longer recordings are played as they
are, and each is told by what its rules say is done."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks
from scipy.spatial.transform import Rotation

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.rotations import rotation_z
from egotwin_model.geometry.skeleton import HEAD, local_rotations
from egotwin_model.io.files import sha256
from training.actions.wording import Clause, goal
from training.datasets.mocap.formats import read
from training.datasets.mocap.retarget import JOINT, Captured, retarget
from training.datasets.mocap.segments import Cut, cut
from training.simulator.people.gaits import WalkCycle, cycle_of
from training.simulator.people.observing import focus_text, head_yaw, posture_text
from training.simulator.rooms.plan import NoRoomError, RoomPlan
from training.simulator.synthetic_motion import RATE_HZ, SynthMotion

Array = NDArray[np.float64]

_PLACES = 128
_STRIDE_S, _STRIDE_M = (0.85, 1.6), (0.8, 2.0)  # of a walk that makes a gait
_LEAST_TOLD_S = 0.6


@dataclass(frozen=True, eq=False)
class Library:
    """Captured motions with their cuts, the gaits in them, and what could not be used: {file name: reason}."""

    motions: tuple[Captured, ...]
    cuts: tuple[tuple[Cut, ...], ...]
    gaits: tuple[WalkCycle, ...]
    skipped: dict[str, str]

    @classmethod
    def load(cls, folder: Path | str) -> Library:
        """Read every .amc and .bvh file under a folder; what cannot be used is skipped, by name and reason.

        Raises:
            RecordingError: the folder is missing, or nothing in it can be used.
        """
        folder = Path(folder)
        paths = _files(folder, (".amc", ".bvh"))
        if not paths:
            raise RecordingError(f"{folder} holds no .amc or .bvh files; give a folder of motion capture")
        motions, skipped = [], {}
        for path in paths:
            try:
                motions.append(retarget(read(path)))
            except RecordingError as error:
                skipped[str(path.relative_to(folder))] = str(error)
        if not motions:
            raise RecordingError(f"none of the {len(paths)} recordings in {folder} can be used: {skipped}")
        cuts = tuple(tuple(cut(motion)) for motion in motions)
        gaits = [gait for motion, parts in zip(motions, cuts, strict=True) for gait in gaits_of(motion, parts)]
        return cls(tuple(motions), cuts, tuple(gaits), skipped)

    def play(
        self, rng: np.random.Generator, room: RoomPlan, *, duration_s: float = 5.0, split: str = "train"
    ) -> SynthMotion:
        """A part of a recording, at a place of the room where it fits.

        Args:
            rng: source of every choice. room: where. duration_s: how long. split: whose wordings.

        Raises:
            NoRoomError: no recording is that long, or none fits.
        """
        long_enough = [k for k, m in enumerate(self.motions) if (len(m.pelvis) - 1) / m.rate_hz >= duration_s]
        for index in rng.permutation(long_enough)[:4].astype(int):
            motion = self.motions[index]
            last = (len(motion.pelvis) - 1) / motion.rate_hz - duration_s
            begin = float(rng.uniform(0, last)) if last > 0 else 0.0
            frames = np.rint((begin + np.arange(round(duration_s * RATE_HZ) + 1) / RATE_HZ) * motion.rate_hz)
            placed = _place(rng, room, motion, np.minimum(frames, len(motion.pelvis) - 1).astype(int))
            if placed is not None:
                return _told(rng, motion, self.cuts[index], *placed, begin, duration_s, split)
        raise NoRoomError(f"room {room.seed}: no recording of {duration_s} s fits into its free area")


def checksum(folder: Path | str) -> str:
    """Hex SHA-256 of every motion and skeleton under a folder, names and contents: equal ones make equal clips."""
    digest = hashlib.sha256()
    for path in _files(Path(folder), (".amc", ".asf", ".bvh")):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{sha256(path)}\n".encode())
    return digest.hexdigest()


def _files(folder: Path, kinds: tuple[str, ...]) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in kinds and path.is_file())


def gaits_of(motion: Captured, cuts: Sequence[Cut]) -> list[WalkCycle]:
    """A walk cycle of each straight walk that shows a whole stride."""
    positions, gaits = motion.positions(), []
    for part in cuts:
        if part.action != "walk_forward":
            continue
        shown = slice(round(part.start_s * motion.rate_hz), round(part.end_s * motion.rate_hz))
        course = positions[shown][-1, 0] - positions[shown][0, 0]
        back = rotation_z(-np.arctan2(course[1], course[0]))
        walk = positions[shown] @ back.T
        strikes, _ = find_peaks(walk[:, JOINT["R_Foot"], 0] - walk[:, 0, 0], distance=0.7 * motion.rate_hz)
        if len(strikes) < 2:
            continue
        stride = slice(strikes[0], strikes[1] + 1)
        rotations = back @ motion.rotations[shown][stride]
        local = Rotation.from_matrix(local_rotations(rotations).reshape(-1, 3, 3)).as_rotvec().reshape(-1, 23, 3)
        seconds = float((strikes[1] - strikes[0]) / motion.rate_hz)
        gait = cycle_of(walk[stride, 0], local, seconds)
        human = _STRIDE_S[0] < seconds < _STRIDE_S[1] and _STRIDE_M[0] < gait.stride < _STRIDE_M[1]
        if human and 0.3 < gait.swing_fraction < 0.48:
            gaits.append(gait)
    return gaits


def _place(
    rng: np.random.Generator, room: RoomPlan, motion: Captured, frames: NDArray[np.intp]
) -> tuple[Array, Array, NDArray[np.bool_]] | None:
    """Positions, rotations and contacts of some frames, moved to where the way is free; None if it is nowhere."""
    way = motion.pelvis[frames, :2] - motion.pelvis[frames[0], :2]
    places, angles = room.sample(rng, _PLACES), rng.uniform(-np.pi, np.pi, _PLACES)
    c, s = np.cos(angles)[:, None], np.sin(angles)[:, None]
    turned = np.stack([c * way[:, 0] - s * way[:, 1], s * way[:, 0] + c * way[:, 1]], axis=-1)
    fits = room.contains(places[:, None] + turned[:, ::4]).all(axis=1)
    if not fits.any():
        return None
    chosen = int(np.argmax(fits))
    turn = rotation_z(angles[chosen])
    start = np.array([*motion.pelvis[frames[0], :2], 0.0])
    positions = (motion.positions()[frames] - start) @ turn.T + np.array([*places[chosen], 0.0])
    return positions, turn @ motion.rotations[frames], motion.contacts[frames]


def _told(
    rng: np.random.Generator,
    motion: Captured,
    cuts: Sequence[Cut],
    positions: Array,
    rotations: Array,
    contacts: NDArray[np.bool_],
    begin_s: float,
    duration_s: float,
    split: str,
) -> SynthMotion:
    """A played part with its texts and labels."""
    wording = "test" if split == "test" else "train"
    end_s = begin_s + duration_s
    shown = [Cut(c.action, max(c.start_s - begin_s, 0), min(c.end_s, end_s) - begin_s) for c in cuts]
    shown = [c for c in shown if c.end_s - c.start_s > 0]
    told = [c for c in shown if c.end_s - c.start_s >= _LEAST_TOLD_S] or shown[:1]
    text, _ = goal(rng, [Clause(c.action) for c in told[:4]], wording)
    drop = float(np.percentile(motion.pelvis[:, 2], 90)) - positions[:, 0, 2]
    time = np.arange(len(positions)) / RATE_HZ
    labels = tuple(next((c.action for c in shown if c.start_s <= t <= c.end_s), "stand_still") for t in time)
    yaw, steps = head_yaw(rotations), np.diff(positions[:, HEAD, :2], axis=0)
    turn, walked = float(yaw[-1] - yaw[0]), float(np.linalg.norm(steps.sum(axis=0)))
    texts = {
        "action": text,
        "posture": posture_text(rng, positions, rotations, drop, False, turn, wording),
        "focus": focus_text(rng, [], turn, walked, wording),
    }
    entry = {"side": "", "target": "", "target_id": "", "support": "", **texts}
    actions = [
        {**entry, "action": c.action, "start_s": c.start_s, "end_s": c.end_s,
         "text": goal(rng, [Clause(c.action)], wording, plain=True)[0]}
        for c in told
    ]  # fmt: skip
    meta = {
        "head_turn_rad": turn, "distance_m": float(np.linalg.norm(steps, axis=1).sum()), "net_distance_m": walked,
        "duration_s": duration_s, "hand": "", "target": "", "recording": motion.name, "texts": texts, "ambiguous": "",
        "actions": actions,
    }  # fmt: skip
    return SynthMotion(
        positions.astype(np.float32), rotations.astype(np.float32), text, "captured", motion.offsets, meta,
        contacts=contacts, step_phase=np.zeros((len(positions), 2)), fingers=np.zeros((len(positions), 2)),
        labels=labels,
    )  # fmt: skip
