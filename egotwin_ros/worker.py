"""The one thread in which the model runs.

One imagination runs at a time. An action goal that arrives while another one runs or waits is refused (`BusyError`).
Requests of ``~/goal`` have lower priority: the newest one waits in a single slot, and an action goal stops a running
one between two sampler steps. The node submits it again at its next timer tick.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Generic, TypeVar

from egotwin_model.errors import Cancelled
from egotwin_ros.errors import BusyError

T = TypeVar("T")


class Job(Generic[T]):
    """A call that can be cancelled; its ``result`` is a `concurrent.futures.Future`.

    Args:
        call: takes a function that returns whether the job was cancelled.
        name: what the job is, for logs.
    """

    def __init__(self, call: Callable[[Callable[[], bool]], T], name: str = "") -> None:
        self.name = name
        self._call = call
        self._stop = threading.Event()
        self.result: Future[T] = Future()

    def cancel(self) -> None:
        """Requests the call to stop; it raises `Cancelled` at its next step."""
        self._stop.set()

    def run(self) -> Callable[[], None]:
        """Runs the call; returns a function that sets ``result``, for when the worker is free again."""
        try:
            if self._stop.is_set():
                raise Cancelled("cancelled before it began")
            value = self._call(self._stop.is_set)
        except BaseException as error:  # raised again in the thread that waits for the result
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
        self._paused = False
        self._stopped = False
        self._thread = threading.Thread(target=self._loop, name="imagine", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether nothing runs or waits."""
        with self._changed:
            return self._idle

    @property
    def _idle(self) -> bool:
        return self._running is None and self._action is None and self._latched is None

    @property
    def running(self) -> str:
        """Name of the job that runs; empty where none does."""
        with self._changed:
            return "" if self._running is None else self._running.name

    def submit_action(self, job: Job[T]) -> None:
        """Runs the job next and cancels a running ~/goal.

        Raises:
            BusyError: another action goal runs or waits.
            Cancelled: the worker is paused.
        """
        with self._changed:
            if self._paused:
                raise Cancelled("the node is not active")
            if self._action is not None or (self._running is not None and self._running_is_action):
                raise BusyError("another goal is being imagined: cancel it or ask again when it is done")
            self._action = job
            if self._running is not None:
                self._running.cancel()
            self._changed.notify_all()

    def submit_latched(self, job: Job[T]) -> None:
        """Runs the job when nothing else waits. A waiting one is cancelled, and so is this one in a paused worker."""
        with self._changed:
            if self._paused:
                cancelled: Job[T] | None = job
            else:
                cancelled, self._latched = self._latched, job
            self._changed.notify_all()
        if cancelled is not None:
            cancelled.cancel()
            cancelled.run()()

    def cancel_latched(self) -> None:
        """Cancels the job of ~/goal that runs or waits; an action goal continues."""
        with self._changed:
            for job in (self._latched, None if self._running_is_action else self._running):
                if job is not None:
                    job.cancel()

    def cancel_all(self) -> None:
        """Cancels everything that runs or waits."""
        with self._changed:
            for job in (self._running, self._action, self._latched):
                if job is not None:
                    job.cancel()

    def pause(self) -> None:
        """Refuses new jobs until `resume`."""
        with self._changed:
            self._paused = True

    def resume(self) -> None:
        """Accepts jobs again."""
        with self._changed:
            self._paused = False

    def drain(self, timeout_s: float = 10.0) -> bool:
        """Cancels everything and waits until nothing runs; False where something still does after ``timeout_s``.

        Call `pause` first where no new job may follow.
        """
        self.cancel_all()
        with self._changed:
            return self._changed.wait_for(lambda: self._idle, timeout_s)

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
