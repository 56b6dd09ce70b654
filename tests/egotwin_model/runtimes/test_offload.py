"""Offload and the torch runtime's options: what is where, in which precision, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from egotwin_model.diffusion.sampler import Guidance
from egotwin_model.egotwin.networks import NETWORKS
from egotwin_model.errors import ModelError
from egotwin_model.io.files import read_json, write_json
from egotwin_model.io.store import WEIGHTS
from egotwin_model.runtimes.base import RuntimeOptions
from egotwin_model.runtimes.offload import Residence
from egotwin_model.runtimes.onnx_runtime import OnnxRuntime
from egotwin_model.runtimes.registry import load_runtime
from egotwin_model.runtimes.torch_runtime import TorchRuntime

from ...shared_data import missing_extra, needs_gpu


class Tied(nn.Module):
    """Two layers that share a weight, and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.norm = nn.Linear(4, 4), nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.second.weight = self.first.weight


def devices(module: nn.Module) -> set[str]:
    return {tensor.device.type for tensor in [*module.parameters(), *module.buffers()]}


def test_one_network_at_a_time_comes_and_goes_unchanged() -> None:
    """The meta device stands for the GPU: a network there has no numbers, so they must come back from the CPU."""
    residence, one, other = Residence("meta", offload=True), Tied(), Tied()
    kept = {name: (tensor, tensor.clone()) for name, tensor in one.state_dict(keep_vars=True).items()}
    assert residence.bring(one) is one
    assert devices(one) == {"meta"}
    residence.bring(one)
    assert residence.present == [one]
    residence.bring(other)
    assert (devices(one), devices(other)) == ({"cpu"}, {"meta"})
    for name, tensor in one.state_dict(keep_vars=True).items():
        assert tensor is kept[name][0]
        assert torch.equal(tensor, kept[name][1])
    assert one.first.weight is one.second.weight
    residence.clear()
    assert devices(other) == {"cpu"}
    assert residence.present == []


def test_without_offload_networks_stay() -> None:
    residence, one, other = Residence("meta"), nn.Linear(2, 2), nn.Linear(2, 2)
    residence.bring(one)
    residence.bring(other)
    residence.clear()
    assert devices(one) == devices(other) == {"meta"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": -1}, "threads is -1"),
        ({"dtype": "int8"}, "dtype 'int8' is not one of float32, bfloat16, float16"),
        ({"device": "abacus"}, "device 'abacus' is none that torch knows"),
        ({"device": f"cuda:{torch.cuda.device_count()}"}, f"torch sees {torch.cuda.device_count()} CUDA devices"),
    ],
)
def test_impossible_options_are_refused_by_name(folder: Path, options: dict[str, Any], message: str) -> None:
    """Wrong for every runtime, or for the one that would run: which devices there are, a runtime knows."""
    with pytest.raises(ModelError, match=message):
        load_runtime(folder, "torch", RuntimeOptions(**options), networks=NETWORKS)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    export = pytest.importorskip("training.export.command", reason=missing_extra("train"))
    from egotwin_model.egotwin import pipeline

    defaults = pipeline.SamplingDefaults(num_steps=2, guidance=Guidance(1.0, 1.0, 1.0))
    out = tmp_path_factory.mktemp("models") / "smoke"
    return export.export(export.random_networks("smoke"), out, "egotwin-smoke", defaults, {}, graphs=False)


def test_onnx_runtime_refuses_what_only_torch_can(folder: Path) -> None:
    half = RuntimeOptions(dtype="bfloat16")
    with pytest.raises(ModelError, match=r"bfloat16.*needs runtime='torch'"):
        load_runtime(folder, "onnxruntime", half, networks=NETWORKS)
    assert isinstance(load_runtime(folder, "auto", half, networks=NETWORKS), TorchRuntime)
    mini = Path(__file__).parents[3] / "models" / "egotwin-mini"
    assert isinstance(load_runtime(mini, "auto", RuntimeOptions(text_cache="texts"), networks=NETWORKS), OnnxRuntime)


@torch.inference_mode()
def test_latents_have_the_scale_the_vae_says_in_every_runtime(tmp_path: Path) -> None:
    mini, one_thread = Path(__file__).parents[3] / "models" / "egotwin-mini", RuntimeOptions(threads=1)
    for part in ("onnx", "transformer", "motion_vae"):
        (tmp_path / part).symlink_to(mini / part)
    (tmp_path / "video_vae").mkdir()
    (tmp_path / "video_vae" / WEIGHTS).symlink_to(mini / "video_vae" / WEIGHTS)
    settings = read_json(mini / "video_vae" / "config.json")
    write_json(tmp_path / "video_vae" / "config.json", settings | {"scaling_factor": 0.5})
    image = torch.rand(1, 3, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    plain = OnnxRuntime(mini, one_thread)
    latents = plain.encode_video(image)
    clip = latents.repeat(1, 1, 11, 1, 1)
    for scaled in (OnnxRuntime(tmp_path, one_thread), TorchRuntime(tmp_path, NETWORKS)):
        assert torch.allclose(scaled.encode_video(image), 0.5 * latents, atol=1e-5)
        assert torch.allclose(scaled.decode_video(0.5 * clip), plain.decode_video(clip), atol=1e-4)


@torch.inference_mode()
def test_bfloat16_with_offload_computes_what_float32_does_nearly(folder: Path) -> None:
    plain = TorchRuntime(folder, NETWORKS)
    half = TorchRuntime(folder, NETWORKS, RuntimeOptions(dtype="bfloat16", offload=True))
    c, g = plain.networks["transformer"].config, torch.Generator().manual_seed(0)
    latent = (c.latent_channels, c.latent_height, c.latent_width)
    inputs = [
        torch.randn(1, c.text_length, c.text_dim, generator=g), torch.randn(1, c.latent_frames, *latent, generator=g),
        torch.randn(1, c.motion_channels, c.motion_length, generator=g), torch.tensor([999.0]), torch.tensor([501.0]),
        torch.randn(1, *latent, generator=g), torch.randn(1, c.motion_channels, generator=g),
    ]  # fmt: skip
    features = torch.randn(1, 1, 288, generator=g)
    video = torch.rand(1, 3, 5, 64, 64, generator=g) * 2 - 1
    for wanted, found in (
        *zip(plain.denoise(*inputs, motion_only=False), half.denoise(*inputs, motion_only=False), strict=True),
        (plain.encode_video(video), half.encode_video(video)),
        (plain.decode_video(inputs[1].transpose(1, 2)), half.decode_video(inputs[1].transpose(1, 2))),
    ):
        assert wanted is not None
        assert found is not None
        assert found.dtype == torch.float32
        error = (found - wanted).abs().max() / wanted.abs().max()
        assert 0 < error < 0.05
    assert torch.equal(plain.encode_motion(features), half.encode_motion(features)), "metres stay in float32"
    assert half.residence.present == [half.networks["motion_vae"]]
    assert half.networks["transformer"].proj_out.weight.dtype == torch.bfloat16
    direct = half.networks["transformer"](
        *(x if x is None or i in (3, 4) else x.bfloat16() for i, x in enumerate(inputs)), motion_only=True
    )[1]
    assert torch.equal(direct.float(), half.denoise(*inputs, motion_only=True)[1]), "timesteps keep their digits"


@needs_gpu
@torch.inference_mode()
def test_offload_on_a_gpu_keeps_one_network_there_and_its_results(folder: Path) -> None:
    plain, away = (
        TorchRuntime(folder, NETWORKS, RuntimeOptions(device="cuda", offload=offload)) for offload in (False, True)
    )
    video = torch.rand(1, 3, 5, 64, 64) * 2 - 1
    latents = away.encode_video(video)
    assert devices(away.networks["video_vae"]) == {"cuda"}
    assert torch.allclose(plain.encode_video(video), latents, atol=1e-5)
    away.encode_motion(torch.randn(1, 1, 288))
    assert devices(away.networks["video_vae"]) == {"cpu"}
    assert devices(plain.networks["video_vae"]) == {"cuda"}
