"""The error_code of action/Imagine.action for each named error, and back."""

from __future__ import annotations

from egotwin_model.errors import (
    CalibrationError,
    Cancelled,
    GoalError,
    HorizonError,
    ImageError,
    InstallationError,
    ModelError,
    PoseError,
    RecordingError,
)
from egotwin_ros.action import Imagine
from egotwin_ros.errors import BusyError, NoImageError, NoPoseError

Code = Imagine.Result


_CODES: dict[type[Exception], int] = {
    NoImageError: Code.NO_IMAGE,
    NoPoseError: Code.NO_POSE,
    CalibrationError: Code.BAD_CALIBRATION,
    ImageError: Code.BAD_IMAGE,
    PoseError: Code.BAD_POSE,
    GoalError: Code.BAD_GOAL,
    HorizonError: Code.BAD_HORIZON,
    ModelError: Code.BAD_MODEL,
    InstallationError: Code.BAD_MODEL,
    RecordingError: Code.BAD_RECORDING,
    BusyError: Code.BUSY,
    Cancelled: Code.CANCELLED,
}
_NAMES = {getattr(Code, name): name for name in dir(Code) if name.isupper() and isinstance(getattr(Code, name), int)}


def error_code(error: Exception) -> int:
    """The number of the nearest named class of ``error``; INTERNAL for any other exception."""
    for kind in type(error).__mro__:
        if kind in _CODES:
            return _CODES[kind]
    return Code.INTERNAL


def code_name(code: int) -> str:
    """Name of an error_code, for logs: ``BAD_IMAGE``."""
    return _NAMES.get(code, str(code))


def error_of(code: int, message: str) -> Exception:
    """The error of an error_code, for clients; RuntimeError for INTERNAL and unknown numbers."""
    for kind, number in _CODES.items():
        if number == code:
            return kind(message)
    return RuntimeError(f"{code_name(code)}: {message}")
