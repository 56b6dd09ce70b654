"""Ctrl-C and SIGTERM for a command that must clean up: handled once and never lost."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupts:
    """While entered, the first SIGINT or SIGTERM raises KeyboardInterrupt in the main thread; later ones are ignored.

    Python discards an exception that a handler raises inside certain callbacks (at a fork, in a destructor), so long
    waits and steps that cannot be undone call `check` as well.
    """

    def __init__(self) -> None:
        self._came = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._came:
            self._came = True
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raises KeyboardInterrupt where a signal was received."""
        if self._came:
            raise KeyboardInterrupt
