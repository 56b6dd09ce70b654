"""EgoTwin: joint egocentric video and body motion diffusion. No ROS, no training, torch only where torch computes.

The public names are importable from here. Each is imported from its module when it is first used, so that skeletons,
cameras, bags and the ONNX path do not wait for torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from egotwin_model.depth.estimator import DepthEstimator
    from egotwin_model.depth.given import depth_in_metres
    from egotwin_model.diffusion.attention.attend import attend, interaction_mask
    from egotwin_model.diffusion.sampler import Guidance
    from egotwin_model.diffusion.schedule import Pace, Schedule
    from egotwin_model.diffusion.solvers import Solver
    from egotwin_model.egotwin.config import EgoTwinConfig
    from egotwin_model.egotwin.imagination import BodyState, Imagination, ModelInfo, SamplingDefaults
    from egotwin_model.egotwin.pipeline import EgoTwinPipeline
    from egotwin_model.egotwin.pretrained import load_cogvideox
    from egotwin_model.egotwin.transformer import EgoTwinTransformer
    from egotwin_model.errors import (
        CalibrationError,
        Cancelled,
        EgoTwinError,
        GoalError,
        HorizonError,
        ImageError,
        ModelError,
        PoseError,
        RecordingError,
    )
    from egotwin_model.families import load_pipeline
    from egotwin_model.geometry.camera import Pinhole, rectify
    from egotwin_model.geometry.mount import Mount
    from egotwin_model.geometry.plucker import plucker_maps
    from egotwin_model.geometry.prior import Prior
    from egotwin_model.geometry.scene_memory import SceneMemory
    from egotwin_model.geometry.skeleton import XSENS_JOINTS, XSENS_PARENTS, forward_kinematics, reference_offsets
    from egotwin_model.motion.head_centric import HeadCentric
    from egotwin_model.motion.representation import BodyMotion
    from egotwin_model.motion.root_centric import RootCentric
    from egotwin_model.motion.statistics import MotionStatistics
    from egotwin_model.motion.vae import MotionVAE, MotionVAEConfig
    from egotwin_model.runtimes.registry import describe_runtimes, runtime_names
    from egotwin_model.video.vae import CausalVideoVAE, VideoVAEConfig

_HOMES = {
    "depth.estimator": ("DepthEstimator",),
    "depth.given": ("depth_in_metres",),
    "diffusion.attention.attend": ("attend", "interaction_mask"),
    "diffusion.sampler": ("Guidance",),
    "diffusion.schedule": ("Pace", "Schedule"),
    "diffusion.solvers": ("Solver",),
    "egotwin.config": ("EgoTwinConfig",),
    "egotwin.imagination": ("BodyState", "Imagination", "ModelInfo", "SamplingDefaults"),
    "egotwin.pipeline": ("EgoTwinPipeline",),
    "egotwin.pretrained": ("load_cogvideox",),
    "egotwin.transformer": ("EgoTwinTransformer",),
    "errors": (
        "CalibrationError", "Cancelled", "EgoTwinError", "GoalError", "HorizonError", "ImageError", "ModelError",
        "PoseError", "RecordingError",
    ),
    "families": ("load_pipeline",),
    "geometry.camera": ("Pinhole", "rectify"),
    "geometry.mount": ("Mount",),
    "geometry.plucker": ("plucker_maps",),
    "geometry.prior": ("Prior",),
    "geometry.scene_memory": ("SceneMemory",),
    "geometry.skeleton": ("XSENS_JOINTS", "XSENS_PARENTS", "forward_kinematics", "reference_offsets"),
    "motion.head_centric": ("HeadCentric",),
    "motion.root_centric": ("RootCentric",),
    "motion.representation": ("BodyMotion",),
    "motion.statistics": ("MotionStatistics",),
    "motion.vae": ("MotionVAE", "MotionVAEConfig"),
    "runtimes.registry": ("describe_runtimes", "runtime_names"),
    "video.vae": ("CausalVideoVAE", "VideoVAEConfig"),
}  # fmt: skip
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "XSENS_JOINTS", "XSENS_PARENTS", "BodyMotion", "BodyState", "CalibrationError", "Cancelled", "CausalVideoVAE",
    "DepthEstimator", "EgoTwinConfig", "EgoTwinError", "EgoTwinPipeline", "EgoTwinTransformer", "GoalError", "Guidance",
    "HeadCentric", "HorizonError", "ImageError", "Imagination", "ModelError", "ModelInfo", "MotionStatistics",
    "MotionVAE", "MotionVAEConfig", "Mount", "Pace", "Pinhole", "PoseError", "Prior", "RecordingError", "RootCentric",
    "SamplingDefaults", "SceneMemory", "Schedule", "Solver", "VideoVAEConfig", "attend", "depth_in_metres",
    "describe_runtimes", "forward_kinematics", "interaction_mask", "load_cogvideox", "load_pipeline", "plucker_maps",
    "rectify", "reference_offsets", "runtime_names",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
