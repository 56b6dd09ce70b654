"""The camera path of a video from its frames alone: COLMAP's structure from motion, exhaustive and global.

Frames that could not be registered are counted, never filled in: read an error together with the registered share.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import ModelError
from egotwin_model.geometry.camera import Pinhole
from training.evaluation.metrics.tools import CameraPath, ExtractorId

LEAST_SIDE = 256  # smaller frames are enlarged to this: SIFT finds few features below


class Colmap:
    """Camera paths by pycolmap, on one CPU thread; the same frames give the same path.

    Args:
        stride: every `stride`-th frame is used, frame 0 among them.
    """

    def __init__(self, stride: int = 2) -> None:
        self.stride = stride

    @cached_property
    def _colmap(self) -> Any:
        try:
            import pycolmap
        except ImportError as error:
            raise ModelError("pycolmap is not installed: pip install 'egotwin-training[train]'") from error
        pycolmap.logging.minloglevel = pycolmap.logging.Level.FATAL.value
        pycolmap.logging.logtostderr = False
        return pycolmap

    @property
    def identity(self) -> ExtractorId:
        """COLMAP and how it is used; it has no weights."""
        return ExtractorId("COLMAP, exhaustive + global", f"{self._colmap.__version__}, stride {self.stride}", "none")

    def __call__(self, frames: NDArray[np.uint8], camera: Pinhole) -> CameraPath:
        """Of uint8 (F, H, W, 3) RGB with these intrinsics; fewer than two placed frames give an empty path."""
        with tempfile.TemporaryDirectory(prefix="egotwin-colmap-") as folder, _quiet():
            placed = self._placed(frames, camera, Path(folder))
        if len(placed) < 2:
            return CameraPath(np.zeros(0, np.int64), np.zeros((0, 3, 3)), np.zeros((0, 3)))
        order = sorted(placed)
        poses = [placed[index] for index in order]
        return CameraPath(
            np.array(order), np.stack([p.rotation.matrix() for p in poses]), np.stack([p.translation for p in poses])
        )

    def _placed(self, frames: NDArray[np.uint8], camera: Pinhole, folder: Path) -> dict[int, Any]:
        """T_world_camera by frame number, of the largest reconstruction."""
        colmap, images, database = self._colmap, folder / "images", folder / "database.db"
        images.mkdir()
        height, width = frames.shape[1:3]
        scale = max(1, -(-LEAST_SIDE // min(height, width)))
        camera = camera.scaled(width * scale, height * scale)
        for index in range(0, len(frames), self.stride):
            large = cv2.resize(frames[index], (camera.width, camera.height), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(images / f"{index:05d}.png"), cv2.cvtColor(large, cv2.COLOR_RGB2BGR))
        reader = colmap.ImageReaderOptions()
        reader.camera_model = "PINHOLE"  # its pixel centres are at half-integers
        reader.camera_params = f"{camera.fx},{camera.fy},{camera.cx + 0.5},{camera.cy + 0.5}"
        extraction, matching = colmap.FeatureExtractionOptions(), colmap.FeatureMatchingOptions()
        extraction.num_threads = matching.num_threads = 1
        extraction.use_gpu = matching.use_gpu = False
        extraction.sift.peak_threshold = 0.002  # enlarged frames are smooth
        extraction.sift.max_num_features = 1000
        colmap.set_random_seed(0)
        options = {"device": colmap.Device.cpu}
        colmap.extract_features(
            database, images, camera_mode=colmap.CameraMode.SINGLE, reader_options=reader,
            extraction_options=extraction, **options,
        )  # fmt: skip
        colmap.match_exhaustive(database, matching_options=matching, **options)
        mapping = colmap.GlobalPipelineOptions()
        mapping.num_threads, mapping.random_seed = 1, 0
        try:
            found = colmap.global_mapping(database, images, folder / "out", mapping)
        except RuntimeError:  # no pair of frames matches
            return {}
        if not found:
            return {}
        largest = max(found.values(), key=lambda reconstruction: reconstruction.num_reg_images())
        return {
            int(Path(image.name).stem): image.cam_from_world().inverse()
            for image in largest.images.values()
            if image.has_pose
        }


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the process' standard error, to which COLMAP's C++ code writes its progress."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
