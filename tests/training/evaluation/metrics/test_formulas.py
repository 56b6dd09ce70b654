"""Each metric against a result had another way: closed form, SciPy, evo, or by hand."""

from __future__ import annotations

import warnings

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.spatial.transform import Rotation
from scipy.stats import binomtest

from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.skeleton import ANKLES, HEAD, TOES, XSENS_JOINTS, forward_kinematics, reference_offsets
from training.evaluation.benchmark.pooling import pool
from training.evaluation.errors import PredictionError
from training.evaluation.metrics.frechet import Gaussian, frechet_distance
from training.evaluation.metrics.hand_score import counts, f_score, hand_score, hands_in_view
from training.evaluation.metrics.head_motion import view_consistency
from training.evaluation.metrics.intervals import over_clips, over_repetitions, share_of_clips
from training.evaluation.metrics.path_errors import (
    JOINTS,
    best_of,
    displacement_errors,
    distances,
    inside_region,
)
from training.evaluation.metrics.physics import floor_penetration, foot_sliding, jerk, stance
from training.evaluation.metrics.psnr import COMMON_SIDE, averaged
from training.evaluation.metrics.retrieval import clip_similarity, diversity, mm_distance, r_precision
from training.evaluation.metrics.sharpness import laplacian_variance, ratio

from ....shared_data import missing_extra

seeds = st.integers(0, 2**32 - 1)


# Fréchet distance


@settings(max_examples=15)
@given(seeds)
def test_frechet_distance_is_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(6, 6))
    a, b = rng.normal(size=(50, 6)), rng.normal(size=(40, 6)) @ mix + rng.normal(size=6)
    ca, cb = np.cov(a.T), np.cov(b.T)
    wanted = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(ca + cb - 2 * np.real(sqrtm(ca @ cb)))
    assert frechet_distance(Gaussian.fit(a), Gaussian.fit(b)) == pytest.approx(wanted, rel=1e-6)


def test_frechet_distance_in_closed_form() -> None:
    """One dimension: (μ₁ − μ₂)² + (σ₁ − σ₂)²; and a shift of a set by v costs |v|²."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(2.0, 3.0, (500, 1)), rng.normal(-1.0, 0.5, (400, 1))
    wanted = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(Gaussian.fit(a), Gaussian.fit(b)) == pytest.approx(wanted, rel=1e-9)
    x, shift = rng.normal(size=(30, 4)), np.array([1.0, -2.0, 0.5, 3.0])
    moved = frechet_distance(Gaussian.fit(x), Gaussian.fit(x + shift))
    assert moved == pytest.approx(np.square(shift).sum(), abs=1e-9)
    assert frechet_distance(Gaussian.fit(x), Gaussian.fit(x)) == pytest.approx(0.0, abs=1e-9)


def test_frechet_distance_stays_exact_with_fewer_clips_than_dimensions() -> None:
    """Padding with dimensions that never vary changes nothing, though no covariance is invertible any more."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(5, 3)), rng.normal(size=(6, 3)) * 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wanted = frechet_distance(Gaussian.fit(a), Gaussian.fit(b))
    padded = [Gaussian.fit(np.pad(x, ((0, 0), (0, 200)), constant_values=7.0)) for x in (a, b)]
    with pytest.warns(UserWarning, match="5 features of 203 dimensions: biased upwards below 204"):
        assert frechet_distance(*padded) == pytest.approx(wanted, rel=1e-9)


def test_features_that_no_distance_can_be_had_of_are_refused() -> None:
    with pytest.raises(PredictionError, match="at least 2"):
        Gaussian.fit(np.zeros((1, 4)), "I-FID features")
    with pytest.raises(PredictionError, match="I-FID features hold NaN"):
        Gaussian.fit([[0.0, np.nan], [1.0, 2.0]], "I-FID features")
    with pytest.raises(PredictionError, match="4 and 3 dimensions"):
        frechet_distance(Gaussian.fit(np.eye(4)), Gaussian.fit(np.eye(3)))


# Text and motion


def test_r_precision_of_a_perfect_a_random_and_a_collapsed_space() -> None:
    rng = np.random.default_rng(0)
    texts = rng.normal(size=(320, 8))
    for k, share in r_precision(texts, texts + 1e-3 * rng.normal(size=texts.shape)).items():
        assert share == (1.0, 1.0, 1.0), k
    for k, share in r_precision(texts, rng.normal(size=texts.shape)).items():
        assert share.value == pytest.approx(k / 32, abs=0.02)
        assert share.low < share.value < share.high
    assert r_precision(texts, np.zeros_like(texts))[3].value == pytest.approx(3 / 32, abs=0.03)  # nearest to the origin
    assert r_precision(np.zeros_like(texts), texts)[3].value == 0.0


def test_r_precision_by_hand() -> None:
    """Motions on a line, each nearest to its right neighbour's text: rank 1 for all but the last."""
    places = np.arange(32.0)[:, None]
    shares = r_precision(places, places + 0.6)
    assert shares[1].value == pytest.approx(1 / 32)
    assert shares[2].value == 1.0
    assert shares[2].low == shares[2].high == 1.0
    with pytest.raises(PredictionError, match="31 clips"):
        r_precision(places[1:], places[1:])
    with pytest.raises(PredictionError, match="NaN"):
        r_precision(places, np.full_like(places, np.nan))


def test_mm_distance_and_diversity_by_hand() -> None:
    assert mm_distance([[0.0, 0], [1, 1]], [[3.0, 4], [1, 1]]).tolist() == [5.0, 0.0]
    two = diversity([[0.0, 0.0], [3.0, 4.0]])
    assert two == pytest.approx((5.0, 5.0, 5.0))
    normal = np.random.default_rng(0).normal(size=(4000, 1))  # E|x − y| of two normals: 2 / √π
    assert diversity(normal).value == pytest.approx(2 / np.sqrt(np.pi), abs=0.03)
    with pytest.raises(PredictionError, match="at least 2"):
        diversity([[1.0]])


def test_clip_similarity_by_hand() -> None:
    frames = np.array([[[2.0, 0.0], [0.0, 5.0]], [[1.0, 1.0], [-3.0, -3.0]]])
    texts = np.array([[7.0, 0.0], [0.0, 0.1]])
    np.testing.assert_allclose(clip_similarity(frames, texts), [50.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(clip_similarity(frames[:, 0], texts), [100.0, 100 / np.sqrt(2)])
    with pytest.raises(PredictionError, match="do not pair up"):
        clip_similarity(frames, texts[:1])


def test_one_batch_has_no_interval_worth_its_name() -> None:
    features = np.random.default_rng(0).normal(size=(64, 4))
    for count, warned in ((32, True), (63, True), (64, False)):
        parts = {"motion_features": features[:count], "motion_text": features[:count]}
        metrics, notes = pool(parts, {}, (8.0, 16.0))
        assert metrics["R-Precision top-1"].value == 1.0
        assert any("one batch" in note for note in notes) == warned


# Intervals


def test_intervals() -> None:
    found = over_repetitions([1.0, 2.0, 3.0, 4.0])
    half = 1.96 * np.std([1, 2, 3, 4], ddof=1) / 2
    assert found == pytest.approx((2.5, 2.5 - half, 2.5 + half), abs=1e-4)
    rng = np.random.default_rng(0)
    values = rng.normal(5.0, 2.0, 400)
    mean, low, high = over_clips([*values, np.nan])
    error = values.std(ddof=1) / 20
    assert mean == pytest.approx(values.mean())
    assert [mean - low, high - mean] == pytest.approx([1.96 * error] * 2, rel=0.08)
    assert all(np.isnan(over_clips([np.nan])))


def test_shares_have_wilsons_interval() -> None:
    for hits, clips in ((10, 10), (0, 7), (3, 12), (199, 200)):
        wanted = binomtest(hits, clips).proportion_ci(0.95, method="wilson")
        found = share_of_clips([*np.repeat([1.0, 0.0], [hits, clips - hits]), np.nan])
        assert found == pytest.approx((hits / clips, wanted.low, wanted.high))
    assert all(np.isnan(share_of_clips([np.nan])))


# Paths


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_view_consistency_is_evos(seed: int) -> None:
    """evo: both paths moved to start at the origin, scaled (its own Umeyama scale is ours where both start at 0)."""
    metrics = pytest.importorskip("evo.core.metrics", reason=missing_extra("dev"))
    from evo.core.trajectory import PosePath3D

    rng = np.random.default_rng(seed)

    def path() -> tuple[np.ndarray, np.ndarray]:
        turns = Rotation.from_rotvec(np.cumsum(rng.normal(size=(12, 3)) * 0.2, axis=0)).as_matrix()
        return turns, np.cumsum(rng.normal(size=(12, 3)) * 0.3, axis=0)

    (r_v, p_v), (r_m, p_m) = path(), path()
    p_v = 3.0 * (0.4 * (p_v - p_v[0]) + (p_m - p_m[0]) @ r_m[0] @ r_v[0].T)
    found = view_consistency(r_v, p_v, r_m, p_m)

    def poses(r: np.ndarray, p: np.ndarray) -> PosePath3D:
        T = np.tile(np.eye(4), (len(r), 1, 1))
        T[:, :3, :3], T[:, :3, 3] = r, p
        return PosePath3D(poses_se3=[np.linalg.inv(T[0]) @ each for each in T])

    estimate, reference = poses(r_v, p_v), poses(r_m, p_m)
    v, m = estimate.positions_xyz, reference.positions_xyz
    estimate.scale(max(0.0, np.linalg.lstsq(v.reshape(-1, 1), m.reshape(-1), rcond=None)[0][0]))
    for relation, name in (("translation_part", "TransErr"), ("rotation_angle_rad", "RotErr")):
        ape = metrics.APE(metrics.PoseRelation[relation])
        ape.process_data((reference, estimate))
        assert found[name] == pytest.approx(float(np.mean(ape.error[1:])), rel=1e-6), name


def test_displacement_errors_by_hand() -> None:
    truth = np.zeros((2, 81, 3))
    predicted = np.zeros((2, 81, 3))
    predicted[0, :, 0] = np.arange(81) / 16  # 1 m/s away
    predicted[1, 1:, 1] = 2.0
    errors = displacement_errors(distances(predicted, truth), 16.0)
    assert list(errors) == [f"{name}@{h}s" for h in (1, 2, 3, 5) for name in ("ADE", "FDE")]
    for horizon in (1, 2, 3, 5):
        np.testing.assert_allclose(errors[f"FDE@{horizon}s"], [horizon, 2.0])
        np.testing.assert_allclose(errors[f"ADE@{horizon}s"], [(horizon + 1 / 16) / 2, 2.0])  # mean of 1/16 ... horizon
    assert list(displacement_errors(np.zeros(17), 16.0)) == ["ADE@1s", "FDE@1s"]


def test_mpjpe_counts_joints_and_poses_alike_but_not_the_given_pose() -> None:
    truth = np.zeros((4, 23, 3))
    predicted = truth.copy()
    predicted[0] = 100.0
    predicted[2, 5] = [3.0, 0.0, 4.0]
    parts = {"joint_error": distances(predicted, truth).mean(axis=-1)[None, None]}
    assert JOINTS.pool(parts, {}, (8.0, 16.0))["MPJPE"].value == pytest.approx(5.0 / (3 * 23))
    assert best_of([[3.0, 1.0, 2.0], [5.0, 5.0, 4.0]]).tolist() == [1.0, 4.0]


@pytest.mark.parametrize("samples", [4, 20])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_an_honest_sampler_is_covered_as_often_as_it_says(samples: int, share: float) -> None:
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(2, 2))
    drawn = rng.normal(size=(4000, samples + 1, 2)) @ mix + rng.normal(size=(4000, 1, 2)) * 10
    covered = inside_region(drawn[:, 1:], drawn[:, 0], share).mean()
    assert covered == pytest.approx(share, abs=0.03)
    narrow = drawn[:, 1:].mean(1, keepdims=True) + 0.3 * (drawn[:, 1:] - drawn[:, 1:].mean(1, keepdims=True))
    assert inside_region(narrow, drawn[:, 0], share).mean() < share - 0.25


def test_calibration_needs_more_samples_than_dimensions() -> None:
    with pytest.raises(PredictionError, match="at least 3"):
        inside_region(np.zeros((2, 2)), np.zeros(2), 0.5)
    agreed = np.ones((5, 2))
    assert inside_region(agreed, np.ones(2), 0.5)
    assert not inside_region(agreed, np.zeros(2), 0.9)


# Physics


def standing(poses: int = 17) -> np.ndarray:
    body = forward_kinematics(np.array([0.0, 0.0, 0.93]), np.tile(np.eye(3), (23, 1, 1)), reference_offsets())
    return np.tile(body, (poses, 1, 1))


def test_sliding_counts_speed_at_the_floor_only() -> None:
    body = standing()
    floor = body[0, TOES[0], 2]
    assert foot_sliding(body, 16.0, floor) == 0.0
    gliding = body + np.arange(17)[:, None, None] * np.array([0.3, 0.4, 0.0]) / 16  # 0.5 m/s
    assert foot_sliding(gliding, 16.0, floor) == pytest.approx(0.5)
    assert foot_sliding(gliding, 16.0, floor - 0.015) == pytest.approx(0.5 * (2 - np.sqrt(2)))  # half of H above it
    assert foot_sliding(gliding, 16.0, floor - 0.03) == pytest.approx(0.0)
    one = body.copy()
    one[:, TOES[1]] = gliding[:, TOES[1]]
    assert foot_sliding(one, 16.0, floor) == pytest.approx(0.25)
    rising = body + np.arange(17)[:, None, None] * np.array([0.0, 0.0, 0.1])
    assert foot_sliding(rising, 16.0, floor) == 0.0
    bobbing = body + (np.arange(17) % 2 * 0.01)[:, None, None] * np.array([0.0, 0.0, 1.0])
    assert foot_sliding(bobbing, 16.0, floor) == 0.0


def test_feet_stand_where_toe_and_ankle_are_down() -> None:
    body = standing()
    toe, ankle = body[0, TOES[0], 2], body[0, ANKLES[0], 2]
    assert stance(body, 16.0, toe, ankle) == (0.0, 1.0)
    gliding = body + np.arange(17)[:, None, None] * np.array([0.3, 0.4, 0.0]) / 16  # 0.5 m/s
    sliding, share = stance(gliding, 16.0, toe, ankle)
    assert (sliding, share) == (pytest.approx(0.5), pytest.approx(1.0))
    tiptoe = gliding.copy()
    tiptoe[:, ANKLES[1], 2] += 0.1  # that foot swings, however low its toe is
    tiptoe[:, TOES[1], :2] += np.arange(17)[:, None] * 1.0
    sliding, share = stance(tiptoe, 16.0, toe, ankle)
    assert (sliding, share) == (pytest.approx(0.5), pytest.approx(0.5))
    half = gliding.copy()
    half[:, :, 2] += 0.015
    weight = (2 - np.sqrt(2)) ** 2
    sliding, share = stance(half, 16.0, toe, ankle)
    assert (sliding, share) == (pytest.approx(0.5), pytest.approx(weight))
    sliding, share = stance(np.stack([gliding, gliding + 0.1]), 16.0, toe, ankle)
    assert share[1] == 0.0
    assert np.isnan(sliding[1])
    assert sliding[0] == pytest.approx(0.5)


def test_penetration_and_jerk_by_hand() -> None:
    body = standing(4)
    body[1:, TOES[0], 2] = [-0.05, -0.04, 0.5]
    assert floor_penetration(body, 0.0) == pytest.approx((0.05 + 0.04) / 4)
    assert floor_penetration(np.stack([body, body]), np.array([0.0, 0.01])).shape == (2,)
    t = np.arange(12) / 16.0
    cubic = np.zeros((12, 23, 3))
    cubic[:, :, 0] = (2.0 * t**3 + t**2)[:, None]  # third derivative 12 m/s³, everywhere
    assert jerk(cubic, 16.0) == pytest.approx(12.0)
    assert jerk(cubic[..., ::-1], 16.0) == pytest.approx(12.0)


# Hands


def test_hands_are_in_view_where_the_camera_sees_them() -> None:
    camera, mount = Pinhole.from_fov(64, 64, np.pi / 2), Mount()
    positions, rotations = standing(5), np.tile(np.eye(3), (5, 23, 1, 1))
    head = positions[0, HEAD]
    forward = np.array([np.cos(np.deg2rad(15)), 0.0, -np.sin(np.deg2rad(15))])
    centre = head + mount.translation + 0.4 * forward  # on the optical axis
    left, right = XSENS_JOINTS.index("L_Hand"), XSENS_JOINTS.index("R_Hand")
    positions[1, left] = centre
    positions[2, right] = centre
    positions[3, left] = head - 0.4 * forward  # behind
    positions[4, right] = centre + np.array([0.0, -0.47, 0.0])  # beyond the edge
    wanted = [[False, False], [True, False], [False, True], [False, False], [False, False]]
    assert hands_in_view(positions, rotations, camera, mount).tolist() == wanted
    positions[0, left] = head + mount.translation + 0.02 * forward - np.array([0.0, 0.09, 0.0])  # against the lens
    assert not hands_in_view(positions, rotations, camera, mount)[0].any()
    rotations[4, right] = Rotation.from_euler("z", 180, degrees=True).as_matrix()  # fingers point inwards now
    assert hands_in_view(positions, rotations, camera, mount)[4].tolist() == [False, True]
    turn = Rotation.from_rotvec([0.3, -0.2, 1.0]).as_matrix()
    turned = hands_in_view(positions @ turn.T + 2.0, turn @ rotations, camera, mount)
    assert turned.tolist() == hands_in_view(positions, rotations, camera, mount).tolist()


def test_hand_score_by_hand() -> None:
    found = np.array([[1, 0], [1, 0], [0, 1], [0, 0]])
    wanted = np.array([[1, 0], [0, 0], [1, 1], [1, 0]])
    tally = counts(found, wanted)
    assert tally.tolist() == [[1, 1], [1, 0], [2, 0]]  # true, false, missed; left, right
    np.testing.assert_allclose(f_score(tally), [2 / 5, 1.0])
    assert hand_score(tally[None]).value == pytest.approx((2 / 5 + 1) / 2)
    other = counts(np.ones((4, 2)), np.ones((4, 2)))
    both = hand_score(np.stack([tally, other]))  # pooled: left 5, 1, 2; right 5, 0, 0
    assert both.value == pytest.approx((10 / 13 + 1) / 2)
    assert both.low < both.value < both.high
    with pytest.raises(PredictionError, match="neither seen nor expected"):
        hand_score(np.stack([counts(np.zeros((4, 2)), np.zeros((4, 2)))]))
    with pytest.raises(PredictionError, match="left and right"):
        counts(found, wanted[:3])


def test_sharpness_is_the_share_of_the_true_edges_that_is_left() -> None:
    rng = np.random.default_rng(3)
    true = rng.integers(0, 256, (9, 24, 24, 3), dtype=np.uint8)
    half = (true // 2 + 64).astype(np.uint8)  # half the contrast: a quarter of the variance
    blurred = np.stack([cv2.GaussianBlur(frame, (5, 5), 1.5) for frame in true])
    variances = [np.stack([laplacian_variance(frames), laplacian_variance(true)]) for frames in (true, half, blurred)]
    same, quarter, few = (float(ratio(each)) for each in variances)
    assert same == 1.0
    assert quarter == pytest.approx(0.25, rel=0.02)
    assert few < 0.05
    assert np.isnan(ratio(np.zeros((2, 4))))


def test_psnr_is_measured_on_frames_averaged_to_one_size() -> None:
    noise = np.random.default_rng(4).normal(0.0, 40.0, (4, 128, 128, 3)).astype(np.float32)
    small = averaged(noise)
    assert small.shape == (4, COMMON_SIDE, COMMON_SIDE, 3)
    blocks = noise.reshape(4, 64, 2, 64, 2, 3).mean((2, 4))
    np.testing.assert_allclose(small, blocks, atol=1e-4)
    fits = noise[:, :48, :48]
    assert averaged(fits) is fits
