from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SAME_BLOCKS_AGAIN = """
import resource, sys
import torch
from training.stages.allocation import keep_freed_memory
if "keep" in sys.argv:
    assert keep_freed_memory()
torch.set_num_threads(1)
def step():
    return sum(torch.ones(10_000_000).sum() for _ in range(4))  # 40 MB each, freed at once
for _ in range(3):  # until the heap has grown around the small blocks that stay
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(*words: str) -> int:
    done = subprocess.run([sys.executable, "-c", SAME_BLOCKS_AGAIN, *words], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_memory_is_reused_without_the_system() -> None:
    assert 10 * page_faults("keep") < page_faults()  # 40 blocks of 40 MB are 390 000 pages
