"""SIGTERM and Ctrl-C for long work: what is finished stays, the rest is not begun, the same command goes on."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Stopped(KeyboardInterrupt):
    """SIGTERM or Ctrl-C came; what was finished is kept."""


class StopFlag:
    """Whether this process was told to stop."""

    is_set = False


@contextlib.contextmanager
def flag_on_signal() -> Iterator[StopFlag]:
    """SIGTERM and SIGINT set the flag, for work that ends between two of its steps."""
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
    """SIGTERM raises `Stopped` as Ctrl-C raises KeyboardInterrupt (only a main thread can say so to the system)."""

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
