"""The thread that feeds the memory: callbacks hand images over and return at once."""

from __future__ import annotations

import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from egotwin_model.errors import EgoTwinError
from egotwin_ros.inputs import InputBuffer
from egotwin_ros.memory_feed import Estimate, MemoryFeed
from egotwin_ros.parameters import ImagineParameters

if TYPE_CHECKING:
    from egotwin_model.egotwin.pipeline import ModelInfo

QUEUE = 8  # images that wait for their pose and depth, or for the one before to be remembered


class MemoryThread:
    """Remembers images in a thread of its own until `stop`, while it is not paused. It begins paused.

    Args:
        feed: does the work.
        inputs: tell when all that belongs to an image has come.
        warn: called with the reason where an image cannot be remembered, once for each reason in a row.

    Attributes:
        dropped: images given up because newer ones came faster than they were remembered.
    """

    def __init__(self, feed: MemoryFeed, inputs: InputBuffer, warn: Callable[[str], None]) -> None:
        self.feed, self.dropped = feed, 0
        self._inputs, self._warn = inputs, warn
        self._changed = threading.Condition()
        self._waiting: deque[Any] = deque(maxlen=QUEUE)
        self._paused, self._stopped, self._busy = True, False, False
        self._thread = threading.Thread(target=self._loop, name="memory", daemon=True)
        self._thread.start()

    def receive(self, name: str, message: Any) -> None:
        """Takes note of an input that `inputs` already has."""
        with self._changed:
            if self._paused:
                return
            if name == "body_pose" and self.feed.follow(message):
                self._waiting.clear()
            if name == "image":
                self.dropped += len(self._waiting) == QUEUE
                self._waiting.append(message)
            if self._waiting:
                self._changed.notify_all()

    def clear(self, because: str) -> None:
        """Forgets everything, images that wait included."""
        with self._changed:
            self._waiting.clear()
            self.feed.clear(because)

    def finish(self) -> None:
        """Waits until every image that has all that belongs to it is remembered, for a caller without a stream."""
        with self._changed:
            self._changed.wait_for(lambda: not self._busy and not self._ready())

    def resume(self) -> None:
        """Remembers what comes from now on."""
        with self._changed:
            self._paused = False

    def pause(self, because: str) -> None:
        """Forgets everything, and remembers nothing until `resume`."""
        with self._changed:
            self._paused = True
        self.clear(because)

    def stop(self, timeout_s: float = 10.0) -> None:
        """Forgets everything and ends the thread."""
        self.pause("the node was stopped")
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def values(self) -> dict[str, object]:
        """The state for diagnostics."""
        return {**self.feed.values(), "memory dropped images": self.dropped}

    def _loop(self) -> None:
        while (image := self._next()) is not None:
            before, trace = self.feed.refusal, ""
            try:
                self.feed.take(image)
            except EgoTwinError as error:
                self.feed.refusal = str(error)
            except Exception as error:  # the node outlives a defect here; the log has all of it
                self.feed.refusal, trace = f"{type(error).__name__}: {error}", f"\n{traceback.format_exc()}"
            if self.feed.refusal and self.feed.refusal != before:
                self._warn(f"not remembered: {self.feed.refusal}{trace}")

    def _next(self) -> Any | None:
        """The oldest waiting image that has all that belongs to it; None at the end."""
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._stopped or self._ready())
            self._busy = not self._stopped
            return self._waiting.popleft() if self._busy else None

    def _ready(self) -> bool:
        return bool(self._waiting) and self._inputs.settled(self._waiting[0])


def start_memory(
    parameters: ImagineParameters,
    inputs: InputBuffer,
    info: ModelInfo,
    estimate: Estimate | None,
    warn: Callable[[str], None],
) -> MemoryThread | None:
    """The thread that the parameters ask for, paused; None where nothing is to be remembered."""
    if parameters.depth_source == "none" or not parameters.memory_seconds:
        return None
    return MemoryThread(MemoryFeed(parameters, inputs, info.camera, info.mount, estimate), inputs, warn)


@contextmanager
def remembering(
    parameters: ImagineParameters,
    inputs: InputBuffer,
    info: ModelInfo,
    estimate: Estimate | None,
    warn: Callable[[str], None],
) -> Iterator[MemoryThread | None]:
    """As `start_memory`, running, and stopped at the end."""
    memory = start_memory(parameters, inputs, info, estimate, warn)
    try:
        if memory is not None:
            memory.resume()
        yield memory
    finally:
        if memory is not None:
            memory.stop()
