"""The allocator of a training: it keeps the blocks that a step frees, and gives them back at the end."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import pytest

SAME_BLOCKS_AGAIN = """
import contextlib, json, resource, sys
import torch
from training.stages.allocation import freed_memory_kept
torch.set_num_threads(1)
def step():
    return sum(torch.ones(10_000_000).sum() for _ in range(4))  # 40 MB each, freed at once
def resident_mb():
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * resource.getpagesize() / 2**20
before_mb = resident_mb()
with freed_memory_kept() if "keep" in sys.argv else contextlib.nullcontext(True) as kept:
    assert kept
    for _ in range(3):  # until the heap has grown around the small blocks that stay
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        step()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    grown_mb = resident_mb() - before_mb
print(json.dumps({"faults": faults, "grown_mb": grown_mb, "left_mb": resident_mb() - before_mb}))
"""


def measured(*words: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", SAME_BLOCKS_AGAIN, *words], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_memory_is_kept_within_a_training_and_given_back_after_it() -> None:
    kept, usual = measured("keep"), measured()
    assert 10 * kept["faults"] < usual["faults"]  # 40 blocks of 40 MB are 390 000 pages
    assert kept["grown_mb"] > 35
    assert kept["left_mb"] < kept["grown_mb"] - 30
