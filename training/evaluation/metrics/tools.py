"""What metrics ask of feature extractors; `training.evaluation.extractors` has those that answer.

Every extractor has a name, a version and the SHA-256 of its weights, which are printed beside each number that it gave;
numbers of different extractors never share a column. `official` says that the paper's own network was used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.camera import Pinhole

Features = NDArray[np.float32]


@dataclass(frozen=True)
class ExtractorId:
    """Which network gave the features; `official`: the one the paper's numbers are made with."""

    name: str
    version: str
    sha256: str
    official: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.sha256[:12]})"


@dataclass(frozen=True)
class CameraPath:
    """The frames whose camera was found, N of F.

    Attributes:
        frames: (N,) indices, ascending. rotations: (N, 3, 3) and positions (N, 3): T_world_camera, optical, in a world
            and scale of its own.
    """

    frames: NDArray[np.int64]
    rotations: NDArray[np.float64]
    positions: NDArray[np.float64]


class FrameExtractor(Protocol):
    """Features of single frames, for I-FID."""

    identity: ExtractorId

    def __call__(self, frames: NDArray[np.uint8]) -> Features:
        """uint8 (F, H, W, 3) RGB to (F, D)."""
        ...


class ClipExtractor(Protocol):
    """Features of whole clips, for FVD."""

    identity: ExtractorId

    def __call__(self, frames: NDArray[np.uint8]) -> Features:
        """uint8 (F, H, W, 3) RGB to (D,)."""
        ...


class FrameTextExtractor(Protocol):
    """Frames and texts in one space, for CLIP-SIM."""

    identity: ExtractorId

    def frames(self, frames: NDArray[np.uint8]) -> Features:
        """uint8 (F, H, W, 3) RGB to (F, D), or (1, D) where clips are read whole."""
        ...

    def text(self, text: str) -> Features:
        """(D,)."""
        ...


class MotionTextExtractor(Protocol):
    """Motions and texts in one space, for M-FID, R-Precision, MM-Dist and Diversity."""

    identity: ExtractorId

    def motion(self, positions: NDArray[Any], rotations: NDArray[Any]) -> Features:
        """(T, 23, 3) and (T, 23, 3, 3) to (D,)."""
        ...

    def text(self, text: str) -> Features:
        """(D,)."""
        ...


class HandFinder(Protocol):
    """Whether a hand is in the frame, for HandScore."""

    identity: ExtractorId

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """uint8 (F, H, W, 3) RGB to (F, 2): left, right."""
        ...


class CameraPathFinder(Protocol):
    """Camera paths by structure from motion, for TransErr and RotErr; `stride`: every so many frames are used."""

    stride: int

    @property
    def identity(self) -> ExtractorId: ...

    def __call__(self, frames: NDArray[np.uint8], camera: Pinhole) -> CameraPath:
        """Of uint8 (F, H, W, 3) RGB with these intrinsics; the path is empty where nothing was found."""
        ...


class CameraPathRegressor(Protocol):
    """Camera paths by a network, which places every frame."""

    identity: ExtractorId

    def reads(self, camera: Pinhole) -> bool:
        """Whether it was trained on such a view."""
        ...

    def __call__(self, frames: NDArray[np.uint8]) -> CameraPath:
        """Of uint8 (F, H, W, 3) RGB of a camera that it `reads`."""
        ...


@dataclass(frozen=True)
class Tools:
    """The extractors of a run; None: what needs it is not measured."""

    images: FrameExtractor | None = None
    clips: ClipExtractor | None = None
    frame_text: FrameTextExtractor | None = None
    motion_text: MotionTextExtractor | None = None
    hands: HandFinder | None = None
    camera_paths: CameraPathFinder | None = None
    learned_camera_paths: CameraPathRegressor | None = None

    def identities(self) -> dict[str, ExtractorId]:
        """By the role that the report names."""
        found = {
            "I-FID": self.images, "FVD": self.clips, "CLIP-SIM": self.frame_text, "text and motion": self.motion_text,
            "hands": self.hands, "camera path": self.camera_paths,
            "learned camera path": self.learned_camera_paths,
        }  # fmt: skip
        return {role: tool.identity for role, tool in found.items() if tool is not None}
