"""What is known of coming views before a model imagines them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Prior:
    """What is known of the coming views beforehand, for instance rendered from a `SceneMemory`.

    Attributes:
        frames: uint8 (F, H, W, 3) RGB; hidden places may hold anything, grey is good.
        visibility: (F, H, W) bool or in [0, 1]: where the frames are to be believed.
        depth: float32 (F, H, W) metres along the optical axis, 0 where it is unknown; None where nobody knows it.
    """

    frames: NDArray[np.uint8]
    visibility: NDArray[Any]
    depth: NDArray[np.float32] | None = None
