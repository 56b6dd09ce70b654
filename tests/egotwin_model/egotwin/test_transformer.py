"""The transformer against diffusers' CogVideoX where they must be equal, and the properties of its motion branch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from egotwin_model.diffusion.positions import video_sinusoid
from egotwin_model.egotwin import variants
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.transformer import EgoTwinTransformer
from egotwin_model.errors import ModelError

from ...shared_data import missing_extra

NARROW = EgoTwinConfig(
    num_layers=3, num_motion_layers=2, num_heads=2, head_dim=64, time_embed_dim=32, text_dim=48, text_length=7,
    latent_channels=4, latent_frames=3, latent_height=8, latent_width=12, motion_width=32, motion_channels=8,
    motion_length=5,
)  # fmt: skip


def inputs(config: EgoTwinConfig, batch: int = 2, seed: int = 1) -> dict[str, Any]:
    c, g = config, torch.Generator().manual_seed(seed)
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


def randomise(model: nn.Module) -> None:
    """All weights random, also those that start at zero; queries and keys so large that attention is far from even."""
    for name, parameter in model.named_parameters():
        nn.init.normal_(parameter, mean=2.0 if "norm_q.w" in name or "norm_k.w" in name else 0.0, std=0.1)


def random_model(config: EgoTwinConfig, seed: int = 0) -> EgoTwinTransformer:
    torch.manual_seed(seed)
    model = EgoTwinTransformer(config).eval()
    randomise(model)
    return model


@pytest.fixture(scope="module")
def model() -> EgoTwinTransformer:
    return random_model(NARROW)


# Beside diffusers


def cogvideox(c: EgoTwinConfig) -> Any:
    """diffusers' CogVideoX-I2V at the sizes of a configuration, with random weights."""
    diffusers = pytest.importorskip("diffusers", reason=missing_extra("paper"))
    torch.manual_seed(5)
    model = diffusers.CogVideoXTransformer3DModel(
        num_attention_heads=c.num_heads, attention_head_dim=c.head_dim, in_channels=2 * c.latent_channels,
        out_channels=c.latent_channels, time_embed_dim=c.time_embed_dim, text_embed_dim=c.text_dim,
        num_layers=c.num_layers, sample_width=c.latent_width, sample_height=c.latent_height,
        sample_frames=4 * c.latent_frames - 3, max_text_seq_length=c.text_length,
        use_rotary_positional_embeddings=True, use_learned_positional_embeddings=True,
    ).eval()  # fmt: skip
    randomise(model)
    return model


@pytest.fixture(scope="module")
def reference() -> Any:
    return cogvideox(NARROW)


def reference_prediction(reference: Any, x: dict[str, Any], rotary: tuple[Tensor, Tensor] | None = None) -> Tensor:
    from diffusers.models.embeddings import get_3d_rotary_pos_embed

    condition = torch.zeros_like(x["video"])
    condition[:, 0] = x["image"]
    grid = (x["video"].shape[3] // 2, x["video"].shape[4] // 2)
    rotary = rotary or get_3d_rotary_pos_embed(64, ((0, 0), grid), grid, x["video"].shape[1])
    with torch.no_grad():
        return reference(
            torch.cat([x["video"], condition], dim=2), x["text"], x["t_video"], image_rotary_emb=rotary
        ).sample


def loaded(reference: Any, config: EgoTwinConfig) -> EgoTwinTransformer:
    """Our model right after loading: pretrained tensors, and new modules as they are initialised."""
    torch.manual_seed(9)
    ours = EgoTwinTransformer(config).eval()
    missing, unexpected = ours.load_state_dict(reference.state_dict(), strict=False)
    assert unexpected == []
    assert missing == ours.new_parameter_names()
    return ours


GATED = replace(NARROW, motion_gate=True)


@torch.no_grad()
@pytest.mark.parametrize(
    "changes", [{}, {"interaction": False}, {"asynchronous": False}, {"camera_condition": True}], ids=str
)
def test_step_0_video_equals_diffusers_cogvideox_whatever_motion_is(reference: Any, changes: dict[str, Any]) -> None:
    ours = loaded(reference, replace(GATED, **changes))
    for seed, t in enumerate((0, 1, 333, 750, 999)):
        x = inputs(NARROW, batch=3, seed=seed)
        x["t_video"] = torch.tensor([t, 999 - t, 500])
        x["t_motion"] = torch.tensor([999 - t, 0, t]) if ours.config.asynchronous else x["t_video"]
        x["motion"] *= 10.0 ** (seed - 2)
        camera = torch.randn(3, 3, 24, 8, 12) if ours.config.camera_condition else None
        wanted = reference_prediction(reference, x)
        found, motion = ours(**x, camera=camera)
        assert (found - wanted).abs().max() < 1e-5 * wanted.abs().max()
        assert motion.shape == x["motion"].shape


@torch.no_grad()
def test_step_0_holds_at_every_timestep() -> None:
    """All thousand t_v, each with a t_m and a motion of its own."""
    small = replace(GATED, num_heads=1, latent_frames=2, motion_length=3, latent_height=4, latent_width=4)
    reference = cogvideox(small)
    ours, x = loaded(reference, small), inputs(small)
    x = {name: value[:1].expand(1000, *value.shape[1:]) for name, value in x.items()}
    x["t_video"], x["t_motion"] = torch.arange(1000), torch.randperm(1000)
    x["motion"], x["pose"] = torch.randn(1000, 8, 3), torch.randn(1000, 8)
    wanted, (found, _) = reference_prediction(reference, x), ours(**x)
    assert (found - wanted).abs().max() < 1e-5 * wanted.abs().max()


@torch.no_grad()
def test_video_alone_equals_diffusers_cogvideox(reference: Any) -> None:
    for ours in (loaded(reference, GATED), loaded(reference, replace(NARROW, num_motion_layers=0))):
        x = inputs(NARROW)
        wanted = reference_prediction(reference, x)
        found, _ = ours(**{**x, "motion": None, "pose": None})
        assert (found - wanted).abs().max() < 1e-5 * wanted.abs().max()


def test_what_starts_at_zero_still_learns(reference: Any) -> None:
    """From step 0 on, the video's error reaches the gates, t_m's half and the other new inputs."""
    ours = loaded(reference, replace(GATED, camera_condition=True, **variants.GEOMETRY))
    video, _ = ours(**inputs(NARROW), **geometry_inputs(), camera=torch.randn(2, 3, 24, 8, 12))
    video.square().mean().backward()
    silent = [block.motion.gate for block in ours.transformer_blocks[:2]]
    silent += [ours.time_embedding.linear_1_motion.weight, ours.patch_embed.camera_proj.weight]
    silent += [ours.patch_embed.prior_proj.weight, ours.patch_embed.depth_proj.weight]
    for parameter in silent:
        assert parameter.abs().max() == 0
        assert parameter.grad.abs().min() > 0


@torch.no_grad()
def test_an_open_gate_is_the_joint_attention_of_the_paper() -> None:
    gated, plain = random_model(GATED), EgoTwinTransformer(NARROW).eval()
    plain.load_state_dict({name: value for name, value in gated.state_dict().items() if not name.endswith(".gate")})
    x = inputs(NARROW)
    for block in gated.transformer_blocks[:2]:
        nn.init.ones_(block.motion.gate)
    for found, wanted in zip(gated(**x), plain(**x), strict=True):
        assert (found - wanted).abs().max() < 1e-5 * wanted.abs().max()
    for block in gated.transformer_blocks[:2]:
        nn.init.zeros_(block.motion.gate)
    assert (gated(**x)[0] - plain(**x)[0]).abs().max() > 1e-3 * wanted.abs().max()


@torch.no_grad()
def test_a_part_of_the_learned_grid_keeps_its_positions(reference: Any) -> None:
    """Columns 1–4 of the pretrained 4 × 6 patches: diffusers with table and RoPE cut the same way."""
    from diffusers.models.embeddings import get_3d_rotary_pos_embed

    part = replace(GATED, latent_width=8, position_origin=(0, 1))
    whole = reference.patch_embed.pos_embedding
    nn.init.normal_(whole)
    table = whole[:, 7:].unflatten(1, (3, 4, 6))[:, :, :, 1:5].flatten(1, 3)
    state = {**reference.state_dict(), "patch_embed.pos_embedding": torch.cat([whole[:, :7], table], dim=1)}
    ours = EgoTwinTransformer(part).eval()
    ours.load_state_dict(state, strict=False)
    reference.patch_embed.pos_embedding = state["patch_embed.pos_embedding"]
    reference.patch_embed.sample_width = 8
    full = get_3d_rotary_pos_embed(64, ((0, 0), (4, 6)), (4, 6), 3)
    rotary = tuple(angle.unflatten(0, (3, 4, 6))[:, :, 1:5].flatten(0, 2) for angle in full)
    x = inputs(part)
    try:
        wanted = reference_prediction(reference, x, rotary)
    finally:
        reference.patch_embed.pos_embedding, reference.patch_embed.sample_width = whole, 12
    found, _ = ours(**x)
    assert (found - wanted).abs().max() < 1e-5 * wanted.abs().max()


def test_the_papers_window_is_where_diffusers_pipeline_would_put_it() -> None:
    pipeline = pytest.importorskip(
        "diffusers.pipelines.cogvideo.pipeline_cogvideox_image2video", reason=missing_extra("paper")
    )
    corner, _ = pipeline.get_resize_crop_region_for_grid((30, 30), 45, 30)
    assert corner == EgoTwinConfig.paper().position_origin


def test_position_table_starts_as_diffusers_sinusoid() -> None:
    embeddings = pytest.importorskip("diffusers.models.embeddings", reason=missing_extra("paper"))
    wanted = embeddings.get_3d_sincos_pos_embed(128, (6, 4), 3)
    assert (video_sinusoid(3, 4, 6, 128) - wanted.flatten(0, 1)).abs().max() < 1e-5
    part = wanted.unflatten(1, (4, 6))[:, 1:, 2:5].flatten(0, 2)
    assert (video_sinusoid(3, 3, 3, 128, origin=(1, 2)) - part).abs().max() < 1e-5


# Paper size


@pytest.fixture(scope="module")
def paper() -> EgoTwinTransformer:
    with torch.device("meta"):
        return EgoTwinTransformer(EgoTwinConfig.paper())


def test_paper_sizes(paper: EgoTwinTransformer) -> None:
    c = paper.config
    assert (c.num_layers, c.width, c.num_heads, c.text_length, c.text_dim) == (42, 3072, 48, 226, 4096)
    assert (c.video_length, c.num_motion_layers, c.motion_width, c.motion_length) == (9900, 21, 768, 21)
    named = {name: p.numel() for name, p in paper.named_parameters()}
    new = set(paper.new_parameter_names())
    branch = sum(count for name, count in named.items() if ".motion." in name)
    added, rest = sum(named[name] for name in new), sum(count for name, count in named.items() if name not in new)
    print(f"paper size: CogVideoX {rest / 1e6:.1f} M, motion branch {branch / 1e6:.1f} M, all new {added / 1e6:.1f} M")
    assert rest == pytest.approx(5.57e9, rel=1e-3)
    assert branch == pytest.approx(347e6, rel=2e-3)  # the figure of the specification's design
    assert 300e6 < branch < added < 350e6


def test_paper_size_has_exactly_the_tensors_of_cogvideox_5b_i2v(paper: EgoTwinTransformer) -> None:
    diffusers = pytest.importorskip("diffusers", reason=missing_extra("paper"))
    with torch.device("meta"):
        reference = diffusers.CogVideoXTransformer3DModel(
            num_attention_heads=48, attention_head_dim=64, in_channels=32, out_channels=16, time_embed_dim=512,
            text_embed_dim=4096, num_layers=42, sample_width=90, sample_height=60, sample_frames=49,
            max_text_seq_length=226, use_rotary_positional_embeddings=True, use_learned_positional_embeddings=True,
        )  # fmt: skip
    theirs = {name: tuple(tensor.shape) for name, tensor in reference.state_dict().items()}
    ours = {name: tuple(tensor.shape) for name, tensor in paper.state_dict().items()}
    for name in paper.new_parameter_names():
        del ours[name]
    assert len(theirs) == 1025
    table = "patch_embed.pos_embedding"  # theirs covers 13 × 30 × 45 patches, of which ours are a part
    assert (theirs.pop(table), ours.pop(table)) == ((1, 226 + 13 * 30 * 45, 3072), (1, 226 + 9900, 3072))
    assert ours == theirs


def test_paper_widths_run_on_the_meta_device() -> None:
    """Two of the 42 blocks, one with motion: torch traces shapes at 0.3 s a block."""
    c = EgoTwinConfig.paper(num_layers=2, num_motion_layers=1)
    latent = (c.latent_channels, c.latent_height, c.latent_width)
    with torch.device("meta"), torch.no_grad():
        video, motion = EgoTwinTransformer(c)(
            torch.empty(1, 226, 4096), torch.empty(1, 11, *latent), torch.empty(1, 64, 21),
            torch.zeros(1), torch.zeros(1), torch.empty(1, *latent), torch.empty(1, 64),
        )  # fmt: skip
    assert (video.shape, motion.shape) == ((1, 11, 16, 60, 60), (1, 64, 21))


# The motion branch and its conditions


@torch.no_grad()
def test_motion_only_equals_the_full_run(model: EgoTwinTransformer) -> None:
    x = inputs(NARROW)
    _, full = model(**x)
    video, lower = model(**x, motion_only=True)
    assert video is None
    assert torch.equal(full, lower)


@torch.no_grad()
def test_both_timesteps_and_all_conditions_matter(model: EgoTwinTransformer) -> None:
    x = inputs(NARROW)
    video, motion = model(**x)
    for name in x:
        changed = dict(x, **{name: x[name].flip(0)})
        other_video, other_motion = model(**changed)
        assert not torch.allclose(video, other_video), name
        assert not torch.allclose(motion, other_motion), name


# Conditions beyond the paper


GEOMETRY = replace(NARROW, **variants.GEOMETRY)


def geometry_inputs(seed: int = 2) -> dict[str, Tensor]:
    """A prior that is visible in about half of its places, gravity, and the first frame's depth."""
    g = torch.Generator().manual_seed(seed)
    return {
        "prior": torch.randn(2, 3, 4, 8, 12, generator=g),
        "visibility": (torch.rand(2, 3, 1, 8, 12, generator=g) < 0.5).float(),
        "gravity": functional.normalize(torch.randn(2, 3, generator=g), dim=1),
        "depth": torch.rand(2, 16, 8, 12, generator=g),
    }


@torch.no_grad()
@pytest.mark.parametrize("gated", [False, True])
def test_geometry_starts_without_effect(gated: bool) -> None:
    """At step 0 the model is the one without it, bit for bit, whatever prior, gravity and depth are."""
    plain = random_model(replace(NARROW, motion_gate=gated))
    ours = EgoTwinTransformer(replace(GEOMETRY, motion_gate=gated)).eval()
    missing, unexpected = ours.load_state_dict(plain.state_dict(), strict=False)
    added = ["patch_embed.prior_proj.weight", "patch_embed.depth_proj.weight", "motion_head.gravity_proj.weight"]
    assert (sorted(missing), unexpected) == (sorted(added), [])
    assert set(added) <= set(ours.new_parameter_names())
    x = inputs(NARROW)
    for found, wanted in zip(ours(**x, **geometry_inputs()), plain(**x), strict=True):
        assert torch.equal(found, wanted)


@torch.no_grad()
def test_every_geometry_condition_matters_and_reaches_both_modalities() -> None:
    ours, x, given = random_model(GEOMETRY), inputs(NARROW), geometry_inputs()
    before = ours(**x, **given)
    for name in given:
        after = ours(**x, **{**given, name: given[name].flip(0)})
        assert not any(torch.allclose(a, b) for a, b in zip(after, before, strict=True)), name


@torch.no_grad()
def test_nothing_known_is_the_same_as_not_given() -> None:
    ours, x, given = random_model(GEOMETRY), inputs(NARROW), geometry_inputs()
    alone = {"gravity": given["gravity"]}
    unseen = {"prior": given["prior"], "visibility": torch.zeros_like(given["visibility"])}
    wanted = ours(**x, **alone)
    for known in (unseen, {"depth": torch.zeros_like(given["depth"])}):
        assert all(torch.equal(a, b) for a, b in zip(ours(**x, **alone, **known), wanted, strict=True))


def test_hidden_places_of_a_prior_have_no_effect() -> None:
    ours, x, given = random_model(GEOMETRY), inputs(NARROW), geometry_inputs()
    given["prior"].requires_grad_()
    video, _ = ours(**x, **given)
    video.square().sum().backward()
    reached = given["prior"].grad.abs().amax(2, keepdim=True) > 0
    assert torch.equal(reached, given["visibility"] > 0)
    with torch.no_grad():  # what is hidden differs from a visible zero
        blank = torch.zeros_like(given["prior"])
        seen = [
            ours(**x, **{**given, "prior": blank, "visibility": v})[0]
            for v in (0 * blank[:, :, :1], blank[:, :, :1] + 1)
        ]
    assert not torch.allclose(*seen)


@torch.no_grad()
def test_text_to_motion_knows_gravity_alone() -> None:
    """Stage 2 has no video tokens, so prior and depth have no place to enter."""
    ours, x, given = random_model(GEOMETRY), inputs(NARROW), geometry_inputs()
    bodies = {**x, "video": None, "image": None}
    _, wanted = ours(**bodies, gravity=given["gravity"])
    _, found = ours(**bodies, **given)
    assert torch.equal(found, wanted)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"gravity": None}, "pass gravity too"),
        ({"gravity": torch.zeros(2, 2)}, r"gravity has shape \(2, 2\); wanted \(B, 3\)"),
        ({"visibility": None}, "prior and visibility belong together"),
        ({"prior": None}, "prior and visibility belong together"),
        ({"prior": torch.zeros(2, 4, 8, 12)}, r"prior has shape .* wanted \(B, 3, 4, 8, 12\)"),
        ({"visibility": torch.zeros(2, 3, 8, 12)}, r"visibility has shape .* wanted \(B, 3, 1, 8, 12\)"),
        ({"depth": torch.zeros(2, 1, 8, 12)}, r"depth has shape .* wanted \(B, 16, 8, 12\)"),
    ],
)
def test_geometry_that_does_not_fit_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ModelError, match=named):
        EgoTwinTransformer(GEOMETRY)(**inputs(NARROW), **{**geometry_inputs(), **change})


@pytest.mark.parametrize("name", ["prior", "visibility", "gravity", "depth"])
def test_geometry_is_refused_by_a_model_without_it(model: EgoTwinTransformer, name: str) -> None:
    with pytest.raises(ModelError, match=f"{name} was given to a model"):
        model(**inputs(NARROW), **{name: geometry_inputs()[name]})


# A timestep for every latent


@torch.no_grad()
@pytest.mark.parametrize("asynchronous", [True, False])
def test_equal_timesteps_per_latent_equal_one(asynchronous: bool) -> None:
    model, x = random_model(replace(NARROW, asynchronous=asynchronous)), inputs(NARROW)
    if not asynchronous:
        x["t_motion"] = x["t_video"]
    wanted = model(**x)
    video, motion = x["t_video"][:, None].expand(-1, 3), x["t_motion"][:, None].expand(-1, 5)
    for changes in ({"t_video": video, "t_motion": motion}, {"t_video": video}, {"t_motion": motion}):
        for a, b in zip(model(**{**x, **changes}), wanted, strict=True):
            assert (a - b).abs().max() < 1e-6 * b.abs().max()


@torch.no_grad()
def test_tokens_of_one_moment_read_each_others_timestep(model: EgoTwinTransformer) -> None:
    embedding = model.time_embedding
    t_video, t_motion = torch.tensor([[0, 300, 700]]), torch.tensor([[5, 10, 20, 30, 999]])
    time = embedding.conditioning(t_video, t_motion, num_frames=3)
    pairs = {
        "text": [(700, 999)],
        "video": [(0, 5), (300, 20), (700, 999)],  # latent i and token 2i
        "motion": [(0, 5), (300, 10), (300, 20), (700, 30), (700, 999)],  # tokens 2i − 1 and 2i lead to latent i
    }
    for stream, expected in pairs.items():
        wanted = torch.stack([embedding(torch.tensor(v), torch.tensor(m)) for v, m in expected])
        repeats = 4 if stream == "video" else 1
        found = time.spread(time.rows, stream, repeats * len(expected))[0]
        torch.testing.assert_close(found.expand(repeats * len(expected), -1), wanted.repeat_interleave(repeats, dim=0))


@torch.no_grad()
def test_a_latents_timestep_moves_that_latent_most(model: EgoTwinTransformer) -> None:
    """Through AdaLN directly, elsewhere only through attention."""
    one = EgoTwinTransformer(replace(NARROW, num_layers=1, num_motion_layers=1)).eval()
    one.load_state_dict({name: model.state_dict()[name] for name in one.state_dict()})
    x = inputs(NARROW)
    x["t_video"] = torch.tensor([[400, 400, 400]] * 2)
    before, _ = one(**x)
    x["t_video"] = torch.tensor([[400, 0, 400]] * 2)
    after, _ = one(**x)
    moved = (after - before).abs().mean((0, 2, 3, 4))
    assert moved.argmax() == 1
    assert moved[1] > 3 * moved[[0, 2]].max()
    assert moved.min() > 0


# Memory


def test_checkpointing_keeps_gradients_and_saves_activations(model: EgoTwinTransformer) -> None:
    x = inputs(NARROW)
    results: list[tuple[int, list[Tensor]]] = []
    for enabled in (False, True):
        model.enable_gradient_checkpointing(enabled)
        model.zero_grad()
        kept = 0

        def pack(tensor: Tensor) -> Tensor:
            nonlocal kept
            kept += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            video, motion = model(**x)
        (video.square().sum() + motion.square().sum()).backward()
        results.append((kept, [p.grad.clone() for p in model.parameters() if p.grad is not None]))
    model.enable_gradient_checkpointing(False)
    model.zero_grad()
    (full, wanted), (little, found) = results
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    assert little < full / 4


def test_sharded_blocks_learn_as_whole_ones(model: EgoTwinTransformer, tmp_path: Path) -> None:
    """Under FSDP (one process here) hooks must find every tensor that goes in and out of a block."""
    if not (torch.distributed.is_available() and torch.distributed.is_gloo_available()):
        pytest.skip("torch was built without gloo")
    from torch.distributed.fsdp import fully_shard

    sharded, x = copy.deepcopy(model), inputs(NARROW)
    torch.distributed.init_process_group("gloo", rank=0, world_size=1, init_method=(tmp_path / "group").as_uri())
    try:
        for block in sharded.transformer_blocks:
            fully_shard(block)
        fully_shard(sharded)
        sharded.enable_gradient_checkpointing()
        for network in (sharded, model):
            video, motion = network(**x)
            (video.square().mean() + motion.square().mean()).backward()
        for a, b in zip(sharded.parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(a.grad.full_tensor(), b.grad)
    finally:
        torch.distributed.destroy_process_group()
        model.zero_grad()


@torch.no_grad()
def test_half_precision_keeps_rope_exact(model: EgoTwinTransformer) -> None:
    half = EgoTwinTransformer(NARROW).to(torch.bfloat16)
    assert half.rotary_cos.dtype == torch.float32
    assert torch.equal(half.rotary_cos, model.rotary_cos)
    half.load_state_dict(model.state_dict())
    x = {name: value.bfloat16() if value.is_floating_point() else value for name, value in inputs(NARROW).items()}
    for found, wanted in zip(half(**x), model(**inputs(NARROW)), strict=True):
        assert found.dtype == torch.bfloat16
        assert (found - wanted).abs().mean() < 0.05 * wanted.abs().mean()


# Refusals


@pytest.mark.parametrize(
    ("sizes", "named"),
    [
        ({"motion_length": 20}, "motion_length=20"),
        ({"num_layers": 2, "num_motion_layers": 3}, "num_motion_layers=3"),
        ({"latent_height": 7}, r"7×60.*patch_size"),
        ({"num_heads": 0}, "num_heads=0"),
        ({"head_dim": 24}, "head_dim=24"),
        ({"text_dim": 4096.0}, "text_dim=4096.0"),
        ({"image_condition": "last"}, "'last'"),
        ({"position_origin": (-1, 0)}, "position_origin"),
    ],
)
def test_impossible_sizes_are_refused_by_name(sizes: dict[str, Any], named: str) -> None:
    with pytest.raises(ModelError, match=named):
        EgoTwinConfig(**sizes)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda x: x.update(text=x["text"][:, :3]), r"text has shape \(2, 3, 48\); wanted \(B, 7, 48\)"),
        (lambda x: x.update(video=x["video"][..., :7]), r"video has shape .* wanted \(B, 3, 4, 8, 12\)"),
        (lambda x: x.update(motion=x["motion"][..., :4]), r"motion has shape \(2, 8, 4\)"),
        (lambda x: x.update(t_video=torch.zeros(2, 2)), r"t_video has shape \(2, 2\); wanted \(B\) or \(B, 3\)"),
        (lambda x: x.update(image=None), "pass image"),
        (lambda x: x.update(pose=None), "pass pose"),
        (lambda x: x.update(image=x["video"]), "image has shape"),
        (lambda x: x.update(camera=x["video"]), "camera was given"),
        (lambda x: x.update(t_motion=None), "both t_video and t_motion"),
        (lambda x: x.update(video=None, motion=None), "neither"),
        (lambda x: x.update(motion=None, motion_only=True), "motion_only"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_by_name(
    model: EgoTwinTransformer, change: Callable[[dict[str, Any]], None], named: str
) -> None:
    x = inputs(NARROW)
    change(x)
    with pytest.raises(ModelError, match=named):
        model(**x)
