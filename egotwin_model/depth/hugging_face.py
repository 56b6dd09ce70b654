"""Depth from a Hugging Face model in a local folder, scaled by the floor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from egotwin_model.depth.floor_scale import fit_to_floor
from egotwin_model.depth.network_inputs import View, floor_depth
from egotwin_model.depth.source import DepthEstimate, DepthSourceEntry
from egotwin_model.errors import ModelError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.io.files import read_json
from egotwin_model.io.store import CONFIG
from egotwin_model.runtimes.base import RuntimeOptions

METRIC_TYPES = ("depth_pro", "glpn", "zoedepth")
"""Model types whose output is depth; that of the others is inverse depth up to scale and shift, unless their
configuration says ``"depth_estimation_type": "metric"``."""
LIMIT_M = 100.0


def _reads(folder: Path) -> bool:
    if not (folder / CONFIG).is_file():
        return False
    config = read_json(folder / CONFIG)
    named = config.get("architectures") if isinstance(config, dict) else None
    return any(str(name).endswith("ForDepthEstimation") for name in named or [])


def _load(folder: Path, runtime: str, options: RuntimeOptions) -> HuggingFaceSource:
    if runtime not in ("auto", "torch"):
        raise ModelError(
            f"{folder} is a Hugging Face model, which runtime {runtime!r} cannot run; use 'torch' or 'auto'"
        )
    return HuggingFaceSource(folder, options)


ENTRY = DepthSourceEntry(
    "hugging-face", "a Hugging Face depth model saved by save_pretrained, with its processor", _reads, _load
)


class HuggingFaceSource:
    """A model of `AutoModelForDepthEstimation`; nothing is downloaded and nothing unpickled.

    Its depth gets the scale (and relative depth the shift) with which what it shows of the floor lies on the floor.
    Where too little of the floor is seen, relative depth is unknown everywhere (0); metric depth keeps its own scale.
    """

    def __init__(self, folder: Path, options: RuntimeOptions | None = None) -> None:
        try:
            from transformers import AutoImageProcessor, AutoModelForDepthEstimation
        except ImportError as error:
            raise ModelError(f"{folder} needs transformers and torch; pip install transformers torch") from error
        from egotwin_model.runtimes.offload import torch_dtype

        self.options = options or RuntimeOptions()
        self.dtype = torch_dtype(self.options.dtype)
        try:
            self.processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
            model = AutoModelForDepthEstimation.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=self.dtype
            )
        except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
            raise ModelError(f"the depth model in {folder} cannot be loaded: {error!r}") from error
        self.model = model.eval().requires_grad_(False).to(self.options.device)
        config = model.config
        metric = getattr(config, "depth_estimation_type", "relative") == "metric"
        self.metric = metric or config.model_type in METRIC_TYPES

    def estimate(self, view: View, past: Sequence[View], camera: Pinhole, floor_z: float) -> DepthEstimate:
        found = self._predicted(view.image)
        size = camera.width, camera.height
        with np.errstate(divide="ignore"):
            inverse = np.where(found > 0, 1.0 / found, 0.0) if self.metric else found
        inverse = cv2.resize(inverse.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        fitted = fit_to_floor(inverse, floor_depth(view, camera, floor_z), shifted=not self.metric)
        if fitted is None and not self.metric:
            return DepthEstimate(np.zeros((camera.height, camera.width), np.float32))
        scale, shift = fitted or (1.0, 0.0)
        scaled = scale * inverse + shift
        known = scaled > 1.0 / LIMIT_M
        return DepthEstimate(np.where(known, 1.0 / np.maximum(scaled, 1.0 / LIMIT_M), 0.0).astype(np.float32))

    def _predicted(self, image: Any) -> Any:
        """The model's own output for an image (H, W, 3), (h, w) float32."""
        import torch

        pixels = self.processor(images=image, return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            found = self.model(pixel_values=pixels.to(self.options.device, self.dtype)).predicted_depth
        return found[0].float().cpu().numpy()
