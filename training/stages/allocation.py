"""Memory of a training on a CPU: freed blocks stay with the process, for the next step to reuse."""

from __future__ import annotations

import contextlib
import ctypes
import platform
from collections.abc import Iterator

# <malloc.h>
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4
_KEEPING = {_MMAP_MAX: 0, _TRIM_THRESHOLD: -1, _TOP_PAD: 256 * 2**20}  # no block of its own, no trimming
# what glibc's own thresholds adapt to in a process that frees large blocks
_USUAL = {_MMAP_MAX: 65536, _MMAP_THRESHOLD: 32 * 2**20, _TRIM_THRESHOLD: 64 * 2**20, _TOP_PAD: 0}


@contextlib.contextmanager
def freed_memory_kept() -> Iterator[bool]:
    """Within it, glibc's allocator keeps freed blocks, instead of giving large ones back to the system at once.

    Every step of a training allocates the same activations again, and pages from the system must be cleared and mapped
    each time. `python -m benchmarks.training` prints the difference. At the end all that is free goes back.

    Yields:
        Whether the allocator was set; False where the C library is not glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        yield False
        return
    libc = ctypes.CDLL(None)
    try:
        yield all(libc.mallopt(option, value) == 1 for option, value in _KEEPING.items())
    finally:
        for option, value in _USUAL.items():
            libc.mallopt(option, value)
        libc.malloc_trim(0)
