"""A skeleton with fingers, other than the one that everything defaults to."""

from __future__ import annotations

SMPL_H_BODY = {
    "pelvis": -1, "left_hip": 0, "right_hip": 0, "spine1": 0, "left_knee": 1, "right_knee": 2, "spine2": 3,
    "left_ankle": 4, "right_ankle": 5, "spine3": 6, "left_foot": 7, "right_foot": 8, "neck": 9, "left_collar": 9,
    "right_collar": 9, "head": 12, "left_shoulder": 13, "right_shoulder": 14, "left_elbow": 16, "right_elbow": 17,
    "left_wrist": 18, "right_wrist": 19,
}  # fmt: skip


def smpl_h() -> tuple[tuple[str, ...], tuple[int, ...]]:
    """SMPL-H's 52 joints: a body of 22, then three joints for each of five fingers, left hand before right."""
    names, parents = list(SMPL_H_BODY), list(SMPL_H_BODY.values())
    for side, wrist in (("left", 20), ("right", 21)):
        for finger in ("index", "middle", "pinky", "ring", "thumb"):
            parents += [wrist, len(parents), len(parents) + 1]
            names += [f"{side}_{finger}{number}" for number in (1, 2, 3)]
    return tuple(names), tuple(parents)
