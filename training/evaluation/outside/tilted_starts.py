"""Starts with a tilted head: does the body stay on the floor, and at rest, when only the head looks elsewhere?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from egotwin_model.egotwin.pipeline import EgoTwinPipeline
from egotwin_model.geometry.skeleton import HEAD
from training.evaluation.benchmark.baselines import by_rotation
from training.evaluation.benchmark.imagining import imagined
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.metrics.intervals import mean_figure, share_figure
from training.evaluation.metrics.predicted_clip import RealClip

ON_THE_FLOOR_M = 0.05


class Tilt(NamedTuple):
    """A turn of the head about its own axes, degrees: pitch up, roll to the right."""

    pitch: float
    roll: float


TILTS = (
    Tilt(0, 0), Tilt(-45, 0), Tilt(-20, 0), Tilt(30, 0), Tilt(45, 0), Tilt(0, -20), Tilt(0, -13), Tilt(0, 13),
    Tilt(0, 20), Tilt(-30, 15),
)  # fmt: skip
GOALS = {"walk": "walk forward", "rest": "stand still"}


def tilted(clip: RealClip, tilt: Tilt) -> RealClip:
    """The clip with the head of its first pose turned, and the first frame as the camera then sees it.

    The rest of the body stays. What the turned camera sees beyond the frame takes the colour of the frame's edge.
    """
    turn = Rotation.from_euler("yx", [-tilt.pitch, tilt.roll], degrees=True).as_matrix()
    rotations = clip.rotations.copy()
    rotations[0, HEAD] = rotations[0, HEAD] @ turn
    mount = np.asarray(clip.mount.rotation)
    T_now_first = np.eye(4)
    T_now_first[:3, :3] = mount.T @ turn.T @ mount
    frames = clip.frames.copy()
    frames[0] = by_rotation(clip, T_now_first)
    return replace(clip, frames=frames, rotations=rotations)


def tilted_starts(
    pipeline: EgoTwinPipeline, benchmark: Benchmark, numbers: Sequence[int], tilts: Sequence[Tilt] = TILTS
) -> dict[str, dict[str, float]]:
    """By tilt: how far the lowest joint has left its height after a clip, and how far a body at rest has moved.

    Args:
        numbers: clips that begin with standing.
    """
    found: dict[str, dict[str, float]] = {}
    for tilt in tqdm(tilts, desc="tilted heads", leave=False):
        starts = [tilted(benchmark.clip(number), tilt) for number in numbers]
        heights = np.array([_height_error(pipeline, start) for start in starts])
        name = f"pitch {tilt.pitch:+g}°, roll {tilt.roll:+g}°"
        found[f"{name}: lowest joint over the floor [m]"] = mean_figure(heights)
        found[f"{name}: within {ON_THE_FLOOR_M:g} m"] = share_figure(np.abs(heights) <= ON_THE_FLOOR_M)
        found[f"{name}: moved at rest [m]"] = mean_figure([_moved(pipeline, start) for start in starts])
    return found


def _height_error(pipeline: EgoTwinPipeline, start: RealClip) -> float:
    """Height of the lowest joint after "walk forward" over that of the first pose, metres."""
    motion = imagined(pipeline, start, "T2M", goal=GOALS["walk"]).motion
    assert motion is not None
    return float(motion.positions[0, -1, :, 2].min() - start.positions[0, :, 2].min())


def _moved(pipeline: EgoTwinPipeline, start: RealClip) -> float:
    """Distance of the pelvis after "stand still" from where it began, metres."""
    motion = imagined(pipeline, start, "T2M", goal=GOALS["rest"]).motion
    assert motion is not None
    return float(np.linalg.norm(motion.positions[0, -1, 0] - start.positions[0, 0]))
