"""EgoTwin: joint egocentric video and motion diffusion (no ROS, no training)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from egotwin_model.egotwin.config import EgoTwinConfig
    from egotwin_model.egotwin.pipeline import EgoTwinPipeline
    from egotwin_model.egotwin.transformer import EgoTwinTransformer
    from egotwin_model.motion.vae import MotionVAE

__all__ = ["EgoTwinConfig", "EgoTwinPipeline", "EgoTwinTransformer", "MotionVAE"]

_HOMES = {
    "EgoTwinConfig": "egotwin.config",
    "EgoTwinPipeline": "egotwin.pipeline",
    "EgoTwinTransformer": "egotwin.transformer",
    "MotionVAE": "motion.vae",
}


def __getattr__(name: str) -> Any:
    """Import on first use: bags, cameras and messages work without waiting for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
