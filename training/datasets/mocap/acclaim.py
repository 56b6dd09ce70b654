"""Reads Acclaim skeletons (.asf) and motion (.amc), version 1.10, as in the CMU motion-capture database.

The two packages on PyPI do not read that database completely (2026-11): asfamc-parser 0.0.2 refuses its files (it wants
the root's axis before its order, no comments, and every bone with degrees of freedom), pyacclaim 0.0.1 drops the last
frame of each recording.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from egotwin_model.errors import RecordingError
from training.datasets.mocap.captured_recording import Recording, checked

Array = NDArray[np.float64]

RATE_HZ = 120.0  # of CMU's recordings; the format has no field for it
_ROTATIONS = ("rx", "ry", "rz")


@dataclass(frozen=True)
class Bone:
    """One bone: direction (3,) in the rest pose, length, rotation of its axes, and its degrees of freedom in order."""

    name: str
    direction: Array
    length: float
    axes: Rotation
    turns: tuple[str, ...]


@dataclass(frozen=True)
class AcclaimSkeleton:
    """An .asf file: bones by name (without the root), each bone's parent, and whether angles are in degrees."""

    bones: dict[str, Bone]
    parents: dict[str, str]
    degrees: bool


def read(path: Path) -> Recording:
    """Reads an .amc file with the skeleton of its subject.

    Raises:
        RecordingError: there is no skeleton, or one of the two is damaged.
    """
    skeleton = read_skeleton(skeleton_of(path))
    rows = _frames(path, skeleton)
    root = rows["root"]
    count = len(root)
    names = ["root", *_parents_first(skeleton)]
    index = {name: number for number, name in enumerate(names)}
    rotations = np.empty((count, len(names), 3, 3))
    rotations[:, 0] = _euler(root[:, 3:6], skeleton.degrees)
    offsets, tips = np.zeros((len(names), 3)), np.zeros((len(names), 3))
    for name in names[1:]:
        bone, parent = skeleton.bones[name], index[skeleton.parents[name]]
        tips[index[name]] = bone.length * bone.direction
        offsets[index[name]] = tips[parent]
        turned = rotations[:, parent]
        if bone.turns:
            angles = np.zeros((count, 3))
            angles[:, [_ROTATIONS.index(turn) for turn in bone.turns]] = rows[name]
            axes = bone.axes.as_matrix()
            turned = turned @ axes @ _euler(angles, skeleton.degrees) @ axes.T
        rotations[:, index[name]] = turned
    parents = (-1, *(index[skeleton.parents[name]] for name in names[1:]))
    recording = Recording(path.stem, RATE_HZ, tuple(names), parents, offsets, tips, root[:, :3], rotations)
    return checked(recording, path)


def skeleton_of(path: Path) -> Path:
    """The .asf file of a motion: of the same name, of the name up to "_", or the only one in the folder.

    Raises:
        RecordingError: none or several fit.
    """
    for stem in (path.stem, path.stem.split("_")[0]):
        if (path.parent / f"{stem}.asf").is_file():
            return path.parent / f"{stem}.asf"
    others = sorted(path.parent.glob("*.asf"))
    if len(others) != 1:
        raise RecordingError(f"{path}: no skeleton {path.stem.split('_')[0]}.asf beside it; put the subject's there")
    return others[0]


def _euler(angles: Array, degrees: bool) -> Array:
    """Rotations (T, 3, 3) about the fixed axes x, then y, then z."""
    return np.asarray(Rotation.from_euler("xyz", angles, degrees=degrees).as_matrix())


def read_skeleton(path: Path) -> AcclaimSkeleton:
    """Reads an .asf file.

    Raises:
        RecordingError: a section or a bone's entry is missing or cannot be parsed.
    """
    text = "\n".join(line.split("#")[0] for line in path.read_text(encoding="latin-1").splitlines())
    sections = {part.split(None, 1)[0]: part.partition("\n")[2] for part in re.split(r"^:", text, flags=re.M)[1:]}
    for wanted in ("root", "bonedata", "hierarchy"):
        if wanted not in sections:
            raise RecordingError(f"{path} has no section :{wanted}; it is not an Acclaim skeleton")
    degrees = "rad" not in sections.get("units", "")
    order = re.search(r"order\s+(.*)", sections["root"])
    if order is None or order.group(1).upper().split() != ["TX", "TY", "TZ", "RX", "RY", "RZ"]:
        raise RecordingError(f"{path}: the root's order is not TX TY TZ RX RY RZ")
    bones = {}
    for block in re.findall(r"begin(.*?)end", sections["bonedata"], flags=re.S):
        bone = _bone(block, degrees, path)
        bones[bone.name] = bone
    parents = {}
    for line in sections["hierarchy"].splitlines():
        parent, *children = line.split() or [""]
        if parent not in ("begin", "end", ""):
            parents.update(dict.fromkeys(children, parent))
    lost = (set(bones) ^ set(parents)) | ({*parents.values()} - {"root", *bones})
    if not bones or lost:
        raise RecordingError(f"{path}: bones and hierarchy do not agree ({', '.join(sorted(lost)) or 'no bones'})")
    return AcclaimSkeleton(bones, parents, degrees)


def _bone(block: str, degrees: bool, path: Path) -> Bone:
    entries = {words[0]: words[1:] for line in block.splitlines() if (words := line.split())}
    try:
        *angles, order = entries["axis"]
        if order.upper() != "XYZ":
            raise ValueError(f"axis order {order}")
        turns = tuple(turn.lower() for turn in entries.get("dof", ()))
        if not set(turns) <= set(_ROTATIONS):
            raise ValueError(f"degrees of freedom {turns}")
        return Bone(
            entries["name"][0],
            np.array([float(v) for v in entries["direction"]]).reshape(3),
            float(entries["length"][0]),
            Rotation.from_euler("xyz", [float(v) for v in angles], degrees=degrees),
            turns,
        )
    except (KeyError, IndexError, ValueError) as error:
        raise RecordingError(f"{path}: bone {entries.get('name', ['?'])[0]!r} cannot be read ({error})") from error


def _parents_first(skeleton: AcclaimSkeleton) -> list[str]:
    order, left = ["root"], dict(skeleton.parents)
    while left:
        ready = [name for name, parent in left.items() if parent in order]
        order += ready
        left = {name: parent for name, parent in left.items() if name not in ready}
        if not ready:
            raise RecordingError(f"bones {', '.join(left)} are not connected to the root")
    return order[1:]


def _frames(path: Path, skeleton: AcclaimSkeleton) -> dict[str, Array]:
    """The values (T, n) of each moving bone, and of the root (T, 6)."""
    wanted = {"root": 6, **{name: len(bone.turns) for name, bone in skeleton.bones.items() if bone.turns}}
    rows: dict[str, list[list[float]]] = {name: [] for name in wanted}
    number = 0
    for place, line in enumerate(path.read_text(encoding="latin-1").splitlines(), start=1):
        name, *values = line.split() or ["#"]
        if name.isdecimal():
            _complete(path, rows, number)
            number += 1
        elif name[0] not in "#:":
            if name not in wanted or len(values) != wanted[name]:
                raise RecordingError(f"{path}, line {place}: {len(values)} numbers for {name!r}; its skeleton differs")
            try:
                rows[name].append([float(value) for value in values])
            except ValueError as error:
                raise RecordingError(f"{path}, line {place}: {error}") from error
    _complete(path, rows, number)
    return {name: np.array(values).reshape(number, wanted[name]) for name, values in rows.items()}


def _complete(path: Path, rows: dict[str, list[list[float]]], number: int) -> None:
    short = [name for name, values in rows.items() if len(values) != number]
    if short:
        raise RecordingError(f"{path}: frame {number} lacks {', '.join(short)}; the file is truncated or damaged")
