"""Inputs and outputs of a pipeline, in the caller's world: a body pose, imagined futures, facts about the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.diffusion.sampler import Guidance, Pace, Schedule, Solver
from egotwin_model.errors import ModelError, PoseError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.prior import Prior
from egotwin_model.geometry.skeleton import NUM_JOINTS
from egotwin_model.motion.representation import BodyMotion


@dataclass(frozen=True)
class BodyState:
    """One body pose in the caller's world frame.

    Attributes:
        positions: (J, 3) metres, in `skeleton.XSENS_JOINTS` order (J = 23) unless the model has another skeleton.
        rotations: (J, 3, 3) global rotations of the segment frames.
    """

    positions: NDArray[np.floating]
    rotations: NDArray[np.floating]

    def check(self, num_joints: int = NUM_JOINTS) -> None:
        """`PoseError` unless of the right shape, finite, and of real rotations."""
        if self.positions.shape != (num_joints, 3) or self.rotations.shape != (num_joints, 3, 3):
            order = "Xsens order" if num_joints == NUM_JOINTS else "the model's order"
            raise PoseError(
                f"body pose has positions {self.positions.shape} and rotations {self.rotations.shape}; "
                f"wanted ({num_joints}, 3) and ({num_joints}, 3, 3) in {order}"
            )
        if not (np.isfinite(self.positions).all() and np.isfinite(self.rotations).all()):
            raise PoseError("body pose holds NaN or infinite values; send only poses that are fully tracked")
        gram = self.rotations @ np.swapaxes(self.rotations, -1, -2)
        if not np.allclose(gram, np.eye(3), atol=1e-3) or (np.linalg.det(self.rotations) < 0).any():
            raise PoseError("body pose holds matrices that are no rotations; normalise the quaternions first")


@dataclass(frozen=True)
class ModelInfo:
    """What a caller must know of a model.

    Attributes:
        sha256: of the model folder's manifest, which lists the sum of every file.
        camera, mount: the pinhole view the model was trained on, and where that camera sits in the head frame.
        horizon_s: seconds a generation covers, (num_frames − 1) / frame_rate.
    """

    name: str
    sha256: str
    camera: Pinhole
    mount: Mount
    num_frames: int
    frame_rate: float
    num_poses: int
    pose_rate: float

    @property
    def horizon_s(self) -> float:
        return (self.num_frames - 1) / self.frame_rate

    @property
    def poses_per_frame(self) -> int:
        """Poses from one frame to the next."""
        return (self.num_poses - 1) // (self.num_frames - 1)

    @classmethod
    def from_index(cls, index: Mapping[str, Any], name: str, checksum: str) -> ModelInfo:
        """From ``model_index.json``."""
        mount = index["mount"]
        return cls(
            name=name,
            sha256=checksum,
            camera=Pinhole(**index["camera"]),
            mount=Mount(tuple(mount["translation"]), tuple(tuple(row) for row in mount["rotation"])),
            num_frames=index["num_frames"],
            frame_rate=index["frame_rate"],
            num_poses=index["num_poses"],
            pose_rate=index["pose_rate"],
        )


@dataclass(frozen=True)
class Imagination:
    """S imagined futures; index 0 in time is the given frame and pose.

    Attributes:
        frames: uint8 (S, F, H, W, 3) RGB; F = 0 where no video was asked for.
        motion: (S, T, 23, …) in the caller's world frame; T = 0 where the model makes none and none was given.
        frame_times, motion_times: (F,) and (T,) seconds from the given frame.
        seed: repeats the generation; on another device or runtime up to rounding.
        seam_times: seconds at which a rolled imagination's windows meet; empty for a single window.
        prior: what was known of the frames before they were imagined, (S, F, H, W) rendered along each motion; None
            where nothing was.
        goal_confidence: share of goals like this one that the model obeyed, 0 … 1; of several goals the least. None
            for a model that tells none.
    """

    frames: NDArray[np.uint8]
    motion: BodyMotion
    frame_times: NDArray[np.float64]
    motion_times: NDArray[np.float64]
    seed: int
    seam_times: tuple[float, ...] = ()
    prior: Prior | None = None
    goal_confidence: float | None = None


@dataclass(frozen=True)
class SamplingDefaults:
    """What a model was found to sample best with; stored in its ``model_index.json``.

    Attributes:
        solver: see `Solver`. video_pace, motion_pace: the modalities' own timestep lists in mode "joint"; with a prior
            condition, motion's must run ahead for a prior to be known.
        prior_start: see `Sampler`.
    """

    num_steps: int = 8
    guidance: Guidance = field(default_factory=lambda: Guidance(1.0, 1.0, 1.0))
    schedule: Schedule = field(default_factory=Schedule)
    solver: Solver = field(default_factory=Solver)
    video_pace: Pace = field(default_factory=Pace)
    motion_pace: Pace = field(default_factory=Pace)
    prior_start: float = 1.0

    @classmethod
    def from_index(cls, sampling: Mapping[str, Any]) -> SamplingDefaults:
        """From the "sampling" of ``model_index.json``; what an older folder does not say takes its default.

        Raises:
            ModelError: an unknown setting or a value that is none.
        """
        kinds = {
            "guidance": Guidance, "schedule": Schedule, "solver": Solver, "video_pace": Pace, "motion_pace": Pace,
        }  # fmt: skip
        try:
            parts = {name: kinds[name](**value) if name in kinds else value for name, value in sampling.items()}
            return cls(**parts)
        except TypeError as error:
            raise ModelError(f'model_index.json: "sampling" does not describe a sampler: {error}') from error
