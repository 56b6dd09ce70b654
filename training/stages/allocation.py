"""Memory of a training on a CPU: freed blocks stay with the process, for the next step to reuse."""

from __future__ import annotations

import ctypes
import platform

# <malloc.h>
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_PAD_BYTES = 256 * 2**20


def keep_freed_memory() -> bool:
    """Sets glibc's allocator to keep freed blocks, instead of giving large ones back to the system at once.

    Every step allocates the same activations again, and pages from the system must be cleared and mapped each time.
    `python -m benchmarks.training` prints the difference.

    Returns:
        Whether the allocator was set; False where the C library is not glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = {_MMAP_MAX: 0, _TRIM_THRESHOLD: -1, _TOP_PAD: _PAD_BYTES}  # no block of its own, no trimming
    return all(mallopt(option, value) == 1 for option, value in settings.items())
