"""Depth from our own network, the part ``depth/`` of a model folder, under any runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from egotwin_model.depth.network_inputs import View, plane_sweep, view_channels, with_parallax
from egotwin_model.depth.sizes import DepthConfig
from egotwin_model.depth.source import DepthEstimate, DepthSourceEntry
from egotwin_model.errors import ModelError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.io.store import CONFIG, MANIFEST, component_config, verify
from egotwin_model.runtimes.base import Networks, Runtime, RuntimeOptions
from egotwin_model.runtimes.registry import load_runtime

PART = "depth"  # of a model folder


def _network(folder: Path, options: RuntimeOptions) -> Any:
    from egotwin_model.depth.network import load_depth_network
    from egotwin_model.runtimes.offload import torch_dtype

    return load_depth_network(folder, torch_dtype(options.dtype))


NETWORKS: Networks = {PART: _network}


def _reads(folder: Path) -> bool:
    return (folder / PART / CONFIG).is_file()


def _load(folder: Path, runtime: str, options: RuntimeOptions) -> NetworkSource:
    if (folder / MANIFEST).is_file():
        verify(folder, only=(f"{PART}/", f"onnx/{PART}.onnx"))
    return NetworkSource(folder, load_runtime(folder, runtime, options, networks=NETWORKS))


ENTRY = DepthSourceEntry(
    "network", f"a model folder, or a folder of trained stages, with {PART}/{CONFIG}", _reads, _load
)


class NetworkSource:
    """Depth from the network in `folder`/depth, which `runtime` runs.

    Views of another size are resampled to the network's, and its depth back: linearly in inverse depth, which is exact
    on planes.
    """

    def __init__(self, folder: Path, runtime: Runtime) -> None:
        try:
            self.config = DepthConfig(**component_config(folder / PART))
        except TypeError as error:
            raise ModelError(f"{folder / PART / CONFIG} does not describe a DepthNetwork: {error}") from error
        self.runtime = runtime

    def estimate(self, view: View, past: Sequence[View], camera: Pinhole, floor_z: float) -> DepthEstimate:
        side, past = self.config.size, with_parallax(view, past, self.config.past)
        small = camera.scaled(side, side)
        view, *past = (View(_resized(each.image, side, side), each.T_world_camera) for each in (view, *past))
        channels = view_channels(view, small, floor_z)
        matches = plane_sweep(view, past, small, self.config)
        log_depth, log_error = self.runtime.estimate_depth(channels[None], matches[None])[0]
        inverse, error = (
            _resized(np.exp(part), camera.width, camera.height).astype(np.float32) for part in (-log_depth, log_error)
        )
        return DepthEstimate(np.reciprocal(inverse), error)


def _resized(image: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    """An image at another size; the mean of the pixels it covers where it shrinks."""
    if image.shape[:2] == (height, width):
        return image
    shrinks = width < image.shape[1] and height < image.shape[0]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
