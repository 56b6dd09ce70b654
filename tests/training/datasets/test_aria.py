"""Project Aria recordings become bags: geometry, bodies, refusals; on the real recordings where there are any."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ...shared_data import ARIA, missing_extra, needs_shared

pytest.importorskip("projectaria_tools", reason=missing_extra("aria"))

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.skeleton import (
    HEAD,
    XSENS_JOINTS,
    XSENS_PARENTS,
    forward_kinematics,
    reference_offsets,
)
from egotwin_model.io.bags import BagReader
from training.datasets.aria import glasses_path, optitrack
from training.datasets.aria.aria_body import standing_bodies, standing_scale
from training.datasets.aria.convert import main
from training.datasets.aria.vrs import AriaRecording, ImuSamples

ADT, AEA = ARIA / "aria_digital_twin_test_data", ARIA / "aria_everyday_activities_test_data"
real = needs_shared("data/aria/aria_digital_twin_test_data")
TWIN = (ADT / "video.vrs", "--trajectory", ADT / "aria_trajectory.csv", "--skeleton", ADT / "Skeleton_T.json")
EVERYDAY = (AEA / "recording.vrs",)
IDENTITY = np.eye(3)


def joint(name: str) -> int:
    return XSENS_JOINTS.index(name)


def run(out: Path, *options: object) -> int:
    return main([*map(str, options), "--out", str(out)])


class Bag:
    """What a converted bag holds."""

    def __init__(self, path: Path) -> None:
        with BagReader(path) as bag:
            images = list(bag.messages(["/camera/image/compressed"]))
            self.infos = [message for *_, message in bag.messages(["/camera/camera_info"])]
            bodies = [message for *_, message in bag.messages(["/body_pose"])]
        self.stamps = np.array([stamp for _, stamp, _ in images])
        self.headers = [message.header for *_, message in images]
        self.images = [cv2.imdecode(message.data, cv2.IMREAD_COLOR)[..., ::-1] for *_, message in images]
        self.body_headers = [body.header for body in bodies]
        self.positions = np.array([[(p.position.x, p.position.y, p.position.z) for p in b.poses] for b in bodies])
        quaternions = [[(q.x, q.y, q.z, q.w) for q in (p.orientation for p in b.poses)] for b in bodies]
        self.quaternions = np.array(quaternions)
        self.rotations = Rotation.from_quat(self.quaternions.reshape(-1, 4)).as_matrix().reshape(-1, 23, 3, 3)
        self.tracked = np.array(bodies[0].tracked)

    def camera_poses(self) -> np.ndarray:
        return Mount().camera_pose(self.positions[:, HEAD], self.rotations[:, HEAD])


@pytest.fixture(scope="module")
def twin(tmp_path_factory) -> Bag:
    path = tmp_path_factory.mktemp("aria") / "twin.mcap"
    assert run(path, *TWIN) == 0
    return Bag(path)


@pytest.fixture(scope="module")
def everyday(tmp_path_factory) -> Bag:
    path = tmp_path_factory.mktemp("aria") / "everyday.mcap"
    assert run(path, *EVERYDAY, "--size", 96, "--fov", 80) == 0
    return Bag(path)


@pytest.fixture(scope="module")
def recording() -> AriaRecording:
    return AriaRecording(ADT / "video.vrs", Pinhole.from_fov(256, 256, np.pi / 2), Mount())


# --- the bags -------------------------------------------------------------------------------------------------------


@real
@pytest.mark.parametrize(("name", "frames", "size", "fov"), [("twin", 3, 256, 90.0), ("everyday", 8, 96, 80.0)])
def test_bag_has_every_frame_with_intrinsics_and_a_sound_body(name, frames, size, fov, request):
    bag = request.getfixturevalue(name)
    assert len(bag.images) == len(bag.infos) == len(bag.positions) == frames
    assert (np.diff(bag.stamps) > 0).all()
    wanted = Pinhole.from_fov(size, size, np.radians(fov))
    for stamp, image, info, headers in zip(
        bag.stamps, bag.images, bag.infos, zip(bag.headers, bag.body_headers, strict=True), strict=True
    ):
        assert image.shape == (size, size, 3)
        assert (info.width, info.height, info.distortion_model) == (size, size, "plumb_bob")
        np.testing.assert_allclose(info.k.reshape(3, 3), wanted.matrix)
        assert not info.d.any()
        assert {header.stamp.sec * 10**9 + header.stamp.nanosec for header in (*headers, info.header)} == {stamp}
        assert [header.frame_id for header in (*headers, info.header)] == ["camera_optical", "map", "camera_optical"]
    assert np.isfinite(bag.positions).all()
    np.testing.assert_allclose(np.linalg.norm(bag.quaternions, axis=-1), 1.0, atol=1e-9)
    assert bag.tracked[HEAD]


@real
@pytest.mark.parametrize("name", ["twin", "everyday"])
def test_images_are_upright(name, request):
    """Gravity points down in the image: +y of the optical frame, but for the wearer's own nod and tilt."""
    bag = request.getfixturevalue(name)
    down = np.swapaxes(bag.camera_poses()[:, :3, :3], -1, -2) @ np.array([0.0, 0.0, -1.0])
    roll = np.degrees(np.arctan2(down[:, 0], down[:, 1]))
    assert (np.abs(roll) < 15.0).all()
    assert (down[:, 1] > 0.75).all()


@real
def test_upright_lines_of_the_room_point_where_gravity_says(twin):
    """The kitchen's upright edges, found in the image, meet where the body pose puts the nadir."""
    gray = cv2.cvtColor(np.ascontiguousarray(twin.images[0]), cv2.COLOR_RGB2GRAY)
    lines = cv2.createLineSegmentDetector().detect(gray)[0].reshape(-1, 4)
    lines = lines[np.hypot(lines[:, 2] - lines[:, 0], lines[:, 3] - lines[:, 1]) > 25.0]
    steep = lines[np.abs(lines[:, 3] - lines[:, 1]) > 2.0 * np.abs(lines[:, 2] - lines[:, 0])]
    steep = steep[steep[:, [1, 3]].max(axis=1) < 130.0]  # the kitchen's front, above the table
    K = twin.infos[0].k.reshape(3, 3)
    down = twin.camera_poses()[0, :3, :3].T @ np.array([0.0, 0.0, -1.0])
    nadir = (K @ down)[:2] / down[2]
    middles, along = (steep[:, :2] + steep[:, 2:]) / 2, steep[:, 2:] - steep[:, :2]
    towards = nadir - middles
    cross = along[:, 0] * towards[:, 1] - along[:, 1] * towards[:, 0]
    off = np.degrees(np.arcsin(np.abs(cross) / np.linalg.norm(along, axis=1) / np.linalg.norm(towards, axis=1)))
    assert len(off) >= 5
    assert np.median(off) < 2.0


@real
def test_pixels_agree_with_the_lens_model(recording):
    """A point seen by Aria's own model is in our image where our pinhole has it, to half a pixel.

    A white dot is drawn into a stored frame at the lens model's projection; its centroid is looked for in our view.
    """
    rays = np.array([(0, 0, 1), (0.5, 0.3, 1), (-0.6, 0.2, 1), (0.2, -0.7, 1), (-0.4, -0.5, 1), (0.7, 0.5, 1)], float)
    for ray in rays:
        at_lens = recording.lens.project(recording.R_lens_view @ ray)
        assert at_lens is not None
        rows, columns = np.mgrid[:1408, :1408]
        dot = 255.0 * np.exp(-((columns - at_lens[0]) ** 2 + (rows - at_lens[1]) ** 2) / (2 * 6.0**2))
        seen = recording.resample(np.repeat(dot.astype(np.uint8)[..., None], 3, axis=2))[..., 0].astype(float)
        rows, columns = np.mgrid[:256, :256]
        found = np.array([(columns * seen).sum(), (rows * seen).sum()]) / seen.sum()
        wanted, inside = recording.camera.project(ray)
        assert inside
        assert np.linalg.norm(found - wanted) < 0.5


@real
def test_camera_pose_in_the_bag_is_the_lens_s_own(twin, recording):
    """The head's pose and the mount give back the colour camera's centre from trajectory and calibration."""
    path = glasses_path.read_trajectory(ADT / "aria_trajectory.csv")
    positions, rotations = path.at(recording.stamps_ns)
    wanted = positions + rotations @ recording.lens.get_transform_device_camera().to_matrix()[:3, 3]
    np.testing.assert_allclose(twin.camera_poses()[:, :3, 3], wanted, atol=1e-9)
    assert (np.abs(twin.positions[:, HEAD, 2] - 1.52) < 0.05).all()  # ADT's world: metres above the floor


@real
def test_measured_hands_are_on_the_hands_in_the_image(twin):
    """The wearer has black gloves on: the skeleton's wrists project onto dark pixels before the bright table."""
    camera = Pinhole.from_fov(256, 256, np.pi / 2)
    pose = twin.camera_poses()[0]
    hands = twin.positions[0, [joint("L_Hand"), joint("R_Hand")]]
    pixels, inside = camera.project((hands - pose[:3, 3]) @ pose[:3, :3])
    assert inside.all()
    assert pixels[0, 0] < 128 < pixels[1, 0]
    brightness = twin.images[0].mean(axis=-1)
    for u, v in pixels.round().astype(int):
        assert np.percentile(brightness[v - 5 : v + 6, u - 5 : u + 6], 25) < 40
    assert np.median(brightness[140:220, 100:200]) > 60  # their surroundings are not dark


@real
def test_skeleton_keeps_its_bones_and_stands_on_the_floor(twin):
    parents = np.array(XSENS_PARENTS)
    lengths = np.linalg.norm(twin.positions[:, 1:] - twin.positions[:, parents[1:]], axis=-1)
    assert (np.ptp(lengths, axis=0) < 0.002).all()
    assert 0.25 < lengths[0, joint("R_Forearm") - 1] < 0.35
    assert 0.35 < lengths[0, joint("R_LowerLeg") - 1] < 0.5
    assert twin.positions[:, [joint("L_Toe"), joint("R_Toe")], 2].min() > 0.0
    assert twin.positions[:, [joint("L_Toe"), joint("R_Toe")], 2].max() < 0.12
    assert not twin.tracked[[joint("L5"), joint("L3"), joint("T12"), joint("T8")]].any()
    assert twin.tracked.sum() == 19
    facing = twin.rotations[:, :, :, 0]
    for part in ("Pelvis", "T8", "L_Foot", "R_Foot"):  # everything looks the way the head does
        assert ((facing[:, joint(part)] * facing[:, HEAD])[:, :2].sum(axis=-1) > 0.8).all()


@real
def test_limbs_point_along_the_bones(twin):
    offsets = reference_offsets()
    for name in ("R_Forearm", "R_Hand", "L_Forearm", "L_Hand", "R_LowerLeg", "R_Foot", "L_LowerLeg", "L_Foot", "L_Toe"):
        child, parent = joint(name), XSENS_PARENTS[joint(name)]
        bone = twin.positions[:, child] - twin.positions[:, parent]
        wanted = twin.rotations[:, parent] @ offsets[child]
        cosine = (bone * wanted).sum(-1) / np.linalg.norm(bone, axis=-1) / np.linalg.norm(wanted, axis=-1)
        assert (cosine > np.cos(np.radians(0.1))).all()


@real
def test_without_a_trajectory_the_head_alone_is_measured(everyday, tmp_path, caplog):
    assert everyday.tracked.sum() == 1
    np.testing.assert_allclose(everyday.positions[:, HEAD, 2], 1.55, atol=0.1)
    turn = Rotation.from_matrix(everyday.rotations[0, HEAD].T @ everyday.rotations[-1, HEAD]).magnitude()
    assert 0.005 < turn < 0.5  # the IMU turns it
    assert run(tmp_path / "again.mcap", *EVERYDAY, "--size", 16) == 0
    assert "no trajectory" in caplog.text
    assert "other 22 joints are assumed" in caplog.text


@real
def test_without_trajectory_and_imu_the_head_is_level_and_still(tmp_path, caplog):
    (tmp_path / "less.vrs").write_bytes(rewritten(without=1202))
    assert run(tmp_path / "bag.mcap", tmp_path / "less.vrs", "--size", 16) == 0
    assert "neither trajectory nor IMU: the head is level and still" in caplog.text
    bag = Bag(tmp_path / "bag.mcap")
    np.testing.assert_allclose(bag.rotations[:, HEAD], np.tile(IDENTITY, (3, 1, 1)), atol=1e-9)
    assert np.ptp(bag.positions, axis=0).max() == 0.0
    np.testing.assert_allclose(bag.positions[:, HEAD, 2], 1.55, atol=0.02)


@real
def test_somebody_else_s_skeleton_is_not_the_wearer_s_body(tmp_path, caplog):
    other = tmp_path / "association.json"
    wrong = {"SkeletonName": "Skeleton_T", "AssociatedDeviceSerial": "1WM000000M0000", "SkeletonId": 1}
    other.write_text(json.dumps({"SkeletonMetadata": [wrong]}))
    assert run(tmp_path / "seen.mcap", *TWIN, "--association", other, "--size", 16, "--floor", 0) == 0
    assert "is of somebody else" in caplog.text
    bag = Bag(tmp_path / "seen.mcap")
    assert bag.tracked.sum() == 1
    assert np.abs(bag.positions[:, joint("Pelvis"), :2] - bag.positions[:, HEAD, :2]).max() < 1e-6
    toes = bag.positions[:, joint("L_Toe"), 2]
    assert (np.abs(toes) < 0.05).all()  # sized to stand on the floor


@real
def test_imu_finds_the_same_upright_as_the_trajectory(recording):
    path = glasses_path.read_trajectory(ADT / "aria_trajectory.csv")
    _, known = path.at(recording.stamps_ns)
    imu = recording.imu()
    assert imu is not None
    path = glasses_path.attitude_from_imu(imu, recording.R_device_head, recording.stamps_ns, 1.6)
    _, found = path.at(recording.stamps_ns)
    cosine = (known[:, 2] * found[:, 2]).sum(axis=-1)  # rows: up in the device frame
    assert np.degrees(np.arccos(cosine)).max() < 1.5
    relative = (known[0].T @ known[-1]).T @ (found[0].T @ found[-1])
    assert np.degrees(Rotation.from_matrix(relative).magnitude()) < 0.3


# --- refusals -------------------------------------------------------------------------------------------------------


@real
@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.2, 0.5, 0.95, 0.9999])
def test_truncated_recording_is_refused_and_leaves_nothing(share, tmp_path, capsys):
    whole = (ADT / "video.vrs").read_bytes()
    cut = tmp_path / "cut.vrs"
    cut.write_bytes(whole[: int(len(whole) * share)])
    assert run(tmp_path / "out/bag.mcap", cut) == 2
    error = capsys.readouterr().err
    assert "RecordingError: recording" in error
    assert str(cut) in error
    assert "truncated" in error or "not a VRS file" in error
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["cut.vrs"]


DATA_RECORD = 3  # record type in VRS; 1 and 2 are state and configuration


def rewritten(without: int | None = None, renamed: tuple[bytes, bytes] | None = None) -> bytes:
    """The real recording without the data of one stream type, or with a text in its tags replaced by as long a one.

    It then has no index, as when the recorder was switched off; readers make their own.
    """
    whole = (ADT / "video.vrs").read_bytes()
    _, tags, first = struct.unpack_from("<QQQ", whole, 24)
    head = whole[:24] + struct.pack("<QQQ", 0, tags, first) + whole[48:first]
    if renamed is not None:
        assert len(renamed[0]) == len(renamed[1])
        assert renamed[0] in head
        head = head.replace(*renamed)
    records, offset, previous = [], first, struct.unpack_from("<I", whole, first + 4)[0]
    while offset < len(whole):
        size, _, stream = struct.unpack_from("<IIi", whole, offset)
        if stream != without or whole[offset + 26] != DATA_RECORD:
            records.append(struct.pack("<II", size, previous) + whole[offset + 8 : offset + size])
            previous = size
        offset += size
    return head + b"".join(records)


@real
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"without": 214}, "no colour frames: stream 214-1"),
        ({"renamed": (b"camera-rgb", b"camera-xyz")}, "is unreadable: No config found for camera"),
        ({"renamed": (b"calib_json", b"other_json")}, "no calibration of camera-rgb"),
        ({}, ""),
    ],
)
def test_recording_without_a_part_is_refused_by_that_part(change, says, tmp_path, capsys):
    path = tmp_path / "less.vrs"
    path.write_bytes(rewritten(**change))
    assert run(tmp_path / "bag.mcap", path, "--size", 16) == (2 if says else 0)
    assert says in capsys.readouterr().err
    assert (tmp_path / "bag.mcap").exists() == (not says)


@real
def test_a_damaged_frame_stops_the_conversion_and_leaves_nothing(tmp_path, capsys):
    """The second of three frames does not decode: the bag begun by then does not appear."""
    content, frames = bytearray((ADT / "video.vrs").read_bytes()), 0
    (offset,) = struct.unpack_from("<Q", content, 40)
    while offset < len(content):
        size, _, stream = struct.unpack_from("<IIi", content, offset)
        frames += stream == 214 and content[offset + 26] == DATA_RECORD
        if frames == 2:
            content[offset + 200 : offset + size] = bytes(size - 200)
            break
        offset += size
    (tmp_path / "bad.vrs").write_bytes(content)
    assert run(tmp_path / "bag.mcap", tmp_path / "bad.vrs", "--size", 16) == 2
    assert "RecordingError" in (error := capsys.readouterr().err)
    assert "colour frame 1 is damaged" in error
    assert [path.name for path in tmp_path.iterdir()] == ["bad.vrs"]


@real
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((ADT / "none.vrs",), "does not exist"),
        ((ADT / "Skeleton_T.json",), "not a VRS file"),
        ((*TWIN[:1], "--trajectory", ARIA / "mps_sample/trajectory/closed_loop_trajectory.csv"), "does not cover 3 of"),
        ((*TWIN[:1], "--trajectory", ADT / "none.csv"), "none.csv is unreadable"),
        ((*TWIN[:1], "--trajectory", ADT / "Skeleton_T.json"), "lacks the columns"),
        ((*TWIN[:1], "--skeleton", ADT / "Skeleton_T.json"), "--skeleton needs --trajectory"),
        ((*TWIN[:3], "--skeleton", ADT / "metadata.json"), "not of Aria Digital Twin's form"),
        ((*TWIN, "--association", ADT / "none.json"), "association"),
        ((*TWIN, "--fov", "200"), "CalibrationError: horizontal field of view"),
        ((*TWIN, "--size", "0"), "CalibrationError: image size"),
    ],
)
def test_bad_input_is_named_and_leaves_nothing(options, says, tmp_path, capsys):
    assert run(tmp_path / "bag.mcap", *options) == 2
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def broken(lines: list[str], row: int, column: str, value: str) -> str:
    names = lines[0].split(",")
    fields = lines[row].split(",")
    fields[names.index(column)] = value
    return "\n".join([*lines[:row], ",".join(fields), *lines[row + 1 :]])


HEADER = ",".join((glasses_path._TIME, *glasses_path._POSITION, *glasses_path._QUATERNION, *glasses_path._GRAVITY))
ROWS = [HEADER, *(f"{1000 + 20_000 * i},{i},2,3,0,0,0,1,0,-9.81,0" for i in range(5))]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (broken(ROWS, 2, "ty_world_device", "nan"), "row 3 holds NaN"),
        (broken(ROWS, 3, "qw_world_device", "0.5"), "row 4 has length 0.500"),
        (broken(ROWS, 4, "tracking_timestamp_us", "5"), "does not increase"),
        (broken(ROWS, 4, "tx_world_device", "left"), "unreadable or truncated"),
        ("\n".join([*ROWS, "120000,5,2"]), "unreadable or truncated"),
        (HEADER + "\n", "has no poses"),
        ("", "lacks the columns"),
        (broken(ROWS, 1, "gravity_y_world", "inf"), "row 2 holds NaN"),
    ],
)
@pytest.mark.filterwarnings("ignore:loadtxt")
def test_broken_trajectories_are_named(content, says, tmp_path):
    path = tmp_path / "trajectory.csv"
    path.write_text(content)
    with pytest.raises(RecordingError, match=says):
        glasses_path.read_trajectory(path)


@real
def test_skeleton_that_is_elsewhere_or_broken_is_refused(tmp_path, capsys):
    shutil.copy(ADT / "skeleton_aria_association.json", tmp_path)
    moved = json.loads((ADT / "Skeleton_T.json").read_text())
    for frame in moved["frames"]:
        frame["joints"] = (np.array(frame["joints"]) + np.array([1.0, 0.0, 0.0])).tolist()
    path = tmp_path / "Skeleton_T.json"
    path.write_text(json.dumps(moved))
    assert run(tmp_path / "bag.mcap", *TWIN[:3], "--skeleton", path) == 2
    assert "not of the same recording" in capsys.readouterr().err
    moved["frames"][3]["joints"][7][1] = float("nan")
    path.write_text(json.dumps(moved))
    assert run(tmp_path / "bag.mcap", *TWIN[:3], "--skeleton", path) == 2
    assert "NaN" in capsys.readouterr().err
    path.write_bytes((ADT / "Skeleton_T.json").read_bytes()[:20_000])
    assert run(tmp_path / "bag.mcap", *TWIN[:3], "--skeleton", path) == 2
    assert "truncated" in capsys.readouterr().err
    assert not (tmp_path / "bag.mcap").exists()


# --- paths ----------------------------------------------------------------------------------------------------------


def test_both_trajectory_forms_end_up_with_z_up(tmp_path):
    """Digital Twin's world has y up, MPS's z: a device that is raised rises along z of `map` in both."""
    for gravity, up in (((0, -9.81, 0), 1), ((0, 0, -9.81), 2)):
        rows = []
        for i in range(4):
            place = np.zeros(3)
            place[up] = 0.1 * i
            rows.append(",".join(map(str, (20_000 * i + 20_000, *place, 0, 0, 0, 1, *gravity))))
        path = tmp_path / f"{up}.csv"
        path.write_text("\n".join([HEADER, *rows]))
        read = glasses_path.read_trajectory(path)
        np.testing.assert_allclose(read.positions, np.outer(range(4), [0.0, 0.0, 0.1]), atol=1e-12)
        np.testing.assert_allclose(read.R_map_world[:, up], [0.0, 0.0, 1.0], atol=1e-12)
        np.testing.assert_allclose(read.rotations, np.tile(read.R_map_world, (4, 1, 1)), atol=1e-12)


@real
def test_a_real_closed_loop_trajectory_is_read():
    path = glasses_path.read_trajectory(ARIA / "mps_sample/trajectory/closed_loop_trajectory.csv")
    assert len(path.stamps_ns) == 11517
    np.testing.assert_allclose(path.R_map_world, IDENTITY, atol=1e-9)
    between = path.stamps_ns[:-1] + np.diff(path.stamps_ns) // 2
    positions, rotations = path.at(between[::100])
    assert np.abs(positions - path.positions[:-1][::100]).max() < 0.01
    np.testing.assert_allclose(
        rotations @ np.swapaxes(rotations, -1, -2), np.tile(IDENTITY, (len(rotations), 1, 1)), atol=1e-9
    )


def straight(stamps: list[int]) -> glasses_path.DevicePath:
    count = len(stamps)
    turns = Rotation.from_euler("z", np.arange(count)[:, None] * 0.1).as_matrix()
    places = np.outer(np.arange(count), [1.0, 0.0, 0.0])
    return glasses_path.DevicePath(np.array(stamps, np.int64), places, turns, IDENTITY)


def test_interpolation_is_exact_on_a_straight_path_and_stops_at_holes():
    hour = 3_600 * 10**9
    path = straight([hour + k * 100_000_000 for k in (0, 1, 2, 9)])
    positions, rotations = path.at(np.array([hour + 125_000_000, hour - 1_000_000, hour + 900_000_000]))
    np.testing.assert_allclose(positions[:, 0], [1.25, 0.0, 3.0], atol=1e-9)
    np.testing.assert_allclose(Rotation.from_matrix(rotations).as_euler("ZYX")[:, 0], [0.125, 0.0, 0.3], atol=1e-9)
    for wanted in (hour - 60_000_000, hour + 500_000_000, hour + 1_000_000_000):
        with pytest.raises(RecordingError, match="does not cover 1 of 1 images"):
            path.at(np.array([wanted]))
    alone = straight([hour])
    np.testing.assert_allclose(alone.at(np.array([hour + 20_000_000]))[0], [[0.0, 0.0, 0.0]])
    with pytest.raises(RecordingError, match="does not cover"):
        alone.at(np.array([hour + 90_000_000]))


def test_imu_attitude_follows_a_known_turn():
    """A device that nods at a known rate under gravity: orientation is found to a tenth of a degree."""
    times = np.arange(2000) * 1_000_000 + 10**12
    seconds = (times - times[0]) / 1e9
    angle = 0.3 * np.sin(2.0 * seconds)
    tilt = Rotation.from_euler("x", 0.2)
    truth = tilt * Rotation.from_euler("y", angle[:, None])
    rate = np.stack([np.zeros_like(seconds), 0.6 * np.cos(2.0 * seconds), np.zeros_like(seconds)], axis=1)
    imu = ImuSamples(times, truth.inv().apply([0.0, 0.0, 9.81]), rate)
    path = glasses_path.attitude_from_imu(imu, IDENTITY, times[:1], 1.6)
    up = path.rotations[:, 2]
    wanted = truth.as_matrix()[:, 2]
    assert np.degrees(np.arccos(np.clip((up * wanted).sum(-1), -1, 1))).max() < 0.1
    assert abs(np.arctan2(path.rotations[0, 1, 0], path.rotations[0, 0, 0])) < 1e-6
    np.testing.assert_allclose(path.positions, np.tile([0.0, 0.0, 1.6], (2000, 1)))


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3))
@settings(max_examples=50, deadline=None)
def test_upright_takes_any_direction_up(direction):
    up = np.array(direction)
    if np.linalg.norm(up) < 1e-3:
        with pytest.raises(RecordingError, match="gravity is zero or not finite"):
            glasses_path.upright(up * 0.0)
        return
    turn = glasses_path.upright(up)
    np.testing.assert_allclose(turn @ up, [0.0, 0.0, np.linalg.norm(up)], atol=1e-8)
    np.testing.assert_allclose(turn @ turn.T, IDENTITY, atol=1e-9)
    assert np.linalg.det(turn) > 0


# --- bodies ---------------------------------------------------------------------------------------------------------


def optitrack_of(positions: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """The 51 OptiTrack joints (1, 51, 3) somebody in this pose would have."""
    joints = np.zeros((1, len(optitrack.LABELS), 3))

    def put(label: str, place: np.ndarray) -> None:
        joints[0, optitrack.LABELS.index(label)] = place

    for ours, theirs in optitrack.BY_NAME.items():
        put(theirs, positions[joint(ours)])
    put("Ab", positions[joint("L5")])
    put("Chest", positions[joint("T12")])
    for side, outward in (("L", 1.0), ("R", -1.0)):
        wrist, turn = positions[joint(f"{side}_Hand")], rotations[joint(f"{side}_Hand")]
        for finger, forward in (("Index", 0.03), ("Middle", 0.0), ("Pinky", -0.04)):
            put(f"{side}{finger}1", wrist + turn @ np.array([forward, 0.09 * outward, 0.0]))
    return joints


POSES = st.fixed_dictionaries(
    {
        "yaw": st.floats(-3.1, 3.1),
        "lean": st.floats(-0.5, 0.8),
        "arm": st.floats(-1.3, 1.3),
        "twist": st.floats(-1.0, 1.0),
        "elbow": st.floats(0.5, 2.2),
        "wrist": st.floats(-0.6, 0.6),
        "hip": st.floats(-0.3, 1.4),
        "knee": st.floats(0.5, 2.0),
        "head": st.floats(-0.8, 0.8),
    }
)


def posed(pose: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Positions (23, 3) and rotations (23, 3, 3) of somebody who bends where people bend."""
    turn = Rotation.from_euler
    local = {"Pelvis": turn("z", pose["yaw"]) * turn("y", pose["lean"]), "Head": turn("z", pose["head"])}
    for side, sign in (("L", 1.0), ("R", -1.0)):
        local[f"{side}_UpperArm"] = turn("x", sign * pose["arm"]) * turn("y", pose["twist"])
        local[f"{side}_Forearm"] = turn("z", -sign * pose["elbow"])
        local[f"{side}_Hand"] = turn("y", pose["wrist"])
        local[f"{side}_UpperLeg"] = turn("y", -pose["hip"])
        local[f"{side}_LowerLeg"] = turn("y", pose["knee"])
    rotations: list[Rotation] = []
    for index, name in enumerate(XSENS_JOINTS):
        own = local.get(name, Rotation.identity())
        rotations.append(own if index == 0 else rotations[XSENS_PARENTS[index]] * own)
    matrices = Rotation.concatenate(rotations).as_matrix()
    return forward_kinematics(np.array([1.0, -2.0, 0.9]), matrices, reference_offsets()), matrices


@given(POSES)
@settings(max_examples=60, deadline=None)
def test_skeleton_of_a_known_pose_gives_that_pose_back(pose):
    positions, rotations = posed(pose)
    found, turned = optitrack.to_xsens(optitrack_of(positions, rotations), positions[None, HEAD], rotations[None, HEAD])
    np.testing.assert_allclose(found[0], positions, atol=1e-9)
    # The shoulders' own direction is the reference's up to its offset; the neck is taken half way to the head.
    for name in XSENS_JOINTS:
        off = Rotation.from_matrix(turned[0, joint(name)].T @ rotations[joint(name)]).magnitude()
        assert off < (abs(pose["head"]) / 2 + 1e-6 if name == "Neck" else 1e-5), name


def test_t_pose_is_the_identity():
    rotations = np.tile(IDENTITY, (23, 1, 1))
    positions = forward_kinematics(np.array([0.0, 0.0, 0.93]), rotations, reference_offsets())
    found, turned = optitrack.to_xsens(optitrack_of(positions, rotations), positions[None, HEAD], rotations[None, HEAD])
    np.testing.assert_allclose(found[0], positions, atol=1e-12)
    np.testing.assert_allclose(turned[0], rotations, atol=1e-9)


@given(st.floats(-3.0, 3.0), st.floats(-1.5, 1.5), st.floats(-0.4, 0.4), st.floats(0.8, 1.2))
@settings(max_examples=40, deadline=None)
def test_assumed_body_hangs_upright_under_the_head(yaw, pitch, roll, scale):
    head = Rotation.from_euler("ZYX", [yaw, pitch, roll]).as_matrix()[None]
    bodies = standing_bodies(np.array([[1.0, 2.0, 1.5]]), head, scale)
    np.testing.assert_allclose(bodies.positions[0, HEAD], [1.0, 2.0, 1.5], atol=1e-12)
    np.testing.assert_allclose(bodies.rotations[0, HEAD], head[0])
    np.testing.assert_allclose(bodies.rotations[0, 0, 2], [0.0, 0.0, 1.0], atol=1e-12)
    facing = Rotation.from_matrix(bodies.rotations[0, 0]).as_euler("ZYX")[0]
    assert abs((facing - yaw + np.pi) % (2 * np.pi) - np.pi) < 0.05
    parents = np.array(XSENS_PARENTS)
    lengths = np.linalg.norm(bodies.positions[0, 1:] - bodies.positions[0, parents[1:]], axis=-1)
    np.testing.assert_allclose(lengths, scale * np.linalg.norm(reference_offsets()[1:], axis=-1), atol=1e-9)
    assert (bodies.positions[0, [joint("L_Hand"), joint("R_Hand")], 2] < bodies.positions[0, joint("T12"), 2]).all()


def test_assumed_body_is_sized_by_a_standing_head_only():
    head = np.array([[0.0, 0.0, 2.7]])
    assert standing_scale(head, None) == 1.0
    assert abs(standing_scale(head, 1.0) - 1.7 / 1.545) < 1e-9
    assert standing_scale(head, 1.9) == 1.0  # seated or crouching: says nothing of the body's size
