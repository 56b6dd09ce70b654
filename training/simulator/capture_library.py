"""Plays motion capture in a room: part of a recording, where there is space for it, with texts and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.rotations import rotation_z
from egotwin_model.geometry.skeleton import HEAD
from training.actions.standing import STAND_STILL
from training.actions.wording import Clause, goal_text
from training.datasets.mocap.capture_folder import CaptureFolder
from training.datasets.mocap.captured_motion import CapturedMotion
from training.datasets.mocap.segments import Cut
from training.simulator.narration.pose_text import focus_text, head_yaw, posture_text
from training.simulator.people.captured_gaits import gaits_of
from training.simulator.people.gaits import WalkCycle
from training.simulator.rooms.plan import NoRoomError, RoomPlan
from training.simulator.synthetic_motion import RATE_HZ, PastPoses, SyntheticMotion

Array = NDArray[np.float64]

_PLACES = 128
_LEAST_WORDED_S = 0.6


@dataclass(frozen=True, eq=False)
class CaptureLibrary:
    """Motion capture that the simulator plays, and the gaits in it that people of the simulator may have."""

    folder: CaptureFolder
    gaits: tuple[WalkCycle, ...]

    @classmethod
    def load(cls, folder: Path | str) -> CaptureLibrary:
        """Reads a folder of motion capture.

        Raises:
            RecordingError: the folder is missing, or nothing in it can be used.
        """
        found = CaptureFolder.load(folder)
        gaits = map(gaits_of, found.motions, found.cuts)
        return cls(found, tuple(gait for some in gaits for gait in some))

    def play(
        self,
        rng: np.random.Generator,
        room: RoomPlan,
        *,
        duration_s: float = 5.0,
        split: str = "train",
        before: Array | None = None,
    ) -> SyntheticMotion:
        """Plays part of a recording at a random place where the room has space for it.

        Args:
            rng: source of every choice. room: where. duration_s: how long. split: "train", "val" or "test".
            before: (K,) s, rising, times of keyframes before the part; those that the recording has are its past.

        Raises:
            NoRoomError: no recording is that long, or none fits.
        """
        motions = self.folder.motions
        long_enough = [k for k, m in enumerate(motions) if (len(m.pelvis) - 1) / m.rate_hz >= duration_s]
        for index in rng.permutation(long_enough)[:4].astype(int):
            motion = motions[index]
            last = (len(motion.pelvis) - 1) / motion.rate_hz - duration_s
            begin = float(rng.uniform(0, last)) if last > 0 else 0.0
            past = np.zeros(0) if before is None else before[before >= -begin]
            times = np.concatenate([past, np.arange(round(duration_s * RATE_HZ) + 1) / RATE_HZ])
            frames = np.rint((begin + times) * motion.rate_hz).clip(0, len(motion.pelvis) - 1)
            placed = _place(rng, room, motion, frames.astype(int))
            if placed is not None:
                positions, rotations, contacts = placed
                clip = positions[len(past) :], rotations[len(past) :], contacts[len(past) :]
                made = _with_texts(rng, motion, self.folder.cuts[index], *clip, begin, duration_s, split)
                return replace(made, past=_past_of(past, positions, rotations)) if len(past) else made
        raise NoRoomError(f"room {room.seed}: no recording of {duration_s} s fits into its free area")


def _place(
    rng: np.random.Generator, room: RoomPlan, motion: CapturedMotion, frames: NDArray[np.intp]
) -> tuple[Array, Array, NDArray[np.bool_]] | None:
    """Positions, rotations and contacts of some frames, moved to where their way is free; None if it is nowhere."""
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


def _past_of(time: Array, positions: Array, rotations: Array) -> PastPoses:
    count = len(time)
    return PastPoses(
        time, positions[:count].astype(np.float32), rotations[:count].astype(np.float32), np.zeros((count, 2))
    )


def _with_texts(
    rng: np.random.Generator,
    motion: CapturedMotion,
    cuts: Sequence[Cut],
    positions: Array,
    rotations: Array,
    contacts: NDArray[np.bool_],
    begin_s: float,
    duration_s: float,
    split: str,
) -> SyntheticMotion:
    """The played part with its texts and labels."""
    wording = "test" if split == "test" else "train"
    end_s = begin_s + duration_s
    shown = [Cut(c.action, max(c.start_s - begin_s, 0), min(c.end_s, end_s) - begin_s) for c in cuts]
    shown = [c for c in shown if c.end_s - c.start_s > 0]
    worded = [c for c in shown if c.end_s - c.start_s >= _LEAST_WORDED_S] or shown[:1]
    text, _ = goal_text(rng, [Clause(c.action) for c in worded[:4]], wording)
    drop = float(np.percentile(motion.pelvis[:, 2], 90)) - positions[:, 0, 2]
    time = np.arange(len(positions)) / RATE_HZ
    labels = tuple(next((c.action for c in shown if c.start_s <= t <= c.end_s), STAND_STILL.name) for t in time)
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
         "text": goal_text(rng, [Clause(c.action)], wording, plain=True)[0]}
        for c in worded
    ]  # fmt: skip
    meta = {
        "head_turn_rad": turn, "distance_m": float(np.linalg.norm(steps, axis=1).sum()), "net_distance_m": walked,
        "duration_s": duration_s, "hand": "", "target": "", "recording": motion.name, "texts": texts, "ambiguous": "",
        "actions": actions,
    }  # fmt: skip
    return SyntheticMotion(
        positions.astype(np.float32), rotations.astype(np.float32), text, "captured", motion.offsets, meta,
        contacts=contacts, step_phase=np.zeros((len(positions), 2)), fingers=np.zeros((len(positions), 2)),
        labels=labels,
    )  # fmt: skip
