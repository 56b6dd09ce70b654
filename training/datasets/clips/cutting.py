"""Cuts a sequence into clips: 41 frames at 8 Hz and 81 poses at 16 Hz by time stamp, with their texts."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.rotations import rotation_angle
from egotwin_model.geometry.skeleton import HEAD, XSENS_JOINTS
from training.datasets.sequences.narrations import extras_between, texts_between
from training.datasets.sequences.reasons import Reason
from training.datasets.sequences.repair import runs
from training.datasets.sequences.sequence_reader import Poses, SequenceReader

log = logging.getLogger("egotwin.sequences")
Array = NDArray[np.float64]
HANDS = [XSENS_JOINTS.index("L_Hand"), XSENS_JOINTS.index("R_Hand")]
EDGE_NS = 20_000_000  # a clip may extend this far beyond the first and last sample, which are then held


@dataclass(frozen=True)
class CutSettings:
    """Where clips begin, and which of them are kept.

    Attributes:
        at: "narration": a clip begins where an atomic action (else any text) does; "regular": every `stride_s`.
        least_overlap: share of a clip (or of a row, if shorter) that a text has to cover to be the clip's.
        prefer: kinds of text in the order in which one becomes the clip's goal.
        max_frame_offset_s: largest distance of a frame's time stamp from its nominal time.
        least_quality: of the tracking, 0 … 1, in every sample. max_tracking_gap_s: between two of its samples.
        max_body_gap_s: between two body samples. max_filled: share of poses with a rotation that was missing.
        max_still_s: how long head and hands may all be slower than `still_speed` m/s and the head turn less than
            `still_turn` rad/s. max_speed: of the head, m/s.
    """

    frames: int = 41
    frame_rate: float = 8.0
    poses: int = 81
    pose_rate: float = 16.0
    at: Literal["narration", "regular"] = "narration"
    stride_s: float = 5.0
    least_overlap: float = 0.5
    prefer: tuple[str, ...] = ("atomic_action", "posture", "hands", "legs", "focus", "activity")
    max_frame_offset_s: float = 0.04
    least_quality: float = 0.1
    max_tracking_gap_s: float = 0.05
    max_body_gap_s: float = 0.05
    max_filled: float = 0.05
    max_still_s: float = 4.5
    still_speed: float = 0.03
    still_turn: float = 0.1
    max_speed: float = 6.0

    @property
    def length_s(self) -> float:
        return (self.poses - 1) / self.pose_rate


@dataclass
class Clip:
    """One clip: `arrays` as in `training.datasets.clips.clip_store`, and its `record`."""

    key: str
    arrays: dict[str, NDArray[Any]]
    record: dict[str, Any]


@dataclass
class Cutter:
    """Cuts one sequence; `skipped` then counts the clips that were left out, by reason."""

    reader: SequenceReader
    settings: CutSettings = field(default_factory=CutSettings)
    skipped: Counter[Reason] = field(default_factory=Counter)

    def clips(self) -> Iterator[Clip]:
        """The clips that are kept, in order of time; frames are read for these alone."""
        for number, start_ns in enumerate(self.starts()):
            verdict = self._clip(number, start_ns)
            if isinstance(verdict, Reason):
                self.skipped[verdict] += 1
            else:
                yield verdict

    def starts(self) -> list[int]:
        """Where clips begin, ns."""
        reader, length_ns = self.reader, round(self.settings.length_s * 1e9)
        first, last = reader.start_ns - EDGE_NS, reader.end_ns + EDGE_NS - length_ns
        if self.settings.at == "regular":
            # begins at the first sample, not `EDGE_NS` before it
            return list(range(reader.start_ns, last + 1, round(self.settings.stride_s * 1e9)))
        actions = [row for row in reader.narrations if "atomic_action" in row.texts] or reader.narrations
        return sorted({start for row in actions if first <= (start := round(row.start_s * 1e9)) <= last})

    def _clip(self, number: int, start_ns: int) -> Clip | Reason:
        reader, s = self.reader, self.settings
        start_s, end_s = start_ns / 1e9, start_ns / 1e9 + s.length_s
        texts = texts_between(reader.narrations, start_s, end_s, s.least_overlap)
        if not texts:
            return Reason.NO_TEXT
        pose_stamps = start_ns + np.rint(np.arange(s.poses) * 1e9 / s.pose_rate).astype(np.int64)
        frame_stamps = start_ns + np.rint(np.arange(s.frames) * 1e9 / s.frame_rate).astype(np.int64)
        indices = self._frames(frame_stamps)
        if indices is None:
            return Reason.NO_FRAMES
        seen = reader.recording.stamps_ns[indices]
        if reason := self._body_or_path_fails(pose_stamps, seen):
            return reason
        poses = reader.poses(self._held(pose_stamps))
        if reason := self._motion_fails(poses):
            return reason
        try:
            return self._whole(number, start_ns, texts, poses, indices, seen)
        except RecordingError as error:  # a frame that does not decode loses its clip, not the sequence
            log.warning("%s: a clip is left out: %s", reader.name, error)
            return Reason.DAMAGED

    def _whole(
        self, number: int, start_ns: int, texts: dict[str, list[str]], poses: Poses, indices: Any, seen: Any
    ) -> Clip:
        reader, s = self.reader, self.settings
        camera = reader.view.camera
        arrays: dict[str, NDArray[Any]] = {
            "frames": np.stack(list(reader.recording.frames(indices))),
            "frame_times": ((seen - start_ns) / 1e9).astype(np.float32),
            "positions": poses.positions.astype(np.float32),
            "rotations": poses.rotations.astype(np.float32),
            "offsets": reader.body.offsets.astype(np.float32),
            "camera_pose": reader.cameras(self._held(seen)).astype(np.float32),
            "intrinsics": np.array([camera.fx, camera.fy, camera.cx, camera.cy], np.float32),
        }
        arrays |= {name: array[indices] for name, array in reader.labels.items()}
        goal = next(texts[kind][0] for kind in (*s.prefer, *texts) if kind in texts)
        start_s = start_ns / 1e9
        record = {
            "text": goal, "texts": texts, "sequence": reader.name, "person": reader.person, "place": reader.place,
            "behaviour": str(reader.metadata.get("script", "")), "start_s": start_s, "duration_s": s.length_s,
            **reader.clip_record, **extras_between(reader.narrations, start_s, start_s + s.length_s),
        }  # fmt: skip
        return Clip(f"{reader.name}-{number:05d}".replace(".", "_"), arrays, record)

    def _frames(self, wanted: NDArray[np.int64]) -> NDArray[np.intp] | None:
        """Indices of the frames nearest to these times; None where one is missing."""
        stamps = self.reader.recording.stamps_ns
        if len(stamps) < len(wanted):
            return None
        after = np.clip(np.searchsorted(stamps, wanted), 1, len(stamps) - 1)
        nearest = np.where(wanted - stamps[after - 1] <= stamps[after] - wanted, after - 1, after)
        far = np.abs(stamps[nearest] - wanted) > self.settings.max_frame_offset_s * 1e9
        return None if far.any() or (np.diff(nearest) <= 0).any() else nearest

    def _held(self, stamps_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Times clipped to the range that both the body and the head path cover."""
        reader = self.reader
        low = max(reader.body_stamps_ns[0], reader.path.path.stamps_ns[0])
        return np.clip(stamps_ns, low, min(reader.body_stamps_ns[-1], reader.path.path.stamps_ns[-1]))

    def _body_or_path_fails(self, poses: NDArray[np.int64], seen: NDArray[np.int64]) -> Reason | None:
        reader, s = self.reader, self.settings
        stamps = np.concatenate([poses, seen])
        if np.abs(self._held(stamps) - stamps).max() > EDGE_NS:
            return Reason.BODY_HOLE
        first, last = int(self._held(stamps).min()), int(self._held(stamps).max())
        if not reader.path.tracked(first, last, s.least_quality, round(s.max_tracking_gap_s * 1e9)):
            return Reason.TRACKING_LOSS
        body = reader.body_stamps_ns
        inside = slice(max(0, np.searchsorted(body, first, side="right") - 1), np.searchsorted(body, last) + 1)
        if (np.diff(body[inside]) > s.max_body_gap_s * 1e9).any():
            return Reason.BODY_HOLE
        if not reader.body.valid[inside].all():
            return Reason.NOT_FINITE
        if reader.body.filled[inside].any(axis=1).mean() > s.max_filled:
            return Reason.NO_ROTATIONS
        return None

    def _motion_fails(self, poses: Poses) -> Reason | None:
        s = self.settings
        head, hands = poses.positions[:, HEAD], poses.positions[:, HANDS]
        speed = np.linalg.norm(np.diff(head, axis=0), axis=-1) * s.pose_rate
        if speed.max() > s.max_speed:
            return Reason.TOO_FAST
        hand_speed = np.linalg.norm(np.diff(hands, axis=0), axis=-1).max(axis=1) * s.pose_rate
        R = poses.rotations[:, HEAD]
        turn = rotation_angle(R[:-1], R[1:]) * s.pose_rate
        still = (speed < s.still_speed) & (hand_speed < s.still_speed) & (turn < s.still_turn)
        longest = max((last - first for first, last in runs(still)), default=0) / s.pose_rate
        return Reason.STILL if longest > s.max_still_s else None
