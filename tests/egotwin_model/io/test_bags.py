"""Recordings: what is written is read back, other containers open, broken ones are refused, writing is atomic."""

import sqlite3
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from scipy.spatial.transform import Rotation

from egotwin_model.errors import ImageError, RecordingError
from egotwin_model.io import bags
from egotwin_model.io.bags import BagReader, BagWriter, Topics
from egotwin_model.io.images import decode_image

RNG = np.random.default_rng(3)
START = 1_700_000_000_250_000_000
FRAMES = RNG.integers(0, 256, (6, 24, 32, 3), dtype=np.uint8)
POSITIONS = RNG.normal(size=(6, 23, 3))
ROTATIONS = Rotation.random(6 * 23, random_state=3).as_matrix().reshape(6, 23, 3, 3)
K = np.array([[20.0, 0.0, 15.5], [0.0, 21.0, 11.5], [0.0, 0.0, 1.0]])


def stamp(step: int) -> int:
    return START + step * 125_000_000


def write_bag(path: Path, steps: int = 6) -> Path:
    with BagWriter(path) as bag:
        for step in range(steps):
            bag.write_camera_info(Topics.camera_info, stamp(step), "camera_optical", width=32, height=24, matrix=K)
            bag.write_image(Topics.image, stamp(step), "camera_optical", FRAMES[step])
            bag.write_body_pose(stamp(step), "map", POSITIONS[step], ROTATIONS[step])
    return path


def test_what_is_written_is_read_back(tmp_path):
    with BagReader(write_bag(tmp_path / "new" / "walk.mcap")) as bag:
        assert bag.topics() == {
            "/camera/image": bags.IMAGE,
            "/camera/camera_info": bags.CAMERA_INFO,
            "/body_pose": bags.BODY_POSE,
        }
        assert (bag.start_ns, bag.end_ns, bag.duration_s) == (stamp(0), stamp(5), 0.625)
        images = list(bag.messages([Topics.image]))
        assert [s for _, s, _ in images] == [stamp(step) for step in range(6)]
        np.testing.assert_array_equal([decode_image(message) for *_, message in images], FRAMES)
        _, _, info = next(bag.messages([Topics.camera_info]))
        np.testing.assert_array_equal(np.reshape(info.k, (3, 3)), K)
        assert (info.width, info.height, info.header.frame_id) == (32, 24, "camera_optical")
        for step, (_, _, body) in enumerate(bag.messages([Topics.body_pose])):
            assert body.header.stamp.sec * 10**9 + body.header.stamp.nanosec == stamp(step)
            got = np.array([[p.position.x, p.position.y, p.position.z] for p in body.poses])
            quaternions = [[p.orientation.x, p.orientation.y, p.orientation.z, p.orientation.w] for p in body.poses]
            np.testing.assert_array_equal(got, POSITIONS[step])
            np.testing.assert_allclose(Rotation.from_quat(quaternions).as_matrix(), ROTATIONS[step], atol=1e-12)
            assert body.tracked.all()


def test_messages_come_in_time_order_and_within_the_asked_span(tmp_path):
    with BagReader(write_bag(tmp_path / "walk.mcap")) as bag:
        stamps = [s for _, s, _ in bag.messages()]
        assert len(stamps) == 18
        assert stamps == sorted(stamps)
        part = [s for _, s, _ in bag.messages([Topics.image], stamp(2), stamp(4))]
        assert part == [stamp(2), stamp(3)]


def test_compressed_images_are_close_and_found_by_type(tmp_path):
    smooth = np.broadcast_to(np.linspace(0, 255, 32, dtype=np.uint8)[None, :, None], (24, 32, 3))
    with BagWriter(tmp_path / "jpeg.mcap") as bag:
        bag.write_compressed("/camera/image/compressed", stamp(0), "camera_optical", smooth)
    with BagReader(tmp_path / "jpeg.mcap") as bag:
        topic = bag.find(bags.IMAGE, bags.COMPRESSED_IMAGE)
        _, _, message = next(bag.messages([topic]))
    assert topic == "/camera/image/compressed"
    assert np.abs(decode_image(message).astype(int) - smooth).max() <= 6


@pytest.mark.parametrize("storage", [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
def test_raw_messages_pass_unchanged_into_other_containers(tmp_path, storage):
    source = write_bag(tmp_path / "walk.mcap")
    with BagReader(source) as bag, Writer(tmp_path / "folder", version=9, storage_plugin=storage) as folder:
        known = {
            topic: folder.add_connection(topic, kind, typestore=bags.typestore())
            for topic, kind in bag.topics().items()
        }
        originals = list(bag.raw_messages())
        for topic, _, stamp_ns, cdr in originals:
            folder.write(known[topic], stamp_ns, cdr)
    with BagReader(tmp_path / "folder") as copy:
        assert sorted(copy.raw_messages()) == sorted(originals)


def test_a_lacking_topic_is_refused_and_the_present_ones_named(tmp_path):
    with BagReader(write_bag(tmp_path / "walk.mcap")) as bag:
        with pytest.raises(RecordingError, match=r"lacks the topic /odom; it has .*/camera/image"):
            list(bag.messages(["/odom"]))
        with pytest.raises(RecordingError, match=r"lacks a topic of type nav_msgs/msg/Path; it has .*/body_pose"):
            bag.find("nav_msgs/msg/Path")


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.9, -1])
def test_a_truncated_file_is_refused_by_name(tmp_path, keep):
    whole = write_bag(tmp_path / "walk.mcap").read_bytes()
    (tmp_path / "cut.mcap").write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    with pytest.raises(RecordingError, match=r"cut\.mcap"):
        BagReader(tmp_path / "cut.mcap")


def test_damage_inside_a_file_is_refused_by_name(tmp_path):
    whole = bytearray(write_bag(tmp_path / "walk.mcap").read_bytes())
    whole[100:400] = bytes(300)  # the head of the only chunk
    (tmp_path / "hurt.mcap").write_bytes(whole)
    with pytest.raises(RecordingError, match=r"hurt\.mcap"), BagReader(tmp_path / "hurt.mcap") as bag:
        list(bag.messages())


def test_missing_foreign_and_empty_recordings_are_refused_by_name(tmp_path):
    with pytest.raises(RecordingError, match="does not exist"):
        BagReader(tmp_path / "none.mcap")
    (tmp_path / "notes.txt").write_text("no bag")
    with pytest.raises(RecordingError, match="no rosbag2"):
        BagReader(tmp_path / "notes.txt")
    (tmp_path / "noise.mcap").write_bytes(RNG.bytes(4096))
    with pytest.raises(RecordingError, match="unreadable"):
        BagReader(tmp_path / "noise.mcap")
    sqlite3.connect(tmp_path / "other.db3").execute("CREATE TABLE cats (name TEXT)").connection.close()
    with pytest.raises(RecordingError, match="unreadable"):
        BagReader(tmp_path / "other.db3")
    with pytest.raises(RecordingError, match="unreadable"):
        BagReader(tmp_path)
    with BagWriter(tmp_path / "empty.mcap"):
        pass
    with pytest.raises(RecordingError, match="no messages"):
        BagReader(tmp_path / "empty.mcap")


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, fault):
    old = write_bag(tmp_path / "walk.mcap", steps=1).read_bytes()

    def interrupted() -> None:
        with BagWriter(tmp_path / "walk.mcap") as bag:
            bag.write_image(Topics.image, stamp(0), "camera_optical", FRAMES[0])
            raise fault

    with pytest.raises(fault):
        interrupted()
    assert [path.name for path in tmp_path.iterdir()] == ["walk.mcap"]
    assert (tmp_path / "walk.mcap").read_bytes() == old


def test_a_topic_keeps_one_type_and_images_are_checked(tmp_path):
    with BagWriter(tmp_path / "walk.mcap") as bag:
        bag.write_image("/a", stamp(0), "camera_optical", FRAMES[0])
        with pytest.raises(RecordingError, match="carries sensor_msgs/msg/Image"):
            bag.write_compressed("/a", stamp(0), "camera_optical", FRAMES[0])
        with pytest.raises(ImageError, match="float64"):
            bag.write_image("/a", stamp(0), "camera_optical", FRAMES[0] / 255)
    with pytest.raises(RecordingError, match=r"one \.mcap file"):
        BagWriter(tmp_path / "walk.db3")


def image(encoding: str, pixels: np.ndarray, padding: int = 0, **changes) -> SimpleNamespace:
    rows = np.ascontiguousarray(pixels).reshape(pixels.shape[0], -1)
    data = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    fields = {"height": pixels.shape[0], "width": pixels.shape[1], "step": data.shape[1], "is_bigendian": 0}
    return SimpleNamespace(encoding=encoding, data=data.reshape(-1), **{**fields, **changes})


@pytest.mark.parametrize("padding", [0, 5])
def test_every_common_encoding_gives_the_same_rgb(padding):
    rgb = FRAMES[0]
    opaque = np.full((24, 32, 1), 255, np.uint8)
    forms = {
        "rgb8": rgb,
        "bgr8": rgb[..., ::-1],
        "rgba8": np.concatenate([rgb, opaque], -1),
        "bgra8": np.concatenate([rgb[..., ::-1], opaque], -1),
    }
    for encoding, pixels in forms.items():
        np.testing.assert_array_equal(decode_image(image(encoding, pixels, padding)), rgb, err_msg=encoding)
    grey = decode_image(image("mono8", rgb[..., 0], padding))
    np.testing.assert_array_equal(grey, np.repeat(rgb[..., :1], 3, -1))


def test_unpadded_rgb_is_not_copied():
    message = image("rgb8", FRAMES[0])
    assert np.shares_memory(decode_image(message), message.data)


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (image("32FC1", FRAMES[0][..., 0]), "32FC1"),
        (image("", FRAMES[0]), "encoding is ''"),
        (image("rgb8", FRAMES[0], height=25), "needs a step"),
        (image("rgb8", FRAMES[0], step=95), "needs a step"),
        (image("rgb8", FRAMES[0], width=0), "needs a step"),
        (SimpleNamespace(format="jpeg", data=b"\xff\xd8 no picture"), "no readable JPEG"),
        (SimpleNamespace(format="jpeg", data=b""), "no readable JPEG"),
    ],
)
def test_impossible_images_are_refused(message, says):
    with pytest.raises(ImageError, match=says):
        decode_image(message)
