"""The transformer against diffusers' CogVideoX where they must be equal, and the properties of its motion branch."""

from dataclasses import asdict

import pytest
import torch
from torch import Tensor

from egotwin_model.config import EgoTwinConfig
from egotwin_model.errors import ModelError
from egotwin_model.transformer import EgoTwinTransformer

NARROW = EgoTwinConfig(
    num_layers=3, num_motion_layers=2, num_heads=2, head_dim=64, time_embed_dim=32, text_dim=48, text_length=7,
    latent_channels=4, latent_frames=3, latent_height=8, latent_width=12, motion_width=32, motion_channels=8,
    motion_length=5,
)  # fmt: skip


def inputs(config: EgoTwinConfig, batch: int = 2) -> dict[str, Tensor]:
    c, g = config, torch.Generator().manual_seed(1)
    latent = (c.latent_channels, c.latent_height, c.latent_width)
    return {
        "text": torch.randn(batch, c.text_length, c.text_dim, generator=g),
        "video": torch.randn(batch, c.latent_frames, *latent, generator=g),
        "motion": torch.randn(batch, c.motion_channels, c.motion_length, generator=g),
        "t_video": torch.tensor([10, 700])[:batch],
        "t_motion": torch.tensor([3, 999])[:batch],
        "image": torch.randn(batch, *latent, generator=g),
        "pose": torch.randn(batch, c.motion_channels, generator=g),
    }


@pytest.fixture(scope="module")
def model() -> EgoTwinTransformer:
    torch.manual_seed(0)
    model = EgoTwinTransformer(NARROW).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


@torch.no_grad()
def test_text_and_video_branch_is_diffusers_cogvideox_i2v(model: EgoTwinTransformer) -> None:
    diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")
    from diffusers.models.embeddings import get_3d_rotary_pos_embed

    reference = diffusers.CogVideoXTransformer3DModel(
        num_attention_heads=2, attention_head_dim=64, in_channels=8, out_channels=4, time_embed_dim=32,
        text_embed_dim=48, num_layers=3, sample_width=12, sample_height=8, sample_frames=9, max_text_seq_length=7,
        use_rotary_positional_embeddings=True, use_learned_positional_embeddings=True,
    ).eval()  # fmt: skip
    for parameter in reference.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    ours = EgoTwinTransformer(NARROW).eval()
    missing, unexpected = ours.load_state_dict(reference.state_dict(), strict=False)
    assert unexpected == []
    assert all("motion" in name for name in missing)
    torch.nn.init.zeros_(ours.time_embedding.linear_1_motion.weight)
    x = inputs(NARROW)
    condition = torch.zeros_like(x["video"])
    condition[:, 0] = x["image"]
    wanted = reference(
        torch.cat([x["video"], condition], dim=2), x["text"], x["t_video"],
        image_rotary_emb=get_3d_rotary_pos_embed(64, ((0, 0), (4, 6)), (4, 6), 3),
    ).sample  # fmt: skip
    found, _ = ours(x["text"], x["video"], None, x["t_video"], x["t_motion"], x["image"], None)
    assert (found - wanted).abs().max() < 1e-5 * wanted.abs().max()


def test_position_table_starts_as_diffusers_sinusoid() -> None:
    embeddings = pytest.importorskip("diffusers.models.embeddings", reason="diffusers is not installed")
    from egotwin_model.positions import video_sinusoid

    wanted = embeddings.get_3d_sincos_pos_embed(128, (6, 4), 3).flatten(0, 1).float()
    assert (video_sinusoid(3, 4, 6, 128) - wanted).abs().max() < 1e-5


@torch.no_grad()
def test_motion_only_equals_the_full_run(model: EgoTwinTransformer) -> None:
    x = inputs(NARROW)
    _, full = model(*x.values())
    video, lower = model(*x.values(), motion_only=True)
    assert video is None
    assert torch.equal(full, lower)


@torch.no_grad()
def test_both_timesteps_and_all_conditions_matter(model: EgoTwinTransformer) -> None:
    x = inputs(NARROW)
    video, motion = model(*x.values())
    for name in x:
        changed = dict(x, **{name: x[name].flip(0)})
        other_video, other_motion = model(*changed.values())
        assert not torch.allclose(video, other_video), name
        assert not torch.allclose(motion, other_motion), name


@torch.no_grad()
def test_mask_keeps_a_far_frame_from_a_motion_token() -> None:
    """With one layer, token A⁰ sees frames 0 and 1 only; without the interaction mask it sees all."""
    for interaction in (True, False):
        sizes = {**asdict(NARROW), "num_layers": 1, "num_motion_layers": 1, "interaction": interaction}
        torch.manual_seed(0)
        model = EgoTwinTransformer(EgoTwinConfig(**sizes)).eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        x = inputs(NARROW)
        _, before = model(*x.values())
        x["video"][:, 2] += 1.0
        _, after = model(*x.values())
        assert torch.equal(before[..., 1:3], after[..., 1:3]) == interaction
        assert not torch.equal(before[..., 3:5], after[..., 3:5])


def test_paper_size_on_the_meta_device() -> None:
    with torch.device("meta"):
        model = EgoTwinTransformer(EgoTwinConfig.paper())
    assert model.config.video_length == 9900
    named = dict(model.named_parameters())
    pretrained = sum(p.numel() for name, p in named.items() if "motion" not in name)
    added = sum(p.numel() for name, p in named.items() if "motion" in name)
    assert 5.5e9 < pretrained < 5.6e9
    assert 0.28e9 < added < 0.36e9


def test_impossible_sizes_are_refused_by_name() -> None:
    with pytest.raises(ModelError, match="motion_length=20"):
        EgoTwinConfig(motion_length=20)
    with pytest.raises(ModelError, match="num_motion_layers"):
        EgoTwinConfig(num_layers=2, num_motion_layers=3)
    with pytest.raises(ModelError, match="patch_size"):
        EgoTwinConfig(latent_height=7)
