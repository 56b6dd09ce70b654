"""The skeleton against its own definition and against a joint-by-joint computation with scipy."""

import itertools
import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from egotwin_model.errors import PoseError
from egotwin_model.geometry.skeleton import (
    HEAD,
    NUM_JOINTS,
    REFERENCE_PELVIS_HEIGHT,
    XSENS,
    XSENS_JOINTS,
    XSENS_PARENTS,
    Skeleton,
    forward_kinematics,
    global_rotations,
    local_rotations,
    reference_offsets,
)


def test_tree_is_ordered_and_complete() -> None:
    assert len(XSENS_JOINTS) == len(set(XSENS_JOINTS)) == len(XSENS_PARENTS) == NUM_JOINTS == 23
    assert XSENS_PARENTS[0] == -1
    assert all(0 <= parent < joint for joint, parent in enumerate(XSENS_PARENTS) if joint)
    for side in ("R", "L"):
        for chain in (("Shoulder", "UpperArm", "Forearm", "Hand"), ("UpperLeg", "LowerLeg", "Foot", "Toe")):
            for above, below in itertools.pairwise(chain):
                parent = XSENS_PARENTS[XSENS_JOINTS.index(f"{side}_{below}")]
                assert XSENS_JOINTS[parent] == f"{side}_{above}"


def test_t_pose_is_mirrored_and_stands_on_the_floor() -> None:
    identity = np.broadcast_to(np.eye(3), (NUM_JOINTS, 3, 3))
    pose = forward_kinematics(np.array([0.0, 0.0, REFERENCE_PELVIS_HEIGHT]), identity, reference_offsets())
    for joint, name in enumerate(XSENS_JOINTS):
        if name.startswith("L_"):
            right = pose[XSENS_JOINTS.index("R_" + name[2:])]
            np.testing.assert_allclose(pose[joint] * (1, -1, 1), right, atol=1e-12)
            assert pose[joint, 1] > 0  # left is +y
    toes = pose[[XSENS_JOINTS.index("L_Toe"), XSENS_JOINTS.index("R_Toe")]]
    assert (toes[:, 0] > 0.1).all()  # toes point along +x
    assert (np.abs(toes[:, 2]) < 0.05).all()
    assert 1.4 < pose[HEAD, 2] < 1.6


def test_forward_kinematics_equals_the_chain_of_local_rotations() -> None:
    rng = np.random.default_rng(0)
    rotations = Rotation.random(2 * 5 * NUM_JOINTS, rng=rng).as_matrix().reshape(2, 5, NUM_JOINTS, 3, 3)
    pelvis = rng.normal(size=(2, 5, 3))
    offsets = reference_offsets()
    local = local_rotations(rotations)
    positions = forward_kinematics(pelvis, rotations, offsets)

    chain = np.tile(np.eye(4), (2, 5, NUM_JOINTS, 1, 1))
    for joint, parent in enumerate(XSENS_PARENTS):
        step = np.tile(np.eye(4), (2, 5, 1, 1))
        step[..., :3, :3] = local[..., joint, :, :]
        step[..., :3, 3] = pelvis if parent < 0 else offsets[joint]
        chain[..., joint, :, :] = step if parent < 0 else chain[..., parent, :, :] @ step
    np.testing.assert_allclose(positions, chain[..., :3, 3], atol=1e-12)
    np.testing.assert_allclose(rotations, chain[..., :3, :3], atol=1e-12)


def test_kinematics_of_joints_in_any_order_are_those_of_the_tree() -> None:
    """The Xsens body with its joints shuffled: children before parents, the root somewhere."""
    rng = np.random.default_rng(1)
    order = rng.permutation(NUM_JOINTS)
    place = {int(old): new for new, old in enumerate(order)} | {-1: -1}
    names, parents = [XSENS_JOINTS[i] for i in order], [place[XSENS_PARENTS[i]] for i in order]
    shuffled = Skeleton(tuple(names), tuple(parents), feet=XSENS.feet)
    rotations = Rotation.random(4 * NUM_JOINTS, rng=rng).as_matrix().reshape(4, NUM_JOINTS, 3, 3)
    root, offsets = rng.normal(size=(4, 3)), reference_offsets()
    found = forward_kinematics(root, rotations[:, order], offsets[order], shuffled)
    np.testing.assert_array_equal(found, forward_kinematics(root, rotations, offsets)[:, order])
    local = local_rotations(rotations[:, order], shuffled)
    np.testing.assert_allclose(local, local_rotations(rotations)[:, order], atol=1e-14)
    np.testing.assert_allclose(global_rotations(local, shuffled), rotations[:, order], atol=1e-13)
    assert [names[i] for i in shuffled.foot_indices] == list(XSENS.feet)
    assert names[shuffled.head_index] == "Head"
    assert names[shuffled.root_index] == "Pelvis"


def test_a_skeleton_travels_as_json() -> None:
    hands = Skeleton(("root", "palm", "finger"), (-1, 0, 1), head="palm", feet=("root",))
    for skeleton in (XSENS, hands):
        assert Skeleton.read(json.loads(json.dumps(skeleton.describe()))) == skeleton
    assert Skeleton.read({}) == XSENS


@pytest.mark.parametrize(
    ("description", "named"),
    [
        ({"joint_names": ["Head"]}, "parents"),
        ({"joint_names": ["Head"], "parents": [-1], "tail": 1}, "tail"),
        ({"joint_names": ["Head"], "parents": [-1], "feet": ["Paw"]}, r"\['Paw'\] to test for floor contact"),
        ({"joint_names": ["Head", "b"], "parents": [1, 0]}, "one root"),
    ],
)
def test_what_describes_no_skeleton_is_refused_by_name(description: dict[str, object], named: str) -> None:
    with pytest.raises(PoseError, match=named):
        Skeleton.read(description)
