"""How the suite is spread over processes (`make test`), and how much memory each of them keeps."""

from __future__ import annotations

import ctypes
import gc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with the most and longest slow tests come first, by the time limits of these.

    A process takes one file after another (``--dist loadfile``), so that what a file's tests share is made once; the
    short files fill the end, when a process would otherwise wait for the others.
    """
    limits: Counter[Path] = Counter()
    for item in items:
        if item.get_closest_marker("slow") is not None:
            limit = item.get_closest_marker("timeout")
            limits[item.path] += limit.args[0] if limit else int(item.config.getini("timeout"))
    items.sort(key=lambda item: -limits[item.path])


@pytest.fixture(scope="module", autouse=True)
def _freed_memory_goes_back() -> Iterator[None]:
    """Returns to the system what a module's models and clips took; training commands tell the allocator to keep it."""
    yield
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
