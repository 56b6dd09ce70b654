"""The torch networks of an EgoTwin model folder, for the runtimes that need them; torch is imported when one loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from egotwin_model.depth.network_source import NETWORKS as DEPTH
from egotwin_model.runtimes.base import Networks, RuntimeOptions


def _transformer(folder: Path, options: RuntimeOptions) -> Any:
    from egotwin_model.egotwin.transformer import load_transformer
    from egotwin_model.runtimes.offload import torch_dtype

    return load_transformer(folder, torch_dtype(options.dtype))


def _motion_vae(folder: Path, _options: RuntimeOptions) -> Any:
    from egotwin_model.motion.vae import load_motion_vae

    return load_motion_vae(folder)


def _video_vae(folder: Path, options: RuntimeOptions) -> Any:
    from egotwin_model.runtimes.offload import torch_dtype
    from egotwin_model.video.vae import load_video_vae

    return load_video_vae(folder, torch_dtype(options.dtype), tiling=options.tiling)


NETWORKS: Networks = {"transformer": _transformer, "motion_vae": _motion_vae, "video_vae": _video_vae, **DEPTH}
