"""Causal video VAE: shapes, causality to the bit, files, both classes behind one loader, ONNX equality."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from egotwin_model.errors import ModelError
from egotwin_model.io.store import save_component
from egotwin_model.video.vae import (
    CausalVideoVAE,
    VideoVAEConfig,
    decode_video,
    encode_video,
    load_video_vae,
)

from ...shared_data import missing_extra

TINY = VideoVAEConfig(
    latent_channels=4, encoder_widths=(8, 12), encoder_blocks=(1, 1), decoder_widths=(16, 8), decoder_blocks=(1, 1)
)
MINI = VideoVAEConfig()
WITH_PRIOR = replace(
    TINY, spatial_compression_ratio=16, encoder_widths=(8, 8, 12), encoder_blocks=(1, 1, 1),
    decoder_widths=(16, 12, 8), decoder_blocks=(1, 1, 1), prior_condition=True,
)  # fmt: skip


def make(config: VideoVAEConfig = TINY, seed: int = 0) -> CausalVideoVAE:
    torch.manual_seed(seed)
    return CausalVideoVAE(config).eval()


def video(batch: int = 1, frames: int = 17, size: int = 16, seed: int = 1) -> torch.Tensor:
    return torch.rand(batch, 3, frames, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize(("frames", "latents"), [(1, 1), (5, 2), (41, 11)])
def test_compresses_four_times_in_time_and_eight_in_space(frames: int, latents: int) -> None:
    vae = make()
    with torch.no_grad():
        distribution = vae.encode(video(2, frames, 24)).latent_dist
        assert distribution.mean.shape == distribution.sample().shape == (2, 4, latents, 3, 3)
        assert vae.decode(distribution.mode()).sample.shape == (2, 3, frames, 24, 24)


def test_mini_is_64_pixels_to_8_by_8_by_16() -> None:
    vae = make(MINI)
    with torch.no_grad():
        mode = vae.encode(video(1, 41, 64)).latent_dist.mode()
    assert mode.shape == (1, 16, 11, 8, 8)
    assert 1e6 < sum(p.numel() for p in vae.parameters()) < 6e6


@settings(max_examples=15, deadline=None)
@given(latent=st.integers(0, 3), config=st.sampled_from([TINY, MINI]))
def test_latent_k_sees_only_frames_up_to_4k(latent: int, config: VideoVAEConfig) -> None:
    vae, before, after = make(config), video(), video(seed=2)
    changed = torch.cat([before[:, :, : 4 * latent + 1], after[:, :, 4 * latent + 1 :]], dim=2)
    with torch.no_grad():
        old, new = vae.encode(before).latent_dist, vae.encode(changed).latent_dist
    assert torch.equal(old.mean[:, :, : latent + 1], new.mean[:, :, : latent + 1])
    assert torch.equal(old.logvar[:, :, : latent + 1], new.logvar[:, :, : latent + 1])
    assert (old.mean[:, :, latent + 1 :] != new.mean[:, :, latent + 1 :]).any(dim=(0, 1, 3, 4)).all()


@settings(max_examples=15, deadline=None)
@given(latent=st.integers(0, 3), config=st.sampled_from([TINY, MINI]))
def test_decoded_frames_up_to_4k_see_only_latents_up_to_k(latent: int, config: VideoVAEConfig) -> None:
    vae = make(config)
    z = torch.randn(1, config.latent_channels, 5, 2, 2, generator=torch.Generator().manual_seed(3))
    changed = z.clone()
    changed[:, :, latent + 1 :] += 1.0
    with torch.no_grad():
        old, new = vae.decode(z).sample, vae.decode(changed).sample
    assert torch.equal(old[:, :, : 4 * latent + 1], new[:, :, : 4 * latent + 1])
    assert (old[:, :, 4 * latent + 1 :] != new[:, :, 4 * latent + 1 :]).any(dim=(0, 1, 3, 4)).all()


def test_a_single_image_gets_the_latent_of_a_first_frame() -> None:
    vae, clip = make(), video()
    with torch.no_grad():
        alone, inside = vae.encode(clip[:, :, :1]).latent_dist.mean, vae.encode(clip).latent_dist.mean
    torch.testing.assert_close(alone[:, :, 0], inside[:, :, 0], atol=1e-6, rtol=1e-5)


def test_sample_follows_the_generator_and_the_distribution() -> None:
    vae = make()
    with torch.no_grad():
        distribution = vae.encode(video()).latent_dist
    first, again = (distribution.sample(torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, again)
    other = distribution.sample(torch.Generator().manual_seed(6))
    assert not torch.equal(first, other)
    z_score = ((first - distribution.mean) / distribution.std).flatten()
    assert abs(z_score.mean()) < 0.3
    assert 0.8 < z_score.std() < 1.2


def test_kl_is_torch_distributions_kl() -> None:
    with torch.no_grad():
        distribution = make().encode(video()).latent_dist
    normal = torch.distributions.Normal(distribution.mean, distribution.std)
    expected = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(distribution.kl(), expected, atol=1e-5, rtol=1e-4)


def test_saves_and_loads_to_the_bit(tmp_path) -> None:
    vae = make()
    save_component(tmp_path, vae)
    loaded = load_video_vae(tmp_path)
    assert type(loaded) is CausalVideoVAE
    assert loaded.config == vae.config
    assert not loaded.training
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "diffusion_pytorch_model.safetensors"]
    with torch.no_grad():
        assert torch.equal(loaded.encode(video()).latent_dist.mean, vae.encode(video()).latent_dist.mean)


def test_diffusers_class_sits_behind_the_same_loader(tmp_path) -> None:
    diffusers = pytest.importorskip("diffusers", reason=missing_extra("paper"))
    blocks = 4
    theirs = diffusers.AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * blocks,
        up_block_types=("CogVideoXUpBlock3D",) * blocks,
        block_out_channels=(8,) * blocks,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
    )
    theirs.save_pretrained(tmp_path)
    loaded = load_video_vae(tmp_path)
    assert type(loaded) is type(theirs)
    with torch.no_grad():
        results = []
        for vae in (loaded, make()):
            mode = vae.encode(video(1, 9, 16)).latent_dist.mode()
            results.append((mode.shape, vae.decode(mode).sample.shape))
            assert isinstance(vae.config.scaling_factor, float)
            assert vae.config.latent_channels == 4
    assert results[0] == results[1]


# vae/config.json of the hub's THUDM/CogVideoX-5b-I2V
COGVIDEOX = {
    "down_block_types": ("CogVideoXDownBlock3D",) * 4, "up_block_types": ("CogVideoXUpBlock3D",) * 4,
    "block_out_channels": (128, 256, 256, 512), "latent_channels": 16, "layers_per_block": 3, "norm_num_groups": 32,
    "temporal_compression_ratio": 4, "scaling_factor": 0.7, "sample_height": 480, "sample_width": 720,
}  # fmt: skip


def test_the_papers_vae_has_the_papers_shapes() -> None:
    diffusers = pytest.importorskip("diffusers", reason=missing_extra("paper"))
    with torch.device("meta"):
        vae = diffusers.AutoencoderKLCogVideoX(**COGVIDEOX)
        latents = encode_video(vae, torch.zeros(1, 3, 41, 480, 480))
        assert latents.shape == (1, 16, 11, 60, 60)
        assert encode_video(vae, torch.zeros(1, 3, 1, 480, 480)).shape == (1, 16, 1, 60, 60)
        assert decode_video(vae, latents).shape == (1, 3, 41, 480, 480)
        vae.enable_tiling()
        assert encode_video(vae, torch.zeros(1, 3, 1, 480, 480)).shape == (1, 16, 1, 60, 60)
    assert 215e6 < sum(p.numel() for p in vae.parameters()) < 216e6


@torch.no_grad()
def test_the_papers_vae_is_scaled_sliced_and_causal_from_group_to_group(cogvideox_folder: Path) -> None:
    vae, clip = load_video_vae(cogvideox_folder / "vae"), video(2, 17, 32)
    latents = encode_video(vae, clip)
    mean = vae.encode(clip[:1]).latent_dist.mean
    torch.testing.assert_close(latents[:1], 0.7 * mean)
    torch.testing.assert_close(decode_video(vae, latents)[:1], vae.decode(mean).sample)
    changed = clip.clone()
    changed[:, :, 9:] += 1.0
    other = encode_video(vae, changed)
    assert torch.equal(other[:, :, :3], latents[:, :, :3]), "frames 9 to 16 are a group of their own"
    assert (other[:, :, 3:] != latents[:, :, 3:]).any(dim=(0, 1, 3, 4)).all()
    changed = latents.clone()
    changed[:, :, 3:] += 1.0
    assert torch.equal(decode_video(vae, changed)[:, :, :9], decode_video(vae, latents)[:, :, :9])
    half = load_video_vae(cogvideox_folder / "vae", torch.bfloat16)
    assert encode_video(half, clip.bfloat16()).dtype == torch.bfloat16


@torch.no_grad()
def test_tiling_is_asked_for_and_near(cogvideox_folder: Path) -> None:
    """A VAE made for 96 x 80 has tiles of 48 x 40 px, which overlap by whole latents as the real one's 240 x 360."""
    whole, tiled = (load_video_vae(cogvideox_folder / "vae", tiling=tiling) for tiling in (False, True))
    clip = torch.nn.functional.interpolate(video(1, 5, 8), size=(5, 96, 96), mode="trilinear")
    one, other = (encode_video(vae, clip) for vae in (whole, tiled))
    assert one.shape == other.shape == (1, 4, 2, 12, 12)
    assert 0 < (one - other).abs().mean() < one.std()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"invert_scale_latents": True}, "CogVideoX 1.5"), ({"latent_channels": 5}, r"has shape .*, wanted")],
)
def test_another_cogvideox_vae_is_refused(
    cogvideox_folder: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    folder = shutil.copytree(cogvideox_folder / "vae", tmp_path / "vae")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ModelError, match=message):
        load_video_vae(folder)


@pytest.mark.parametrize(
    "damage", ["no folder", "no weights", "not json", "wrong class", "wrong width", "unknown setting"]
)
def test_refuses_a_damaged_folder_by_name(tmp_path, damage: str) -> None:
    save_component(tmp_path, make())
    config = tmp_path / "config.json"
    values = json.loads(config.read_text())
    if damage == "no folder":
        tmp_path = tmp_path / "absent"
    elif damage == "no weights":
        (tmp_path / "diffusion_pytorch_model.safetensors").unlink()
    elif damage == "not json":
        config.write_text("{")
    elif damage == "wrong class":
        config.write_text(json.dumps(values | {"_class_name": "Other"}))
    elif damage == "wrong width":
        config.write_text(json.dumps(values | {"decoder_widths": [24, 8]}))
    else:
        config.write_text(json.dumps(values | {"depth": 3}))
    with pytest.raises(ModelError, match=str(tmp_path)):
        load_video_vae(tmp_path)


@pytest.mark.parametrize("shape", [(1, 3, 4, 16, 16), (1, 3, 5, 20, 16), (1, 3, 5, 16, 12)])
def test_refuses_clips_that_do_not_divide(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=f"{shape[2]} frames of {shape[3]} x {shape[4]}"):
        make().encode(torch.zeros(shape))


@pytest.mark.parametrize("settings", [{"encoder_widths": (8,)}, {"spatial_compression_ratio": 9}])
def test_refuses_a_config_that_does_not_fit(settings: dict) -> None:
    with pytest.raises(ModelError, match="video VAE"):
        VideoVAEConfig(**settings)


def known(latents: torch.Tensor, frames: int, seed: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """A prior and its visibility, 0 or 1, for latents of `WITH_PRIOR`."""
    prior = video(len(latents), frames, 16 * latents.shape[-1], seed)
    return prior, (video(len(latents), frames, 16 * latents.shape[-1], seed + 1)[:, :1] > 0).float()


def trained_to_use_priors(seed: int = 0) -> CausalVideoVAE:
    """A VAE in which no weight of the prior's way into the output is zero."""
    vae = make(WITH_PRIOR, seed)
    for parameter in vae.decoder.prior_blend.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return vae


@torch.no_grad()
def test_without_a_prior_everything_is_as_in_a_vae_that_takes_none() -> None:
    vae, plain = trained_to_use_priors(), make(replace(WITH_PRIOR, prior_condition=False))
    weights = {name: value for name, value in vae.state_dict().items() if "prior_blend" not in name}
    plain.load_state_dict(weights)
    z = torch.randn(2, 4, 3, 2, 2, generator=torch.Generator().manual_seed(3))
    prior, _ = known(z, 9)
    wanted = plain.decode(z).sample
    assert torch.equal(vae.decode(z).sample, wanted)
    assert torch.equal(vae.decode(z, prior).sample, wanted)
    assert torch.equal(vae.decode(z, prior, torch.zeros_like(prior[:, :1])).sample, wanted)
    with pytest.raises(ModelError, match="takes no prior"):
        plain.decode(z, prior, prior[:, :1])
    with pytest.raises(ModelError, match=r"F, H, W = 9, 32, 32"):
        vae.decode(z, prior[:, :, 1:], prior[:, :1])


@torch.no_grad()
def test_a_visible_prior_is_most_of_an_untrained_output_and_a_hidden_one_nothing() -> None:
    vae, z = make(WITH_PRIOR), torch.zeros(1, 4, 3, 2, 2)
    prior, visibility = known(z, 9)
    alone, found = vae.decode(z).sample, vae.decode(z, prior, visibility).sample
    blend = alone + torch.sigmoid(torch.tensor(2.0)) * visibility * (prior - alone)
    torch.testing.assert_close(found, blend, atol=1e-5, rtol=0)
    hidden = visibility.expand_as(prior) == 0.0
    assert torch.equal(found[hidden], alone[hidden])
    other = torch.where(hidden, torch.randn_like(prior), prior)
    trained = trained_to_use_priors()
    torch.testing.assert_close(trained.decode(z, other, visibility).sample, trained.decode(z, prior, visibility).sample)


@torch.no_grad()
def test_frames_up_to_4k_see_the_prior_only_up_to_4k() -> None:
    vae, z = trained_to_use_priors(), torch.randn(1, 4, 3, 2, 2, generator=torch.Generator().manual_seed(3))
    prior, visibility = known(z, 9)
    later, whole = prior.clone(), torch.ones_like(visibility)
    later[:, :, 5:] *= -1.0
    old, new = (vae.decode(z, each, whole).sample for each in (prior, later))
    assert torch.equal(old[:, :, :5], new[:, :, :5])
    assert (old[:, :, 5:] != new[:, :, 5:]).any(dim=(0, 1, 3, 4)).all()


def test_learns_to_believe_a_prior_only_where_it_is_right() -> None:
    """The right half of the prior is another video, which latents alone tell."""
    vae, clip = make(WITH_PRIOR).train(), video(4, 5, 32)
    prior, whole = clip.clone(), torch.ones(4, 1, 5, 32, 32)
    prior[..., 16:] = video(4, 5, 32, seed=9)[..., 16:]
    optimiser = torch.optim.Adam(vae.parameters(), lr=1e-2)
    for _ in range(60):
        decoded = vae.decode(vae.encode(clip).latent_dist.mode(), prior, whole).sample
        optimiser.zero_grad()
        (decoded - clip).square().mean().backward()
        optimiser.step()
    error = (decoded - clip).detach().square()
    assert error[..., :14].mean() < 0.1 * (prior - clip)[..., 18:].square().mean()
    assert error[..., 18:].mean() < 0.7 * (prior - clip)[..., 18:].square().mean()


def test_learns_an_image() -> None:
    vae = make().train()
    clip = torch.nn.functional.interpolate(video(2, 5, 4), size=(5, 16, 16), mode="trilinear")
    optimiser = torch.optim.Adam(vae.parameters(), lr=1e-2)
    errors = []
    for _ in range(150):
        error = (vae.decode(vae.encode(clip).latent_dist.mode()).sample - clip).square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        errors.append(error.item())
    assert errors[-1] < 0.2 * errors[0]


@pytest.mark.parametrize(("config", "frames", "size"), [(TINY, 9, 16), (MINI, 41, 64)], ids=["tiny", "mini"])
def test_onnx_runtime_equals_torch(tmp_path, config: VideoVAEConfig, frames: int, size: int) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install -e .")
    vae = make(config)
    clips = video(3, frames, size)
    with torch.no_grad():
        latents = vae.encode(clips).latent_dist.mean
    for module, example in ((vae.encoder, clips), (vae.decoder, latents)):
        path = tmp_path / f"{type(module).__name__}.onnx"
        batch = torch.export.Dim("batch", min=1, max=64)
        torch.onnx.export(module, (example[:2],), path, dynamo=True, dynamic_shapes=({0: batch},), verbose=False)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        for count in (1, 3):
            with torch.no_grad():
                expected = module(example[:count]).numpy()
            (got,) = session.run(None, {session.get_inputs()[0].name: example[:count].numpy()})
            np.testing.assert_allclose(got, expected, atol=1e-4, rtol=1e-4)
