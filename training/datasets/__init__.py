"""Clips for training and evaluation, and the recordings they are cut from.

``from training.datasets import open_clips`` opens a folder of clips.
"""

from __future__ import annotations

from typing import Any

__all__ = ["open_clips"]


def __getattr__(name: str) -> Any:
    if name != "open_clips":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from training.datasets.clips.dataset import open_clips

    return open_clips
