"""Metrics against cases computed by hand, invariances, and frames whose motion is known."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from egotwin_model.errors import ImageError, PoseError
from egotwin_model.geometry.rotations import rotation_angle
from egotwin_model.motion.head_path import displacement, heading, heading_change, travelled_distance
from training.evaluation.metrics.head_motion import constant_velocity, view_consistency
from training.evaluation.metrics.path_errors import displacement_errors, distances
from training.evaluation.metrics.view_shift import view_shift
from training.evaluation.metrics.view_turns import VIEW_TURNS

from ....shared_data import rendered_clips

ROOT = Path(__file__).parents[4]
seeds = st.integers(0, 2**32 - 1)


def yaw(angles: ArrayLike) -> np.ndarray:
    return Rotation.from_rotvec(np.asarray(angles)[:, None] * np.array([0.0, 0.0, 1.0])).as_matrix()


def random_path(seed: int, frames: int = 41) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    turns = np.cumsum(rng.normal(size=(frames, 3)) * 0.1, axis=0)
    return Rotation.from_rotvec(turns).as_matrix(), np.cumsum(rng.normal(size=(frames, 3)) * 0.1, axis=0)


@settings(deadline=None, max_examples=30)
@given(seeds, st.floats(0.05, 20.0))
def test_view_consistency_ignores_world_frame_and_scale(seed: int, scale: float) -> None:
    rotations, positions = random_path(seed)
    turn, shift = Rotation.random(rng=np.random.default_rng(seed)).as_matrix(), np.array([3.0, -2.0, 1.0])
    result = view_consistency(turn @ rotations, scale * (positions @ turn.T) + shift, rotations, positions)
    assert result["TransErr"] == pytest.approx(0.0, abs=1e-9)
    assert result["RotErr"] == pytest.approx(0.0, abs=1e-9)


def test_view_consistency_by_hand() -> None:
    head = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]])
    camera = np.array([[5.0, 5, 5], [5, 5, 5], [6, 6, 5]])  # relative: (0,0,0), (1,1,0); scale 2 / 2 = 1
    result = view_consistency(yaw([0, 0.2, 0.5]), camera, yaw([0, 0, 0.1]), head)
    assert result["TransErr"] == pytest.approx((1 + math.sqrt(2)) / 2)
    assert result["RotErr"] == pytest.approx((0.2 + 0.4) / 2)
    backwards = view_consistency(yaw([0, 0, 0]), -head, yaw([0, 0, 0]), head)  # no negative scale
    assert backwards["TransErr"] == pytest.approx(1.5)
    still = view_consistency(yaw([0, 0, 0]), np.zeros((3, 3)), yaw([0, 0, 0]), head)
    assert still["TransErr"] == pytest.approx(1.5)


def test_view_consistency_scale_is_the_best() -> None:
    (r_v, p_v), (r_m, p_m) = random_path(1), random_path(2)
    p_v = p_m + 0.3 * p_v
    best = view_consistency(r_v, p_v, r_m, p_m)
    relative_v, relative_m = (p_v - p_v[0]) @ r_v[0], (p_m - p_m[0]) @ r_m[0]

    def residual(s: float) -> float:
        return float(((s * relative_v - relative_m) ** 2).sum())

    scales = np.linspace(0, 3, 3001)
    s = scales[int(np.argmin([residual(x) for x in scales]))]
    assert best["TransErr"] == pytest.approx(np.linalg.norm(s * relative_v - relative_m, axis=1)[1:].mean(), abs=1e-3)


@settings(deadline=None)
@given(seeds)
def test_rotation_angle_is_scipys(seed: int) -> None:
    a, b = Rotation.random(5, rng=np.random.default_rng(seed)), Rotation.random(5, rng=np.random.default_rng(seed + 1))
    np.testing.assert_allclose(rotation_angle(a.as_matrix(), b.as_matrix()), (a * b.inv()).magnitude(), atol=1e-7)


def test_paths_that_do_not_belong_together_are_refused() -> None:
    rotations, positions = random_path(0)
    with pytest.raises(PoseError, match="every second pose"):
        view_consistency(rotations, positions, rotations[::2], positions[::2])
    with pytest.raises(PoseError, match="at least 2"):
        view_consistency(rotations[:1], positions[:1], rotations[:1], positions[:1])


@settings(deadline=None)
@given(st.floats(-12, 12), st.floats(-1.2, 1.2), st.floats(-3, 3))
def test_heading_counts_full_turns_and_ignores_pitch(total: float, pitch: float, start: float) -> None:
    angles = start + np.linspace(0, total, 81)
    rotations = yaw(angles) @ Rotation.from_euler("y", pitch).as_matrix()
    assert heading_change(rotations) == pytest.approx(total, abs=1e-9)
    assert heading(np.stack([rotations, rotations])).shape == (2, 81)


def test_distances_and_path_errors_by_hand() -> None:
    path = np.array([[0.0, 0, 1.5], [3, 4, 1.7], [0, 0, 1.5]])
    assert travelled_distance(path) == pytest.approx(10.0)
    assert displacement(path) == pytest.approx(0.0)
    straight = np.arange(6)[:, None] * np.array([0.5, 0.0, 0.0])
    np.testing.assert_allclose(constant_velocity(straight), straight)
    still = np.zeros_like(straight)
    at_one_second = displacement_errors(distances(still, straight), rate_hz=5.0, horizons_s=(1.0,))
    assert at_one_second == {"ADE@1s": pytest.approx(1.5), "FDE@1s": pytest.approx(2.5)}
    both = np.stack([straight, still])
    errors = displacement_errors(distances(both, straight), rate_hz=5.0, horizons_s=(1.0,))
    np.testing.assert_allclose([errors["ADE@1s"].mean(), errors["FDE@1s"].mean()], [0.75, 1.25])
    np.testing.assert_array_equal(distances(constant_velocity(both), both), 0.0)


def panorama(seed: int = 0) -> np.ndarray:
    """A 64 x 1600 wall of blurred coloured boxes."""
    rng = np.random.default_rng(seed)
    image = np.full((64, 1600, 3), 120, dtype=np.uint8)
    for x in range(0, 1600, 14):
        top, height, width = rng.integers(0, 50), rng.integers(8, 40), rng.integers(6, 24)
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        cv2.rectangle(image, (x, int(top)), (int(x + width), int(top + height)), colour, -1)
    return cv2.GaussianBlur(image, (0, 0), 1.2)


def crops(lefts: np.ndarray) -> np.ndarray:
    wall = panorama()
    centres = [cv2.getRectSubPix(wall, (64, 64), (float(left) + 31.5, 31.5)) for left in lefts]
    return np.stack(centres)


@pytest.mark.parametrize("step", [-18.0, -12.0, -5.5, -1.0, 0.0, 0.5, 3.0, 8.0, 12.0, 18.0])
def test_view_shift_measures_panning(step: float) -> None:
    frames = crops(800.0 + step * np.arange(12))  # the crop moves right, so its content moves left
    shifts = view_shift(frames)
    assert shifts.shape == (11,)
    np.testing.assert_allclose(np.median(shifts), -step, atol=0.5)
    assert (np.abs(shifts + step) < 1.5).mean() > (0.8 if abs(step) < 15 else 0.5)
    if abs(step) < 6:
        np.testing.assert_allclose(np.median(view_shift(frames[::2])), -2 * step, atol=1.0)
        assert view_shift(frames[::2]).shape == (5,)


def view_turns(frames: np.ndarray, rotations: np.ndarray, frame_rate: float = 8.0) -> dict[str, float]:
    """The report's values for clips (N, F, H, W, 3) and heads (N, F, 3, 3), or one of each."""
    if frames.ndim == 4:
        frames, rotations = frames[None], rotations[None]
    shifts = np.stack([view_shift(clip) for clip in frames])
    parts = {"view_shift": shifts, "head_turn": np.diff(heading(rotations), axis=-1)}
    return {name: found.value for name, found in VIEW_TURNS.pool(parts, {}, (frame_rate, 2 * frame_rate)).items()}


def test_correlation_is_positive_for_a_view_that_turns_with_the_head() -> None:
    turns = np.cumsum(np.random.default_rng(0).uniform(-0.2, 0.2, size=60) + 0.03)  # left: positive, content goes right
    assert turns[-1] - turns[0] > np.deg2rad(30)
    frames = crops(800.0 - 32.0 * turns)
    each, half, side = (
        "view turns with the head", "view turns with the head, over half seconds", "view turns to the head's side",
    )  # fmt: skip
    found = view_turns(frames, yaw(turns))
    assert found[each] > 0.97
    assert view_turns(frames, yaw(-turns))[each] < -0.97
    both = view_turns(np.stack([frames, frames]), np.stack([yaw(turns), yaw(turns)]))
    assert both == pytest.approx(found)
    assert view_turns(frames, yaw(turns), frame_rate=4.0)[half] > 0.97
    assert found[side] == 1.0
    assert view_turns(np.stack([frames, frames]), np.stack([yaw(turns), yaw(-turns)]))[side] == 0.5
    assert math.isnan(view_turns(frames[:6], yaw(turns[:6]))[side])  # less than 30 degrees have no side
    assert abs(view_turns(frames, yaw(np.random.default_rng(9).permutation(turns)))[each]) < 0.5
    assert math.isnan(view_turns(np.repeat(frames[:1], 5, axis=0), yaw(turns[:5]))[each])


def test_frames_that_are_none_are_refused() -> None:
    with pytest.raises(ImageError, match="float64"):
        view_shift(np.zeros((5, 64, 64, 3)))  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="at least 2"):
        view_shift(np.zeros((1, 64, 64, 3), dtype=np.uint8))


def test_rendered_clips_turn_with_their_head() -> None:
    """The metric itself on true clips, where it must be high."""
    folder = rendered_clips("val")
    from training.datasets.clips.dataset import open_clips

    clips = open_clips(folder)
    chosen = range(min(len(clips), 64))
    frames = np.stack([clips.tensor("frames", i) for i in chosen])
    rotations = np.stack([clips.tensor("rotations", i)[::2, 6] for i in chosen])
    correlation = view_turns(frames, rotations)["view turns with the head"]
    print(f"view shift against own yaw, {len(frames)} true clips: correlation {correlation:.3f}")
    assert correlation >= 0.95
