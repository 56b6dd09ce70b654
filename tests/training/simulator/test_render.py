"""Rendered views of simulated rooms and of the body, and shards of clips."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import training.simulator  # noqa: F401  before mujoco: chooses rendering without a screen

from ...shared_data import missing_extra, require_opengl

mujoco = pytest.importorskip("mujoco", reason=missing_extra("world"))

from egotwin_model.errors import RecordingError  # noqa: E402
from egotwin_model.geometry.body_mask import body_mask  # noqa: E402
from egotwin_model.geometry.camera import Pinhole  # noqa: E402
from egotwin_model.geometry.mount import Mount  # noqa: E402
from egotwin_model.geometry.skeleton import XSENS_JOINTS, forward_kinematics, reference_offsets  # noqa: E402
from egotwin_model.io.bags import BagReader, Topics  # noqa: E402
from training.datasets.clips.dataset import open_clips  # noqa: E402
from training.datasets.clips.shards import Manifest, write_shard  # noqa: E402
from training.simulator import example_bag as bag  # noqa: E402
from training.simulator.render.body_geoms import hand_points  # noqa: E402
from training.simulator.render.canvas import RoomMotion  # noqa: E402
from training.simulator.render.clothes import Clothing  # noqa: E402
from training.simulator.render.ego_renderer import FOV, EgoRenderer, LabelOptions, outside_camera  # noqa: E402
from training.simulator.rooms.scene import build_room, empty_spec  # noqa: E402
from training.simulator.rooms.site import ELLIPSOID, Frame, Site  # noqa: E402

MAGENTA = (1.0, 0.0, 1.0)
PLAIN = Clothing((0.2, 0.4, 0.2), *[(0.2, 0.2, 0.4)] * 4, hair=MAGENTA)


@pytest.fixture(scope="module", autouse=True)
def _screenless() -> None:
    require_opengl()


def stand(arms: str = "down", yaw: float = 0.0, at: tuple[float, float] = (0.0, 0.0)) -> tuple[np.ndarray, np.ndarray]:
    """One standing pose, positions (1, 23, 3) and rotations (1, 23, 3, 3), facing `yaw`, arms "down" or "forward"."""
    rotations = np.tile(np.eye(3), (23, 1, 1))
    for side, sign in (("L", 1.0), ("R", -1.0)):
        turn = Rotation.from_euler("z", -sign * 90, degrees=True) if arms == "forward" else None
        turn = turn or Rotation.from_euler("x", -sign * 85, degrees=True)
        for joint in ("UpperArm", "Forearm", "Hand"):
            rotations[XSENS_JOINTS.index(f"{side}_{joint}")] = turn.as_matrix()
    rotations = Rotation.from_euler("z", yaw).as_matrix() @ rotations
    positions = forward_kinematics(np.array([*at, 0.93]), rotations, reference_offsets())
    return positions[None], rotations[None]


@pytest.mark.parametrize(
    "camera", [Pinhole.from_fov(64, 64, FOV), Pinhole(64, 64, 40.0, 40.0, 28.0, 34.0)], ids=["default", "off-centre"]
)
def test_a_thing_is_seen_where_the_camera_pose_says(camera: Pinhole) -> None:
    where = np.array([1.6, 0.5, 1.0])
    spec = empty_spec()
    spec.visual.headlight.ambient = [1.0] * 3
    Frame(Site(spec), where, 0.0).geom(ELLIPSOID, (0, 0, 0), (0.1, 0.1, 0.1), (1.0, 0.0, 0.0))
    renderer = EgoRenderer(spec, size=64)
    renderer.camera = camera
    poses = [stand(yaw=yaw, at=(0.1, -0.2)) for yaw in (0.0, 0.3, 0.7)]
    seen = renderer.render(np.concatenate([p for p, _ in poses]), np.concatenate([r for _, r in poses]))
    renderer.close()
    assert seen.intrinsics == camera
    for image, view in zip(seen.images.astype(float), seen.camera_pose, strict=True):
        pixel, inside = camera.project((where - view[:3, 3]) @ view[:3, :3])
        redness = np.clip(image[..., 0] - image[..., 1:].max(axis=-1), 0, None)
        rows, columns = np.mgrid[:64, :64]
        centre = np.array([(redness * columns).sum(), (redness * rows).sum()]) / redness.sum()
        assert inside
        np.testing.assert_allclose(centre, pixel, atol=0.6)


def test_the_wearer_sees_both_hands_ahead_and_none_below() -> None:
    spec, _ = build_room(3, "train")
    renderer = EgoRenderer(spec, size=64)
    renderer.wear(reference_offsets(), PLAIN)
    forward, down = renderer.render(*stand("forward")), renderer.render(*stand("down"))
    renderer.close()
    assert forward.hand_visible.tolist() == [[1, 1]]
    assert down.hand_visible.tolist() == [[0, 0]]
    changed = np.abs(forward.images.astype(int) - down.images).max(axis=-1)[0] > 20
    assert changed[:, :32].any()
    assert changed[:, 32:].any()


def test_the_wearers_own_head_is_not_rendered() -> None:
    behind = Mount.looking_forward((-0.5, 0.0, 0.1), 0.0)  # would look at the back of the head, whose hair is magenta
    renderer = EgoRenderer(empty_spec(), size=64)
    renderer.mount = behind
    renderer.wear(reference_offsets(), PLAIN)
    image = renderer.render(*stand()).images[0].astype(int)
    renderer.close()
    assert image.max() > 20  # neck and shoulders are there
    assert (image[..., 0] - image[..., 1]).max() < 20


def test_a_hand_behind_a_cupboard_is_not_visible() -> None:
    spec = empty_spec()
    Frame(Site(spec), np.zeros(3), 0.0).box((0.35, -1.0, 0.0), (0.40, 1.0, 2.4), (0.5, 0.5, 0.5))
    renderer = EgoRenderer(spec, size=64)
    assert renderer.render(*stand("forward")).hand_visible.tolist() == [[0, 0]]
    renderer.close()


def test_neighbouring_headings_look_different_and_a_full_turn_the_same() -> None:
    spec, _ = build_room(5, "train")
    renderer = EgoRenderer(spec, size=64)
    poses = [stand(yaw=yaw) for yaw in np.linspace(0, 2 * np.pi, 9)]
    images = renderer.render(np.concatenate([p for p, _ in poses]), np.concatenate([r for _, r in poses])).images
    renderer.close()
    difference = np.abs(images[1:].astype(float) - images[:1]).mean(axis=(1, 2, 3))
    assert (difference[:-1] > 12).all()
    assert difference[-1] < 1


def test_every_hand_pixel_is_counted_and_the_wrist_projects_onto_its_hand() -> None:
    spec, _ = build_room(3, "train")
    renderer = EgoRenderer(spec, size=64)
    everything = LabelOptions(hand_pixels=True, depth=True, segmentation=True)
    (positions, rotations), (hanging, turned) = stand("forward"), stand("down")
    seen = renderer.render(np.concatenate([positions, hanging]), np.concatenate([rotations, turned]), labels=everything)
    things = renderer.things
    renderer.close()
    assert seen.hand_pixels is not None
    assert seen.depth is not None
    assert seen.segmentation is not None
    assert (seen.hand_pixels[0] > 8).all()
    assert (seen.hand_pixels[1] == 0).all()
    for side, sign in (("L", 1), ("R", -1)):
        row = 1 + things.index(f"body_{side}_Hand")
        area = int((seen.segmentation[0] == row).sum())
        assert abs(area - seen.hand_pixels[0, (1 - sign) // 2]) < 0.35 * area
        joint = XSENS_JOINTS.index(f"{side}_Hand")
        skin = positions[0, joint] + (hand_points(0) * (1, sign, 1)) @ rotations[0, joint].T
        view = seen.camera_pose[0].astype(float)
        optical = (skin - view[:3, 3]) @ view[:3, :3]
        pixel, _ = seen.intrinsics.project(optical[8:].mean(axis=0))
        column, line = np.rint(pixel).astype(int)
        near = np.argwhere(seen.segmentation[0] == row) - (line, column)
        assert np.abs(near).max(axis=1).min() <= 1
        on_it = seen.depth[0][seen.segmentation[0] == row].astype(float)
        assert (on_it > optical[:, 2].min() - 0.03).all()
        assert (on_it < optical[:, 2].max() + 0.03).all()


@pytest.mark.parametrize("supersample", [1, 2])
def test_depth_is_that_of_the_pixels_centres(supersample: int) -> None:
    spec, turn = empty_spec(), np.radians(60.0)
    Frame(Site(spec), np.array([3.0, 0.0, 1.0]), turn).box((0.0, -9.0, -9.0), (0.1, 9.0, 9.0), (0.5, 0.5, 0.5))
    renderer = EgoRenderer(spec, size=64, supersample=supersample)
    seen = renderer.render(*stand(), labels=LabelOptions(depth=True))
    renderer.close()
    assert seen.depth is not None
    camera, view = seen.intrinsics, seen.camera_pose[0].astype(float)
    normal = np.array([np.cos(turn), np.sin(turn), 0.0])
    rows, columns = np.mgrid[:64, :64]
    rays = np.stack([(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones((64, 64))], axis=-1)
    true = normal @ (np.array([3.0, 0.0, 1.0]) - view[:3, 3]) / (rays @ (view[:3, :3].T @ normal))
    wall = (true > 0.3) & (true < 4.0) & (np.abs(seen.depth[0] - true) < 0.1 * true)
    assert wall.mean() > 0.3
    assert (np.abs(seen.depth[0] - true)[wall] < 2e-3 * true[wall]).all()  # a quarter of a pixel is up to 1.6 %


def test_depth_of_nothing_is_unknown() -> None:
    spec = empty_spec()
    Frame(Site(spec), np.array([2.0, 0.0, 1.0]), 0.0).box((0.0, 0.0, -9.0), (0.1, 9.0, 9.0), (0.5, 0.5, 0.5))
    renderer = EgoRenderer(spec, size=64)
    seen = renderer.render(*stand(), labels=LabelOptions(depth=True))
    renderer.close()
    assert seen.depth is not None
    assert (seen.depth[0, :, :28] > 1.0).all()
    assert (seen.depth[0, :, 36:] == 0).all()


def test_the_wearers_own_body_is_masked() -> None:
    renderer = EgoRenderer(empty_spec(), size=64)
    renderer.wear(reference_offsets(), PLAIN)
    everything = LabelOptions(segmentation=True, body=True)
    (positions, rotations), (hanging, turned) = stand("forward"), stand("down")
    seen = renderer.render(np.concatenate([positions, hanging]), np.concatenate([rotations, turned]), labels=everything)
    bodies = [1 + row for row, name in enumerate(renderer.things) if name.startswith("body_")]
    renderer.close()
    assert seen.segmentation is not None
    assert seen.body is not None
    shown = np.isin(seen.segmentation, bodies)
    assert shown[0].sum() > 100 > shown[1].sum()
    assert (seen.body[shown] == 1).all()
    rim = np.ones((3, 3), np.uint8)
    for mask, inside in zip(seen.body, shown, strict=True):  # a pixel of which the wearer covers a part counts too
        assert (mask <= cv2.dilate(inside.astype(np.uint8), rim)).all()
        assert mask.sum() >= inside.sum()


def test_the_wearers_own_body_follows_from_the_pose() -> None:
    """Capsules around the bones cover what is rendered of the body, and little beside it."""
    renderer = EgoRenderer(empty_spec(), size=64)
    renderer.wear(reference_offsets(), PLAIN)
    positions, rotations = stand("forward")
    seen = renderer.render(positions, rotations, labels=LabelOptions(body=True))
    renderer.close()
    assert seen.body is not None
    shown, found = seen.body[0] > 0, body_mask(seen.intrinsics, seen.camera_pose[0], positions[0])
    assert shown.sum() > 100
    assert found[shown].mean() > 0.95
    assert (found & ~shown).sum() < 0.6 * shown.sum()


def test_doors_open_and_objects_move_in_the_image() -> None:
    spec, plan = build_room(3, "train", "kitchen")
    renderer = EgoRenderer(spec, size=64, articulations=plan.articulations)
    fridge = next(t for t in plan.of_kind("cabinet") if t.name == "fridge")
    mug = plan.of_kind("object")[0]
    x, y, heading = fridge.stands[0]
    positions, rotations = stand(yaw=heading, at=(x + 0.3 * np.cos(fridge.yaw), y + 0.3 * np.sin(fridge.yaw)))
    before = np.eye(4)
    before[:3, 3] = positions[0, 6] + 0.45 * np.array([np.cos(heading), np.sin(heading), -0.3])
    room_motion = RoomMotion({fridge.articulation: np.array([0.0, 1.2])}, {mug.id: np.stack([before, before])})
    twice = np.concatenate([positions] * 2), np.concatenate([rotations] * 2)
    shut = renderer.render(positions, rotations).images[0].astype(int)
    opened = renderer.render(*twice, room_motion).images.astype(int)
    again = renderer.render(positions, rotations).images[0].astype(int)
    renderer.close()
    assert (np.abs(opened[1] - opened[0]).max(axis=-1) > 25).mean() > 0.03  # the door
    assert (np.abs(opened[0] - shut).max(axis=-1) > 25).mean() > 0.004  # the mug before the face
    np.testing.assert_array_equal(again, shut)


def test_fingers_close() -> None:
    renderer = EgoRenderer(empty_spec(), size=64)
    positions, rotations = stand("forward")
    fingers = [RoomMotion(fingers=np.array([[closed, closed]])) for closed in (0, 1)]
    open_, closed = (renderer.render(positions, rotations, moved).images[0].astype(int) for moved in fingers)
    renderer.close()
    assert np.abs(open_ - closed).max() > 40
    assert hand_points(2)[:, 1].max() < hand_points(0)[:, 1].max() - 0.04


def test_an_outside_camera_sees_the_wearer_with_head() -> None:
    spec, plan = build_room(5, "train", "living room")
    renderer = EgoRenderer(spec, size=64)
    renderer.wear(reference_offsets(), PLAIN)
    positions, rotations = stand(at=tuple(plan.sample(np.random.default_rng(0), 1)[0]))
    view = outside_camera(np.random.default_rng(1), plan, positions[:, 6])
    seen = renderer.render_outside(view, positions, rotations, labels=LabelOptions(segmentation=True))
    head = 1 + renderer.things.index("body_Head")
    renderer.close()
    assert seen.segmentation is not None
    pixel, inside = seen.intrinsics.project((positions[0, 6] - view[:3, 3]) @ view[:3, :3])
    lines, columns = np.nonzero(seen.segmentation[0] == head)
    assert inside
    assert np.hypot(columns.mean() - pixel[0], lines.mean() - pixel[1]) < 4


def test_altered_missing_and_cut_shards_are_refused_by_name(tmp_path: Path) -> None:
    arrays = {"frames": np.arange(2 * 4, dtype=np.uint8).reshape(2, 4)}
    digest = write_shard(tmp_path, 0, arrays, [{"text": "a"}, {"text": "b"}])
    with pytest.raises(RecordingError, match=r"manifest\.json is missing"):
        open_clips(tmp_path)
    Manifest("val", 0, 2, 64, shards={"clips-00000": {"clips": 2, "sha256": digest}}).save(tmp_path)
    clips = open_clips(tmp_path, verify=True)
    np.testing.assert_array_equal(clips.gather("frames"), arrays["frames"])
    np.testing.assert_array_equal(clips.tensor("frames", 1), arrays["frames"][1])

    path = tmp_path / "clips-00000.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"\xff")
    with pytest.raises(RecordingError, match="checksum"):
        open_clips(tmp_path, verify=True)
    path.write_bytes(whole[:-3])
    with pytest.raises(RecordingError, match="cannot be read"):
        open_clips(tmp_path)
    path.write_bytes(whole)
    path.with_suffix(".json").write_text(json.dumps([{"text": "a"}]))
    with pytest.raises(RecordingError, match="1 records, 2 clips"):
        open_clips(tmp_path)


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_shard(tmp_path, 0, {"frames": np.zeros(2, np.uint8)}, [{"text": object()}])
    assert list(tmp_path.glob("*.safetensors")) == []
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(".safetensors.tmp")]


def test_the_shipped_recording_can_be_made_again(tmp_path: Path) -> None:
    motion = bag.record(tmp_path / "walk.mcap")
    assert motion.meta["duration_s"] == 12.0
    with BagReader(tmp_path / "walk.mcap") as reader:
        stamps = {topic: [] for topic in (Topics.image, Topics.camera_info, Topics.body_pose)}
        for topic, stamp, _ in reader.messages():
            stamps[topic].append(stamp)
    assert stamps[Topics.image] == stamps[Topics.camera_info] == stamps[Topics.body_pose][::2]
    np.testing.assert_allclose(np.diff(stamps[Topics.body_pose]), 1e9 / 16)
    assert (tmp_path / "walk.mcap").stat().st_size < 8e6
