"""SIGTERM and Ctrl-C in long work: finished parts are kept, no new part is started, the same command resumes."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Stopped(KeyboardInterrupt):
    """SIGTERM or Ctrl-C came; finished parts are kept."""


class StopFlag:
    """Whether a signal asked this process to stop."""

    is_set = False


@contextlib.contextmanager
def flag_on_signal() -> Iterator[StopFlag]:
    """Sets a flag at SIGTERM or SIGINT, for work that stops between two of its steps."""
    flag = StopFlag()

    def handler(number: int, frame: FrameType | None) -> None:
        flag.is_set = True

    previous = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield flag
    finally:
        for number, old in previous.items():
            signal.signal(number, old)


@contextlib.contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Raises `Stopped` at SIGTERM, as Ctrl-C raises KeyboardInterrupt; without effect outside the main thread."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
