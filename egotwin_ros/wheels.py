"""Repairs ROS 2 wheels after ``pip install``, so that C++ interfaces can be built against them.

The wheels' ``share/*/cmake/*__rosidl_generator_pyExport.cmake`` contain the paths of Python's and NumPy's headers on
the machine that built them. `repair` replaces these by the paths of this interpreter. Run as ``python -m
egotwin_ros.wheels``.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from pathlib import Path

import numpy as np

_PYTHON_HEADERS = re.compile(r'/opt/python/[^";]*/include/python3\.\d+')
_NUMPY_HEADERS = re.compile(r'/opt/python/[^";]*/site-packages/numpy/[^";]*include')


def repair(prefix: Path) -> list[Path]:
    """Rewrites the header folders in every rosidl Python export below `prefix`.

    Args:
        prefix: root of the environment the wheels were installed in (`sys.prefix`).

    Returns:
        The files that were changed; empty when there was nothing (more) to repair.
    """
    changed = []
    for export in sorted(prefix.glob("share/*/cmake/*__rosidl_generator_pyExport.cmake")):
        before = export.read_text()
        after = _NUMPY_HEADERS.sub(lambda _: np.get_include(), before)
        after = _PYTHON_HEADERS.sub(lambda _: sysconfig.get_path("include"), after)
        if after != before:
            temporary = export.with_suffix(".repaired")
            temporary.write_text(after)
            os.replace(temporary, export)
            changed.append(export)
    return changed


if __name__ == "__main__":
    print(f"repaired {len(repair(Path(sys.prefix)))} cmake exports of ROS wheels in {sys.prefix}")
