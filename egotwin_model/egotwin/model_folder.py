"""What the pipeline reads of a model folder beside its networks: which parts it has, and the motion statistics."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.errors import ModelError
from egotwin_model.io.store import component_config
from egotwin_model.io.weights import read_arrays
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.root_centric import RootCentric
from egotwin_model.motion.statistics import MotionStatistics
from egotwin_model.runtimes.base import Runtime

if TYPE_CHECKING:
    from egotwin_model.depth.estimator import DepthEstimator


def check_parts(folder: Path, config: EgoTwinConfig, modalities: tuple[str, ...]) -> None:
    """`ModelError` unless the folder's transformer and VAEs are those of the modalities its index names."""
    if not modalities or not set(modalities) <= {"video", "motion"}:
        raise ModelError(f'{folder / "model_index.json"}: modalities {modalities}; wanted "video", "motion" or both')
    if ("motion" in modalities) != (config.num_motion_layers > 0):
        raise ModelError(
            f"{folder}: the index names {' and '.join(modalities)}, but the transformer has "
            f"{config.num_motion_layers} motion layers"
        )
    for modality in modalities:
        if not (folder / f"{modality}_vae").is_dir():
            raise ModelError(f"{folder / f'{modality}_vae'} is missing; copy the whole model folder again")


def decoder_sees_prior(folder: Path) -> bool:
    """Whether the folder's video decoder takes a prior."""
    return bool(component_config(folder / "video_vae").get("prior_condition", False))


def folder_depth_estimator(folder: Path, runtime: Runtime) -> DepthEstimator | None:
    """The estimator of the folder's own ``depth/``; None where it has none."""
    if not (folder / "depth").is_dir():
        return None
    from egotwin_model.depth.estimator import DepthEstimator  # only such folders need it

    return DepthEstimator.from_runtime(folder, runtime)


def motion_statistics(
    folder: Path, config: EgoTwinConfig, representation: HeadCentric | RootCentric
) -> tuple[MotionStatistics, float]:
    """The motion features' statistics and the latents' standard deviation; neutral for a model without motion.

    Raises:
        ModelError: the file lacks the scale, or describes other features.
    """
    if not config.num_motion_layers:
        return MotionStatistics(np.zeros(representation.dim, np.float32), np.ones(representation.dim, np.float32)), 1.0
    path = folder / "statistics.safetensors"
    tensors = read_arrays(path)
    scale = tensors.pop("motion_latent.scale", None)
    if scale is None:
        raise ModelError(f"{path} lacks motion_latent.scale; export the model again")
    statistics = MotionStatistics.from_tensors(tensors)
    if statistics.dim != representation.dim:
        raise ModelError(
            f"{path} describes {statistics.dim} motion features; the {representation.kind} representation has "
            f"{representation.dim}"
        )
    return statistics, float(scale.item())
