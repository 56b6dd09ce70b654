"""The interaction mask for torch's FlexAttention, which skips what it blocks and differentiates what it opens.

On a GPU the kernel is compiled (Triton) at its first call. On other devices FlexAttention runs uncompiled: the same
mask and formula over a full score matrix, for checking rather than for speed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import AuxRequest, BlockMask, create_block_mask, flex_attention

from egotwin_model.diffusion.attention.mask import Layout
from egotwin_model.diffusion.attention.merge import merge


def flex(
    query: Tensor, key: Tensor, value: Tensor, layout: Layout | None, gate: Tensor | None, num_motion: int
) -> Tensor:
    """Joint attention, open or under a layout's interaction mask; see `attend`.

    With a gate, FlexAttention runs over text and video and returns its log-sum-exp, into which the motion keys merge.
    """
    run = _kernel(query.device.type)
    if gate is not None:
        return merge(query, key, value, layout, gate, num_motion, partial=_with_lse)
    return run(query, key, value, block_mask=None if layout is None else block_mask(layout, str(query.device)))


def _with_lse(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    out, extra = _kernel(query.device.type)(query, key, value, return_aux=AuxRequest(lse=True))
    return out, extra.lse


@lru_cache(maxsize=8)
def _kernel(device: str) -> Callable[..., Any]:
    """FlexAttention, compiled once where that gives a kernel with gradients and a log-sum-exp."""
    if device == "cuda":
        return torch.compile(flex_attention, dynamic=False)

    def uncompiled(*args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="flex_attention called without torch.compile")
            return flex_attention(*args, **kwargs)

    return uncompiled


@lru_cache(maxsize=8)
def block_mask(layout: Layout, device: str) -> BlockMask:
    """The layout's interaction mask by blocks, built once per layout and device."""
    with torch.inference_mode(False):
        return create_block_mask(mask_rule(layout), None, None, layout.length, layout.length, device=device)


def mask_rule(layout: Layout) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """The interaction mask as arithmetic on token numbers: (batch, head, query, key) → may attend."""
    text, others, per_frame = layout.num_text, layout.num_others, layout.tokens_per_frame

    def may_attend(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        query_frame, key_frame = (query - text) // per_frame, (key - text) // per_frame
        query_action, key_action = (query - others - 1) // 2, (key - others - 1) // 2
        query_is_video, key_is_video = ((x >= text) & (x < others) for x in (query, key))
        seen = ~(query_is_video & (key >= others)) | (query_frame - 1 == key_action)
        from_motion = (key_frame - 1 == query_action) | (key_frame == query_action)
        return seen & (~((query >= others) & key_is_video) | from_motion)

    return may_attend
