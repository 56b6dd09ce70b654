"""Depth of images with known gravity and floor, from whatever a folder holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egotwin_model.depth import hugging_face, network_source
from egotwin_model.depth.network_inputs import View
from egotwin_model.depth.network_source import NetworkSource
from egotwin_model.depth.source import DepthEstimate, DepthSource, DepthSourceEntry
from egotwin_model.errors import CalibrationError, ImageError, ModelError, PoseError
from egotwin_model.geometry.camera import Pinhole, check_image, check_poses
from egotwin_model.runtimes.base import Runtime, RuntimeOptions

SOURCES: tuple[DepthSourceEntry, ...] = (network_source.ENTRY, hugging_face.ENTRY)
"""The kinds of folders that depth is estimated from, in the order in which they are tried."""

LEAST_HEIGHT_M = 0.05
Past = Sequence[tuple[NDArray[np.uint8], ArrayLike]]


class DepthEstimator:
    """Metric depth of an image whose camera pose is known in a world with z up.

    The scale comes from the camera's height above the floor. Something is always estimated, also for a black image or
    one that shows no floor; how far to trust it is what `estimate` says beside the depth.
    """

    def __init__(self, source: DepthSource) -> None:
        self.source = source

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, runtime: str = "auto", options: RuntimeOptions | None = None
    ) -> DepthEstimator:
        """From a folder on disk, of one of the kinds of `SOURCES`.

        Args:
            folder: a model folder with the part ``depth/``, a folder of trained stages, or a Hugging Face depth model.
            runtime: a name of `runtimes.registry.runtime_names`.
            options: how it computes; default one CPU process in float32.

        Raises:
            ModelError: the folder is none of these, or is altered, incomplete or damaged; the runtime cannot run it.
        """
        folder = Path(folder)
        for entry in SOURCES:
            if entry.reads(folder):
                return cls(entry.load(folder, runtime, options or RuntimeOptions()))
        wanted = "; ".join(entry.description for entry in SOURCES)
        raise ModelError(f"{folder} holds no depth model; wanted one of: {wanted}")

    @classmethod
    def from_runtime(cls, folder: str | Path, runtime: Runtime) -> DepthEstimator:
        """From the part ``depth/`` of a model folder that `runtime` already runs."""
        return cls(NetworkSource(Path(folder), runtime))

    def __call__(
        self,
        image: NDArray[np.uint8],
        camera: Pinhole,
        T_world_camera: ArrayLike,
        past: Past = (),
        floor_z: float = 0.0,
    ) -> NDArray[np.float32]:
        """Depth of an image, as `estimate`: float32 (H, W) metres along the optical axis, 0 where nothing is known."""
        return self.estimate(image, camera, T_world_camera, past, floor_z).depth

    def estimate(
        self,
        image: NDArray[np.uint8],
        camera: Pinhole,
        T_world_camera: ArrayLike,
        past: Past = (),
        floor_z: float = 0.0,
    ) -> DepthEstimate:
        """Depth of an image, and its expected error.

        Args:
            image: uint8 (H, W, 3) RGB, without distortion.
            camera: of it, of any size.
            T_world_camera: (4, 4) of the optical frame, in metres, in a world with z up.
            past: (image, T_world_camera) of earlier views of the same camera, the newest last; parallax improves the
                estimate. Our network compares the newest five that were taken at least 3 cm from here and from each
                other in about this direction; Hugging Face models compare none.
            floor_z: height of the floor in that world, metres.

        Raises:
            ImageError: not a uint8 (H, W, 3) image.
            CalibrationError: a camera of another size, or not a `Pinhole`.
            PoseError: a pose that is not rigid or not finite, a camera that is not above the floor, or a floor that is
                not a finite height.
        """
        if not isinstance(camera, Pinhole):
            raise CalibrationError(
                f"camera is {type(camera).__name__}: wanted a Pinhole; rectify other cameras' images"
            )
        if not np.isfinite(floor_z):
            raise PoseError(f"floor_z is {floor_z}: wanted the floor's height in metres")
        view = _checked(image, T_world_camera, camera, "image")
        height = float(view.T_world_camera[2, 3]) - floor_z
        if height < LEAST_HEIGHT_M:
            raise PoseError(
                f"the camera is {height:.2f} m above the floor at z = {floor_z:g}: wanted at least {LEAST_HEIGHT_M} m; "
                "the world's z axis must point up, and floor_z be the floor's height in it"
            )
        views = [_checked(*_pair(each), camera, f"past[{number}]") for number, each in enumerate(past)]
        return self.source.estimate(view, views, camera, float(floor_z))


def _pair(each: Any) -> tuple[Any, Any]:
    if not isinstance(each, tuple | list) or len(each) != 2:
        raise ImageError("past holds something else than pairs (image, T_world_camera)")
    return each[0], each[1]


def _checked(image: NDArray[np.uint8], T_world_camera: ArrayLike, camera: Pinhole, name: str) -> View:
    try:
        check_image(image)
        if image.shape[:2] != (camera.height, camera.width):
            raise CalibrationError(
                f"image is {image.shape[1]}x{image.shape[0]}, its camera {camera.width}x{camera.height}: use "
                "Pinhole.scaled for another resolution of the same view"
            )
        return View(image, check_poses([T_world_camera])[0])  # type: ignore[arg-type]
    except (ImageError, CalibrationError, PoseError) as error:
        raise type(error)(f"{name}: {error}") from error
