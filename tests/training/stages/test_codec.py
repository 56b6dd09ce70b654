"""Codec training: the loss falls, its terms are right, and the linear start is the best linear codec."""

import numpy as np
import pytest
import torch

from egotwin_model.video.pixels import to_video
from egotwin_model.video.vae import CausalVideoVAE, VideoVAEConfig
from training.stages.codec_loss import (
    CodecLossConfig,
    codec_loss,
    initialise_shortcuts,
    psnr,
    random_crop,
)
from training.stages.random_streams import RandomStreams

TINY = VideoVAEConfig(
    latent_channels=4, encoder_widths=(8, 12), encoder_blocks=(1, 1), decoder_widths=(16, 8), decoder_blocks=(1, 1)
)


def make() -> CausalVideoVAE:
    torch.manual_seed(0)
    return CausalVideoVAE(TINY)


def moving_gratings(count: int = 6, frames: int = 9, size: int = 16) -> torch.Tensor:
    """Coloured gratings that drift, uint8 (N, F, H, W, 3)."""
    rng = np.random.default_rng(0)
    y, x, t = np.meshgrid(np.arange(size), np.arange(size), np.arange(frames), indexing="ij")
    clips = []
    for _ in range(count):
        fx, fy, ft = rng.uniform(-0.4, 0.4, 3)
        wave = np.sin(fx * x + fy * y + ft * t)[..., None] * rng.uniform(20, 100, 3) + 127
        clips.append(wave.transpose(2, 0, 1, 3))
    return torch.from_numpy(np.stack(clips).astype(np.uint8))


def noise_for(video: torch.Tensor, step: int = 0) -> torch.Tensor:
    """Unit noise of the latents' shape."""
    clips, _, frames, height, width = video.shape
    return RandomStreams(0, step, range(clips)).normal(4, 1 + (frames - 1) // 4, height // 8, width // 8)


def test_crops_cover_every_start() -> None:
    frames = torch.arange(9).view(1, 9, 1, 1, 1)
    starts = {int(random_crop(frames, 5, RandomStreams(0, step, range(1)))[0, 0]) for step in range(100)}
    assert starts == {0, 1, 2, 3, 4}
    assert random_crop(frames, 17, RandomStreams(0, 0, range(1))).shape[1] == 9


def test_psnr_of_a_known_error() -> None:
    assert psnr(torch.full((2, 3, 1, 4, 4), 0.2)).numpy() == pytest.approx([20.0, 20.0], abs=1e-4)


def test_loss_is_the_weighted_sum_of_its_terms() -> None:
    config = CodecLossConfig(crop_frames=9, edge_weight=0.3, kl_weight=0.01)
    video = to_video(moving_gratings())
    terms = codec_loss(make(), video, noise_for(video), config)
    expected = terms["rec"] + 0.3 * terms["edge"] + 0.01 * terms["kl"]
    torch.testing.assert_close(terms["loss"].detach(), expected)
    assert terms["loss"].requires_grad
    assert not any(value.requires_grad for name, value in terms.items() if name != "loss")


def test_training_lowers_the_loss() -> None:
    vae, video = make(), to_video(moving_gratings())
    initialise_shortcuts(vae, video)
    optimiser = torch.optim.AdamW(vae.parameters(), lr=3e-3)
    history = []
    for step in range(120):
        terms = codec_loss(vae, video, noise_for(video, step))
        optimiser.zero_grad()
        terms["loss"].backward()
        optimiser.step()
        history.append(terms["psnr"].item())
    assert np.mean(history[-5:]) > np.mean(history[:5]) + 2.0


def test_linear_start_is_the_principal_components() -> None:
    vae, video = make(), to_video(moving_gratings())
    for layer in (vae.encoder.conv_out, vae.decoder.conv_out):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    initialise_shortcuts(vae, video)
    with torch.no_grad():
        latents = vae.encode(video).latent_dist.mean
        decoded = vae.decode(latents).sample
    blocks = video[:, :, 1:].reshape(6, 3, 2, 4, 2, 8, 2, 8).permute(0, 2, 4, 6, 3, 5, 7, 1).reshape(-1, 768).numpy()
    centred = blocks - blocks.mean(0)
    singular = np.linalg.svd(centred, compute_uv=False)
    best = (singular[4:] ** 2).sum() / centred.size  # the least error any four linear components can have
    error = (decoded - video)[:, :, 1:].square().mean().item()
    assert error == pytest.approx(best, rel=1e-3)
    torch.testing.assert_close(latents[:, :, 1:].std((0, 2, 3, 4)), torch.ones(4), atol=1e-3, rtol=0)
