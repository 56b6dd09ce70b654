"""The interaction mask against the rule spelled out token by token, and the attention backends against each other."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from egotwin_model.diffusion.attention import attend as attention
from egotwin_model.diffusion.attention import merge as attention_merge
from egotwin_model.diffusion.attention.attend import BACKENDS, Layout, attend, choose, interaction_mask
from egotwin_model.diffusion.attention.flex import block_mask, mask_rule
from egotwin_model.egotwin import transformer
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.transformer import EgoTwinTransformer

from ...shared_data import needs_gpu

LAYOUT = Layout(num_text=2, num_frames=4, tokens_per_frame=3, num_motion=7)


def may_attend(query: tuple[str, int], key: tuple[str, int]) -> bool:
    """The rule for (modality, index) pairs; index: latent frame of a video token, motion token number."""
    kinds = {query[0], key[0]}
    if kinds != {"video", "motion"}:
        return True
    frame = query[1] if query[0] == "video" else key[1]
    token = query[1] if query[0] == "motion" else key[1]
    if token == 0:  # P⁰ and O⁰ see each other only
        return frame == 0
    action = (token - 1) // 2
    if query[0] == "video":
        return frame >= 1 and action == frame - 1
    return frame in (action, action + 1)


@pytest.mark.parametrize(("text", "frames", "per_frame"), [(3, 11, 4), (1, 2, 1), (5, 4, 3)])
def test_mask_equals_the_rule_by_brute_force(text: int, frames: int, per_frame: int) -> None:
    motion = 2 * (frames - 1) + 1
    tokens = [("text", i) for i in range(text)]
    tokens += [("video", i // per_frame) for i in range(frames * per_frame)]
    tokens += [("motion", i) for i in range(motion)]
    wanted = torch.tensor([[may_attend(query, key) for key in tokens] for query in tokens])
    assert torch.equal(interaction_mask(text, frames, per_frame, motion), wanted)


def test_every_action_sees_two_frames_and_every_frame_one_action() -> None:
    mask = interaction_mask(0, 11, 1, 21)
    assert mask[11:, :11].sum(1).tolist() == [1] + [2] * 20
    assert mask[:11, 11:].sum(1).tolist() == [1] + [2] * 10


def formula(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, gate: Tensor | None, num_motion: int
) -> Tensor:
    """The definition in float64: outputs over text and video keys and over motion keys, merged by their weight."""
    query, key, value = query.double(), key.double(), value.double()
    logits = torch.einsum("bhqd,bhkd->bhqk", query, key) / query.shape[-1] ** 0.5
    if mask is not None:
        logits = logits.masked_fill(~mask, -torch.inf)
    joint = logits.softmax(-1) @ value
    if gate is None:
        return joint
    others = query.shape[2] - num_motion
    to_others, to_motion = logits[:, :, :others, :others], logits[:, :, :others, others:]
    part_others = to_others.softmax(-1) @ value[:, :, :others]
    part_motion = to_motion.softmax(-1) @ value[:, :, others:]
    weight = torch.sigmoid(to_motion.logsumexp(-1) - to_others.logsumexp(-1))
    gated = part_others + (gate.double()[:, None] * weight)[..., None] * (part_motion - part_others)
    return torch.cat([gated, joint[:, :, others:]], dim=2)


def tokens(layout: Layout, seed: int = 0, *, batch: int = 2, heads: int = 3, dim: int = 8) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(batch, heads, layout.length, dim, generator=generator) for _ in range(3))


def layouts() -> st.SearchStrategy[Layout]:
    return st.integers(1, 5).flatmap(
        lambda frames: st.builds(
            Layout, st.integers(0, 5), st.just(frames), st.integers(1, 6), st.just(2 * (frames - 1) + 1)
        )
    )


EAGER = ["auto", *(name for name in BACKENDS if name != "flex")]
KINDS = ["layout", "matrix", "open"]


@pytest.mark.parametrize("backend", EAGER)
@settings(max_examples=30, deadline=None)
@given(layout=layouts(), seed=st.integers(0, 99), kind=st.sampled_from(KINDS), gated=st.booleans())
def test_backends_equal_the_formula_in_double(backend: str, layout: Layout, seed: int, kind: str, gated: bool) -> None:
    check(backend, layout, kind, gated, seed)


@pytest.mark.parametrize("gated", [True, False])
def test_flex_attention_equals_the_formula_in_double(gated: bool) -> None:
    """Uncompiled, as on every CPU: the mask rule, the block mask and the merge. Compiling is the GPU's (below)."""
    check("flex", LAYOUT, "layout", gated)


@needs_gpu
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("backend", ["flex", "merge", "fused", "frames"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_backends_on_a_gpu_equal_the_formula_with_gradients(backend: str, gated: bool, dtype: torch.dtype) -> None:
    layout = Layout(num_text=17, num_frames=4, tokens_per_frame=50, num_motion=7)
    inputs = [x.to("cuda", dtype).requires_grad_() for x in tokens(layout, heads=2, dim=64)]
    gate = torch.tensor([0.0, 0.7], device="cuda", requires_grad=True) if gated else None
    weight = torch.randn(inputs[0].shape, generator=torch.Generator().manual_seed(9)).to("cuda", dtype)
    found = attend(*inputs, layout, gate=gate, backend=backend)
    wanted = formula(*inputs, layout.mask("cuda"), gate, layout.num_motion)
    wrt = [*inputs, gate] if gated else inputs
    grads = [torch.autograd.grad((x * weight).sum(), wrt) for x in (found, wanted)]
    for one, other in zip((found, *grads[0]), (wanted, *grads[1]), strict=True):
        assert (one - other).norm() < (1e-5 if dtype == torch.float32 else 2e-2) * other.norm()


def check(backend: str, layout: Layout, kind: str, gated: bool, seed: int = 0) -> None:
    query, key, value = tokens(layout, seed)
    mask = {"layout": layout, "matrix": layout.mask(), "open": None}[kind]
    gate = torch.tensor([0.0, 0.4, 1.0]) if gated else None
    found = attend(query, key, value, mask, gate=gate, num_motion=layout.num_motion, backend=backend)
    wanted = formula(query, key, value, None if kind == "open" else layout.mask(), gate, layout.num_motion)
    assert (found - wanted).abs().max() < 1e-5


@pytest.mark.parametrize("backend", EAGER)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gated", [True, False])
def test_gradients_equal_the_formulas_in_double(backend: str, kind: str, gated: bool) -> None:
    mask = {"layout": LAYOUT, "matrix": LAYOUT.mask(), "open": None}[kind]
    inputs = [x.requires_grad_() for x in tokens(LAYOUT)]
    if gated:
        inputs.append(torch.tensor([0.0, 0.4, 1.0], requires_grad=True))
    weight = torch.randn(2, 3, LAYOUT.length, 8, generator=torch.Generator().manual_seed(9))
    gate = inputs[3] if gated else None
    found = attend(*inputs[:3], mask, gate=gate, num_motion=LAYOUT.num_motion, backend=backend)
    wanted = formula(*inputs[:3], None if kind == "open" else LAYOUT.mask(), gate, LAYOUT.num_motion)
    for name, one, other in zip(
        ("query", "key", "value", "gate"),
        torch.autograd.grad((found * weight).sum(), inputs),
        torch.autograd.grad((wanted * weight).sum(), inputs),
        strict=False,
    ):
        assert (one - other).abs().max() < 1e-5, name
        assert one.abs().sum() > 0, name


@settings(max_examples=20, deadline=None)
@given(layout=layouts())
def test_parts_and_arithmetic_of_the_mask_equal_the_matrix(layout: Layout) -> None:
    """What frames, merge and flex know of the mask, against the matrix."""
    mask, (rows, others_to_motion, motion_rows) = layout.mask(), layout.parts()
    text, others, tokens = layout.num_text, layout.num_others, torch.arange(layout.length)
    assert torch.equal(mask[:text], torch.ones(text, layout.length, dtype=torch.bool))
    assert torch.equal(mask[text:others], rows.repeat_interleave(layout.tokens_per_frame, 0))
    assert torch.equal(mask[:others, others:], others_to_motion)
    assert torch.equal(mask[others:], motion_rows)
    zero = torch.zeros((), dtype=torch.long)
    assert torch.equal(mask, mask_rule(layout)(zero, zero, tokens[:, None], tokens[None, :]).expand_as(mask))


def test_masks_are_built_once_and_never_by_a_tracer() -> None:
    class Attention(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return attend(x, x, x, layout)

    layout, x = Layout(1, 2, 3, 3), torch.randn(1, 1, 10, 4)
    exported = torch.export.export(Attention(), (x,)).module()
    assert type(layout.mask()) is Tensor
    assert layout.mask() is layout.mask()
    assert block_mask(layout, "cpu") is block_mask(layout, "cpu")
    assert torch.equal(exported(x), attend(x, x, x, layout))


def test_a_kernel_that_is_not_exact_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A private operator that changed its meaning (here: another logarithm's base) is found out at first use."""
    right = attention_merge.KERNELS["cpu"]

    def base_two(*inputs: Tensor) -> tuple[Tensor, Tensor, tuple[()]]:
        out, lse, saved = right.forward(*inputs)
        return out, lse / math.log(2), saved

    monkeypatch.setitem(attention_merge.KERNELS, "cpu", right._replace(forward=base_two))
    attention_merge._proven.cache_clear()
    try:
        assert attention_merge.kernel_name("cpu", torch.float32, 8, False) == "products"
        check("merge", LAYOUT, "layout", True)
    finally:
        attention_merge._proven.cache_clear()


@pytest.mark.parametrize("grad", [True, False])
def test_the_cpus_fused_kernel_proves_exact(grad: bool) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        assert attention_merge.kernel_name("cpu", dtype, 64, grad) == "cpu"


@pytest.mark.parametrize("name", attention_merge.KERNELS)
def test_every_kernels_operators_take_what_they_are_given(name: str) -> None:
    """On the meta device: names, order and number of arguments, forward and backward, also of the GPU's kernels."""
    inputs = [torch.empty(1, 2, 40, 64, device="meta", dtype=torch.bfloat16, requires_grad=True) for _ in range(3)]
    out, lse = attention_merge._WithGradient.apply(*inputs, name)
    assert (out.shape, lse.shape, lse.dtype) == ((1, 2, 40, 64), (1, 2, 40), torch.float32)
    grads = torch.autograd.grad(out.float().sum() + lse.sum(), inputs)
    assert [x.shape for x in grads] == [x.shape for x in inputs]


def test_gradients_survive_tiny_and_missing_output_gradients() -> None:
    """Late in training gradients are small: the shift that carries the log-sum-exp's must not under- or overflow."""
    query, key, value = (x.requires_grad_() for x in tokens(LAYOUT))
    weight = torch.full((2, 3, LAYOUT.length, 8), 1e-25)
    weight[:, :, 3] = 0.0
    grads = []
    for backend in ("merge", "dense"):
        out = attend(query, key, value, LAYOUT, gate=torch.full((3,), 0.3), backend=backend)
        grads.append(torch.autograd.grad((out * weight).sum(), (query, key, value)))
    for one, other in zip(*grads, strict=True):
        assert torch.isfinite(one).all()
        assert (1e25 * (one - other)).norm() < 1e-5 * (1e25 * other).norm()


def test_autocast_and_half_precision_reach_the_fused_kernel() -> None:
    """Under autocast queries come as float32 (LayerNorm) and values as bfloat16."""
    query, key, value = tokens(LAYOUT)
    with torch.autocast("cpu", torch.bfloat16):
        found = attend(query, key, value.bfloat16(), LAYOUT, gate=torch.ones(3), backend="merge")
    assert found.dtype == torch.bfloat16
    assert (found - formula(query, key, value, LAYOUT.mask(), None, 7)).abs().max() < 0.02


@pytest.mark.parametrize("backend", EAGER[1:])  # "auto" may take another backend with a gate than without
def test_gate_zero_is_attention_without_motion_and_gate_one_joint_attention(backend: str) -> None:
    query, key, value = tokens(LAYOUT)
    others = LAYOUT.num_others
    closed = attend(query, key, value, LAYOUT, gate=torch.zeros(3), backend=backend)
    alone = attend(*(x[:, :, :others] for x in (query, key, value)), backend=backend)
    assert torch.equal(closed[:, :, :others], alone)
    joint = attend(query, key, value, LAYOUT, backend=backend)
    assert torch.equal(closed[:, :, others:], joint[:, :, others:])
    assert (attend(query, key, value, LAYOUT, gate=torch.ones(3), backend=backend) - joint).abs().max() < 1e-6


def test_choice_at_minis_size_is_products_under_grad_and_fused_without() -> None:
    mini = EgoTwinConfig.mini()
    layout = Layout(mini.text_length, mini.latent_frames, mini.tokens_per_frame, mini.motion_length)
    query = torch.zeros(1, 4, layout.length, 64)
    for mask in (layout, layout.mask(), None):
        assert choose(query, mask) == "fused"
        assert choose(query.requires_grad_(), mask) == "products"
        query = query.detach()


def test_choice_by_length_device_gradient_and_gate() -> None:
    paper, gate = Layout(226, 11, 900, 21), torch.zeros(1)
    for device in ("cpu", "meta", "cuda") if torch.cuda.is_available() else ("cpu", "meta"):
        query = torch.zeros(1, 1, paper.length, 1, device=device)
        assert choose(query, paper) == "merge"
        assert choose(query, paper, gate) == "merge"
        assert choose(query, None) == "fused"
        query.requires_grad_()
        assert choose(query, paper) == ("flex" if device == "cuda" else "merge")
        assert choose(query, None) == "fused"
    middle = Layout(24, 11, 144, 21)
    for dtype, backend in ((torch.float32, "merge"), (torch.bfloat16, "products")):
        assert choose(torch.zeros(1, 1, middle.length, 1, dtype=dtype), middle) == "merge"
        assert choose(torch.zeros(1, 1, middle.length, 1, dtype=dtype, requires_grad=True), middle) == backend
    assert choose(torch.zeros(1, 1, LAYOUT.length, 1), LAYOUT, gate) == "merge"
    assert choose(torch.zeros(1, 1, LAYOUT.length, 1), LAYOUT.mask(), gate) == "fused"


def test_each_choice_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    query = torch.zeros(1, 1, LAYOUT.length, 3)
    attention._report.cache_clear()
    with caplog.at_level("INFO", "egotwin_model.diffusion.attention.attend"):
        choose(query, LAYOUT)
        choose(query, LAYOUT)
    assert caplog.messages == [f"attention over {LAYOUT.length} tokens on cpu (interaction, not gated): fused"]


def test_unknown_backend_wrong_length_and_lone_gate_are_refused_by_name() -> None:
    x = torch.zeros(1, 1, 2, 4)
    with pytest.raises(ValueError, match=r"'quick'.*fused"):
        attend(x, x, x, backend="quick")
    with pytest.raises(ValueError, match=r"num_frames=4.* 21 tokens, but the queries are 2"):
        attend(x, x, x, LAYOUT)
    with pytest.raises(ValueError, match="num_motion"):
        attend(x, x, x, gate=torch.zeros(1))


@torch.no_grad()
def test_blocks_above_the_motion_branch_attend_unmasked_over_text_and_video(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no block gets a mask matrix: the lower blocks get a layout, the upper ones none."""
    config = EgoTwinConfig.mini(num_layers=3, num_motion_layers=1, num_heads=2, head_dim=16, motion_width=16)
    model = EgoTwinTransformer(config).eval()
    calls = []

    def recorded(query: Tensor, key: Tensor, value: Tensor, mask: object = None, **others: object) -> Tensor:
        calls.append((mask, query.shape[2], choose(query, mask)))
        return attend(query, key, value, mask, **others)

    monkeypatch.setattr(transformer, "attend", recorded)
    latent = torch.zeros(1, config.latent_frames, config.latent_channels, config.latent_height, config.latent_width)
    motion, time = torch.zeros(1, config.motion_channels, config.motion_length), torch.zeros(1)
    text = torch.zeros(1, config.text_length, config.text_dim)
    model(text, latent, motion, time, time, latent[:, 0], motion[..., 0])
    layout = Layout(config.text_length, config.latent_frames, config.tokens_per_frame, config.motion_length)
    above = (None, layout.num_others, "fused")
    assert calls == [(layout, layout.length, "fused"), above, above]
