"""The text states that an encoder keeps in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

States = TypeVar("States")


class RecentStates(Generic[States]):
    """States of the texts asked for last, computed when they are not kept.

    Args:
        compute: the states of a text.
        size: how many texts are kept.
    """

    def __init__(self, compute: Callable[[str], States], size: int = 64) -> None:
        self._compute, self._size = compute, size
        self._kept: dict[str, States] = {}

    def __getitem__(self, text: str) -> States:
        states = self._kept.pop(text, None)
        if states is None:
            states = self._compute(text)
        self._kept[text] = states  # the last used comes last
        if len(self._kept) > self._size:
            del self._kept[next(iter(self._kept))]
        return states

    def __len__(self) -> int:
        return len(self._kept)
