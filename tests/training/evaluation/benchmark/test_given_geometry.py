"""What of a scene's geometry a model is given for its predictions, and that the predictions say so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ....shared_data import missing_extra

pytest.importorskip("tyro", reason=missing_extra("train"))

from egotwin_model.diffusion.sampler import Guidance
from egotwin_model.egotwin.pipeline import EgoTwinPipeline, SamplingDefaults
from training.evaluation.benchmark.imagining import imagined, write_imaginations
from training.evaluation.benchmark.predictions import read_info
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.errors import PredictionError
from training.evaluation.metrics.predicted_clip import RealClip
from training.export.command import export, random_networks

from ...evaluation_data import write_data

DEFAULTS = SamplingDefaults(num_steps=1, guidance=Guidance(1.0, 1.0, 1.0))


def model(folder: Path, name: str) -> EgoTwinPipeline:
    networks = random_networks(name)
    return EgoTwinPipeline.from_pretrained(
        export(networks, folder, "m", DEFAULTS, {"clips": {}}, graphs=False), "torch"
    )


@pytest.fixture(scope="module")
def geometric(tmp_path_factory: pytest.TempPathFactory) -> EgoTwinPipeline:
    return model(tmp_path_factory.mktemp("models") / "geometry", "smoke/geometry")


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory, geometric: EgoTwinPipeline) -> Benchmark:
    size = geometric.info.camera.width
    return Benchmark(write_data(tmp_path_factory.mktemp("data"), {"test": 2}, size=size), 1)


@pytest.fixture
def clip(benchmark: Benchmark) -> RealClip:
    found = benchmark.clip(benchmark.numbers[0])
    depth = np.full(found.frames.shape[1:3], 2.5, np.float16)
    return replace(found, arrays={**found.arrays, "first_depth": depth})


def test_each_geometry_is_imagined_with(geometric: EgoTwinPipeline, clip: RealClip) -> None:
    found = {name: imagined(geometric, clip, "joint", geometry=name).frames for name in ("none", "depth", "past")}
    for frames in found.values():
        assert frames is not None
        assert frames.shape == clip.frames.shape
    assert not np.array_equal(found["none"], found["depth"])  # type: ignore[arg-type]
    np.testing.assert_array_equal(found["depth"], found["past"])  # this clip has no past


def test_a_prediction_says_what_it_was_given(geometric: EgoTwinPipeline, benchmark: Benchmark, tmp_path: Path) -> None:
    folder = write_imaginations(geometric, benchmark, "joint", tmp_path / "none", geometry="none")
    assert read_info(folder).name == "m (joint, none)"
    assert read_info(folder).told == ""
    with pytest.raises(PredictionError, match="egotwin data world --keyframe-depth"):
        write_imaginations(geometric, benchmark, "joint", tmp_path / "depth", geometry="depth")
    assert "first frame's depth" in read_info(tmp_path / "depth").told


def test_a_model_without_use_for_geometry_is_given_none(tmp_path: Path, clip: RealClip) -> None:
    with pytest.raises(PredictionError, match="leave --geometry out"):
        imagined(model(tmp_path / "smoke", "smoke"), clip, "joint", geometry="depth")
