"""The interaction mask against the rule spelled out token by token, and the attention backends against each other."""

import pytest
import torch

from egotwin_model.attention import BACKENDS, attend, interaction_mask


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


@pytest.mark.parametrize("backend", ["auto", *BACKENDS])
@pytest.mark.parametrize("masked", [True, False])
def test_backends_equal_the_formula_in_double(backend: str, masked: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, 13, 8, generator=generator) for _ in range(3))
    mask = interaction_mask(2, 4, 1, 7) if masked else None
    logits = torch.einsum("bhqd,bhkd->bhqk", query.double(), key.double()) / 8**0.5
    if mask is not None:
        logits[..., ~mask] = -torch.inf
    wanted = torch.einsum("bhqk,bhkd->bhqd", logits.softmax(-1), value.double())
    assert (attend(query, key, value, mask, backend=backend) - wanted).abs().max() < 1e-5


def test_unknown_backend_is_refused_by_name() -> None:
    x = torch.zeros(1, 1, 2, 4)
    with pytest.raises(ValueError, match=r"'quick'.*fused"):
        attend(x, x, x, backend="quick")
