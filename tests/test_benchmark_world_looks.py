"""The distances and statistics of `python -m benchmarks.world_looks`."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.world_looks import distances, statistics


def test_equal_distributions_have_no_distance_and_shifted_ones_their_own() -> None:
    rng = np.random.default_rng(0)
    first, same, other = (rng.standard_normal((n, 16)) + shift for n, shift in ((12, 0.0), (300, 0.0), (300, 1.0)))
    assert abs(distances(first, same)["energy"]) < 0.3
    assert distances(first, other)["energy"] > 1.5
    assert distances(first, first)["nearest"] == pytest.approx(0, abs=1e-6)
    assert distances(first, other)["nearest"] > distances(first, same)["nearest"]


def test_statistics_are_those_of_the_frames() -> None:
    grey = np.full((3, 8, 8, 3), 100, np.uint8)
    grey[1] = 130
    plain = statistics(grey)
    assert plain["grey"] == pytest.approx(110)
    assert plain["grey, std of frames"] == pytest.approx(np.std([100, 130, 100]), abs=1e-3)
    assert plain["contrast (std within)"] == plain["chroma"] == plain["gradient"] == 0
    halves = np.zeros((1, 8, 8, 3), np.uint8)
    halves[:, :, 4:, 0] = 240
    found = statistics(halves)
    assert found["chroma"] == pytest.approx(120)
    assert found["vivid pixels, %"] == pytest.approx(50)
    assert found["red − blue"] == pytest.approx(120)
    assert found["gradient"] == pytest.approx(80 / 7, abs=0.1)
