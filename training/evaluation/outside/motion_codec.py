"""Real motion through the motion codec: errors of joints and head on motion capture that no training has read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from egotwin_model.egotwin.pipeline import EgoTwinPipeline
from egotwin_model.geometry.rotations import rotation_angle
from egotwin_model.geometry.skeleton import HEAD
from egotwin_model.motion.representation import BodyMotion
from training.datasets.mocap.capture_folder import CaptureFolder
from training.datasets.mocap.captured_motion import CapturedMotion
from training.evaluation.metrics.intervals import mean_figure


def captured_windows(motion: CapturedMotion, rate_hz: float, poses: int) -> Iterator[BodyMotion]:
    """A captured motion cut into windows of `poses` at `rate_hz` that do not overlap, (1, T, 23, …) each."""
    count = int((len(motion.pelvis) - 1) / motion.rate_hz * rate_hz + 1e-6) + 1
    picks = np.rint(np.arange(count) * motion.rate_hz / rate_hz).astype(int)
    positions, rotations = motion.positions()[picks], motion.rotations[picks]
    for first in range(0, count - poses + 1, poses):
        window = slice(first, first + poses)
        p, r = positions[window][None], rotations[window][None]
        yield BodyMotion(p, r, p[..., HEAD, :], r[..., HEAD, :, :])


def codec_on_captures(pipeline: EgoTwinPipeline, folder: Path) -> dict[str, dict[str, float]]:
    """Mean joint error [m] and head rotation error [rad] of encoded and decoded motion capture, over windows."""
    codec, info = pipeline.codec, pipeline.info
    joints, heads = [], []
    for motion in CaptureFolder.load(folder).motions:
        for window in captured_windows(motion, info.pose_rate, info.num_poses):
            back = codec.decode_motion(codec.encode_motion(window), window)
            joints.append(float(np.linalg.norm(back.positions - window.positions, axis=-1).mean()))
            heads.append(float(rotation_angle(back.head_rotations, window.head_rotations).mean()))
    return {"joint error [m]": mean_figure(joints), "head rotation error [rad]": mean_figure(heads)}
