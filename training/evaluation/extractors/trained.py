"""The trained evaluators as extractors: from the folders that ``egotwin train evaluators`` writes."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from egotwin_model.errors import ModelError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.io.files import sha256
from egotwin_model.io.store import WEIGHTS, load_component, load_tensors
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.statistics import MotionStatistics
from egotwin_model.text.encoders import TextEncoder
from training.datasets.clips.cameras import same_view
from training.evaluation.extractors.base import frames_to_tensor
from training.evaluation.extractors.extractor_networks import (
    FRAME_SIDE,
    STATISTICS,
    TEXT_LENGTH,
    TEXT_PACKAGE,
    CameraConfig,
    CameraRegressor,
    HandConfig,
    HandViT,
    TextMotion,
    TextMotionConfig,
    VideoText,
    VideoTextConfig,
)
from training.evaluation.metrics.tools import CameraPath, ExtractorId, Features

VERSION = "1"
EVALUATORS = ("text-motion", "video-text", "hands", "camera")
"""Folders of the trained evaluators."""


class TextStates:
    """Token states of goals by the frozen text encoder; each text is encoded once."""

    def __init__(self) -> None:
        self._encoder: TextEncoder | None = None
        self._known: dict[str, Tensor] = {}

    def __call__(self, text: str) -> Tensor:
        """(1, L, D)."""
        if text not in self._known:
            self._encoder = self._encoder or TextEncoder.from_package(TEXT_PACKAGE, TEXT_LENGTH)
            self._known[text] = self._encoder([text])
        return self._known[text]


class TextMotionEvaluator:
    """Texts and motions in our own space (`extractor_networks.TextMotion`)."""

    def __init__(self, folder: Path, texts: TextStates) -> None:
        self.identity = _identity(folder, "our text–motion GRU")
        self._network = load_component(folder, TextMotion, TextMotionConfig)
        self._statistics = MotionStatistics.from_tensors(load_tensors(folder / STATISTICS))
        self._texts, self._representation = texts, HeadCentric()

    @torch.inference_mode()
    def motion(self, positions: NDArray[Any], rotations: NDArray[Any]) -> Features:
        """(T, 23, 3) and (T, 23, 3, 3) to (D,)."""
        x, r = (torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)) for array in (positions, rotations))
        features = self._statistics.normalise(self._representation.encode(x, r))
        return self._network.motion(features[None])[0].numpy()

    @torch.inference_mode()
    def text(self, text: str) -> Features:
        """(D,)."""
        return self._network.text(self._texts(text))[0].numpy()


class VideoTextEvaluator:
    """Clips and texts in our own space (`extractor_networks.VideoText`): `__call__` for FVD, the rest for CLIP-SIM."""

    def __init__(self, folder: Path, texts: TextStates) -> None:
        self.identity = _identity(folder, "our video–text CNN")
        self._network = load_component(folder, VideoText, _config(VideoTextConfig))
        self._texts = texts

    @torch.inference_mode()
    def __call__(self, frames: NDArray[np.uint8]) -> Features:
        """uint8 (F, H, W, 3) RGB to (D,)."""
        return self._features(frames)[0].numpy()

    @torch.inference_mode()
    def frames(self, frames: NDArray[np.uint8]) -> Features:
        """uint8 (F, H, W, 3) RGB to (1, D): the clip is read whole."""
        return self._network.shared(self._features(frames)).numpy()

    @torch.inference_mode()
    def text(self, text: str) -> Features:
        """(D,)."""
        return self._network.text(self._texts(text))[0].numpy()

    def _features(self, frames: NDArray[np.uint8]) -> Tensor:
        video = frames_to_tensor(frames, FRAME_SIDE).transpose(0, 1)[None]
        return self._network.features(self._network.steps(video))


class HandEvaluator:
    """Hands in frames (`extractor_networks.HandViT`)."""

    def __init__(self, folder: Path) -> None:
        self.identity = _identity(folder, "our hand ViT")
        self._network = load_component(folder, HandViT, _config(HandConfig))

    @torch.inference_mode()
    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """uint8 (F, H, W, 3) RGB to (F, 2): left, right."""
        return (self._network(frames_to_tensor(frames, FRAME_SIDE)) > 0).numpy()


class CameraEvaluator:
    """Camera paths by a network (`extractor_networks.CameraRegressor`), in metres; every frame has a pose."""

    def __init__(self, folder: Path) -> None:
        self.identity = _identity(folder, "our camera CNN")
        self._network = load_component(folder, CameraRegressor, _config(CameraConfig))

    def reads(self, camera: Pinhole) -> bool:
        """Whether a camera has the view of the clips it was trained on; steps read from another view are wrong."""
        return same_view(self._network.config.view, camera.scaled(FRAME_SIDE, FRAME_SIDE))

    @torch.inference_mode()
    def __call__(self, frames: NDArray[np.uint8]) -> CameraPath:
        """Of uint8 (F, H, W, 3) RGB of a camera that it `reads`."""
        images = frames_to_tensor(frames, FRAME_SIDE)
        steps = self._network(torch.cat([images[:-1], images[1:]], dim=1)).double().numpy()
        config = self._network.config
        return chained(config.turn * steps[:, :3], config.shift * steps[:, 3:])


def chained(turns: NDArray[np.float64], shifts: NDArray[np.float64]) -> CameraPath:
    """The path of successive steps, rotation vectors and shifts (F - 1, 3), each in its first frame's optical frame."""
    rotations, positions = [np.eye(3)], [np.zeros(3)]
    for turn, shift in zip(Rotation.from_rotvec(turns).as_matrix(), shifts, strict=True):
        positions.append(positions[-1] + rotations[-1] @ shift)
        rotations.append(rotations[-1] @ turn)
    return CameraPath(np.arange(len(rotations)), np.stack(rotations), np.stack(positions))


def _config(kind: Callable[..., Any]) -> Callable[..., Any]:
    """A configuration from JSON, whose lists are tuples."""
    return lambda **values: kind(**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()})


def _identity(folder: Path, name: str) -> ExtractorId:
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"{folder} has no weights; run `egotwin train evaluators {folder.name} --out {folder.parent}`")
    return ExtractorId(name, VERSION, sha256(folder / WEIGHTS))


@lru_cache(maxsize=1)
def shared_texts() -> TextStates:
    """One encoder for all evaluators of a process."""
    return TextStates()
