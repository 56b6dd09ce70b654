"""Named training configurations: one entry per stage and size; every field can be overridden on the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from egotwin_model.config import EgoTwinConfig
from egotwin_model.motion_vae import MotionVAEConfig
from egotwin_model.sampler import Schedule
from egotwin_model.video_vae import VideoVAEConfig
from training.codec import CodecLossConfig
from training.trainer import TrainConfig


@dataclass(frozen=True)
class VideoCodecRecipe:
    """The causal video VAE of the small sizes (the paper's comes pretrained with CogVideoX)."""

    train: TrainConfig
    model: VideoVAEConfig = field(default_factory=VideoVAEConfig)
    loss: CodecLossConfig = field(default_factory=CodecLossConfig)


@dataclass(frozen=True)
class MotionVAERecipe:
    """Stage 1."""

    train: TrainConfig
    model: MotionVAEConfig
    kl_weight: float = 1e-4


@dataclass(frozen=True)
class DiffusionRecipe:
    """Stages 2 and 3.

    Attributes:
        kind: "text-to-motion" (stage 2, no video tokens) or "joint" (stage 3).
        text_dropout: share of clips trained with the empty goal.
        clean_share, absent_share: share of clips for which the *other* modality is clean (t = 0) or absent (t = T), so
            that the conditional modes and guidance are trained for as often as they are used.
        freeze_text: stage 2 trains the motion branch only (the paper's setting; needs pretrained text weights).
    """

    train: TrainConfig
    model: EgoTwinConfig
    kind: Literal["text-to-motion", "joint"]
    schedule: Schedule = field(default_factory=Schedule)
    text_dropout: float = 0.1
    clean_share: float = 0.15
    absent_share: float = 0.1
    freeze_text: bool = False


Recipe = VideoCodecRecipe | MotionVAERecipe | DiffusionRecipe
STAGES = ("video-codec", "motion-vae", "text-to-motion", "joint")


def _tiny(steps: int, batch_size: int, learning_rate: float) -> TrainConfig:
    return TrainConfig(
        steps, batch_size, learning_rate, warmup=2, save_every=steps, validate_every=steps, precision="no"
    )


RECIPES: dict[str, dict[str, Recipe]] = {
    "mini": {
        "video-codec": VideoCodecRecipe(TrainConfig(4500, 4, 1.5e-3, validate_every=750)),
        "motion-vae": MotionVAERecipe(
            TrainConfig(700, 32, 1e-3, warmup=50, ema_decay=0.99, precision="no", validate_every=100),
            MotionVAEConfig.mini(),
        ),
        "text-to-motion": DiffusionRecipe(
            TrainConfig(400, 48, 1e-3, warmup=40), EgoTwinConfig.mini(), "text-to-motion"
        ),
        "joint": DiffusionRecipe(
            TrainConfig(4200, 24, 1e-3, ema_decay=0.998, save_every=200, validate_every=400),
            EgoTwinConfig.mini(),
            "joint",
        ),
    },
    "smoke": {
        "video-codec": VideoCodecRecipe(
            _tiny(2, 2, 1e-3),
            VideoVAEConfig(encoder_widths=(8, 8), encoder_blocks=(1, 1), decoder_widths=(8, 8), decoder_blocks=(1, 1)),
        ),
        "motion-vae": MotionVAERecipe(_tiny(2, 2, 1e-3), MotionVAEConfig.smoke()),
        "text-to-motion": DiffusionRecipe(_tiny(2, 2, 1e-3), EgoTwinConfig.smoke(), "text-to-motion"),
        "joint": DiffusionRecipe(_tiny(2, 2, 1e-3), EgoTwinConfig.smoke(), "joint"),
    },
}
