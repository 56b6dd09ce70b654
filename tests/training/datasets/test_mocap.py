"""Motion capture read, put on our body and cut: the real CMU samples where they are, small files written here."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.skeleton import HEAD

from ...shared_data import CMU, missing_extra, needs_shared

pytest.importorskip("pybullet_data", reason=missing_extra("world"))

from training.datasets.mocap.capture_folder import CaptureFolder
from training.datasets.mocap.captured_motion import JOINT, CapturedMotion
from training.datasets.mocap.captured_recording import Recording
from training.datasets.mocap.formats import read
from training.datasets.mocap.retarget import match, retarget, upright
from training.datasets.mocap.segments import cut
from training.datasets.mocap.standing_feet import sole_points
from training.simulator.capture_library import CaptureLibrary
from training.simulator.people.person import sample_person
from training.simulator.rooms.plan import NoRoomError
from training.simulator.synthesis import synthesise

from ..simulator.furnished_room import empty_room

needs_cmu = needs_shared("data/cmu/02_01.amc")
needs_bvh = needs_shared("data/cmu_bvh")
CMU_BVH = CMU.parent / "cmu_bvh"
ROOM = empty_room(9.0)


@cache
def recording(name: str) -> Recording:
    return read(CMU / f"{name}.amc")


@cache
def captured(name: str) -> CapturedMotion:
    return retarget(recording(name))


@needs_cmu
@pytest.mark.parametrize(("name", "frames"), [("02_01", 343), ("02_03", 173), ("02_06", 2235), ("03_01", 432)])
def test_every_frame_is_read_and_bones_keep_their_length(name: str, frames: int) -> None:
    motion = recording(name)
    assert len(motion.root) == frames
    places = motion.positions()
    shin, foot = motion.joints.index("ltibia"), motion.joints.index("lfoot")
    length = np.linalg.norm(places[:, foot] - places[:, shin], axis=1)
    assert np.ptp(length) < 1e-9
    assert length[0] == pytest.approx({"02": 7.28717, "03": length[0]}[name[:2]])


@needs_cmu
def test_the_body_has_the_subjects_size_and_every_limb_its_direction() -> None:
    source, motion = recording("02_06"), captured("02_06")
    joints = match(source)
    axes, metres = upright(source, joints)
    assert metres == pytest.approx(0.0254 / 0.45)
    places = source.positions() @ axes.T * metres
    ours = motion.positions()
    when = np.arange(0, len(ours), 7)
    then = np.minimum(np.rint(when / 48 * 120).astype(int), len(places) - 1)
    assert 1.35 < motion.offsets[1:7, 2].sum() + np.linalg.norm(motion.offsets[[16, 17]], axis=1).sum() < 1.65
    for start, end in (("L_UpperArm", "L_Forearm"), ("R_Forearm", "R_Hand")):
        one = ours[when, JOINT[end]] - ours[when, JOINT[start]]
        two = places[then, joints[end]] - places[then, joints[start]]
        cosine = (one * two).sum(-1) / np.linalg.norm(one, axis=-1) / np.linalg.norm(two, axis=-1)
        assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 4
    height = ours[:, HEAD, 2].max()
    assert 1.45 < height < 1.75


@needs_cmu
def test_captured_feet_stand_still_on_the_floor() -> None:
    for name in ("02_01", "02_02", "02_04", "02_06", "02_10"):
        motion = captured(name)
        soles = sole_points(motion)
        speed = np.linalg.norm(np.diff(soles, axis=0), axis=-1).min(axis=-1) * motion.rate_hz
        slide = speed[motion.contacts[1:] & motion.contacts[:-1]]
        print(f"{name}: stance speed p99 {np.percentile(slide, 99):.4f} m/s, lowest sole {soles[..., 2].min():.3f} m")
        assert len(slide) > 50
        assert np.percentile(slide, 99) < 0.05
        assert soles[..., 2].min() > -0.06
        thighs, shins = (motion.rotations[:, [JOINT[f"{s}_{p}"] for s in "LR"]] for p in ("UpperLeg", "LowerLeg"))
        knees = thighs.swapaxes(-1, -2) @ shins
        assert np.arctan2(knees[..., 0, 2], knees[..., 2, 2]).min() > -0.1


@needs_cmu
@pytest.mark.parametrize(
    ("name", "wanted"), [("02_01", "walk_forward"), ("02_03", "run"), ("02_06", "crouch"), ("02_10", "bend")]
)
def test_cuts_say_what_the_recordings_are_known_to_show(name: str, wanted: str) -> None:
    cuts = cut(captured(name))
    assert cuts[0].start_s == 0
    assert all(one.end_s == two.start_s and one.action != two.action for one, two in pairwise(cuts))
    seconds = {name: sum(c.end_s - c.start_s for c in cuts if c.action == name) for name in {c.action for c in cuts}}
    assert seconds[wanted] > 1.0
    assert not {"walk_forward", "run"} & (set(seconds) - {wanted}) or name == "02_03"


@needs_cmu
def test_a_folder_becomes_gaits_and_clips() -> None:
    library = CaptureLibrary.load(CMU)
    assert set(library.folder.skipped) == {"03_01.amc", "03_02.amc"}
    assert all("not level" in reason for reason in library.folder.skipped.values())
    assert len(library.gaits) >= 2
    for gait in library.gaits:
        assert 1.0 < gait.stride < 1.8
        assert np.degrees(gait.foot_pitch.max()) > 40
    people = [sample_person(np.random.default_rng(seed), "train", library.gaits) for seed in range(12)]
    captured_gait = [any(person.feet.cycle is gait for gait in library.gaits) for person in people]
    assert 2 < sum(captured_gait) < 10
    for seed in range(12):  # the same people
        walk = synthesise(np.random.default_rng(seed), ROOM, "walk_forward", library=library)
        assert np.linalg.norm(np.diff(walk.positions.astype(float), n=2, axis=0), axis=-1).max() * 256 < 60

    one, two = (library.play(np.random.default_rng(3), ROOM) for _ in range(2))
    np.testing.assert_array_equal(one.positions, two.positions)
    assert one.meta == two.meta
    assert one.positions.shape == (81, 23, 3)
    assert ROOM.contains(one.positions[:, 0, :2]).all()
    assert one.meta["actions"]
    assert set(one.labels) >= {entry["action"] for entry in one.meta["actions"]}
    with pytest.raises(NoRoomError, match=r"60\.0 s"):
        library.play(np.random.default_rng(0), ROOM, duration_s=60.0)
    mujoco = pytest.importorskip("mujoco", reason=missing_extra("world"))
    assert mujoco
    from training.simulator.clip_maker import sample_motion  # a clip of a data set may be a captured one

    drawn = [sample_motion(np.random.default_rng(s), ROOM, "train", Counter(), library) for s in range(30)]
    assert "captured" in {motion.behaviour for motion in drawn}
    played = [synthesise(np.random.default_rng(s), ROOM, library=library).behaviour == "captured" for s in range(40)]
    assert 0 < sum(played) < 20


@needs_bvh
def test_walks_on_a_shared_skeleton_stand_level_and_still_or_are_left_out_by_name(tmp_path: Path) -> None:
    for name in ("walking_other_2?", "soccer_?", "jumping_2"):
        for path in CMU_BVH.glob(f"{name}.bvh"):
            (tmp_path / path.name).symlink_to(path)
    folder = CaptureFolder.load(tmp_path)
    assert len(folder.motions) + len(folder.skipped) == 16
    assert "feet slide" in folder.skipped["walking_other_25.bvh"]
    assert "not level" in folder.skipped["jumping_2.bvh"]
    assert len(folder.skipped) < 6
    feet = [JOINT["L_Foot"], JOINT["R_Foot"]]
    for motion in folder.motions:
        soles = sole_points(motion)
        speed = np.linalg.norm(np.diff(soles, axis=0), axis=-1).min(axis=-1) * motion.rate_hz
        slide = speed[motion.contacts[1:] & motion.contacts[:-1]]
        tilt = np.degrees(np.arccos(motion.rotations[:, feet][motion.contacts][:, 2, 2].clip(-1, 1)))
        assert np.percentile(slide, 99) < 0.05, motion.name
        assert np.median(tilt) < 12, motion.name


@needs_bvh
def test_elbows_bend_about_the_axis_of_the_t_pose() -> None:
    """CMU's rest pose has it 30 degrees away; with random orientations at rest, it is where the motion shows it."""
    source = read(CMU_BVH / "walking_1.bvh")
    rest = Rotation.random(len(source.joints), random_state=2).as_matrix()
    above = rest[np.maximum(source.parents, 0)].swapaxes(-1, -2)
    other = replace(
        source,
        offsets=np.einsum("jab,jb->ja", above, source.offsets),
        tips=np.einsum("jba,jb->ja", rest, source.tips),
        rotations=source.rotations @ rest,
    )
    arms = [JOINT[f"{s}_{part}"] for s in "LR" for part in ("UpperArm", "Forearm")]
    one, two = (retarget(recording).rotations for recording in (source, other))
    apart = Rotation.from_matrix((one.swapaxes(-1, -2) @ two)[:, arms].reshape(-1, 3, 3)).magnitude()
    assert np.degrees(np.median(apart)) < 20
    motion = retarget(source)
    places = motion.positions()
    for side, down in (("L", -1.0), ("R", 1.0)):
        upper, lower, hand = (places[:, JOINT[f"{side}_{part}"]] for part in ("UpperArm", "Forearm", "Hand"))
        bend = np.cross(lower - upper, hand - lower)
        hinge = np.einsum("tij,ti->j", motion.rotations[:, JOINT[f"{side}_UpperArm"]], bend)
        np.testing.assert_allclose(hinge / np.linalg.norm(hinge), [0.0, 0.0, down], atol=0.1)


@needs_cmu
def test_damaged_recordings_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "02.asf").write_bytes((CMU / "02.asf").read_bytes())
    text = (CMU / "02_03.amc").read_text(encoding="latin-1")
    lines = text.splitlines()
    for broken, reason in (
        ("\n".join(lines[:-3]), "lacks"),
        (text.replace("rtibia", "rshin"), "'rshin'"),
        (text.replace("ltibia ", "ltibia 3 "), "2 numbers for 'ltibia'"),
        (text.replace("rradius ", "rradius x", 1), "could not convert"),
        ("\n".join(lines[:3]), "0 frame"),
    ):
        (tmp_path / "02_03.amc").write_text(broken, encoding="latin-1")
        with pytest.raises(RecordingError, match=reason):
            read(tmp_path / "02_03.amc")
    (tmp_path / "02.asf").unlink()
    with pytest.raises(RecordingError, match=r"no skeleton 02\.asf"):
        read(tmp_path / "02_03.amc")
    with pytest.raises(RecordingError, match="none of the 1 recordings"):
        CaptureLibrary.load(tmp_path)


# Y up, facing +z, centimetres, arms in T-pose; the left arm is 30 + 25 cm.
_BONES = (
    ("Hips", "", (0, 92, 0)), ("Spine", "Hips", (0, 10, 0)), ("Spine1", "Spine", (0, 20, 0)),
    ("Neck", "Spine1", (0, 22, 0)), ("Head", "Neck", (0, 9, 0)),
    *((f"{side}{part}", parent.replace("*", side), (sign * x, y, z))
      for side, sign in (("Left", 1), ("Right", -1))
      for part, parent, (x, y, z) in (
          ("Shoulder", "Spine1", (3, 15, 0)), ("Arm", "*Shoulder", (14, 0, 0)), ("ForeArm", "*Arm", (30, 0, 0)),
          ("Hand", "*ForeArm", (25, 0, 0)), ("UpLeg", "Hips", (9, -2, 0)), ("Leg", "*UpLeg", (0, -43, 0)),
          ("Foot", "*Leg", (0, -42, 0)), ("ToeBase", "*Foot", (0, -6, 14)))),
)  # fmt: skip


def _bvh(angles: dict[str, tuple[float, float, float]], frames: int = 30) -> str:
    """A .bvh file: channels Z X Y; every frame has the same angles (degrees), the root walks along +z, 1 m/s."""
    children = {name: [b[0] for b in _BONES if b[1] == name] for name, _, _ in _BONES}
    offsets = {name: offset for name, _, offset in _BONES}
    order: list[str] = []

    def node(name: str, depth: int) -> list[str]:
        order.append(name)
        pad = "  " * depth
        channels = "6 Xposition Yposition Zposition Zrotation Xrotation Yrotation" if depth == 0 else (
            "3 Zrotation Xrotation Yrotation")  # fmt: skip
        lines = [f"{pad}{'ROOT' if depth == 0 else 'JOINT'} {name}", pad + "{",
                 f"{pad}  OFFSET {' '.join(map(str, offsets[name] if depth else (0, 0, 0)))}",
                 f"{pad}  CHANNELS {channels}"]  # fmt: skip
        for child in children[name]:
            lines += node(child, depth + 1)
        if not children[name]:
            lines += [f"{pad}  End Site", pad + "  {", f"{pad}    OFFSET 0 5 0", pad + "  }"]
        return [*lines, pad + "}"]

    body = node("Hips", 0)
    rows = []
    for frame in range(frames):
        row = [0.0, 92.0, 100.0 * frame / 60]
        for name in order:
            row += angles.get(name, (0.0, 0.0, 0.0))
        rows.append(" ".join(map(str, row)))
    return "\n".join(["HIERARCHY", *body, "MOTION", f"Frames: {frames}", f"Frame Time: {1 / 60}", *rows, ""])


def test_bvh_files_come_out_upright_forward_and_in_metres(tmp_path: Path) -> None:
    pytest.importorskip("pybvh", reason=missing_extra("world"))
    path = tmp_path / "walk.bvh"
    path.write_text(_bvh({"LeftArm": (-90.0, 0.0, 0.0), "RightForeArm": (0.0, 0.0, 90.0)}))
    recording = read(path)
    assert recording.rate_hz == pytest.approx(60)
    _, metres = upright(recording, match(recording))
    assert metres == 0.01
    with pytest.raises(RecordingError, match=r"walk: no foot stands"):
        retarget(recording)  # it glides
    motion = retarget(recording, level_floor=False)
    ours = motion.positions()
    step = ours[-1, 0] - ours[0, 0]
    np.testing.assert_allclose(step[:2] / np.linalg.norm(step[:2]), [1.0, 0.0], atol=1e-6)  # ahead is +x
    arm = ours[5, JOINT["L_Hand"]] - ours[5, JOINT["L_UpperArm"]]
    np.testing.assert_allclose(arm, [0.0, 0.0, -0.55], atol=0.01)  # the left arm hangs down
    upper = ours[5, JOINT["R_Forearm"]] - ours[5, JOINT["R_UpperArm"]]
    lower = ours[5, JOINT["R_Hand"]] - ours[5, JOINT["R_Forearm"]]
    np.testing.assert_allclose(upper, [0.0, -0.30, 0.0], atol=0.01)
    np.testing.assert_allclose(np.abs(lower), [0.25, 0.0, 0.0], atol=0.01)
    assert sole_points(motion)[..., 2].min() == pytest.approx(0, abs=0.02)


def test_bvh_files_that_are_none_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("pybvh", reason=missing_extra("world"))
    path = tmp_path / "broken.bvh"
    path.write_text("HIERARCHY\nROOT Hips\n{\n")
    with pytest.raises(RecordingError, match=r"broken\.bvh cannot be read as motion"):
        read(path)
    path.write_text(_bvh({}).replace("LeftUpLeg", "Tail"))
    with pytest.raises(RecordingError, match="L_UpperLeg"):
        retarget(read(path))
    with pytest.raises(RecordingError, match=r"neither \.amc nor \.bvh"):
        read(Path(__file__))
    with pytest.raises(RecordingError, match="holds no"):
        CaptureLibrary.load(tmp_path / "nowhere")
