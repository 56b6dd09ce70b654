"""Trains the learned camera path: a CNN that predicts from two successive frames how the camera moved."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor, nn
from torch.nn import functional as F

from egotwin_model.errors import RecordingError
from training.datasets.clips.cameras import ClipCameras, same_view
from training.datasets.clips.dataset import ClipSet, open_clips
from training.evaluation.errors import require
from training.evaluation.extractors.base import frames_to_tensor
from training.evaluation.extractors.extractor_networks import FRAME_SIDE, CameraConfig, CameraRegressor
from training.stages.random_streams import RandomStreams
from training.stages.stage import Stage
from training.stages.train_config import TrainConfig

VALIDATION_CLIPS = 64
_MIRROR = torch.tensor([1.0, -1.0, -1.0, -1.0, 1.0, 1.0])  # of a step, where left and right are exchanged


@dataclass(frozen=True)
class CameraRecipe:
    """The camera evaluator: TransErr and RotErr beside COLMAP's. `pairs`: frames sampled from each clip of a batch."""

    train: TrainConfig = field(
        default_factory=lambda: TrainConfig(3000, 32, 1e-3, warmup=100, ema_decay=0.99, validate_every=500)
    )
    model: CameraConfig = field(default_factory=CameraConfig)
    pairs: int = 8


class CameraStage(Stage):
    """Smooth L1 on the steps of sampled pairs, some of them mirrored or reversed in time."""

    name = "camera"

    def __init__(self, recipe: CameraRecipe, data: Path) -> None:
        self.recipe = recipe
        self.clips, self.validation = open_clips(data / "train"), open_clips(data / "val")
        require(self.clips, "camera_pose")
        for clips in (self.clips, self.validation):
            _check_view(clips, recipe.model)
        torch.manual_seed(recipe.train.seed)
        self.model: nn.Module = CameraRegressor(recipe.model)

    def __len__(self) -> int:
        return len(self.clips)

    def batch(self, indices: Tensor, streams: RandomStreams) -> dict[str, Tensor]:
        pairs, steps = [], []
        last = len(self.clips.tensor("camera_pose", 0)) - 1
        chosen = (streams.uniform(self.recipe.pairs) * last).long().numpy()
        for index, first in zip(indices.tolist(), chosen, strict=True):
            images, step = _pairs(self.clips, index, first, self.recipe.model)
            pairs.append(images)
            steps.append(step)
        kind = streams.uniform(self.recipe.pairs).flatten()
        return _turned(torch.cat(pairs), torch.cat(steps), kind < 0.5, (4.0 * kind).long() % 2 == 1, self.recipe.model)

    def loss(self, model: nn.Module, batch: dict[str, Tensor], streams: RandomStreams) -> dict[str, Tensor]:
        return {"loss": F.smooth_l1_loss(model(batch["pairs"]).float(), batch["steps"])}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Mean error of a step."""
        config, errors = self.recipe.model, []
        for index in range(min(VALIDATION_CLIPS, len(self.validation))):
            first = np.arange(len(self.validation.tensor("camera_pose", index)) - 1)
            pairs, steps = _pairs(self.validation, index, first, config)
            errors.append((model(pairs).float() - steps).unflatten(1, (2, 3)).norm(dim=-1).mean(0))
        turn, shift = torch.stack(errors).mean(0).tolist()
        return {
            "val_step_turn_deg": float(np.rad2deg(config.turn * turn)),
            "val_step_shift_cm": 100 * config.shift * shift,
        }

    def resolved(self) -> dict[str, Any]:
        return {"_class_name": "CameraRegressor", **asdict(self.recipe.model)}


def _check_view(clips: ClipSet, config: CameraConfig) -> None:
    camera = ClipCameras(clips).shared().intrinsics
    if not same_view(config.view, camera.scaled(FRAME_SIDE, FRAME_SIDE)):
        raise RecordingError(
            f"{clips.folder}: the clips' view is {np.degrees(camera.fov_x):.1f}° wide, this evaluator reads square "
            f"centred views of {config.fov_deg:g}°; set --model.fov-deg, or use clips of such a view"
        )


def _pairs(clips: ClipSet, index: int, first: NDArray[np.int64], config: CameraConfig) -> tuple[Tensor, Tensor]:
    """Pairs (P, 6, 64, 64) of the `first` (P,) frames of a clip and the next ones, and the steps (P, 6) between."""
    frames, poses = clips.tensor("frames", index), clips.tensor("camera_pose", index).astype(np.float64)
    images = torch.cat([frames_to_tensor(frames[chosen], FRAME_SIDE) for chosen in (first, first + 1)], dim=1)
    between = np.linalg.inv(poses[first]) @ poses[first + 1]
    turns = Rotation.from_matrix(between[:, :3, :3]).as_rotvec()
    steps = np.concatenate([turns / config.turn, between[:, :3, 3] / config.shift], axis=-1)
    return images, torch.from_numpy(steps.astype(np.float32))


def _turned(pairs: Tensor, steps: Tensor, mirrored: Tensor, back: Tensor, config: CameraConfig) -> dict[str, Tensor]:
    """Some pairs with left and right exchanged, and some back in time, with the steps that then are true."""
    pairs, steps = pairs.clone(), steps.clone()
    pairs[mirrored], steps[mirrored] = pairs[mirrored].flip(-1), steps[mirrored] * _MIRROR
    if not back.any():
        return {"pairs": pairs, "steps": steps}
    pairs[back] = torch.cat([pairs[back, 3:], pairs[back, :3]], dim=1)
    turn = Rotation.from_rotvec(config.turn * steps[back, :3].double().numpy())
    shift = -turn.inv().apply(config.shift * steps[back, 3:].double().numpy()) / config.shift
    steps[back] = torch.cat([-steps[back, :3], torch.from_numpy(shift).float()], dim=1)
    return {"pairs": pairs, "steps": steps}
