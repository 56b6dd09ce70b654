"""The interface of what estimates depth, and its entry in the registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from egotwin_model.depth.network_inputs import View
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.runtimes.base import RuntimeOptions


@dataclass(frozen=True)
class DepthEstimate:
    """Depth of an image.

    Attributes:
        depth: float32 (H, W) metres along the optical axis; 0 where nothing is known.
        error: float32 (H, W), relative error that the source expects of it; None where it does not say.
    """

    depth: NDArray[np.float32]
    error: NDArray[np.float32] | None = None


class DepthSource(Protocol):
    """Estimates depth of views that `DepthEstimator` has checked."""

    def estimate(self, view: View, past: Sequence[View], camera: Pinhole, floor_z: float) -> DepthEstimate:
        """Depth of `view`; `past` are earlier views of the same camera, the newest last."""
        ...


@dataclass(frozen=True)
class DepthSourceEntry:
    """One kind of source of the registry.

    Attributes:
        name: of the kind. description: one line for messages: what folder it wants.
        reads: whether a folder is of this kind.
        load: (folder, runtime's name, its options) to the source.
    """

    name: str
    description: str
    reads: Callable[[Path], bool]
    load: Callable[[Path, str, RuntimeOptions], DepthSource]
