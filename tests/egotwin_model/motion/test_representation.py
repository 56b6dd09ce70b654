"""Motion representations: hand-computed features, round trips, invariances, and scipy as a second opinion."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from egotwin_model.errors import ModelError, PoseError
from egotwin_model.geometry.rotations import matrix_from_quaternion
from egotwin_model.geometry.skeleton import (
    HEAD,
    NUM_JOINTS,
    XSENS_JOINTS,
    XSENS_PARENTS,
    forward_kinematics,
    reference_offsets,
)
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.representation_kinds import read_representation
from egotwin_model.motion.root_centric import RootCentric
from egotwin_model.motion.rotation_6d import matrix_from_6d, matrix_to_6d
from egotwin_model.motion.statistics import MotionStatistics

from ...skeletons import smpl_h

seeds = st.integers(0, 2**32 - 1)
OTHERS = [joint for joint in range(NUM_JOINTS) if joint != HEAD]


def random_motion(seed: int, frames: int = 9, batch: tuple[int, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    """A body whose joints all turn and whose pelvis walks: positions (..., T, 23, 3), rotations (..., T, 23, 3, 3)."""
    rng = np.random.default_rng(seed)
    start = rng.normal(size=(*batch, 1, NUM_JOINTS, 3)) * 0.5
    turns = start + np.cumsum(rng.normal(size=(*batch, frames, NUM_JOINTS, 3)) * 0.1, axis=-3)
    rotations = Rotation.from_rotvec(turns.reshape(-1, 3)).as_matrix().reshape(*turns.shape, 3)
    pelvis = rng.uniform(-3, 3, size=(*batch, 1, 3)) + np.cumsum(rng.normal(size=(*batch, frames, 3)) * 0.05, axis=-2)
    return forward_kinematics(pelvis, rotations, reference_offsets()), rotations


def random_frame(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return Rotation.random(rng=rng).as_matrix(), rng.uniform(-20, 20, size=3)


def moved(
    positions: np.ndarray, rotations: np.ndarray, turn: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    return positions @ turn.T + shift, turn @ rotations


@given(seeds)
def test_6d_and_quaternions_agree_with_scipy(seed: int) -> None:
    reference = Rotation.random(7, rng=np.random.default_rng(seed))
    matrices = reference.as_matrix()
    vectors = matrix_to_6d(torch.from_numpy(matrices))
    np.testing.assert_allclose(vectors, np.concatenate([matrices[:, :, 0], matrices[:, :, 1]], axis=-1), atol=1e-12)
    np.testing.assert_allclose(matrix_from_6d(vectors), matrices, atol=1e-12)
    np.testing.assert_allclose(matrix_from_quaternion(reference.as_quat()), matrices, atol=1e-12)


@given(seeds)
def test_6d_decodes_any_vector_to_a_rotation(seed: int) -> None:
    vectors = torch.from_numpy(np.random.default_rng(seed).normal(size=(5, 6)))
    matrices = matrix_from_6d(vectors)
    np.testing.assert_allclose(matrices @ matrices.mT, np.tile(np.eye(3), (5, 1, 1)), atol=1e-9)
    np.testing.assert_allclose(torch.linalg.det(matrices), 1.0, atol=1e-9)


def test_layout_is_the_papers() -> None:
    head = HeadCentric()
    assert head.dim == 288
    ends = {"h_r": 6, "h_dr": 12, "h_p": 15, "h_dp": 18, "j_p": 84, "j_v": 150, "j_r": 288}
    assert {name: part.stop for name, part in head.slices.items()} == ends
    covered = [i for parts in head.groups.values() for part in parts for i in range(part.start, part.stop)]
    assert sorted(covered) == list(range(288))
    root = RootCentric()
    assert root.dim == 4 + 3 * 22 + 6 * 22 + 3 * 23 + 4
    assert root.slices["contacts"] == slice(271, 275)


def test_hand_computed_velocities() -> None:
    """A body facing +y (head turned 90 degrees left) walks 0.1 m along y and raises one hand by 0.2 m."""
    left_turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    rotations = np.tile(left_turn, (2, NUM_JOINTS, 1, 1))
    positions = forward_kinematics(np.array([[5.0, 6.0, 0.9], [5.0, 6.1, 0.9]]), rotations, reference_offsets())
    hand = XSENS_JOINTS.index("R_Hand")
    positions[1, hand, 2] += 0.2
    rotations[1, HEAD] = left_turn @ left_turn  # then looks further left: velocities stay in the *previous* head frame
    representation = HeadCentric()
    features = representation.encode(positions, rotations)
    part = {name: features[:, place] for name, place in representation.slices.items()}

    np.testing.assert_array_equal(part["h_dp"][0], 0.0)
    np.testing.assert_array_equal(part["j_v"][0], 0.0)
    np.testing.assert_array_equal(part["h_dr"][0], [1, 0, 0, 0, 1, 0])
    np.testing.assert_allclose(part["h_r"][0], [1, 0, 0, 0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(part["h_p"][0], 0.0, atol=1e-12)

    np.testing.assert_allclose(part["h_dp"][1], [0.1, 0, 0], atol=1e-12)  # forward, in its own frame
    np.testing.assert_allclose(part["h_p"][1], [0.1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(part["h_dr"][1], [0, 1, 0, -1, 0, 0], atol=1e-12)  # x axis now along y, y along -x
    velocity = part["j_v"][1].reshape(-1, 3)
    expected = np.tile([0.1, 0.0, 0.0], (22, 1))
    expected[OTHERS.index(hand)] = [0.1, 0.0, 0.2]
    np.testing.assert_allclose(velocity, expected, atol=1e-12)
    # The pelvis is 0.615 m below the head; after the head's turn its frame is turned, "below" is not.
    np.testing.assert_allclose(part["j_p"].reshape(2, 22, 3)[:, 0], [[0, 0, -0.615]] * 2, atol=1e-12)
    np.testing.assert_allclose(part["j_r"][0, :6], [1, 0, 0, 0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(part["j_r"][1, :6], [0, -1, 0, 1, 0, 0], atol=1e-12)  # pelvis 90 degrees right of it


@settings(deadline=None, max_examples=25)
@given(seeds, st.integers(1, 12))
def test_head_centric_round_trip(seed: int, frames: int) -> None:
    positions, rotations = random_motion(seed, frames, batch=(2,))
    representation = HeadCentric()
    features = representation.encode(positions, rotations)
    motion = representation.decode(features)
    np.testing.assert_allclose(representation.encode(motion.positions, motion.rotations), features, atol=1e-9)

    first_r, first_p = rotations[:, 0, HEAD], positions[:, 0, HEAD]
    in_clip = np.einsum("bki,btjk->btji", first_r, positions - first_p[:, None, None])
    np.testing.assert_allclose(motion.positions, in_clip, atol=1e-9)
    np.testing.assert_allclose(motion.rotations, np.einsum("bki,btjkl->btjil", first_r, rotations), atol=1e-9)
    back = motion.transformed(first_r, first_p)
    np.testing.assert_allclose(back.positions, positions, atol=1e-9)
    np.testing.assert_allclose(back.rotations, rotations, atol=1e-9)
    np.testing.assert_allclose(back.head_positions, positions[:, :, HEAD], atol=1e-9)
    np.testing.assert_allclose(back.head_rotations, rotations[:, :, HEAD], atol=1e-9)


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_root_centric_round_trip(seed: int) -> None:
    positions, rotations = random_motion(seed, 12, batch=(2,))
    representation = RootCentric()
    features = representation.encode(positions, rotations)
    motion = representation.decode(features)
    again = representation.encode(motion.positions, motion.rotations)
    np.testing.assert_allclose(again, features, atol=1e-9)

    clip = representation.decode_in_clip_frame(features)
    truth = HeadCentric().decode_in_clip_frame(HeadCentric().encode(positions, rotations))
    np.testing.assert_allclose(clip.positions, truth.positions, atol=1e-9)
    np.testing.assert_allclose(clip.rotations[..., 1:, :, :], truth.rotations[..., 1:, :, :], atol=1e-9)
    np.testing.assert_allclose(clip.head_positions, truth.head_positions, atol=1e-9)
    np.testing.assert_allclose(clip.head_rotations, truth.head_rotations, atol=1e-9)


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_head_centric_does_not_depend_on_the_world_frame(seed: int) -> None:
    positions, rotations = random_motion(seed)
    representation = HeadCentric()
    elsewhere = representation.encode(*moved(positions, rotations, *random_frame(seed + 1)))
    np.testing.assert_allclose(elsewhere, representation.encode(positions, rotations), atol=1e-9)


@settings(deadline=None, max_examples=25)
@given(seeds, st.floats(-3.1, 3.1))
def test_root_centric_does_not_depend_on_place_and_heading(seed: int, yaw: float) -> None:
    positions, rotations = random_motion(seed)
    turn = Rotation.from_euler("z", yaw).as_matrix()
    elsewhere = RootCentric().encode(*moved(positions, rotations, turn, np.array([4.0, -7.0, 0.0])))
    np.testing.assert_allclose(elsewhere, RootCentric().encode(positions, rotations), atol=1e-9)


@pytest.mark.parametrize("representation", [HeadCentric(), RootCentric()], ids=["head", "root"])
def test_kind_and_precision_are_kept(representation: HeadCentric | RootCentric) -> None:
    positions, rotations = random_motion(3, 81)
    reference = representation.encode(positions, rotations)
    assert isinstance(reference, np.ndarray)
    assert reference.dtype == np.float64
    far = positions + np.array([200.0, -300.0, 0.0])
    single = representation.encode(far.astype(np.float32), rotations.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, reference, atol=2e-4)  # float32 resolves 3e-5 m at 300 m
    near = representation.encode(positions.astype(np.float32), rotations.astype(np.float32))
    motion = representation.decode(near)
    assert motion.positions.dtype == motion.head_rotations.dtype == np.float32
    np.testing.assert_allclose(representation.encode(motion.positions, motion.rotations), near, atol=1e-5)

    tensor = torch.from_numpy(positions).requires_grad_()
    features = representation.encode(tensor, torch.from_numpy(rotations))
    assert isinstance(features, torch.Tensor)
    representation.decode(features).positions.square().sum().backward()
    assert tensor.grad is not None
    assert torch.isfinite(tensor.grad).all()


def test_contacts_are_where_feet_rest() -> None:
    rotations = np.tile(np.eye(3), (4, NUM_JOINTS, 1, 1))
    positions = forward_kinematics(np.tile([0.0, 0.0, 0.93], (4, 1)), rotations, reference_offsets())
    left_leg = [XSENS_JOINTS.index(name) for name in ("L_Foot", "L_Toe")]
    positions[:, left_leg, 0] += np.array([0.0, 0.1, 0.2, 0.2])[:, None]
    contacts = RootCentric().encode(positions, rotations)[:, RootCentric().slices["contacts"]]
    np.testing.assert_array_equal(contacts, [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1]])


@settings(deadline=None, max_examples=10)
@given(seeds, st.booleans())
def test_a_body_of_52_joints_with_fingers_round_trips(seed: int, shuffled: bool) -> None:
    """The 52 joints in SMPL-H's order, and in any other (a joint may come before its parent)."""
    names, parents = smpl_h()
    rng = np.random.default_rng(seed)
    if shuffled:
        order = rng.permutation(52)
        place = {int(old): new for new, old in enumerate(order)} | {-1: -1}
        names, parents = tuple(names[i] for i in order), tuple(place[parents[i]] for i in order)
    representation = HeadCentric(names, parents, head="head")
    rotations = Rotation.random(6 * 52, rng=rng).as_matrix().reshape(6, 52, 3, 3)
    positions = rng.normal(size=(6, 52, 3))
    features = representation.encode(positions, rotations)
    assert features.shape == (6, 18 + 2 * 51 * 3 + 52 * 6)
    head = names.index("head")
    back = representation.decode(features).transformed(rotations[0, head], positions[0, head])
    np.testing.assert_allclose(back.positions, positions, atol=1e-9)
    np.testing.assert_allclose(back.rotations, rotations, atol=1e-9)
    finger = names.index("left_pinky3")
    local = rotations[:, parents[finger]].mT @ rotations[:, finger]
    j_r = features[:, representation.slices["j_r"]].reshape(6, 52, 6)[:, finger]
    np.testing.assert_allclose(j_r, np.concatenate([local[..., 0], local[..., 1]], axis=-1), atol=1e-9)

    root = RootCentric(names, parents, "head", feet=("left_ankle", "left_foot", "right_ankle", "right_foot"))
    features = root.encode(positions, rotations)
    assert features.shape == (6, 4 + 51 * 3 + 51 * 6 + 52 * 3 + 4)
    motion = root.decode(features)
    np.testing.assert_allclose(root.encode(motion.positions, motion.rotations), features, atol=1e-9)


@pytest.mark.parametrize("representation", [HeadCentric(), RootCentric(), HeadCentric(*smpl_h(), head="head")])
def test_a_representation_travels_as_json(representation: HeadCentric | RootCentric) -> None:
    assert read_representation(json.loads(json.dumps(representation.describe()))) == representation
    assert read_representation({"kind": "head-centric"}) == HeadCentric()


@pytest.mark.parametrize(
    ("skeleton", "named"),
    [
        ({"joint_names": ("a", "b")}, "2 joint names.*23 parents"),
        ({"joint_names": ("Head", "Head"), "parents": (-1, 0)}, "no name twice"),
        ({"head": "Skull"}, "'Skull'"),
        ({"joint_names": ("Head", "b"), "parents": (-1, -1)}, "one root"),
        ({"joint_names": ("Head", "b"), "parents": (-1, 2)}, "below 2"),
        ({"joint_names": ("Head", "b", "c"), "parents": (-1, 2, 1)}, r"\['b', 'c'\] are their own ancestors"),
    ],
)
def test_impossible_skeletons_are_refused_by_name(skeleton: dict[str, object], named: str) -> None:
    with pytest.raises(PoseError, match=named):
        HeadCentric(**skeleton)  # type: ignore[arg-type]


def test_unknown_representations_and_feet_are_refused_by_name() -> None:
    with pytest.raises(ModelError, match=r"'hand-centric'.*root-centric"):
        read_representation({"kind": "hand-centric"})
    with pytest.raises(ModelError, match="fingers"):
        read_representation({"kind": "head-centric", "fingers": 10})
    with pytest.raises(PoseError, match=r"L_Foot.*feet="):
        RootCentric(*smpl_h(), head="head")


def test_root_centric_groups_hold_every_feature_once() -> None:
    covered = [i for parts in RootCentric().groups.values() for part in parts for i in range(part.start, part.stop)]
    assert sorted(covered) == list(range(275))


def test_local_rotations_are_scipys() -> None:
    _, rotations = random_motion(5, 4)
    features = HeadCentric().encode(np.zeros((4, NUM_JOINTS, 3)), rotations)
    local = matrix_from_6d(torch.from_numpy(features[:, HeadCentric().slices["j_r"]]).unflatten(-1, (-1, 6))).numpy()
    for joint, parent in enumerate(XSENS_PARENTS):
        above = Rotation.from_matrix(rotations[:, HEAD if parent < 0 else parent])
        expected = above.inv() * Rotation.from_matrix(rotations[:, joint])
        np.testing.assert_allclose(local[:, joint], expected.as_matrix(), atol=1e-9)


def test_wrong_shapes_are_refused_by_name() -> None:
    positions, rotations = random_motion(0)
    with pytest.raises(PoseError, match="23 joints"):
        HeadCentric().encode(positions[:, :22], rotations[:, :22])
    with pytest.raises(PoseError, match="wanted"):
        HeadCentric().encode(positions, rotations[:-1])
    with pytest.raises(PoseError, match="288"):
        HeadCentric().decode(np.zeros((9, 275)))


def test_statistics_standardise_and_travel() -> None:
    features = torch.from_numpy(HeadCentric().encode(*random_motion(1, 20, batch=(30,)))).float()
    slices = HeadCentric().slices
    statistics = MotionStatistics.fit(features, slices)
    in_parts = MotionStatistics.fit((features[i : i + 7] for i in range(0, 30, 7)), slices)
    torch.testing.assert_close(statistics.mean, in_parts.mean)
    torch.testing.assert_close(statistics.std, in_parts.std)

    flat = features.double().flatten(0, 1)
    torch.testing.assert_close(statistics.mean, flat.mean(0).float())
    for part in slices.values():
        torch.testing.assert_close(
            statistics.std[part], flat[:, part].std(0, correction=0).mean().float().expand(part.stop - part.start)
        )
    standard = statistics.normalise(features)
    torch.testing.assert_close(standard.flatten(0, 1).mean(0), torch.zeros(288), atol=1e-4, rtol=0)
    torch.testing.assert_close(statistics.denormalise(standard), features, atol=1e-5, rtol=0)
    restored = MotionStatistics.from_tensors(statistics.to_tensors())
    torch.testing.assert_close(restored.normalise(features), standard, atol=0, rtol=0)


def test_statistics_that_do_not_fit_are_refused() -> None:
    statistics = MotionStatistics.fit(torch.randn(50, 288), HeadCentric().slices)
    with pytest.raises(ModelError, match="275"):
        statistics.normalise(torch.zeros(3, 275))
    with pytest.raises(ModelError, match="lack std"):
        MotionStatistics.from_tensors({"mean": torch.zeros(288)})
    with pytest.raises(ModelError, match="above zero"):
        MotionStatistics(torch.zeros(3), torch.zeros(3))


@pytest.mark.parametrize("representation", [HeadCentric(), RootCentric()], ids=["head", "root"])
def test_numpy_and_torch_compute_the_same(representation: HeadCentric | RootCentric) -> None:
    positions, rotations = random_motion(9, 21, batch=(2,))
    features = representation.encode(positions, rotations)
    tensors = representation.encode(torch.from_numpy(positions), torch.from_numpy(rotations))
    np.testing.assert_allclose(features, tensors.numpy(), atol=1e-12)
    noisy = features + np.random.default_rng(0).normal(size=features.shape) * 0.1  # as a network's
    ours, theirs = (representation.decode_in_clip_frame(x) for x in (noisy, torch.from_numpy(noisy)))
    for name, found in vars(ours).items():
        np.testing.assert_allclose(found, getattr(theirs, name).numpy(), atol=1e-10)
    for statistics in (
        MotionStatistics.fit(features, representation.slices),
        MotionStatistics.fit(tensors, representation.slices),
    ):
        np.testing.assert_allclose(statistics.normalise(features), statistics.normalise(tensors).numpy(), atol=1e-12)
