"""The evaluators' training: stages for the one loop of `training.stages.trainer`, on a data folder's train split."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor, nn
from torch.nn import functional as F

from egotwin_model.io.store import save_tensors
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.statistics import MotionStatistics
from egotwin_model.text.encoders import TextEncoder
from training.datasets.clips.dataset import ClipSet, open_clips
from training.evaluation.errors import require
from training.evaluation.extractors.base import frames_to_tensor
from training.evaluation.extractors.camera_stage import CameraRecipe, CameraStage
from training.evaluation.extractors.extractor_networks import (
    FRAME_SIDE,
    STATISTICS,
    TEXT_LENGTH,
    TEXT_PACKAGE,
    ClipReading,
    HandConfig,
    HandViT,
    TextMotion,
    TextMotionConfig,
    VideoText,
    VideoTextConfig,
    contrastive_margin,
    focal_loss,
    info_nce,
)
from training.evaluation.metrics.hand_score import f_score
from training.evaluation.metrics.retrieval import r_precision
from training.stages.encoding import encode_texts
from training.stages.motion import features_of
from training.stages.random_streams import RandomStreams
from training.stages.stage import Stage
from training.stages.train_config import TrainConfig

VALIDATION_CLIPS = 256


@dataclass(frozen=True)
class TextMotionRecipe:
    """The text-motion evaluator: M-FID, R-Precision, MM-Dist, Diversity."""

    train: TrainConfig = field(
        default_factory=lambda: TrainConfig(
            3000, 64, 5e-4, warmup=100, precision="no", ema_decay=0.99, validate_every=500
        )
    )
    model: TextMotionConfig = field(default_factory=TextMotionConfig)


@dataclass(frozen=True)
class VideoTextRecipe:
    """The video evaluator: FVD, CLIP-SIM. `motion_weight`, `layout_weight`: of what its features must also predict."""

    train: TrainConfig = field(
        default_factory=lambda: TrainConfig(1200, 32, 1e-3, warmup=100, ema_decay=0.99, validate_every=300)
    )
    model: VideoTextConfig = field(default_factory=VideoTextConfig)
    motion_weight: float = 1.0
    layout_weight: float = 1.0


@dataclass(frozen=True)
class HandRecipe:
    """The hand classifier: HandScore. `frames`: sampled from each clip of a batch."""

    train: TrainConfig = field(
        default_factory=lambda: TrainConfig(2000, 32, 1e-3, warmup=100, ema_decay=0.99, validate_every=500)
    )
    model: HandConfig = field(default_factory=HandConfig)
    frames: int = 4


Recipe = TextMotionRecipe | VideoTextRecipe | HandRecipe | CameraRecipe
RECIPES: dict[str, type[Any]] = {
    "text-motion": TextMotionRecipe, "video-text": VideoTextRecipe, "hands": HandRecipe, "camera": CameraRecipe,
}  # fmt: skip


class Texts:
    """Token states of every clip's text, computed once for each different text."""

    def __init__(self, clips: ClipSet, encoder: TextEncoder) -> None:
        self.states, self.rows = encode_texts(encoder, [str(record["text"]) for record in clips.records])

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """States (B, L, D) float32, and which pairs have the same text, bool (B, B)."""
        rows = self.rows[indices]
        return self.states[rows].float(), rows[:, None] == rows[None]


class TextMotionStage(Stage):
    """Trains `TextMotion`; its R-Precision on the validation split says how well it separates motions."""

    name = "text-motion"

    def __init__(self, recipe: TextMotionRecipe, data: Path, folder: Path) -> None:
        self.recipe = recipe
        train, validation = open_clips(data / "train"), open_clips(data / "val")
        encoder = TextEncoder.from_package(TEXT_PACKAGE, TEXT_LENGTH)
        self.texts, self.validation_texts = Texts(train, encoder), Texts(validation, encoder)
        features = features_of(train)
        statistics = MotionStatistics.fit(features, HeadCentric().slices)
        save_tensors(folder / STATISTICS, statistics.to_tensors())
        self.features = statistics.normalise(features)
        self.validation = statistics.normalise(features_of(validation)[:VALIDATION_CLIPS])
        torch.manual_seed(recipe.train.seed)
        self.model: nn.Module = TextMotion(recipe.model)

    def __len__(self) -> int:
        return len(self.features)

    def batch(self, indices: Tensor, streams: RandomStreams) -> dict[str, Tensor]:
        states, same = self.texts.batch(indices)
        return {"features": self.features[indices], "states": states, "same": same}

    def loss(self, model: nn.Module, batch: dict[str, Tensor], streams: RandomStreams) -> dict[str, Tensor]:
        motion, text = model(batch["features"], batch["states"])
        return {"loss": contrastive_margin(motion, text, batch["same"], self.recipe.model.margin)}

    def validate(self, model: nn.Module) -> dict[str, float]:
        assert isinstance(model, TextMotion)
        motions = model.motion(self.validation).float().numpy()
        states, _ = self.validation_texts.batch(torch.arange(len(self.validation)))
        texts = model.text(states).float().numpy()
        batch = min(32, len(texts))
        return {f"val_r_precision_top{k}": share.value for k, share in r_precision(texts, motions, batch=batch).items()}

    def resolved(self) -> dict[str, Any]:
        return {"_class_name": "TextMotion", **asdict(self.recipe.model)}


class VideoTextStage(Stage):
    """Trains `VideoText`: clips find their texts, and features keep camera motion and colours."""

    name = "video-text"

    def __init__(self, recipe: VideoTextRecipe, data: Path, folder: Path) -> None:
        self.recipe = recipe
        self.clips, self.validation = open_clips(data / "train"), open_clips(data / "val")
        require(self.clips, "camera_pose")
        encoder = TextEncoder.from_package(TEXT_PACKAGE, TEXT_LENGTH)
        self.texts, self.validation_texts = Texts(self.clips, encoder), Texts(self.validation, encoder)
        torch.manual_seed(recipe.train.seed)
        self.model: nn.Module = VideoText(recipe.model)

    def __len__(self) -> int:
        return len(self.clips)

    def batch(self, indices: Tensor, streams: RandomStreams) -> dict[str, Tensor]:
        states, same = self.texts.batch(indices)
        return {**_clip_tensors(self.clips, indices), "states": states, "same": same}

    def loss(self, model: nn.Module, batch: dict[str, Tensor], streams: RandomStreams) -> dict[str, Tensor]:
        video = batch["video"].permute(0, 2, 1, 3, 4)
        found: ClipReading = model(video, batch["states"])
        contrast = info_nce(found.shared.float(), found.text.float(), batch["same"], self.recipe.model.temperature)
        motion = F.smooth_l1_loss(found.step_motion.float(), batch["motion"])
        layout = F.mse_loss(found.layout.float(), _layout(video, self.recipe.model.layout))
        loss = contrast + self.recipe.motion_weight * motion + 10.0 * self.recipe.layout_weight * layout
        return {"loss": loss, "contrast": contrast.detach(), "motion": motion.detach(), "layout": layout.detach()}

    def validate(self, model: nn.Module) -> dict[str, float]:
        assert isinstance(model, VideoText)
        count = min(VALIDATION_CLIPS, len(self.validation))
        videos, texts, errors = [], [], []
        for indices in torch.arange(count).split(16):
            batch = _clip_tensors(self.validation, indices)
            found = model(batch["video"].permute(0, 2, 1, 3, 4), self.validation_texts.batch(indices)[0])
            videos.append(found.shared.float())
            texts.append(found.text.float())
            errors.append((found.step_motion.float() - batch["motion"]).abs().mean())
        ranks = r_precision(torch.cat(texts).numpy(), torch.cat(videos).numpy(), batch=min(32, count))
        shares = {f"val_r_precision_top{k}": share.value for k, share in ranks.items()}
        return {**shares, "val_step_motion_error": float(torch.stack(errors).mean())}

    def resolved(self) -> dict[str, Any]:
        return {"_class_name": "VideoText", **asdict(self.recipe.model)}


class HandStage(Stage):
    """Trains `HandViT` on the simulator's hand masks."""

    name = "hands"

    def __init__(self, recipe: HandRecipe, data: Path, folder: Path) -> None:
        self.recipe = recipe
        self.clips, self.validation = open_clips(data / "train"), open_clips(data / "val")
        require(self.clips, "hand_visible")
        torch.manual_seed(recipe.train.seed)
        self.model: nn.Module = HandViT(recipe.model)

    def __len__(self) -> int:
        return len(self.clips)

    def batch(self, indices: Tensor, streams: RandomStreams) -> dict[str, Tensor]:
        parts, hands = [], []
        num_frames = len(self.clips.tensor("hand_visible", 0))
        places = (streams.uniform(self.recipe.frames) * num_frames).long().numpy()
        for index, chosen in zip(indices.tolist(), places, strict=True):
            frames, visible = self.clips.tensor("frames", index), self.clips.tensor("hand_visible", index)
            parts.append(frames_to_tensor(frames[chosen], FRAME_SIDE))
            hands.append(torch.from_numpy(visible[chosen].astype(bool)))
        images, hand = torch.cat(parts), torch.cat(hands)
        mirrored = streams.uniform(self.recipe.frames).flatten() < 0.5  # a mirrored left hand is a right one
        images[mirrored], hand[mirrored] = images[mirrored].flip(-1), hand[mirrored].flip(-1)
        return {"frames": images, "hands": hand}

    def loss(self, model: nn.Module, batch: dict[str, Tensor], streams: RandomStreams) -> dict[str, Tensor]:
        alpha = torch.tensor(self.recipe.model.alpha, device=batch["hands"].device)
        logits = model(batch["frames"]).float()
        return {"loss": focal_loss(logits, batch["hands"], self.recipe.model.gamma, alpha)}

    def validate(self, model: nn.Module) -> dict[str, float]:
        tallies = torch.zeros(3, 2, dtype=torch.long)
        for index in range(min(VALIDATION_CLIPS, len(self.validation))):
            frames = frames_to_tensor(self.validation.tensor("frames", index), FRAME_SIDE)
            found = model(frames).float() > 0
            wanted = torch.from_numpy(self.validation.tensor("hand_visible", index).astype(bool))
            tallies += torch.stack([(found & wanted).sum(0), (found & ~wanted).sum(0), (~found & wanted).sum(0)])
        left, right = np.nan_to_num(f_score(tallies.numpy())).tolist()
        return {"val_f_left": left, "val_f_right": right}

    def resolved(self) -> dict[str, Any]:
        return {"_class_name": "HandViT", **asdict(self.recipe.model)}


def build(recipe: Recipe, data: Path, folder: Path) -> Stage:
    """The stage of a recipe."""
    match recipe:
        case TextMotionRecipe():
            return TextMotionStage(recipe, data, folder)
        case VideoTextRecipe():
            return VideoTextStage(recipe, data, folder)
        case HandRecipe():
            return HandStage(recipe, data, folder)
        case CameraRecipe():
            return CameraStage(recipe, data)


def _clip_tensors(clips: ClipSet, indices: Tensor) -> dict[str, Tensor]:
    """`video` (B, F, 3, 64, 64) in 0 ... 1; `motion` (B, S, 6): camera turn and shift over each 4 frames, in units
    of about one."""
    numbers = indices.tolist()
    video = torch.stack([frames_to_tensor(clips.tensor("frames", number), FRAME_SIDE) for number in numbers])
    poses = np.stack([clips.tensor("camera_pose", number) for number in numbers])[:, ::4].astype(np.float64)
    before, after = poses[:, :-1], poses[:, 1:]
    turn = np.swapaxes(before[..., :3, :3], -1, -2) @ after[..., :3, :3]
    turns = Rotation.from_matrix(turn.reshape(-1, 3, 3)).as_rotvec().reshape(*turn.shape[:2], 3)
    shift = np.swapaxes(before[..., :3, :3], -1, -2) @ (after[..., :3, 3] - before[..., :3, 3])[..., None]
    motion = np.concatenate([turns / 0.3, shift[..., 0] / 0.3], axis=-1).astype(np.float32)
    return {"video": video, "motion": torch.from_numpy(motion)}


def _layout(video: Tensor, side: int) -> Tensor:
    """The middle and the last frame at a small size, flattened (B, 2 · 3 · side²)."""
    chosen = video[:, :, [video.shape[2] // 2, -1]]
    return F.adaptive_avg_pool3d(chosen, (2, side, side)).flatten(1).float()
