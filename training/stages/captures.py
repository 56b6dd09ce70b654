"""Motion capture beside the clips of stage 1: other windows of it in every batch, and recordings held out."""

from __future__ import annotations

import torch
from torch import Tensor

from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.root_centric import RootCentric
from training.datasets.mocap.capture_folder import CaptureFolder, training_and_held_out
from training.datasets.mocap.capture_windows import CaptureWindows, plain_windows
from training.stages.random_streams import RandomStreams

POSES = 81  # of a clip
_SEEDS = 2**24  # so many numbers a float32 in [0, 1) tells apart


class Captures:
    """Windows of motion capture as motion features, not standardised.

    Attributes:
        held_out: features (1, T, D) of the recordings that no training reads, T = 1 + 4k up to 81.
    """

    def __init__(self, folder: CaptureFolder, representation: HeadCentric | RootCentric, rate_hz: float) -> None:
        train, held_out = training_and_held_out(folder)
        self.representation = representation
        self.windows = CaptureWindows(train, POSES, rate_hz)
        self.held_out = [
            torch.from_numpy(representation.encode(*window)).float()
            for motion in held_out
            for window in plain_windows(motion, POSES, rate_hz)
        ]

    def mixed_in(self, features: Tensor, share: float, streams: RandomStreams) -> Tensor:
        """Features (B, T, D) of clips with about `share` of them replaced by those of windows."""
        chosen = streams.uniform() < share
        seeds = (streams.uniform(2) * _SEEDS).long()[chosen].tolist()
        if not seeds:
            return features
        windows = self.representation.encode(*self.windows.draw(seeds))
        return features.index_put((chosen.nonzero()[:, 0],), torch.from_numpy(windows))
