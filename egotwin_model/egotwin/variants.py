"""The rows of the paper's tables as settings of the one model: its ablations, and the models it is compared with.

| name | in the paper | what is set |
|---|---|---|
| egotwin | EgoTwin | nothing |
| vidmld | VidMLD | root-centric motion, no interaction mask, one timestep for both |
| without-reformulation | w/o motion reformulation | root-centric motion |
| without-interaction | w/o interaction mechanism | no interaction mask |
| without-asynchronous | w/o asynchronous diffusion | one timestep for both |
| video-only | CogVideoX | no motion branch |
| camera | CameraCtrl on CogVideoX | no motion branch; the camera's rays are given |
| motion-only | MLD | only the blocks that carry motion, called without video |
| geometry | not in it | prior, gravity and depth as conditions; the other rows have none, whatever their base has |

Models with one timestep (`asynchronous=False`) cannot mark a modality as absent: they are guided by text alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.errors import ModelError

VARIANTS = (
    "egotwin",
    "vidmld",
    "without-reformulation",
    "without-interaction",
    "without-asynchronous",
    "video-only",
    "camera",
    "motion-only",
    "geometry",
)

GEOMETRY: dict[str, Any] = {"prior_condition": True, "gravity_condition": True, "depth_condition": True}
"""What is known of the views, where down is, and how far the first frame's places are."""


@dataclass(frozen=True)
class Variant:
    """One row: the transformer, the kind of motion representation (None: no motion), and whether there is video."""

    model: EgoTwinConfig
    representation: str | None = "head-centric"
    with_video: bool = True


def variant(name: str, base: EgoTwinConfig) -> Variant:
    """The named row at the sizes of `base`, a full model (`EgoTwinConfig.paper()`, `.mini()`).

    Raises:
        ModelError: no such row.
    """
    if name not in VARIANTS:
        raise ModelError(f"variant {name!r} is not one of {', '.join(VARIANTS)}")
    settings: dict[str, Any] = {setting: name == "geometry" and on for setting, on in GEOMETRY.items()}
    if name in ("vidmld", "without-interaction"):
        settings["interaction"] = False
    if name in ("vidmld", "without-asynchronous", "motion-only"):
        settings["asynchronous"] = False
    if name in ("video-only", "camera"):
        return Variant(
            replace(base, num_motion_layers=0, camera_condition=name == "camera", **settings), representation=None
        )
    if name == "motion-only":
        return Variant(replace(base, num_layers=base.num_motion_layers, **settings), with_video=False)
    root = name in ("vidmld", "without-reformulation")
    return Variant(replace(base, **settings), "root-centric" if root else "head-centric")
