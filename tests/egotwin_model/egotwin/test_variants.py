"""Every row of the paper's tables: one model, and what its setting really changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from egotwin_model.diffusion.attention.attend import interaction_mask
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.transformer import EgoTwinTransformer
from egotwin_model.egotwin.variants import GEOMETRY, VARIANTS, Variant, variant
from egotwin_model.errors import ModelError
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.representation_kinds import read_representation
from egotwin_model.motion.root_centric import RootCentric
from egotwin_model.motion.vae import MotionVAE, MotionVAEConfig, motion_vae_loss

BASE = EgoTwinConfig(
    num_layers=2, num_motion_layers=1, num_heads=2, head_dim=16, time_embed_dim=16, text_dim=24, text_length=3,
    latent_channels=4, latent_frames=4, latent_height=4, latent_width=4, motion_width=16, motion_channels=6,
    motion_length=7,
)  # fmt: skip


def random_model(config: EgoTwinConfig) -> EgoTwinTransformer:
    torch.manual_seed(0)
    model = EgoTwinTransformer(config).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def inputs(row: Variant, seed: int = 1) -> dict[str, Any]:
    c, g = row.model, torch.Generator().manual_seed(seed)
    latent = (c.latent_channels, c.latent_height, c.latent_width)
    x: dict[str, Any] = {"text": torch.randn(2, c.text_length, c.text_dim, generator=g)}
    x |= dict.fromkeys(("video", "motion", "t_video", "t_motion", "image", "pose"))
    if row.with_video:
        x["video"] = torch.randn(2, c.latent_frames, *latent, generator=g)
        x["image"], x["t_video"] = torch.randn(2, *latent, generator=g), torch.tensor([10, 700])
    if row.representation:
        x["motion"] = torch.randn(2, c.motion_channels, c.motion_length, generator=g)
        x["pose"], x["t_motion"] = torch.randn(2, c.motion_channels, generator=g), torch.tensor([10, 700])
    if c.prior_condition:
        x["prior"] = torch.randn(2, c.latent_frames, *latent, generator=g)
        x["visibility"] = torch.rand(2, c.latent_frames, 1, *latent[1:], generator=g)
        x["depth"], x["gravity"] = torch.rand(2, 16, *latent[1:], generator=g), torch.randn(2, 3, generator=g)
    if c.camera_condition:
        x["camera"] = torch.randn(2, c.latent_frames, c.camera_channels, *latent[1:], generator=g)
    return x


@pytest.mark.parametrize("name", VARIANTS)
def test_every_row_predicts_its_modalities_and_uses_all_parameters(name: str) -> None:
    row = variant(name, BASE)
    model, x = random_model(row.model), inputs(row)
    video, motion = model(**x)
    assert (video is not None) == row.with_video
    assert (motion is not None) == (row.representation is not None)
    sum((part.square().sum() for part in (video, motion) if part is not None), torch.zeros(())).backward()
    idle = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert all(not row.with_video and "motion" not in name for name in idle), idle
    assert any("motion" in name for name in model.state_dict()) == (row.representation is not None)


def test_the_full_model_and_vidmld_differ_in_three_settings() -> None:
    assert variant("egotwin", BASE) == Variant(BASE, "head-centric")
    assert variant("vidmld", BASE) == Variant(
        replace(BASE, interaction=False, asynchronous=False), representation="root-centric"
    )
    assert variant("geometry", BASE) == Variant(replace(BASE, **GEOMETRY), "head-centric")
    with pytest.raises(ModelError, match=r"'half'.*vidmld"):
        variant("half", BASE)


@pytest.mark.parametrize("name", VARIANTS)
def test_geometry_is_one_row_alone_whatever_the_base_has(name: str) -> None:
    assert variant(name, replace(BASE, **GEOMETRY)) == variant(name, BASE)


def influence(model: EgoTwinTransformer, x: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Whether a video frame's prediction feels a motion token (F, N), and the other way round (N, F)."""
    x = {**x, "video": x["video"].requires_grad_(), "motion": x["motion"].requires_grad_()}
    video, motion = model(**x)
    on_video = [torch.autograd.grad(v.square().sum(), x["motion"], retain_graph=True)[0] for v in video.unbind(1)]
    on_motion = [torch.autograd.grad(m.square().sum(), x["video"], retain_graph=True)[0] for m in motion.unbind(2)]
    return (
        torch.stack([gradient.abs().amax((0, 1)) > 0 for gradient in on_video]),
        torch.stack([gradient.abs().amax((0, 2, 3, 4)) > 0 for gradient in on_motion]),
    )


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("name", ["egotwin", "without-interaction", "without-asynchronous", "vidmld"])
def test_the_interaction_mask_alone_decides_who_feels_whom(name: str, gated: bool) -> None:
    """In one block: with the mask only its open pairs have a gradient, without it every pair has."""
    row = variant(name, replace(BASE, num_layers=1, motion_gate=gated))
    on_video, on_motion = influence(random_model(row.model), inputs(row))
    mask = interaction_mask(0, 4, 1, 7)
    expected = mask if row.model.interaction else torch.ones_like(mask)
    assert torch.equal(on_video, expected[:4, 4:])
    assert torch.equal(on_motion, expected[4:, :4])


@torch.no_grad()
def test_only_asynchronous_models_know_two_timesteps() -> None:
    free, tied = variant("egotwin", BASE), variant("without-asynchronous", BASE)
    model, x = random_model(free.model), inputs(free)
    (video, motion), other = model(**x), model(**{**x, "t_motion": torch.tensor([500, 20])})
    assert not torch.allclose(video, other[0])
    assert not torch.allclose(motion, other[1])

    model = random_model(tied.model)
    extra = set(EgoTwinTransformer(free.model).state_dict()) - set(model.state_dict())
    assert extra == {"time_embedding.linear_1_motion.weight"}
    with pytest.raises(ModelError, match="tied"):
        model(**{**x, "t_motion": torch.tensor([500, 20])})
    both = model(**x)
    for missing in ("t_video", "t_motion"):  # one of them says it all
        assert all(torch.equal(a, b) for a, b in zip(model(**{**x, missing: None}), both, strict=True))


@torch.no_grad()
def test_a_video_model_has_no_motion_at_all() -> None:
    row = variant("video-only", BASE)
    model, x = random_model(row.model), inputs(row)
    assert model.new_parameter_names() == []
    assert list(model.state_dict()) == [
        name
        for name in EgoTwinTransformer(BASE).state_dict()
        if name not in EgoTwinTransformer(BASE).new_parameter_names()
    ]
    with pytest.raises(ModelError, match="motion was given"):
        model(**{**x, "motion": torch.zeros(2, 6, 7), "pose": torch.zeros(2, 6)})


@torch.no_grad()
def test_a_camera_model_follows_its_camera() -> None:
    row, plain = variant("camera", BASE), variant("video-only", BASE)
    start = EgoTwinTransformer(row.model).eval()
    assert start.new_parameter_names() == ["patch_embed.camera_proj.weight"]
    reference = random_model(plain.model)
    start.load_state_dict(reference.state_dict(), strict=False)
    x = inputs(row)
    without = {name: value for name, value in x.items() if name != "camera"}
    assert torch.equal(start(**x)[0], reference(**without)[0])  # step 0
    model = random_model(row.model)
    assert not torch.allclose(model(**x)[0], model(**{**x, "camera": x["camera"].flip(1)})[0])
    with pytest.raises(ModelError, match="pass camera"):
        model(**without)


def test_a_motion_model_ends_with_the_last_block_that_carries_motion() -> None:
    row = variant("motion-only", BASE)
    assert (row.model.num_layers, row.with_video) == (BASE.num_motion_layers, False)
    video, motion = random_model(row.model)(**inputs(row))
    assert video is None
    assert motion.shape == (2, 6, 7)


@pytest.mark.parametrize(("name", "dim"), [("without-reformulation", 275), ("egotwin", 288)])
def test_both_representations_go_through_the_motion_vae_to_a_head_path(name: str, dim: int) -> None:
    kind = variant(name, BASE).representation
    representation = read_representation({"kind": kind})
    assert isinstance(representation, RootCentric if dim == 275 else HeadCentric)
    assert representation.dim == dim
    torch.manual_seed(0)
    vae = MotionVAE(replace(MotionVAEConfig.smoke(), feature_dim=representation.dim))
    features = torch.randn(2, 17, dim)
    distribution = vae.encode(features)
    decoded = vae.decode(distribution.mode())
    terms = motion_vae_loss(features, decoded, distribution, representation.groups)
    terms["loss"].backward()
    assert len(terms) == 2 + 4  # four groups, each counting the same
    motion = representation.decode_in_clip_frame(decoded.detach())
    assert motion.head_positions.shape == (2, 17, 3)
    gram = motion.head_rotations @ motion.head_rotations.mT
    torch.testing.assert_close(gram, torch.eye(3).expand_as(gram), atol=1e-4, rtol=0)
    if dim == 275:  # in the clip frame by its own first head pose; the other's h_p is whatever the network says
        assert motion.head_positions[:, 0].abs().max() < 1e-6
