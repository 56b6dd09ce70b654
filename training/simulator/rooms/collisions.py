"""Penetration of a body into walls, furniture and doors: points along its bones against the room's solid boxes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.skeleton import HEAD, XSENS_JOINTS
from training.simulator.rooms.plan import RoomPlan, Solids

Array = NDArray[np.floating]
ALLOWED_M = 0.02
_CHUNK = 6  # poses that are checked against the same few boxes around them
_BONES: tuple[tuple[str, str, float], ...] = (
    ("Pelvis", "L3", 0.06), ("L3", "T8", 0.07), ("T8", "Neck", 0.06),
    *((f"{side}_{a}", f"{side}_{b}", radius) for side in "LR" for a, b, radius in (
        ("UpperLeg", "LowerLeg", 0.04), ("LowerLeg", "Foot", 0.035), ("UpperArm", "Forearm", 0.025),
        ("Forearm", "Hand", 0.015), ("Foot", "Toe", 0.02),
    )),
)  # fmt: skip
_INDEX = {name: index for index, name in enumerate(XSENS_JOINTS)}
_SAMPLES = np.array([0.15, 0.5, 0.85])
_HEAD_RADIUS = 0.09
_HEAD_CENTRE = np.array([0.02, 0.0, 0.095])  # in the head's frame


def penetration(
    plan: RoomPlan, positions: Array, rotations: Array, articulations: Mapping[str, Array] | None = None
) -> float:
    """Largest depth of limbs, trunk and head inside something solid: metres, 0 for none.

    Hands and carried objects do not count: hands are meant to touch things.

    Args:
        positions: (T, 23, 3) metres. rotations: (T, 23, 3, 3) global. articulations: {id: (T,) value} of what moves.
    """
    points, radii = body_points(positions, rotations)
    solids, parts = plan.solids, np.array(plan.solids.part, dtype=object)
    worst = _depth(solids.static, points, radii)
    for name in {str(part) for part in parts[parts != ""]} & set(plan.articulations):
        articulation, values = plan.articulations[name], (articulations or {}).get(name)
        moved = np.full(len(points), articulation.initial) if values is None else np.asarray(values)
        back = np.linalg.inv(articulation.transform(moved))
        closed = np.einsum("tij,tpj->tpi", back[:, :3, :3], points) + back[:, None, :3, 3]
        worst = max(worst, _depth(solids.select(parts == name), closed, radii))
    return worst


def body_points(positions: Array, rotations: Array) -> tuple[Array, Array]:
    """Points inside trunk, head and limbs (T, P, 3), and the radius of the body around each (P,) metres."""
    start, end = [_INDEX[bone[0]] for bone in _BONES], [_INDEX[bone[1]] for bone in _BONES]
    a, b = positions[:, start, None], positions[:, end, None]
    along = (a + _SAMPLES[:, None] * (b - a)).reshape(len(positions), -1, 3)
    head = positions[:, HEAD] + rotations[:, HEAD] @ _HEAD_CENTRE
    radii = np.repeat([radius for _, _, radius in _BONES], len(_SAMPLES))
    return np.concatenate([along, head[:, None]], axis=1), np.append(radii, _HEAD_RADIUS)


def _depth(solids: Solids, points: Array, radii: Array) -> float:
    """Largest depth of points (T, P, 3) with radii (P,) in any of the boxes; far boxes are skipped."""
    c, s = np.abs(np.cos(solids.yaw)), np.abs(np.sin(solids.yaw))
    x, y, z = solids.half.T
    reach = np.stack([c * x + s * y, s * x + c * y, z], axis=-1) + radii.max()
    worst = 0.0
    for start in range(0, len(points), _CHUNK):
        some = points[start : start + _CHUNK]
        low, high = some.min(axis=(0, 1)), some.max(axis=(0, 1))
        near = ((solids.centre + reach > low) & (solids.centre - reach < high)).all(axis=1)
        if near.any():
            worst = max(worst, float((radii - solids.select(near).distance(some)).max()))
    return worst
