"""Rooms, pictures and clip shards of our own world."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

import training.world  # noqa: F401  before mujoco: chooses rendering without a screen

mujoco = pytest.importorskip("mujoco", reason="needs the `world` extra")

from egotwin_model.bags import BagReader, Topics  # noqa: E402
from egotwin_model.camera import Mount, Pinhole  # noqa: E402
from egotwin_model.errors import RecordingError  # noqa: E402
from egotwin_model.skeleton import XSENS_JOINTS, forward_kinematics, reference_offsets  # noqa: E402
from training.world import bag, generate, show  # noqa: E402
from training.world.body_geoms import Clothing  # noqa: E402
from training.world.furniture import ELLIPSOID, Frame  # noqa: E402
from training.world.objects import TEST_ONLY  # noqa: E402
from training.world.render import FOV, EgoRenderer, RoomRenderer, _gl_context  # noqa: E402
from training.world.scene import SPLIT_SEEDS, _empty_spec, build_room, maximal_rectangles  # noqa: E402
from training.world.shards import Manifest, open_clips, write_shard  # noqa: E402

MAGENTA = (1.0, 0.0, 1.0)
PLAIN = Clothing((0.2, 0.4, 0.2), *[(0.2, 0.2, 0.4)] * 4, hair=MAGENTA)


@pytest.fixture(scope="module", autouse=True)
def _screenless() -> None:
    try:
        _gl_context()
    except Exception as error:
        pytest.skip(f"no OpenGL without a screen here: {error}")


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


def test_a_room_follows_from_its_seed() -> None:
    spec, plan = build_room(11, "train")
    again, same_plan = build_room(11, "train")
    other, _ = build_room(12, "train")
    models = [room.compile() for room in (spec, again, other)]
    for array in ("geom_pos", "geom_size", "geom_rgba", "tex_data", "light_diffuse"):
        np.testing.assert_array_equal(getattr(models[0], array), getattr(models[1], array))
    assert plan == same_plan
    assert not np.array_equal(models[0].tex_data[:10000], models[2].tex_data[:10000])


def test_splits_share_no_rooms_and_keep_their_objects_apart() -> None:
    seeds = [set(seeds) for seeds in ({r.start, r.stop - 1} for r in SPLIT_SEEDS.values())]
    assert not set.intersection(*seeds)
    with pytest.raises(ValueError, match="not of split"):
        build_room(SPLIT_SEEDS["test"].start, "train")
    names = {
        split: {t.name for i in range(25) for t in build_room(SPLIT_SEEDS[split][i], split)[1].targets}
        for split in SPLIT_SEEDS
    }
    reserved = {f"{colour} {kind}" for colour, kind in TEST_ONLY}
    assert reserved & names["test"]
    assert not reserved & (names["train"] | names["val"])


corner = st.floats(-3, 3).map(lambda v: round(v, 2))
box = st.tuples(corner, corner, st.floats(0.2, 2), st.floats(0.2, 2)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@settings(max_examples=40, deadline=None)
@given(st.lists(box, max_size=5), st.integers(0, 2**32 - 1))
def test_free_rectangles_cover_what_no_obstacle_covers(obstacles: list, seed: int) -> None:
    bounds = (-2.5, -2.5, 2.5, 2.5)
    free = maximal_rectangles(bounds, obstacles)
    for x0, y0, x1, y1 in free:
        assert all(x1 <= o[0] or x0 >= o[2] or y1 <= o[1] or y0 >= o[3] for o in obstacles)
    for x, y in np.random.default_rng(seed).uniform(-2.3, 2.3, (50, 2)):
        roomy = all(x + 0.18 < o[0] or x - 0.18 > o[2] or y + 0.18 < o[1] or y - 0.18 > o[3] for o in obstacles)
        if roomy:  # a square of 0.36 m fits here, so some rectangle of 0.35 m or more holds the point
            assert any(x0 <= x <= x1 and y0 <= y <= y1 for x0, y0, x1, y1 in free)


@pytest.mark.parametrize("split", SPLIT_SEEDS)
def test_a_body_stands_clear_of_furniture_wherever_the_plan_says(split: str) -> None:
    for index in range(6):
        spec, plan = build_room(SPLIT_SEEDS[split][index], split)
        model = spec.compile()
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        solid = [i for i in range(model.ngeom) if model.geom_type[i] != mujoco.mjtGeom.mjGEOM_PLANE]
        points = plan.sample(np.random.default_rng(index), 200)
        assert len(plan.targets) >= 3
        for geom in solid:
            local = np.abs(data.geom_xmat[geom].reshape(3, 3)) @ model.geom_aabb[geom, 3:]
            gap = np.maximum(np.abs(points - data.geom_xpos[geom, :2]) - local[:2], 0)
            assert np.linalg.norm(gap, axis=1).min() > 0.3


def test_a_thing_is_seen_where_the_camera_pose_says() -> None:
    where = np.array([1.6, 0.5, 1.0])
    spec = _empty_spec()
    spec.visual.headlight.ambient = [1.0] * 3
    Frame(spec, where, 0.0).geom(ELLIPSOID, (0, 0, 0), (0.1, 0.1, 0.1), (1.0, 0.0, 0.0))
    renderer = EgoRenderer(spec, size=64)
    poses = [stand(yaw=yaw, at=(0.1, -0.2)) for yaw in (0.0, 0.3, 0.7)]
    seen = renderer.render(np.concatenate([p for p, _ in poses]), np.concatenate([r for _, r in poses]))
    renderer.close()
    for image, camera in zip(seen.images.astype(float), seen.camera_pose, strict=True):
        pixel, inside = Pinhole.from_fov(64, 64, FOV).project((where - camera[:3, 3]) @ camera[:3, :3])
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


def test_the_own_head_is_not_drawn() -> None:
    behind = Mount.looking_forward((-0.5, 0.0, 0.1), 0.0)  # would look at the back of the head, whose hair is magenta
    renderer = EgoRenderer(_empty_spec(), size=64, mount=behind)
    renderer.wear(reference_offsets(), PLAIN)
    image = renderer.render(*stand()).images[0].astype(int)
    renderer.close()
    assert image.max() > 20  # neck and shoulders are there
    assert (image[..., 0] - image[..., 1]).max() < 20


def test_a_hand_behind_a_cupboard_is_not_visible() -> None:
    spec = _empty_spec()
    Frame(spec, np.zeros(3), 0.0).box((0.35, -1.0, 0.0), (0.40, 1.0, 2.4), (0.5, 0.5, 0.5))
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
    assert (difference[:-1] > 15).all()
    assert difference[-1] < 1


def test_the_outside_view_shows_the_wearer() -> None:
    spec, _ = build_room(5, "train")
    renderer = RoomRenderer(spec, 160, 120)
    positions, rotations = stand()
    here = renderer.render(positions[0], rotations[0])
    gone = renderer.render(positions[0] - (0, 0, 50), rotations[0])
    renderer.close()
    changed = np.abs(here.astype(int) - gone).max(axis=-1) > 25
    assert here.shape == (120, 160, 3)
    assert 0.002 < changed.mean() < 0.2


def test_a_shard_is_the_same_whoever_makes_it_and_resumes(tmp_path: Path) -> None:
    made = generate.generate(tmp_path / "a", "val", 3, seed=4, size=32, workers=1)
    digest = generate.make_shard(tmp_path, "val", 4, 0, 3, 32)
    assert made.shards["clips-00000"] == {"clips": 3, "sha256": digest}
    (tmp_path / "a/clips-00000.safetensors").unlink()
    again = generate.generate(tmp_path / "a", "val", 3, seed=4, size=32, workers=1)
    assert again.shards["clips-00000"]["sha256"] == digest
    with pytest.raises(RecordingError, match="choose another folder"):
        generate.generate(tmp_path / "a", "val", 3, seed=5, size=32, workers=1)

    clips = open_clips(tmp_path / "a", verify=True)
    clip = clips[2]
    assert clip["frames"].shape == (41, 32, 32, 3)
    assert clip["frames"].dtype == np.uint8
    assert clip["hand_visible"].shape == (41, 2)
    rebuilt = forward_kinematics(clip["positions"][:, 0], clip["rotations"], clip["offsets"])
    np.testing.assert_allclose(rebuilt, clip["positions"], atol=1e-4)
    assert clip["text"]
    assert SPLIT_SEEDS["val"].start <= clip["room_seed"] < SPLIT_SEEDS["val"].stop
    assert show.contact_sheet(clips, [0, 2], columns=4, tile=32).shape == (2 * (32 + show.CAPTION_HEIGHT), 128, 3)


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
    assert (tmp_path / "walk.mcap").stat().st_size < 4e6


def test_what_a_killed_worker_left_is_cleared(tmp_path: Path) -> None:
    left = tmp_path / ".clips-00000-abcd.safetensors"
    left.write_bytes(b"half")
    generate.generate(tmp_path, "val", 1, seed=4, size=32, workers=1)
    assert not left.exists()
    assert len(open_clips(tmp_path)) == 1
