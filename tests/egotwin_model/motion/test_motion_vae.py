"""The motion VAE: causal to the bit, the paper's sizes, its loss, and the same numbers from ONNX Runtime."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from egotwin_model.errors import ModelError
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.vae import (
    CausalConv,
    MotionVAE,
    MotionVAEConfig,
    StepNorm,
    fold_time,
    initialise_linear_path,
    motion_vae_loss,
    unfold_time,
)

from ...shared_data import missing_extra


@pytest.fixture(scope="module")
def vae() -> MotionVAE:
    torch.manual_seed(0)
    return MotionVAE(MotionVAEConfig.mini()).eval()


@pytest.mark.parametrize(("poses", "latents"), [(81, 21), (41, 11), (5, 2), (1, 1)])
def test_shapes(vae: MotionVAE, poses: int, latents: int) -> None:
    features = torch.randn(2, poses, 288)
    distribution = vae.encode(features)
    assert distribution.mean.shape == distribution.logvar.shape == (2, 64, latents)
    assert vae.decode(distribution.mode()).shape == features.shape


def test_samples_follow_the_distribution(vae: MotionVAE) -> None:
    with torch.no_grad():
        distribution = vae.encode(torch.randn(1, 5, 288))
        first = distribution.sample(torch.Generator().manual_seed(7))
        assert torch.equal(first, distribution.sample(torch.Generator().manual_seed(7)))
        many = torch.stack([distribution.sample() for _ in range(4000)])
    torch.testing.assert_close(many.mean(0), distribution.mean, atol=0.1, rtol=0)
    torch.testing.assert_close(many.std(0), (0.5 * distribution.logvar).exp(), atol=0.1, rtol=0.1)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 80))
def test_encoder_is_causal_to_the_bit(vae: MotionVAE, frame: int) -> None:
    generator = torch.Generator().manual_seed(frame)
    features = torch.randn(2, 81, 288, generator=generator)
    changed = features.clone()
    changed[:, frame:] += torch.randn(2, 81 - frame, 288, generator=generator)
    with torch.no_grad():
        before, after = vae.encode(features), vae.encode(changed)
    unaware = (frame + 3) // 4  # latent k sees frames up to 4k
    assert torch.equal(before.mean[..., :unaware], after.mean[..., :unaware])
    assert torch.equal(before.logvar[..., :unaware], after.logvar[..., :unaware])
    if unaware < 21:
        assert not torch.equal(before.mean[..., unaware], after.mean[..., unaware])


@settings(deadline=None, max_examples=21)
@given(st.integers(0, 20))
def test_decoder_is_causal_to_the_bit(vae: MotionVAE, latent: int) -> None:
    generator = torch.Generator().manual_seed(latent)
    latents = torch.randn(2, 64, 21, generator=generator)
    changed = latents.clone()
    changed[..., latent:] += torch.randn(2, 64, 21 - latent, generator=generator)
    with torch.no_grad():
        before, after = vae.decode(latents), vae.decode(changed)
    unaware = max(0, 4 * latent - 3)  # poses 4k-3 ... 4k come from latents up to k
    assert torch.equal(before[:, :unaware], after[:, :unaware])
    assert not torch.equal(before[:, unaware], after[:, unaware])


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (4, 2)])
def test_causal_convolution_is_torchs_with_padding_at_the_start(kernel: int, stride: int) -> None:
    conv = CausalConv(5, 7, kernel, stride)
    x = torch.randn(2, 9, 5)
    weight = conv.linear.weight.reshape(7, kernel, 5).transpose(1, 2)
    padded = torch.nn.functional.pad(x.transpose(1, 2), (kernel - 1, 0))
    expected = torch.nn.functional.conv1d(padded, weight, conv.linear.bias, stride)
    torch.testing.assert_close(conv(x), expected.transpose(1, 2))


@pytest.mark.parametrize("groups", [1, 4])
def test_step_norm_is_group_norm_of_each_time_step(groups: int) -> None:
    norm = StepNorm(groups, 12)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(2, 5, 12)
    steps = [torch.nn.functional.group_norm(x[:, t], groups, norm.weight, norm.bias) for t in range(5)]
    torch.testing.assert_close(norm(x), torch.stack(steps, dim=1))


def test_paper_size() -> None:
    with torch.device("meta"):
        vae = MotionVAE(MotionVAEConfig.paper())
    encoder, decoder = (sum(p.numel() for p in part.parameters()) for part in (vae.encoder, vae.decoder))
    print(f"paper-size motion VAE: encoder {encoder / 1e6:.1f} M, decoder {decoder / 1e6:.1f} M parameters")
    assert encoder == pytest.approx(200e6, rel=0.1)
    assert decoder == pytest.approx(270e6, rel=0.01)
    distribution = vae.encode(torch.empty(1, 81, 288, device="meta"))
    assert vae.decode(distribution.mode()).shape == (1, 81, 288)


@pytest.mark.slow
@torch.no_grad()
def test_paper_size_computes_causally() -> None:
    """One real run of all 479 M parameters, 81 → 21 → 81: 2 GB, filled with repeated numbers, which is quicker."""
    with torch.device("meta"):
        vae = MotionVAE(MotionVAEConfig.paper()).eval()
    vae.to_empty(device="cpu")
    numbers = torch.randn(1 << 20, generator=torch.Generator().manual_seed(0))
    for name, parameter in vae.named_parameters():
        scale = parameter.shape[1] ** -0.5 if parameter.ndim == 2 else 0.1
        flat = parameter.view(-1)
        for start in range(0, len(flat), len(numbers)):
            piece = flat[start : start + len(numbers)]
            torch.mul(numbers[: len(piece)], scale, out=piece)
        if "norm" in name and name.endswith("weight"):
            parameter += 1.0
    features = torch.randn(1, 81, 288, generator=torch.Generator().manual_seed(1))
    changed = features.clone()
    changed[:, 38:] += 1.0  # latent 10 is the first to see it: it ends with frame 40
    before, after = vae.encode(features), vae.encode(changed)
    assert before.mean.shape == (1, 64, 21)
    assert torch.equal(before.mean[..., :10], after.mean[..., :10])
    assert not torch.equal(before.mean[..., 10], after.mean[..., 10])
    latents = before.mode()
    other = torch.cat([latents[..., :10], latents[..., 10:] + 1.0], dim=-1)
    decoded, with_other = vae.decode(latents), vae.decode(other)
    assert decoded.shape == (1, 81, 288)
    assert torch.isfinite(decoded).all()
    assert torch.equal(decoded[:, :37], with_other[:, :37])
    assert not torch.equal(decoded[:, 37], with_other[:, 37])


def test_mini_is_small() -> None:
    count = sum(p.numel() for p in MotionVAE(MotionVAEConfig.mini()).parameters())
    assert 3e6 < count < 5e6


def test_loss_is_the_mean_over_four_groups(vae: MotionVAE) -> None:
    features = torch.randn(3, 9, 288)
    error = torch.zeros(288)
    error[0:12], error[12:18], error[18:150], error[150:] = 1.0, 2.0, 3.0, 4.0  # by the layout in the spec
    distribution = vae.encode(features)
    terms = motion_vae_loss(features, features + error, distribution, HeadCentric().groups, kl_weight=0.5)
    unit = torch.distributions.Normal(0.0, 1.0)
    normal = torch.distributions.Normal(distribution.mean, (0.5 * distribution.logvar).exp())
    kl = torch.distributions.kl_divergence(normal, unit).mean()
    torch.testing.assert_close(terms["kl"], kl)
    torch.testing.assert_close(terms["loss"], torch.tensor((1 + 4 + 9 + 16) / 4) + 0.5 * kl)
    for name, value in {"head_6d": 1.0, "head_3d": 4.0, "joint_3d": 9.0, "joint_6d": 16.0}.items():
        torch.testing.assert_close(terms[name], torch.tensor(value))


def test_folding_gives_each_latent_its_own_poses() -> None:
    features = torch.arange(9.0)[None, :, None] + torch.tensor([0.0, 0.5])  # pose t holds (t, t + 0.5)
    blocks = fold_time(features, 4)
    assert blocks[0, :, ::2].tolist() == [[0, 0, 0, 0], [1, 2, 3, 4], [5, 6, 7, 8]]
    assert torch.equal(unfold_time(blocks, 4), features)


def test_linear_path_starts_as_the_best_linear_codec() -> None:
    """Against an independent computation: singular vectors of the blocks, each loss group counting the same."""
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(200, 288, generator=generator) * torch.linspace(1, 0.01, 200)[:, None]
    features = (torch.randn(40, 17, 200, generator=generator).cumsum(1) @ mixing) * 0.05
    groups = HeadCentric().groups
    vae = MotionVAE(MotionVAEConfig.smoke()).eval()
    initialise_linear_path(vae, features, groups)
    with torch.no_grad():
        distribution = vae.encode(features)
        found = fold_time(vae.decode(distribution.mode()), 4)[
            :, 1:
        ].double()  # the first block's repeats are not decoded

    weight = torch.zeros(288, dtype=torch.float64)
    for places in groups.values():
        for place in places:
            weight[place] = 1 / sum(part.stop - part.start for part in places)
    weight = weight.sqrt().repeat(4)
    blocks = fold_time(features, 4).double()
    mean = blocks.flatten(0, 1).mean(0)
    _, _, directions = torch.linalg.svd((blocks.flatten(0, 1) - mean) * weight, full_matrices=False)
    basis = directions[:64]
    expected = ((blocks - mean) * weight) @ basis.T @ basis / weight + mean
    torch.testing.assert_close(found, expected[:, 1:], atol=1e-3, rtol=0)
    spread = distribution.mean.transpose(1, 2).flatten(0, 1).std(0)
    assert spread.max() == pytest.approx(1.0, abs=0.05)  # the strongest component
    assert (distribution.logvar < -5).all()


def test_the_paper_model_has_no_linear_path() -> None:
    assert not MotionVAEConfig.paper().linear_path
    plain = MotionVAE(MotionVAEConfig(widths=(8, 8), norm_groups=2))
    with pytest.raises(ModelError, match="no linear path"):
        initialise_linear_path(plain, torch.randn(2, 5, 288), HeadCentric().groups)


def test_it_learns_to_reconstruct() -> None:
    torch.manual_seed(1)
    vae = MotionVAE(MotionVAEConfig.smoke())
    phase = torch.rand(16, 1, 1) * 6.28 + torch.arange(17)[None, :, None] * 0.3
    features = torch.sin(phase + torch.linspace(0, 6.28, 288))
    optimizer = torch.optim.AdamW(vae.parameters(), lr=3e-3)
    losses = []
    for _ in range(120):
        distribution = vae.encode(features)
        terms = motion_vae_loss(features, vae.decode(distribution.sample()), distribution, HeadCentric().groups)
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        losses.append(terms["loss"].item())
    assert losses[0] > 0.4
    assert losses[-1] < 0.1


def test_onnx_runtime_agrees(vae: MotionVAE, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install -e .")
    pytest.importorskip("onnxscript", reason=missing_extra("train"))
    inputs = {"encoder": torch.randn(2, 81, 288), "decoder": torch.randn(2, 64, 21)}
    for name, example in inputs.items():
        path = tmp_path / f"{name}.onnx"
        batch = {0: torch.export.Dim("batch", min=1, max=64)}
        program = torch.onnx.export(getattr(vae, name), (example,), dynamo=True, dynamic_shapes=(batch,), verbose=False)
        assert program is not None
        program.save(path)
        session = onnxruntime.InferenceSession(path)
        for size in (1, 2, 3):
            value = torch.randn(size, *example.shape[1:])
            (result,) = session.run(None, {session.get_inputs()[0].name: value.numpy()})
            with torch.no_grad():
                np.testing.assert_allclose(result, getattr(vae, name)(value), atol=1e-5)


def test_what_does_not_fit_is_refused_by_name(vae: MotionVAE) -> None:
    with pytest.raises(ModelError, match=r"80, 288.*1 \+ 4k"):
        vae.encode(torch.zeros(1, 80, 288))
    with pytest.raises(ModelError, match="275"):
        vae.encode(torch.zeros(1, 81, 275))
    with pytest.raises(ModelError, match="wanted \\(batch, 64"):
        vae.decode(torch.zeros(1, 32, 21))
    with pytest.raises(ModelError, match="divisible"):
        MotionVAEConfig(widths=(100, 200))
