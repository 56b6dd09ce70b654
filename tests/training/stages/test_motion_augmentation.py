"""Augmented motion is still that of a body: bones keep their proportions, each clip has its own random numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from egotwin_model.geometry.skeleton import XSENS_PARENTS
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.root_centric import RootCentric
from training.stages.motion_augmentation import varied
from training.stages.random_streams import RandomStreams


def of_walks(wearer: Callable[..., Any], representation: HeadCentric | RootCentric) -> Tensor:
    """Four walks of 5 s at 16 poses a second."""
    walks = [wearer(5.0, seed) for seed in range(4)]
    encoded = [representation.encode(walk.positions[::15], walk.rotations[::15]) for walk in walks]
    return torch.from_numpy(np.stack(encoded)).float()


@pytest.fixture
def features(wearer: Callable[..., Any]) -> Tensor:
    return of_walks(wearer, HeadCentric())


def bones(features: Tensor) -> np.ndarray:
    positions = HeadCentric().decode_in_clip_frame(features).positions.double().numpy()
    return np.linalg.norm(positions[..., 1:, :] - positions[..., XSENS_PARENTS[1:], :], axis=-1)


def test_bones_keep_their_proportions_and_poses_change(features: Tensor) -> None:
    found = varied(features, HeadCentric(), 1.0, RandomStreams(0, 3, range(4)))
    ratio = bones(found) / bones(features)
    assert np.allclose(ratio, ratio[:, :1, :1], atol=1e-3)
    assert (ratio[:, 0, 0] != 1).all()
    assert (found - features).abs().amax((1, 2)).min() > 0.05


def test_displacements_are_those_of_the_new_positions(features: Tensor) -> None:
    found = varied(features, HeadCentric(), 1.0, RandomStreams(0, 3, range(4)))
    motion = HeadCentric().decode_in_clip_frame(found)
    again = HeadCentric().encode(motion.positions, motion.rotations)
    assert torch.allclose(again, found, atol=1e-4)


def test_the_share_is_varied_and_the_rest_left_alone(features: Tensor) -> None:
    many = features[:1].expand(64, -1, -1)
    touched = (varied(many, HeadCentric(), 0.25, RandomStreams(1, 0, range(64))) != many).any(-1).any(-1)
    assert 6 <= int(touched.sum()) <= 28  # of 64 at 0.25: within 3.5 standard deviations
    assert torch.equal(varied(many, HeadCentric(), 0.0, RandomStreams(1, 0, range(64))), many)


def test_a_clip_is_varied_alike_whatever_shares_its_batch(features: Tensor) -> None:
    together = varied(features, HeadCentric(), 0.7, RandomStreams(2, 5, range(4)))
    apart = torch.cat([varied(features[k : k + 1], HeadCentric(), 0.7, RandomStreams(2, 5, [k])) for k in range(4)])
    assert torch.allclose(together, apart, atol=1e-6)


def test_the_root_centric_representation_is_varied_too(wearer: Callable[..., Any]) -> None:
    root = of_walks(wearer, RootCentric())
    found = varied(root, RootCentric(), 1.0, RandomStreams(0, 0, range(4)))
    assert torch.isfinite(found).all()
    assert not torch.equal(found, root)
