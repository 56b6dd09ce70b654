"""Reads Biovision hierarchies (.bvh) with pybvh."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import RecordingError
from training.datasets.mocap.captured_recording import Recording, checked
from training.datasets.mocap.position_channels import steady_offsets, without_positions

Array = NDArray[np.float64]


def read(path: Path) -> Recording:
    """Reads a .bvh file. Joints above the pelvis ("Armature", "joint_Root") are joined to it.

    Raises:
        RecordingError: pybvh is not installed, or cannot read the file, or its bones change their length.
    """
    try:
        from pybvh import read_bvh_file
    except ImportError as error:
        raise RecordingError(f"{path}: reading .bvh needs pybvh (pip install egotwin-training[world])") from error
    try:
        text, moved = without_positions(path.read_text(encoding="utf-8", errors="replace"))
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / path.name
            plain.write_text(text, encoding="utf-8")
            bvh = read_bvh_file(plain if moved else path, warn_on_world_up_disagreement=False)
        root, local = bvh.to_rotmat()
        rate = 1.0 / bvh.frame_time
    except Exception as error:  # the library raises errors of many kinds for a damaged file
        raise RecordingError(f"{path} cannot be read as motion ({error})") from error
    return checked(_recording(path.stem, rate, bvh.nodes, np.asarray(root), local, moved), path)


def _recording(
    name: str, rate: float, all_nodes: list[Any], root: Array, local: Array, moved: dict[str, Array]
) -> Recording:
    nodes = [node for node in all_nodes if not node.is_end_site()]
    index = {node.name: number for number, node in enumerate(nodes)}
    parents = [-1 if node.parent is None else index[node.parent.name] for node in nodes]
    offsets = {node.name: np.asarray(node.offset, dtype=float) for node in nodes}
    rotations = local.copy()
    for joint, parent in enumerate(parents[1:], start=1):
        rotations[:, joint] = rotations[:, parent] @ local[:, joint]
    pelvis = 0
    while parents.count(pelvis) == 1 and len(nodes) > pelvis + 1:  # a lone child of the root is the pelvis
        child = parents.index(pelvis)
        step = moved.pop(nodes[child].name, offsets[nodes[child].name])
        root = root + np.einsum("tij,tj->ti", rotations[:, pelvis], np.broadcast_to(step, root.shape))
        pelvis = child
    below = range(pelvis, len(nodes))
    offsets |= steady_offsets(name, offsets, moved) if moved else {}
    offsets[nodes[pelvis].name] = np.zeros(3)
    tips = {node.name: np.zeros(3) for node in nodes}
    for node in all_nodes[1:]:
        tips[node.parent.name] = offsets.get(node.name, np.asarray(node.offset, dtype=float))
    names = tuple(nodes[k].name for k in below)
    return Recording(
        name, rate, names, (-1, *(parents[k] - pelvis for k in below[1:])),
        np.stack([offsets[n] for n in names]), np.stack([tips[n] for n in names]), root, rotations[:, pelvis:],
    )  # fmt: skip
