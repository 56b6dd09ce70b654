"""The text states that an encoder keeps in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

States = TypeVar("States")


class RecentStates(Generic[States]):
    """States of the texts asked for last.

    It holds no reference to the encoder: in a circle of the two, the encoder's weights would stay in memory until a
    full garbage collection.

    Args:
        size: how many texts are kept.
    """

    def __init__(self, size: int = 64) -> None:
        self._size = size
        self._kept: dict[str, States] = {}

    def get(self, text: str, compute: Callable[[str], States]) -> States:
        """The states of a text, by `compute` where they are not kept."""
        states = self._kept.pop(text, None)
        if states is None:
            states = compute(text)
        self._kept[text] = states  # the last used comes last
        if len(self._kept) > self._size:
            del self._kept[next(iter(self._kept))]
        return states

    def __len__(self) -> int:
        return len(self._kept)
