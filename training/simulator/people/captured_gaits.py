"""Walk cycles from motion capture: one stride of every straight walk in a recording."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.signal import find_peaks
from scipy.spatial.transform import Rotation

from egotwin_model.geometry.rotations import rotation_z
from egotwin_model.geometry.skeleton import local_rotations
from training.actions.walking import WALK_FORWARD
from training.datasets.mocap.captured_motion import JOINT, CapturedMotion
from training.datasets.mocap.segments import Cut
from training.simulator.people.gaits import WalkCycle, cycle_of

_STRIDE_S, _STRIDE_M, _SWING = (0.85, 1.6), (0.8, 2.0), (0.3, 0.48)  # ranges of human walks
_LEAST_STRIDE_S = 0.7


def gaits_of(motion: CapturedMotion, cuts: Sequence[Cut]) -> list[WalkCycle]:
    """A walk cycle of each straight walk that shows a whole stride."""
    positions, gaits = motion.positions(), []
    for part in cuts:
        if part.action != WALK_FORWARD.name:
            continue
        shown = slice(round(part.start_s * motion.rate_hz), round(part.end_s * motion.rate_hz))
        course = positions[shown][-1, 0] - positions[shown][0, 0]
        back = rotation_z(-np.arctan2(course[1], course[0]))
        walk = positions[shown] @ back.T
        strikes, _ = find_peaks(walk[:, JOINT["R_Foot"], 0] - walk[:, 0, 0], distance=_LEAST_STRIDE_S * motion.rate_hz)
        if len(strikes) < 2:
            continue
        stride = slice(strikes[0], strikes[1] + 1)
        rotations = back @ motion.rotations[shown][stride]
        local = Rotation.from_matrix(local_rotations(rotations).reshape(-1, 3, 3)).as_rotvec().reshape(-1, 23, 3)
        gait = cycle_of(walk[stride, 0], local, float((strikes[1] - strikes[0]) / motion.rate_hz))
        if _human(gait):
            gaits.append(gait)
    return gaits


def _human(gait: WalkCycle) -> bool:
    ranges = ((_STRIDE_S, gait.duration_s), (_STRIDE_M, gait.stride), (_SWING, gait.swing_fraction))
    return all(low < value < high for (low, high), value in ranges)
