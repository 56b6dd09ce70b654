"""The node as a child process, and the ROS domain in which it runs."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Self

from egotwin_ros import bringup

SHUTDOWN_S = 15.0
_PR_SET_PDEATHSIG = 1
_DOMAINS = range(1, 101)  # the range of domain ids whose ports lie below the ephemeral ones


def free_domain() -> int:
    """A random ROS domain id that no process on this machine uses (the port of its first participant is free)."""
    for domain in random.sample(_DOMAINS, len(_DOMAINS)):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", 7400 + 250 * domain + 10))
            except OSError:
                continue
            return domain
    return random.choice(_DOMAINS)


def enter_domain() -> None:
    """Sets the ROS domain (a free one unless set), local discovery and the DDS profile; call it before rclpy.init."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(free_domain()))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.update(bringup.environment())


def _end_with_parent() -> None:
    """Runs in the child: sends it an interrupt when its parent dies, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


class NodeProcess:
    """Runs a node of `bringup` in a session of its own; on exit it is interrupted, and killed if it does not end.

    Args:
        entry: which node.
        values: its arguments (`bringup.command`).
        parameters: further ROS parameters, ``name:=value``.
    """

    def __init__(self, entry: bringup.Entry, values: Mapping[str, object], parameters: Sequence[str] = ()) -> None:
        self._line = bringup.command(entry, values)
        for parameter in parameters:
            self._line += ["-p", parameter]
        self._name = entry.name

    def __enter__(self) -> Self:
        self._log: IO[bytes] = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._line, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True,
            preexec_fn=_end_with_parent,  # called before any thread of ours exists
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is not None:
                break
            os.killpg(self._process.pid, number)
            try:
                self._process.wait(SHUTDOWN_S)
            except subprocess.TimeoutExpired:
                continue
        self._log.close()

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its session."""
        return self._process.pid

    def log(self) -> str:
        """The node's output so far."""
        return os.pread(self._log.fileno(), 1 << 20, 0).decode(errors="replace")

    def check(self) -> None:
        """Raises RuntimeError, with the end of its log, where the node has ended."""
        if (status := self._process.poll()) is not None:
            raise RuntimeError(f"the node {self._name} ended with status {status}:\n{self.log()[-3000:]}")
