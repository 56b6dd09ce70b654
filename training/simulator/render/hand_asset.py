"""Makes the hand meshes in assets/ from the WebXR generic hand.

`python -m training.simulator.render.hand_asset left.glb`

Source: npm package `@webxr-input-profiles/assets` 1.0.20, `dist/profiles/generic-hand/left.glb` (MIT, see
assets/LICENSE.generic-hand). Its fingers are bent by linear blend skinning into three poses, relaxed, half closed and
closed; the result is in the left hand segment's frame (wrist at the origin, fingers along +y, palm down, thumb along
+x). The right hand is its mirror image.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy.spatial.transform import Rotation

from egotwin_model.io.files import write_atomically

Array = NDArray[np.float64]
ASSET = Path(__file__).parent / "assets" / "hand.safetensors"
FINGER_POSES = ("relaxed", "half", "closed")
_TO_SEGMENT = np.array([[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])
_FINGERS = ("index-finger", "middle-finger", "ring-finger", "pinky-finger")
_BONES = ("phalanx-proximal", "phalanx-intermediate", "phalanx-distal", "tip")
# Degrees by which each bone of a finger, and the thumb's three, bend towards the palm in each pose.
_BEND = {"relaxed": (16, 22, 12, 0), "half": (38, 42, 22, 0), "closed": (60, 68, 36, 0)}
_THUMB = {"relaxed": (0, 6, 8), "half": (14, 16, 18), "closed": (26, 28, 34)}
_DTYPES = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


@cache
def hand_meshes() -> dict[str, NDArray[Any]]:
    """``faces`` (F, 3) uint16 and of each of `FINGER_POSES` the left hand's vertices (V, 3) float32, metres."""
    return {name: a if a.dtype == np.uint16 else a.astype(np.float32) for name, a in load_file(ASSET).items()}


def convert(source: Path) -> dict[str, NDArray[Any]]:
    """Tensors of the asset from the generic hand's left.glb."""
    document, binary = _read_glb(source)
    primitive = document["meshes"][0]["primitives"][0]
    attributes = {name: _accessor(document, binary, k) for name, k in primitive["attributes"].items()}
    faces = _accessor(document, binary, primitive["indices"]).reshape(-1, 3)
    skin = document["skins"][0]["joints"]
    places = {document["nodes"][k]["name"]: np.array(document["nodes"][k]["translation"]) for k in skin}
    wrist = places["wrist"]
    joints = {name: _TO_SEGMENT @ (place - wrist) for name, place in places.items()}
    vertices = (attributes["POSITION"].astype(float) - wrist) @ _TO_SEGMENT.T
    names = [document["nodes"][k]["name"] for k in skin]
    faces, vertices, owners, weights = _welded(faces, vertices, attributes["JOINTS_0"], attributes["WEIGHTS_0"])
    meshes: dict[str, NDArray[Any]] = {"faces": faces.astype(np.uint16)}
    for pose in FINGER_POSES:
        bones = _posed(joints, pose)
        moves = np.stack([bones.get(name, np.eye(4)) for name in names])
        blended = np.einsum("vk,vkij->vij", weights, moves[owners])
        meshes[pose] = (np.einsum("vij,vj->vi", blended[:, :3, :3], vertices) + blended[:, :3, 3]).astype(np.float16)
    return meshes


def _posed(joints: dict[str, Array], pose: str) -> dict[str, Array]:
    """Transform (4, 4) of each bent bone from the open hand, chained from the palm outwards."""
    moves: dict[str, Array] = {}
    for finger in _FINGERS:
        move = np.eye(4)
        for bone, degrees in zip(_BONES, _BEND[pose], strict=True):
            name = f"{finger}-{bone}"
            move = move @ _about(joints[name], Rotation.from_rotvec([-np.radians(degrees), 0, 0]))
            moves[name] = move
    move = np.eye(4)
    for bone, degrees in zip(("metacarpal", "phalanx-proximal", "phalanx-distal"), _THUMB[pose], strict=True):
        name = f"thumb-{bone}"
        bend = Rotation.from_rotvec(np.radians(degrees) * np.array([0.0, 0.75, 0.66]))
        move = move @ _about(joints[name], bend)
        moves[name] = move
    moves["thumb-tip"] = move
    return moves


def _about(point: Array, rotation: Rotation) -> Array:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation.as_matrix()
    matrix[:3, 3] = point - matrix[:3, :3] @ point
    return matrix


def _welded(
    faces: NDArray[Any], vertices: Array, owners: NDArray[Any], weights: NDArray[Any]
) -> tuple[NDArray[Any], Array, NDArray[Any], Array]:
    """Merges the copies of vertices that seams of the texture need."""
    _, first, index = np.unique(vertices.round(6), axis=0, return_index=True, return_inverse=True)
    joined = index.reshape(-1)[faces]
    whole = (joined[:, 0] != joined[:, 1]) & (joined[:, 1] != joined[:, 2]) & (joined[:, 2] != joined[:, 0])
    return joined[whole], vertices[first], owners[first], weights[first].astype(float)


def _read_glb(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    (length,) = struct.unpack_from("<I", data, 12)
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def _accessor(document: dict[str, Any], binary: bytes, index: int) -> NDArray[Any]:
    accessor = document["accessors"][index]
    view = document["bufferViews"][accessor["bufferView"]]
    width, dtype = _WIDTHS[accessor["type"]], _DTYPES[accessor["componentType"]]
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    return np.frombuffer(binary, dtype, accessor["count"] * width, start).reshape(accessor["count"], width)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="left.glb of the generic hand")
    options = parser.parse_args(argv)
    tensors = convert(options.source)
    write_atomically(ASSET, lambda temporary: save_file(tensors, temporary))
    print(
        f"{ASSET}: {len(tensors['faces'])} triangles, {len(tensors['relaxed'])} vertices, {ASSET.stat().st_size} bytes"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
