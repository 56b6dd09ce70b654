"""The one thread in which the model runs.

One imagination runs at a time. An action goal that comes while another one runs or waits is refused (`BusyError`).
Requests of ``~/goal`` wait in a single place where the newest wins, and give way: an action goal stops a running one
between two steps, and it is asked for again at the next tick.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Generic, TypeVar

from egotwin_model.errors import Cancelled
from egotwin_ros.codes import BusyError

T = TypeVar("T")


class Job(Generic[T]):
    """A call that may be asked to stop; its ``result`` is a `concurrent.futures.Future`."""

    def __init__(self, call: Callable[[Callable[[], bool]], T]) -> None:
        self._call = call
        self._stop = threading.Event()
        self.result: Future[T] = Future()

    def cancel(self) -> None:
        """Asks the call to stop; it raises `Cancelled` at its next step."""
        self._stop.set()

    def run(self) -> Callable[[], None]:
        """Makes the call; what it returns settles ``result``, once the worker is free again."""
        try:
            if self._stop.is_set():
                raise Cancelled("cancelled before it began")
            value = self._call(self._stop.is_set)
        except BaseException as error:  # whatever it is belongs to whoever waits for the result
            return partial(self.result.set_exception, error)
        return partial(self.result.set_result, value)


class Worker(Generic[T]):
    """Runs jobs in its own thread until `stop`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: Job[T] | None = None
        self._running_is_action = False
        self._action: Job[T] | None = None
        self._latched: Job[T] | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._loop, name="imagine", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether nothing runs or waits."""
        with self._changed:
            return self._running is None and self._action is None and self._latched is None

    def submit_action(self, job: Job[T]) -> None:
        """Runs the job next, stopping a running ~/goal; `BusyError` where another action runs or waits."""
        with self._changed:
            if self._action is not None or (self._running is not None and self._running_is_action):
                raise BusyError("another goal is being imagined: cancel it or ask again when it is done")
            self._action = job
            if self._running is not None:
                self._running.cancel()
            self._changed.notify_all()

    def submit_latched(self, job: Job[T]) -> None:
        """Runs the job when nothing else waits; one that still waits is dropped for it."""
        with self._changed:
            dropped, self._latched = self._latched, job
            self._changed.notify_all()
        if dropped is not None:
            dropped.cancel()
            dropped.run()()

    def cancel_all(self) -> None:
        """Asks everything that runs or waits to stop."""
        with self._changed:
            for job in (self._running, self._action, self._latched):
                if job is not None:
                    job.cancel()

    def drain(self, timeout_s: float = 10.0) -> bool:
        """Cancels everything and waits for it to end; False on timeout."""
        self.cancel_all()
        with self._changed:
            return self._changed.wait_for(
                lambda: self._running is None and self._action is None and self._latched is None, timeout_s
            )

    def stop(self, timeout_s: float = 10.0) -> None:
        """Cancels everything and ends the thread."""
        self.cancel_all()
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def _loop(self) -> None:
        while (job := self._next()) is not None:
            settle = job.run()
            with self._changed:
                self._running = None
                self._changed.notify_all()
            settle()

    def _next(self) -> Job[T] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._action is not None or self._latched is not None)
            if self._action is not None:
                self._running, self._running_is_action, self._action = self._action, True, None
            elif self._latched is not None:
                self._running, self._running_is_action, self._latched = self._latched, False, None
            return self._running
