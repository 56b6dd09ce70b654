"""Reads Biovision hierarchies (.bvh) with pybvh."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from egotwin_model.errors import RecordingError
from training.datasets.mocap.captured_recording import Recording, checked


def read(path: Path) -> Recording:
    """Reads a .bvh file.

    Raises:
        RecordingError: pybvh is not installed, or cannot read the file.
    """
    try:
        from pybvh import read_bvh_file
    except ImportError as error:
        raise RecordingError(f"{path}: reading .bvh needs pybvh (pip install egotwin-training[world])") from error
    try:
        bvh = read_bvh_file(path, warn_on_world_up_disagreement=False)
        root, local = bvh.to_rotmat()
        rate = 1.0 / bvh.frame_time
    except Exception as error:  # the library raises errors of many kinds for a damaged file
        raise RecordingError(f"{path} cannot be read as motion ({error})") from error
    nodes = [node for node in bvh.nodes if not node.is_end_site()]
    index = {node.name: number for number, node in enumerate(nodes)}
    parents = tuple(-1 if node.parent is None else index[node.parent.name] for node in nodes)
    offsets = np.array([np.asarray(node.offset, dtype=float) for node in nodes])
    offsets[0] = 0.0
    tips = np.zeros_like(offsets)
    for node in bvh.nodes[1:]:
        tips[index[node.parent.name]] = np.asarray(node.offset, dtype=float)
    rotations = local.copy()
    for joint, parent in enumerate(parents[1:], start=1):
        rotations[:, joint] = rotations[:, parent] @ local[:, joint]
    names = tuple(node.name for node in nodes)
    return checked(Recording(path.stem, rate, names, parents, offsets, tips, np.asarray(root), rotations), path)
