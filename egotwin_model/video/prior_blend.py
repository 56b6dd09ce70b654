"""What is known of a video beforehand, seen by its decoder at the output's resolution and blended into the output."""

from __future__ import annotations

import torch
from torch import Tensor, nn

INITIAL_GATE = 2.0  # logit: at first most of what is visible comes from the prior


class PriorBlend(nn.Module):
    """Lets a decoder's finest features see a prior, and decides in each pixel how much of it is believed.

    Where nothing is visible, features and output are those of a decoder without prior, to the bit.

    All tensors are folded into the decoder's patches, channels last: pixels (B, T, h, w, patch * colours), visibility
    (B, T, h, w, patch).
    """

    def __init__(self, width: int, patch: int, colours: int) -> None:
        super().__init__()
        self.proj_in = nn.Linear(patch * (colours + 1), width, bias=False)
        self.gate = nn.Linear(width, patch)
        for layer in (self.proj_in, self.gate):
            nn.init.zeros_(layer.weight)
        nn.init.constant_(self.gate.bias, INITIAL_GATE)

    def features(self, prior: Tensor, visibility: Tensor) -> Tensor:
        """What the finest features (B, T, h, w, width) gain by the prior."""
        seen = prior.unflatten(-1, (visibility.shape[-1], -1)) * visibility[..., None]
        return self.proj_in(torch.cat([seen.flatten(-2), visibility], dim=-1))

    def forward(self, features: Tensor, linear: Tensor, prior: Tensor, visibility: Tensor) -> Tensor:
        """``(1 - gate) linear + gate prior``, the gate in [0, visibility] from the decoder's last features."""
        gate = visibility * torch.sigmoid(self.gate(features))
        linear, gate = linear.to(prior.dtype), gate.to(prior.dtype)  # a prior has more digits than autocast's bfloat16
        pixels = gate.shape[-1], -1
        return torch.lerp(linear.unflatten(-1, pixels), prior.unflatten(-1, pixels), gate[..., None]).flatten(-2)
