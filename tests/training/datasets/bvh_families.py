"""A walking person, written as .bvh files of the kinds that are found in the world.

All hold the same motion. They differ in names, units, vertical axis, rest pose and in which joints have position
channels. Bones are those of a person 1.7 m tall, in centimetres, y up, facing +z, in T-pose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

THIGH, SHIN, HIP = 43.0, 42.0, 9.0
BONES = {
    "Hips": ("", (0, 0, 0)), "Spine": ("Hips", (0, 10, 0)), "Spine1": ("Spine", (0, 20, 0)),
    "Neck": ("Spine1", (0, 22, 0)), "Head": ("Neck", (0, 9, 0)),
    **{f"{side}{part}": (parent.replace("*", side), (sign * x, y, z))
       for side, sign in (("Left", 1), ("Right", -1))
       for part, parent, (x, y, z) in (
           ("Shoulder", "Spine1", (3, 15, 0)), ("Arm", "*Shoulder", (14, 0, 0)), ("ForeArm", "*Arm", (30, 0, 0)),
           ("Hand", "*ForeArm", (25, 0, 0)), ("UpLeg", "Hips", (HIP, -2, 0)), ("Leg", "*UpLeg", (0, -THIGH, 0)),
           ("Foot", "*Leg", (0, -SHIN, 0)), ("ToeBase", "*Foot", (0, -6, 14)))},
}  # fmt: skip
END = {"Head": (0, 15, 0), "ToeBase": (0, 0, 6), "Hand": (8, 0, 0)}  # of the bones that have no child, left side
NAMES = list(BONES)
Z_UP = Rotation.from_euler("x", 90, degrees=True).as_matrix()  # from y up to z up


@dataclass(frozen=True)
class Walk:
    """Global rotations (T, J, 3, 3) from the T-pose and the pelvis' path (T, 3), centimetres, 60 frames a second."""

    rotations: np.ndarray
    root: np.ndarray


def walk(frames: int = 150, speed: float = 90.0, turn_deg_s: float = 20.0) -> Walk:
    """A walk on a curve: each foot stands still for half of the time, arms hang and swing, knees bend forwards."""
    times = np.arange(frames) / 60
    yaw = np.radians(turn_deg_s) * times
    facing = Rotation.from_euler("y", yaw[:, None]).as_matrix()
    root = np.stack([np.cumsum(np.sin(yaw)), np.zeros(frames), np.cumsum(np.cos(yaw))], axis=-1) * speed / 60
    root[:, 1] = 88.0
    local = {name: np.tile(np.eye(3), (frames, 1, 1)) for name in NAMES}
    for side, phase in (("Left", 0.0), ("Right", 0.5)):
        part = (times + phase) % 1.0  # one stride a second
        swing = np.clip(part - 0.5, 0, 0.5) * 2
        ahead = speed / 2 * np.where(part < 0.5, 0.5 - 2 * part, swing - 0.5)
        lift = 10 * np.sin(np.pi * swing) ** 2
        down = root[:, 1] - 2 - 8.0 - lift
        reach = np.hypot(ahead, down)
        bend = np.pi - np.arccos((THIGH**2 + SHIN**2 - reach**2) / (2 * THIGH * SHIN))
        inner = np.arcsin(np.clip(SHIN * np.sin(bend) / reach, -1, 1))
        hip = -np.arctan2(ahead, down) - inner
        local[f"{side}UpLeg"] = Rotation.from_euler("x", hip[:, None]).as_matrix()
        local[f"{side}Leg"] = Rotation.from_euler("x", bend[:, None]).as_matrix()
        local[f"{side}Foot"] = Rotation.from_euler("x", (-hip - bend)[:, None]).as_matrix()
        sign = 1 if side == "Left" else -1
        arm = 0.3 * np.sin(2 * np.pi * (times + phase))
        hang = Rotation.from_euler("z", -sign * 80, degrees=True)
        local[f"{side}Arm"] = (Rotation.from_euler("x", arm[:, None]) * hang).as_matrix()
        local[f"{side}ForeArm"] = np.tile(
            Rotation.from_euler("y", -sign * 25, degrees=True).as_matrix(), (frames, 1, 1)
        )
    rotations = np.empty((frames, len(NAMES), 3, 3))
    for k, (name, (parent, _)) in enumerate(BONES.items()):
        rotations[:, k] = (rotations[:, NAMES.index(parent)] if parent else facing) @ local[name]
    return Walk(rotations, root)


@dataclass(frozen=True)
class Family:
    """One kind of file.

    Attributes:
        name_of: a joint's name in the file. scale: file units per centimetre. axes: from y up to the file's axes.
        rest: rotation of a bone from the file's rest pose to the T-pose, by the bone's direction there.
        positions: position channels on all joints. noise: of those, centimetres. above: a joint above the pelvis that
            does not move, "" for none.
    """

    name_of: Callable[[str], str] = str
    scale: float = 1.0
    axes: np.ndarray = field(default_factory=lambda: np.eye(3))
    rest: Callable[[np.ndarray], np.ndarray] = lambda direction: np.eye(3)
    positions: bool = False
    noise: float = 0.0
    above: str = ""


def along_x(direction: np.ndarray) -> np.ndarray:
    """The rotation that takes x to a bone's direction: at rest every bone points along x, as in LaFAN1."""
    unit = direction / np.linalg.norm(direction)
    side = np.cross(unit, [0.0, 0.0, 1.0] if abs(unit[2]) < 0.9 else [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side)
    return np.stack([unit, side, np.cross(unit, side)], axis=-1)


def bone_of(name: str) -> np.ndarray:
    """The direction in T-pose of a joint's bone: to its first child, or to its end."""
    child = next((offset for parent, offset in BONES.values() if parent == name), None)
    if child is None:
        part = name.removeprefix("Left").removeprefix("Right")
        child = tuple(np.array(END[part]) * (-1 if name == "RightHand" else 1))
    return np.array(child, dtype=float)


def bvh_text(family: Family, motion: Walk, bones: Mapping[str, tuple[str, tuple[float, ...]]] = BONES) -> str:
    """The motion as the text of a file of a family."""
    axes, rng, frames = family.axes, np.random.default_rng(0), len(motion.root)
    rest = {name: axes @ family.rest(bone_of(name)) for name in bones}
    offsets = {
        name: family.scale * (rest[parent].T @ axes @ np.array(offset, dtype=float) if parent else np.zeros(3))
        for name, (parent, offset) in bones.items()
    }
    world = {name: axes @ motion.rotations[:, k] @ axes.T @ rest[name] for k, name in enumerate(bones)}
    tree, order = _tree(family, bones, offsets, rest)
    columns: list[np.ndarray] = []
    for name in order:
        parent = bones[name][0]
        if not parent:
            columns.append(family.scale * motion.root @ axes.T)
        elif family.positions:
            columns.append(offsets[name] + family.scale * family.noise * rng.uniform(-1, 1, (frames, 3)))
        local = world[name] if not parent else world[parent].swapaxes(-1, -2) @ world[name]
        columns.append(Rotation.from_matrix(local).as_euler("ZYX", degrees=True))
    blank = [np.zeros((frames, 6))] if family.above else []
    rows = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in np.concatenate([*blank, *columns], axis=1))
    return "\n".join(["HIERARCHY", *tree, "MOTION", f"Frames: {frames}", "Frame Time: 0.0166667", rows, ""])


_POSITION, _ROTATION = "Xposition Yposition Zposition", "Zrotation Yrotation Xrotation"


def _tree(
    family: Family,
    bones: Mapping[str, tuple[str, tuple[float, ...]]],
    offsets: Mapping[str, np.ndarray],
    rest: Mapping[str, np.ndarray],
) -> tuple[list[str], list[str]]:
    """The lines of the hierarchy, and the joints in their order."""
    order: list[str] = []

    def node(name: str, kind: str) -> list[str]:
        order.append(name)
        with_positions = family.positions or not bones[name][0]
        channels = f"6 {_POSITION} {_ROTATION}" if with_positions else f"3 {_ROTATION}"
        lines = [f"{kind} {family.name_of(name)}", "{", _offset(offsets[name]), f"CHANNELS {channels}"]
        children = [child for child, (parent, _) in bones.items() if parent == name]
        for child in children:
            lines += node(child, "JOINT")
        if not children:
            lines += ["End Site", "{", _offset(family.scale * (rest[name].T @ family.axes @ bone_of(name))), "}"]
        return [*lines, "}"]

    tree = node("Hips", "JOINT" if family.above else "ROOT")
    if family.above:
        tree = [f"ROOT {family.above}", "{", "OFFSET 0 0 0", f"CHANNELS 6 {_POSITION} {_ROTATION}", *tree, "}"]
    return tree, order


def _offset(offset: np.ndarray) -> str:
    return f"OFFSET {' '.join(f'{value:.6f}' for value in offset)}"


def _bandai(name: str) -> str:
    part = name.removeprefix("Left").removeprefix("Right")
    plain = {"Arm": "UpperArm", "ForeArm": "LowerArm", "UpLeg": "UpperLeg", "Leg": "LowerLeg", "ToeBase": "Toes",
             "Spine1": "Chest"}.get(part, part)  # fmt: skip
    return f"{plain}_{name[0]}" if part != name else plain


def _biped(name: str) -> str:
    part = name.removeprefix("Left").removeprefix("Right")
    plain = {"Hips": "Pelvis", "UpLeg": "Thigh", "Leg": "Calf", "Arm": "UpperArm", "Shoulder": "Clavicle",
             "ToeBase": "Toe0"}.get(part, part)  # fmt: skip
    return f"Bip01_{name[0]}_{plain}" if part != name else f"Bip01_{plain}"


FAMILIES = {
    "cmu": Family(),
    "lafan1": Family(rest=along_x),
    "lafan1, z up, metres": Family(rest=along_x, axes=Z_UP, scale=0.01),
    "bandai-namco": Family(_bandai, positions=True, above="joint_Root"),
    "bandai-namco, z up, noisy": Family(_bandai, axes=Z_UP, positions=True, noise=0.2, above="joint_Root"),
    "mixamo": Family(lambda name: f"mixamorig:{name}"),
    "mixamo, underscores, metres": Family(lambda name: f"mixamorig_{name}", scale=0.01),
    "truebones": Family(_biped, rest=along_x, scale=1 / 2.54),
    "millimetres, z up": Family(rest=lambda _: Z_UP.T, axes=Z_UP, scale=10.0),
}
