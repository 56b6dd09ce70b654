"""The interaction mask against the rule spelled out token by token, and the attention backends against each other."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from egotwin_model.attention import BACKENDS, Layout, attend, choose, interaction_mask
from egotwin_model.config import EgoTwinConfig


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


LAYOUT = Layout(num_text=2, num_frames=4, tokens_per_frame=3, num_motion=7)


def layouts() -> st.SearchStrategy[Layout]:
    return st.integers(1, 5).flatmap(
        lambda frames: st.builds(
            Layout, st.integers(0, 5), st.just(frames), st.integers(1, 6), st.just(2 * (frames - 1) + 1)
        )
    )


@pytest.mark.parametrize("backend", ["auto", *BACKENDS])
@pytest.mark.parametrize("kind", ["layout", "matrix", "open"])
@pytest.mark.parametrize("gated", [True, False])
@settings(max_examples=10, deadline=None)
@given(layout=layouts(), seed=st.integers(0, 99))
def test_backends_equal_the_formula_in_double(backend: str, kind: str, gated: bool, layout: Layout, seed: int) -> None:
    query, key, value = tokens(layout, seed)
    mask = {"layout": layout, "matrix": layout.mask(), "open": None}[kind]
    gate = torch.tensor([0.0, 0.4, 1.0]) if gated else None
    found = attend(query, key, value, mask, gate=gate, num_motion=layout.num_motion, backend=backend)
    wanted = formula(query, key, value, None if kind == "open" else layout.mask(), gate, layout.num_motion)
    assert (found - wanted).abs().max() < 1e-5


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["layout", "matrix", "open"])
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


@pytest.mark.parametrize("backend", BACKENDS)
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


def test_unknown_backend_wrong_length_and_lone_gate_are_refused_by_name() -> None:
    x = torch.zeros(1, 1, 2, 4)
    with pytest.raises(ValueError, match=r"'quick'.*fused"):
        attend(x, x, x, backend="quick")
    with pytest.raises(ValueError, match=r"num_frames=4.* 21 tokens, but the queries are 2"):
        attend(x, x, x, LAYOUT)
    with pytest.raises(ValueError, match="num_motion"):
        attend(x, x, x, gate=torch.zeros(1))
