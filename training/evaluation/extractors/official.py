"""The paper's own extractors from files that the user brings: nothing is downloaded, every file's checksum is printed.

They cannot be tested here with their real weights; the calls follow the files' published form:
- I-FID: InceptionV3 as TorchScript (StyleGAN's `inception-2015-12-05`), called with uint8 (N, 3, H, W) and
  `return_features=True`: (N, 2048).
- FVD: I3D as TorchScript (StyleGAN-V's `i3d_torchscript`), called with float (N, 3, F, H, W) in −1 ... 1 and
  `rescale=False, resize=True, return_features=True`: (N, 400).
- CLIP-SIM: a Hugging Face folder of CLIP with safetensors weights.

A TorchScript file is code: bring only one whose checksum you know, and give that checksum.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from egotwin_model.errors import ModelError
from egotwin_model.io.files import sha256
from training.evaluation.metrics.tools import ExtractorId, Features

BATCH = 16


def load_script(path: Path, checksum: str) -> tuple[Any, str]:
    """A TorchScript network and its SHA-256; `ModelError` where the file is missing, altered or none."""
    if not path.is_file():
        raise ModelError(f"{path} is missing; bring the official extractor's TorchScript file")
    found = sha256(path)
    if found != checksum.lower():
        raise ModelError(f"{path}: SHA-256 {found}, you gave {checksum}; it is not loaded, for such a file is code")
    try:
        return torch.jit.load(path, map_location="cpu").eval(), found
    except RuntimeError as error:
        raise ModelError(f"{path} is no TorchScript file ({str(error).splitlines()[0]})") from error


class InceptionV3:
    """I-FID's features."""

    def __init__(self, path: Path, checksum: str) -> None:
        self._network, digest = load_script(path, checksum)
        self.identity = ExtractorId("InceptionV3 (official)", path.stem, digest, official=True)

    @torch.inference_mode()
    def __call__(self, frames: NDArray[np.uint8]) -> Features:
        """uint8 (F, H, W, 3) RGB to (F, 2048)."""
        images = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
        parts = [self._network(part, return_features=True) for part in images.split(BATCH)]
        return torch.cat(parts).float().numpy()


class I3D:
    """FVD's features."""

    def __init__(self, path: Path, checksum: str) -> None:
        self._network, digest = load_script(path, checksum)
        self.identity = ExtractorId("I3D (official)", path.stem, digest, official=True)

    @torch.inference_mode()
    def __call__(self, frames: NDArray[np.uint8]) -> Features:
        """uint8 (F, H, W, 3) RGB to (400,)."""
        video = torch.from_numpy(np.ascontiguousarray(frames)).permute(3, 0, 1, 2).float() / 127.5 - 1.0
        found = self._network(video[None], rescale=False, resize=True, return_features=True)
        return found[0].float().numpy()


class Clip:
    """CLIP-SIM's features, of every 4th frame."""

    STRIDE = 4

    def __init__(self, folder: Path) -> None:
        from transformers import CLIPModel, CLIPProcessor

        weights = folder / "model.safetensors"
        if not weights.is_file():
            raise ModelError(f"{weights} is missing; bring CLIP's Hugging Face folder with safetensors weights")
        self._network: Any = CLIPModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
        self._processor: Any = CLIPProcessor.from_pretrained(folder, local_files_only=True)
        self.identity = ExtractorId("CLIP (official)", folder.name, sha256(weights), official=True)

    @torch.inference_mode()
    def frames(self, frames: NDArray[np.uint8]) -> Features:
        """uint8 (F, H, W, 3) RGB to (F / 4, D)."""
        inputs = self._processor(images=list(frames[:: self.STRIDE]), return_tensors="pt")
        return _embedding(self._network.get_image_features(**inputs))

    @torch.inference_mode()
    def text(self, text: str) -> Features:
        """(D,)."""
        inputs = self._processor(text=[text], return_tensors="pt", padding=True, truncation=True)
        return _embedding(self._network.get_text_features(**inputs))[0]


def _embedding(found: Any) -> Features:
    """transformers' answer, a tensor or an output that holds it."""
    tensor = found if isinstance(found, torch.Tensor) else found.pooler_output
    return np.asarray(tensor.float().numpy(), dtype=np.float32)
