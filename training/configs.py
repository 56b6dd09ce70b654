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
        motion_clean, video_clean: share of clips whose motion (video) is given clean, t = 0: the conditional modes.
        motion_absent, video_absent: share of clips whose motion (video) is pure noise, t = T: what guidance needs.
        video_noise_bias: t_v = T(1 − u^bias) for uniform u; 1 is the paper's uniform t_v, above 1 trains more at high
            noise, where a small model that samples in few steps decides what will be seen.
        freeze_text: stage 2 trains the motion branch only (the paper's setting; needs pretrained text weights).
    """

    train: TrainConfig
    model: EgoTwinConfig
    kind: Literal["text-to-motion", "joint"]
    schedule: Schedule = field(default_factory=Schedule)
    text_dropout: float = 0.1
    motion_clean: float = 0.1
    video_clean: float = 0.05
    motion_absent: float = 0.05
    video_absent: float = 0.05
    video_noise_bias: float = 1.0
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
            TrainConfig(3600, 24, 1e-3, ema_decay=0.998, save_every=200, validate_every=400),
            EgoTwinConfig.mini(),
            "joint",
            motion_clean=0.3,
            video_noise_bias=2.0,
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
