"""Surface structures of furniture as cube textures, which multiply a geom's colour: wood, cloth, metal, paint.

A room uses a few of its split's. Each is made once per process.
"""

from __future__ import annotations

from functools import cache

import cv2
import mujoco
import numpy as np
from numpy.typing import NDArray

from training.simulator.rooms.palette import CLOTH, METAL, PAINT, WOOD
from training.simulator.rooms.photographs import Image, names_of, relief
from training.simulator.rooms.textures import noise, to_uint8

KINDS_OF = {WOOD: ("wood", "boards"), CLOTH: ("cloth",), METAL: ("metal",), PAINT: ("plaster",)}
USED = {WOOD: 4, CLOTH: 3, METAL: 1, PAINT: 2}
"""How many structures of a finish one room uses."""
_MADE = 8  # of each finish, for the rooms to choose from
_SIDE = {WOOD: 96, CLOTH: 64, METAL: 32, PAINT: 32}
_STRENGTH = {WOOD: 0.8, CLOTH: 0.5, METAL: 0.8, PAINT: 0.35}


@cache
def grain(split: str, finish: str, index: int) -> NDArray[np.uint8]:
    """One structure, six faces below one another: (6 * side, side, 3), mean about 0.93."""
    rng = np.random.default_rng([index, 91, list(USED).index(finish), len(split)])
    name = str(rng.choice([name for kind in KINDS_OF[finish] for name in names_of(kind, split)]))
    whole, faces = relief(name), []
    turned = finish == WOOD and index % 2 == 1
    for _ in range(6):
        side = int(rng.integers(len(whole) // 3, len(whole)))
        y, x = rng.integers(0, len(whole) - side + 1, 2)
        face = cv2.resize(whole[y : y + side, x : x + side], (_SIDE[finish],) * 2, interpolation=cv2.INTER_AREA)
        face = 1 + _STRENGTH[finish] * (face - 1)
        if finish == CLOTH:
            face = face * _folds(rng, _SIDE[finish])
        faces.append(to_uint8(0.93 * (np.swapaxes(face, 0, 1) if turned else face)))
    return np.ascontiguousarray(np.concatenate(faces))


def _folds(rng: np.random.Generator, side: int) -> Image:
    """Factors of soft folds and, in some cloths, stripes or checks: (side, side, 1)."""
    light = 1 + 0.09 * noise(rng, side, side, side / 4)
    kind, pitch = rng.uniform(), rng.uniform(6, 16)
    stripe = np.where(np.arange(side) % pitch < pitch / 2, 1.0, rng.uniform(0.7, 0.95))
    if kind < 0.25:
        light = light * stripe[:, None]
    elif kind < 0.4:
        light = light * stripe[:, None] * stripe
    return light.astype(np.float32)[..., None]


def add_grains(spec: mujoco.MjSpec, rng: np.random.Generator, split: str) -> dict[str, tuple[str, ...]]:
    """Adds a random choice of structures to a building; their materials' names by finish."""
    return {
        finish: tuple(
            add_cube(spec, f"grain_{finish}_{k}", grain(split, finish, int(number)))
            for k, number in enumerate(rng.permutation(_MADE)[:used])
        )
        for finish, used in USED.items()
    }


def add_cube(spec: mujoco.MjSpec, name: str, image: NDArray[np.uint8]) -> str:
    """Adds six faces below one another, (6 * side, side, 3), as a cube texture and a material; returns the name."""
    texture = spec.add_texture(
        name=name, type=mujoco.mjtTexture.mjTEXTURE_CUBE, width=image.shape[1], height=image.shape[0], nchannel=3
    )
    texture.data = image.tobytes()
    material = spec.add_material(name=name, specular=0.05, shininess=0.1)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    return name
