"""Named configurations: what each name stands for, and that its parts fit together; built where nothing is computed."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from ...shared_data import missing_extra

pytest.importorskip("accelerate", reason=missing_extra("train"))

from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.transformer import EgoTwinTransformer
from egotwin_model.egotwin.variants import GEOMETRY, VARIANTS
from egotwin_model.motion.vae import MotionVAE
from egotwin_model.video.vae import CausalVideoVAE
from training.stages.compatibility import FRAMES, POSES
from training.stages.recipes import (
    RECIPES,
    STAGES,
    DiffusionRecipe,
    MotionVAERecipe,
    VideoCodecRecipe,
)

SIZES = {"paper": 480, "mini": 128, "mini-64": 64, "mini-128": 128, "smoke": 64}


def recipe_of(name: str) -> DiffusionRecipe:
    recipe = RECIPES[name]["joint"]
    assert isinstance(recipe, DiffusionRecipe)
    return recipe


def test_every_size_has_every_row_of_the_papers_tables() -> None:
    assert RECIPES.keys() == {f"{size}{row}" for size in SIZES for row in ("", *(f"/{row}" for row in VARIANTS))}
    for name, recipes in RECIPES.items():
        own = "video-codec" not in name and not name.startswith("paper")
        assert [stage for stage in STAGES if stage in recipes] == list(recipes)
        assert ("video-codec" in recipes) == own
    with pytest.raises(FrozenInstanceError):
        recipe_of("paper").train.steps = 1  # type: ignore[misc]


@pytest.mark.parametrize("name", ["mini", "mini-64", "mini-128", "smoke", "smoke/geometry"])
def test_the_parts_of_a_size_fit_together(name: str) -> None:
    """Clips through both codecs give what the transformer takes and predicts, and it is decoded to clips again."""
    size, joint = SIZES[name.split("/")[0]], recipe_of(name)
    codec, motion = RECIPES[name]["video-codec"], RECIPES[name]["motion-vae"]
    assert isinstance(codec, VideoCodecRecipe)
    assert isinstance(motion, MotionVAERecipe)
    c = joint.model
    with torch.device("meta"), torch.no_grad():
        video_vae, motion_vae, transformer = CausalVideoVAE(codec.model), MotionVAE(motion.model), EgoTwinTransformer(c)
        video = video_vae.encode(torch.empty(1, 3, FRAMES, size, size)).latent_dist.mean.transpose(1, 2)
        latents = motion_vae.encode(torch.empty(1, POSES, motion.model.feature_dim)).mean
        t, text = torch.zeros(1, dtype=torch.long), torch.empty(1, c.text_length, c.text_dim)
        known = {}
        if c.prior_condition:
            depth = torch.empty(1, 16, c.latent_height, c.latent_width)
            known = {"prior": video, "visibility": video[:, :, :1], "depth": depth, "gravity": torch.empty(1, 3)}
        v_video, v_motion = transformer(text, video, latents, t, t, video[:, 0], latents[..., 0], **known)
        assert v_video.shape == video.shape
        assert v_motion.shape == latents.shape
        assert video_vae.decode(v_video.transpose(1, 2)).sample.shape == (1, 3, FRAMES, size, size)
        assert motion_vae.decode(v_motion).shape == (1, POSES, motion.model.feature_dim)


def test_geometry_is_what_is_shipped_and_no_row_of_the_papers_tables() -> None:
    """`mini` has as many video tokens at 128 px as `mini-64` at 64; its rows train as those of `mini-64` do."""
    assert recipe_of("mini").model == replace(EgoTwinConfig.mini(), **GEOMETRY) == recipe_of("mini/geometry").model
    for row in ("egotwin", "vidmld", "without-interaction"):
        assert replace(recipe_of(f"mini/{row}"), train=recipe_of("mini").train) == replace(
            recipe_of(f"mini-64/{row}"), train=recipe_of("mini").train
        )
        assert not any(getattr(recipe_of(f"mini/{row}").model, setting) for setting in GEOMETRY)


def test_the_gpus_mini_has_about_50_million_parameters() -> None:
    with torch.device("meta"):
        transformer = EgoTwinTransformer(recipe_of("mini-128").model)
    assert sum(parameter.numel() for parameter in transformer.parameters()) == pytest.approx(50e6, rel=0.05)


def test_the_papers_stages_are_the_papers() -> None:
    stage_2, stage_3 = RECIPES["paper"]["text-to-motion"], recipe_of("paper")
    assert isinstance(stage_2, DiffusionRecipe)
    assert stage_2.model == stage_3.model == EgoTwinConfig.paper()
    assert (stage_2.freeze_text, stage_3.freeze_text) == (True, False)
    assert stage_2.text_dropout == stage_3.text_dropout == 0.1
    assert stage_3.motion_clean > 0  # the conditional modes are trained for
    assert stage_3.video_clean > 0
    assert stage_3.video_noise_bias == 1.0  # t_v is uniform
