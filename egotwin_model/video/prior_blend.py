"""What is known of a video beforehand, seen by its decoder at the output's resolution and blended into the output."""

from __future__ import annotations

import torch
from torch import Tensor, nn

INITIAL_GATE = 2.0  # logit: at first most of what is visible comes from the prior


class PriorBlend(nn.Module):
    """Lets a decoder's finest features see a prior, and decides in each pixel how much of it is believed.

    Where nothing is visible, features and output are those of a decoder without prior, to the bit.

    Pixels are in the decoder's patches, by colour: (B, T, h, w, colours, patch). `seen` is the prior times its
    visibility, with visibility as one more colour.
    """

    def __init__(self, width: int, patch: int, colours: int) -> None:
        super().__init__()
        self.proj_in = nn.Linear((colours + 1) * patch, width, bias=False)
        self.gate = nn.Linear(width, patch)
        self.residual = nn.Linear(width, colours * patch)
        for layer in (self.proj_in, self.gate, self.residual):
            nn.init.zeros_(layer.weight)
        nn.init.constant_(self.gate.bias, INITIAL_GATE)
        nn.init.zeros_(self.residual.bias)

    def features(self, seen: Tensor) -> Tensor:
        """What the finest features (B, T, h, w, width) gain by the prior."""
        return self.proj_in(seen.flatten(-2))

    def forward(self, features: Tensor, synthesised: Tensor, seen: Tensor) -> Tensor:
        """``(1 - gate) synthesised + gate (prior + residual)``, the gate in [0, visibility], from the decoder's last
        features."""
        gate, visibility = torch.sigmoid(self.gate(features))[..., None, :], seen[..., -1:, :]
        change = self.residual(features).unflatten(-1, synthesised.shape[-2:]) - synthesised
        return synthesised + gate * (seen[..., :-1, :] + visibility * change)
