"""Calls the compiled part of the scene memory, ``kernel/``.

``pip install`` and ``colcon build`` compile it beside this module. Where that was not done (a source tree on
``PYTHONPATH``), the first use compiles it into the user's cache folder, which takes a second and needs a C compiler.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.prior import Prior
from egotwin_model.geometry.scene_memory_keyframe import Keyframe

UNKNOWN_DEPTH_M = 5.0
"""A direction of unknown depth is trusted in full where, at this distance, it would move by at most a pixel."""

SAME, SEEN_THROUGH, SURELY_SEEN_THROUGH = 1, 2, 3
"""What `compare` finds of a pixel; 0 for nothing."""

_SOURCES = Path(__file__).with_name("kernel")
_BUILT = "_scene_memory"
_FLAGS = ("-O3", "-std=c11", "-fno-math-errno", "-shared", "-fPIC")


class _Camera(ctypes.Structure):
    _fields_ = (
        ("fx", ctypes.c_double), ("fy", ctypes.c_double), ("cx", ctypes.c_double), ("cy", ctypes.c_double),
        ("rotation", ctypes.c_double * 9), ("centre", ctypes.c_double * 3),
        ("width", ctypes.c_int32), ("height", ctypes.c_int32),
    )  # fmt: skip


class _Keyframe(ctypes.Structure):
    _fields_ = (
        ("camera", _Camera), ("colour", ctypes.c_void_p), ("surface", ctypes.c_void_p), ("leading", ctypes.c_void_p),
        ("leaders", ctypes.c_void_p), ("edges", ctypes.c_void_p),
        ("leader_count", ctypes.c_int64), ("edge_count", ctypes.c_int64),
    )  # fmt: skip


@cache
def _library() -> ctypes.CDLL:
    """The compiled kernel.

    Raises:
        ImportError: it was not built, and there is no C compiler to do so now.
    """
    built = [_SOURCES.with_name(_BUILT + suffix) for suffix in EXTENSION_SUFFIXES]
    path = next((path for path in built if path.is_file() and not _outdated(path)), None) or _compile()
    library = ctypes.CDLL(str(path))
    pointer, number = ctypes.c_void_p, ctypes.c_int32
    library.scene_memory_render.argtypes = (
        pointer, number, pointer, number, pointer, ctypes.c_double, pointer, pointer, pointer,
    )  # fmt: skip
    library.scene_memory_compare.argtypes = (pointer, pointer, ctypes.c_float, ctypes.c_double, pointer)
    library.scene_memory_compare.restype = None
    return library


def _outdated(built: Path) -> bool:
    """Whether a source, where they are there at all, was changed after it was built."""
    return any(source.stat().st_mtime > built.stat().st_mtime for source in _SOURCES.glob("*.[ch]"))


def _compile() -> Path:
    """Into the cache, under a name that changes with source and compiler."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "egotwin"
    sources = sorted(_SOURCES.glob("*.[ch]"))
    key = hashlib.sha256(b"".join(source.read_bytes() for source in sources))
    key.update(repr((_FLAGS, sysconfig.get_platform())).encode())
    path = folder / f"{_BUILT}-{key.hexdigest()[:16]}.so"
    if path.is_file():
        return path
    if compiler is None:
        raise ImportError(
            f"{_BUILT} is not built and there is no C compiler (cc) on PATH: install one, or install the package by "
            "pip or colcon on a machine that has one"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        target = Path(temporary) / path.name
        inputs = [str(source) for source in sources if source.suffix == ".c"]
        command = [compiler, *_FLAGS, *inputs, "-o", str(target), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ImportError(f"{' '.join(command)} failed:\n{done.stderr}")
        target.replace(path)  # at once, for others may be doing the same
    return path


def _camera(camera: Pinhole, rotation: NDArray[np.float64], centre: NDArray[np.float64]) -> _Camera:
    return _Camera(
        camera.fx, camera.fy, camera.cx, camera.cy, (ctypes.c_double * 9)(*rotation.ravel()),
        (ctypes.c_double * 3)(*centre), camera.width, camera.height,
    )  # fmt: skip


def _keyframe(keyframe: Keyframe) -> _Keyframe:
    arrays = keyframe.colour, keyframe.surface, keyframe.leading, keyframe.leaders, keyframe.edges
    return _Keyframe(
        _camera(keyframe.camera, keyframe.rotation, keyframe.centre), *(array.ctypes.data for array in arrays),
        len(keyframe.leaders), len(keyframe.edges),
    )  # fmt: skip


def render(
    keyframes: Sequence[Keyframe], camera: Pinhole, poses: NDArray[np.float64], chosen: NDArray[np.bool_]
) -> Prior:
    """Views of keyframes.

    Args:
        poses: T_world_camera (F, 4, 4). chosen: (F, K), which keyframes take part in which view.
    """
    count, shape = len(poses), (len(poses), camera.height, camera.width)
    frames, visibility = np.empty((*shape, 3), np.uint8), np.empty(shape, np.float32)
    depth, chosen = np.empty(shape, np.float32), np.ascontiguousarray(chosen)
    cameras = (_Camera * count)(*(_camera(camera, pose[:3, :3], pose[:3, 3]) for pose in poses))
    given = (_Keyframe * len(keyframes))(*map(_keyframe, keyframes))
    failed = _library().scene_memory_render(
        given, len(keyframes), cameras, count, chosen.ctypes.data, UNKNOWN_DEPTH_M, frames.ctypes.data,
        visibility.ctypes.data, depth.ctypes.data,
    )  # fmt: skip
    if failed:
        raise MemoryError(f"no memory to render views of {camera.width}x{camera.height}")
    return Prior(frames, visibility, depth)


def compare(old: Keyframe, new: Keyframe, tolerance: float) -> NDArray[np.uint8]:
    """What a new keyframe shows of an older one's pixels, (H·W,).

    Args:
        tolerance: of depth, as a share of it, within which both show the same surface.
    """
    verdicts = np.empty(old.leading.size, np.uint8)
    _library().scene_memory_compare(
        ctypes.byref(_keyframe(old)), ctypes.byref(_keyframe(new)), tolerance, UNKNOWN_DEPTH_M, verdicts.ctypes.data
    )
    return verdicts
