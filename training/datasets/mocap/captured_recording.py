"""A motion-capture recording: a skeleton of any kind and its motion, in the recording's own axes and units."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import RecordingError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording in its own axes and units.

    Attributes:
        name: of the file, without its suffix.
        rate_hz: frames per second.
        joints: J names. parents: index of each joint's parent, -1 for the root, parents first.
        offsets: (J, 3) from the parent's joint in the rest pose. tips: (J, 3) from a joint to the end of its bone.
        root: (T, 3) path of the root joint.
        rotations: (T, J, 3, 3) global rotation of each joint's bone, identity in the rest pose.
    """

    name: str
    rate_hz: float
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Array
    tips: Array
    root: Array
    rotations: Array

    def positions(self) -> Array:
        """Joint positions (T, J, 3), by forward kinematics."""
        places = np.empty((len(self.root), len(self.joints), 3))
        for joint, parent in enumerate(self.parents):
            start = self.root if parent < 0 else places[:, parent] + self.rotations[:, parent] @ self.offsets[joint]
            places[:, joint] = start
        return places

    def rest_positions(self) -> Array:
        """Joint positions (J, 3) of the rest pose, the root at the origin."""
        places = np.zeros((len(self.joints), 3))
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                places[joint] = places[parent] + self.offsets[joint]
        return places


def checked(recording: Recording, path: Path) -> Recording:
    """`recording`, or `RecordingError` where it has too few frames or numbers that are not finite."""
    if len(recording.root) < 2:
        raise RecordingError(f"{path} holds {len(recording.root)} frame(s), wanted at least 2")
    if not (np.isfinite(recording.root).all() and np.isfinite(recording.rotations).all()):
        raise RecordingError(f"{path} holds numbers that are not finite")
    return recording
