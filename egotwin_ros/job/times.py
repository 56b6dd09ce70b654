"""Wall time of the command's parts, for its summary."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Times:
    """Wall seconds of each part, in order."""

    parts: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Times the block under this name."""
        begin = time.monotonic()
        yield
        self.parts[part] = time.monotonic() - begin

    def __str__(self) -> str:
        parts = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in self.parts.items())
        return f"{parts}; {sum(self.parts.values()):.1f} s in all"
