"""Joint attention of text, video and motion under the interaction mask (Section 3.3), by several exact backends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from egotwin_model.diffusion.attention.flex import flex
from egotwin_model.diffusion.attention.mask import Layout, interaction_mask
from egotwin_model.diffusion.attention.merge import merge

__all__ = ["BACKENDS", "Layout", "attend", "choose", "interaction_mask"]

Mask = Tensor | Layout | None
SHORT = 768  # tokens up to which a mask matrix and whole score matrices are the faster way (measured on a CPU)
SHORT_IN_HALF = 3072  # the same for training in half precision, where the fused kernel's backward is slow on a CPU


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
        mask: a Layout means its interaction mask, whose structure the fast backends use; a bool (L, L) tensor, True =
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

    A matrix, or nothing to mask or gate: "products" where gradients are wanted on a CPU for short sequences (the fused
    kernel's backward is slower there), else "fused". A layout: the same while it is short, where building the matrix
    costs nothing; "merge" when it is long; "flex" when it is long and trained on a GPU. A gate makes "merge" the
    cheapest at nearly every length. An exporter gets only public operators.
    """
    device, length = query.device.type, query.shape[2]
    if torch.compiler.is_exporting():
        return "fused"
    trained_on_cpu = device == "cpu" and query.requires_grad
    products = trained_on_cpu and length <= (SHORT_IN_HALF if _is_half(query) else SHORT)
    if isinstance(mask, Layout) and device == "cuda" and length > SHORT and query.requires_grad:
        backend = "flex"
    elif not isinstance(mask, Tensor) and gate is not None:
        backend = "merge"
    elif products:
        backend = "products"
    else:
        backend = "merge" if isinstance(mask, Layout) and length > SHORT else "fused"
    if not torch.compiler.is_compiling():
        kind = "open" if mask is None else "interaction" if isinstance(mask, Layout) else "matrix"
        _report(backend, device, length, kind, gate is not None)
    return backend


def _is_half(query: Tensor) -> bool:
    device = query.device.type
    return query.dtype in (torch.bfloat16, torch.float16) or torch.is_autocast_enabled(device)


@lru_cache(maxsize=64)
def _report(backend: str, device: str, length: int, mask: str, gated: bool) -> None:
    gated_text = "gated" if gated else "not gated"
    logging.getLogger(__name__).info(
        "attention over %d tokens on %s (%s, %s): %s", length, device, mask, gated_text, backend
    )


Simple = Callable[[Tensor, Tensor, Tensor, Mask], Tensor]


def _matrix(mask: Mask, device: torch.device) -> Tensor | None:
    return mask.mask(device) if isinstance(mask, Layout) else mask


def _dense(query: Tensor, key: Tensor, value: Tensor, mask: Mask) -> Tensor:
    """The formula in float64: the reference."""
    logits = query.double() @ key.double().transpose(-1, -2) / query.shape[-1] ** 0.5
    if (matrix := _matrix(mask, query.device)) is not None:
        logits = logits.masked_fill(~matrix, -torch.inf)
    return (logits.softmax(-1) @ value.double()).to(query.dtype)


def _products(query: Tensor, key: Tensor, value: Tensor, mask: Mask) -> Tensor:
    """The formula spelled out as two matrix products."""
    logits = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if (matrix := _matrix(mask, query.device)) is not None:
        logits = logits + torch.zeros_like(matrix, dtype=logits.dtype).masked_fill(~matrix, float("-inf"))
    return torch.softmax(logits, dim=-1, dtype=logits.dtype) @ value


def _fused(query: Tensor, key: Tensor, value: Tensor, mask: Mask) -> Tensor:
    """torch's fused kernel under the mask matrix."""
    return F.scaled_dot_product_attention(query, key, value, attn_mask=_matrix(mask, query.device))


def _frames(query: Tensor, key: Tensor, value: Tensor, mask: Mask) -> Tensor:
    """torch's fused kernel once for the text, each frame and the motion: the tokens of a frame share one key mask."""
    if not isinstance(mask, Layout):
        return _fused(query, key, value, mask)
    parts, bounds = mask.parts(query.device), [mask.num_text, *[mask.tokens_per_frame] * mask.num_frames]
    *frames, motion = query.split([*bounds, mask.num_motion], dim=2)
    rows: list[Tensor | None] = [None, *parts.frame_rows[:, None], parts.motion_rows]
    pairs = zip((*frames, motion), rows, strict=True)
    return torch.cat([F.scaled_dot_product_attention(q, key, value, attn_mask=r) for q, r in pairs], dim=2)


Backend = Callable[[Tensor, Tensor, Tensor, Mask, Tensor | None, int], Tensor]


def _blended(attention: Simple) -> Backend:
    """A backend from attention without a gate: the gate blends it with attention without the motion keys."""

    def backend(query: Tensor, key: Tensor, value: Tensor, mask: Mask, gate: Tensor | None, num_motion: int) -> Tensor:
        joint = attention(query, key, value, mask)
        if gate is None or not num_motion:
            return joint
        others = query.shape[2] - num_motion
        rest = mask[:others, :others] if isinstance(mask, Tensor) else None
        alone = attention(query[:, :, :others], key[:, :, :others], value[:, :, :others], rest)
        blend = alone + gate.to(alone.dtype)[:, None, None] * (joint[:, :, :others] - alone)
        return torch.cat([blend, joint[:, :, others:]], dim=2)

    return backend


def _structured(attention: Callable[..., Tensor]) -> Backend:
    """A backend that uses the layout's structure; a matrix has none and goes to the fused kernel.

    Autocast is applied to the inputs and then ended: the private kernels do not know it, and the merge is float32.
    """

    def backend(query: Tensor, key: Tensor, value: Tensor, mask: Mask, gate: Tensor | None, num_motion: int) -> Tensor:
        if isinstance(mask, Tensor) or not num_motion:
            return BACKENDS["fused"](query, key, value, _without_motion(mask), gate, num_motion)
        device = query.device.type
        if device != "meta" and torch.is_autocast_enabled(device):
            query, key, value = (x.to(torch.get_autocast_dtype(device)) for x in (query, key, value))
            with torch.autocast(device, enabled=False):
                return attention(query, key, value, mask, gate, num_motion)
        return attention(query, key, value, mask, gate, num_motion)

    return backend


def _without_motion(mask: Mask) -> Tensor | None:
    """A layout without motion tokens is all open."""
    return mask if isinstance(mask, Tensor) else None


BACKENDS: dict[str, Backend] = {
    "dense": _blended(_dense),
    "products": _blended(_products),
    "fused": _blended(_fused),
    "frames": _blended(_frames),
    "flex": _structured(flex),
    "merge": _structured(merge),
}
