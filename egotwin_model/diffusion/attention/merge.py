"""Attention in two parts, merged by their log-sum-exps: fused over text and video, small products for motion.

Only the motion tokens' few rows and columns carry the interaction mask. So text and video queries run an unmasked
fused kernel over text and video keys; what the motion keys add to them, and the motion queries' own rows, are matrix
products with one short side. The merge is exact: softmax over two sets of keys is the two softmaxes, weighted by the
exponentials of their log-sum-exps.

torch's public attention does not return the log-sum-exp; the operators below it do, under private names. They are
therefore tried on a small problem before their first use, and one that is absent or differs is not used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from egotwin_model.diffusion.attention.mask import Layout

aten = torch.ops.aten
Partial = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def merge(
    query: Tensor, key: Tensor, value: Tensor, layout: Layout | None, gate: Tensor | None, num_motion: int,
    partial: Partial | None = None,
) -> Tensor:  # fmt: skip
    """Joint attention, open or under a layout's interaction mask; see `attend`.

    Args:
        partial: attention over text and video keys that also returns its log-sum-exp; by default the fastest fused
            kernel this device has.
    """
    others = query.shape[2] - num_motion
    parts = None if layout is None else layout.parts(query.device)
    out, lse = (partial or attention_with_lse)(query[:, :, :others], key[:, :, :others], value[:, :, :others])
    logits = _logits(query[:, :, :others], key[:, :, others:])
    if parts is not None:
        logits = logits.masked_fill(~parts.others_to_motion, -torch.inf)
    # (1 − w, then w · softmax over the motion keys): the share of the first part, and of every motion key
    shares = torch.cat([lse[..., None].to(logits.dtype), logits], dim=-1).softmax(-1)
    to_motion = shares[..., 1:] if gate is None else shares[..., 1:] * gate.to(shares.dtype)[:, None, None]
    kept = (1 - to_motion.sum(-1, keepdim=True)).to(out.dtype)
    joint = out * kept + to_motion.to(value.dtype) @ value[:, :, others:]
    logits = _logits(query[:, :, others:], key)
    if parts is not None:
        logits = logits.masked_fill(~parts.motion_rows, -torch.inf)
    return torch.cat([joint, logits.softmax(-1).to(value.dtype) @ value], dim=2)


def _logits(query: Tensor, key: Tensor) -> Tensor:
    """Scaled products, in float32 at least: half precision would cost the merge its accuracy."""
    dtype = torch.promote_types(query.dtype, torch.float32)
    return (query.to(dtype) * query.shape[-1] ** -0.5) @ key.to(dtype).transpose(-1, -2)


def attention_with_lse(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Unmasked attention (B, heads, L, head_dim) and its log-sum-exp (B, heads, L), float32; both differentiable."""
    inputs = (query, key, value)
    grad = torch.is_grad_enabled() and any(x.requires_grad for x in inputs)
    name = kernel_name(str(query.device), query.dtype, query.shape[-1], grad)
    if name == "products":
        return _products(*inputs)
    if grad:
        return _WithGradient.apply(*inputs, name)
    return KERNELS[name].forward(*inputs)[:2]


class _WithGradient(torch.autograd.Function):
    """A fused kernel whose log-sum-exp has a gradient too.

    The kernels' backward computes dS = P ∘ (dP − D) with D = rowsum(dO ∘ O) from the O it is given. The gradient of
    the log-sum-exp belongs into that bracket, dS = P ∘ (dP − D + dlse): an O shifted along dO so that
    rowsum(dO ∘ O) = D − dlse puts it there, without a second pass.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, name: str) -> tuple[Tensor, Tensor]:
        out, lse, saved = KERNELS[name].forward(query, key, value)
        ctx.save_for_backward(query, key, value, out, lse, *(x for x in saved if isinstance(x, Tensor)))
        ctx.saved, ctx.name = [None if isinstance(x, Tensor) else x for x in saved], name
        ctx.is_tensor = [isinstance(x, Tensor) for x in saved]
        return out, lse

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_out, grad_lse = grads
        query, key, value, out, lse, *tensors = ctx.saved_tensors
        remaining = iter(tensors)
        saved = [next(remaining) if is_tensor else x for is_tensor, x in zip(ctx.is_tensor, ctx.saved, strict=True)]
        wide = grad_out.to(lse.dtype)
        size = wide.abs().amax(-1, keepdim=True)  # taken out before squaring, which would underflow
        unit = wide / size
        shift = unit * (grad_lse[..., None] / size / unit.square().sum(-1, keepdim=True))
        shift = torch.where(size > 0, shift, 0)  # in `merge`, no gradient of O means none of the log-sum-exp
        shifted = (out.to(lse.dtype) - shift).to(out.dtype)
        return *KERNELS[ctx.name].backward(grad_out.contiguous(), query, key, value, shifted, lse, saved), None


class Kernel(NamedTuple):
    """One fused operator: forward gives (out, log-sum-exp, arguments of its backward), backward three gradients."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]


def _cpu_forward(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, tuple[Any, ...]]:
    return *aten._scaled_dot_product_flash_attention_for_cpu(query, key, value), ()


def _cpu_backward(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, saved: list[Any]) -> Any:
    return aten._scaled_dot_product_flash_attention_for_cpu_backward(grad, q, k, v, out, lse, 0.0, False)


def _flash_forward(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, tuple[Any, ...]]:
    out, lse, *saved, _ = aten._scaled_dot_product_flash_attention(query, key, value)
    return out, lse, tuple(saved)


def _flash_backward(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, saved: list[Any]) -> Any:
    cum_q, cum_k, max_q, max_k, *random = saved
    backward = aten._scaled_dot_product_flash_attention_backward
    return backward(grad, q, k, v, out, lse, cum_q, cum_k, max_q, max_k, 0.0, False, *random)


def _cudnn_forward(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, tuple[Any, ...]]:
    out, lse, *saved, _ = aten._scaled_dot_product_cudnn_attention(query, key, value, None, True)
    return out, lse.reshape(lse.shape[:3]), tuple(saved)


def _cudnn_backward(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, saved: list[Any]) -> Any:
    cum_q, cum_k, max_q, max_k, *random = saved
    backward = aten._scaled_dot_product_cudnn_attention_backward
    return backward(grad, q, k, v, out, lse[..., None], *random, None, cum_q, cum_k, max_q, max_k, 0.0, False)


def _efficient_forward(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, tuple[Any, ...]]:
    out, lse, *random = aten._scaled_dot_product_efficient_attention(query, key, value, None, True)
    return out, lse[..., : query.shape[2]], (lse, *random)  # the kernel pads the rows of its log-sum-exp


def _efficient_backward(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, _: Tensor, saved: list[Any]) -> Any:
    lse, *random = saved
    backward = aten._scaled_dot_product_efficient_attention_backward
    return backward(grad, q, k, v, None, out, lse, *random, 0.0, [True, True, True, False])[:3]


KERNELS = {
    "cudnn": Kernel(_cudnn_forward, _cudnn_backward),
    "flash": Kernel(_flash_forward, _flash_backward),
    "efficient": Kernel(_efficient_forward, _efficient_backward),
    "cpu": Kernel(_cpu_forward, _cpu_backward),
}
CANDIDATES = {"cuda": ("cudnn", "flash", "efficient"), "cpu": ("cpu",)}  # fastest first


@torch.compiler.assume_constant_result  # a compiler bakes the name in instead of tracing the trial
def kernel_name(device: str, dtype: torch.dtype, head_dim: int, grad: bool) -> str:
    """The first of this device's fused kernels that passes the accuracy trial, "products" where none does."""
    if device == "meta":  # nothing runs there: the operator whose FLOPs torch can count
        return "flash"
    return _proven(device, dtype, head_dim, grad)


@lru_cache(maxsize=64)
def _proven(device: str, dtype: torch.dtype, head_dim: int, grad: bool) -> str:
    log = logging.getLogger(__name__)
    for name in CANDIDATES.get(torch.device(device).type, ()):
        try:
            error = _error(name, device, dtype, head_dim, grad)
        except (RuntimeError, NotImplementedError, AttributeError, TypeError, ValueError) as refusal:
            log.info("fused attention kernel %r is not available for %s on %s: %s", name, dtype, device, refusal)
            continue
        if error < torch.finfo(dtype).eps ** 0.75:  # 6e-6 in float32, 0.03 in bfloat16
            return name
        log.warning("fused attention kernel %r differs by %.1e for %s on %s: not used", name, error, dtype, device)
    return "products"


def _error(name: str, device: str, dtype: torch.dtype, head_dim: int, grad: bool) -> float:
    """Largest relative error of a kernel's outputs (and gradients) against float64, on a small problem."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((1, 2, 72, head_dim), (1, 2, 136, head_dim), (1, 2, 136, head_dim), (1, 2, 72, head_dim), (1, 2, 72))
    with (
        torch.inference_mode(False), torch.enable_grad(), torch.autocast(torch.device(device).type, enabled=False),
        saved_tensors_hooks(_itself, _itself),  # a checkpointed block around the first use must not count the trial's
    ):  # fmt: skip
        inputs = [torch.randn(shape, generator=generator).to(device, dtype) for shape in shapes]
        sides = []
        for double in (False, True):
            x = q, k, v = tuple((z.double() if double else z).detach().requires_grad_(grad) for z in inputs[:3])
            out, lse = _products(q, k, v) if double else _run(name, q, k, v)
            if grad:
                loss = (out * inputs[3]).sum() + 10 * (lse * inputs[4]).sum()  # both sides weigh about the same
                sides.append([out.detach(), lse.detach(), *torch.autograd.grad(loss, x)])
            else:
                sides.append([out, lse])
        return max(float((one - other).norm() / other.norm()) for one, other in zip(*sides, strict=True))


def _itself(tensor: Tensor) -> Tensor:
    return tensor


def _run(name: str, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    if query.requires_grad:
        return _WithGradient.apply(query, key, value, name)
    return KERNELS[name].forward(query, key, value)[:2]


def _products(query: Tensor, key: Tensor, value: Tensor, rows: int = 1024) -> tuple[Tensor, Tensor]:
    """Attention and log-sum-exp by the formula, `rows` queries at a time."""
    outs, lses = [], []
    for chunk in query.split(rows, dim=2):
        logits = _logits(chunk, key)
        outs.append(logits.softmax(-1).to(value.dtype) @ value)
        lses.append(logits.logsumexp(-1))
    return torch.cat(outs, dim=2), torch.cat(lses, dim=2)
