"""The reasons to leave out a sequence or a clip: short names, counted in the manifest."""

from __future__ import annotations

from enum import StrEnum

from egotwin_model.errors import RecordingError


class Reason(StrEnum):
    """Reasons for whole sequences first, then for clips."""

    MISSING_FILE = "missing file"
    DAMAGED = "truncated or damaged file"
    BAD_TIMES = "unsorted or duplicate times"
    NOT_FINITE = "non-finite poses"
    WRONG_SKELETON = "wrong skeleton"
    NO_NARRATION = "empty narration"
    NO_TIMECODE = "no common clock"
    NOT_ALIGNED = "body does not fit the glasses"
    SPLIT = "person and place in different splits"
    BROKEN = "failed"

    NO_TEXT = "no text"
    NO_FRAMES = "missing frames"
    TRACKING_LOSS = "tracking loss"
    BODY_HOLE = "hole in the body"
    NO_ROTATIONS = "missing rotations"
    STILL = "standing still"
    TOO_FAST = "implausibly fast"


class Unfit(RecordingError):  # noqa: N818  a verdict on data, which is counted
    """A sequence or file that cannot be used, with the `reason` under which it is counted."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type[Unfit], tuple[Reason, str]]:  # pickled by worker processes
        return Unfit, (self.reason, str(self))
