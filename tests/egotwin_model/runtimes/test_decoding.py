"""Decoding with what is known of the video: both runtimes compute the same from one folder, and refuse the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("onnxscript", reason="onnxscript is not installed")

from egotwin_model.errors import ModelError
from egotwin_model.io.files import write_json
from egotwin_model.io.store import WEIGHTS, save_component
from egotwin_model.runtimes.onnx_runtime import GRAPHS, OnnxRuntime
from egotwin_model.runtimes.torch_runtime import TorchRuntime
from egotwin_model.video.vae import CausalVideoVAE, VideoVAEConfig, load_video_vae
from training.export.graphs import export_graph

NETWORKS = {"video_vae": lambda folder, options: load_video_vae(folder)}


def write_folder(folder: Path, prior_condition: bool) -> Path:
    """A folder with a video VAE alone: two latents of four frames after the first, 32 px."""
    torch.manual_seed(0)
    config = VideoVAEConfig(
        latent_channels=4, spatial_compression_ratio=16, encoder_widths=(8, 8), encoder_blocks=(1, 1),
        decoder_widths=(16, 8), decoder_blocks=(1, 1), prior_condition=prior_condition, scaling_factor=0.5,
    )  # fmt: skip
    vae = CausalVideoVAE(config).eval()
    for parameter in vae.decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    save_component(folder / "video_vae", vae)
    (folder / "onnx").mkdir()
    latents, prior, visibility = inputs()
    given = {"latents": latents, **({"prior": prior, "visibility": visibility} if prior_condition else {})}
    path = folder / "onnx" / "video_decoder.onnx"
    graph = export_graph(path, vae, f"video_vae/{WEIGHTS}", lambda model, *x: model.decoder(*x), given)
    write_json(folder / GRAPHS, {"video_decoder": graph})
    return folder


def inputs(batch: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(1)
    prior = torch.rand(batch, 3, 9, 32, 32, generator=g) * 2 - 1
    return torch.randn(batch, 4, 3, 2, 2, generator=g), prior, torch.rand(batch, 1, 9, 32, 32, generator=g)


@pytest.mark.parametrize("prior_condition", [False, True])
def test_both_runtimes_decode_alike_with_and_without_a_prior(tmp_path: Path, prior_condition: bool) -> None:
    folder = write_folder(tmp_path, prior_condition)
    latents, prior, visibility = inputs(batch=3)
    ours, theirs = TorchRuntime(folder, NETWORKS), OnnxRuntime(folder)
    alone = ours.decode_video(latents)
    torch.testing.assert_close(theirs.decode_video(latents), alone, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(theirs.decode_video(latents, prior), alone, atol=1e-4, rtol=1e-4)
    if not prior_condition:
        for runtime in (ours, theirs):
            with pytest.raises(ModelError, match="takes no prior"):
                runtime.decode_video(latents, prior, visibility)
        return
    wanted = ours.decode_video(latents, prior, visibility)
    assert (wanted - alone).abs().max() > 0.1
    torch.testing.assert_close(theirs.decode_video(latents, prior, visibility), wanted, atol=1e-4, rtol=1e-4)
    arrays = [np.asarray(array) for array in (latents, prior, visibility)]
    np.testing.assert_allclose(theirs.decode_video(*arrays), wanted.numpy(), atol=1e-4, rtol=1e-4)
    for runtime in (ours, theirs):
        with pytest.raises(ModelError, match=r"9, 32, 32"):
            runtime.decode_video(latents, prior, visibility[:, :, 1:])
