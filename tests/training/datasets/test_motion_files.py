"""Motion files of many kinds: one motion comes out of all of them; what is no standing person is refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.skeleton import HEAD

from ...shared_data import SHARED, missing_extra, needs_shared

pytest.importorskip("pybvh", reason=missing_extra("world"))

from training.datasets.mocap.captured_motion import JOINT, CapturedMotion
from training.datasets.mocap.formats import read
from training.datasets.mocap.retarget import retarget
from training.datasets.mocap.standing_feet import sole_points

from .bvh_families import FAMILIES, NAMES, Family, Walk, along_x, bvh_text, walk

T_POSE = FAMILIES["cmu"]


def retargeted(folder: Path, text: str) -> CapturedMotion:
    path = folder / "motion.bvh"
    path.write_text(text)
    return retarget(read(path))


def turned(motion: Walk, rotation: Rotation, keep_path: bool = False) -> Walk:
    """The motion with the whole world rotated; with `keep_path`, the body alone."""
    matrix = rotation.as_matrix()
    root = motion.root if keep_path else motion.root @ matrix.T
    return Walk(matrix @ motion.rotations, root)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_one_motion_comes_out_of_files_of_every_family(family: Family, tmp_path: Path) -> None:
    wanted = retargeted(tmp_path, bvh_text(T_POSE, walk()))
    found = retargeted(tmp_path, bvh_text(family, walk()))
    error = np.linalg.norm(found.positions() - wanted.positions(), axis=-1).max()
    turns = Rotation.from_matrix((found.rotations.swapaxes(-1, -2) @ wanted.rotations).reshape(-1, 3, 3)).magnitude()
    print(f"positions {error * 100:.2f} cm, rotations {np.degrees(turns.max()):.2f} degrees")
    assert error < (0.02 if family.rest is along_x or family.noise else 1e-3)
    assert np.degrees(turns.max()) < (4.0 if family.rest is along_x or family.noise else 0.1)
    assert 1.4 < found.positions()[:, HEAD, 2].min() < found.positions()[:, HEAD, 2].max() < 1.6
    assert sole_points(found)[..., 2].min() == pytest.approx(0, abs=0.03)
    step = found.pelvis[12] - found.pelvis[0]
    assert np.degrees(np.arctan2(step[1], step[0])) == pytest.approx(0, abs=10)  # it walks ahead at first
    assert np.linalg.norm(found.pelvis[-1] - found.pelvis[0]) > 1.5


def test_the_body_has_the_sources_directions_and_lengths(tmp_path: Path) -> None:
    motion = walk()
    found = retargeted(tmp_path, bvh_text(FAMILIES["lafan1"], motion)).positions()
    shin = found[:, JOINT["L_Foot"]] - found[:, JOINT["L_LowerLeg"]]
    assert np.linalg.norm(shin, axis=1) == pytest.approx(0.42, abs=0.005)
    forearm = found[:, JOINT["R_Hand"]] - found[:, JOINT["R_Forearm"]]
    down = motion.rotations[:, NAMES.index("RightForeArm")] @ [-25.0, 0.0, 0.0]
    when = np.minimum(np.rint(np.arange(len(found)) / 48 * 60).astype(int), len(down) - 1)
    wanted = down[when][:, [2, 0, 1]] / 100  # z ahead, x left, y up
    np.testing.assert_allclose(forearm, wanted, atol=0.03)


REAL = SHARED / "data/cmu_bvh"


@needs_shared("data/cmu_bvh")
@pytest.mark.parametrize("name", ["walking_1b", "walking_other_21", "jumping_3"])
def test_real_motion_over_an_arbitrary_rest_pose(name: str) -> None:
    """Real recordings, as if every bone had a random orientation at rest, against the same from their T-pose."""
    source = read(REAL / f"{name}.bvh")
    rest = Rotation.random(len(source.joints), random_state=1).as_matrix()
    above = rest[np.maximum(source.parents, 0)].swapaxes(-1, -2)
    turned_rest = replace(
        source,
        offsets=np.einsum("jab,jb->ja", above, source.offsets),
        tips=np.einsum("jba,jb->ja", rest, source.tips),
        rotations=source.rotations @ rest,
    )
    np.testing.assert_allclose(turned_rest.positions(), source.positions(), atol=1e-9)
    wanted, found = retarget(source), retarget(turned_rest)
    one, two = (motion.positions() - motion.positions()[:, :1] for motion in (wanted, found))
    error = np.linalg.norm(one - two, axis=-1)  # the first frame of these recordings faces where their T-pose does
    feet = [JOINT["L_Foot"], JOINT["R_Foot"]]
    tilt, before = (
        np.degrees(np.median(np.arccos(motion.rotations[:, feet][motion.contacts][:, 2, 2].clip(-1, 1))))
        for motion in (found, wanted)
    )
    print(
        f"{name}: joints {error.mean() * 100:.1f} cm; standing feet {tilt:.0f} degrees from level, {before:.0f} before"
    )
    assert error.mean() < 0.05
    assert tilt < 8
    assert len(found.pelvis) == len(wanted.pelvis)
    assert found.contacts.mean() == pytest.approx(wanted.contacts.mean(), abs=0.1)


def refused(folder: Path, text: str, reason: str) -> None:
    with pytest.raises(RecordingError, match=rf"motion.*{reason}"):
        retargeted(folder, text)


@pytest.mark.parametrize("family", ["cmu", "lafan1", "bandai-namco, z up, noisy"])
def test_bodies_that_do_not_stand_are_refused(family: str, tmp_path: Path) -> None:
    kind, motion = FAMILIES[family], walk(turn_deg_s=0.0)
    refused(tmp_path, bvh_text(kind, turned(motion, Rotation.from_euler("x", 180, degrees=True))), "upside down")
    swapped = {"Left": "Right", "Right": "Left"}

    def other_side(name: str) -> str:
        side = next((side for side in swapped if name.startswith(side)), "")
        return kind.name_of(swapped[side] + name.removeprefix(side) if side else name)

    refused(tmp_path, bvh_text(replace(kind, name_of=other_side), motion), "knees bend backwards")
    jumping = Walk(motion.rotations, motion.root + np.where(np.arange(150) > 70, 100.0, 0.0)[:, None])
    refused(tmp_path, bvh_text(kind, jumping), "pelvis jumps")
    for size, height in ((0.5, "0.79"), (3.5, "5.")):
        metres = replace(kind, scale=0.01 * size)
        refused(tmp_path, bvh_text(metres, motion), rf"the head is {height}.* m above the floor")


def test_a_lying_body_is_refused(tmp_path: Path) -> None:
    still = Walk(walk().rotations, np.tile(walk().root[0], (150, 1)))
    for degrees, reason in ((90, "may be lying"), (-90, "upside down or lies")):
        lying = turned(still, Rotation.from_euler("x", degrees, degrees=True), keep_path=True)
        refused(tmp_path, bvh_text(T_POSE, lying), reason)


def test_a_quadruped_is_refused(tmp_path: Path) -> None:
    """The trunk is level, arms and legs point down."""
    motion, rotations = walk(turn_deg_s=0.0), walk(turn_deg_s=0.0).rotations.copy()
    level = Rotation.from_euler("x", 80, degrees=True).as_matrix()
    for k, name in enumerate(NAMES):
        if not any(part in name for part in ("Leg", "Foot", "Toe", "Arm", "Hand")):
            rotations[:, k] = level @ rotations[:, k]
    refused(tmp_path, bvh_text(T_POSE, Walk(rotations, motion.root)), "the trunk is tilted by .* does not stand")


def test_bones_that_change_their_length_are_refused_by_name(tmp_path: Path) -> None:
    kind = FAMILIES["bandai-namco"]
    refused(tmp_path, bvh_text(replace(kind, noise=6.0), walk()), "the joint '.*' moves by .* against its parent")


def test_translation_below_a_root_that_stays_is_used(tmp_path: Path) -> None:
    """The pelvis has the path, under a root that stays; a root of no use with constant offset makes no difference."""
    wanted = retargeted(tmp_path, bvh_text(T_POSE, walk()))
    found = retargeted(tmp_path, bvh_text(replace(T_POSE, above="Armature"), walk()))
    np.testing.assert_allclose(found.positions(), wanted.positions(), atol=1e-3)
    assert np.ptp(found.pelvis[:, 0]) > 1.0
