"""The depth network: a small U-Net at a quarter of the resolution, whose estimates are metric.

It knows the floor along every ray, so what stands on the floor has a scale. Its output is a convex combination of the
nine nearest cells' inverse depths for every pixel (exact on planes, sharp at edges), mixed with the floor's own
inverse depth where a pixel shows the floor.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from egotwin_model.depth.network_inputs import VIEW_CHANNELS
from egotwin_model.depth.sizes import CELL, DepthConfig
from egotwin_model.io.store import load_component

FLOOR = VIEW_CHANNELS.index("floor")
NEIGHBOURS = 9
TYPICAL_DEPTH_M = 1.5


class MatrixConvolution(nn.Module):
    """A 3x3 convolution that keeps its width. Its weights are a matrix (width, width · 9), so that Muon trains them."""

    def __init__(self, width: int, std: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, width * 9).normal_(std=std))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight.view(len(self.bias), -1, 3, 3), self.bias, padding=1)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside the identity. Dense ones: on CPUs with bfloat16 matrix units they cost a third of
    separable ones of the same width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = MatrixConvolution(width, std=(2.0 / (9 * width)) ** 0.5)
        self.second = MatrixConvolution(width, std=0.3 * (9 * width) ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(F.relu(x))))


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*[ResidualBlock(width) for _ in range(count)])


def _linear_interpolation() -> Tensor:
    """Logarithms of the weights (9, 16) by which a cell's pixels are interpolated between the nine nearest cells."""
    place = (torch.arange(CELL) + 0.5) / CELL - 0.5  # of a pixel, from its cell's centre, in cells
    along = (1.0 - (torch.tensor([-1.0, 0.0, 1.0])[:, None] - place).abs()).clamp_min(0.05)  # (neighbour, pixel)
    return (along[:, None, :, None] * along[None, :, None, :]).log().reshape(NEIGHBOURS, CELL**2)


class DepthNetwork(nn.Module):
    """A view and matches of earlier ones to depth and its error.

    Call: `view` (B, 8, size, size), see `VIEW_CHANNELS`, and `matches` (B, planes + 1, size/4, size/4), see
    `plane_sweep`, zeros where there is no past. Returns (B, 2, size, size): log of the depth in metres along the
    optical axis, and log of the expected absolute error of that.
    """

    def __init__(self, config: DepthConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or DepthConfig()
        fine, middle, coarse = c.widths
        self.stem = nn.Conv2d(len(VIEW_CHANNELS), 32, 4, stride=2, padding=1)
        self.patches = nn.Conv2d(32, fine, 4, stride=2, padding=1)
        self.matches = nn.Conv2d(c.planes + 1, fine, 3, padding=1)
        self.down = nn.ModuleList([nn.Conv2d(fine, middle, 2, stride=2), nn.Conv2d(middle, coarse, 2, stride=2)])
        self.up = nn.ModuleList([nn.Conv2d(middle, 4 * fine, 1), nn.Conv2d(coarse, 4 * middle, 1)])
        self.down_blocks = nn.ModuleList(_blocks(w, n) for w, n in zip(c.widths, c.blocks, strict=True))
        self.up_blocks = nn.ModuleList(_blocks(w, n) for w, n in zip(c.widths, c.up_blocks, strict=False))
        self.head = nn.Conv2d(fine, fine, 3, padding=1)
        self.weights = nn.Conv2d(fine, NEIGHBOURS * CELL**2, 1)  # of the nine nearest cells, for each pixel
        self.maps = nn.Conv2d(fine, 3 * CELL**2, 1)  # for each pixel: correction, floor, error
        self.cells = nn.Conv2d(fine, 1, 1)
        for layer in (self.weights, self.maps, self.cells):
            nn.init.normal_(layer.weight, std=0.1 * fine**-0.5)
            nn.init.constant_(layer.bias, 0.0)  # type: ignore[arg-type]
        with torch.no_grad():
            self.weights.bias.copy_(_linear_interpolation().flatten())  # type: ignore[union-attr]

    def forward(self, view: Tensor, matches: Tensor) -> Tensor:
        features = self._features(view, matches)
        inverse = torch.exp(-self.cells(features).float().clamp(-4, 4)) / TYPICAL_DEPTH_M
        correction, floor, error = (F.pixel_shuffle(m, CELL) for m in self.maps(features).float().chunk(3, dim=1))
        inverse = self._upsampled(inverse, self.weights(features).float()) * torch.exp(0.2 * torch.tanh(correction))
        is_floor = torch.sigmoid(floor - 2.0)
        inverse = (1 - is_floor) * inverse + is_floor * view[:, FLOOR : FLOOR + 1].float()
        depth = -torch.log(inverse.clamp_min(1.0 / self.config.limit_m))
        return torch.cat([depth, error - 2.0], dim=1)

    def _features(self, view: Tensor, matches: Tensor) -> Tensor:
        """At a quarter of the resolution, (B, widths[0], H/4, W/4)."""
        view, matches = (x.contiguous(memory_format=torch.channels_last) for x in (view, matches))
        x = self.patches(F.relu(self.stem(view))) + self.matches(matches)
        skips = []
        for level, blocks in enumerate(self.down_blocks):
            if level:
                skips.append(x)
                x = self.down[level - 1](x)
            x = blocks(x)
        for level in (1, 0):
            x = skips[level] + F.pixel_shuffle(self.up[level](x), 2)
            x = self.up_blocks[level](x)
        return F.relu(self.head(F.relu(x)))

    @staticmethod
    def _upsampled(cells: Tensor, weights: Tensor) -> Tensor:
        """Cells (B, 1, h, w) and weights (B, 9 · 16, h, w) of each pixel's nine nearest to (B, 1, 4h, 4w)."""
        height, width = cells.shape[2:]
        padded = F.pad(cells, (1, 1, 1, 1), mode="replicate")
        nearest = torch.cat([padded[:, :, y : y + height, x : x + width] for y in range(3) for x in range(3)], dim=1)
        shares = weights.unflatten(1, (NEIGHBOURS, CELL**2)).softmax(dim=1)
        return F.pixel_shuffle((shares * nearest[:, :, None]).sum(dim=1), CELL)


def load_depth_network(folder: str | Path, dtype: torch.dtype = torch.float32) -> DepthNetwork:
    """The depth network in `folder`, on the CPU; `ModelError` where its files are missing or do not fit."""
    return load_component(Path(folder), DepthNetwork, DepthConfig, dtype)
