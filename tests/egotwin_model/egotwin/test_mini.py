"""The model this repository ships: whole, small, equal under both runtimes, and following goals on the shipped bag."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("rosbags", reason="rosbags is not installed")

from benchmarks.rolling import start_of
from egotwin_model.diffusion.solvers import Solver
from egotwin_model.egotwin.pipeline import BodyState, EgoTwinPipeline, Imagination
from egotwin_model.io.files import read_json
from egotwin_model.motion.head_path import displacement, heading_change

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "models" / "egotwin-mini"


@pytest.fixture(scope="module")
def pipeline() -> EgoTwinPipeline:
    return EgoTwinPipeline.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def start(pipeline: EgoTwinPipeline) -> tuple[np.ndarray, BodyState]:
    """The shipped recording's last frame in the model's view, and the pose nearest to it."""
    return start_of(ROOT / "examples" / "bags" / "living_room.mcap", pipeline)


def imagine(
    pipeline: EgoTwinPipeline, start: tuple[np.ndarray, BodyState], goal: str, **options: object
) -> Imagination:
    return pipeline(goal, *start, seed=0, **options)  # type: ignore[arg-type]


def test_folder_is_small_and_tells_how_it_was_made_and_measured() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 60e6
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".onnx"}
    manifest = read_json(FOLDER / "manifest.json")
    assert {"clips", "stages", "metrics"} <= manifest.keys()
    assert manifest["clips"]["seed"] == 0
    assert manifest["metrics"]["starts"] == 40


@pytest.mark.parametrize(
    ("goal", "does"),
    [
        ("turn left", lambda heading, distance: heading > 30),
        ("turn right", lambda heading, distance: heading < -30),
        ("stand still", lambda heading, distance: distance < 0.2),
        ("walk forward", lambda heading, distance: distance > 1.0),
    ],
)
def test_the_body_does_what_the_goal_says(pipeline: EgoTwinPipeline, start: tuple, goal: str, does) -> None:  # type: ignore[type-arg, no-untyped-def]
    motion = imagine(pipeline, start, goal, mode="motion").motion
    heading = float(np.rad2deg(heading_change(motion.head_rotations[0])))
    assert does(heading, float(displacement(motion.head_positions[0]))), (heading, goal)


def every_network(pipeline: EgoTwinPipeline) -> list[torch.Tensor]:
    """Outputs of every network of the folder on seeded inputs, whole clips and single frames."""
    c, g, runtime = pipeline.config, torch.Generator().manual_seed(0), pipeline.runtime
    latent = (c.latent_channels, c.latent_height, c.latent_width)
    video = torch.randn(1, c.latent_frames, *latent, generator=g)
    motion = torch.randn(1, c.motion_channels, c.motion_length, generator=g)
    image, pose = torch.randn(1, *latent, generator=g), torch.randn(1, c.motion_channels, generator=g)
    pixels = torch.rand(1, 3, pipeline.info.num_frames, 64, 64, generator=g) * 2 - 1
    features = torch.randn(1, pipeline.info.num_poses, pipeline.statistics.dim, generator=g)
    step = (
        torch.as_tensor(pipeline.text_encoder.cached("turn left")),
        video,
        motion,
        torch.tensor([900]),
        torch.tensor([400]),
        image,
        pose,
    )
    with torch.inference_mode():
        outputs = [
            *runtime.denoise(*step, motion_only=False),
            runtime.denoise(*step, motion_only=True)[1],
            runtime.encode_video(pixels),
            runtime.encode_video(pixels[:, :, :1]),
            runtime.decode_video(video.transpose(1, 2)),
            runtime.encode_motion(features),
            runtime.encode_motion(features[:, :1]),
            runtime.decode_motion(motion),
        ]
    return [output for output in outputs if output is not None]


def test_both_runtimes_compute_the_same() -> None:
    """Within 1e-4 of the output's scale, on the shipped weights."""
    ours, theirs = (every_network(EgoTwinPipeline.from_pretrained(FOLDER, name)) for name in ("torch", "onnxruntime"))
    assert len(ours) == len(theirs) == 9
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).abs().max() < 1e-4 * max(1.0, float(a.abs().max()))


def test_a_prepared_runtime_has_all_that_an_imagination_needs(start: tuple[np.ndarray, BodyState]) -> None:
    pipeline = EgoTwinPipeline.from_pretrained(FOLDER, "onnxruntime")
    pipeline.runtime.prepare()
    made = dict(pipeline.runtime._sessions)
    imagine(pipeline, start, "turn left")
    assert pipeline.runtime._sessions == made


def test_a_dropped_pipeline_is_freed(start: tuple[np.ndarray, BodyState]) -> None:
    """Nothing global keeps a pipeline's networks or its text states once nobody uses it."""
    pipeline = EgoTwinPipeline.from_pretrained(FOLDER, "torch")
    imagine(pipeline, start, "turn left", mode="motion", num_steps=1)
    alive = [weakref.ref(part) for part in (pipeline, pipeline.text_encoder, pipeline.runtime, pipeline.codec)]
    del pipeline
    gc.collect()
    assert [part() for part in alive] == [None] * 4


def test_only_the_last_texts_are_kept_in_memory(pipeline: EgoTwinPipeline) -> None:
    encoder = pipeline.text_encoder
    wanted = encoder.cached("turn left")
    assert encoder.cached("turn left") is wanted
    for number in range(100):
        encoder.cached(f"walk {number} steps")
    assert len(encoder._recent) == 64
    assert encoder.cached("turn left") is not wanted
    assert (encoder.cached("turn left") == wanted).all()


def test_a_sample_is_the_same_however_many_and_on_whichever_runtime(start: tuple[np.ndarray, BodyState]) -> None:
    """Sample 1 of a seed, alone among two or three, with fresh noise at every step; torch and ONNX Runtime agree."""
    solver = Solver("dpm++2m", 0.5)

    def second(pipeline: EgoTwinPipeline, samples: int) -> Imagination:
        return pipeline("turn left", *start, seed=4, num_samples=samples, num_steps=3, solver=solver)

    graphs, modules = (EgoTwinPipeline.from_pretrained(FOLDER, name) for name in ("onnxruntime", "torch"))
    wanted = second(graphs, 2)
    for found in (second(graphs, 3), second(modules, 2)):
        assert np.abs(found.motion.positions[:2] - wanted.motion.positions).max() < 1e-3
        assert np.abs(found.frames[:2].astype(int) - wanted.frames).mean() < 0.1
    assert not np.array_equal(wanted.motion.positions[0], wanted.motion.positions[1])
