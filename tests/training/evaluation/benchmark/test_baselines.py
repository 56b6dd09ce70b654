"""Baselines of geometry: the first frame moved by its depth along the true camera path."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ....shared_data import missing_extra

pytest.importorskip("tyro", reason=missing_extra("train"))

from training.evaluation.benchmark.baselines import baselines, turned, warped
from training.evaluation.benchmark.tasks import Benchmark

from ...evaluation_data import write_data

GEOMETRY = ("first frame warped and inpainted", "past warped and inpainted")


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return Benchmark(write_data(tmp_path_factory.mktemp("data"), {"test": 4}, size=64), 4)


def test_geometry_is_a_baseline_where_there_is_depth(benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not set(GEOMETRY) & baselines(benchmark).keys()
    benchmark = Benchmark(benchmark.data, 4)
    monkeypatch.setattr(benchmark, "arrays", {*benchmark.arrays, "first_depth"})
    assert set(GEOMETRY) <= baselines(benchmark).keys()


def test_a_far_wall_is_warped_as_it_is_turned(benchmark: Benchmark) -> None:
    number = next(n for n in benchmark.numbers if benchmark.record(n)["behaviour"] == "turn_left")
    clip = benchmark.clip(number)
    far = np.full(clip.frames.shape[1:3], 19.0, np.float16)
    clip = replace(clip, arrays={**clip.arrays, "first_depth": far})
    found, rotated = warped(clip, with_past=False).frames, turned(clip).frames
    assert found is not None
    assert rotated is not None
    np.testing.assert_array_equal(found[0], clip.frames[0])
    seen = slice(24, 60), slice(40, 62)  # what a turn to the left keeps in view
    difference = np.abs(found[8][seen].astype(int) - rotated[8][seen])
    assert difference.mean() < 6.0 < np.abs(clip.frames[0][seen].astype(int) - rotated[8][seen]).mean()


def test_the_past_is_used_only_where_it_may_be(benchmark: Benchmark) -> None:
    number = next(n for n in benchmark.numbers if benchmark.record(n)["behaviour"] == "turn_left")
    clip = benchmark.clip(number)
    assert clip.camera_pose is not None
    height, width = clip.frames.shape[1:3]
    far = np.full((height, width), 19.0, np.float16)
    past = {  # a grey wall, seen before where the clip ends
        "past_frames": np.full((1, height, width, 3), 200, np.uint8), "past_time": np.array([-1.0], np.float32),
        "past_depth": far[None], "past_camera_pose": clip.camera_pose[-1:],
    }  # fmt: skip
    clip = replace(clip, arrays={**clip.arrays, "first_depth": far, **past})
    with_past, without = (warped(clip, with_past=used).frames for used in (True, False))
    assert with_past is not None
    assert without is not None
    left = with_past[-1][:, :16].astype(int)
    assert (np.abs(left - 200) <= 1).all()
    assert (np.abs(without[-1][:, :16].astype(int) - 200) > 10).mean() > 0.5
