"""Layers of the three branches; those of text and video have diffusers' CogVideoX names and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn


class TimeConditioning(NamedTuple):
    """The timestep embedding for every stream: one row for all tokens, or one for each latent step.

    Attributes:
        rows: (B, S, time_embed_dim).
        places: each stream's rows by its name ("text", "video", "motion"); None: the one row serves all.
    """

    rows: Tensor
    places: Mapping[str, slice] | None = None

    def spread(self, values: Tensor, stream: str, length: int) -> Tensor:
        """Values of the rows, (B, S, dim), to what broadcasts over the `length` tokens of a stream."""
        if self.places is None:
            return values
        own = values[:, self.places[stream]]
        return own if own.shape[1] == 1 else own.repeat_interleave(length // own.shape[1], dim=1)


class Modulation(nn.Module):
    """LayerNorm whose shift, scale and gate come from the timestep embedding, one triple for each of `streams`."""

    def __init__(self, time_embed_dim: int, dim: int, streams: tuple[str, ...]) -> None:
        super().__init__()
        self.streams = streams
        self.linear = nn.Linear(time_embed_dim, 3 * len(streams) * dim)
        self.norm = nn.LayerNorm(dim, eps=1e-5)

    def forward(self, groups: list[Tensor], time: TimeConditioning) -> tuple[list[Tensor], list[Tensor]]:
        """Normalised and modulated groups [(B, L_i, dim)], and their gates, which broadcast over them."""
        parts = self.linear(F.silu(time.rows)).chunk(3 * len(self.streams), dim=-1)
        hidden, gates = [], []
        for index, (stream, group) in enumerate(zip(self.streams, groups, strict=True)):
            triple = parts[3 * index : 3 * index + 3]
            shift, scale, gate = (time.spread(part, stream, group.shape[1]) for part in triple)
            hidden.append(self.norm(group) * (1 + scale) + shift)
            gates.append(gate)
        return hidden, gates


class OutputNorm(nn.Module):
    """LayerNorm with shift and scale from the timestep embedding (diffusers' ``norm_out``)."""

    def __init__(self, time_embed_dim: int, dim: int, stream: str) -> None:
        super().__init__()
        self.stream = stream
        self.linear = nn.Linear(time_embed_dim, 2 * dim)
        self.norm = nn.LayerNorm(dim, eps=1e-5)

    def forward(self, x: Tensor, time: TimeConditioning) -> Tensor:
        parts = self.linear(F.silu(time.rows)).chunk(2, dim=-1)
        shift, scale = (time.spread(part, self.stream, x.shape[1]) for part in parts)
        return self.norm(x) * (1 + scale) + shift


class FeedForward(nn.Module):
    """Linear, GELU (tanh), Linear, under diffusers' names ``net.0.proj`` and ``net.2``."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.net = nn.ModuleList(
            [nn.ModuleDict({"proj": nn.Linear(dim, 4 * dim)}), nn.Identity(), nn.Linear(4 * dim, dim)]
        )

    def forward(self, x: Tensor) -> Tensor:
        expand, _, contract = self.net
        return contract(F.gelu(expand["proj"](x), approximate="tanh"))  # type: ignore[index, no-any-return]


class Projections(nn.Module):
    """Queries, keys, values and output of one branch, with per-head LayerNorm of queries and keys."""

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_q = nn.LayerNorm(head_dim, eps=1e-6)
        self.norm_k = nn.LayerNorm(head_dim, eps=1e-6)
        self.to_q = nn.Linear(dim, heads * head_dim)
        self.to_k = nn.Linear(dim, heads * head_dim)
        self.to_v = nn.Linear(dim, heads * head_dim)
        self.to_out = nn.ModuleList([nn.Linear(heads * head_dim, dim)])

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, L, dim) to three (B, heads, L, head_dim)."""
        layers = (self.to_q, self.to_k, self.to_v)
        q, k, v = (layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in layers)
        return self.norm_q(q), self.norm_k(k), v

    def out(self, x: Tensor) -> Tensor:
        """(B, heads, L, head_dim) to (B, L, dim)."""
        return self.to_out[0](x.transpose(1, 2).flatten(2))
