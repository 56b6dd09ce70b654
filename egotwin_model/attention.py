"""Joint attention of text, video and motion under the interaction mask (Section 3.3), by several exact backends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from egotwin_model.attention_mask import Layout, interaction_mask

__all__ = ["BACKENDS", "Layout", "attend", "choose", "interaction_mask"]

Mask = Tensor | Layout | None


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Mask = None,
    *,
    gate: Tensor | None = None,
    num_motion: int = 0,
    backend: str = "auto",
) -> Tensor:
    """Scaled dot-product attention over [text, video, motion] tokens; every backend gives the same numbers.

    With a gate, text and video queries get (1 − gate)·(attention over text and video keys alone) + gate·(joint
    attention); motion queries are not gated. gate = 0 is exactly attention without motion keys, gate = 1 exactly the
    paper's joint attention. In terms of the two parts' outputs O and log-sum-exps this is
    O_o + gate·w·(O_m − O_o) with w = exp(lse_m) / (exp(lse_m) + exp(lse_o)).

    Args:
        query, key, value: (B, heads, L, head_dim).
        mask: a Layout stands for its interaction mask, which the fast backends exploit; a bool (L, L) tensor, True =
            may attend, leaves every row at least one key; None leaves everything open.
        gate: (heads,), or None for joint attention.
        num_motion: how many of the last tokens are motion; needed with a gate unless `mask` is a Layout.
        backend: "auto" (see `choose`) or a name from `BACKENDS`.

    Returns:
        (B, heads, L, head_dim).

    Raises:
        ValueError: an unknown backend, a layout of another length, or a gate without the number of motion tokens.
    """
    if isinstance(mask, Layout):
        if mask.length != query.shape[2]:
            raise ValueError(f"{mask} describes {mask.length} tokens, but the queries are {query.shape[2]}")
        num_motion = mask.num_motion
    elif gate is not None and not num_motion:
        raise ValueError("a gate needs num_motion, the number of motion tokens at the end, or a Layout as mask")
    if backend == "auto":
        backend = choose(query, mask, gate)
    if backend not in BACKENDS:
        raise ValueError(f"unknown attention backend {backend!r}; choose one of auto, {', '.join(BACKENDS)}")
    return BACKENDS[backend](query, key, value, mask, gate, num_motion)


def choose(query: Tensor, mask: Mask = None, gate: Tensor | None = None) -> str:
    """The backend "auto" takes for such queries; each new choice is logged once.

    "products" where gradients are wanted on a CPU (the fused kernel's backward is half as fast there at these
    lengths), else "fused".
    """
    backend = "products" if query.device.type == "cpu" and query.requires_grad else "fused"
    kind = "open" if mask is None else "interaction" if isinstance(mask, Layout) else "masked"
    _report(backend, query.device.type, query.shape[2], kind, gate is not None)
    return backend


@lru_cache(maxsize=64)
def _report(backend: str, device: str, length: int, mask: str, gated: bool) -> None:
    gated_text = "gated" if gated else "not gated"
    logging.getLogger(__name__).info(
        "attention over %d tokens on %s (%s, %s): %s", length, device, mask, gated_text, backend
    )


Matrices = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


def _dense(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """The formula in float64: the reference."""
    logits = query.double() @ key.double().transpose(-1, -2) / query.shape[-1] ** 0.5
    if mask is not None:
        logits = logits.masked_fill(~mask, -torch.inf)
    return (logits.softmax(-1) @ value.double()).to(query.dtype)


def _products(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """The formula spelled out as two matrix products."""
    logits = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if mask is not None:
        logits = logits + torch.zeros_like(mask, dtype=logits.dtype).masked_fill(~mask, float("-inf"))
    return torch.softmax(logits, dim=-1, dtype=logits.dtype) @ value


def _fused(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """torch's fused kernel."""
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


Backend = Callable[[Tensor, Tensor, Tensor, Mask, Tensor | None, int], Tensor]


def _with_matrix(attention: Matrices) -> Backend:
    """A backend from attention under a mask matrix; the gate blends it with attention without the motion keys."""

    def backend(query: Tensor, key: Tensor, value: Tensor, mask: Mask, gate: Tensor | None, num_motion: int) -> Tensor:
        if isinstance(mask, Layout):
            mask = mask.mask(query.device)
        joint = attention(query, key, value, mask)
        if gate is None or not num_motion:
            return joint
        others = query.shape[2] - num_motion
        alone = attention(
            query[:, :, :others], key[:, :, :others], value[:, :, :others],
            None if mask is None else mask[:others, :others],
        )  # fmt: skip
        blend = alone + gate.to(alone.dtype)[:, None, None] * (joint[:, :, :others] - alone)
        return torch.cat([blend, joint[:, :, others:]], dim=2)

    return backend


BACKENDS: dict[str, Backend] = {
    "dense": _with_matrix(_dense),
    "products": _with_matrix(_products),
    "fused": _with_matrix(_fused),
}
